"""U-Net, report 4: trained from scratch.

Ronneberger et al., U-Net, 2015, arXiv:1505.04597. Differs from the paper, as the report does, in padded
convolutions (the output is as large as the input) and in BatchNorm. 31,037,633 parameters with one class.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.layers import conv_relu, dropout_layer, scaled


class DoubleConv(nn.Sequential):
    """Twice Conv 3×3 without bias → BatchNorm → ReLU."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            *conv_relu(in_channels, out_channels, bias=False),
            *conv_relu(out_channels, out_channels, bias=False),
        )


class UpBlock(nn.Module):
    """ConvTranspose 2×2 stride 2, concatenation of the skip, DoubleConv, Dropout."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.conv = DoubleConv(2 * out_channels, out_channels)
        self.dropout = dropout_layer(dropout)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.conv(torch.cat([self.up(x), skip], dim=1)))


class UNet(SegmentationModel):
    """Report 4's U-Net.

    Args: num_classes — channels of the logits; channels — of each level, high resolution first, the last is
        the bridge (one more level halves the resolution once more); width — factor on them; dropout — share
        of activations set to 0 after each block of the decoder (the report uses none).
    """

    def __init__(
        self,
        *,
        num_classes: int = 1,
        channels: tuple[int, ...] = (64, 128, 256, 512, 1024),
        width: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        if not 2 <= len(channels) <= 6 or min(channels) < 1:
            raise ValueError(f"channels are {tuple(channels)}, expected two to six numbers of at least 1")
        self.multiple = 2 ** (len(channels) - 1)
        widths = [scaled(c, width) for c in channels]
        self.down = nn.ModuleList(DoubleConv(i, o) for i, o in pairwise([3, *widths]))
        self.up = nn.ModuleList(UpBlock(i, o, dropout) for i, o in pairwise(reversed(widths)))
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = [self.down[0](images)]  # (N, 64, H, W)
        for level in self.down[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))  # 128 at /2, 256 at /4, 512 at /8, 1024 at /16
        return features

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        *skips, x = features  # the bridge: (N, 1024, H/16, W/16)
        for block in self.up:
            x = block(x, skips.pop())  # 512 at /8, 256 at /4, 128 at /2, 64 at /1
        return self.head(x)  # (N, num_classes, H, W)
