"""Charts of Segment Anything: the prompts it is given, and what moving them costs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.overlay import class_legend
from seglib.plots.style import GREY, PALETTE, WIDTH, bare, class_colours, colours, label_ends, wrapped

SWARM = 10  # points of a class, at most; more are a grid


def prompts(
    images, columns: Mapping[str, tuple[Sequence, Sequence, Sequence]], titles: Sequence[str], names: Sequence[str]
) -> Figure:
    """Rows of images, a column per source of prompts; outlines and prompts in the colour of their class.

    Args: images (N, 3, S, S) uint8; columns — source → per image: the masks that the prompts are of (K, S, S) bool,
        points per class (n, 2), boxes per class (n, 4), each list empty where there are none; names — of the classes.
    """
    side = (WIDTH - 1.2) / len(columns)
    figure, axes = plt.subplots(len(images), len(columns), figsize=(WIDTH, side * len(images) + 0.7), squeeze=False)
    tints = class_colours(tuple(names))
    for axis, source in zip(axes[0], columns, strict=True):
        axis.set_title(wrapped(source, 20), fontsize=8)
    for n, row in enumerate(axes):
        row[0].set_ylabel(titles[n], fontsize=7, rotation=0, ha="right", va="center")
        for axis, (masks, points, boxes) in zip(row, columns.values(), strict=True):
            axis.imshow(np.asarray(images[n]).transpose(1, 2, 0).mean(-1), cmap="gray", vmin=0, vmax=255)
            _outline(axis, masks[n], tints)
            _mark(axis, points[n], tints)
            _frame(axis, boxes[n], tints)
    bare(axes)
    if len(names) > 1:
        class_legend(figure, tints)
    return figure


def _outline(axis, masks: np.ndarray, tints: Mapping[str, str]) -> None:
    for mask, tint in zip(masks, tints.values(), strict=True):
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=[tint], linewidths=0.7, alpha=0.9)


def _mark(axis, points: Sequence[np.ndarray], tints: Mapping[str, str]) -> None:
    for found, tint in zip(points, tints.values(), strict=False):
        if len(found) > SWARM:
            axis.scatter(*(found.T - 0.5), s=2, color="white", lw=0)
        elif len(found):  # a pixel's centre is drawn at its number
            axis.scatter(*(found.T - 0.5), s=36, color=tint, marker="o", edgecolor="white", lw=0.8, zorder=3)


def _frame(axis, boxes: Sequence[np.ndarray], tints: Mapping[str, str]) -> None:
    for found, tint in zip(boxes, tints.values(), strict=False):
        for left, top, right, bottom in found - 0.5:
            look = {"fill": False, "ec": tint, "lw": 1.2, "clip_on": False}
            axis.add_patch(plt.Rectangle((left, top), right - left, bottom - top, **look))


def jitter(table: pd.DataFrame, best: str, level: float) -> Figure:
    """IoU against how far the sides of the true box are moved, one line per checkpoint, bands of 95 %.

    Args: table — as `sam.table.jitter` gives it; best, level — our best model and its IoU, which has no prompt.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    tints, ends = checkpoint_tints(table["name"].unique()), {}
    axis.axhline(level, color="black", lw=1, ls=":")
    for name, part in table.groupby("name", sort=False):
        x, cells = 100 * part["jitter"].to_numpy(), list(part["IoU"])
        y = np.array([cell.mean for cell in cells])
        axis.plot(x, y, marker="o", ms=4, color=tints[name])
        axis.fill_between(x, [c.low for c in cells], [c.high for c in cells], color=tints[name], alpha=0.15, lw=0)
        ends[name] = (x[-1], y[-1])
    without, right = f"{best}, without a prompt", 100 * table["jitter"].max()
    ends[without] = (right, level)
    axis.set(xlabel="each side of the true box moved by up to so many % of it", ylabel="IoU, mean over images")
    axis.set_xticks(100 * table["jitter"].unique())
    label_ends(axis, ends, tints | {without: "#000000"})
    return figure


def checkpoint_tints(names: Sequence[str], beside: Sequence[str] = ()) -> dict[str, str]:
    """Checkpoint → colour, none of those that the labels `beside` have; the first, the filled box, is grey."""
    taken = set(colours(beside).values())
    return dict(zip(names, [GREY, *(c for c in PALETTE if c not in taken), *PALETTE], strict=False))
