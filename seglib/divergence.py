"""Runs whose loss ceased to be finite. In a sweep that is a result as well: it is kept, shown, and not trained again.

The event log of such a run ends with `failed` and a FloatingPointError. Everything that changes a result is in the run
key, so the same key would diverge again; delete the run's folder to have it tried anew.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seglib import checkpoint, experiment, rows, runs, words
from seglib.config import Config
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


def try_rows(wanted: rows.Rows, seeds: Sequence[int]) -> Outcomes:
    """As `experiment.run_rows`, but a run that diverges stands in its place as `Diverged` and stops nothing."""
    configs = [config.with_(seed=seed) for config in wanted.values() for seed in seeds]
    left = sum(known(config) is None for config in configs)
    outcomes = []
    for config in configs:
        found = known(config)
        if found is None:
            left -= 1
            found = _run(config, left)
        outcomes.append(found)
    return {label: outcomes[i * len(seeds) : (i + 1) * len(seeds)] for i, label in enumerate(wanted)}


def finished(outcomes: Outcomes) -> dict[str, list[Run]]:
    """The rows all of whose seeds finished: the seeds that are left of another row would flatter it."""
    return {label: group for label, group in outcomes.items() if not any(isinstance(run, Diverged) for run in group)}


def run_rows(wanted: rows.Rows, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """As `experiment.run_rows`: the runs whose loss stayed finite; a label without any is left out.

    Raises: FloatingPointError if no run at all is left.
    """
    outcomes = try_rows(wanted, seeds)
    found = {label: [run for run in group if not isinstance(run, Diverged)] for label, group in outcomes.items()}
    found = {label: group for label, group in found.items() if group}
    if outcomes and not found:
        raise FloatingPointError(f"the loss of every run of {', '.join(wanted)} stopped being finite; use a lower lr")
    return found


def of_missing(wanted: rows.Rows, seeds: Sequence[int], groups: Mapping[str, Sequence[Run]]):
    """Which runs there are not because their loss stopped being finite; nothing if all are there."""
    lost = {label: len(seeds) - len(groups.get(label, [])) for label in wanted}
    named = [f"{label} ({count} of {len(seeds)} seeds)" for label, count in lost.items() if count]
    text = "**Diverged**: the loss stopped being finite, so that there is no run to score, under "
    return words.markdown(f"{text}{'; '.join(named)}." if named else "")


def _run(config: Config, runs_after: int) -> Run | Diverged:
    try:
        return experiment.run(config, runs_after=runs_after)
    except FloatingPointError:
        found = known(config) or _diverged(config)
        checkpoint.remove(runs.folder(found.key))
        return found


def known(config: Config) -> Run | Diverged | None:
    """What the store has of a config: its finished run, that it diverged, or nothing that is settled."""
    config = experiment.resolve(config)
    key = runs.key_of(experiment.inputs(config))
    if found := runs.find(key):
        return found
    before = experiment.start(config)
    if isinstance(before, Config) and isinstance(known(before), Diverged):
        return Diverged(key, config, 0)
    errors = [str(event.get("error")) for event in _events(key)]
    return _diverged(config) if errors and errors[-1].startswith("FloatingPointError") else None


def _diverged(config: Config) -> Diverged:
    """What the event log tells of a run that diverged."""
    config = experiment.resolve(config)
    key = runs.key_of(experiment.inputs(config))
    epochs = {event["epoch"]: event for event in _events(key) if event["event"] == "epoch"}  # twice if gone on with
    told = [{name: value for name, value in event.items() if name not in NOT_HISTORY} for event in epochs.values()]
    return Diverged(key, config, max(epochs, default=0) + 1, tuple(told))


NOT_HISTORY = ("event", "time", "train_seconds", "val_seconds")  # of an epoch's event


def _events(key: str) -> list[dict]:
    """What the run told; a line that a crash cut short is left out."""
    file, events = runs.folder(key) / "events.jsonl", []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return events
