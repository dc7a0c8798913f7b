"""Figures of the data: samples with their masks, class balance, sizes, means."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import GREY, WIDTH, class_colours


def samples(
    images: np.ndarray, masks: np.ndarray, titles: Sequence[str], classes: Sequence[str], columns: int = 6
) -> Figure:
    """A grid of images with their masks outlined; one colour per class.

    Args: images (N, 3, H, W) uint8; masks (N, H, W) class ids or (N, C, H, W) planes; classes — of the foreground.
    """
    images, masks = np.asarray(images), np.asarray(masks)
    rows, tints = -(-len(images) // columns), class_colours(classes)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, WIDTH / columns * rows * 1.12), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, mask, title in zip(axes.flat, images, masks, titles, strict=False):
        axis.imshow(image.transpose(1, 2, 0))
        for plane, name in zip(foreground_planes(mask), classes, strict=False):
            _outline(axis, plane, tints[name])
        axis.set_title(title, fontsize=7, fontweight="normal")
    if len(classes) > 1:
        lines = [mpl.lines.Line2D([], [], color=colour, label=name) for name, colour in tints.items()]
        figure.legend(handles=lines, loc="outside lower center", ncols=6)
    return figure


def class_balance(table: pd.DataFrame) -> Figure:
    """Share of pixels per class, one bar per split, in % (as `exploration.class_balance` gives them)."""
    figure, axis = plt.subplots(figsize=(WIDTH, 0.7 + 0.5 * len(table)))
    left = np.zeros(len(table))
    tints = class_colours([name for name in table.columns if name != "background"]) | {"background": GREY}
    for name in table.columns:
        bars = axis.barh(table.index, table[name], left=left, label=name, color=tints[name])
        axis.bar_label(bars, fmt=lambda v: f"{v:.1f} %" if v > 3 else "", label_type="center", fontsize=8)
        left += table[name].to_numpy()
    axis.set(xlabel="share of pixels (%)", xlim=(0, max(100, left.max())))
    axis.invert_yaxis()
    axis.grid(False)
    axis.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def areas(frame: pd.DataFrame) -> Figure:
    """Distribution of the foreground's share of an image, per split."""
    figure, axis = plt.subplots(figsize=(WIDTH, 2.8))
    bins = np.linspace(0, max(frame["area"].max(), 1), 26)
    for name, group in frame.groupby("split", sort=False):
        label = f"{name} (n = {len(group)}, median {group['area'].median():.1f} %)"
        axis.hist(group["area"], bins, density=True, histtype="step", linewidth=1.8, label=label)
    axis.set(xlabel="foreground's share of the image (%)", ylabel="density (per %)")
    axis.legend()
    return figure


def means(images: Mapping[str, np.ndarray]) -> Figure:
    """The mean image and the mean foreground, side by side; the latter with its scale."""
    figure, axes = plt.subplots(1, len(images), figsize=(WIDTH * 0.7, 3.0))
    for axis, (title, image) in zip(axes, images.items(), strict=True):
        image = np.asarray(image)
        shown = axis.imshow(image.transpose(1, 2, 0) if image.ndim == 3 else image, cmap="viridis", vmin=0)
        axis.set_title(title)
        axis.axis("off")
        if image.ndim == 2:
            figure.colorbar(shown, ax=axis, label="share of training images", shrink=0.9)
    return figure


def foreground_planes(mask: np.ndarray) -> np.ndarray:
    """A mask as bool planes of its foreground classes: (C, H, W)."""
    if mask.ndim == 3:
        return mask == 1
    present = [i for i in np.unique(mask) if i not in (0, 255)]
    return np.stack([mask == i for i in range(1, max(present, default=1) + 1)])


def _outline(axis, plane: np.ndarray, colour: str) -> None:
    if plane.any():
        axis.contour(plane, levels=[0.5], colors=[colour], linewidths=1.2)
