"""Unpacking archives that a stranger made: nothing outside the folder, no links, nothing absurdly large."""

import gzip
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
MAX_HEADER = 1 << 20  # bytes of a member's longer header, or of what pads the archive's end
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MAX_NAME = 255  # bytes of a file's name that a disk takes
GZIP = b"\x1f\x8b"
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
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FileExistsError,
            NotADirectoryError, NotImplementedError, RuntimeError) as error:  # fmt: skip
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
    with open(archive, "rb") as file:
        mode = "r:gz" if file.read(2) == GZIP else "r:"
    with tarfile.open(archive, mode, tarinfo=_Member) as file:
        for member in file:
            _safe(archive, member.name)
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive}: {member.name} is a link or a device; refused")
            if member.isfile():
                yield member.name, member.size, file.extractfile(member)
        _check_end(file)


class _Member(tarfile.TarInfo):
    """A member whose header is read only if it is of a size that headers have; tarfile reads it whole."""

    def _proc_member(self, file: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(file)


def _check_end(file: tarfile.TarFile) -> None:
    """Raises for an archive that does not end in its mark: at a broken header tarfile stops as if all were read.

    What follows the mark is read too, since gzip's checksum stands behind it.
    """
    file.fileobj.seek(file.offset)
    if file.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a header is broken, or the end is missing")
    if len(file.fileobj.read(MAX_HEADER)) == MAX_HEADER:
        raise tarfile.ReadError("much more follows its end")


def _safe(archive: Path, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise ValueError(f"{archive}: {name!r} would be written outside its folder; refused")
    if len(name) > 8 * MAX_NAME or any(len(os.fsencode(part)) > MAX_NAME for part in path.parts):
        raise ValueError(f"{archive}: {name[:80]!r}… is a longer name than a disk takes; refused")
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
