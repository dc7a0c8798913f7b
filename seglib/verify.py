"""`make verify`: some of a study's recorded runs trained again beside the store, and compared with what it holds."""

import contextlib
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglib import experiment, job, kinds, likeness, runs, seal, space
from seglib.amounts import counted, duration
from seglib.params import Study
from seglib.runs import Run
from seglib.space import Need

EQUAL, WITHIN, DIFFERENT, DAMAGED = "equal", "within tolerance", "DIFFERS", "DAMAGED"
NOT_VERIFIABLE = "not verifiable"
WRONG = {DIFFERENT, DAMAGED}
SAMPLE = "3"  # runs trained again where nothing else is asked for


@dataclass(frozen=True)
class Verdict:
    """What was found of one run."""

    key: str
    label: str
    verdict: str
    seed: int | None = None
    equal: str = ""  # which of its files have the same bytes
    largest: str = ""  # difference, and in which file
    then: float = math.nan  # seconds of its training
    now: float = math.nan
    why: str = ""


def study(wanted: Study, sample: str = SAMPLE, tell: Callable[[str], None] = lambda text: None) -> Iterator[Verdict]:
    """One verdict after another: first of what cannot be verified, then of each run that is trained again.

    Args: sample — how many: a number, a share such as `10%`, or `all`; tell — is told what will be trained.
    Raises: FileNotFoundError if the study has recorded nothing; ValueError for a sample that is none of these.
    """
    labels = recorded(wanted)
    whole = []
    for key, label in labels.items():
        found = _unverifiable(key, label)
        if found:
            yield found
        else:
            whole.append(Run(runs.folder(key)))
    again = chosen(whole, size_of(sample, len(whole)))
    took = sum(run.meta["seconds"] for run in again)
    tell(f"training {len(again)} of {counted(len(labels), 'run')} again; they took {duration(took, took)} when stored")
    for run in again:
        yield _verified(run, labels[run.key])


def recorded(wanted: Study) -> dict[str, str]:
    """Key → label of all runs that the study's notebooks have recorded."""
    found = {}
    for notebook in wanted.notebooks:
        for key, label in runs.recorded_by(wanted.folder_name, notebook).items():
            found.setdefault(key, label)
    if not found:
        raise FileNotFoundError(f"study '{wanted.folder_name}' has no recorded runs; run its report first")
    return found


def size_of(sample: str, count: int) -> int:
    """How many of so many runs a sample is: `3`, `10%` (rounded up) or `all`."""
    number = sample.removesuffix("%")
    if sample == "all":
        return count
    if not number.isdecimal() or int(number) == 0 or (sample != number and int(number) > 100):
        raise ValueError(f"sample is '{sample}', expected a number of runs such as 3, a share such as 10%, or all")
    return math.ceil(count * int(number) / 100) if sample != number else min(int(number), count)


def chosen(found: Sequence[Run], count: int) -> list[Run]:
    """So many of the runs, the same each time: by their keys, which are hashes, one of each kind before a second."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(found, key=lambda run: run.key):
        groups.setdefault(kinds.key(run.config, run.meta["images"]["train"]), []).append(run)
    turns = sorted((turn, run.key, run) for group in groups.values() for turn, run in enumerate(group))
    return [run for _, _, run in turns[:count]]


def _unverifiable(key: str, label: str) -> Verdict | None:
    """Why a run cannot be compared: it is not as it was stored, or this code would not train it; else nothing."""
    if names := seal.damaged(runs.folder(key), weights=True):
        return Verdict(key, label, DAMAGED, why=f"not as they were stored: {', '.join(names)}")
    stored = json.loads((runs.folder(key) / "config.json").read_text(encoding="utf-8"))
    if runs.key_of(stored) != key:
        return Verdict(key, label, DAMAGED, why="config.json is not that of this key")
    try:
        now = experiment.inputs(experiment.resolve(Run(runs.folder(key)).config))
    except (ValueError, OSError) as error:
        return Verdict(key, label, NOT_VERIFIABLE, why=f"not with this code, data and machine: {error}")
    if changed := [part for part in stored | now if stored.get(part) != now.get(part)]:
        return Verdict(key, label, NOT_VERIFIABLE, why=f"not with this code: changed since: {', '.join(changed)}")
    if now["start_from"] and not runs.find(now["start_from"]):
        return Verdict(key, label, NOT_VERIFIABLE, why=f"run {now['start_from']}, which it starts from, is gone")
    return None


def _verified(run: Run, label: str) -> Verdict:
    """Trains a run again, in a folder that goes when it was compared."""
    with tempfile.TemporaryDirectory(prefix="seglib-verify-") as scratch:
        needs = Need(Path(scratch), space.of_run(run.config) + space.of_states(run.config), "a run trained again")
        space.check([needs])
        again = _trained_again(run, Path(scratch))
        gaps = likeness.differences(run, again)
        same = [name for name, gap in gaps.items() if gap == 0.0]
        worst = max(gaps, key=lambda name: (name not in same, math.isnan(gaps[name]), gaps[name]))
        verdict, why = EQUAL, ""
        if len(same) < len(gaps):
            verdict, why = _judged(run, again)
        return Verdict(
            run.key, label, verdict, run.config.seed, f"{len(same)} of {len(gaps)} files",
            f"{gaps[worst]:.2g} in {worst}" if worst not in same else "none",
            run.meta["seconds"], again.meta["seconds"], why,
        )  # fmt: skip


def _trained_again(run: Run, scratch: Path) -> Run:
    config = experiment.resolve(run.config)
    wanted = experiment.inputs(config)
    before = wanted["start_from"]
    dataset, model = experiment.begin(config, before)
    with _outputs(scratch):
        return job.carry_out(config, run.key, wanted, dataset, model)


@contextlib.contextmanager
def _outputs(folder: Path) -> Iterator[None]:
    """Has this process write its runs to another folder."""
    before = os.environ.get("SEGLIB_OUTPUTS")
    os.environ["SEGLIB_OUTPUTS"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("SEGLIB_OUTPUTS")
        if before is not None:
            os.environ["SEGLIB_OUTPUTS"] = before


def _judged(run: Run, again: Run) -> tuple[str, str]:
    """Of runs whose bytes differ: the verdict, and why."""
    then, now = run.meta.get("machine", "not recorded"), again.meta["machine"]
    if not run.config.deterministic and run.config.device != "cpu":
        how = "deterministic: false promises no bytes"
    elif then not in (now, "not recorded"):
        how = f"stored by another machine ({then}; here {now})"
    else:
        return DIFFERENT, "the same machine should give the same bytes"
    beyond = likeness.beyond_tolerance(run, again)
    listed = ", ".join(f"{name} by {gap:.2g}" for name, gap in beyond.items())
    return (DIFFERENT, f"{how}, but beyond what that explains: {listed}") if beyond else (WITHIN, how)


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as text, one line each, and why under those that need it."""
    import pandas as pd

    if not verdicts:
        return ""
    rows = [
        {
            "key": one.key, "seed": "–" if one.seed is None else one.seed, "equal": one.equal or "–",
            "largest difference": one.largest or "–", "s then": _seconds(one.then), "s now": _seconds(one.now),
            "verdict": one.verdict, "row": one.label,
        } for one in verdicts
    ]  # fmt: skip
    text = pd.DataFrame(rows).to_string(index=False, justify="left", max_colwidth=None)
    return "\n".join([text, *(f"{one.key}: {one.why}" for one in verdicts if one.why)])


def is_right(verdicts: Sequence[Verdict]) -> bool:
    """Whether some run was compared, and none differs or is damaged."""
    found = {one.verdict for one in verdicts}
    return bool(found & {EQUAL, WITHIN}) and not found & WRONG


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many runs have which verdict."""
    counts = Counter(one.verdict for one in verdicts)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    nothing = "" if counts.keys() - {NOT_VERIFIABLE, DAMAGED} else "; so nothing was compared"
    return f"{counted(len(verdicts), 'run')}: {told}{nothing}"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"
