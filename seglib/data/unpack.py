"""Unpacking archives that a stranger made: nothing outside the folder, no links, nothing absurdly large."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

MAX_BYTES = 60_000_000_000  # of all members together; the largest archive of the studies holds 2
MAX_MEMBERS = 500_000
MAX_RATIO = 1000  # unpacked to packed, of an archive whose members take more than SMALL; deflate's own limit is 1,032
SMALL = 100_000_000  # bytes
PIECE = 1 << 20


def unpack(archive: Path, folder: Path, keep: bool = False) -> None:
    """Unpacks a .zip or .tar(.gz) into a folder; what it holds at its top appears there whole or not at all.

    The archive is removed afterwards unless it is to be kept.
    Raises: ValueError that names archive and member, before anything is left in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        left = min(MAX_BYTES, max(SMALL, MAX_RATIO * archive.stat().st_size))
        for count, (name, size, content) in enumerate(_members(archive)):
            target = scratch / _safe(archive, name)
            if count >= MAX_MEMBERS or size > left:
                raise ValueError(f"{archive} unpacks to more than {MAX_MEMBERS:,} files or an absurd size; refused")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                left -= _copy(archive, name, content, file, left)
        for entry in scratch.iterdir():
            if (folder / entry.name).is_dir():
                shutil.rmtree(folder / entry.name)
            os.replace(entry, folder / entry.name)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
            FileExistsError, NotImplementedError, RuntimeError) as error:  # fmt: skip
        raise ValueError(f"{archive} cannot be unpacked ({error}); remove it and download it again") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not keep:
        archive.unlink()


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, declared size and content of every file; folders follow from the names."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise ValueError(f"{archive}: {member.filename} is a link; refused")
                _safe(archive, member.filename)
                if not member.is_dir():
                    with file.open(member) as content:
                        yield member.filename, member.file_size, content
        return
    with tarfile.open(archive) as file:
        for member in file:
            _safe(archive, member.name)
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive}: {member.name} is a link or a device; refused")
            if member.isfile():
                yield member.name, member.size, file.extractfile(member)


def _safe(archive: Path, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise ValueError(f"{archive}: {name!r} would be written outside its folder; refused")
    return name


def _copy(archive: Path, name: str, content: IO[bytes], file: IO[bytes], limit: int) -> int:
    """Copies a member and counts: what an archive declares need not be so."""
    written = 0
    while piece := content.read(PIECE):
        written += len(piece)
        if written > limit:
            raise ValueError(f"{archive}: {name} unpacks to an absurd size; refused")
        file.write(piece)
    return written
