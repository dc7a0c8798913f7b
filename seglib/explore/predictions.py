"""What the prediction explorer knows: which test images to look at, what models make of them, and its score."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from seglib import exploration, metrics, scores
from seglib.data.core import Dataset
from seglib.explore import probabilities
from seglib.metrics import THRESHOLD
from seglib.plots import layers
from seglib.plots.overlay import OPACITY
from seglib.plots.style import wrapped
from seglib.runs import Run

DISAGREE = "where the two differ most"
START = "lowest Dice first"
ORDERS = {START: ("Dice", True), "highest Dice first": ("Dice", False), "largest HD95 first": ("HD95", False),
          "name": ("image", True), DISAGREE: ("gap", False)}  # fmt: skip


class Predictions:
    """The runs of a study on their test images.

    Args: groups — label → runs (seeds); splits — the data that they were tested on.
    Raises: ValueError if a run was tested on other images, or on images of another size.
    """

    def __init__(self, groups: Mapping[str, Sequence[Run]], splits: Dataset):
        self.groups, self.splits = {label: list(group) for label, group in groups.items()}, splits
        self.labels = {run: f"{label}, seed {run.config.seed}" for label, g in self.groups.items() for run in g}
        self.names = {name: splits.class_names.index(name) for name in exploration.foreground_classes(splits)}
        for run, label in self.labels.items():
            if list(run.images["image"].unique()) != list(splits.test.names):
                raise ValueError(f"{label} was not tested on these test images; load the data of its config")
            if run.config.image_size != splits.test.images.shape[-1]:
                raise ValueError(
                    f"{label} was tested at {run.config.image_size} px, these images have "
                    f"{splits.test.images.shape[-1]} px; load the data of its config"
                )
        self.tables = {run: scores.per_image(run) for run in self.labels}

    def order(self, run: Run, by: str, other: Run | None = None) -> list[int]:
        """The test images in one of ORDERS by a run's scores; what has no score comes last, ties go by name."""
        table = self.tables[run].copy()
        table["gap"] = (table["Dice"] - self.tables[other or run]["Dice"]).abs()
        column, ascending = ORDERS[by]
        return table.sort_values([column, "image"], ascending=[ascending, True], kind="stable").index.to_list()

    def start(self, run: Run) -> float:
        """The threshold at which a run's masks were cut; multiclass has none but the likeliest class."""
        return 0.0 if run.config.task == "multiclass" else THRESHOLD

    def masks(self, run: Run, row: int, threshold: float | None = None) -> np.ndarray:
        """Predicted channels of a test image, bool (C, H, W): as the run stored them, or at another threshold.

        Raises: as `probabilities.predicted`.
        """
        if threshold is None or threshold == self.start(run):
            return probabilities.stored(run)[row]
        return probabilities.predicted(run, self.splits, row, threshold)

    def scored(self, masks: np.ndarray, row: int) -> tuple[float, float]:
        """Dice and IoU of predicted channels (C, H, W) of a test image, by the rules of the run's own."""
        truth, valid = self._truth(row)
        counts = metrics.confusion(torch.from_numpy(masks)[None], truth, valid)
        return tuple(float(metrics.per_image(s, counts, self.splits.task)) for s in (metrics.dice, metrics.iou))

    def figure(
        self, row: int, shown: Sequence[Run], threshold: float | None = None,
        opacity: float = OPACITY, errors: bool | None = None,
    ):  # fmt: skip
        """The image, the truth over it, and each run's prediction with its scores: a matplotlib figure.

        Args: threshold — None for the stored masks; errors — colours for what is right and wrong of the foreground as a
            whole instead of the classes; None: where there is one class.
        """
        errors = len(self.names) == 1 if errors is None else errors
        truth, valid = (t[0].numpy() for t in self._truth(row))
        channels = list(self.names.values())
        whole, counted = truth[channels].any(0), valid[channels].all(0)
        classes = exploration.foreground_classes(self.splits)
        of_truth = layers.of_truth(whole) if errors else layers.of_classes(self.splits.test.masks[row], classes)
        over = {"ground truth": of_truth}
        for run in shown:
            pred = self.masks(run, row, threshold)
            dice, iou = self.scored(pred, row)
            label, _, seed = self.labels[run].rpartition(", ")
            title = f"{wrapped(label, 34)}\n{seed} · Dice {dice:.3f} · IoU {iou:.3f}"
            right = layers.of_errors(whole, pred[channels].any(0), counted) if errors else None
            over[title] = right or layers.of_classes(pred, self.names, whole)
        return layers.layers(self.splits.test.images[row], self.splits.test.names[row], over, opacity)

    def sentence(self, row: int, shown: Sequence[Run], threshold: float | None = None) -> str:
        """The image's name, and per run its Dice and IoU at this threshold and as the run stored them."""
        parts = []
        for run in shown:
            dice, iou = self.scored(self.masks(run, row, threshold), row)
            entry = self.tables[run].loc[row]
            parts.append(
                f"{self.labels[run]}: Dice {dice:.3f}, IoU {iou:.3f} "
                f"(stored: {entry['Dice']:.3f}, {entry['IoU']:.3f}; HD95 {entry['HD95']:.1f} px)"
            )
        return f"{self.splits.test.names[row]} — {'; '.join(parts)}"

    def _truth(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Truth and what counts, both bool (1, C, H, W)."""
        return metrics.one_hot(self.splits.test.masks[row : row + 1], self.splits.task, self.splits.num_classes)
