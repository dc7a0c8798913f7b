"""One look for all figures: colours that every kind of colour vision tells apart, sizes, grid."""

import textwrap
from collections.abc import Sequence

import matplotlib as mpl

# Okabe and Ito's colours, told apart by every kind of colour vision; black is left to text
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8C564B")
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


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Label → colour, the same for the same list of labels in every figure."""
    return {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}


def wrapped(label: str, width: int = 30) -> str:
    """A model's name on lines of about `width` characters, so that a chart beside it keeps its room."""
    return label if len(label) <= width else "\n".join(textwrap.wrap(label, width))


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Foreground class → colour; orange comes first, since it stands out on skin and on photographs."""
    turned = PALETTE[1:] + PALETTE[:1]
    return {name: turned[i % len(turned)] for i, name in enumerate(names)}
