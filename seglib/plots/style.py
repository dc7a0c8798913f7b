"""One look for all figures: colours that every kind of colour vision tells apart, sizes, grid."""

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np

# Okabe and Ito's colours, told apart by every kind of colour vision, without black, which is left to text, and three
# dark ones of Tol's; charts of more models name their lines as well
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#882255", "#332288", "#999933")
GREY = "#999999"  # background
ERRORS = {"true positive": "#009E73", "false positive": "#D55E00", "false negative": "#56B4E9"}
WIDTH = 9.0  # inches: the text's width on a laptop screen and, scaled, on paper

mpl.rcParams.update({
    "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True, "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
    "grid.alpha": 0.3, "axes.axisbelow": True, "legend.frameon": False, "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "text.parse_math": False,  # names may hold a $
    "axes.titlesize": 10, "axes.titleweight": "bold",
})  # fmt: skip


SHADES = (0.0, 0.45, -0.35, 0.65, -0.6)  # of one network's rows: towards white, or (negative) towards black
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))  # of its lines, for those who see no shades
_known: dict[str, list[str]] = {}  # network → its labels, in the order in which they came


def assign_colours(labels: Sequence[str]) -> None:
    """Gives a study's labels their colours, in this order, so that a label has the same one in each of its notebooks.

    A network (what stands before the first comma) has a colour, and its rows are shades of it.
    """
    _known.clear()
    colours(labels)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Label → colour; one that `assign_colours` did not name gets the next."""
    return {label: _shaded(*_place(label)) for label in labels}


def dashes(labels: Sequence[str]) -> dict[str, object]:
    """Label → line style, by its place among its network's rows."""
    return {label: DASHES[_place(label)[1] % len(DASHES)] for label in labels}


def _place(label: str) -> tuple[int, int]:
    """A label's network, and its place among the rows of this network, as numbers."""
    network = label.partition(",")[0]
    rows = _known.setdefault(network, [])
    if label not in rows:
        rows.append(label)
    return list(_known).index(network), rows.index(label)


def _shaded(network: int, row: int) -> str:
    shade = SHADES[row % len(SHADES)]
    target = np.array([1.0, 1, 1]) if shade > 0 else np.zeros(3)
    colour = np.array(mpl.colors.to_rgb(PALETTE[network % len(PALETTE)]))
    return mpl.colors.to_hex((1 - abs(shade)) * colour + abs(shade) * target)


def wrapped(label: str, width: int = 30) -> str:
    """A model's name on lines of about `width` characters, so that a chart beside it keeps its room."""
    return label if len(label) <= width else "\n".join(textwrap.wrap(label, width))


def bare(axes: np.ndarray) -> None:
    """Takes ticks, grid and frame from axes that hold pictures."""
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Foreground class → colour; orange comes first, since it stands out on skin and on photographs."""
    turned = PALETTE[1:] + PALETTE[:1]
    return {name: turned[i % len(turned)] for i, name in enumerate(names)}
