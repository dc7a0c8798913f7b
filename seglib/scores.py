"""Every score of every test image, from a run's per-image table: per image, whole set, per class, per batch.

All functions give one value per test image, whose mean is the score, so that every score gets its interval and its
paired test in one way (`stats.estimate`, `stats.compare`). A whole-set score is no mean over images; its values are
its linearisation: score + (numerator − score · denominator) / mean denominator (the delta method).

Empty masks: where truth and prediction are both empty, IoU, Dice, precision and recall are 1 for a binary image and
not counted for a class of several; where one alone is empty they are 0. Specificity is not counted where every pixel
is of the class. A class of several is scored one against the rest; per image, the mean is over classes that count.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from seglib import metrics, names, stats
from seglib.runs import Run

Ratio = Callable[..., tuple[np.ndarray, np.ndarray]]
RATIOS: dict[str, Ratio] = {  # numerator and denominator
    "IoU": lambda tp, fp, fn, tn: (tp, tp + fp + fn),
    "Dice": lambda tp, fp, fn, tn: (2 * tp, 2 * tp + fp + fn),
    "precision": lambda tp, fp, fn, tn: (tp, tp + fp),
    "recall": lambda tp, fp, fn, tn: (tp, tp + fn),
    "specificity": lambda tp, fp, fn, tn: (tn, tn + fp),
    "accuracy": lambda tp, fp, fn, tn: (tp + tn, tp + tn + fp + fn),
}
BOUNDARY = {"boundary IoU": "boundary_iou", "HD95": "hausdorff_95", "surface Dice": "surface_dice"}
NAMES = (*RATIOS, *BOUNDARY, "test loss")
LOWER_IS_BETTER = {"HD95", "test loss", "train loss", "val loss"}
FLOORS = ("all background", "mean training mask")


def per_image(run: Run, border: str | None = None, prefix: str = "") -> pd.DataFrame:
    """One row per test image: image, the count scores and boundary scores (means over classes), and loss.

    Args: border — a rule for the pets' border, instead of the one trained on; prefix — of the columns: `mean_mask_`
        scores that floor, `band_` report 5's decoding (without boundary scores), and these have no loss.
    """
    frame, classes = _frame(run, border), _classes(run)
    found = _counts(frame, classes, prefix)
    result = {"image": frame["image"].to_numpy()[:: len(classes)]}
    result |= {name: _mean(_ratio(name, found, run.config.task), 1) for name in RATIOS}
    for name, column in BOUNDARY.items():
        if prefix + column in frame:
            result[name] = _mean(frame[prefix + column].to_numpy(float).reshape(-1, len(classes)), 1)
    if not prefix:
        result["loss"] = frame["loss"].to_numpy(float)[:: len(classes)]
    return pd.DataFrame(result)


def values(run: Run, score: str) -> np.ndarray:
    """One score per test image under the headline's rules, (n,)."""
    if score not in NAMES:
        raise ValueError(names.unknown("score", score, NAMES))
    return per_image(run)["loss" if score == "test loss" else score].to_numpy()


def floor(run: Run, which: str) -> pd.DataFrame:
    """As `per_image`, without loss, for one of the FLOORS: what knows nothing of the image at hand.

    All background's boundary scores are NaN for several classes, where the background has a boundary of its own.
    """
    if which == "mean training mask":
        return per_image(run, prefix="mean_mask_")
    classes = _classes(run)
    tp, fp, fn, tn = np.moveaxis(_counts(run.images, classes), -1, 0)
    truth, rest, background = tp + fn, fp + tn, np.array(classes) == "background"
    nothing = np.zeros_like(truth)
    pairs = ((truth, nothing), (rest, nothing), (nothing, truth), (nothing, rest))
    counts = np.stack([np.where(background, *pair) for pair in pairs], axis=-1)
    found = {name: _mean(_ratio(name, counts, run.config.task), 1) for name in RATIOS}
    rules = {"boundary IoU": (1.0, 0.0), "HD95": (0.0, _diagonal(run)), "surface Dice": (1.0, 0.0)}  # of `boundary`
    for name, (empty, missed) in rules.items():
        found[name] = np.where(truth[:, 0] == 0, empty, missed) if run.config.task == "binary" else np.nan
    return pd.DataFrame({"image": run.images["image"].to_numpy()[:: len(classes)], **found})


def whole_set(run: Run, score: str, prefix: str = "", border: str | None = None) -> np.ndarray:
    """A score of the pooled counts of all test images, mean over classes, linearised: (n,)."""
    return _pooled(_counts(_frame(run, border), _classes(run), prefix), score, run.config.task)


def per_class(run: Run, score: str) -> pd.DataFrame:
    """One row per test image, one column per class; a class not counted there is NaN."""
    classes = _classes(run)
    if score in BOUNDARY:
        found = run.images[BOUNDARY[score]].to_numpy(float).reshape(-1, len(classes))
    else:
        found = _ratio(score, _counts(run.images, classes), run.config.task)
    return pd.DataFrame(found, columns=classes)


def foreground(run: Run, score: str, pooled: bool = False) -> np.ndarray:
    """Any foreground class against any, as report 2 scores: a wrong class counts as right. (n,), pooled or not."""
    one = run.images[run.images["class"] == _classes(run)[0]]
    counts = _counts(one, ["foreground"], "foreground_")
    return _pooled(counts, score, "binary") if pooled else _ratio(score, counts, "binary")[:, 0]


def per_batch(run: Run, score: str, batch_size: int) -> np.ndarray:
    """Report 4's average: pooled within batches of test images in their order, then a mean over batches. (n,).

    Its value depends on the batch size and on the order of the images, which no score should.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    counts = _counts(run.images, _classes(run))
    starts = range(0, len(counts), batch_size)
    parts = [_pooled(counts[i : i + batch_size], score, run.config.task) for i in starts]
    weights = [len(counts) / (len(parts) * len(part)) for part in parts]  # a last, smaller batch counts as one
    return np.concatenate([weight * part for weight, part in zip(weights, parts, strict=True)])


def bands(run: Run, score: str) -> np.ndarray:
    """A score per image under report 5's bands; NaN where the run's outputs are not in `target_scale: values`."""
    return per_image(run, prefix="band_")[score].to_numpy()


def matrix(group: Sequence[Run], of: Callable[[Run], np.ndarray] | str) -> np.ndarray:
    """One row of values per run (seeds of one config), one column per test image.

    Args: of — a score's name, or what gives a run's values.
    Raises: ValueError if the runs did not test on the same images.
    """
    if len({(run.config.dataset, tuple(run.images["image"])) for run in group}) != 1:
        raise ValueError(f"runs {', '.join(run.key for run in group)} were not tested on the same images")
    return np.stack([values(run, of) if isinstance(of, str) else of(run) for run in group])


def span(run: Run, score: str) -> tuple[float, float]:
    """The values that a score can have on a run's images."""
    if score == "HD95":
        return 0.0, _diagonal(run)
    return (0.0, math.inf) if score in LOWER_IS_BETTER else (0.0, 1.0)


def _diagonal(run: Run) -> float:
    return math.sqrt(2) * run.config.image_size


def estimate(group: Sequence[Run], score: str, of: Callable[[Run], np.ndarray] | None = None) -> stats.Estimate:
    """The mean of a score over test images and seeds, with its interval; `of` gives its values if they are others."""
    return stats.estimate(matrix(group, of or score), span(group[0], score))


def compare(first: Sequence[Run], second: Sequence[Run], score: str) -> stats.Comparison:
    """The paired difference of two models in a score, first minus second."""
    return stats.compare(matrix(first, score), matrix(second, score), span(first[0], score))


def _frame(run: Run, border: str | None) -> pd.DataFrame:
    if border is None:
        return run.images
    every = run.images_by_border
    if border not in set(every["border"]):
        raise ValueError(names.unknown("border rule", border, every["border"].unique()))
    return every[every["border"] == border]


def _classes(run: Run) -> list[str]:
    return list(run.images["class"].unique())


def _counts(frame: pd.DataFrame, classes: Sequence[str], prefix: str = "") -> np.ndarray:
    """tp, fp, fn, tn as float64, (n, C, 4)."""
    counts = frame[[prefix + name for name in ("tp", "fp", "fn")]].to_numpy(float)
    rest = frame["pixels"].to_numpy(float) - counts.sum(1)
    return np.column_stack([counts, rest]).reshape(-1, len(classes), 4)


def _ratio(score: str, counts: np.ndarray, task: str) -> np.ndarray:
    """A score element by element, (…) from counts (…, 4), with the rule for what is empty."""
    tp, fp, fn, _ = columns = np.moveaxis(counts, -1, 0)
    numerator, denominator = RATIOS[score](*columns)
    undefined = np.nan
    if score in ("IoU", "Dice", "precision", "recall"):
        undefined = np.where(tp + fp + fn == 0, metrics.empty_score(task), 0.0)
    found = np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
    return np.where(denominator == 0, undefined, found)


def _pooled(counts: np.ndarray, score: str, task: str) -> np.ndarray:
    total = _ratio(score, counts.sum(0), task)  # (C,)
    numerator, denominator = RATIOS[score](*np.moveaxis(counts, -1, 0))
    mean = denominator.mean(0)
    shift = np.divide(numerator - total * denominator, mean, out=np.zeros_like(numerator), where=mean > 0)
    return _mean(np.where(np.isnan(total), np.nan, total + shift), 1)


def _mean(found: np.ndarray, axis: int) -> np.ndarray:
    """The mean over what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(found)
    count = defined.sum(axis)
    total = np.where(defined, found, 0).sum(axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
