"""One image and what is laid over it, side by side, at any opacity: what the explorers draw."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from seglib.plots.overlay import class_legend, rgba
from seglib.plots.style import ERRORS, WIDTH, bare, class_colours, wrapped

TALLEST = 3.4  # inches, of a picture
EDGE = "white"  # of the truth's outline
TRUTH = "#F0E442"  # of the truth beside ERRORS, of which a class's colour might be one


class Layer(NamedTuple):
    """What is laid over an image: a mask (H, W) or channels (C, H, W), each name's value or channel, and its colour."""

    mask: np.ndarray
    names: Mapping[str, int]
    tints: Mapping[str, str]
    outlined: np.ndarray | None = None  # bool (H, W): the region whose border is drawn in white


def of_classes(mask, names: Mapping[str, int], outlined: np.ndarray | None = None) -> Layer:
    """Classes in their colours. Args: as `Layer`."""
    return Layer(np.asarray(mask), names, class_colours(tuple(names)), outlined)


def of_truth(truth: np.ndarray) -> Layer:
    """The foreground as a whole, bool (H, W), to be seen beside errors."""
    return Layer(truth[None], {"ground truth": 0}, {"ground truth": TRUTH})


def of_errors(truth: np.ndarray, pred: np.ndarray, valid: np.ndarray) -> Layer:
    """What was found, what is too much, what was missed, where pixels count: all bool (H, W)."""
    parts = np.stack([truth & pred & valid, ~truth & pred & valid, truth & ~pred & valid])
    return Layer(parts, {name: i for i, name in enumerate(ERRORS)}, ERRORS, truth)


def layers(image, title: str, over: Mapping[str, Layer], opacity: float) -> Figure:
    """The image alone, then once per layer in grey with that laid over it; below, what the colours are.

    Args: image (3, H, W) uint8, and its title; over — title → layer; opacity — of the layers, 0 (not seen) to 1.
    """
    image, columns = np.asarray(image).transpose(1, 2, 0), 1 + len(over)
    side = min(TALLEST, WIDTH / columns)
    titles = [wrapped(title, 34), *over]
    lines = max(text.count("\n") for text in titles)
    figure = Figure(figsize=(side * columns, side + 0.6 + 0.15 * lines))
    axes = figure.subplots(1, columns, squeeze=False)
    for axis, text, layer in zip(axes[0], titles, (None, *over.values()), strict=True):
        axis.imshow(image if layer is None else image.mean(-1), cmap="gray", vmin=0, vmax=255)
        axis.set_title(text, fontsize=9 if columns < 4 else 8)
        if layer is not None:
            axis.imshow(rgba(layer.mask, layer.names, layer.tints, opacity), interpolation="nearest")
            if layer.outlined is not None and layer.outlined.any() and not layer.outlined.all():
                axis.contour(layer.outlined, levels=[0.5], colors=[EDGE], linewidths=0.8)
    bare(axes)
    tints = {name: tint for layer in over.values() for name, tint in layer.tints.items()}
    class_legend(figure, tints)
    return figure
