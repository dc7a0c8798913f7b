"""Locks that end with their holder: one process at a time makes a report, trains a key or writes the index."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from seglib import paths

POLL_SECONDS = 0.2  # between two attempts
CLOCK = "%Y-%m-%d %H:%M UTC"
UNKNOWN = "another process"  # of a lock whose holder has not said yet who it is


@contextlib.contextmanager
def held(file: Path, tell: Callable[[str], None] = lambda holder: None) -> Iterator[None]:
    """Holds a lock file for this process alone; waits while another has it. The system frees it when the holder ends.

    Args: tell — called with the holder whenever that is another one, and with "" when the waiting is over.
    Raises: OSError if the file cannot be written or its file system has no locks.
    """
    told = ""
    while True:
        with _opened(file) as lock:
            while not _is_taken(lock, file):
                if (holder := _read(lock)) != told:
                    told = holder
                    tell(holder)
                time.sleep(POLL_SECONDS)
            if not os.fstat(lock).st_nlink:  # removed while it was waited for: who comes next locks another file
                continue
            if told:
                tell("")
            _sign(lock)
            yield
            return


@contextlib.contextmanager
def tried(file: Path) -> Iterator[bool]:
    """As `held`, but does not wait: whether the lock is held now, by this process, or another has it."""
    with _opened(file) as lock:
        if taken := _is_taken(lock, file):
            _sign(lock)
        yield taken


def holder(file: Path) -> str:
    """Who holds a lock file, in words; nothing if nobody does."""
    if not file.is_file():
        return ""
    with _opened(file) as lock:
        return "" if _is_taken(lock, file) else _read(lock)


def of_report(folder: str) -> Path:
    """The lock file of a report: the one that holds it makes the report."""
    return paths.outputs() / ".locks" / f"report-{folder}"


def of_run(key: str) -> Path:
    """The lock file of a run: the one that holds it trains or removes the run."""
    return paths.runs() / ".locks" / key


def myself() -> str:
    """This process, in words."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int]:
    """A descriptor; not inherited by processes started meanwhile, which would hold the lock after its holder's end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_taken(lock: int, file: Path) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise OSError(
                error.errno,
                f"the file system of {file.parent} has no file locks (flock: {error.strerror}), without which two "
                "processes could train one run; let SEGLIB_OUTPUTS name a folder on a local disk",
            ) from error
        raise
    return True


def _sign(lock: int) -> None:
    """Says in the lock file who has it. A full disk is no reason not to have it."""
    told = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime(CLOCK, time.gmtime())}
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(told).encode(), 0)


def _read(lock: int) -> str:
    try:
        told = json.loads(os.pread(lock, 4096, 0))
        return f"process {told['process']} on {told['host']}, since {told['since']}"
    except (ValueError, KeyError, TypeError):
        return UNKNOWN
