"""Learning curves of several rows: named at their ends, or a panel for each network; the chosen epoch is ringed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seglib.plots.sheets import network_and_row, stacked
from seglib.plots.style import GREY, WIDTH, colours, dashes, wrapped

COLUMNS = 3  # of panels
TITLE = 28  # letters of a panel title's line
AXES = {"train_loss": "training loss", "val_loss": "validation loss", "val_dice": "validation Dice"}

Histories = Mapping[str, Sequence[tuple[pd.DataFrame, int]]]  # label → (history, chosen epoch), one for each seed


def curves_of_rows(histories: Histories, columns: Sequence[str] = ("val_loss", "val_dice")) -> Figure:
    """A panel per column of the histories, a line per row with its name at the end; seeds but the first are faint."""
    size = (WIDTH, max(2.6, 0.9 + 0.35 * len(histories)) * len(columns))
    figure, axes = plt.subplots(len(columns), 1, figsize=size, sharex=True, squeeze=False)
    for axis, column in zip(axes[:, 0], columns, strict=True):
        for label, seeds in histories.items():
            _lines(axis, label, seeds, column)
        _finish(axis, column)
        _names_at_ends(axis, {label: seeds[0][0] for label, seeds in histories.items()}, column)
    axes[-1, 0].set_xlabel("epoch")
    if len(networks := {network_and_row(label)[0] for label in histories}) == 1:
        figure.suptitle(*networks, fontsize=10, fontweight="bold")
    return figure


def curves_by_network(histories: Histories, column: str = "val_dice") -> Figure:
    """A panel per network with its rows, all other rows in grey behind them; seeds but the first are faint."""
    networks: dict[str, list[str]] = {}
    for label in histories:
        networks.setdefault(network_and_row(label)[0], []).append(label)
    across = min(COLUMNS, len(networks))
    down = -(-len(networks) // across)
    size = (WIDTH if across == COLUMNS else WIDTH * across / 2, 2.5 * down)
    figure, axes = plt.subplots(down, across, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, (network, labels) in zip(axes.flat, networks.items(), strict=False):
        for label in histories.keys() - set(labels):
            history = histories[label][0][0]
            axis.plot(history["epoch"], history[column], color=GREY, alpha=0.35, lw=0.8)
        for label in labels:
            _lines(axis, label, histories[label], column)
        _finish(axis, column)
        axis.set_title(stacked(network, TITLE), fontsize=9)
        axis.legend(fontsize=7, loc="best")
    for axis in axes.flat[len(networks) :]:
        axis.set_visible(False)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(f"{AXES[column]} (mean per image)", fontsize=10)
    for axis in axes.flat:
        axis.set_ylabel("")
    return figure


def _lines(axis: Axes, label: str, seeds: Sequence[tuple[pd.DataFrame, int]], column: str) -> None:
    colour, dash = colours([label])[label], dashes([label])[label]
    for i, (history, best) in enumerate(seeds):
        name = {"label": network_and_row(label)[1] or label} if i == 0 else {"alpha": 0.35, "lw": 0.8}
        axis.plot(history["epoch"], history[column], color=colour, ls=dash, **name)
        if i == 0:
            axis.plot(best, history[column].iloc[best - 1], "o", mfc="none", mec="black", ms=7, clip_on=False)


def _finish(axis: Axes, column: str) -> None:
    axis.set_ylabel(f"{AXES[column]}\n(mean per image)")
    axis.set_ylim(bottom=0, top=1 if column == "val_dice" else None)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _names_at_ends(axis: Axes, histories: Mapping[str, pd.DataFrame], column: str) -> None:
    """Each line's name beside the axis at the height of its end, moved so far that none covers another."""
    low, high = axis.get_ylim()
    ends = {label: float(history[column].iloc[-1]) for label, history in histories.items()}
    step = (high - low) * 0.16 * 2.6 / axis.figure.get_size_inches()[1] * len(axis.figure.axes)
    heights = spread(np.array(list(ends.values())), step, low, high)
    right = max(history["epoch"].iloc[-1] for history in histories.values())
    alone = len({network_and_row(label)[0] for label in histories}) == 1
    for (label, end), height in zip(ends.items(), heights, strict=True):
        axis.annotate(
            wrapped((network_and_row(label)[1] if alone else "") or label), (histories[label]["epoch"].iloc[-1], end),
            (1.03, height), textcoords=axis.get_yaxis_transform(), fontsize=8, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6, "ls": ":", "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip
    axis.set_xlim(right=right)


def spread(wanted: np.ndarray, step: float, low: float, high: float) -> np.ndarray:
    """Heights as near to those wanted as a distance of `step` allows, in the same order, from low to high."""
    order = np.argsort(wanted, kind="stable")
    step = min(step, (high - low) / max(len(wanted) - 1, 1))
    ranks = np.arange(len(wanted)) * step
    free = np.clip(wanted[order] - ranks, low, high - ranks[-1])  # what is left once the distances are taken out
    heights = np.empty(len(wanted))
    heights[order] = _monotone(free) + ranks
    return heights


def _monotone(values: np.ndarray) -> np.ndarray:
    """The nearest values that never fall (least squares): neighbours that do are replaced by their mean."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.concatenate([np.full(count, mean) for mean, count in blocks])
