"""The state of an unfinished training on disk: written whole, with a checksum, read only if the checksum holds."""

import dataclasses
import hashlib
import io
from pathlib import Path

import torch

from seglib import atomic
from seglib.train import State

_DIGEST_BYTES = 32


def save(state: State, path: Path) -> None:
    """Writes the state as sha256 + torch's own format."""
    buffer = io.BytesIO()
    torch.save(dataclasses.asdict(state), buffer)
    content = buffer.getvalue()
    atomic.write(path, hashlib.sha256(content).digest() + content)


def load(path: Path) -> State | None:
    """The state, or None if there is none or its bytes are not those that were written."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    checksum, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != checksum:
        return None
    return State(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
