"""Runs whose loss ceased to be finite. In a sweep that is a result as well: it is kept, shown, and not trained again.

The event log of such a run ends with `failed` and a FloatingPointError. Everything that changes a result is in the run
key, so the same key would diverge again; delete the run's folder to have it tried anew.
"""

import contextlib
import json
from dataclasses import dataclass

from seglib import checkpoint, experiment, runs
from seglib.config import Config
from seglib.rows import Rows
from seglib.runs import Run

EPOCH_COLUMNS = ("epoch", "train_loss", "val_loss", "val_iou", "val_dice")  # of the history, at least


@dataclass(frozen=True)
class Diverged:
    """What a run told until its training or validation loss was not finite.

    epoch: in which that was, counted from 1; 0 if the run that it was to start from had diverged already. told: the
    rows of the epochs before.
    """

    key: str
    config: Config
    epoch: int
    told: tuple[dict, ...] = ()

    @property
    def history(self):
        """As `Run.history`, of the epochs before."""
        import pandas as pd

        return pd.DataFrame(self.told, columns=None if self.told else EPOCH_COLUMNS)


Outcomes = dict[str, list[Run | Diverged]]


def run_rows(rows: Rows, seeds: list[int]) -> Outcomes:
    """As `experiment.run_rows`, but a run that diverges stands in its place as `Diverged` and stops nothing."""
    configs = [config.with_(seed=seed) for config in rows.values() for seed in seeds]
    left = sum(_known(config) is None for config in configs)
    outcomes = []
    for config in configs:
        found = _known(config)
        if found is None:
            left -= 1
            found = _run(config, left)
        outcomes.append(found)
    return {label: outcomes[i * len(seeds) : (i + 1) * len(seeds)] for i, label in enumerate(rows)}


def finished(outcomes: Outcomes) -> dict[str, list[Run]]:
    """The rows all of whose seeds finished: the seeds that are left of another row would flatter it."""
    return {label: group for label, group in outcomes.items() if not any(isinstance(run, Diverged) for run in group)}


def _run(config: Config, runs_after: int) -> Run | Diverged:
    try:
        return experiment.run(config, runs_after)
    except FloatingPointError:
        found = _known(config)
        if found is None:  # no run of the store said it
            raise
        checkpoint.remove(runs.folder(found.key))
        return found


def _known(config: Config) -> Run | Diverged | None:
    """What the store has of a config: its finished run, that it diverged, or nothing that is settled."""
    config = experiment.resolve(config)
    key = runs.key_of(experiment.inputs(config))
    if found := runs.find(key):
        return found
    before = experiment.start(config)
    if isinstance(before, Config) and isinstance(_known(before), Diverged):
        return Diverged(key, config, 0)
    events = _events(key)
    if not events or not str(events[-1].get("error")).startswith("FloatingPointError"):
        return None
    epochs = {event["epoch"]: event for event in events if event["event"] == "epoch"}  # told twice if gone on with
    rows = [{name: value for name, value in event.items() if name not in NOT_HISTORY} for event in epochs.values()]
    return Diverged(key, config, max(epochs, default=0) + 1, tuple(rows))


NOT_HISTORY = ("event", "time", "train_seconds", "val_seconds")  # of an epoch's event


def _events(key: str) -> list[dict]:
    """What the run told; a line that a crash cut short is left out."""
    file, events = runs.folder(key) / "events.jsonl", []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return events
