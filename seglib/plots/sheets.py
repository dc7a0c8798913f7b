"""The same test images under many models: so many figures that names stay readable."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from seglib.plots.pictures import models_on_images
from seglib.plots.style import network_and_row

MOST = 5  # models in a figure
LETTERS = 16  # of a name's line above its column


def sheets_of_models(images, masks, preds: Mapping[str, np.ndarray], titles: Sequence[str]) -> list[Figure]:
    """Figures of `models_on_images`, each of MOST models or fewer; arguments as there.

    Rows of one network alone are named without it.
    """
    alone = len({network_and_row(label)[0] for label in preds}) == 1
    named = [
        (_narrow(*(("", row) if alone and row else (network, row))), preds[label])
        for label, (network, row) in ((label, network_and_row(label)) for label in preds)
    ]
    parts = np.array_split(np.arange(len(named)), -(-len(named) // MOST))
    return [models_on_images(images, masks, dict(named[i] for i in part), titles) for part in parts]


def stacked(network: str, letters: int) -> str:
    """A network's name, and below it its options on lines of about so many letters."""
    name, options = re.fullmatch(r"([^(]*?)(?: (\(.*))?", network).groups()
    return "\n".join([name, *textwrap.wrap(options or "", letters)])


def _narrow(network: str, row: str) -> str:
    """A name on short lines, broken at blanks and after underscores."""
    words = [re.sub("_", "_\u200b ", part) for part in (network, row) if part]
    lines = [line for part in words for line in textwrap.wrap(part, LETTERS)]
    return "\n".join(re.sub("_\u200b ?", "_", line) for line in lines)
