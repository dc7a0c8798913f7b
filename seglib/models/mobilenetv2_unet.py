"""MobileNetV2 with a U-Net decoder: report 3's architecture 1, which it calls "UNet".

After Ronneberger et al., U-Net, 2015, arXiv:1505.04597, on the encoder of Sandler et al., MobileNetV2, 2018,
arXiv:1801.04381. Differs from the paper in the encoder, in bilinear upsampling and in three convolutions per
block. The report gives prose; channels and skips are a reading. 7,413,985 parameters with one class (encoder
2,223,872).
"""

import torch
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.encoders import MobileNetV2Encoder
from seglib.models.layers import conv_relu, decoder_widths, dropout_layer
from seglib.models.resize import Upsample

STRIDES = (16, 8, 4, 2, 1)  # of what each decoder block returns


class DecoderBlock(nn.Sequential):
    """Three times Conv 3×3 → ReLU, then Dropout."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__(
            *conv_relu(in_channels, out_channels, norm=False),
            *conv_relu(out_channels, out_channels, norm=False),
            *conv_relu(out_channels, out_channels, norm=False),
            dropout_layer(dropout),
        )


class MobileNetV2UNet(SegmentationModel):
    """Report 3's U-Net on MobileNetV2.

    Args: num_classes — channels of the logits; weights — of the encoder; skip_strides — strides whose encoder
        feature the decoder sees, any of 2, 4, 8, 16; decoder_channels — one block each, low resolution first;
        width — factor on the decoder's channels; dropout — share of activations set to 0 after each block
        (the report uses none).
    """

    def __init__(
        self,
        *,
        num_classes: int = 1,
        weights: str = "none",
        skip_strides: tuple[int, ...] = (2, 4, 8, 16),
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
        width: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = MobileNetV2Encoder(weights, skip_strides)
        *skips, channels = self.encoder.channels
        self.upsample, self.blocks = Upsample(), nn.ModuleList()
        for stride, out_channels in zip(STRIDES, decoder_widths(decoder_channels, width, blocks=5), strict=True):
            skip = skips.pop() if stride in self.encoder.strides else 0
            self.blocks.append(DecoderBlock(channels + skip, out_channels, dropout))
            channels = out_channels
        self.head = nn.Conv2d(channels, num_classes, 1)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.encoder(images)  # (N, 16, H/2, W/2), 24 at /4, 32 at /8, 96 at /16, 1280 at /32

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        *skips, x = features  # (N, 1280, H/32, W/32)
        for stride, block in zip(STRIDES, self.blocks, strict=True):
            x = self.upsample(x)
            if stride in self.encoder.strides:
                x = torch.cat([x, skips.pop()], dim=1)
            x = block(x)  # (N, decoder channels, H/stride, W/stride)
        return self.head(x)  # (N, num_classes, H, W)
