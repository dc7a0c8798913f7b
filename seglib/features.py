"""What a frozen encoder makes of a split, computed once for each draw of the augmentation and kept.

An encoder without gradients and with BatchNorm in evaluation gives the same features in every epoch. Training
on the kept ones runs the decoder alone and ends in the same numbers: features are computed in parts that depend
on the split alone, never on the order of an epoch or on where a run was broken.
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator

import torch

from seglib import memory, paths
from seglib.batches import Images, Pulse, autocast, draw, is_augmented, no_pulse
from seglib.config import Config
from seglib.memory import Budget
from seglib.models.base import SegmentationModel

LARGEST_PART = 32  # images that are encoded at once


class FrozenImages(Images):
    """A split as batches of images for a model whose frozen encoder runs anew in every step.

    Args: model, decode — as for `Features`; the rest as for `batches.Images`.
    """

    def __init__(self, split, config: Config, device, model: SegmentationModel, decode: Callable, budget: Budget):
        super().__init__(split, config, device, model, budget)
        self.model, self.decode = model, decode

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        features = encode(self.model, images, self.config)
        with autocast(self.config, self.device):
            return self.decode(features, images.shape[-2:])


class Features:
    """A split as batches of a frozen encoder's features; takes the place of `batches.Images`.

    Args: images — the split; decode — the model's, or a compiled form of it; budget — of what may be resident;
        views — draws of the augmentation that are kept, 0 for the images as they are; pulse — called after each
        part that is encoded.
    """

    def __init__(
        self,
        images: Images,
        model: SegmentationModel,
        decode: Callable,
        budget: Budget,
        views: int = 0,
        pulse: Pulse = no_pulse,
    ):
        self.images, self.model, self.decode, self.budget, self.views = images, model, decode, budget, views
        self.pulse = pulse
        self.config, self.device = images.config, images.device
        self.kept: list[torch.Tensor] = []  # per feature (views · N, C · h · w), in the order it has in memory
        self.layouts: list[tuple] = []  # shape and strides of each feature of an image, as the encoder left it
        self.masks: torch.Tensor | None = None
        self.filled: set[int] = set()

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, parts: Iterable[torch.Tensor], epoch: int | None = None) -> Iterator[tuple]:
        """(indices, features, target) for each part, of the draw of that epoch, or of the images as they are."""
        view = 0 if epoch is None or not self.views else draw(self.config, epoch)
        if view not in self.filled:
            self._fill(view, epoch if self.views else None)
        for indices in parts:
            rows = (indices + view * len(self)).to(self.masks.device, non_blocking=True)
            features = [self._taken(kept, rows, *layout) for kept, layout in zip(self.kept, self.layouts, strict=True)]
            yield rows - view * len(self), features, self.masks[rows].to(self.device, non_blocking=True)

    def logits(self, features: list[torch.Tensor]) -> torch.Tensor:
        with autocast(self.config, self.device):
            return self.decode(features, (self.config.image_size,) * 2)

    def _fill(self, view: int, epoch: int | None) -> None:
        first = view * len(self)
        parts = torch.arange(len(self)).split(part_size(self.config))
        for _, images, target in self.images.batches(parts, epoch):
            features = encode(self.model, images, self.config)
            if not self.kept:
                self._allocate(features, target)
            rows = slice(first, first + len(images))
            first = rows.stop
            for kept, feature, (_, strides) in zip(self.kept, features, self.layouts, strict=True):
                assert feature.stride() == strides, "the encoder left its features in another order of memory"
                kept[rows] = feature.as_strided((len(feature), kept.shape[1]), (kept.shape[1], 1))
            self.masks[rows] = target
            self.pulse()
        self.filled.add(view)

    def _allocate(self, features: list[torch.Tensor], target: torch.Tensor) -> None:
        """Room for all views: on the device, else in memory, else in a file that vanishes with the process."""
        rows = max(self.views, 1) * len(self)
        needed = rows * (memory.of(*features, target) // len(target))
        place = next((d for d in (self.device, torch.device("cpu")) if self.budget.takes(needed, d)), None)
        if place is None:
            _check_disk(needed)
        self.layouts = [(f.shape[1:], f.stride()) for f in features]
        self.kept = [_room((rows, f[0].numel()), f.dtype, place) for f in features]
        self.masks = _room((rows, *target.shape[1:]), target.dtype, place)

    def _taken(self, kept: torch.Tensor, rows: torch.Tensor, shape: torch.Size, strides: tuple) -> torch.Tensor:
        """Rows as the encoder left them, strides and all: dropout fills a tensor in the order of its memory."""
        taken = kept[rows].to(self.device, non_blocking=True)
        return taken.as_strided((len(rows), *shape), strides)


@torch.no_grad()
def encode(model: SegmentationModel, images: torch.Tensor, config: Config) -> list[torch.Tensor]:
    """The features of a frozen encoder, always of the same number of images at once: of fewer or more, convolutions
    may round in another order. What is missing in a part is filled up with its own images."""
    size, parts = part_size(config), []
    for part in images.split(part_size(config)):
        filled = part if len(part) == size else part[torch.arange(size, device=part.device) % len(part)]
        with autocast(config, images.device):
            features = [feature[: len(part)] for feature in model.encode(filled)]
        # each image dense in memory, so that its numbers can be kept as one row
        parts.append([f if f.stride(0) == f[0].numel() else f.contiguous() for f in features])
    return parts[0] if len(parts) == 1 else [torch.cat(features) for features in zip(*parts, strict=True)]


def part_size(config: Config) -> int:
    """How many images are encoded at once: as many as one pass of a training step has, if those are not too many."""
    return min(LARGEST_PART, math.ceil(config.batch_size / config.accumulate))


def is_fixed(config: Config) -> bool:
    """Whether the encoder makes the same features of an image in every epoch."""
    return config.encoder == "frozen" and config.frozen_statistics


def can_be_kept(config: Config) -> bool:
    """Whether a config trains on features that come back: a fixed encoder, and draws that are few or none."""
    return is_fixed(config) and (config.feature_views > 0 or not is_augmented(config))


def _check_disk(needed: int) -> None:
    folder = paths.cache() / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if needed > (free := shutil.disk_usage(folder).free):
        raise OSError(
            f"the features of a frozen encoder need {needed / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB "
            "free; set SEGLIB_CACHE to a larger disk, or use fewer feature_views"
        )


def _room(shape: tuple[int, ...], dtype: torch.dtype, place: torch.device | None) -> torch.Tensor:
    if place is not None:
        return torch.empty(shape, dtype=dtype, device=place)
    with tempfile.NamedTemporaryFile(
        dir=paths.cache() / "features"
    ) as file:  # the name goes at once, the pages when they are let go
        return torch.from_file(file.name, shared=True, size=torch.Size(shape).numel(), dtype=dtype).view(shape)
