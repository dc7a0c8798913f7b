"""The same test images under many models: so many figures that names stay readable."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from seglib.plots.pictures import models_on_images

MOST = 5  # models in a figure
LETTERS = 16  # of a name's line above its column


def sheets(images, masks, preds: Mapping[str, np.ndarray], titles: Sequence[str]) -> list[Figure]:
    """Figures of `models_on_images`, each of MOST models or fewer; arguments as there."""
    labels = list(preds)
    parts = np.array_split(np.arange(len(labels)), -(-len(labels) // MOST))
    return [
        models_on_images(images, masks, {_narrow(labels[i]): preds[labels[i]] for i in part}, titles) for part in parts
    ]


def _narrow(label: str) -> str:
    """A name on short lines, broken at blanks and after underscores."""
    lines = [textwrap.wrap(re.sub("_", "_\u200b ", line), LETTERS) for line in label.split(", ")]
    return "\n".join(re.sub("_\u200b ?", "_", line) for part in lines for line in part)
