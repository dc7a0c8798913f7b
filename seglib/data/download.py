"""Fetching files: resumed where a transfer broke, verified, through a proxy or from a mirror if one is named.

The proxy is HTTPS_PROXY or HTTP_PROXY, as everywhere. SEGLIB_MIRROR names a server (or folder of one) to ask instead
of the official hosts: `https://host/a/b.zip` is then had from `$SEGLIB_MIRROR/host/a/b.zip`.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from seglib import atomic, digest
from seglib.progress import Count

RECORD = "downloads.sha256"  # beside the data, in sha256sum's format: what the first download gave
ATTEMPTS = 5  # of a transfer that breaks; each goes on where the last one ended
PATIENCE = (10, 60)  # seconds to connect, and without a single byte
WAIT = 0.5  # seconds before the second attempt, doubled before each further one
PIECE = 1 << 16  # bytes; at most this much of a broken transfer is fetched twice


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its official address and, where its host publishes one, its checksum (`md5:…` or `sha256:…`)."""

    url: str
    checksum: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


def fetch(remote: Remote, folder: Path) -> Path:
    """The file in that folder, downloaded unless it is there, and verified either way.

    Without a published checksum the sha256 of the first download is recorded beside it, and later ones must equal it.
    Raises: ValueError for a wrong checksum; OSError (requests' errors are ones) if the file cannot be had.
    """
    recorded = _recorded(folder)
    path = _retrieved(remote, folder, recorded, quiet=False)
    if not remote.checksum and remote.name not in recorded:
        record(folder, {remote.name: digest.of_file(path)})
    return path


def fetch_all(remotes: Sequence[Remote], folder: Path, title: str) -> None:
    """Many small files, eight at a time; otherwise as `fetch`. What came before an error is kept and recorded."""
    recorded, progress, fresh = _recorded(folder), Count(title, len(remotes), "files"), {}

    def one(remote: Remote) -> None:
        path = _retrieved(remote, folder, recorded, quiet=True)
        fresh[remote.name] = digest.of_file(path)
        progress.add()

    try:
        with ThreadPoolExecutor(8) as pool:
            try:
                list(pool.map(one, remotes))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        record(folder, fresh)
        progress.finish()


def _retrieved(remote: Remote, folder: Path, recorded: dict[str, str], quiet: bool) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    known = remote.checksum or (f"sha256:{recorded[remote.name]}" if remote.name in recorded else None)
    url = mirrored(remote.url)
    try:
        return Path(pooch.retrieve(url, known, remote.name, folder, downloader=_Resuming(folder, quiet)))
    except ValueError as error:
        if "hash" not in str(error):
            raise
        origin = "its host publishes" if remote.checksum else f"{folder / RECORD} recorded at the first download"
        raise ValueError(
            f"{url} is not the file expected: its checksum is not the one that {origin} ({known}). "
            "It was not kept; try again, and if it stays so, ask whoever changed it"
        ) from None


def record(folder: Path, digests: dict[str, str]) -> None:
    """Adds file names and their sha256 to what is recorded of a folder's downloads."""
    lines = sorted((_recorded(folder) | digests).items())
    atomic.write(folder / RECORD, "".join(f"{value}  {name}\n" for name, value in lines))


def mirrored(url: str) -> str:
    """The address to ask for a file: the official one, or the same under SEGLIB_MIRROR."""
    mirror = os.environ.get("SEGLIB_MIRROR", "").rstrip("/")
    return f"{mirror}/{urlsplit(url).netloc}{urlsplit(url).path}" if mirror else url


@contextlib.contextmanager
def unreachable(files: str, folder: Path) -> Iterator[None]:
    """Turns whatever keeps a download from being had into one message that says which files to put where."""
    from requests.exceptions import RequestException

    try:
        yield
    except RequestException as error:
        raise FileNotFoundError(
            f"the data could not be downloaded ({_reason(error)}). Put {files} into {folder} by hand, or set "
            "HTTPS_PROXY to a proxy or SEGLIB_MIRROR to a mirror, and call this again"
        ) from error


def _reason(error: Exception) -> str:
    text = re.sub(r"<[^>]*>:? ?", "", str(error))
    url = getattr(getattr(error, "request", None), "url", None)
    return f"{url}: {text}" if url and url not in text else text


def _recorded(folder: Path) -> dict[str, str]:
    file = folder / RECORD
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {name: value for value, name in (line.split("  ", 1) for line in lines)}


class _Resuming:
    """A downloader for pooch (which verifies and moves into place) that keeps what came and goes on from there."""

    def __init__(self, folder: Path, quiet: bool):
        self.folder, self.quiet = folder, quiet

    def __call__(self, url: str, output_file: str, pooch, check_only: bool = False) -> None:
        import requests

        part = self.folder / f"{url.rsplit('/', 1)[-1]}.part"
        for attempt in range(ATTEMPTS):
            try:
                self._transfer(url, part)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(WAIT * 2**attempt)
        os.replace(part, output_file)

    def _transfer(self, url: str, part: Path) -> None:
        """Fetches what is missing of a file, or all of it if the host's file is another one by now."""
        import requests

        version = part.with_suffix(".version")  # the ETag or date of the file that the part is of
        done = part.stat().st_size if part.is_file() and version.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers |= {"Range": f"bytes={done}-", "If-Range": version.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == 416:  # there is nothing after what is here
                part.unlink()
                return self._transfer(url, part)
            answer.raise_for_status()
            done = done if answer.status_code == 206 else 0  # a host that cannot resume sends all of it
            length = int(answer.headers.get("Content-Length", 0))
            if tag := _version(answer.headers):
                version.write_text(tag)
            progress = None if self.quiet else Count(url.rsplit("/", 1)[-1], done + length, "bytes")
            with open(part, "ab" if done else "wb") as file:
                for piece in answer.iter_content(PIECE):
                    file.write(piece)
                    if progress:
                        progress.add(len(piece))
            if progress:
                progress.finish()
        if length and part.stat().st_size != done + length:
            raise requests.ConnectionError(f"{url} ended after {part.stat().st_size:,} of {done + length:,} bytes")
        version.unlink(missing_ok=True)


def _version(headers) -> str:
    """What a host says to tell one version of a file from another; a weak ETag does not."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
