"""Charts of what accuracy costs: scores against sizes and operations, and against the encoder's learning rate."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from seglib.plots.sheets import stacked
from seglib.plots.style import PALETTE, WIDTH, colours

MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # of a network's rows, the same for all networks
APART = 0.012  # of an axis' length: rows of equal cost are drawn so far from each other
NAME = 22  # letters of a line of a network's options
RADII = (10, 18, 28, 40, 54, 70, 90)  # points from a point to its name; the nearest free place is taken
ANGLES = np.deg2rad([90, 270, 0, 180, 45, 135, 315, 225, 68, 112, 248, 292])


def against_cost(table: pd.DataFrame, score: str, costs: Mapping[str, str]) -> Figure:
    """A score with its interval against each cost, on a logarithmic axis; the rows of a network joined by a line.

    Args: table — as `costs.table` gives it; costs — column → what its axis says. Rows without a score are left out.
    """
    table = table[[not np.isnan(cell.mean) for cell in table[score]]]
    regimes = list(dict.fromkeys(_regime(label, network) for label, network in table["network"].items()))
    markers = {regime: MARKERS[i % len(MARKERS)] for i, regime in enumerate(regimes)}
    figure, axes = plt.subplots(len(costs), 1, figsize=(WIDTH, 4.0 * len(costs)), sharey=True, squeeze=False)
    found = {axis: _places(table, cost) for axis, cost in zip(axes[:, 0], costs, strict=True)}
    for (axis, places), text in zip(found.items(), costs.values(), strict=True):
        axis.set(xscale="log", xlabel=f"{text} (logarithmic)", ylabel=f"{score} (mean per image)")
        axis.set_xlim(*_limits(places))
        _decades(axis)
        for _, rows in table.groupby("network", sort=False):
            _joined(axis, rows, places, score, markers)
        axis.margins(y=0.25)
    handles = [plt.Line2D([], [], color="0.35", marker=m, ls="", label=regime) for regime, m in markers.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    figure.draw_without_rendering()  # so that places on the page are known
    for axis, places in found.items():
        _name(axis, {label: (places[label], table[score][label]) for label in table.index}, table["network"])
    return figure


def _regime(label: str, network: str) -> str:
    return label.removeprefix(f"{network}, ")


def _places(table: pd.DataFrame, cost: str) -> dict[str, float]:
    """Where each row stands on the axis: at its cost, those of one network a little apart."""
    values = table[cost].astype(float)
    length = max(np.log10(values.max() / values.min()), 1.0)
    places = {}
    for _, rows in table.groupby("network", sort=False):
        for i, label in enumerate(rows.index):
            places[label] = values[label] * 10 ** (APART * length * (i - (len(rows) - 1) / 2))
    return places


def _limits(places: Mapping[str, float]) -> tuple[float, float]:
    low, high = min(places.values()), max(places.values())
    room = max(0.12 * np.log10(high / low), 0.2, (1 - np.log10(high / low)) / 2)  # a decade at least
    return low * 10**-room, high * 10**room


def _decades(axis: Axes) -> None:
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(_short))
    axis.grid(True, axis="x", alpha=0.3)


def _short(value: float, _: int) -> str:
    return ticker.EngFormatter(sep=" ")(value) if value >= 1000 else f"{value:g}"


def _joined(axis: Axes, rows: pd.DataFrame, places: Mapping, score: str, markers: Mapping[str, str]) -> None:
    shades = colours(list(rows.index))
    cells = rows[score]
    axis.plot([places[label] for label in rows.index], [c.mean for c in cells], color=shades[rows.index[0]], lw=1)
    for label, cell in cells.items():
        if cell.low < cell.high:
            axis.plot([places[label]] * 2, [cell.low, cell.high], color=shades[label], lw=1.5)
        marker = markers[_regime(label, rows["network"][label])]
        axis.plot(places[label], cell.mean, marker, color=shades[label], mec="white", mew=0.7, ms=8)


def _name(axis: Axes, points: Mapping[str, tuple], networks: pd.Series) -> None:
    """Each network's name beside the highest of its points, where it covers neither a point nor another name."""
    figure, rows = axis.figure, {network: list(part.index) for network, part in networks.groupby(networks, sort=False)}
    taken = [box for labels in rows.values() for box in _occupied(axis, [points[label] for label in labels])]
    for network, labels in rows.items():
        x, cell = max((points[label] for label in labels), key=lambda point: point[1].mean)
        text = axis.annotate(
            stacked(network, NAME), (x, cell.mean), (0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=8, linespacing=0.95, arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.7, "shrinkB": 4},
        )  # fmt: skip
        text.set_in_layout(False)
        size = text.get_window_extent(figure.canvas.get_renderer()).size
        radius, offset, box = _free(axis.transData.transform((x, cell.mean)), size, taken, axis.bbox, figure.dpi / 72)
        text.set_position(offset)
        text.arrow_patch.set_visible(radius > RADII[1])  # near its point a name needs no line to it
        taken.append(box)


def _occupied(axis: Axes, points: Sequence[tuple]) -> list[Bbox]:
    """What a network's points, their intervals and the line that joins them cover, in pixels."""
    boxes, centres = [], axis.transData.transform([(x, cell.mean) for x, cell in points])
    for (x, cell), centre in zip(points, centres, strict=True):
        boxes.append(Bbox([centre - 7, centre + 7]))
        if cell.low < cell.high:
            ends = axis.transData.transform([(x, cell.low), (x, cell.high)])
            boxes.append(Bbox([ends[0] - 3, ends[1] + 3]))
    for start, end in pairwise(centres):
        steps = np.linspace(start, end, 2 + int(np.abs(end - start).max() / 6))
        boxes += [Bbox([step - 2, step + 2]) for step in steps]
    return boxes


def _free(point: np.ndarray, size: np.ndarray, taken: Sequence[Bbox], within: Bbox, scale: float) -> tuple:
    """The nearest place for a name of this size: its distance and offset in points, and what it covers in pixels.

    Where every place covers something, the one that covers least.
    """
    tried = []
    for radius in RADII:
        for angle in ANGLES:
            direction = np.array([np.cos(angle), np.sin(angle)])
            centre = point + direction * (radius * scale + size / 2 * np.abs(direction))
            box = Bbox([centre - size / 2 - 2, centre + size / 2 + 2])
            covered = sum(_common(box, other) for other in taken) + box.width * box.height - _common(box, within)
            tried.append((covered, radius, (centre - point) / scale, box))
            if covered < 1:
                return tried[-1][1:]
    return min(tried, key=lambda found: found[0])[1:]


def _common(a: Bbox, b: Bbox) -> float:
    """The area that two boxes share."""
    width, height = np.minimum(a.max, b.max) - np.maximum(a.min, b.min)
    return max(width, 0) * max(height, 0)


def against_rate(table: pd.DataFrame, score: str) -> Figure | None:
    """A score with its interval against the encoder's learning rate; 0, held fixed, stands apart. None of no rate.

    Args: table — as `gains.rates` gives it.
    """
    if table.empty:
        return None
    parts = {"fixed": table[table["rate"] == 0], "rates": table[table["rate"] > 0].sort_values("rate")}
    parts = {name: rows for name, rows in parts.items() if len(rows)}
    figure, axes = plt.subplots(
        1, len(parts), figsize=(WIDTH, 3.4), sharey=True, squeeze=False, width_ratios=[len(r) for r in parts.values()]
    )
    for axis, (name, rows) in zip(axes[0], parts.items(), strict=True):
        x = rows["rate"].to_numpy(float)
        _intervals_at(axis, x, rows[score])
        if name == "rates":
            axis.set(xscale="log", xlim=(x.min() / 3, x.max() * 3), xlabel="learning rate of the encoder (logarithmic)")
            axis.xaxis.set_minor_locator(ticker.NullLocator())
        axis.set_xticks(x, [f"{rate:g}" if rate else "0 (frozen)" for rate in x])
        axis.margins(y=0.2)
    axes[0, 0].set_ylabel(f"{score} (mean per image)")
    return figure


def _intervals_at(axis: Axes, x: np.ndarray, cells: pd.Series) -> None:
    """Means joined by a line, their intervals, and their values above these."""
    axis.plot(x, [cell.mean for cell in cells], "o-", color=PALETTE[0], ms=7)
    for place, cell in zip(x, cells, strict=True):
        if cell.low < cell.high:
            axis.plot([place] * 2, [cell.low, cell.high], color=PALETTE[0], lw=1.5)
        top = np.nanmax([cell.mean, cell.high])
        text = f"{cell.mean:.{cell.digits}f}"
        axis.annotate(text, (place, top), (0, 5), textcoords="offset points", fontsize=8, ha="center")
