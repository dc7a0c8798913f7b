"""What is in a data set: counts, sizes, class shares, mask areas, colours, odd images. Tensors in, frames out."""

from collections.abc import Iterator

import pandas as pd
import torch

from seglib import atomic, metrics, paths
from seglib.config import Config
from seglib.data.augment import augment
from seglib.data.core import NORMALISATION, Dataset, Split
from seglib.words import markdown

FLAT = 2.0  # standard deviation over an image, of 255, below which it shows nothing
DARK, BRIGHT = 8, 247  # mean brightness beyond which it hardly shows anything
LISTED = 8  # names given of the images that a check found


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


def sizes(dataset: Dataset) -> pd.DataFrame:
    """Sizes of the image files before they are resized, the commonest first: one row per width × height."""
    found = pd.Series([f"{file.width}×{file.height}" for file in dataset.files.values()], dtype=object)
    table = found.value_counts().to_frame("images")
    if len(table) > LISTED:
        rest = pd.DataFrame({"images": [table["images"][LISTED:].sum()]}, index=[f"{len(table) - LISTED} other sizes"])
        table = pd.concat([table[:LISTED], rest])
    if not dataset.files:
        table = pd.DataFrame({"images": [sum(map(len, dataset.splits().values()))]}, index=["drawn at its size"])
    return table


def image_statistics(dataset: Dataset) -> pd.DataFrame:
    """Mean and standard deviation over images of each image's own mean and contrast, per channel, in 0 to 255."""
    rows = {}
    for name, split in dataset.splits().items():
        means, contrasts = _brightness(split)
        for channel, label in enumerate(("red", "green", "blue")):
            mean, contrast = means[:, channel], contrasts[:, channel]
            rows[name, label] = {"mean": mean.mean().item(), "std over images": mean.std().item()}
            rows[name, label]["contrast within an image"] = contrast.mean().item()
    return pd.DataFrame.from_dict(rows, orient="index").round(1)


def checks(dataset: Dataset) -> pd.DataFrame:
    """What is odd about an image and yet no error: one row per check, with how many images failed it, and which.

    Files that cannot be read, wrong sizes and foreign mask values are errors before any page is made.
    """
    rows = {}
    for check, failed in _failed(dataset).items():
        names = [dataset.splits()[split].names[row] for split, row in failed]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        rows[check] = {"images": len(names), "which": ", ".join(names[:LISTED]) + more}
    return pd.DataFrame.from_dict(rows, orient="index")


def failing(dataset: Dataset, count: int) -> tuple[list, list, list[str]]:
    """Images, masks and titles of those that failed a check, `count` of each check at most."""
    shown = [(check, *place) for check, failed in _failed(dataset).items() for place in failed[:count]]
    parts = [(dataset.splits()[split], row, f"{split}: {check}") for check, split, row in shown]
    titles = [f"{part.names[row]}\n{title}" for part, row, title in parts]
    return [part.images[row] for part, row, _ in parts], [part.masks[row] for part, row, _ in parts], titles


def _failed(dataset: Dataset) -> dict[str, list[tuple[str, int]]]:
    """Check → the images that failed it, as (split, row)."""
    failed: dict[str, list[tuple[str, int]]] = {
        "one flat colour": [], "nearly black or white": [], "mask without foreground": [],
        "mask of foreground alone": [], "mask ignored as a whole": [],
    }  # fmt: skip
    remarked: dict[str, list[tuple[str, int]]] = {}
    has_background = dataset.task != "multiclass" or "background" in dataset.class_names
    for name, split in dataset.splits().items():
        means, contrasts = _brightness(split)
        area = torch.cat([f.flatten(1).sum(1) for f in _foreground(dataset, split)])
        valid = torch.cat([valid.any(1).flatten(1).sum(1) for _, valid in _one_hot(dataset, split)])
        flat, level = contrasts.amax(1) < FLAT, means.mean(1)
        found = (flat, ~flat & ((level < DARK) | (level > BRIGHT)), (area == 0) & (valid > 0),
                 (area == valid) & (valid > 0) & has_background, valid == 0)  # fmt: skip
        for places, where in zip(failed.values(), found, strict=True):
            rows = where.nonzero().flatten().tolist()
            places += [(name, row) for row in rows if "~" not in split.names[row]]  # a copy may lack what its image has
        for row, image in enumerate(split.names):
            if image in dataset.files and dataset.files[image].remark:
                remarked.setdefault(dataset.files[image].remark, []).append((name, row))
    return failed | remarked


def augmented(dataset: Dataset, config: Config, count: int, epochs: int = 4) -> dict[str, tuple]:
    """The first training images as they are stored and as training sees them: title → (images uint8, masks).

    With `augmented_copies` the fixed copies take the place of the epochs; without augmentation there is nothing after.
    """
    originals = len(dataset.train) // (1 + config.augmented_copies)
    indices = torch.arange(min(count, originals))
    images, masks = dataset.train.images[indices], dataset.train.masks[indices]
    shown = {"as stored": (images, masks)}
    if config.augmented_copies:
        for copy in range(1, min(config.augmented_copies, epochs) + 1):
            rows = indices + copy * originals
            shown[f"copy {copy}"] = dataset.train.images[rows], dataset.train.masks[rows]
    elif config.augments:
        fill = torch.tensor(NORMALISATION[config.normalisation][0])
        for epoch in range(epochs):
            changed = augment(images.float() / 255, masks, indices, epoch, config, fill)
            shown[f"epoch {epoch + 1}"] = (changed[0] * 255).round().byte(), changed[1]
    return shown


def save_splits(dataset: Dataset, study: str) -> str:
    """Writes which image is in which split beside the study's report; the file's name."""
    rows = [f"{split},{name}" for split, part in dataset.splits().items() for name in part.names]
    file = paths.report(study) / "splits.csv"
    atomic.write(file, "\n".join(["split,image", *rows]) + "\n")
    return file.name


def mean_images(dataset: Dataset) -> dict[str, torch.Tensor]:
    """The training set's mean image (3, S, S) and its mean foreground (S, S), both in [0, 1]."""
    sums = sum(images.float().sum(0) for images, _ in dataset.train.batches())
    foreground = sum(f.float().sum(0) for f in _foreground(dataset, dataset.train))
    return {"mean image": sums / len(dataset.train) / 255, "mean foreground": foreground / len(dataset.train)}


def foreground_classes(dataset: Dataset) -> dict[str, int]:
    """All classes but background, in order: name → its value in a mask, or its plane."""
    first = 1 if dataset.task == "binary" else 0
    return {name: i for i, name in enumerate(dataset.class_names, start=first) if name != "background"}


def _foreground(dataset: Dataset, split: Split) -> Iterator[torch.Tensor]:
    """Whether a pixel is of any class but background, batch by batch: (n, S, S) bool."""
    skip = 1 if dataset.class_names[0] == "background" else 0
    for truth, valid in _one_hot(dataset, split):
        yield (truth & valid)[:, skip:].any(1)


def _one_hot(dataset: Dataset, split: Split) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for _, masks in split.batches():
        yield metrics.one_hot(masks, dataset.task, dataset.num_classes)


def _class_pixels(dataset: Dataset, split: Split) -> torch.Tensor:
    return torch.cat([(truth & valid).sum((-2, -1)) for truth, valid in _one_hot(dataset, split)])


def _valid_pixels(dataset: Dataset, split: Split) -> torch.Tensor:
    return torch.cat([valid.sum((-2, -1)) for _, valid in _one_hot(dataset, split)])


def _brightness(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each image's channels, both (N, 3), in 0 to 255."""
    rows = []
    for images, _ in split.batches():
        pixels = images.float().flatten(2)
        rows.append((pixels.mean(2), pixels.std(2)))
    means, deviations = zip(*rows, strict=True)
    return torch.cat(means), torch.cat(deviations)


def in_words(dataset: Dataset):
    """What notebook 01 found, as Markdown."""
    areas = foreground_areas(dataset)
    train = areas[areas["split"] == "train"]["area"]
    sizes = ", ".join(f"{len(split)} for {name}" for name, split in dataset.splits().items())
    empty = int((areas["area"] == 0).sum())
    found = f"`{dataset.source}` gives {len(areas)} images ({sizes}). "
    if dataset.task == "multiclass" and dataset.class_names[0] != "background":
        shares = class_balance(dataset).loc["train"]
        return markdown(
            f"{found}No class is background: pictures and galleries take the first, {dataset.class_names[0]}, for it. "
            f"A model that calls every pixel {shares.idxmax()} is right at {shares.max():.1f} % of the labelled "
            "training pixels and has found nothing: hence IoU and Dice, and the floors in every comparison."
        )
    return markdown(
        f"{found}In the training part the foreground covers {train.mean():.1f} % of an image on average, from "
        f"{train.min():.1f} % to {train.max():.1f} %; {empty} of all images have none. A model that calls every pixel "
        f"background is right at {100 - train.mean():.1f} % of the training pixels and has found nothing: hence IoU "
        "and Dice, and the floors in every comparison."
    )
