"""What a score's convention changes: the same counts scored in the ways of this workbook and of the reports."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import scores, stats
from seglib.runs import Run

Groups = Mapping[str, Sequence[Run]]
REPORT_4_BATCH = 20  # images: what report 4 averaged its unet's Dice over


def table(groups: Groups, score: str = "Dice", batch_size: int = REPORT_4_BATCH) -> pd.DataFrame:
    """One row per model, one column per convention, each an `Estimate`.

    per image: the headline, a mean over test images. whole set: of the pooled counts, so that large objects weigh more.
    any foreground: whatever its class (report 2), per image and whole set; only where there are several classes.
    per batch of k: report 4's average. report 5's bands: only for outputs in `target_scale: values`.
    """
    first = next(iter(groups.values()))[0]
    ways = {"per image": None, "whole set": lambda run: scores.whole_set(run, score)}
    if first.config.task != "binary":
        ways["any foreground, per image"] = lambda run: scores.foreground(run, score)
        ways["any foreground, whole set"] = lambda run: scores.foreground(run, score, pooled=True)
    ways[f"per batch of {batch_size}"] = lambda run: scores.per_batch(run, score, batch_size)
    if any(not run.images["band_tp"].isna().all() for group in groups.values() for run in group):
        ways["report 5's bands"] = lambda run: scores.bands(run, score)
    return _estimates(groups, score, ways)


def borders(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per model, one column per rule for the annotators' border (`Estimate`, per image).

    The predictions are the same, made by models trained under their own rule. Empty where masks have no border.
    """
    rules = [rule for rule in next(iter(groups.values()))[0].images_by_border["border"].unique() if rule]
    ways = {f"border as {r}": lambda run, r=r: scores.per_image(run, border=r)[score].to_numpy() for r in rules}
    return _estimates(groups, score, ways)


def per_class(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per model, one column per class (`Estimate`, over the images on which the class counts) and their mean.

    The mean over classes here is that of the columns; the headline averages classes within each image first.
    """
    classes = list(next(iter(groups.values()))[0].images["class"].unique())
    ways = {c: lambda run, c=c: scores.per_class(run, score)[c].to_numpy() for c in classes}
    found = _estimates(groups, score, ways)
    if len(classes) > 1:
        found["mean over classes"] = [
            stats.estimate(
                sum(_completed(group, ways[c]) for c in classes) / len(classes), scores.span(group[0], score)
            )
            for group in groups.values()
        ]
    return found


def _completed(group: Sequence[Run], of) -> np.ndarray:
    from seglib.variance import complete

    return complete(scores.matrix(group, of))


def _estimates(groups: Groups, score: str, ways: Mapping) -> pd.DataFrame:
    rows = {
        label: {name: scores.estimate(group, score, way) for name, way in ways.items()}
        for label, group in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(ways))
