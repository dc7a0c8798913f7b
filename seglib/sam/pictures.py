"""What the page on Segment Anything draws: prompts on images, and everyone's masks side by side."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd

from seglib import gallery, plots, scores
from seglib.exploration import foreground_classes
from seglib.sam import outputs, prompts
from seglib.sam.comparison import Comparison, Found
from seglib.sam.masks import Question, boxes_of, objects, true_channels
from seglib.sam.table import asked

LETTERS = 18  # of a name's line above its column


def chosen(compared: Comparison, count: int) -> tuple[list[int], list[str]]:
    """Positions of the worst, median and best test images of our best model by IoU, and their titles."""
    found = scores.per_image(compared.groups[compared.best][0])
    kinds = gallery.extremes(found, count, "IoU")
    return [i for part in kinds.values() for i in part], gallery.titles(found, kinds)


def given(compared: Comparison, positions: Sequence[int], titles: Sequence[str]):
    """The prompts of these images, one column per source, and the moved boxes; SAM is not needed for them."""
    names = foreground_classes(compared.dataset)
    truth, task = true_channels(compared.dataset).numpy(), compared.dataset.task
    true = [objects(truth[i], task) for i in positions]
    ours = [objects(compared.ours[i], task) for i in positions]
    images = [compared.dataset.test.names[i] for i in positions]
    moved = [q for q in compared.questions if q.jitter]
    still = Question(prompts.TRUE_BOX)
    none = [[]] * len(true)
    columns = {
        prompts.named(prompts.AUTOMATIC): (true, [[_grid(compared)]] * len(true), none),
        prompts.named(prompts.POINT): (true, [[prompts.points(plane) for plane in part] for part in true], none),
    }
    for text, planes, questions in (
        (prompts.named(prompts.TRUE_BOX), true, [still]), (prompts.OUR_BOX, ours, [still]),
        ("the true box, moved", true, [still, *moved]),
    ):  # fmt: skip
        boxes = [
            [np.concatenate([boxes_of(q, plane, image, k) for q in questions]) for k, plane in enumerate(part)]
            for part, image in zip(planes, images, strict=True)
        ]
        columns[text] = (planes, none, boxes)
    return plots.prompts(compared.dataset.test.images[list(positions)], columns, titles, list(names))


def _grid(compared: Comparison) -> np.ndarray:
    """The points of the automatic masks' grid, (n², 2)."""
    count = next(q.points for q in compared.questions if q.source == prompts.AUTOMATIC)
    places = (np.arange(count) + 0.5) * compared.dataset.test.images.shape[-1] / count
    return np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)


def intervals(compared: Comparison, found: Found, table_of_scores: pd.DataFrame, names: Sequence[str]):
    """`plots.intervals` of rows in the colours of their checkpoints; filled are those without an oracle."""
    of = asked(found)
    tints = plots.checkpoint_tints(list(found), list(compared.groups))
    free = [label for label in table_of_scores.index if label not in of or of[label][1].source not in prompts.ORACLES]
    own = {label: tints[name] for label, (name, _) in of.items()}
    return plots.intervals(table_of_scores, names, dict.fromkeys(names, free), own)


def side_by_side(compared: Comparison, found: Found, positions: Sequence[int], titles: Sequence[str]) -> list:
    """One figure per checkpoint that was run: image, truth, ours, and its masks by source of the prompts; of the filled
    boxes where none was run."""
    names, test = foreground_classes(compared.dataset), compared.dataset.test
    rows = list(positions)
    ours = {_above("ours:", compared.best): _shown(compared.ours, compared)[rows]}
    ran = {name: answers for name, answers in found.items() if name != outputs.BOX} or found
    figures = []
    for name, answers in ran.items():
        masks = {
            _above(f"{name}:", prompts.named(q.source)): _shown(run.predictions(), compared)[rows]
            for q, run in answers.items()
            if not q.jitter
        }
        figures.append(plots.models_on_images(test.images[rows], test.masks[rows], ours | masks, titles, names))
    return figures


def _shown(pred: np.ndarray, compared: Comparison) -> np.ndarray:
    """As pictures take predictions: the foreground (N, S, S) of one class, the channels of several."""
    several = len(foreground_classes(compared.dataset)) > 1
    return pred if several else pred[:, 1 if compared.dataset.task == "multiclass" else 0 :].any(1)


def _above(first: str, name: str) -> str:
    """What stands above a column, on short lines."""
    return "\n".join([first, *textwrap.wrap(name, LETTERS)])
