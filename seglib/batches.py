"""From stored uint8 images to what a model takes: on the device, a whole batch at once."""

import torch

from seglib.config import Config
from seglib.data.augment import augment
from seglib.data.core import Split
from seglib.randomness import uniforms

NORMALISATION = {  # mean and std per channel, of images scaled to [0, 1]
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),
    "raw": ((0.0,) * 3, (1.0,) * 3),
}


def resident(split: Split, device: torch.device) -> Split:
    return Split(split.names, split.images.to(device), split.masks.to(device))


def training_batch(
    split: Split, indices: torch.Tensor, config: Config, epoch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The augmented images and targets of these indices in this epoch."""
    return augment(
        prepare(split.images[indices], config),
        split.masks[indices],
        uniforms(config.seed, epoch, indices, 3),
        horizontal=config.horizontal_flip,
        vertical=config.vertical_flip,
        rotation=config.rotation,
    )


def prepare(images: torch.Tensor, config: Config) -> torch.Tensor:
    """Images (N, 3, H, W) uint8 → float32, normalised, in the config's memory format."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in NORMALISATION[config.normalisation])
    memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
    return ((images.float() / 255 - mean) / std).contiguous(memory_format=memory_format)
