"""One look for all figures: colours that all kinds of colour vision tell apart, sizes, labels at the ends of lines."""

import io
import re
import sys
import textwrap
import warnings
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by every kind of colour vision, without black, which is left to text, and three
# dark ones of Tol's; yellow, which is faint as a line on white, comes last
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#882255", "#332288", "#999933", "#F0E442")
GREY = "#999999"  # background, and what stands behind for reference
ERRORS = {"true positive": "#009E73", "false positive": "#D55E00", "false negative": "#56B4E9"}
WIDTH = 9.0  # inches: the text's width on a laptop screen and, scaled, on paper
SMALLEST = 7  # points of the smallest text
SMALL_IMAGE = 160  # pixels of the longer side, up to which a figure shows an image enlarged
FEW = 4  # lines or polygons that share axes; more have small multiples

mpl.rcParams.update({
    "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True, "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
    "grid.alpha": 0.3, "axes.axisbelow": True, "legend.frameon": False, "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "text.parse_math": False,  # names may hold a $
    "axes.titlesize": 10, "axes.titleweight": "bold", "hatch.linewidth": 0.5,
    "svg.fonttype": "path",  # letters as outlines: the same on a machine without this font
    "svg.hashsalt": "seglib",  # the same figure gives the same bytes
})  # fmt: skip


# A sign that the font lacks is drawn as a box; the tables have the name whole.
warnings.filterwarnings("ignore", r"Glyph \d+ [\s\S]*missing from font", UserWarning)


def as_svg(figure: Figure) -> str | None:
    """A figure as SVG, the same text each time; none of an empty one. A page makes its photographs small."""
    if not figure.axes:
        return None
    for image in (image for axis in figure.axes for image in axis.images):
        if max(image.get_size()) <= SMALL_IMAGE:
            image.set_interpolation("none")  # stored in its own pixels and enlarged by who shows it: far fewer bytes
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    # of a path's places two decimals of a point are kept: a third of the size, and nothing to be seen
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), buffer.getvalue())


def _show_vector() -> None:
    """Makes a Jupyter kernel show charts as SVG beside PNG, so that pages and PDFs have them as lines and letters."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell and hasattr(shell, "kernel"):
        import matplotlib_inline.backend_inline  # noqa: F401  sets its own formatters once, when it comes

        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, as_svg)


_show_vector()

# of one network's rows, none twice in twelve: towards white, or (negative) towards black
SHADES = (0.0, 0.45, -0.35, 0.65, -0.6, 0.25, -0.18, 0.75, -0.75, 0.35, -0.48, 0.55)
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))  # of its lines, for those who see no shades
HATCHES = ("", "///", "...", "xxx")  # of its bars, where networks are more than the palette has colours
_known: dict[str, list[str]] = {}  # network → its labels, in the order in which they came


def assign_colours(labels: Sequence[str]) -> None:
    """Gives a study's labels their colours, in this order, so that a label has the same one in each of its notebooks.

    A network (see `network_and_row`) has a colour, and its rows are shades of it. Networks beyond the
    palette's ten take its colours again, in another shade, with other dashes and hatched.
    """
    _known.clear()
    colours(labels)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Label → colour; one that `assign_colours` did not name gets the next."""
    return {label: _shaded(PALETTE[_place(label)[0] % len(PALETTE)], _variant(label)) for label in labels}


def dashes(labels: Sequence[str]) -> dict[str, object]:
    """Label → line style, by its place among its network's rows."""
    return {label: DASHES[_variant(label) % len(DASHES)] for label in labels}


def hatches(labels: Sequence[str]) -> dict[str, str]:
    """Label → hatch of its bars: none for the first ten networks."""
    return {label: HATCHES[_place(label)[0] // len(PALETTE) % len(HATCHES)] for label in labels}


def _place(label: str) -> tuple[int, int]:
    """A label's network, and its place among the rows of this network, as numbers."""
    network, _ = network_and_row(label)
    rows = _known.setdefault(network, [])
    if label not in rows:
        rows.append(label)
    return list(_known).index(network), rows.index(label)


def network_and_row(label: str) -> tuple[str, str]:
    """`net (channels=[8, 4]), frozen` → `net (channels=[8, 4])`, `frozen`: apart at the first comma not in brackets."""
    depth = 0
    for i, letter in enumerate(label):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            return label[:i], label[i + 1 :].strip()
    return label, ""


def _variant(label: str) -> int:
    network, row = _place(label)
    return row + 2 * (network // len(PALETTE))


def _shaded(colour: str, variant: int) -> str:
    shade = SHADES[variant % len(SHADES)]
    target = np.array([1.0, 1, 1]) if shade > 0 else np.zeros(3)
    return mpl.colors.to_hex((1 - abs(shade)) * np.array(mpl.colors.to_rgb(colour)) + abs(shade) * target)


def ink(colour: str) -> str:
    """The colour, darkened until text in it reads on white (contrast of at least 4.5, WCAG 2 AA)."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    while 1.05 / (_luminance(rgb) + 0.05) < 4.5:
        rgb = 0.9 * rgb
    return mpl.colors.to_hex(rgb)


def _luminance(rgb: np.ndarray) -> float:
    return float(np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Foreground class → colour; orange comes first, since it stands out on skin and on photographs.

    Classes beyond the palette's ten have its colours darker, then lighter.
    """
    turned = PALETTE[1:] + PALETTE[:1]
    order = (0, 2, 1, 4, 3)  # of SHADES: the pure colour, darker, lighter
    return {name: _shaded(turned[i % 10], order[i // 10 % len(order)]) for i, name in enumerate(names)}


def wrapped(label: str, width: int = 30) -> str:
    """A model's name on lines of about `width` characters, so that a chart beside it keeps its room."""
    if len(label) <= width:
        return label
    longest = max(map(len, label.split()))  # a name is broken inside a word only where it is far too long
    lines = textwrap.wrap(label, width, break_on_hyphens=False, break_long_words=longest > 1.5 * width)
    return "\n".join(lines)


def row_names(table: pd.DataFrame, width: int = 30) -> list[str]:
    """A table's rows by name for a chart; what has not learned (its column `learned` is false) is marked."""
    learned = table["learned"] if "learned" in table else [None] * len(table)
    marks = ["\n(not learned)" if cell is False or cell is np.False_ else "" for cell in learned]
    return [wrapped(label, width) + mark for label, mark in zip(table.index, marks, strict=True)]


def bare(axes: np.ndarray) -> None:
    """Takes ticks, grid and frame from axes that hold pictures."""
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> np.ndarray:
    """Places for labels, each as near to the one it wants as they can all be without overlapping, in the same order.

    Args: wanted — centres; sizes — of the labels, in the same unit; low, high — what they must stay within. Where they
        do not fit into it they are squeezed evenly, since no arrangement is without overlap.
    Least squares under order and distance: the pool-adjacent-violators algorithm on the places less the distances.
    """
    wanted, sizes = np.asarray(wanted, float), np.asarray(sizes, float)
    if not len(wanted):
        return wanted
    order = np.argsort(wanted, kind="stable")
    ends = sizes[order]
    if (total := ends.sum()) > high - low:
        ends = ends * (high - low) / total
    before = np.concatenate([[0.0], np.cumsum((ends[1:] + ends[:-1]) / 2)])  # the least distance from the first one
    pools: list[list[float]] = []  # [sum, count] of neighbours that share a shift
    for value in wanted[order] - before:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    shifts = np.concatenate([np.full(int(count), total / count) for total, count in pools])
    first, last = low + ends[0] / 2, high - ends[-1] / 2 - before[-1]
    places = np.empty(len(wanted))
    places[order] = np.clip(shifts, first, max(first, last)) + before
    return places


def label_ends(axis, ends: Mapping[str, tuple[float, float]], tints: Mapping[str, str], width: int = 24) -> None:
    """Names lines at their ends, right of the axes, in their colour and without overlaps; a thin line leads there.

    To be called last, after the legend: what is drawn later may change how high the axes are.

    Args: ends — name → the line's last point, in data units; a point that is not finite stands at the bottom.
    """
    names = {name: wrapped(name, width) for name in ends}
    axis.figure.draw_without_rendering()  # the layout decides how high the axes are
    height = axis.get_window_extent().height / axis.figure.dpi * 72  # points
    lines = np.array([text.count("\n") + 1 for text in names.values()])
    to_axes = axis.transData + axis.transAxes.inverted()
    wanted = np.array([to_axes.transform(point)[1] for point in ends.values()])
    wanted = np.clip(np.nan_to_num(wanted, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    places = spread(wanted, (lines * SMALLEST * 1.2 + 3) / height, -0.1, 1.1)
    for (name, point), place in zip(ends.items(), places, strict=True):
        lead = {"arrowstyle": "-", "color": tints[name], "lw": 0.6, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
        axis.annotate(
            names[name], point, (1.04, place), textcoords="axes fraction", va="center", ha="left", fontsize=SMALLEST,
            color=ink(tints[name]), arrowprops=lead if np.isfinite(point).all() else None, annotation_clip=False,
        )  # fmt: skip
