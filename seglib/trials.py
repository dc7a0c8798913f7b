"""Trials of a sweep, and changes switched on and off: what their validation says, and what diverged.

Trials are judged by validation alone; the test images judge what was trained with the winners.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from seglib import pairwise, reported, rows, tables
from seglib.divergence import Diverged, Outcomes, finished
from seglib.runs import Run

_, fluctuation = reported.RUN_MEASURES["fluctuation"]
_, best_loss = reported.RUN_MEASURES["best val loss"]
UNKNOWN = float("nan")


class Curve(NamedTuple):
    """What a chart of one training needs: the history, the epoch that was chosen, the epoch in which it diverged."""

    history: pd.DataFrame
    chosen: int | None
    diverged: int | None


def curves(outcomes: Outcomes) -> dict[str, list[Curve]]:
    """Label → one curve per seed."""
    return {
        label: [
            Curve(run.history, None, run.epoch) if isinstance(run, Diverged)
            else Curve(run.history, run.meta["best_epoch"], None)
            for run in group
        ]
        for label, group in outcomes.items()
    }  # fmt: skip


def table(outcomes: Outcomes) -> pd.DataFrame:
    """One row per trial, from training and validation alone.

    Columns: best val loss (the lowest of all epochs, mean over seeds), lowest seed, highest seed, its epoch (one per
    seed), fluctuation (mean absolute change of the validation loss between epochs over the second half, mean over
    seeds), diverged (no, or in which epoch under which seed). NaN where a seed diverged: its best loss is not known.
    """
    found = {}
    for label, group in outcomes.items():
        kept = [run for run in group if isinstance(run, Run)]
        whole = len(kept) == len(group)
        losses = [best_loss(run) for run in kept] if whole else [UNKNOWN]
        found[label] = {
            "best val loss": np.mean(losses), "lowest seed": min(losses), "highest seed": max(losses),
            "its epoch": ", ".join(str(run.history["val_loss"].argmin() + 1) for run in kept) if whole else "–",
            "fluctuation": np.mean([fluctuation(run) for run in kept]) if whole else UNKNOWN,
            "diverged": divergences(group) or "no",
        }  # fmt: skip
    return pd.DataFrame.from_dict(found, orient="index")


def show(study: str, name: str, outcomes: Outcomes):
    """The table for a page; none of no trial, of which `hyperparameters.of_winner` tells."""
    if not outcomes:
        return None
    found = table(outcomes)
    return tables.show(found, study, name, {"best val loss": [best(found)]} if best(found) else None)


def winner(outcomes: Outcomes, field: str) -> dict[str, float]:
    """The field's value with the lowest best validation loss, mean over seeds, as {field: value}; {} without trials.

    A value under which any seed diverged cannot win. Raises: ValueError if that leaves none.
    """
    if not outcomes:
        return {}
    label = best(table(outcomes))
    if label is None:
        raise ValueError(f"every trial of {', '.join(outcomes)} diverged: {all_divergences(outcomes)}; try lower rates")
    return {field: getattr(outcomes[label][0].config, field)}


def best(found: pd.DataFrame) -> str | None:
    losses = found["best val loss"].dropna()
    return None if losses.empty else losses.idxmin()


def reused(trials: Outcomes, again: Outcomes) -> dict[str, list[Run]]:
    """Trials as reported (one model reused) with those from fresh weights beside them, as `faults.show` takes them."""
    right, wrong = finished(trials), finished(again)
    pairs = [(rows.corrected(label), label) for label in wrong if rows.corrected(label) in right]
    return {label: right[label] for label, _ in pairs} | {label: wrong[label] for _, label in pairs}


def against(outcomes: Outcomes, bases: Mapping[str, str], score: str = "Dice") -> pd.DataFrame:
    """One row per change against the row that it changes, all of one family of tests.

    Args: outcomes — changed rows and their bases; bases — changed row → its base.
    Columns: those of `pairwise.table`; fluctuation (of the changed row's validation loss) and `without the change`
        (of its base's), means over seeds. A row of which a seed diverged is not among them.
    """
    kept = finished(outcomes)
    pairs = [(label, base) for label, base in bases.items() if label in kept and base in kept]
    found = pairwise.table({label: kept[label] for pair in pairs for label in pair}, score, pairs)
    for column, side in {"fluctuation": "model", "without the change": "baseline"}.items():
        found[column] = [np.mean([fluctuation(run) for run in kept[label]]) for label in found[side]]
    return found


def divergences(group: Sequence[Run | Diverged]) -> str:
    """`in epoch 3 (seed 0)` for each run that diverged; empty if none did."""
    return ", ".join(
        f"in epoch {run.epoch} (seed {run.config.seed})" if run.epoch
        else f"before its start, in the run that it goes on from (seed {run.config.seed})"
        for run in group if isinstance(run, Diverged)
    )  # fmt: skip


def all_divergences(outcomes: Outcomes) -> str:
    return "; ".join(f"{label}, {gone}" for label, group in outcomes.items() if (gone := divergences(group)))
