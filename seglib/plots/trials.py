"""Charts of trials: the learning curves of each in a panel of its own, all panels on the same axes."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seglib.plots.style import WIDTH, colours, wrapped

HEADROOM = 2.5  # what lies above this multiple of the typical trial's usual loss is cut off
LINES = {"val_loss": "-", "train_loss": "--"}


def trials(curves: Mapping[str, Sequence], columns: int = 3) -> Figure | None:
    """Training and validation loss of every trial, one line per seed; chosen epochs are ringed, a cross is where a run
    diverged. All panels share their axes; one that leaves them says how far it goes. Nothing is drawn of none.

    Args: curves — label → one per seed, each with history (a frame with epoch, train_loss, val_loss), chosen (the
        epoch, or None) and diverged (the epoch, or None), as `trials.curves` gives them.
    """
    if not curves:
        return None
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    size = (WIDTH * max(columns, 2) / 3, 0.7 + 2.3 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    top, last = _ceiling(curves), max(_end(curve) for group in curves.values() for curve in group)
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    for axis, (label, group) in zip(axes.flat, curves.items(), strict=False):
        _panel(axis, group, colours(list(curves))[label], top)
        axis.set_title(wrapped(label, 34 if columns > 1 else 60), fontsize=9)
        axis.tick_params(labelbottom=True)
    axes[0, 0].set(xlim=(0.5, last + 0.5), ylim=(0, top))
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("loss (mean per image)")
    for axis in axes.flat[max(len(curves) - columns, 0) : len(curves)]:
        axis.set_xlabel("epoch")
    figure.legend(handles=_legend(curves), loc="outside lower center", ncols=4)
    return figure


def _panel(axis, group: Sequence, colour: str, top: float) -> None:
    for i, curve in enumerate(group):
        history, alpha = curve.history, 1 if i == 0 else 0.45
        for column, dash in LINES.items():
            marker = "." if len(history) == 1 else None  # a line of one epoch would not show
            axis.plot(history["epoch"], history[column], dash, color=colour, alpha=alpha, lw=1.6, marker=marker)
        if curve.chosen:
            loss = history["val_loss"].iloc[curve.chosen - 1]
            axis.plot(curve.chosen, min(loss, top), "o", mfc="none", mec="black", ms=8, clip_on=False)
        if curve.diverged is not None:
            axis.plot(max(curve.diverged, 1), 0.95 * top, "x", color="black", ms=8, mew=2)
    notes = [_divergence(group)] if any(curve.diverged is not None for curve in group) else []
    highest = max((_highest(curve) for curve in group), default=0)
    if highest > top:
        notes.append(f"cut off: goes up to {highest:.3g}")
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
    axis.text(0.97, 0.88, "\n".join(notes), transform=axis.transAxes, ha="right", va="top", fontsize=8, bbox=box)


def _divergence(group: Sequence) -> str:
    """`diverged in epochs 5, 7 (2 of 3 seeds)`; epoch 0 is a run that could not start, since one before it diverged."""
    found = [curve.diverged for curve in group if curve.diverged is not None]
    epochs = sorted(set(found) - {0})
    when = f"in epoch{'s' if len(epochs) > 1 else ''} {', '.join(map(str, epochs))}" if epochs else "before it began"
    return f"diverged {when}{f' ({len(found)} of {len(group)} seeds)' if len(group) > 1 else ''}"


def _ceiling(curves: Mapping[str, Sequence]) -> float:
    """The top of the axes: all losses of the usual size, with some room; a spike in a few epochs is not usual."""
    usual = [high for group in curves.values() if (high := max(map(_usual, group))) > 0]
    if not usual:
        return 1.0
    limit = HEADROOM * statistics.median_low(usual)
    losses = [curve.history[[*LINES]].to_numpy(dtype=float).ravel() for group in curves.values() for curve in group]
    return 1.08 * max(loss for loss in np.concatenate(losses) if loss <= limit)


def _usual(curve) -> float:
    """The highest training loss, or what three validation losses in four do not exceed."""
    if not len(curve.history):
        return 0.0
    high = np.nanquantile(curve.history["val_loss"].to_numpy(dtype=float), 0.75, method="lower")
    return float(np.nanmax([high, curve.history["train_loss"].max()]))


def _highest(curve) -> float:
    losses = curve.history[[*LINES]].to_numpy(dtype=float)
    return float(np.nanmax(losses)) if losses.size else 0.0


def _end(curve) -> int:
    return max(len(curve.history), curve.diverged or 1)


def _legend(curves: Mapping[str, Sequence]) -> list[Line2D]:
    every = [curve for group in curves.values() for curve in group]
    handles = [
        Line2D([], [], color="black", ls=LINES["train_loss"], label="training"),
        Line2D([], [], color="black", ls=LINES["val_loss"], label="validation"),
    ]
    if any(curve.chosen for curve in every):
        handles.append(Line2D([], [], color="black", marker="o", mfc="none", ms=8, ls="", label="chosen epoch"))
    if any(curve.diverged is not None for curve in every):
        handles.append(Line2D([], [], color="black", marker="x", ms=8, mew=2, ls="", label="diverged"))
    return handles
