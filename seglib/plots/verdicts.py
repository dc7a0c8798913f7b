"""Charts of what is shown and what is not: means and differences with their intervals, and the square of all pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import GREY, SMALLEST, WIDTH, colours, row_names, wrapped
from seglib.scores import FLOORS, LOWER_IS_BETTER

WRITTEN = 10  # models up to which the square's cells hold their figure with its digits; of more, in hundredths


def intervals(
    table: pd.DataFrame,
    scores: Sequence[str],
    best: Mapping[str, Sequence[str]],
    tints: Mapping[str, str] | None = None,
) -> Figure:
    """One panel per score: each row's mean and 95 % interval; the best and all not shown to be worse are filled.

    Args: table — of `Estimate`, as `tables.comparison` gives it; best — score → index labels; tints — label → colour
        where it is not the label's own. Floors are grey.
    """
    names = row_names(table, 38)
    figure, axes = plt.subplots(1, len(scores), figsize=(WIDTH, 1.1 + _height(names)), sharey=True, squeeze=False)
    given = dict.fromkeys(FLOORS, GREY) | dict(tints or {})
    tints = colours([label for label in table.index if label not in given]) | given
    for axis, score in zip(axes[0], scores, strict=True):
        far = _far(table[score]) if score in LOWER_IS_BETTER else set()
        for y, (label, cell) in enumerate(table[score].items()):
            if label in far:  # it would press all others together
                axis.annotate(f"{cell.mean:.0f} →", (1, y), xycoords=("axes fraction", "data"), ha="right",
                              va="center", fontsize=SMALLEST, color=GREY)  # fmt: skip
            else:
                _whisker(axis, y, cell, tints[label], label in best.get(score, ()))
        unit = " (pixels)" if score == "HD95" else ""
        axis.set(xlabel=f"{score}{unit}, {'lower' if score in LOWER_IS_BETTER else 'higher'} is better")
        _lying(axis)
    _rows(axes[0, 0], names)
    return figure


def _far(cells: pd.Series) -> set[str]:
    """The floors that lie far beyond every model: their mean is over three times the models' largest."""
    largest = max((cell.mean for label, cell in cells.items() if label not in FLOORS), default=np.inf)
    return {label for label in FLOORS if label in cells.index and cells[label].mean > 3 * largest}


def effects(table: pd.DataFrame, score: str) -> Figure | None:
    """Paired differences with their 95 % intervals, one row each, beside the line of no difference; filled where shown.

    Args: table — columns name, difference (`Estimate`) and shown (bool), with the labels that give the colours as its
        index. Says so if there is nothing to show.
    """
    if not len(table):
        return print("no differences to show")
    names = [wrapped(name, 46) for name in table["name"]]
    figure, axis = plt.subplots(figsize=(WIDTH, 1.0 + _height(names)))
    tints = colours(list(table.index))
    axis.axvline(0, color="black", lw=1)
    for y, (label, row) in enumerate(table.iterrows()):
        _whisker(axis, y, row["difference"], tints[label], row["shown"])
    axis.set(xlabel=f"difference in {score}{' (pixels)' if score == 'HD95' else ''}; hollow: no difference shown")
    _lying(axis)
    _rows(axis, names)
    widest = max(map(abs, axis.get_xlim()))
    axis.set_xlim(-widest, widest)
    return figure


def _whisker(axis, y: int, cell, colour: str, filled: bool) -> None:
    if not hasattr(cell, "mean") or np.isnan(cell.mean):
        return
    if cell.low < cell.high:
        axis.plot([cell.low, cell.high], [y, y], color=colour, lw=2)
    axis.plot(cell.mean, y, "o", color=colour, mfc=colour if filled else "white", ms=6)


def _lying(axis) -> None:
    axis.grid(True, axis="x", alpha=0.3)
    axis.grid(False, axis="y")


def _height(names: Sequence[str]) -> float:
    """Inches in which rows of these names, each on its lines, stand under each other without touching."""
    lines = max((name.count("\n") + 1 for name in names), default=1)
    return len(names) * max(0.32, (0.14 if len(names) <= WRITTEN else 0.125) * lines + 0.06)


def _rows(axis, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names, fontsize=8 if len(names) <= WRITTEN else SMALLEST)
    axis.set_ylim(len(names) - 0.5, -0.5)


def differences(square: pd.DataFrame, pairs: pd.DataFrame, score: str) -> Figure | None:
    """Row minus column of every pair of models; what is not shown to differ is hatched. One model has no pairs.

    Args: square — as `pairwise.matrix` gives it; pairs — as `pairwise.table` gives it.
    """
    names, count = list(square.index), len(square)
    if count < 2:
        return print("one model alone: no pair")
    size = 8 if count <= WRITTEN else SMALLEST
    gaps = np.array([[getattr(cell, "mean", np.nan) for cell in square.loc[name]] for name in names], dtype=float)
    shown = {(row.model, row.baseline) for row in pairs.itertuples() if row.verdict in ("better", "worse")}
    limit = np.nanmax(np.abs(gaps)) if np.isfinite(gaps).any() else 1
    figure, axis = plt.subplots(figsize=(WIDTH, 1.4 + (0.5 if count <= WRITTEN else 0.34) * count))
    mesh = axis.pcolormesh(gaps, cmap="PuOr", vmin=-limit, vmax=limit)  # told apart by every colour vision
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            cell = square.loc[row, column]
            if not hasattr(cell, "mean") or np.isnan(cell.mean):
                continue
            real = (row, column) in shown or (column, row) in shown
            if not real:
                axis.add_patch(plt.Rectangle((j, i), 1, 1, fc="#eeeeee", ec="white", hatch="///", lw=0))
            dark = real and abs(cell.mean) > 0.6 * limit
            tint = "white" if dark else "black"
            axis.text(j + 0.5, i + 0.5, _figure(cell, count), ha="center", va="center", color=tint, fontsize=size)
    axis.set_xticks(np.arange(count) + 0.5, [str(i + 1) for i in range(count)])
    labels = [f"{wrapped(name)}  ({i + 1})" for i, name in enumerate(names)]
    axis.set_yticks(np.arange(count) + 0.5, labels, fontsize=size)
    axis.invert_yaxis()
    unit = "" if count <= WRITTEN else ", in hundredths"
    axis.set(xlabel="minus model", title=f"{score}{unit}: row minus column; hatched: no difference shown")
    axis.grid(False)
    figure.colorbar(mesh, ax=axis, label=f"difference in {score}", shrink=0.8)
    return figure


def _figure(cell, count: int) -> str:
    value, digits = cell.mean, cell.digits
    if count > WRITTEN:
        value, digits = 100 * value, 1 if abs(value) < 0.095 else 0
    value = round(value, digits) + 0.0  # no -0.00
    return f"{value:{'+' if value else ''}.{digits}f}"
