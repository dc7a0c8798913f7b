"""Charts of probabilities: reliability curves, and Dice against the threshold."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import FEW, GREY, SMALLEST, WIDTH, colours, dashes, ink, label_ends, wrapped

Frames = Mapping[str, Sequence[pd.DataFrame]]


def reliability(bins: Frames) -> Figure | None:
    """Reliability curves, a line per model and seed, and how many pixels each bin holds; says so if there is none.

    More than four models have an axis each, with the others in grey behind, and no chart of the pixels.

    Args: bins — model → one frame per seed, as `calibration.reliability` gives it; classes are pooled.
    """
    if not bins:
        return print("no model's outputs are probabilities")
    pooled = {model: [_pooled(frame) for frame in seeds] for model, seeds in bins.items()}
    if len(bins) > FEW:

        def draw(axis, frame, **look):
            axis.plot(frame["confidence"], frame["frequency"], **look)

        figure = _apart(pooled, draw, "mean predicted probability", "share of pixels that are of the class")
        for axis in figure.axes[: len(bins)]:
            axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
        return figure
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    tints, styles = colours(list(bins)), dashes(list(bins))
    left.plot([0, 1], [0, 1], color="black", lw=1, ls=":", label="as often as it says")
    for model, seeds in pooled.items():
        for i, sums in enumerate(seeds):
            look = {"color": tints[model], "alpha": 1 if i == 0 else 0.4, "lw": 1.6 if i == 0 else 0.8}
            left.plot(sums["confidence"], sums["frequency"], marker=".", ls=styles[model], **look,
                      label=model if i == 0 else None)  # fmt: skip
            share = 100 * sums["pixels"] / sums["pixels"].sum()
            right.step(sums["low"], share, where="post", **look)
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


def thresholds(frames: Frames, used: float) -> Figure:
    """Dice against the threshold, per image and whole set, a line per model and seed; the one used is marked.

    More than four models have an axis each, with Dice per image alone, and the others in grey behind.

    Args: frames — model → one frame per seed, as `calibration.against_threshold` gives it; used — the threshold.
    """
    if len(frames) > FEW:

        def draw(axis, frame, **look):
            axis.plot(frame["threshold"], frame["per image"], **look)

        figure = _apart(frames, draw, "threshold on the probability", "Dice per image")
        for axis in figure.axes[: len(frames)]:
            axis.axvline(used, color="black", lw=0.8, ls=":")
        return figure
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    tints, styles = colours(list(frames)), dashes(list(frames))
    for axis, way in zip(axes, ("per image", "whole set"), strict=True):
        for model, seeds in frames.items():
            for i, frame in enumerate(seeds):
                axis.plot(frame["threshold"], frame[way], color=tints[model], ls=styles[model],
                          alpha=1 if i == 0 else 0.4, lw=1.6 if i == 0 else 0.8)  # fmt: skip
        axis.axvline(used, color="black", lw=1, ls=":")
        axis.text(used, 0.02, f" used: {used}", fontsize=8)
        axis.set(xlabel="threshold on the probability", title=f"Dice, {way}", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("Dice on the test images")
    ends = {model: (seeds[0]["threshold"].iloc[-1], seeds[0][way].iloc[-1]) for model, seeds in frames.items()}
    label_ends(axes[1], ends, tints)
    return figure


def _apart(frames: Frames, draw: Callable, xlabel: str, ylabel: str) -> Figure:
    """Small multiples from 0 to 1: each model's seeds in its colour, the first seeds of the others in grey."""
    columns = min(len(frames), 5)
    rows = -(-len(frames) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.75 * rows + 0.6), sharex=True, sharey=True,
                                squeeze=False)  # fmt: skip
    tints = colours(list(frames))
    for axis in axes.flat[len(frames) :]:
        axis.set_visible(False)
    for axis, (model, seeds) in zip(axes.flat, frames.items(), strict=False):
        for other in frames.values():
            draw(axis, other[0], color=GREY, lw=0.5, alpha=0.6)
        for frame in seeds:
            draw(axis, frame, color=tints[model], lw=1.4)
        axis.set_title(wrapped(model, 20), fontsize=SMALLEST, color=ink(tints[model]))
        axis.set(xlim=(0, 1), ylim=(0, 1), xticks=np.linspace(0, 1, 3), yticks=np.linspace(0, 1, 3))
        axis.tick_params(labelsize=SMALLEST)
    figure.supxlabel(xlabel, fontsize=9)
    figure.supylabel(ylabel, fontsize=9)
    return figure
