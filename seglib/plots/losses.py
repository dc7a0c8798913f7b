"""Charts of losses: their terms over the epochs, the terms' ratio, λ × learning rate, and the same image under each."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from seglib.plots.style import GREY, PALETTE, WIDTH, class_colours, colours, wrapped

Courses = Mapping[str, Sequence[pd.DataFrame]]  # label → one frame per seed, with `epoch` and `chosen`
NOT_TERMS = ("epoch", "chosen", "val_iou", "total", "val_total")  # columns of a course
ROW = 10.0  # inches: the tallest picture of one image


def validation_curves(courses: Courses) -> Figure:
    """Validation IoU per epoch, a panel per loss with one line per seed, all other losses behind it in grey.

    Args: courses — as `coefficients.courses` gives them. The chosen epochs are ringed.
    """
    columns = min(4, len(courses))
    rows = -(-len(courses) // columns)
    size = (WIDTH * max(columns, 2) / 4, 0.4 + 1.9 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(courses) :]:
        axis.axis("off")
    for axis, (label, runs) in zip(axes.flat, courses.items(), strict=False):
        for others in courses.values():
            for run in others:
                axis.plot(run["epoch"], run["val_iou"], color=GREY, lw=0.8, alpha=0.4)
        for run in runs:
            _line(axis, run, "val_iou", color=colours([label])[label], lw=2)
        mean = np.mean([run["val_iou"].max() for run in runs])
        axis.set_title(f"{wrapped(label, 24)}\nbest {mean:.3f}", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylim(bottom=0)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("validation IoU (mean per image)", fontsize=10)
    return figure


def term_curves(courses: Courses) -> Figure | None:
    """A row per loss: on the left each term of its training loss, weight included, their total and, dotted, the
    validation loss; on the right validation IoU. One line per seed, the chosen epochs ringed. Says so if there is none.

    Args: courses — as `coefficients.courses` gives them, by the row's title.
    """
    if not courses:
        return print("no loss to draw")
    figure, axes = plt.subplots(len(courses), 2, figsize=(WIDTH, 2.9 * len(courses)), squeeze=False)
    for (left, right), (title, runs) in zip(axes, courses.items(), strict=True):
        for run in runs:
            for name, style in _loss_lines(run).items():
                _line(left, run, name, **style)
            _line(right, run, "val_iou", color=PALETTE[2])
        drawn = _loss_lines(runs[0])
        lines = [run[name] for run in runs for name in drawn]
        if all((line > 0).all() for line in lines):
            _logarithmic(left)
        left.set(title=title, ylabel="loss (mean per image)", xlabel="epoch")
        ends = {name: (np.mean([run[name].iloc[-1] for run in runs]), x["color"]) for name, x in drawn.items()}
        _name_ends(left, {_named(name): end for name, end in ends.items()})
        right.set(title="validation IoU", ylabel="mean per image", xlabel="epoch")
        right.set_ylim(bottom=0)
        for axis in (left, right):
            axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _loss_lines(run: pd.DataFrame) -> dict[str, dict]:
    """The columns of a course that are losses, and how each is drawn; a single term is its own total."""
    terms = [name for name in run if name not in NOT_TERMS]
    lines = {name: {"color": PALETTE[i % len(PALETTE)]} for i, name in enumerate(terms)}
    if len(terms) > 1:
        lines["total"] = {"color": "black"}
    return lines | {"val_total": {"color": "black", "linestyle": ":"}}


def _named(column: str) -> str:
    return {"total": "total", "val_total": "validation"}.get(column, column)


def ratios(courses: Courses, terms: Sequence[str]) -> Figure | None:
    """The second term over the first, weights included, per epoch on a logarithmic axis; at 1 both are equal.

    One line per seed, named at its end; chosen epochs are ringed. Says so if there is no ratio.
    Args: courses — as `coefficients.ratios` gives them, of these terms.
    """
    known = {label: runs for label, runs in courses.items() if any(run["ratio"].notna().any() for run in runs)}
    if not known:
        return print("no sum of two terms, so no ratio")
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    _logarithmic(axis)
    axis.axhline(1, color="black", lw=1)
    axis.annotate("same magnitude", (0, 1), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                  fontsize=9)  # fmt: skip
    ends = {}
    for label, runs in known.items():
        for run in runs:
            _line(axis, run, "ratio", color=colours([label])[label])
        last = [run["ratio"].dropna().iloc[-1] for run in runs if run["ratio"].notna().any()]
        ends[label] = float(np.exp(np.mean(np.log(last)))), colours([label])[label]
    _name_ends(axis, ends)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set(xlabel="epoch", ylabel=f"λ · {terms[1]} / {terms[0]}")
    return figure


def _logarithmic(axis) -> None:
    """A logarithmic y axis, ticks as plain numbers."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_locator(mpl.ticker.NullLocator())


def _name_ends(axis, ends: Mapping[str, tuple[float, str]]) -> None:
    """Names lines to the right of their axis, at least a line of text apart: name → (last value, colour)."""
    scale = axis.yaxis.get_transform()
    low, high = scale.transform(axis.get_ylim())
    gap, before = 0.07 * (high - low), -np.inf
    for name, (value, colour) in sorted(ends.items(), key=lambda item: item[1][0]):
        before = max(scale.transform([value])[0], before + gap)
        place = (1.02, scale.inverted().transform([before])[0])
        dark = 0.6 * np.array(mpl.colors.to_rgb(colour))  # pale colours are no text
        axis.annotate(name, place, xycoords=("axes fraction", "data"), va="center", fontsize=8, color=dark,
                      annotation_clip=False)  # fmt: skip


def _line(axis, run: pd.DataFrame, column: str, **style) -> None:
    """One seed's line, its chosen epoch ringed."""
    style = {"marker": "." if len(run) < 30 else None, "lw": 1.5} | style
    axis.plot(run["epoch"], run[column], **style)
    chosen = run[run["chosen"]]
    axis.plot(chosen["epoch"], chosen[column], "o", mfc="none", mec="black", ms=8, clip_on=False)


def heat_map(cells: pd.DataFrame) -> Figure | None:
    """Validation IoU by λ and learning rate: mean and, of several seeds, standard deviation in each cell.

    A cell without a value is hatched and says so. Says so if there is no cell.
    Args: cells — as `coefficients.cells` gives them.
    """
    if cells.empty:
        return print("no λ was tried at any learning rate")
    square = cells.pivot(index="λ", columns="lr", values="val IoU").sort_index(ascending=False)
    known = cells.set_index(["λ", "lr"])
    figure, axis = plt.subplots(figsize=(min(WIDTH, 2.8 + 1.6 * square.shape[1]), 1.5 + 0.7 * square.shape[0]))
    values = cells["val IoU"].dropna()
    low, high = (values.min(), values.max()) if values.nunique() > 1 else (0, 1)
    mesh = axis.imshow(square.to_numpy(float), cmap="viridis", aspect="auto", vmin=low, vmax=high)
    for y, weight in enumerate(square.index):
        for x, rate in enumerate(square.columns):
            _cell(axis, x, y, known.loc[(weight, rate)], (low + high) / 2)
    axis.set_xticks(range(square.shape[1]), [f"{rate:g}" for rate in square.columns])
    axis.set_yticks(range(square.shape[0]), [f"{weight:g}" for weight in square.index])
    axis.set(xlabel="learning rate", ylabel="λ")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    figure.colorbar(mesh, ax=axis, label="best validation IoU")
    return figure


def _cell(axis, x: int, y: int, cell: pd.Series, middle: float) -> None:
    if np.isnan(cell["val IoU"]):
        axis.add_patch(plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fc="#eeeeee", ec="white", hatch="///", lw=0))
        axis.text(x, y, "no value", ha="center", va="center", fontsize=9)
        return
    spread = "" if np.isnan(cell["sd"]) else f"\nsd {cell['sd']:.3f}"
    dark = cell["val IoU"] < middle  # viridis is dark where values are low
    colour = "white" if dark else "black"
    axis.text(x, y, f"{cell['val IoU']:.3f}{spread}", ha="center", va="center", fontsize=9, color=colour)


def planes(image, mask, preds: Mapping[str, np.ndarray], classes: Mapping[str, int], title: str) -> Figure:
    """One test image under each loss, one panel per class: what is predicted in the class's colour, the truth dashed.

    Args: image (3, H, W) uint8; mask (H, W) class ids or (C, H, W) planes; preds — loss → channels (C, H, W) bool;
        classes — of the foreground, with their value in a mask (or their plane); title — of the figure.
    """
    image, mask = np.asarray(image).transpose(1, 2, 0), np.asarray(mask)
    shape = _grid(len(preds), len(classes))
    side = min(WIDTH / (shape[1] + 1), ROW / shape[0])
    figure, axes = plt.subplots(*shape, figsize=(WIDTH, side * shape[0] + 0.9), squeeze=False)
    panels = [(label, name) for label in preds for name in classes]
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.set_visible(False)
    for number, (axis, (label, name)) in enumerate(zip(axes.flat, panels, strict=False)):
        value = classes[name]
        axis.set_visible(True)
        axis.imshow(0.5 * image.mean(-1), cmap="gray", vmin=0, vmax=255)  # dimmed: all colour is a class's
        pred = preds[label][0 if len(preds[label]) == 1 else value]
        _outline(axis, pred, class_colours(tuple(classes))[name], "-", 2.2)
        _outline(axis, (mask == value) if mask.ndim == 2 else (mask[value] == 1), "white", (0, (2, 1.5)), 1.0)
        if len(classes) == 1:
            axis.set_title(wrapped(label, 18), fontsize=8)
        elif number < len(classes):
            axis.set_title(name, fontsize=9)
        if len(classes) > 1 and number % len(classes) == 0:
            axis.set_ylabel(wrapped(label, 16), fontsize=8, rotation=0, ha="right", va="center")
    figure.suptitle(" ".join(title.split("\n")), fontweight="bold", fontsize=10)
    _planes_legend(figure, classes)
    return figure


def _grid(losses: int, classes: int) -> tuple[int, int]:
    """Rows and columns: of several classes a row per loss, of one class five losses in a row."""
    return (losses, classes) if classes > 1 else (-(-losses // 5), min(losses, 5))


def _outline(axis, plane: np.ndarray, colour: str, line, width: float) -> None:
    if plane.any() and not plane.all():
        drawn = axis.contour(plane, levels=[0.5], colors=[colour], linewidths=width)
        drawn.set_linestyle(line)


def _planes_legend(figure: Figure, classes: Mapping[str, int]) -> None:
    tints = class_colours(tuple(classes))
    lines = [mpl.lines.Line2D([], [], color=tint, lw=2.2, label=f"{name}, predicted") for name, tint in tints.items()]
    truth = mpl.lines.Line2D([], [], color="white", lw=1.2, ls=(0, (2, 1.5)), label="truth")
    truth.set_path_effects([withStroke(linewidth=3, foreground="#444444")])
    figure.legend(handles=[*lines, truth], loc="outside lower center", ncols=min(6, len(lines) + 1), fontsize=8)
