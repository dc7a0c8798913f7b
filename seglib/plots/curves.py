"""Learning curves: loss and Dice per epoch, of one model under its seeds and of several models."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seglib.plots.style import FEW, PALETTE, WIDTH, colours, dashes, ink, label_ends

NAMES = {"train_loss": "training loss", "val_loss": "validation loss", "val_dice": "validation Dice"}
RING = {"marker": "o", "mfc": "none", "ms": 6, "ls": "none"}  # around the chosen epoch


def curves(histories: Sequence[pd.DataFrame], best_epochs: Sequence[int]) -> Figure:
    """Loss and validation Dice per epoch: a thin line per seed, their mean, the chosen epochs ringed.

    Args: histories — one frame per seed: epoch, train_loss, val_loss, val_dice; best_epochs — the one kept, from 1.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    ends_of, tints = {}, {NAMES[column]: PALETTE[i] for i, column in enumerate(NAMES)}
    for axis, columns in ((left, ("train_loss", "val_loss")), (right, ("val_dice",))):
        ends = {NAMES[column]: _seeds(axis, histories, best_epochs, column, tints[NAMES[column]]) for column in columns}
        _finish(axis, "loss" if axis is left else "Dice")
        ends_of[axis] = ends
    _legend(figure, "chosen epoch", len(histories) > 1)
    for axis, ends in ends_of.items():
        label_ends(axis, ends, tints, 10)
    return figure


def curves_by_model(
    histories: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]], chosen: Mapping[str, Sequence[int]] | None = None
) -> Figure:
    """Validation loss and Dice per epoch, one colour per model, named at its end: the mean over seeds, and of up to
    four models a thin line per seed.

    Args: histories — model → one frame per seed (or the one frame); chosen — model → its seeds' chosen epochs, ringed
        on their lines, or on the mean where seeds have none.
    """
    frames = {name: [each] if isinstance(each, pd.DataFrame) else list(each) for name, each in histories.items()}
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, max(3.4, 0.26 * len(frames) + 0.9)))
    tints, styles, thin = colours(list(frames)), dashes(list(frames)), len(frames) <= FEW
    for axis, column in zip(axes, ("val_loss", "val_dice"), strict=True):
        ends = {
            name: _seeds(axis, seeds, (chosen or {}).get(name, ()), column, tints[name], styles[name], thin)
            for name, seeds in frames.items()
        }
        _finish(axis, NAMES[column])
    several = max(map(len, frames.values())) > 1
    _legend(figure, ("chosen epoch" if thin else "chosen epoch of a seed") if chosen else "", several and thin)
    label_ends(axes[1], ends, tints)
    return figure


def _seeds(axis, histories: Sequence[pd.DataFrame], best: Sequence[int], column: str, tint: str, style="-", thin=True):
    """Draws one quantity of one model; where its mean line ends: (epoch, value)."""
    common = min(map(len, histories))  # the epochs that every seed has
    mean = sum(history[column].iloc[:common].to_numpy() for history in histories) / len(histories)
    epochs = histories[0]["epoch"].iloc[:common].to_numpy()
    axis.plot(epochs, mean, color=tint, ls=style, lw=1.8, marker="." if common < 2 else None)
    for history in histories if len(histories) > 1 and thin else ():
        axis.plot(history["epoch"], history[column], color=tint, lw=0.7, alpha=0.6)
    for history, epoch in zip(histories, best, strict=False):
        height = history[column].iloc[epoch - 1] if thin else mean[min(epoch, common) - 1]
        axis.plot(epoch if thin else min(epoch, common), height, **RING, mec=ink(tint), zorder=5)
    return float(epochs[-1]), float(mean[-1])


def _finish(axis, title: str) -> None:
    dice = title.endswith("Dice")
    axis.set(xlabel="epoch", ylabel="mean per image", title=title[0].upper() + title[1:])
    axis.set_ylim(bottom=0, top=1 if dice else None)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _legend(figure: Figure, ring: str, thin: bool) -> None:
    handles = [Line2D([], [], **RING, mec="black", label=ring)] if ring else []
    if thin:
        handles.append(Line2D([], [], color="black", lw=0.7, alpha=0.6, label="one seed"))
        handles.append(Line2D([], [], color="black", lw=1.8, label="mean over seeds"))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
