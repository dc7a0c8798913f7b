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
NOTHING = "nothing_"  # prefix of the columns that all background would have; they are made here, not stored
FLOORS = {"all background": NOTHING, "mean training mask": "mean_mask_"}  # what knows nothing of the image at hand


def per_image(run: Run, border: str | None = None, prefix: str = "") -> pd.DataFrame:
    """One row per test image: image, the count scores and boundary scores (means over classes), and loss.

    Args: border — a rule for the pets' border, instead of the one trained on; prefix — of the columns: those of FLOORS
        score a floor, `band_` report 5's decoding (without boundary scores), and these have no loss.
    """
    frame, classes = _frame(run, border, prefix), _classes(run)
    found = _counts(frame, classes, prefix)
    result = {"image": frame["image"].to_numpy()[:: len(classes)]}
    result |= {name: mean_of_defined(_ratio(name, found, run.config.task), 1) for name in RATIOS}
    for name, column in BOUNDARY.items():
        if prefix + column in frame:
            result[name] = mean_of_defined(frame[prefix + column].to_numpy(float).reshape(-1, len(classes)), 1)
    if not prefix:
        result["loss"] = frame["loss"].to_numpy(float)[:: len(classes)]
    return pd.DataFrame(result)


def values(run: Run, score: str) -> np.ndarray:
    """One score per test image under the headline's rules, (n,)."""
    if score not in NAMES:
        raise ValueError(names.unknown("score", score, NAMES))
    return per_image(run)["loss" if score == "test loss" else score].to_numpy()


def floor(run: Run, which: str, border: str | None = None) -> pd.DataFrame:
    """As `per_image`, without loss, for one of the FLOORS: what knows nothing of the image at hand.

    All background's boundary scores are NaN for multiclass, where the background has a boundary of its own.
    """
    return per_image(run, border, FLOORS[which])


def whole_set(run: Run, score: str, prefix: str = "", border: str | None = None) -> np.ndarray:
    """A score of the pooled counts of all test images, mean over classes, linearised: (n,)."""
    return _pooled(_counts(_frame(run, border, prefix), _classes(run), prefix), score, run.config.task)


def per_class(run: Run, score: str, prefix: str = "") -> pd.DataFrame:
    """One row per test image, one column per class; a class not counted there is NaN. `prefix` as in `per_image`."""
    frame, classes = _frame(run, None, prefix), _classes(run)
    if score in BOUNDARY:
        found = frame[prefix + BOUNDARY[score]].to_numpy(float).reshape(-1, len(classes))
    else:
        found = _ratio(score, _counts(frame, classes, prefix), run.config.task)
    return pd.DataFrame(found, columns=classes)


def foreground(run: Run, score: str, pooled: bool = False, prefix: str = "") -> np.ndarray:
    """Any foreground class against any, as report 2 scores: a wrong class counts as right. (n,), pooled or not.

    Args: prefix — of a floor; NaN for the mean mask of planes, whose union is not stored.
    """
    frame = _frame(run, None, prefix)
    if prefix in FLOORS.values():
        frame = frame.assign(**_any_class(frame, prefix, run.config.task))
    one = frame[frame["class"] == _classes(run)[0]]
    counts = _counts(one, ["foreground"], f"{prefix}foreground_")
    return _pooled(counts, score, "binary") if pooled else _ratio(score, counts, "binary")[:, 0]


def per_batch(run: Run, score: str, batch_size: int, prefix: str = "") -> np.ndarray:
    """Report 4's average: pooled within batches of test images in their order, then a mean over batches. (n,).

    Its value depends on the batch size and on the order of the images, which no score should.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    counts = _counts(_frame(run, None, prefix), _classes(run), prefix)
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


def _frame(run: Run, border: str | None, prefix: str = "") -> pd.DataFrame:
    """The run's table under a border rule, with the columns of all background where the prefix asks for them."""
    frame = run.images
    if border is not None:
        every = run.images_by_border
        if border not in set(every["border"]):
            raise ValueError(names.unknown("border rule", border, every["border"].unique()))
        frame = every[every["border"] == border]
    return frame.assign(**_nothing(frame, run)) if prefix == NOTHING else frame


def _nothing(frame: pd.DataFrame, run: Run) -> dict[str, np.ndarray]:
    """The columns of a prediction without any foreground: of multiclass, class 0 is predicted everywhere."""
    truth = (frame["tp"] + frame["fn"]).to_numpy()
    claimed = (frame["class"] == _classes(run)[0]).to_numpy() & (run.config.task == "multiclass")
    found = {
        "tp": np.where(claimed, truth, 0),
        "fp": np.where(claimed, frame["pixels"] - truth, 0),
        "fn": np.where(claimed, 0, truth),
    }
    empty = {"binary": (1.0, 0.0, 1.0), "planes": (np.nan,) * 3, "multiclass": (np.nan,) * 3}[run.config.task]
    missed = (np.nan,) * 3 if run.config.task == "multiclass" else (0.0, _diagonal(run), 0.0)  # rules of `boundary`
    columns = zip(BOUNDARY.values(), empty, missed, strict=True)
    found |= {name: np.where(truth == 0, of_empty, of_missed) for name, of_empty, of_missed in columns}
    return {NOTHING + name: column for name, column in found.items()}


def _any_class(frame: pd.DataFrame, prefix: str, task: str) -> dict[str, np.ndarray]:
    """A floor's counts of any foreground; of multiclass, those of the background turned round, on its rows."""
    truth = frame["foreground_tp"] + frame["foreground_fn"]
    tp, fp, fn = (frame[prefix + name] for name in ("tp", "fp", "fn"))
    if task == "multiclass":
        found = frame["pixels"] - tp - fp - fn, fn, fp
    elif prefix == NOTHING:
        found = 0 * truth, 0 * truth, truth
    else:
        found = (tp, fp, fn) if task == "binary" else (np.nan * tp,) * 3
    return {f"{prefix}foreground_{name}": column for name, column in zip(("tp", "fp", "fn"), found, strict=True)}


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
    return mean_of_defined(np.where(np.isnan(total), np.nan, total + shift), 1)


def mean_of_defined(found: np.ndarray, axis: int) -> np.ndarray:
    """The mean over what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(found)
    count = defined.sum(axis)
    total = np.where(defined, found, 0).sum(axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
