"""Fixed augmented copies of the training images: made once, stored like the originals, the same in every epoch."""

import torch

from seglib import digest
from seglib.config import Config
from seglib.data import augment, store
from seglib.data.core import NORMALISATION, Dataset, Split

BATCH = 64  # images made at once; changes speed and memory alone
FIELDS = ("seed", "augmented_copies", "normalisation", "horizontal_flip", "vertical_flip", "rotation", "crop",
          "color_jitter", "noise", "joint_transforms")  # fmt: skip


def extended(dataset: Dataset, config: Config) -> Split:
    """The training part followed by `augmented_copies` copies of each image, named after it: `ISIC_1` → `ISIC_1~1`.

    Copy k of image i is a function of (seed, k, i). No image of validation or test is copied.
    """
    name = name_of(dataset.source, dataset.task, dataset.fingerprint, config)
    folder = store.stored(name, lambda scratch: _build(dataset.train, config, scratch))
    numbers = range(1, config.augmented_copies + 1)
    names = (*dataset.train.names, *(f"{name}~{k}" for k in numbers for name in dataset.train.names))
    return Split(names, store.opened(folder / "images.npy"), store.opened(folder / "masks.npy"))


def name_of(source: str, task: str, fingerprint: str, config: Config) -> str:
    """What the store calls the folder of these copies."""
    chosen = {field: getattr(config, field) for field in FIELDS}
    code = digest.of_code(["seglib.data.augment"])
    key = digest.of_value([store.FORMAT, fingerprint, code, [task, config.image_size, config.border], chosen])[:24]
    return f"{source}-copies-{key}"


def _build(train: Split, config: Config, scratch) -> None:
    count, fill = len(train), torch.tensor(NORMALISATION[config.normalisation][0])
    total = count * (1 + config.augmented_copies)
    images = store.created(scratch / "images.npy", (total, *train.images.shape[1:]))
    masks = store.created(scratch / "masks.npy", (total, *train.masks.shape[1:]))
    for indices in torch.arange(count).split(BATCH):
        images[indices.numpy()], masks[indices.numpy()] = train.images[indices].numpy(), train.masks[indices].numpy()
        for number in range(1, config.augmented_copies + 1):
            made = augment.copies(train.images[indices], train.masks[indices], indices, number, config, fill)
            rows = (indices + number * count).numpy()
            images[rows], masks[rows] = (tensor.numpy() for tensor in made)
