"""Explorers for JupyterLab: the images of a data set, and what models predict. Elsewhere each is one picture.

In a front end with a person before it a cell that ends in one of these functions shows controls. In a headless run
(papermill, nbconvert) there is no one to move them: no widget is made, and the cell shows what the controls would show
first. The output of the former holds both, so that a page made of it has the picture.
"""

from collections.abc import Mapping, Sequence

from seglib.data.core import Dataset
from seglib.explore.display import Shown, has_front_end, png
from seglib.explore.predictions import START, Predictions
from seglib.explore.samples import Samples
from seglib.runs import Run

__all__ = ["dataset", "predictions"]


def dataset(splits: Dataset) -> Shown:
    """The images of a data set with their masks: filtered by split, class and foreground area, one after another."""
    samples = Samples(splits)
    picture = png(samples.figure(samples.table.index[0]))
    if not has_front_end():
        return Shown(picture)
    from seglib.explore.browsers import SampleBrowser

    return Shown(picture, SampleBrowser(samples))


def predictions(groups: Mapping[str, Sequence[Run]], splits: Dataset) -> Shown:
    """What the models make of each test image, two side by side, at any threshold.

    Args: groups — label → runs (seeds); splits — the data that they were tested on.
    Raises: ValueError if a run was tested on other images.
    """
    explored = Predictions(groups, splits)
    compared = [group[0] for group in groups.values()]
    first, last = compared[0], compared[-1]
    row = explored.order(first, START, last)[0]
    picture = png(explored.figure(row, list(dict.fromkeys([first, last]))))
    if not has_front_end():
        return Shown(picture)
    from seglib.explore.browsers import PredictionExplorer

    return Shown(picture, PredictionExplorer(explored))
