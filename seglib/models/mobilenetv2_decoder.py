"""MobileNetV2 with a plain decoder, report 1: no skips, the 1280 channels at stride 32 are all the decoder
sees.

Encoder: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381. Differs from the report in ending in logits
instead of a sigmoid, and in leaving out MobileNetV2's unused classifier. 9,474,913 parameters with one class
(decoder 7,251,041, encoder 2,223,872).
"""

from itertools import pairwise

import torch
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.encoders import MobileNetV2Encoder
from seglib.models.layers import conv_relu, decoder_widths, dropout_layer
from seglib.models.resize import Upsample


class DecoderBlock(nn.Sequential):
    """Conv 3×3 → BatchNorm → ReLU → bilinear ×2 → Dropout."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__(
            *conv_relu(in_channels, out_channels),
            Upsample(),
            dropout_layer(dropout),
        )


class MobileNetV2Decoder(SegmentationModel):
    """Report 1's network.

    Args: num_classes — channels of the logits; weights — of the encoder; decoder_channels — one block each,
        every block doubles the resolution; width — factor on the decoder's channels; dropout — share of
        activations set to 0 after each block (a reading: the report names no value).
    """

    def __init__(
        self,
        *,
        num_classes: int = 1,
        weights: str = "none",
        decoder_channels: tuple[int, ...] = (512, 256, 64, 32, 16),
        width: float = 1.0,
        dropout: float = 0.2,
    ):
        super().__init__()
        self.encoder = MobileNetV2Encoder(weights, skip_strides=())
        channels = [*self.encoder.channels, *decoder_widths(decoder_channels, width, blocks=5)]
        self.blocks = nn.Sequential(*(DecoderBlock(i, o, dropout) for i, o in pairwise(channels)))
        self.head = nn.Conv2d(channels[-1], num_classes, 1)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.encoder(images)  # one feature (N, 1280, H/32, W/32)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        return self.head(self.blocks(features[-1]))  # (N, num_classes, H, W)
