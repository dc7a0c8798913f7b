"""Pictures of what models predict: image, truth, prediction and errors side by side."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.data import foreground_planes
from seglib.plots.overlay import class_legend, lay_over, overlays
from seglib.plots.style import ERRORS, WIDTH, bare, class_colours, wrapped

Classes = Mapping[str, int]  # of the foreground, with their value in a mask or their channel


def predictions(images, masks, preds, titles: Sequence[str], classes: Classes | None = None) -> Figure:
    """Rows of image | ground truth | prediction | errors; of several classes image | ground truth | prediction, each
    class in its colour.

    Args: images (N, 3, H, W) uint8; masks as `samples` takes them; preds — the foreground (N, H, W) bool, or of several
        classes the channels (N, C, H, W); titles — one per row; classes — as in `overlays`, none: any foreground.
    """
    if classes and len(classes) > 1:
        return overlays(images, {"ground truth": masks, "prediction": preds}, classes, titles)
    figure, axes = plt.subplots(len(images), 4, figsize=(WIDTH, WIDTH / 4.8 * len(images)), squeeze=False)
    for row, image, mask, pred, title in zip(axes, images, masks, preds, titles, strict=True):
        image, truth = np.asarray(image).transpose(1, 2, 0), foreground_planes(np.asarray(mask)).any(0)
        row[0].imshow(image)
        row[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
        row[1].imshow(truth, cmap="gray", vmin=0, vmax=1)
        row[2].imshow(pred, cmap="gray", vmin=0, vmax=1)
        _errors(row[3], image, truth, pred)
    _finish_rows(figure, axes, ["image", "ground truth", "prediction", "errors"])
    return figure


def models_on_images(
    images, masks, preds: Mapping[str, np.ndarray], titles: Sequence[str], classes: Classes | None = None
) -> Figure:
    """Rows of image | ground truth | one column per model: its errors, or of several classes each in its colour.

    Args: as `predictions` takes them; preds — by model.
    """
    if classes and len(classes) > 1:
        return overlays(images, {"ground truth": masks, **preds}, classes, titles)
    columns = 2 + len(preds)
    names = [m if "\n" in m else wrapped(m, 22) for m in preds]
    above = 0.16 * max(name.count("\n") + 1 for name in names)  # inches: or long names would press the images
    size = (WIDTH, WIDTH / (columns + 0.8) * len(images) + above)
    figure, axes = plt.subplots(len(images), columns, figsize=size, squeeze=False)
    for n, (row, title) in enumerate(zip(axes, titles, strict=True)):
        image, truth = np.asarray(images[n]).transpose(1, 2, 0), foreground_planes(np.asarray(masks[n])).any(0)
        row[0].imshow(image)
        row[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
        row[1].imshow(truth, cmap="gray", vmin=0, vmax=1)
        for axis, pred in zip(row[2:], preds.values(), strict=True):
            _errors(axis, image, truth, pred[n])
    _finish_rows(figure, axes, ["image", "ground truth", *names])
    return figure


def gallery(
    images, masks, preds, sections: Mapping[str, Mapping[str, Sequence[tuple[int, str]]]], title: str,
    classes: Classes | None = None,
) -> Figure:  # fmt: skip
    """Test images side by side by each way of choosing, a row per kind; errors tinted, the truth outlined in white.

    Of several classes: what is predicted filled and the truth outlined, each class in its colour.
    Args: images, masks, preds, classes as `predictions` takes them; sections — way → kind → (position, caption) of its
        images, as `gallery.sections` gives them.
    """
    several = bool(classes) and len(classes) > 1
    kinds = list(next(iter(sections.values())))
    columns = max(len(chosen) for rows in sections.values() for chosen in rows.values())
    side = min(1.9, WIDTH / (columns * len(sections)))  # inches
    figure = plt.figure(figsize=(max(5.0, side * columns * len(sections)), 1.0 + len(kinds) * (side + 0.4)))
    figure.suptitle(title, fontweight="bold", fontsize=10)
    figure.set_gid(f"gallery: {title}")  # by which a page leads from a model's name to its gallery
    for part, (way, rows) in zip(figure.subfigures(1, len(sections), squeeze=False)[0], sections.items(), strict=True):
        part.suptitle(f"by {way}", fontsize=9)
        axes = part.subplots(len(kinds), columns, squeeze=False)
        for row, (kind, chosen) in zip(axes, rows.items(), strict=True):
            row[0].set_ylabel(kind, fontsize=8)
            for axis, (i, caption) in zip(row, chosen, strict=False):
                if several:
                    image = np.asarray(images[i]).transpose(1, 2, 0)
                    lay_over(axis, image, np.asarray(preds[i]), classes, np.asarray(masks[i]))
                else:
                    _outlined_errors(axis, images[i], masks[i], preds[i])
                axis.set_title(caption, fontsize=7, fontweight="normal")
            for axis in row[len(chosen) :]:
                axis.set_visible(False)
        bare(axes)
    class_legend(figure, class_colours(tuple(classes))) if several else _legend(figure)
    return figure


def _outlined_errors(axis, image, mask, pred: np.ndarray) -> None:
    truth = foreground_planes(np.asarray(mask)).any(0)
    _errors(axis, np.asarray(image).transpose(1, 2, 0), truth, pred)
    if truth.any() and not truth.all():
        axis.contour(truth, levels=[0.5], colors=["white"], linewidths=0.8)


def _errors(axis, image: np.ndarray, truth: np.ndarray, pred: np.ndarray) -> None:
    axis.imshow(image)
    for colour, where in zip(ERRORS.values(), (truth & pred, ~truth & pred, truth & ~pred), strict=True):
        axis.imshow(_tint(where, colour))


def _finish_rows(figure: Figure, axes: np.ndarray, titles: Sequence[str]) -> None:
    bare(axes)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10 if len(titles) < 5 else 7)  # long names side by side
    _legend(figure)


def _legend(figure: Figure) -> None:
    patches = [mpl.patches.Patch(color=colour, label=name, alpha=0.6) for name, colour in ERRORS.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3)


def _tint(where: np.ndarray, colour: str, alpha: float = 0.6) -> np.ndarray:
    tint = np.zeros((*where.shape, 4))
    tint[where] = mpl.colors.to_rgba(colour, alpha)
    return tint
