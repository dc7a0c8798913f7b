"""What is in a data set: counts, class shares, mask areas, colours. Tensors in, frames out."""

from collections.abc import Iterator

import pandas as pd
import torch

from seglib import metrics
from seglib.data.core import Dataset, Split


def counts(dataset: Dataset) -> pd.DataFrame:
    """One row per split: images, and how many of them hold each class at all."""
    rows = {}
    for name, split in dataset.splits().items():
        present = _class_pixels(dataset, split).gt(0).sum(0)
        held = {f"with {c}": int(n) for c, n in zip(dataset.class_names, present, strict=True)}
        rows[name] = {"images": len(split), **held}
    return pd.DataFrame.from_dict(rows, orient="index")


def class_balance(dataset: Dataset) -> pd.DataFrame:
    """Share of the valid pixels per class (columns) and split (rows), in %; the rest is background."""
    rows = {}
    for name, split in dataset.splits().items():
        shares = _class_pixels(dataset, split).sum(0) / _valid_pixels(dataset, split).sum(0)
        rows[name] = dict(zip(dataset.class_names, (100 * shares).tolist(), strict=True))
        if dataset.task == "binary":
            rows[name] = {"background": 100 - sum(rows[name].values()), **rows[name]}
    return pd.DataFrame.from_dict(rows, orient="index")


def foreground_areas(dataset: Dataset) -> pd.DataFrame:
    """Share of each image that is foreground, in %: columns split, image, area."""
    frames = []
    for name, split in dataset.splits().items():
        area = torch.cat([f.float().mean((-2, -1)) for f in _foreground(dataset, split)])
        frames.append(pd.DataFrame({"split": name, "image": split.names, "area": 100 * area.numpy()}))
    return pd.concat(frames, ignore_index=True)


def image_statistics(dataset: Dataset) -> pd.DataFrame:
    """Mean and standard deviation over images of each image's own mean and contrast, per channel, in 0 to 255."""
    rows = {}
    for name, split in dataset.splits().items():
        pixels = split.images.float().flatten(2)
        for channel, label in enumerate(("red", "green", "blue")):
            means, contrast = pixels[:, channel].mean(1), pixels[:, channel].std(1)
            rows[name, label] = {"mean": means.mean().item(), "std over images": means.std().item()}
            rows[name, label]["contrast within an image"] = contrast.mean().item()
    return pd.DataFrame.from_dict(rows, orient="index").round(1)


def mean_images(dataset: Dataset) -> dict[str, torch.Tensor]:
    """The training set's mean image (3, S, S) and its mean foreground (S, S), both in [0, 1]."""
    sums = sum(batch.float().sum(0) for batch in dataset.train.images.split(256))
    foreground = sum(f.float().sum(0) for f in _foreground(dataset, dataset.train))
    return {"mean image": sums / len(dataset.train) / 255, "mean foreground": foreground / len(dataset.train)}


def _foreground(dataset: Dataset, split: Split) -> Iterator[torch.Tensor]:
    """Whether a pixel is of any class but background, batch by batch: (n, S, S) bool."""
    skip = 1 if dataset.task == "multiclass" else 0  # class 0 is background there
    for masks in split.masks.split(256):
        truth, valid = metrics.one_hot(masks, dataset.task, dataset.num_classes)
        yield (truth & valid)[:, skip:].any(1)


def foreground_classes(dataset: Dataset) -> tuple[str, ...]:
    """The names of all classes but background, in order."""
    return tuple(name for name in dataset.class_names if name != "background")


def _class_pixels(dataset: Dataset, split: Split) -> torch.Tensor:
    batches = (metrics.one_hot(m, dataset.task, dataset.num_classes) for m in split.masks.split(256))
    return torch.cat([(truth & valid).sum((-2, -1)) for truth, valid in batches])


def _valid_pixels(dataset: Dataset, split: Split) -> torch.Tensor:
    batches = (metrics.one_hot(m, dataset.task, dataset.num_classes) for m in split.masks.split(256))
    return torch.cat([valid.sum((-2, -1)) for _, valid in batches])
