"""Charts of scores and losses: bars, which start at zero, and the radar."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import FEW, GREY, SMALLEST, WIDTH, colours, hatches, ink, row_names

SCORES, LOSSES = ("IoU", "Dice"), ("train loss", "val loss")
ABREAST = 6  # models whose bars stand beside each other; more lie below each other
LARGE = 3.0  # a loss above it shares no axis with scores


def bars_per_model(table: pd.DataFrame) -> Figure:
    """One bar chart per model: IoU, Dice, training loss and validation loss (report 1's first chart).

    Losses in the hundreds (report 5's) would flatten the scores: then these charts hold the scores alone, and say so.

    Args: table — of `Estimate`, as `tables.comparison` gives it, without the floors.
    """
    large = _largest(table, LOSSES) > LARGE
    names = SCORES if large else (*SCORES, *LOSSES)
    columns = min(len(table), 2 if len(table) <= FEW else 3 if len(table) <= ABREAST else 5)
    rows = -(-len(table) // columns)
    size = 9 if columns <= 3 else SMALLEST
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, (2.6 if columns <= 3 else 1.9) * rows), sharey=True,
                                squeeze=False)  # fmt: skip
    tints, patterns = colours(table.index), hatches(table.index)
    for axis in axes.flat[len(table) :]:
        axis.axis("off")
    width = 40 if columns <= 2 else 28 if columns == 3 else 18
    titles = row_names(table, width)
    for axis, title, (label, row) in zip(axes.flat, titles, table.iterrows(), strict=False):
        bars = axis.bar(range(len(names)), [_value(row[n]) for n in names], color=tints[label], hatch=patterns[label],
                        width=0.6, edgecolor="white", lw=0)  # fmt: skip
        axis.set_xticks(range(len(names)), [n.replace(" ", "\n") for n in names], fontsize=size)
        _whiskers(axis, [row[n] for n in names])
        _label(axis, bars, [row[n] for n in names], max(SMALLEST, size - 1))
        axis.set_title(title, fontsize=size)
        axis.set_ylim(0, max(1.15, axis.get_ylim()[1]))
    for axis in axes[:, 0]:
        axis.set_ylabel("mean per image", fontsize=size)
    if large:
        figure.suptitle(f"Scores alone: losses reach {_largest(table, LOSSES):,.0f} and have their own axes below",
                        fontsize=9)  # fmt: skip
    return figure


def side_by_side(table: pd.DataFrame) -> Figure:
    """All models beside each other: scores (higher is better) and losses (lower is better), each from zero.

    More than six models lie below each other, one panel per quantity.
    """
    return _upright(table) if len(table) <= ABREAST else _lying(table)


def _upright(table: pd.DataFrame) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    panels = {"Scores (higher is better)": SCORES, "Losses (lower is better)": LOSSES}
    tints, patterns = colours(table.index), hatches(table.index)
    width = 0.8 / len(table)
    for axis, (title, names) in zip(axes, panels.items(), strict=True):
        for i, ((label, row), shown) in enumerate(zip(table.iterrows(), row_names(table, 60), strict=True)):
            where = np.arange(len(names)) + (i - (len(table) - 1) / 2) * width
            bars = axis.bar(where, [_value(row[n]) for n in names], width * 0.92, label=shown.replace("\n", " "),
                            color=tints[label], hatch=patterns[label], edgecolor="white", lw=0)  # fmt: skip
            _whiskers(axis, [row[n] for n in names], where)
            _label(axis, bars, [row[n] for n in names], 8 if len(table) <= FEW else SMALLEST)
        axis.set_xticks(range(len(names)), names)
        axis.set(title=title, ylabel="mean per image")
        axis.set_ylim(0, axis.get_ylim()[1] * 1.1)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _lying(table: pd.DataFrame) -> Figure:
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, 0.9 + 0.3 * len(table)), sharey=True)
    tints, patterns, rows = colours(table.index), hatches(table.index), range(len(table))
    for axis, name in zip(axes, (*SCORES, *LOSSES), strict=True):
        cells = list(table[name])
        axis.barh(rows, [_value(cell) for cell in cells], 0.72, color=[tints[label] for label in table.index],
                  hatch=[patterns[label] for label in table.index], edgecolor="white", lw=0)  # fmt: skip
        for y, cell in zip(rows, cells, strict=True):
            if _has_interval(cell):
                axis.errorbar(cell.mean, y, xerr=[[cell.mean - cell.low], [cell.high - cell.mean]], color="black",
                              capsize=2, lw=0.8)  # fmt: skip
            axis.annotate(_text(cell), (_top(cell), y), (3, 0), textcoords="offset points", va="center",
                          fontsize=SMALLEST)  # fmt: skip
        axis.set_title(f"{name}\n({'higher' if name in SCORES else 'lower'} is better)", fontsize=8)
        axis.set_xlim(0, max(map(_top, cells)) * 1.3 or 1)
        axis.tick_params(axis="x", labelsize=SMALLEST)
        axis.grid(True, axis="x", alpha=0.3)
        axis.grid(False, axis="y")
    axes[0].set_yticks(rows, row_names(table), fontsize=SMALLEST)
    axes[0].set_ylim(len(table) - 0.5, -0.5)
    figure.supxlabel("mean per image", fontsize=8)
    return figure


def radar(table: pd.DataFrame) -> Figure:
    """Four axes from 0 to 1 on which more is better; a loss enters as exp(−loss), and its axis says so.

    Up to four models share the axes; of more each has its own, with the mean of all in grey behind it. Losses above 3
    are divided by the largest of their kind first, or all of them would be 0 here.
    """
    values = pd.DataFrame({name: [_value(cell) for cell in table[name]] for name in SCORES}, table.index)
    for name in LOSSES:
        losses = np.array([_value(cell) for cell in table[name]], float)
        scale = np.nanmax(losses) if np.nanmax(losses) > LARGE else 1
        divided = f" ÷ {scale:,.0f}" if scale != 1 else ""
        values[f"exp(−{name}{divided})"] = np.exp(-losses / scale)
    return _together(table, values) if len(table) <= FEW else _apart(table, values)


def _together(table: pd.DataFrame, values: pd.DataFrame) -> Figure:
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4.8), subplot_kw={"polar": True})
    for label, shown in zip(table.index, row_names(table, 60), strict=True):
        _polygon(axis, values.loc[label], colours(table.index)[label], shown.replace("\n", " "))
    _spokes(axis, list(values), 9)
    axis.set_title("More is better on every axis", pad=18)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _apart(table: pd.DataFrame, values: pd.DataFrame) -> Figure:
    columns = min(len(table), 5)
    rows = -(-len(table) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.95 * rows + 0.5), subplot_kw={"polar": True},
                                squeeze=False)  # fmt: skip
    tints = colours(table.index)
    for axis in axes.flat[len(table) :]:
        axis.set_visible(False)
    for axis, label, title in zip(axes.flat, table.index, row_names(table, 20), strict=False):
        _polygon(axis, values.mean(), GREY, "mean of all")
        _polygon(axis, values.loc[label], tints[label])
        _spokes(axis, ["IoU", "Dice", "train", "val"], SMALLEST)
        axis.set_title(title, fontsize=SMALLEST, pad=9, color=ink(tints[label]))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center")
    figure.suptitle(f"More is better on every axis; train and val: {list(values)[2]} and {list(values)[3]}",
                    fontsize=9)  # fmt: skip
    return figure


def _polygon(axis, values: pd.Series, colour: str, label: str | None = None) -> None:
    angles = np.linspace(0, 2 * np.pi, len(values), endpoint=False)
    axis.plot([*angles, angles[0]], [*values, values.iloc[0]], color=colour, label=label, lw=1.2)
    axis.fill(angles, values, color=colour, alpha=0.2)


def _spokes(axis, names: Sequence[str], size: int) -> None:
    axis.set_xticks(np.linspace(0, 2 * np.pi, len(names), endpoint=False), names, fontsize=size)
    for label, side in zip(axis.get_xticklabels(), ("left", "center", "right", "center"), strict=True):
        label.set_horizontalalignment(side)
    few = size > SMALLEST
    axis.set_yticks([0.25, 0.5, 0.75, 1.0] if few else [0.5, 1.0], None if few else [])
    axis.tick_params(axis="x", pad=2 if few else -3)
    axis.set_ylim(0, 1)
    axis.set_rlabel_position(45)
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(True, alpha=0.3)


def _value(cell) -> float:
    return getattr(cell, "mean", cell)


def _has_interval(cell) -> bool:
    return getattr(cell, "low", np.nan) < getattr(cell, "high", np.nan)


def _top(cell) -> float:
    return float(np.nan_to_num(np.nanmax([_value(cell), getattr(cell, "high", np.nan), 0])))


def _largest(table: pd.DataFrame, names: Sequence[str]) -> float:
    return max(_top(cell) for name in names for cell in table[name])


def _text(cell) -> str:
    """A mean with the digits that its interval supports; of a large loss without an interval none."""
    value = _value(cell)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{getattr(cell, 'digits', 2)}f}"


def _label(axis, bars, cells: Sequence, size: int) -> None:
    """Each bar's mean above its whisker."""
    for bar, cell in zip(bars, cells, strict=True):
        where = (bar.get_x() + bar.get_width() / 2, _top(cell))
        axis.annotate(_text(cell), where, (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=size)


def _whiskers(axis, cells: Sequence, where: Sequence[float] | None = None) -> None:
    for x, cell in zip(range(len(cells)) if where is None else where, cells, strict=True):
        if _has_interval(cell):
            ends = [[cell.mean - cell.low], [cell.high - cell.mean]]
            axis.errorbar(x, cell.mean, ends, color="black", capsize=2.5, lw=1)
