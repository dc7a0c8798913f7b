"""What each model costs beside what it reaches: sizes and operations counted, speed and memory as measured."""

import json
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from seglib import pairwise, scores, words
from seglib.config import Config
from seglib.escaping import bold
from seglib.models import summary
from seglib.runs import Run, network

OPERATIONS = "multiply-adds (G)"
COLUMNS = ("network", "parameters", "trained", OPERATIONS, "images per second", "seconds per epoch", "memory (MB)")

AXES = {OPERATIONS: "multiply-adds of one image, in 10⁹", "parameters": "parameters"}  # what costs are in charts

Groups = Mapping[str, Sequence[Run]]


def table(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per group of runs (seeds of one config); the index is the label.

    Columns: network; parameters, trained (numbers); multiply-adds (G) (10⁹, of one image's forward pass, counted);
    images per second (of training, augmentation and, where features are kept, their encoding in it), seconds per epoch
    (validation in it), memory (MB) (the peak: a GPU's, or on the CPU the whole process's): measured, means over seeds;
    the score (`Estimate`).
    """
    rows = {
        label: {
            "network": network(group[0].config),
            "parameters": group[0].meta["parameters"]["total"],
            "trained": group[0].meta["parameters"]["trainable"],
            OPERATIONS: multiply_adds(group[0].config, group[0].images["class"].nunique()) / 1e9,
            "images per second": _mean(group, "images_per_second"),
            "seconds per epoch": _mean(group, "seconds_per_epoch"),
            "memory (MB)": _mean(group, "peak_memory_mb"),
            score: scores.estimate(group, score),
        }
        for label, group in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*COLUMNS, score])


def _mean(group: Sequence[Run], name: str) -> float:
    return float(np.mean([run.meta[name] for run in group]))


def multiply_adds(config: Config, num_classes: int) -> float:
    """Of one image's forward pass at the config's size, as torchinfo counts them."""
    return _multiply_adds(
        config.model, json.dumps(config.model_options, sort_keys=True), config.image_size, num_classes
    )


@cache
def _multiply_adds(model: str, options: str, image_size: int, num_classes: int) -> float:
    options = {model: json.loads(options)}
    found = summary.table([model], num_classes=num_classes, image_size=image_size, options=options)
    return 1e9 * found[OPERATIONS][0]


def front(found: pd.DataFrame, cost: str, score: str = "Dice") -> list[str]:
    """The rows of `table` that no other row beats in cost and mean score at once, the cheapest first.

    Of rows that are equal in both, none beats another. A row without a score is not among them.
    """
    means = pd.Series({label: cell.mean for label, cell in found[score].items()}).dropna()
    means = -means if score in scores.LOWER_IS_BETTER else means
    costs = found[cost][means.index]
    beaten = {
        label
        for label in means.index
        if (
            ((costs <= costs[label]) & (means > means[label])) | ((costs < costs[label]) & (means >= means[label]))
        ).any()
    }
    kept = [label for label in means.index if label not in beaten]
    return sorted(kept, key=lambda label: (costs[label], -means[label]))


def of_costs(groups: Groups, score: str = "Dice"):
    """In words: which rows are worth their cost, and the cheapest that is not shown to be worse than the best."""
    found = table(groups, score)
    if found[score].map(lambda cell: np.isnan(cell.mean)).all():
        return words.markdown(f"No model has a {score} on these images.")
    lines = [
        f"- In {cost.removesuffix(' (G)')}, no row that costs as much or less has a better mean {score} than "
        + "; ".join(f"{bold(label)} ({_cost(found, label, cost)}, {found[score][label]})" for label in kept)
        + "."
        for cost, kept in ((cost, front(found, cost, score)) for cost in (OPERATIONS, "parameters"))
    ]
    return words.markdown("\n".join([*lines, *_cheapest_tie(groups, found, score), *_devices(groups)]))


def _cost(found: pd.DataFrame, label: str, cost: str) -> str:
    value = found[cost][label]
    return f"{value:.3g} G" if cost == OPERATIONS else f"{value:,.0f}"


def _cheapest_tie(groups: Groups, found: pd.DataFrame, score: str) -> list[str]:
    """Of the rows not shown to be worse than the best, the one with the fewest multiply-adds, if there is a test."""
    if len(groups) < 2 or np.isnan(scores.estimate(next(iter(groups.values())), score).low):
        return []
    best, *ties = pairwise.leaders(groups, score, pairwise.table(groups, score))
    operations = found[OPERATIONS]
    cheapest = min([best, *ties], key=lambda label: operations[label])
    if operations[cheapest] >= operations[best]:
        fewer = (
            "; every row with fewer multiply-adds is shown to be worse" if (operations < operations[best]).any() else ""
        )
        return [f"- The best mean {score} is that of {bold(best)} ({found[score][best]}){fewer}."]
    share = operations[cheapest] / operations[best]
    return [
        f"- The best mean {score} is that of {bold(best)} ({found[score][best]}); with {100 * share:.0f}\u00a0% of its "
        f"multiply-adds {bold(cheapest)} is not shown to be worse ({found[score][cheapest]})."
    ]


def _devices(groups: Groups) -> list[str]:
    """Where the speeds were measured; rows measured in different places are not to be compared."""
    found = dict.fromkeys(
        f"{run.meta['device']}, {run.config.threads} threads" for group in groups.values() for run in group
    )
    text = f"- Speed and memory were measured on {_listed(list(found))}"
    return [f"{text}, so those of different rows cannot be compared." if len(found) > 1 else f"{text}."]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
