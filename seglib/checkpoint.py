"""The state of an unfinished training on disk: the last two, each written whole and read only if its checksum holds."""

import dataclasses
import hashlib
import io
import os
from pathlib import Path

import torch

from seglib import atomic
from seglib.train import State

FILES = ("state.pt", "state-before.pt")  # newest first
_DIGEST_BYTES = 32


def save(state: State, folder: Path) -> None:
    """Writes the state as sha256 + torch's own format; the one before stays beside it."""
    buffer = io.BytesIO()
    torch.save(dataclasses.asdict(state), buffer)
    content = buffer.getvalue()
    newest, before = (folder / name for name in FILES)
    if newest.is_file():
        os.replace(newest, before)
    atomic.write(newest, hashlib.sha256(content).digest() + content)


def load(folder: Path) -> tuple[State | None, list[str]]:
    """The newest state whose bytes are those that were written, and the names of the files that were damaged.

    Damaged files are removed, so that the next state saved does not push one over a good one.
    """
    damaged = []
    for name in FILES:
        if content := _content(folder / name):
            return State(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)), damaged
        if (folder / name).is_file():
            damaged.append(name)
            (folder / name).unlink()
    return None, damaged


def remove(folder: Path) -> None:
    """Deletes the states of a run that needs none any more."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    """What was written, if the checksum holds."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    checksum, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == checksum else None
