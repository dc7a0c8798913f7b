"""Which folders of the run store nothing needs any more, and their removal: never of a run that a process has locked.

A run is used if a report or the list of a notebook in JupyterLab shows it, if a study of params/ asks for it as it
stands, or if a used run starts from it.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seglib import asked, locks, names, params, paths, runs, seal
from seglib.amounts import amount, counted

KEY = re.compile(rf"[0-9a-f]{{{runs.KEY_LENGTH}}}")


@dataclass(frozen=True)
class Entry:
    """One folder of the store."""

    key: str
    what: str  # data, network, regime, seed
    state: str  # finished, damaged or unfinished
    seconds: float  # of training that it holds
    size: int  # bytes
    finished: str = ""  # when
    shown_by: tuple[str, ...] = ()  # reports: study/notebook


def entries() -> list[Entry]:
    """All folders of the store, by key."""
    shown = _shown()
    folders = sorted(folder for folder in paths.runs().glob("*") if folder.is_dir() and KEY.fullmatch(folder.name))
    return [_entry(folder, tuple(sorted(shown.get(folder.name, ())))) for folder in folders]


def unused(found: Iterable[Entry]) -> list[Entry]:
    """Those of the entries that nothing needs.

    Where a study's data are not here, its runs cannot be told from others: then all on such data count as used.
    """
    shown = _with_starts(_shown())
    left = [one for one in found if one.key not in shown]
    needed, unknown = _asked({_dataset(one.key) for one in left})
    needed = _with_starts(needed)
    return [one for one in left if one.key not in needed and _dataset(one.key) not in unknown]


def of_keys(found: Iterable[Entry], keys: Iterable[str]) -> list[Entry]:
    """The entries of these keys. Raises: ValueError for a key that the store does not have."""
    by_key = {one.key: one for one in found}
    for key in keys:
        if key not in by_key:
            raise ValueError(names.unknown("run", key, by_key))
    return [by_key[key] for key in dict.fromkeys(keys)]


def started_from(keys: Iterable[str]) -> dict[str, list[str]]:
    """Key → the stored runs that start from it and are not among the keys."""
    keys, found = set(keys), {}
    for folder in paths.runs().glob("*"):
        before = _inputs(folder.name).get("start_from")
        if before in keys and folder.name not in keys:
            found.setdefault(before, []).append(folder.name)
    return found


def remove(chosen: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Deletes the folders of these runs; those that a process has locked stay. Returns: the removed, the locked."""
    removed, locked = [], []
    for left in paths.runs().glob(".removed-*"):  # by a process that was killed while it deleted
        shutil.rmtree(left, ignore_errors=True)
    for one in chosen:
        with locks.tried(locks.of_run(one.key)) as free:
            if free:
                # out of sight in one step, so that no part of a run is left under its key
                away = paths.runs() / f".removed-{one.key}-{os.getpid()}"
                os.rename(runs.folder(one.key), away)
                shutil.rmtree(away)
            (removed if free else locked).append(one)
    return removed, locked


def _entry(folder: Path, shown_by: tuple[str, ...]) -> Entry:
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    config = _inputs(folder.name).get("config", {})
    what = "{dataset} {image_size} px, {model}, {encoder}, seed {seed}".format_map(_Known(config))
    if not (folder / seal.META).is_file():
        return Entry(folder.name, what, "unfinished", _told_seconds(folder), size, shown_by=shown_by)
    if seal.damaged(folder):
        return Entry(folder.name, what, "damaged", _told_seconds(folder), size, shown_by=shown_by)
    meta = runs.Run(folder).meta
    return Entry(folder.name, what, "finished", meta["seconds"], size, meta["finished"], shown_by)


class _Known(dict):
    """A config of any version: a field that it lacks is shown as such."""

    def __missing__(self, name: str) -> str:
        return f"({name} not known)"


def _told_seconds(folder: Path) -> float:
    """Seconds of training in the epochs that a run told of."""
    told, file = 0.0, folder / "events.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line)
            told = max(told, event.get("train_seconds", 0.0) + event.get("val_seconds", 0.0))
    return told


def _shown() -> dict[str, set[str]]:
    """Key → the pages that show it, of all reports and lists of runs in the outputs folder."""
    found: dict[str, set[str]] = {}
    for file in paths.outputs().glob("*/tables/*.runs.json"):
        study, notebook = file.parent.parent.name, file.name.removesuffix(".runs.json")
        for key in runs.recorded_by(study, notebook):
            found.setdefault(key, set()).add(f"{study}/{notebook}")
    return found


def _asked(datasets: set[str | None]) -> tuple[set[str], set[str]]:
    """The keys on these data that studies ask for; and those of the data of which a study cannot tell what it asks."""
    needed, unknown = set(), set()
    for values in (values for study in params.studies() for values in params.read(study).notebooks.values()):
        if values.get("dataset") in datasets - {None}:
            try:
                needed |= {one.key for one in asked.of(values)}
            except (ValueError, OSError):
                unknown.add(values["dataset"])
    return needed, unknown


def _with_starts(keys: Iterable[str]) -> set[str]:
    """The keys, and those of the runs that these start from."""
    found = set(keys)
    while more := {_inputs(key).get("start_from") for key in found} - found - {None, ""}:
        found |= more
    return found


def _dataset(key: str) -> str | None:
    return _inputs(key).get("config", {}).get("dataset")


def _inputs(key: str) -> dict:
    """What config.json of a run holds; nothing of one that has none or a broken one."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((runs.folder(key) / "config.json").read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def listed(found: Iterable[Entry]) -> Iterator[str]:
    """One line per run, and their sum."""
    found = list(found)
    for one in found:
        shown = f"; shown by {', '.join(one.shown_by)}" if one.shown_by else ""
        when = one.finished if one.state == "finished" else one.state.upper()
        yield f"{one.key}  {one.what}, {one.seconds:.0f} s, {amount(one.size)}, {when}{shown}"
    yield f"{counted(len(found), 'run')}, {_holding(found)}"


def question(chosen: Iterable[Entry]) -> Iterator[str]:
    """What would go with these runs."""
    chosen = list(chosen)
    yield from listed(chosen)
    for page in sorted({page for one in chosen for page in one.shown_by}):
        yield f"still shown by {page}: its next report trains them again"
    for key, others in started_from(one.key for one in chosen).items():
        yield f"{', '.join(others)} started from {key}"


def outcome(removed: list[Entry], locked: list[Entry]) -> Iterator[str]:
    """What was removed, and what was not."""
    yield f"removed {counted(len(removed), 'run')}, {_holding(removed)}"
    for one in locked:
        yield f"kept {one.key}: another process is training it or waits for it"


def _holding(found: Iterable[Entry]) -> str:
    found = list(found)
    return f"{sum(one.seconds for one in found) / 3600:.2f} hours of training, {amount(sum(o.size for o in found))}"
