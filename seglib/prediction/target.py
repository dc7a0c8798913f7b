"""The folder that predictions go to: its manifest, its journal, and the names of the files in it.

| file | what |
|---|---|
| manifest.json | the run, its weights and all that changes a mask; a call with others is refused |
| images.jsonl | one line per image that is done: digests, size, areas, counts; appended after the image's files |
| masks/, probabilities/, overlays/ | one file per image, or per image and class in a folder of each class |
"""

import contextlib
import fcntl
import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from seglib import atomic

MANIFEST, JOURNAL, LOCK = "manifest.json", "images.jsonl", ".lock"
SUFFIX = {"masks": ".png", "probabilities": ".png", "overlays": ".jpg"}
SCRATCH = re.compile(r"\..*\.(png|jpg)-\w{8}", re.S)  # as `atomic.write` names what it has not finished
LONGEST_NAME = 200  # bytes of an image's file name from which on it is shortened: a file system takes 255


class Target:
    """The folder of one run's predictions, held by this process alone while it is open.

    Args: manifest — what must be the same at every call; entries that only inform go in `told`.
    Raises: ValueError if the folder holds something else, or another run's or other settings' predictions;
        BlockingIOError if another process writes into it.
    """

    def __init__(self, folder: Path, manifest: Mapping, told: Mapping):
        self.folder = Path(folder)
        check(self.folder, manifest)
        if not (self.folder / MANIFEST).is_file():
            atomic.write(self.folder / MANIFEST, json.dumps({**manifest, **told}, indent=1) + "\n")
        for left in (
            file for kind in SUFFIX for file in (self.folder / kind).rglob(".*") if SCRATCH.fullmatch(file.name)
        ):
            left.unlink()  # by a process that was killed while it wrote
        self.entries = _journal(self.folder / JOURNAL)
        lines = "".join(json.dumps(entry) + "\n" for entry in self.entries.values())
        atomic.write(self.folder / JOURNAL, lines)  # without a line that was cut off, and each image once

    def file(self, kind: str, name: str, channel: str = "") -> Path:
        """Where a file of an image goes: `masks/sub/a.jpg.png`, with a channel `masks/<channel>/sub/a.jpg.png`.

        The image's suffix stays, so that a.jpg and a.png have files of their own.
        """
        folder, _, last = name.rpartition("/")
        return self.folder / kind / folder_of(channel) / folder / (_short(last) + SUFFIX[kind])

    def has(self, entry: Mapping, kinds: Mapping[str, Iterable[str]]) -> bool:
        """Whether all files of an image that is done are there; kinds — kind → channels."""
        return all(self.file(k, entry["image"], channel).is_file() for k, names in kinds.items() for channel in names)

    def add(self, entry: Mapping) -> None:
        """Notes that an image is done; its files must be there."""
        self.entries[entry["image"]] = dict(entry)
        with open(self.folder / JOURNAL, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def check_same_image(self, name: str, path: Path, sha256: str) -> None:
        """Raises ValueError if the name is that of another file's predictions, which would be lost."""
        entry = self.entries.get(name)
        if entry and entry["sha256"] != sha256 and entry["path"] != str(path):
            raise ValueError(
                f"{self.folder} holds what was predicted of {entry['path']}, and {path} has the same name in it; "
                "choose another folder, or give both sources in one call"
            )


def check(folder: Path, manifest: Mapping) -> None:
    """Raises ValueError unless a folder is new, empty or this very manifest's; nothing is written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a folder for masks and tables; choose another name")
    file = folder / MANIFEST
    if not file.is_file():
        if folder.is_dir() and any(f.name != LOCK for f in folder.iterdir()):
            raise ValueError(f"{folder} is not empty and has no {MANIFEST}; choose a new folder")
        return
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not readable ({error}); delete {folder} and predict again") from None
    for name, value in manifest.items():
        if known.get(name) != value:
            raise ValueError(
                f"{folder} holds masks with {name} {_text(known.get(name))}, and {_text(value)} is asked for; "
                "they must not be mixed: choose another folder"
            )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a folder for this process; the system frees it if the process dies.

    Raises: BlockingIOError if another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"another process predicts into {folder}; wait for it or choose another folder"
            ) from None
        yield


def _journal(file: Path) -> dict[str, dict]:
    """Image → its last whole line."""
    entries: dict[str, dict] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with contextlib.suppress(ValueError, TypeError, KeyError):  # cut off by a crash: that image is done again
            entry = json.loads(line)
            entries[entry["image"]] = entry
    return entries


def _short(name: str) -> str:
    """A file name that leaves room for a suffix; a long one ends in the digest of all of it."""
    raw = name.encode(errors="surrogateescape")
    if len(raw) <= LONGEST_NAME:
        return name
    return f"{raw[:LONGEST_NAME].decode(errors='ignore')}~{hashlib.sha256(raw).hexdigest()[:16]}"


def folder_of(channel: str) -> str:
    """A class's name as the name of a folder."""
    quoted = urllib.parse.quote(channel, safe=" !#$&'()+,;=@[]{}^~")
    return quoted.replace(".", "%2E") if channel.startswith(".") else quoted


def _text(value: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
