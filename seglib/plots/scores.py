"""Charts of numbers: learning curves, bars and the radar."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seglib.plots.style import PALETTE, WIDTH, colours

SCORE_COLUMNS = ("IoU", "Dice")


def curves(histories: Sequence[pd.DataFrame], best_epochs: Sequence[int]) -> Figure:
    """Loss and validation Dice per epoch, one line per seed, the chosen epoch marked."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    for i, (history, best) in enumerate(zip(histories, best_epochs, strict=True)):
        first = i == 0
        for axis, column, colour in (
            (left, "train_loss", PALETTE[0]), (left, "val_loss", PALETTE[1]), (right, "val_dice", PALETTE[2])
        ):  # fmt: skip
            axis.plot(history["epoch"], history[column], color=colour, alpha=1 if first else 0.5,
                      marker="." if len(history) < 30 else None, label=_words(column) if first else None)  # fmt: skip
            axis.plot(best, history[column].iloc[best - 1], "o", mfc="none", mec="black", ms=8,
                      label="chosen epoch" if first and column != "train_loss" else None)  # fmt: skip
    left.set(xlabel="epoch", ylabel="loss (mean per image)", title="Loss")
    right.set(xlabel="epoch", ylabel="Dice (mean per image)", title="Validation Dice")
    left.set_ylim(bottom=0)
    right.set_ylim(0, 1)
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    return figure


def curves_by_model(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Validation loss and Dice per epoch, one line per model."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    for axis, column in zip(axes, ("val_loss", "val_dice"), strict=True):
        for model, history in histories.items():
            axis.plot(history["epoch"], history[column], color=colours(list(histories))[model], label=model)
        axis.set(xlabel="epoch", ylabel="mean per image", title=_words(column))
        axis.set_ylim(bottom=0, top=1 if column == "val_dice" else None)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def bars_per_model(table: pd.DataFrame) -> Figure:
    """One bar chart per model: IoU, Dice, training loss and validation loss (report 1's first chart)."""
    names = ("IoU", "Dice", "train loss", "val loss")
    columns = min(len(table), 2 if len(table) < 5 else 3)
    rows = -(-len(table) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.8 * rows), sharey=True, squeeze=False)
    for axis in axes.flat[len(table) :]:
        axis.axis("off")
    for axis, (label, row) in zip(axes.flat, table.iterrows(), strict=False):
        bars = axis.bar(names, [_value(row[n]) for n in names], color=colours(table.index)[label], width=0.6)
        _whiskers(axis, [row[n] for n in names])
        _label(axis, bars, [row[n] for n in names])
        axis.set_title(label)
        axis.set_ylim(0, max(1.1, axis.get_ylim()[1]))
    for axis in axes[:, 0]:
        axis.set_ylabel("mean per image")
    return figure


def side_by_side(table: pd.DataFrame) -> Figure:
    """All models beside each other: scores on the left (higher is better), losses on the right (lower is better)."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4))
    panels = {
        "Scores (higher is better)": ("IoU", "Dice"),
        "Losses (lower is better)": ("train loss", "val loss"),
    }
    for axis, (title, names) in zip(axes, panels.items(), strict=True):
        width = 0.8 / len(table)
        for i, (label, row) in enumerate(table.iterrows()):
            where = np.arange(len(names)) + (i - (len(table) - 1) / 2) * width
            bars = axis.bar(
                where,
                [_value(row[n]) for n in names],
                width * 0.92,
                label=label,
                color=colours(table.index)[label],
            )
            _whiskers(axis, [row[n] for n in names], where)
            _label(axis, bars, [row[n] for n in names])
        axis.set_xticks(range(len(names)), names)
        axis.set_title(title)
        axis.margins(y=0.15)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def radar(table: pd.DataFrame) -> Figure:
    """Four axes from 0 to 1 on which more is better; a loss enters as exp(-loss), and its axis says so."""
    axes_of = {"IoU": "IoU", "Dice": "Dice", "exp(−train loss)": "train loss", "exp(−val loss)": "val loss"}
    angles = np.linspace(0, 2 * np.pi, len(axes_of), endpoint=False)
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4.8), subplot_kw={"polar": True})
    for label, row in table.iterrows():
        values = [_value(row[c]) if c in SCORE_COLUMNS else np.exp(-_value(row[c])) for c in axes_of.values()]
        colour = colours(table.index)[label]
        axis.plot([*angles, angles[0]], [*values, values[0]], color=colour, label=label)
        axis.fill(angles, values, color=colour, alpha=0.2)
    axis.set_xticks(angles, axes_of)
    for label, side in zip(axis.get_xticklabels(), ("left", "center", "right", "center"), strict=True):
        label.set_horizontalalignment(side)
    axis.set_yticks([0.25, 0.5, 0.75, 1.0])
    axis.set_ylim(0, 1)
    axis.set_rlabel_position(45)
    axis.grid(True, alpha=0.3)
    axis.set_title("More is better on every axis", pad=18)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _value(cell) -> float:
    return getattr(cell, "mean", cell)


def _label(axis, bars, cells: Sequence) -> None:
    """Each bar's mean, with the digits that its interval supports, above its whisker."""
    for bar, cell in zip(bars, cells, strict=True):
        top = np.nanmax([_value(cell), getattr(cell, "high", np.nan)])
        text = f"{_value(cell):.{getattr(cell, 'digits', 2)}f}"
        where = (bar.get_x() + bar.get_width() / 2, top)
        axis.annotate(text, where, (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8)


def _whiskers(axis, cells: Sequence, where: Sequence[float] | None = None) -> None:
    for x, cell in zip(range(len(cells)) if where is None else where, cells, strict=True):
        if getattr(cell, "low", np.nan) < getattr(cell, "high", np.nan):
            axis.errorbar(
                x,
                cell.mean,
                [[cell.mean - cell.low], [cell.high - cell.mean]],
                color="black",
                capsize=3,
                lw=1,
            )


def _words(column: str) -> str:
    part, name = column.split("_", 1)
    return f"{'training' if part == 'train' else 'validation'} {'Dice' if name == 'dice' else name}"
