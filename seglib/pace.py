"""How long a kind of run takes per image: as stored runs took, as a probe measured, or as another kind's work says."""

import json
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seglib import kinds, runtime
from seglib.features import can_be_kept
from seglib.kinds import Work
from seglib.runs import Run

# Around the middle half of what was measured, for all that differs from one hour to the next. Of the demo on two cores,
# 6.1 min of training, plans said 5.1 to 12 min from probes while others used the machine, 4.5 to 6.6 from stored runs
# (narrower than now: one notebook of five took 3 % more than was said).
STORED, PROBED, EXTRAPOLATED = 1.25, 1.4, 2.0


class Spread(NamedTuple):
    """Seconds: from, about, to."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Pace:
    """What one kind of run takes, in seconds per image (and once per run), and its peak memory."""

    step: Spread  # of training
    encode: Spread  # whose features are kept
    val: Spread
    test: Spread  # with its rows of the tables
    run: Spread  # whatever its images: its operations are counted, its files written
    memory: int  # MB: of the process, or of a GPU's memory
    source: str  # what this was taken from, for the reader
    stored: bool = False  # whether that were whole runs, with all that they hold in memory

    def seconds(self, work: Work) -> Spread:
        """Of one run that does so much."""
        return Spread(*(sum(n * rate[i] for n, rate in zip(work, self.rates(), strict=True)) for i in range(3)))

    def rates(self) -> tuple[Spread, ...]:
        """In the order of `Work`."""
        return self.step, self.encode, self.val, self.test, self.run

    def scaled(self, factor: float, memory: int, source: str) -> "Pace":
        """The pace of a kind that was not measured itself, whose images are `factor` times the work of these."""
        spreads = [
            Spread(rate.low * factor / EXTRAPOLATED, rate.middle * factor, rate.high * factor * EXTRAPOLATED)
            for rate in self.rates()[:-1]
        ]
        return Pace(*spreads, self.run, memory, source)


def spread(samples: Sequence[float], wider: float) -> Spread:
    """The middle half of some measurements, and its borders `wider` apart; nothing measured is no time."""
    if not samples:
        return Spread(0.0, 0.0, 0.0)
    quartiles = statistics.quantiles(samples, method="inclusive") if len(samples) > 1 else [samples[0]] * 3
    return Spread(quartiles[0] / wider, quartiles[1], quartiles[2] * wider)


def of_stored(found: Iterable[Run], wanted: Collection[str]) -> dict[str, Pace]:
    """Of these kinds, the pace of those that were trained on this machine in one go; of several runs, of all epochs."""
    samples: dict[str, list[tuple[dict, int]]] = {}
    for run in found:
        kind = kinds.key(run.config, run.meta["images"]["train"])
        if kind in wanted and run.meta["device"] == runtime.processor(run.config.device) and (parts := _of_run(run)):
            samples.setdefault(kind, []).append((parts, run.meta["peak_memory_mb"]))
    return {kind: _pooled(several) for kind, several in samples.items()}


def _pooled(several: Sequence[tuple[dict, int]]) -> Pace:
    spreads = [spread([s for measured, _ in several for s in measured[part]], STORED) for part in Work._fields]
    count = len(several)
    return Pace(*spreads, max(peak for _, peak in several), f"{count} stored run{'s' * (count > 1)}", stored=True)


def _of_run(run: Run) -> dict[str, list[float]] | None:
    """Seconds per image of each part of the work, epoch by epoch; None of a run that was broken, is too short, or whose
    log, which no seal covers, is not whole.

    Where features are kept, the first epochs (one per view) hold the encoding, and the later ones tell the steps.
    """
    count, config = run.meta["images"], run.config
    first = kinds.views(config) if can_be_kept(config) else 1  # epochs that hold the encoding, or a warm-up
    try:
        events = [json.loads(line) for line in (run.folder / "events.jsonl").read_bytes().splitlines()]
        told = [event for event in events if event["event"] == "epoch"]
        train, val = (_differences([event[f"{part}_seconds"] for event in told]) for part in ("train", "val"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if [event["event"] for event in events] != ["start", *["epoch"] * len(told), "finish"] or len(told) <= first:
        return None
    wall = events[-1]["time"] - events[0]["time"]
    step, later = statistics.median(train[first:]), statistics.median(val[first:])
    encoding = sum(seconds - step for seconds in train[:first]) + val[0] - later
    encoded = kinds.work(config, count).encoded
    return {
        "steps": [seconds / count["train"] for seconds in train[first:]],
        "encoded": [max(encoding, 0) / encoded] if encoded else [],
        "val": [seconds / count["val"] for seconds in val[first:]],
        "runs": [],  # what a run takes once is in its test
        "test": [max(wall - sum(train) - sum(val), 0) / count["test"]],
    }


def _differences(total: Sequence[float]) -> list[float]:
    return [after - before for before, after in zip([0.0, *total], total, strict=False)]


def total(spreads: Iterable[Spread]) -> Spread:
    """Of runs one after another."""
    return Spread(*(sum(part) for part in zip(Spread(0.0, 0.0, 0.0), *spreads, strict=True)))
