"""What every data source promises, and what it hands to training: uint8 images and class ids, split by name."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

SPLITS = ("train", "val", "test")
IGNORE_INDEX = 255  # in a target, never in a file: a source maps what its files hold to target values
VAL_FRACTION = 0.1  # of the official training part, where a set has no validation part of its own


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Shape: images (N, 3, S, S) uint8 RGB; masks uint8 (N, S, S) holding class ids, or (N, C, S, S) holding 0 and 1
    for planes; `IGNORE_INDEX` counts nowhere.
    """

    names: tuple[str, ...]
    images: torch.Tensor
    masks: torch.Tensor

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Dataset:
    """A source at one image size, decoded: what a run trains, chooses and tests on."""

    source: str
    task: str
    class_names: tuple[str, ...]  # channels of the model's logits, in order
    note: str  # what a reader must know of these images (generated, a subset); empty if nothing
    fingerprint: str
    train: Split
    val: Split
    test: Split
    # Test targets under each rule for the border that annotators drew (foreground, background, ignore), shaped as
    # test.masks; empty for a source whose masks have no such border.
    border_targets: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def splits(self) -> dict[str, Split]:
        return {name: getattr(self, name) for name in SPLITS}


class Source(ABC):
    """Where images and masks come from.

    A source is made from (task, images, seed): the wanted number of images per split (0 = all) and the seed of
    generated ones. It knows its samples by split and name, and decodes one at a time.
    """

    tasks: tuple[str, ...] = ("binary",)

    def __init__(self, task: str, images: Mapping[str, int], seed: int):
        self.task, self.wanted, self.seed = task, dict(images), seed

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the logit channels: the foreground alone if binary, with background first if multiclass."""

    @abstractmethod
    def names(self, split: str) -> list[str]:
        """The samples of a split, in a fixed order. Raises FileNotFoundError if the data are not there."""

    @abstractmethod
    def sample(self, split: str, name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One image (3, size, size) uint8 and its mask, as `Split` holds them."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of all that decides the images and masks, whatever their size."""

    @abstractmethod
    def note(self) -> str:
        """What a reader must know of these images; empty if nothing."""


def by_hash(names: Sequence[str]) -> list[str]:
    """The names in an order that depends on each name alone, the same on every machine."""
    return sorted(names, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))


def hold_out(names: Sequence[str], fraction: float = VAL_FRACTION) -> tuple[list[str], list[str]]:
    """Divides names into (train, val): the first `fraction` of them by hash is val, whatever the order given."""
    held = set(by_hash(names)[: round(fraction * len(names))])
    return sorted(n for n in names if n not in held), sorted(n for n in names if n in held)


def first(names: Sequence[str], wanted: int) -> list[str]:
    """`wanted` of the names, the same ones for the same names and spread over them; all of them for 0.

    Raises: ValueError if there are fewer.
    """
    if wanted > len(names):
        raise ValueError(f"{wanted} images wanted, but the split has {len(names)}; use 0 for all of them")
    return sorted(by_hash(names)[:wanted]) if wanted else list(names)
