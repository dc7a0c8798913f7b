"""What every data source promises, and what it hands to training: uint8 images and class ids, split by name."""

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch

SPLITS = ("train", "val", "test")
IGNORE_INDEX = 255  # in a target, never in a file: a source maps what its files hold to target values
BORDER = 254  # in a stored mask: the border that annotators drew, until a rule gives it a target value
LOOKED_AT = 4_000_000  # pixels of a split at once
VAL_FRACTION = 0.1  # of the official training part, where a set has no validation part of its own

NORMALISATION = {  # mean and std per channel, of images scaled to [0, 1]
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "raw": ((0.0,) * 3, (1.0,) * 3),
}


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

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and masks a few at a time, so that a split larger than memory can be looked at."""
        few = max(1, LOOKED_AT // self.images[0, 0].numel()) if len(self) else 1
        return zip(self.images.split(few), self.masks.split(few), strict=True)


class File(NamedTuple):
    """What the reading of an image file showed."""

    width: int  # pixels, as a viewer shows them
    height: int
    remark: str  # what had to be done to read it; empty if nothing


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
    files: Mapping[str, "File"] = field(default_factory=dict)  # image → what its file showed; none if generated

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def splits(self) -> dict[str, Split]:
        return {name: getattr(self, name) for name in SPLITS}


def overfitted(dataset: Dataset, count: int) -> Dataset:
    """The first `count` training images as train, val and test at once: can a model learn these at all?

    Raises: ValueError if there are fewer.
    """
    if count > len(dataset.train):
        raise ValueError(f"overfit: {count} images wanted, but train has {len(dataset.train)}")
    part = Split(dataset.train.names[:count], dataset.train.images[:count], dataset.train.masks[:count])
    note = f"Sanity check on {count} training images. {dataset.note}".strip()
    return replace(dataset, note=note, train=part, val=part, test=part, border_targets={})


class Source(ABC):
    """Where images and masks come from.

    A source is made from a `seglib.config.Config`: its task, border rule, number of images per split (0 = all),
    folds and data seed. It knows its samples by split and name, and decodes one at a time; the splits follow here
    from the official parts, so that they are made alike for every source.
    """

    tasks: tuple[str, ...] = ("binary",)
    generated = False  # drawn and not read: as many images as are asked for
    border_rules: Mapping[str, int] = {}  # rule → target value of BORDER, where masks hold it

    def __init__(self, config):
        self.config, self.task = config, config.task
        self.seen: dict[str, File] = {}  # image → what its file showed, noted while decoding

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the logit channels: the foreground alone if binary, with background first if multiclass."""

    @abstractmethod
    def parts(self) -> dict[str, list[str]]:
        """All samples of the official parts, in a fixed order: train, test and, where there is one, val."""

    @abstractmethod
    def sample(self, split: str, name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One image (3, size, size) uint8 and its mask, as `Split` holds them but for BORDER."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of all that decides the images and masks, whatever their size."""

    def check_content(self) -> None:
        """Raises ValueError for what no name and no single file can tell, once all of them were read."""
        return

    @abstractmethod
    def note(self) -> str:
        """What a reader must know of these images; empty if nothing."""

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """The samples of each split.

        Raises: ValueError for a name in more than one split, or more images wanted than there are.
        """
        splits = divide(self.parts(), self.config.folds, self.config.fold)
        seen = Counter(name for names in splits.values() for name in names)
        if twice := [name for name, count in seen.items() if count > 1]:
            raise ValueError(f"{self.config.dataset}: in more than one split: {', '.join(sorted(twice)[:5])}")
        if self.generated:
            return splits
        return {split: first(names, getattr(self.config, f"{split}_images")) for split, names in splits.items()}

    def names(self, split: str) -> list[str]:
        """The samples of a split, in a fixed order."""
        return self.members[split]


def unusable(what: str, problems: Sequence[str]) -> ValueError:
    """The error that lists every file that cannot be used, each with its reason."""
    problems = sorted(set(problems))
    lines = "".join(f"\n  {problem}" for problem in problems)
    return ValueError(f"{what}: {len(problems)} problem{'s' * (len(problems) > 1)} in the files:{lines}")


def divide(parts: Mapping[str, Sequence[str]], folds: int = 0, fold: int = 0) -> dict[str, list[str]]:
    """Official parts → train, val and test. Nothing of test ever enters the others.

    Without a val part, a tenth of train is held out. With `folds`, train and val together are cut into that many
    parts by hash of the name, and val is number `fold` of them.
    Raises: ValueError if there are more folds than names.
    """
    train, val, test = (sorted(parts.get(split, ())) for split in SPLITS)
    if folds:
        pool = by_hash([*train, *val])
        if len(pool) < folds:
            raise ValueError(f"folds: {folds} of {len(pool)} images cannot be made; use fewer folds")
        val = sorted(pool[fold::folds])
        train = sorted(set(pool) - set(val))
    elif "val" not in parts:
        train, val = hold_out(train)
    return {"train": train, "val": val, "test": test}


def by_hash(names: Sequence[str]) -> list[str]:
    """The names in an order that depends on each name alone, the same on every machine."""
    return sorted(names, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))


def hold_out(names: Sequence[str], fraction: float = VAL_FRACTION) -> tuple[list[str], list[str]]:
    """Divides names into (train, val): the first `fraction` of them by hash, one at least, whatever the order given."""
    held = set(by_hash(names)[: max(round(fraction * len(names)), len(names) > 1)])
    return sorted(n for n in names if n not in held), sorted(n for n in names if n in held)


def first(names: Sequence[str], wanted: int) -> list[str]:
    """`wanted` of the names, the same ones for the same names and spread over them; all of them for 0.

    Raises: ValueError if there are fewer.
    """
    if wanted > len(names):
        raise ValueError(f"{wanted} images wanted, but the split has {len(names)}; use 0 for all of them")
    return sorted(by_hash(names)[:wanted]) if wanted else list(names)
