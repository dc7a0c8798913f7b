"""A finished run by what a user calls it: its key, the start of its key, or the best of a study."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seglib import names, paths, runs, seal
from seglib.runs import Run

BEST = "best:"  # and a study
BY = {"Dice": "val_dice", "IoU": "val_iou", "loss": "val_loss"}  # score → column of a history
VALIDATION = (  # fields that decide what a run was validated on
    "dataset", "data_folder", "task", "image_size", "val_images", "data_seed", "folds", "fold", "border", "all_objects",
    "overfit",
)  # fmt: skip


class Choice(NamedTuple):
    """A run, and why it is this one; nothing for one that was named by its key."""

    run: Run
    why: str


def run(text: str) -> Run:
    """The run that a text names: a key, a start of one that no other finished run has, or `best:STUDY`.

    Raises: ValueError for a start that several runs have, a damaged run and a study whose runs cannot be ranked;
        FileNotFoundError if there is no such run or study.
    """
    return choose(text).run


def choose(text: str, by: str = "") -> Choice:
    """The run that a text names, and why. Args: by — of a study's best: Dice, IoU or loss, else as `best`.

    Raises: as `run`; ValueError for an unknown score.
    """
    if by and by not in BY:
        raise ValueError(names.unknown("validation score", by, BY))
    return best(text.removeprefix(BEST), BY.get(by, "")) if text.startswith(BEST) else Choice(by_key(text), "")


def title(run: Run) -> str:
    """`e66dace7d0e13072 (munet, from scratch, seed 0; lesions, 64 px)`."""
    config = run.config
    return f"{run.key} ({runs.label(config)}, seed {config.seed}; {config.dataset}, {config.image_size} px)"


def by_key(text: str) -> Run:
    """The finished run of a key or of a unique start of one. Raises as `run`."""
    found = sorted(f.name for f in paths.runs().glob("*") if text and f.name.startswith(text) and f.is_dir())
    finished = [key for key in found if (runs.folder(key) / seal.META).is_file()]
    if text in finished:
        finished = [text]
    if len(finished) > 1:
        raise ValueError(f"'{text}' is the start of {len(finished)} keys: {', '.join(finished[:5])}; give more of it")
    if not finished:
        why = f"run {found[0]} is not finished" if found else f"no finished run has a key that starts with '{text}'"
        raise FileNotFoundError(
            f"{why}, in {paths.runs()}; `seglib runs` lists those that are; for a study's best give best:STUDY"
        )
    if names := seal.damaged(runs.folder(finished[0])):
        raise ValueError(f"run {finished[0]} is damaged ({', '.join(names)}); run its config or notebook again")
    return Run(runs.folder(finished[0]))


def best(study: str, score: str = "") -> Choice:
    """Of the runs of a study's models the one whose kept epoch has the best *validation* score; of equals the first.

    Args: score — val_dice, val_iou or val_loss; else the one that chose the epochs (`select_by`), if all runs share it
        and its values can be compared, else val_dice. The test images choose nothing: a choice by them would make
        their score too good. Runs with report 5's fault (test_in_eval_mode: false) are no candidates: what they make
        of an image depends on the others in its batch; nor are those validated on other images than most (`alike`).
    Raises: FileNotFoundError for a study without recorded runs; ValueError as `alike`, and where runs have no score, or
        losses that cannot be compared.
    """
    candidates = [run for seeds in runs.recorded(study).values() for run in seeds if run.config.test_in_eval_mode]
    group = alike(study, candidates)
    if score == "val_loss" and not _share_a_loss(group):
        raise ValueError(
            f"the runs of study '{study}' have different losses, which rank nothing; choose by Dice or IoU"
        )
    score = score or _score(group)
    values = np.array([validation(run, score) for run in group])
    if np.isnan(values).all():
        raise ValueError(f"no run of study '{study}' has a {score}; name one by its key")
    found = group[np.nanargmin(values) if score == "val_loss" else np.nanargmax(values)]
    why = f"the best of {study} by {score}, {validation(found, score):.4f} at epoch {found.meta['best_epoch']}, of "
    others = len({run.key for run in candidates} - {run.key for run in group})
    why += f"{len({run.key for run in group})} runs (validation, not test)"
    return Choice(found, f"{why}; {others} validated on other images are not ranked" if others else why)


def alike(study: str, group: Sequence[Run]) -> list[Run]:
    """The runs validated on the same images as most of these, or as all: no others can be ranked together.

    Raises: ValueError if as many were validated on others, so that there are no most.
    """
    parts: dict[tuple, list[Run]] = {}
    for run in group:
        parts.setdefault(tuple(getattr(run.config, field) for field in VALIDATION), []).append(run)
    largest, *rest = sorted(parts.values(), key=len, reverse=True) or [[]]
    if rest and len(rest[0]) == len(largest):
        field, *values = next(told for told in zip(VALIDATION, *parts, strict=True) if len(set(told[1:])) > 1)
        raise ValueError(
            f"the runs of study '{study}' were validated on different images ({field} is "
            f"{', '.join(sorted({str(value) for value in values}))}), so that none is the best; name one by its key"
        )
    return largest


def validation(run: Run, score: str) -> float:
    """A column of the history at the epoch that was kept."""
    return float(run.history.iloc[run.meta["best_epoch"] - 1][score])


def _score(group: Sequence[Run]) -> str:
    """What the runs are ranked by: values of different losses cannot be compared."""
    wanted = {run.config.select_by for run in group}
    comparable = {"val_dice", "val_iou"} | ({"val_loss"} if _share_a_loss(group) else set())
    return wanted.pop() if len(wanted) == 1 and wanted <= comparable else "val_dice"


def _share_a_loss(group: Sequence[Run]) -> bool:
    return len({json.dumps([run.config.loss, run.config.loss_options], sort_keys=True) for run in group}) == 1
