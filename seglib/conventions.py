"""What a score's convention changes: the same counts scored in the ways of this workbook and of the reports."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import scores, stats, variance
from seglib.runs import Run

Groups = Mapping[str, Sequence[Run]]
REPORT_4_BATCH = 20  # images: what report 4 averaged its unet's Dice over


def table(groups: Groups, score: str = "Dice", batch_size: int = REPORT_4_BATCH) -> pd.DataFrame:
    """One row per model and floor, one column per convention, each an `Estimate`.

    per image: the headline, a mean over test images. whole set: of the pooled counts, so that large objects weigh more.
    any foreground: whatever its class (report 2), per image and whole set; only where there are several classes.
    per batch of k: report 4's average. report 5's bands: only for outputs in `target_scale: values`; a floor has none.
    """
    first = next(iter(groups.values()))[0]
    ways = {
        "per image": lambda run, prefix: scores.per_image(run, prefix=prefix)[score].to_numpy(),
        "whole set": lambda run, prefix: scores.whole_set(run, score, prefix),
    }
    if first.config.task != "binary":
        ways["any foreground, per image"] = lambda run, prefix: scores.foreground(run, score, prefix=prefix)
        ways["any foreground, whole set"] = lambda run, prefix: scores.foreground(run, score, True, prefix)
    ways[f"per batch of {batch_size}"] = lambda run, prefix: scores.per_batch(run, score, batch_size, prefix)
    if any(not run.images["band_tp"].isna().all() for group in groups.values() for run in group):
        ways["report 5's bands"] = lambda run, prefix: scores.bands(run, score) * (np.nan if prefix else 1)
    return _estimates(groups, score, ways)


def borders(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per model and floor, one column per rule for the annotators' border (`Estimate`, per image).

    The predictions are the same, made by models trained under their own rule; the floor of the mean mask too is that
    of the rule trained on. Empty where masks have no border.
    """
    rules = [rule for rule in next(iter(groups.values()))[0].images_by_border["border"].unique() if rule]
    ways = {
        f"border as {r}": lambda run, prefix, r=r: scores.per_image(run, r, prefix)[score].to_numpy() for r in rules
    }
    return _estimates(groups, score, ways) if ways else pd.DataFrame(index=list(groups))


def per_class(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per model and floor, one column per class (`Estimate`, over the images on which the class counts) and
    their mean.

    The mean over classes here is that of the columns; the headline averages classes within each image first. A class
    that counts on no image (absent from every truth and prediction) is NaN and left out of the mean, in each seed for
    itself; `left out` names the classes that some seed left out, and is a column only where there are any.
    """
    classes = list(next(iter(groups.values()))[0].images["class"].unique())
    ways = {c: lambda run, prefix, c=c: scores.per_class(run, score, prefix)[c].to_numpy() for c in classes}
    found = _estimates(groups, score, ways)
    if len(classes) > 1:
        every = [(run, [variance.complete(m) for m in matrices]) for run, matrices in _matrices(groups, ways)]
        found["mean over classes"] = [
            stats.estimate(scores.mean_of_defined(np.stack(matrices), 0), scores.span(run, score))
            for run, matrices in every
        ]
        absent = [
            ", ".join(name for name, m in zip(classes, matrices, strict=True) if np.isnan(m).any())
            for _, matrices in every
        ]
        if any(absent):
            found["left out"] = absent
    return found


def _matrices(groups: Groups, ways: Mapping):
    """For each model and floor one of its runs, and a matrix (seeds, images) for each way."""
    for group in groups.values():
        yield group[0], [scores.matrix(group, lambda run, way=way: way(run, "")) for way in ways.values()]
    first = next(iter(groups.values()))[0]
    for prefix in scores.FLOORS.values():
        yield first, [way(first, prefix)[None] for way in ways.values()]


def _estimates(groups: Groups, score: str, ways: Mapping) -> pd.DataFrame:
    """One row per model and floor, one column per way; a way gives (n,) from a run and the columns' prefix."""
    rows = [
        [stats.estimate(matrix, scores.span(run, score)) for matrix in matrices]
        for run, matrices in _matrices(groups, ways)
    ]
    return pd.DataFrame(rows, index=[*groups, *scores.FLOORS], columns=list(ways))
