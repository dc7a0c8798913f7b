"""Figures of the data: samples with their masks, class balance, sizes, means."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.escaping import short
from seglib.plots.overlay import class_legend, lay_over
from seglib.plots.style import GREY, WIDTH, class_colours


def samples(
    images, masks, titles: Sequence[str], classes: Mapping[str, int], columns: int = 6, filled: bool = False
) -> Figure:
    """A grid of images with their masks outlined, one colour per class; ignored pixels are greyed.

    Filled: each mask is laid over its image as `overlays` does it.

    Args: images (N, 3, H, W) uint8; masks (N, H, W) class ids or (N, C, H, W) planes; classes — of the foreground,
        with their value in a mask (or their plane).
    """
    rows = -(-len(images) // columns)
    legend = 0.35 if filled or len(classes) > 1 else 0  # inches
    size = (WIDTH, WIDTH / columns * rows * 1.12 + legend)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, mask, title in zip(axes.flat, images, masks, titles, strict=False):
        if filled:
            lay_over(axis, np.asarray(image).transpose(1, 2, 0), np.asarray(mask), classes)
        else:
            _outlined(axis, image, mask, classes)
        axis.set_title(short(title), fontsize=7, fontweight="normal")
    class_legend(figure, class_colours(tuple(classes))) if filled else _class_legend(figure, classes)
    return figure


def augmentations(shown: Mapping[str, tuple], classes: Mapping[str, int]) -> Figure:
    """One row per image: as it is stored, then as training sees it, with the outline of its mask.

    Args: shown — title → (images, masks) as `exploration.augmented` gives them; classes — as in `samples`.
    """
    count = len(next(iter(shown.values()))[0])
    size = (WIDTH * max(len(shown), 2) / 5, WIDTH / 5 * count)
    figure, axes = plt.subplots(count, len(shown), figsize=size, squeeze=False)
    for column, (title, (images, masks)) in zip(axes.T, shown.items(), strict=True):
        column[0].set_title(title)
        for axis, image, mask in zip(column, images, masks, strict=True):
            _outlined(axis, image, mask, classes)
            axis.axis("off")
    _class_legend(figure, classes)
    return figure


def odd(images, masks, titles: Sequence[str], classes: Mapping[str, int]) -> Figure | None:
    """Images that failed a check, as `samples` shows them; says so if there is none."""
    if not len(images):
        return print("no image failed a check")
    return samples(images, masks, titles, classes)


def pairs(table: pd.DataFrame, splits: Mapping, count: int = 6) -> Figure | None:
    """Near-duplicates side by side, the most alike first, one pair per row; says so if there is none.

    Args: table — as `duplicates.near_duplicates` gives it; splits — name → split, with images.
    """
    if table.empty:
        return print("no two splits share an image, or nearly so")
    figure, axes = plt.subplots(min(count, len(table)), 2, figsize=(5, 2.6 * min(count, len(table))), squeeze=False)
    for row, pair in zip(axes, table.to_dict("records"), strict=False):
        for axis, side in zip(row, ("", "other "), strict=True):
            axis.imshow(np.asarray(splits[pair[f"{side}split"]].images[pair[f"{side}row"]]).transpose(1, 2, 0))
            axis.set_title(f"{pair[f'{side}split']}: {short(pair[f'{side}image'])}", fontsize=8, fontweight="normal")
            axis.axis("off")
    return figure


def class_balance(table: pd.DataFrame) -> Figure:
    """Share of pixels per class, one bar per split, in % (as `exploration.class_balance` gives them)."""
    figure, axis = plt.subplots(figsize=(WIDTH, 0.7 + 0.5 * len(table)))
    left, whole = np.zeros(len(table)), table.sum(axis=1).max()
    tints = class_colours([name for name in table.columns if name != "background"]) | {"background": GREY}
    for name in table.columns:
        bars = axis.barh(table.index, table[name], left=left, label=name, color=tints[name])
        axis.bar_label(bars, fmt=lambda v: f"{v:.1f} %" if v > 0.06 * whole else "", label_type="center", fontsize=8)
        left += table[name].to_numpy()
    axis.set(xlabel="share of pixels (%)", xlim=(0, whole))
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


def _outlined(axis, image, mask, classes: Mapping[str, int]) -> None:
    image, mask = np.asarray(image), np.asarray(mask)
    axis.imshow(image.transpose(1, 2, 0))
    ignored = (mask == 255) if mask.ndim == 2 else (mask == 255).any(0)
    if ignored.any():
        axis.imshow(np.where(ignored, 0.75, np.nan), cmap="gray", vmin=0, vmax=1, alpha=0.6)
    for (_, value), colour in zip(classes.items(), class_colours(tuple(classes)).values(), strict=True):
        plane = (mask == value) if mask.ndim == 2 else (mask[value] == 1)
        if plane.any():
            axis.contour(plane, levels=[0.5], colors=[colour], linewidths=1.2)


def _class_legend(figure: Figure, classes: Mapping[str, int]) -> None:
    if len(classes) > 1:
        tints = class_colours(tuple(classes))
        lines = [mpl.lines.Line2D([], [], color=colour, label=name) for name, colour in tints.items()]
        figure.legend(handles=lines, loc="outside lower center", ncols=6)
