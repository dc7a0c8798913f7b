"""What `make report` shows: one line per notebook, and under it a live line told by the notebook's kernel."""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from seglib.progress import clock

REFRESH = 0.3  # seconds, on a terminal
REPEAT = 30.0  # seconds between two lines where there is no terminal to rewrite a line on


class Terminal:
    """Counts notebooks and shows the one that runs."""

    def __init__(self, notebooks: int, stream=None):
        self.notebooks, self.number = notebooks, 0
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()

    @contextlib.contextmanager
    def notebook(self, title: str):
        """Shows a running notebook; gives the file its kernel appends progress to."""
        self.number += 1
        started, stop = time.monotonic(), threading.Event()
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder) / "progress.jsonl"
            events.touch()
            watcher = threading.Thread(target=self._watch, args=(title, events, started, stop), daemon=True)
            watcher.start()
            try:
                yield events
            finally:
                stop.set()
                watcher.join()
                self._clear()

    def finished(self, title: str, seconds: float, error: str) -> None:
        how = f"FAILED after {clock(seconds)}: {error}" if error else f"done in {clock(seconds)}"
        self._print(f"{self._head(title)} {how}")

    def unchanged(self, title: str) -> None:
        self.number += 1
        self._print(f"{self._head(title)} unchanged")

    def say(self, text: str) -> None:
        self._print(text)

    def skipped(self, title: str, reason: str) -> None:
        self.number += 1
        self._print(f"{self._head(title)} skipped: {reason}")

    def _head(self, title: str) -> str:
        return f"[{self.number}/{self.notebooks}] {title:<26}"

    def _watch(self, title: str, events: Path, started: float, stop: threading.Event) -> None:
        if not self.live:
            self._print(f"{self._head(title)} started")
        while not stop.wait(REFRESH if self.live else REPEAT):
            text = f"{self._head(title)} {clock(time.monotonic() - started)} {_last(events)}"
            if self.live:
                self._clear()
                print(text[: _columns()], end="\r", file=self.stream, flush=True)
            else:
                self._print(text)

    def _clear(self) -> None:
        if self.live:
            print(" " * _columns(), end="\r", file=self.stream, flush=True)

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


def _last(events: Path) -> str:
    """The last line of progress; nothing while it is being written."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return json.loads(events.read_text(encoding="utf-8").splitlines()[-1])
    return ""


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1


def address(path: Path) -> str:
    """A path as a terminal shows it: relative where it lies below the current folder."""
    return os.path.relpath(path) if path.is_relative_to(os.getcwd()) else str(path)


def printable(text: str) -> str:
    """A text on one line: what a terminal would obey, or cannot show, as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
