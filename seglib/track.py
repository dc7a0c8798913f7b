"""Runs shown in trackers: TensorBoard and MLflow read what the store's event logs hold; nothing here needs either.

A tracker is written to when it is asked for, of finished and of unfinished runs, and again whenever a run has grown:
each point is there once, however often that is done.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seglib import paths, runs

TEST = ("Dice", "IoU", "loss")  # of `scores.per_image`


@dataclass(frozen=True)
class Log:
    """What a run told of itself so far."""

    key: str
    label: str  # as tables have it, with its seed
    config: dict  # field → plain value
    epochs: dict[int, dict[str, float]]  # epoch → train_loss, val_loss, val_iou, val_dice and so on
    times: dict[int, float]  # epoch → seconds since 1970 at which it ended
    started: float
    ended: float | None = None  # of a finished run
    status: str = "unfinished"  # or finished, failed, interrupted
    test: dict[str, float] = field(default_factory=dict)  # score → mean over the test images, of a finished run
    facts: dict[str, str] = field(default_factory=dict)  # device, commit, versions, data, note


def read(start: str) -> Log:
    """The log of the run of that key, or of the only one that starts so, finished or not.

    Raises: FileNotFoundError if there is none; ValueError if there are several.
    """
    found = [log for log in _folders(f"{start}*") if start]
    if not found:
        raise FileNotFoundError(f"no run '{start}' with an event log in {paths.runs()}; `seglib runs` lists them")
    if len(found) > 1:
        raise ValueError(f"{len(found)} runs start with '{start}': {', '.join(f.name for f in found)}; say more of it")
    return _log(found[0])


def logs(starts: Sequence[str] = ()) -> list[Log]:
    """The logs of these runs, or of all that the store has. Raises: as `read`."""
    return [read(start) for start in starts] if starts else [_log(folder) for folder in _folders("*")]


def _folders(pattern: str) -> list[Path]:
    found = paths.runs().glob(f"{pattern}/events.jsonl")
    return sorted(file.parent for file in found if (file.parent / "config.json").is_file())


def _log(folder: Path) -> Log:
    from seglib.config import from_mapping

    told = _events(folder / "events.jsonl")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"]
    epochs = [event for event in told if event["event"] == "epoch"]  # after a crash an epoch may be told of twice
    rows = {event["epoch"]: _numbers(event) for event in epochs}
    times = {event["epoch"]: event["time"] for event in epochs}
    log = {
        "key": folder.name, "label": _label(folder, from_mapping(config)), "config": config, "epochs": rows,
        "times": times, "started": told[0]["time"] if told else 0.0,
    }  # fmt: skip
    if run := runs.find(folder.name):
        return Log(**log | _of_finished(run, told, times))
    last = told[-1]["event"] if told else ""
    facts = {name: told[0][name] for name in ("device", "commit", "python", "torch") if told and name in told[0]}
    return Log(**log, status=last if last in ("failed", "interrupted") else "unfinished", facts=facts)


def _of_finished(run: runs.Run, told: Sequence[dict], times: dict[int, float]) -> dict:
    """What only a finished run has: the history as it was stored, and the test scores."""
    from seglib import scores

    ended = max((event["time"] for event in told), default=0.0)
    history = run.history.set_index("epoch")
    means = scores.per_image(run)[list(TEST)].mean()
    meta = run.meta
    return {
        "epochs": {int(epoch): _numbers(row.to_dict()) for epoch, row in history.iterrows()},
        "times": {int(epoch): times.get(int(epoch), ended) for epoch in history.index},
        "ended": ended, "status": "finished", "test": _numbers(means.to_dict()),
        "facts": {name: str(meta[name]) for name in ("device", "commit", "python", "torch", "note", "best_epoch")},
    }  # fmt: skip


def _label(folder: Path, config) -> str:
    return f"{runs.label(config)}, seed {config.seed} ({folder.name})"


def _events(file: Path) -> list[dict]:
    """The lines of an event log; the last one may be cut off while its run goes on."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [event for event in found if isinstance(event, dict) and {"event", "time"} <= event.keys()]


def _numbers(row: dict) -> dict[str, float]:
    """The scores and losses of a row; what was not finite was logged as nothing."""
    others = {"event", "time", "epoch"}
    kept = {name: value for name, value in row.items() if name not in others and not name.endswith("_seconds")}
    return {name: float(value) for name, value in kept.items() if value is not None and value == value}
