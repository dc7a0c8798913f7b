"""Who is compared: the study's best models by validation, the test images, and the checkpoints that are here."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from seglib import chosen, data, names, pairwise, runs
from seglib.data.core import Dataset, Split, first
from seglib.runs import Run
from seglib.sam import checkpoints, outputs, prompts
from seglib.sam.masks import Question

CHOICE = "val_iou"  # column of a run's history: the study's models are ranked by its mean over seeds
LEAST_OF = {"models": 1, "images": 0, "points": 1, "jitter_seed": 0}  # of the notebook's whole numbers


@dataclass(frozen=True)
class Part(Run):
    """A run as it did on some of its test images, in the order of its own."""

    names: tuple[str, ...] = ()

    @functools.cached_property
    def images_by_border(self):
        whole = Run(self.folder).images_by_border
        return whole[whole["image"].isin(self.names)].reset_index(drop=True)

    def predictions(self):
        order = {name: i for i, name in enumerate(Run(self.folder).images["image"].unique())}
        return super().predictions()[[order[name] for name in self.names]]


@dataclass(frozen=True)
class Comparison:
    """What the page compares. `groups`: the study's models, the best first, on the chosen images, one `Part` per seed;
    `ranking`: all of the study's models that were validated on the same images, with `CHOICE`; `dataset`: its test part
    holds the chosen images alone."""

    study: str
    groups: dict[str, list[Run]]
    ranking: pd.DataFrame
    dataset: Dataset
    folders: dict[str, Path | None]  # checkpoint → where it is, None if it is not here
    questions: tuple[Question, ...]
    device: str
    all_images: int  # of the test part

    @property
    def best(self) -> str:
        """The label of our best model."""
        return next(iter(self.groups))

    @functools.cached_property
    def ours(self) -> np.ndarray:
        """What our best model predicts under its first seed, (N, C, S, S) bool: what `box around ours` is made from."""
        return self.groups[self.best][0].predictions()

    @property
    def ready(self) -> dict[str, Path]:
        """The checkpoints that can be run now."""
        here = {name: folder for name, folder in self.folders.items() if folder}
        return here if checkpoints.transformers_installed() else {}


def prepare(values: Mapping) -> Comparison:
    """The comparison that the notebook's parameters describe.

    Raises: as `check`; FileNotFoundError if the study has recorded no runs; ValueError for more images than there are.
    """
    check(values)
    everything = pairwise.comparable(runs.recorded(values["study"]))[0]
    alike = chosen.alike(values["study"], [run for group in everything.values() for run in group])
    everything = {label: group for label, group in everything.items() if all(run in alike for run in group)}
    ranking = ranked(everything)
    splits = data.load(next(iter(everything.values()))[0].config)
    images = first(splits.test.names, values["images"])
    groups = {
        label: [Part(run.folder, tuple(images)) for run in everything[label]]
        for label in ranking.index[: values["models"]]
    }
    points = {"points": values["points"]}
    moved = [Question(prompts.TRUE_BOX, jitter, seed=values["jitter_seed"]) for jitter in values["jitters"] if jitter]
    asked = (
        Question(prompts.AUTOMATIC, **points), Question(prompts.POINT), Question(prompts.TRUE_BOX),
        Question(prompts.OUR_BOX), *moved,
    )  # fmt: skip
    folders = {name: checkpoints.find(name) for name in values["checkpoints"]}
    return Comparison(
        values["study"], groups, ranking, only(splits, images), folders, asked, values["device"], len(splits.test)
    )


def check(values: Mapping) -> None:
    """Raises ValueError for parameters of the notebook that cannot work."""
    checkpoints.check(values["checkpoints"])
    titles = [checkpoints.title(name) for name in values["checkpoints"]]
    if len(set(titles)) < len(titles):
        raise ValueError(f"checkpoints: {', '.join(titles)}: two of one name; name a folder otherwise")
    for name, least in LEAST_OF.items():
        if values[name] < least:
            raise ValueError(f"{name} is {values[name]}, expected at least {least}")
    if wrong := [jitter for jitter in values["jitters"] if not 0 <= jitter < prompts.MOST_JITTER]:
        raise ValueError(
            f"jitters: {wrong[0]:g}, expected shares of a box's side from 0 to below {prompts.MOST_JITTER}"
        )


def ranked(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """The models by validation, the best first. Columns: CHOICE (of the chosen epoch, mean over seeds), seeds."""
    rows = {
        label: {CHOICE: float(np.mean([chosen.validation(run, CHOICE) for run in group])), "seeds": len(group)}
        for label, group in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").sort_values(CHOICE, ascending=False, kind="stable")


def only(dataset: Dataset, images: Sequence[str]) -> Dataset:
    """The data set with these of its test images alone."""
    places = {name: i for i, name in enumerate(dataset.test.names)}
    if missing := [name for name in images if name not in places]:
        raise ValueError(names.unknown("test image", missing[0], places))
    rows = torch.tensor([places[name] for name in images])
    test = Split(tuple(images), dataset.test.images[rows], dataset.test.masks[rows])
    borders = {rule: masks[rows] for rule, masks in dataset.border_targets.items()}
    return dataclasses.replace(dataset, test=test, border_targets=borders)


Found = dict[str, dict[Question, Run]]  # checkpoint's name on the page → question → answers


def asked(compared: Comparison) -> Found:
    """What every checkpoint that is here answers, and first the filled boxes, which need none."""
    best = compared.groups[compared.best][0]
    about = outputs.Asked(compared.dataset, best, compared.ours, compared.device)
    boxes = [q for q in compared.questions if q.source in (prompts.TRUE_BOX, prompts.OUR_BOX)]
    found = {outputs.BOX: outputs.answered(outputs.BOX, None, boxes, about)}
    for name, folder in compared.ready.items():
        title = checkpoints.title(name)
        found[title] = outputs.answered(title, folder, compared.questions, about)
    return found
