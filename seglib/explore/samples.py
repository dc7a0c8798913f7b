"""What the dataset browser knows: every image with its classes and foreground area, and its picture."""

import numpy as np
import pandas as pd

from seglib import exploration, metrics
from seglib.data.core import IGNORE_INDEX, Dataset
from seglib.plots import layers
from seglib.plots.overlay import OPACITY

ANY, NONE = -1, -2  # instead of a class: whatever is in the mask; nothing is


class Samples:
    """A data set, image by image.

    `table` has one row per image, split by split: split, row (its place there), image, area (share that is foreground,
    in %). `shares` (images, classes) holds the share of each class, in %.
    """

    def __init__(self, splits: Dataset):
        self.splits, self.classes = splits, exploration.foreground_classes(splits)
        self.table = exploration.foreground_areas(splits)
        self.table["row"] = np.concatenate([np.arange(len(split)) for split in splits.splits().values()])
        self.shares = 100 * np.concatenate([
            (truth & valid).float().mean((-2, -1)).numpy()
            for split in splits.splits().values()
            for _, masks in split.batches()
            for truth, valid in [metrics.one_hot(masks, splits.task, splits.num_classes)]
        ])  # fmt: skip
        if self.table.empty:
            raise ValueError(f"{splits.source} has no images to look at")

    def chosen(
        self, split: str | None = None, shown_class: int = ANY, low: float = 0.0, high: float = 100.0
    ) -> list[int]:
        """Rows of the table in a split (None: any) that hold a class (its channel, ANY or NONE) and have such an area.

        Args: low, high — of the foreground's area, in %, both included.
        """
        keep = self.table["area"].between(low, high).to_numpy()
        if split is not None:
            keep = keep & (self.table["split"] == split).to_numpy()
        if shown_class == NONE:
            keep = keep & (self.table["area"] == 0).to_numpy()
        elif shown_class != ANY:
            keep = keep & (self.shares[:, shown_class] > 0)
        return list(np.flatnonzero(keep))

    def figure(self, index: int, opacity: float = OPACITY):
        """The image, and the image under its mask in class colours with a legend: a matplotlib figure."""
        split, row = self._place(index)
        layer = layers.of_classes(split.masks[row], self.classes)
        return layers.layers(split.images[row], self.table["image"][index], {self._title(index): layer}, opacity)

    def sentence(self, index: int) -> str:
        """The image's name, split, sizes, and how much of it each class covers."""
        entry: pd.Series = self.table.loc[index]
        split, row = self._place(index)
        side, file = split.images.shape[-1], self.splits.files.get(entry["image"])
        size = f"{side}×{side} px" + (f" (file {file.width}×{file.height})" if file else " (drawn at its size)")
        channels = [self.splits.class_names.index(name) for name in self.classes]
        shares = [f"{n} {self.shares[index, c]:.1f} %" for n, c in zip(self.classes, channels, strict=True)]
        ignored = 100 * float((split.masks[row] == IGNORE_INDEX).float().mean())
        if ignored:
            shares.append(f"ignored {ignored:.1f} %")
        return f"{entry['split']}: {entry['image']}, {size}; {', '.join(shares)}"

    def _place(self, index: int):
        entry = self.table.loc[index]
        return self.splits.splits()[entry["split"]], int(entry["row"])

    def _title(self, index: int) -> str:
        return f"mask, {self.table['area'][index]:.1f} % foreground"
