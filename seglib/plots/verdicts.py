"""Charts of what is shown and what is not: means with their intervals, and the square of paired differences."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import GREY, PALETTE, WIDTH, wrapped


def intervals(table: pd.DataFrame, scores: Sequence[str], best: Mapping[str, Sequence[str]]) -> Figure:
    """One panel per score: each row's mean and 95 % interval; the best and all not shown to be worse are filled.

    Args: table — of `Estimate`, as `tables.comparison` gives it; best — score → index labels.
    """
    figure, axes = plt.subplots(1, len(scores), figsize=(WIDTH, 1.0 + 0.42 * len(table)), sharey=True, squeeze=False)
    for axis, score in zip(axes[0], scores, strict=True):
        for y, (label, cell) in enumerate(table[score].items()):
            if not hasattr(cell, "mean") or np.isnan(cell.mean):
                continue
            colour = PALETTE[0] if label in best.get(score, ()) else GREY
            if cell.low < cell.high:
                axis.plot([cell.low, cell.high], [y, y], color=colour, lw=2)
            axis.plot(cell.mean, y, "o", color=colour, mfc=colour if label in best.get(score, ()) else "white", ms=6)
        axis.set(xlabel=f"{score}{' (pixels, lower is better)' if score == 'HD95' else ''}", yticks=range(len(table)))
        axis.grid(True, axis="x", alpha=0.3)
        axis.grid(False, axis="y")
    axes[0, 0].set_yticklabels([wrapped(label) for label in table.index], fontsize=9)
    axes[0, 0].invert_yaxis()
    return figure


def differences(square: pd.DataFrame, pairs: pd.DataFrame, score: str) -> Figure:
    """Row minus column of every pair of models; what is not shown to differ is hatched grey.

    Args: square — as `pairwise.matrix` gives it; pairs — as `pairwise.table` gives it.
    """
    names, count = list(square.index), len(square)
    gaps = np.array([[getattr(cell, "mean", np.nan) for cell in square.loc[name]] for name in names], dtype=float)
    shown = {(row.model, row.baseline) for row in pairs.itertuples() if row.verdict in ("better", "worse")}
    limit = np.nanmax(np.abs(gaps)) if np.isfinite(gaps).any() else 1
    figure, axis = plt.subplots(figsize=(WIDTH, 1.6 + 0.55 * count))
    mesh = axis.imshow(gaps, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")  # told apart by every colour vision
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            cell = square.loc[row, column]
            if not hasattr(cell, "mean") or np.isnan(cell.mean):
                continue
            real = (row, column) in shown or (column, row) in shown
            if not real:
                axis.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fc="#eeeeee", ec="white", hatch="///", lw=0))
            dark = real and abs(cell.mean) > 0.6 * limit
            text = f"{round(cell.mean, cell.digits) + 0.0:+.{cell.digits}f}"  # no -0.00
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axis.set_xticks(range(count), [str(i + 1) for i in range(count)])
    axis.set_yticks(range(count), [f"{wrapped(name)}  ({i + 1})" for i, name in enumerate(names)], fontsize=9)
    axis.set(xlabel="minus model", title=f"{score}: row minus column; hatched: no difference shown")
    axis.grid(False)
    figure.colorbar(mesh, ax=axis, label=f"difference in {score}", shrink=0.8)
    return figure
