"""What every architecture here is: encode images to features, decode features to logits, and freezing."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

SMALLEST = 32  # pixels; the deepest networks here halve five times


class SegmentationModel(nn.Module, ABC):
    """A network from images to logits of the same size.

    Shape: images (N, 3, H, W) float, normalised, H and W at least 32; logits (N, num_classes, H, W), raw
        scores. In evaluation any such H and W: they are padded (at the right and the bottom, by their edge)
        to the next multiple of `multiple` and cropped back. In training they must be multiples, because
        padding would enter BatchNorm's statistics.
    """

    multiple = 32  # sizes the network itself can take are multiples of this

    def __init__(self):
        super().__init__()
        self.encoder: nn.Module | None = None  # the part with weights learned elsewhere, if there is one
        self.encoder_is_frozen = self.statistics_drift = False

    @abstractmethod
    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The features that `decode` needs, high resolution first. With a pre-trained encoder: all that
        freezing holds fixed, and nothing that is trained."""

    @abstractmethod
    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Logits (N, num_classes, *size) from the features of images of that size; changes neither."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the images.

        Raises: ValueError for images that are not (N, 3, H, W) with H, W ≥ 32; in training also for a size
            that is no multiple of `multiple` and for a batch too small for BatchNorm.
        """
        self.check_size(images)
        height, width = images.shape[-2:]
        pad_y, pad_x = -height % self.multiple, -width % self.multiple
        if pad_y or pad_x:
            images = F.pad(images, (0, pad_x, 0, pad_y), mode="replicate")
        try:
            logits = self.decode(self.encode(images), images.shape[-2:])
        except ValueError as error:  # asking BatchNorm afterwards costs a step nothing
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"a training batch of {len(images)} image of {height}×{width} leaves a BatchNorm of "
                f"{type(self).__name__} one value per channel, which has no variance; use a batch_size that leaves "
                "at least 2 images for the last batch of an epoch, or a larger image_size"
            ) from error
        return logits[..., :height, :width]

    def check_size(self, images: torch.Tensor) -> None:
        """Raises what `forward` says of the shape of images in the mode the model is in."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images have shape {tuple(images.shape)}, expected (N, 3, H, W)")
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST:
            raise ValueError(f"images of {height}×{width} are too small; the least is {SMALLEST}×{SMALLEST}")
        if self.training and (height % self.multiple or width % self.multiple):
            fitting = max(height, width) + -max(height, width) % self.multiple
            raise ValueError(
                f"training images of {height}×{width} are not multiples of {self.multiple}, as "
                f"{type(self).__name__} needs; use image_size={fitting}"
            )

    def freeze_encoder(self, statistics: bool = True) -> "SegmentationModel":
        """Fixes the encoder: no gradients, and its BatchNorm in evaluation whatever mode the model is in.

        Args: statistics — False leaves the encoder in the model's mode, so that BatchNorm's statistics drift.
        Raises: ValueError if the architecture has no encoder with weights of its own.
        """
        if self.encoder is None:
            raise ValueError(f"{type(self).__name__} has no pre-trained encoder to freeze; use encoder: fine_tune")
        self.encoder.requires_grad_(False)
        self.encoder_is_frozen, self.statistics_drift = True, not statistics
        return self.train(self.training)

    def train(self, mode: bool = True) -> "SegmentationModel":
        super().train(mode)
        if self.encoder_is_frozen and not self.statistics_drift:
            self.encoder.eval()
        return self

    def trained_state(self) -> dict[str, torch.Tensor]:
        """The part of `state_dict()` that training can change: all of it, or all but a frozen encoder."""
        state = self.state_dict()
        if self.encoder_is_frozen and not self.statistics_drift:
            state = {name: tensor for name, tensor in state.items() if not name.startswith("encoder.")}
        return state

    def decoder_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters that are not the encoder's."""
        encoder = {id(p) for p in self.encoder.parameters()} if self.encoder is not None else set()
        return (p for p in self.parameters() if id(p) not in encoder)
