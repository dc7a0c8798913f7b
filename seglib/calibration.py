"""Whether probabilities mean what they say, and what the cut at 0.5 costs; from a run's counts per threshold."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib.metrics import BINS, THRESHOLD
from seglib.runs import Run


def reliability(run: Run) -> pd.DataFrame:
    """One row per class and bin of probability: class, low, high, pixels, confidence, frequency.

    Of the test set's pixels whose probability lies in [low, high): how many there are, their mean probability, and the
    share of them that is of the class; the last bin holds 1 too. NaN in an empty bin. Several classes: each against
    the rest.
    """
    parts = []
    for name, rows in run.thresholds.groupby("class", sort=False):
        above = np.column_stack([rows["tp"] + rows["fp"], rows["tp"], rows["probability"]]).astype(float)
        pixels, truth, total = (above - np.vstack([above[1:], np.zeros(3)])).T
        low = rows["threshold"].to_numpy()
        filled = np.where(pixels > 0, pixels, np.nan)
        parts.append(pd.DataFrame({
            "class": name, "low": low, "high": low + 1 / BINS, "pixels": pixels.astype(int),
            "confidence": total / filled, "frequency": truth / filled,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def error(run: Run) -> float:
    """Expected calibration error: mean |confidence − frequency| over the test set's pixels, then over classes.

    In [0, 1], 20 bins of equal width. Most pixels are easy background, so that it is small for most models: compare
    it between models, and look at the curve. Pooled over pixels; no interval over images. Of several classes it is
    the class-wise error, each class against the rest (not that of the largest probability, Guo's). The run's outputs
    must be probabilities (`are_probabilities`).
    Reference: Naeini et al., AAAI 2015; Guo et al., 2017, arXiv:1706.04599.
    """
    bins = reliability(run)
    gaps = (bins["confidence"] - bins["frequency"]).abs().fillna(0) * bins["pixels"]
    sums = pd.DataFrame({"class": bins["class"], "gap": gaps, "pixels": bins["pixels"]}).groupby("class").sum()
    return float((sums["gap"] / sums["pixels"]).mean())


def against_threshold(run: Run) -> pd.DataFrame:
    """One row per threshold: Dice per image and Dice of the whole set there, means over classes."""
    frame = run.thresholds
    whole = 2 * frame["tp"] / (2 * frame["tp"] + frame["fp"] + frame["fn"])
    found = frame.assign(**{"per image": frame["dice"], "whole set": whole})
    return found.groupby("threshold")[["per image", "whole set"]].mean().reset_index()


AT_HALF, BEST = f"Dice at {THRESHOLD}", f"best of {BINS} thresholds"


def table(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """One row per model, means over seeds: calibration error, its lowest and highest seed, and Dice over thresholds.

    Columns: calibration error, lowest seed, highest seed, Dice at 0.5, best of 20 thresholds, at threshold. Of several
    classes the error is named `class-wise calibration error`, and the Dice `Dice at 0.5, mean of class means`: each
    class over the images on which it counts, then the classes; the headline averages classes within each image first.
    The last two are what choosing among the 20 thresholds i / 20 on the test set would have given; nothing uses it.
    A class of multiclass is predicted by the largest probability: there the Dice columns are NaN. With `target_scale:
    values` the outputs are no probabilities but regressions, clamped: there the errors are NaN. The floors have no
    probabilities, and no row here.
    """
    rows = {label: _row(group) for label, group in groups.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(group: Sequence[Run]) -> dict[str, float]:
    run = group[0]
    several = run.config.task != "binary"
    errors = [error(run) for run in group] if are_probabilities(run) else [np.nan]
    curve = sum(against_threshold(run).set_index("threshold")["per image"] for run in group) / len(group)
    if run.config.task == "multiclass":
        curve = curve * np.nan
    return {
        f"{'class-wise ' if several else ''}calibration error": np.mean(errors),
        "lowest seed": min(errors),
        "highest seed": max(errors),
        f"{AT_HALF}{', mean of class means' if several else ''}": curve[THRESHOLD],
        BEST: curve.max(),
        "at threshold": curve.idxmax() if curve.notna().any() else np.nan,
    }


def are_probabilities(run: Run) -> bool:
    """Whether the run's outputs are probabilities, not report 5's regressed values."""
    return run.config.loss_options.get("target_scale") != "values"
