"""From stored uint8 images to logits: batches of a split, augmented and normalised on the device."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator

import torch

from seglib.config import Config
from seglib.data.augment import augment
from seglib.data.core import NORMALISATION, Split
from seglib.feed import Feed
from seglib.memory import Budget, constant

Forward = Callable[[torch.Tensor], torch.Tensor]  # images (N, 3, H, W) → logits
Pulse = Callable[[], None]  # called again and again while work goes on: to save it, or to stop it


def no_pulse() -> None:
    """Watches nothing."""


class Images:
    """A split as batches of images for a model.

    Args: forward — what makes logits of prepared images: the model, or a compiled form of it; budget — of what
        may be resident, here and elsewhere.
    """

    def __init__(self, split: Split, config: Config, device: torch.device, forward: Forward, budget: Budget):
        self.feed, self.config, self.device, self.forward = Feed(split, device, budget), config, device, forward

    def __len__(self) -> int:
        return self.feed.size

    def batches(self, parts: Iterable[torch.Tensor], epoch: int | None = None) -> Iterator[tuple]:
        """(indices, images, target) for each part: augmented as in that epoch, or as they are without one."""
        for indices, images, masks in self.feed.batches(parts):
            if epoch is None:
                yield indices, prepare(images, self.config), masks
            else:
                yield indices, *training_batch(images, masks, indices, self.config, draw(self.config, epoch))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        with autocast(self.config, self.device):
            return self.forward(images)


def draw(config: Config, epoch: int) -> int:
    """Which draw of the augmentation an epoch has: its own, unless a frozen encoder has only some `feature_views`."""
    return epoch % config.feature_views if config.encoder == "frozen" and config.feature_views else epoch


def training_batch(
    images: torch.Tensor, masks: torch.Tensor, indices: torch.Tensor, config: Config, epoch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The augmented images and targets of these indices of the split in this epoch."""
    if not is_augmented(config):
        return prepare(images, config), masks
    fill = constant(NORMALISATION[config.normalisation][0], images.device)
    images, masks = augment(images.float() / 255, masks, indices, epoch, config, fill)
    return normalise(images, config), masks


def passes(batch: torch.Tensor, config: Config) -> tuple[torch.Tensor, ...]:
    """A batch of indices as the parts that go through the model one after another, of about the same size."""
    largest = math.ceil(config.batch_size / config.accumulate)
    return batch.tensor_split(math.ceil(len(batch) / largest))


def is_augmented(config: Config) -> bool:
    """Whether what the model is trained on differs from epoch to epoch."""
    return config.augments and not config.augmented_copies  # copies are among the images already


def prepare(images: torch.Tensor, config: Config) -> torch.Tensor:
    """Images (N, 3, H, W) uint8 → float32, normalised, in the config's memory format."""
    return normalise(images.float() / 255, config)


def normalise(images: torch.Tensor, config: Config) -> torch.Tensor:
    """Images (N, 3, H, W) float in [0, 1] → normalised, in the config's memory format."""
    mean, std = (constant(v, images.device).view(1, 3, 1, 1) for v in NORMALISATION[config.normalisation])
    return ((images - mean) / std).contiguous(memory_format=memory_format(config))


def memory_format(config: Config) -> torch.memory_format:
    return torch.channels_last if config.channels_last else torch.contiguous_format


def autocast(config: Config, device: torch.device) -> contextlib.AbstractContextManager:
    """The context of a forward pass in the config's precision."""
    return torch.autocast(device.type, torch.bfloat16) if config.precision == "bfloat16" else contextlib.nullcontext()


def compiled(function: Callable, config: Config) -> Callable:
    """A model, or a method of it, as the config runs it; a kernel for each shape, whichever shape came first."""
    return function if config.compile == "none" else torch.compile(function, mode=config.compile, dynamic=False)
