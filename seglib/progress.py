"""How far a run is, told while it runs: a line that rewrites itself, or events for whoever started the kernel.

A headless report sets SEGLIB_PROGRESS to a file and reads the events from there, so that no progress bar ends up
in a saved notebook. In a terminal and in JupyterLab the line is shown at once.
"""

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable

VARIABLE = "SEGLIB_PROGRESS"
INTERVAL = 0.5  # seconds between two updates


class Progress:
    """Progress of one run of `epochs` epochs; `first` of them were done before, `runs_after` like it follow."""

    def __init__(self, title: str, epochs: int, first: float = 0, runs_after: int = 0):
        self.title, self.epochs, self.first, self.runs_after = title, epochs, first, runs_after
        self.started, self.shown, self.last = time.monotonic(), 0.0, {}
        self.tell = _teller()

    def step(self, epoch: int, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - self.shown >= INTERVAL:
            self.shown = now
            self.tell(line(self.title, epoch, self.epochs, self.last, self._left(epoch + step / steps)))

    def epoch(self, row: dict) -> None:
        self.last = row
        self.tell(line(self.title, row["epoch"], self.epochs, row, self._left(row["epoch"])))

    def finish(self) -> None:
        self.tell("")

    def _left(self, done: float) -> float:
        """Seconds to go, from the pace so far: of this run and of those that follow; NaN before the first step."""
        if done <= self.first:
            return math.nan
        pace = (time.monotonic() - self.started) / (done - self.first)
        return pace * (self.epochs - done + self.runs_after * self.epochs)


def line(title: str, epoch: int, epochs: int, row: dict, seconds_left: float) -> str:
    """One line of at most some 100 characters."""
    scores = f" · val loss {row['val_loss']:.3f} · val Dice {row['val_dice']:.3f}" if row else ""
    left = "" if math.isnan(seconds_left) else f" · {clock(seconds_left)} left"
    return f"{title} · epoch {epoch}/{epochs}{left}{scores}"


def clock(seconds: float) -> str:
    """75 → `1:15`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _teller() -> Callable[[str], None]:
    if path := os.environ.get(VARIABLE):
        return lambda text: text and _append(path, text)
    return _rewrite if sys.stdout.isatty() or "ipykernel" in sys.modules else lambda text: None


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(text) + "\n")


def _rewrite(text: str) -> None:
    print(f"\r{text:<110}" if text else f"\r{'':<110}\r", end="", flush=True)


class Count:
    """Progress of one long job of `total` steps (images, bytes), told from any of its threads."""

    def __init__(self, title: str, total: int, unit: str):
        self.title, self.total, self.unit = title, total, unit
        self.done, self.started, self.shown = 0, time.monotonic(), time.monotonic()
        self.tell, self.lock = _teller(), threading.Lock()

    def add(self, steps: int = 1) -> None:
        with self.lock:
            self.done += steps
            now = time.monotonic()
            if now - self.shown >= INTERVAL:
                self.shown = now
                left = (now - self.started) / self.done * max(self.total - self.done, 0)
                self.tell(f"{self.title} · {self.amount(self.done)} of {self.amount(self.total)} · {clock(left)} left")

    def amount(self, steps: int) -> str:
        return f"{steps / 1e6:.1f} MB" if self.unit == "bytes" else f"{steps:,} {self.unit}"

    def finish(self) -> None:
        self.tell("")
