"""Charts of probabilities: reliability curves, and Dice against the threshold."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import WIDTH, colours


def reliability(bins: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Reliability curves, one line per model and seed, and how many pixels each bin holds.

    Args: bins — model → one frame per seed, as `calibration.reliability` gives it; classes are pooled.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    tints = colours(list(bins))
    left.plot([0, 1], [0, 1], color="black", lw=1, ls=":", label="as often as it says")
    for model, seeds in bins.items():
        for i, frame in enumerate(seeds):
            sums = _pooled(frame)
            alpha, name = (1, model) if i == 0 else (0.4, None)
            left.plot(sums["confidence"], sums["frequency"], marker=".", color=tints[model], alpha=alpha, label=name)
            share = 100 * sums["pixels"] / sums["pixels"].sum()
            right.step(sums["low"], share, where="post", color=tints[model], alpha=alpha)
    left.set(xlabel="mean predicted probability", ylabel="share of pixels that are of the class", title="Reliability")
    left.set(xlim=(0, 1), ylim=(0, 1))
    right.set(xlabel="predicted probability", ylabel="share of the test pixels (%, logarithmic)", yscale="log")
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_formatter("")
    right.set(title="Pixels per bin", xlim=(0, 1))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """Bins of all classes together."""
    weighted = frame[["confidence", "frequency"]].mul(frame["pixels"], axis=0)
    sums = weighted.assign(low=frame["low"], pixels=frame["pixels"]).groupby("low").sum().reset_index()
    for name in ("confidence", "frequency"):
        sums[name] = sums[name] / sums["pixels"].where(sums["pixels"] > 0)
    return sums


def thresholds(frames: Mapping[str, Sequence[pd.DataFrame]], used: float) -> Figure:
    """Dice against the threshold, per image and whole set, one line per model and seed; the one used is marked.

    Args: frames — model → one frame per seed, as `calibration.against_threshold` gives it; used — the threshold.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    tints = colours(list(frames))
    for axis, way in zip(axes, ("per image", "whole set"), strict=True):
        for model, seeds in frames.items():
            for i, frame in enumerate(seeds):
                first = i == 0
                axis.plot(frame["threshold"], frame[way], color=tints[model], alpha=1 if first else 0.4,
                          label=model if first else None)  # fmt: skip
        axis.axvline(used, color="black", lw=1, ls=":", label=f"used: {used}")
        axis.set(xlabel="threshold on the probability", title=f"Dice, {way}", xlim=(0, 1))
        axis.set_ylim(0, 1)
    axes[0].set_ylabel("Dice on the test images")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
