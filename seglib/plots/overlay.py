"""Masks of several classes laid over their image: transparent background, semi-transparent colours."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import GREY, WIDTH, bare, class_colours, wrapped

OPACITY = 0.55  # of a class's colour over the image


def overlays(
    images, class_masks: Mapping[str, Sequence], names: Mapping[str, int], titles: Sequence[str], across: str = ""
) -> Figure:
    """One row per image: the image alone, then one column per mask, laid over the image (report 2's RGBA overlay).

    Args: images (N, 3, H, W) uint8; class_masks — column's title → (N, H, W) class ids, 255 is ignored and greyed, or
        (N, C, H, W) channels, bool or {0, 1}, as `Run.predictions` gives them; names — foreground class → its value in
        a mask, or its channel, as `exploration.foreground_classes` gives them; titles — one per row;
        across — the title above all.
    """
    columns = 1 + len(class_masks)
    side = min(2.2, (WIDTH - 1.2) / columns)  # inches; the rest is the rows' titles
    size = (side * columns + 1.2, side * len(images) + 0.9)
    figure, axes = plt.subplots(len(images), columns, figsize=size, squeeze=False)
    tints = class_colours(tuple(names))
    for n, (row, title) in enumerate(zip(axes, titles, strict=True)):
        image = np.asarray(images[n]).transpose(1, 2, 0)
        row[0].imshow(image)
        row[0].set_ylabel(wrapped(title, 18), fontsize=8, rotation=0, ha="right", va="center")
        for axis, masks in zip(row[1:], class_masks.values(), strict=True):
            lay_over(axis, image, np.asarray(masks[n]), names)
    for axis, title in zip(axes[0], ["image", *class_masks], strict=True):
        axis.set_title(wrapped(title, int(side * 11)), fontsize=9 if columns < 5 else 7)
    bare(axes)
    if across:
        figure.suptitle(across, fontweight="bold", fontsize=10)
    class_legend(figure, tints)
    return figure


def lay_over(axis, image: np.ndarray, mask: np.ndarray, names: Mapping[str, int], outline=None) -> None:
    """Draws a mask over its image (H, W, 3), which is shown in grey, so that all colour is a class's.

    Args: outline — the mask whose outlines are drawn in the class colours (the truth under a prediction), else `mask`.
    """
    tints = class_colours(tuple(names))
    axis.imshow(image.mean(-1), cmap="gray", vmin=0, vmax=255)
    axis.imshow(rgba(mask, names, tints), interpolation="nearest")
    for plane, tint in zip(_planes(mask if outline is None else outline, names), tints.values(), strict=True):
        if plane.any() and not plane.all():
            axis.contour(plane, levels=[0.5], colors=[tint], linewidths=0.8)


def rgba(mask: np.ndarray, names: Mapping[str, int], tints: Mapping[str, str], opacity: float = OPACITY) -> np.ndarray:
    """A mask as an image to lay over another: (H, W, 4) in [0, 1], where no class is fully transparent.

    Args: mask (H, W) class ids or (C, H, W) channels; names — class → value or channel; tints — class → colour. Where
        channels overlap the pixel has the mean of their colours; what is ignored is grey.
    """
    mask = np.asarray(mask)
    planes = _planes(mask, names)
    colours = np.array([mpl.colors.to_rgb(tints[name]) for name in names])
    count = planes.sum(0)
    found = np.zeros((*mask.shape[-2:], 4))
    found[..., :3] = np.tensordot(planes, colours, (0, 0)) / np.maximum(count, 1)[..., None]
    found[..., 3] = opacity * (count > 0)
    ignored = (mask == 255) if mask.ndim == 2 else (mask == 255).all(0)
    found[ignored] = (*mpl.colors.to_rgb(GREY), opacity)
    return found


def _planes(mask: np.ndarray, names: Mapping[str, int]) -> np.ndarray:
    """Where each class is: (classes, H, W) bool."""
    return np.stack([(mask == value) if mask.ndim == 2 else (mask[value] == 1) for value in names.values()])


def class_legend(figure: Figure, tints: Mapping[str, str]) -> None:
    """Below the figure: each class and its colour, as it shows over an image."""
    patches = [mpl.patches.Patch(fc=(*mpl.colors.to_rgb(tint), OPACITY), ec=tint, label=n) for n, tint in tints.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(6, len(patches)))
