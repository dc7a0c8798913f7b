"""From stored uint8 images to what a model takes: on the device, a whole batch at once."""

import torch

from seglib.config import Config
from seglib.data.augment import augment
from seglib.data.core import NORMALISATION, Split


def resident(split: Split, device: torch.device) -> Split:
    return Split(split.names, split.images.to(device), split.masks.to(device))


def training_batch(
    split: Split, indices: torch.Tensor, config: Config, epoch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The augmented images and targets of these indices in this epoch."""
    images, masks = split.images[indices], split.masks[indices]
    if not config.augments or config.augmented_copies:  # copies are among the images already
        return prepare(images, config), masks
    fill = torch.tensor(NORMALISATION[config.normalisation][0], device=images.device)
    images, masks = augment(images.float() / 255, masks, indices, epoch, config, fill)
    return normalise(images, config), masks


def prepare(images: torch.Tensor, config: Config) -> torch.Tensor:
    """Images (N, 3, H, W) uint8 → float32, normalised, in the config's memory format."""
    return normalise(images.float() / 255, config)


def normalise(images: torch.Tensor, config: Config) -> torch.Tensor:
    """Images (N, 3, H, W) float in [0, 1] → normalised, in the config's memory format."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in NORMALISATION[config.normalisation])
    memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
    return ((images - mean) / std).contiguous(memory_format=memory_format)
