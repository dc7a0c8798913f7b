"""Learning curves: of one model, of several rows named at their ends, or a panel for each network."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seglib.plots.sheets import stacked
from seglib.plots.style import GREY, PALETTE, WIDTH, colours, dashes, ink, label_ends, network_and_row

NAMES = {"train_loss": "training loss", "val_loss": "validation loss", "val_dice": "validation Dice"}
RING = {"marker": "o", "mfc": "none", "ms": 6, "ls": "none"}  # around the chosen epoch
COLUMNS = 3  # of panels
TITLE = 28  # letters of a panel title's line

Histories = Mapping[str, Sequence[tuple[pd.DataFrame, int]]]  # label → (history, chosen epoch), one for each seed


def curves(histories: Sequence[pd.DataFrame], best_epochs: Sequence[int]) -> Figure:
    """Loss and validation Dice per epoch: a thin line per seed, their mean, the chosen epochs ringed.

    Args: histories — one frame per seed: epoch, train_loss, val_loss, val_dice; best_epochs — the one kept, from 1.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    tints = {name: PALETTE[i] for i, name in enumerate(NAMES.values())}
    seeds, ends = list(zip(histories, best_epochs, strict=True)), {}
    for axis, columns in ((left, ("train_loss", "val_loss")), (right, ("val_dice",))):
        ends[axis] = {NAMES[column]: _seeds(axis, seeds, column, tints[NAMES[column]]) for column in columns}
        _finish(axis, columns[-1])
        axis.set(xlabel="epoch", title="Loss" if axis is left else "Dice")
    _legend(figure, len(seeds) > 1)
    for axis, named in ends.items():
        label_ends(axis, named, tints, 10)
    return figure


def curves_of_rows(histories: Histories, columns: Sequence[str] = ("val_loss", "val_dice")) -> Figure:
    """A panel per column of the histories; a line per row, the mean of its seeds, with its name at the end.

    Each seed has a thin line, on which its chosen epoch is ringed. Rows of one network alone are named without it.
    """
    size = (WIDTH, max(2.6, 0.9 + 0.35 * len(histories)) * len(columns))
    figure, axes = plt.subplots(len(columns), 1, figsize=size, sharex=True, squeeze=False)
    networks, tints = {network_and_row(label)[0] for label in histories}, colours(list(histories))
    names = {label: (network_and_row(label)[1] if len(networks) == 1 else "") or label for label in histories}
    ends = {}
    for axis, column in zip(axes[:, 0], columns, strict=True):
        ends[axis] = {name: _row(axis, label, histories[label], column) for label, name in names.items()}
        _finish(axis, column)
        axis.set_title(NAMES[column][0].upper() + NAMES[column][1:])
    axes[-1, 0].set_xlabel("epoch")
    if len(networks) == 1:
        figure.suptitle(*networks, fontsize=10, fontweight="bold")
    _legend(figure, max(map(len, histories.values())) > 1)
    for axis, named in ends.items():
        label_ends(axis, named, {name: tints[label] for label, name in names.items()})
    return figure


def curves_by_network(histories: Histories, column: str = "val_dice") -> Figure:
    """A panel per network: each of its rows as the mean of its seeds, a thin line per seed, chosen epochs ringed; all
    other rows in grey behind them."""
    networks: dict[str, list[str]] = {}
    for label in histories:
        networks.setdefault(network_and_row(label)[0], []).append(label)
    across = min(COLUMNS, len(networks))
    down = -(-len(networks) // across)
    size = (WIDTH if across == COLUMNS else WIDTH * across / 2, 2.5 * down + 0.4)
    figure, axes = plt.subplots(down, across, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, (network, labels) in zip(axes.flat, networks.items(), strict=False):
        for label in [label for label in histories if label not in labels]:
            epochs, mean = _mean(histories[label], column)
            axis.plot(epochs, mean, color=GREY, alpha=0.35, lw=0.8)
        for label in labels:
            _row(axis, label, histories[label], column, network_and_row(label)[1] or label)
        _finish(axis, column)
        axis.set(title=stacked(network, TITLE), ylabel="")
        axis.title.set_fontsize(9)
        axis.legend(fontsize=7, loc="best")
    for axis in axes.flat[len(networks) :]:
        axis.set_visible(False)
    for axis in axes.flat[max(len(networks) - across, 0) : len(networks)]:  # the lowest of each column
        axis.set_xlabel("epoch")
        axis.tick_params(labelbottom=True)
    figure.supylabel(f"{NAMES[column]} (mean per image)", fontsize=10)
    _legend(figure, max(map(len, histories.values())) > 1)
    return figure


def _row(axis: Axes, label: str, seeds: Sequence, column: str, name: str = "") -> tuple[float, float]:
    """`_seeds` in the row's own colour and dashes."""
    return _seeds(axis, seeds, column, colours([label])[label], dashes([label])[label], name)


def _seeds(axis: Axes, seeds: Sequence, column: str, tint: str, style="-", name: str = "") -> tuple[float, float]:
    """Draws one quantity of one model; where its mean line ends: (epoch, value)."""
    epochs, mean = _mean(seeds, column)
    marker = "." if len(epochs) < 2 else None  # a line of one epoch would not show
    axis.plot(epochs, mean, color=tint, ls=style, lw=1.8, marker=marker, label=name or None)
    for history, best in seeds:
        if len(seeds) > 1:
            axis.plot(history["epoch"], history[column], color=tint, lw=0.7, alpha=0.6)
        axis.plot(best, history[column].iloc[best - 1], **RING, mec=ink(tint), zorder=5, clip_on=False)
    return float(epochs[-1]), float(mean[-1])


def _mean(seeds: Sequence[tuple[pd.DataFrame, int]], column: str):
    """The epochs that every seed has, and the mean over seeds in each."""
    common = min(len(history) for history, _ in seeds)
    mean = sum(history[column].iloc[:common].to_numpy() for history, _ in seeds) / len(seeds)
    return seeds[0][0]["epoch"].iloc[:common].to_numpy(), mean


def _finish(axis: Axes, column: str) -> None:
    axis.set_ylabel("mean per image")
    axis.set_ylim(bottom=0, top=1 if column == "val_dice" else None)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _legend(figure: Figure, several: bool) -> None:
    """What ring and thin lines are."""
    handles = [Line2D([], [], **RING, mec="black", label="chosen epoch")]
    if several:
        handles.append(Line2D([], [], color="black", lw=0.7, alpha=0.6, label="one seed"))
        handles.append(Line2D([], [], color="black", lw=1.8, label="mean over seeds"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
