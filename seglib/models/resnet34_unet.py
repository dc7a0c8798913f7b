"""U-Net with a ResNet-34 encoder, report 4: trained from scratch, encoder and all.

He et al., Deep Residual Learning, 2015, arXiv:1512.03385 (the encoder, built of torchvision's BasicBlock);
Ronneberger et al., U-Net, 2015, arXiv:1505.04597 (the decoder, here one convolution per block). Differs from
the report in applying the stem's max-pool, which the report defines and forgets (`stem_pool=False` is its
listing to the letter). 23,613,313 parameters with one class (encoder 21,284,672).
"""

from itertools import pairwise

import torch
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.layers import PointwiseConv2d, conv_relu, dropout_layer, scaled
from seglib.models.resize import resize_bilinear

CHANNELS, BLOCKS = (64, 128, 256, 512), (3, 4, 6, 3)  # of ResNet-34's four stages


def residual_stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    """BasicBlocks of ResNet, the first with the stride and, where the shape changes, a 1×1 shortcut."""
    from torchvision.models.resnet import (
        BasicBlock,
    )  # here, so that seglib imports where there is no torchvision

    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            PointwiseConv2d(in_channels, out_channels, stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    first = BasicBlock(in_channels, out_channels, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


class ResNet34(nn.Module):
    """ResNet-34 without its classifier; 21,284,672 parameters at width 1.

    Shape: images (N, 3, H, W); returns the stem's feature at stride 2 and the four stages' at 4, 8, 16, 32
        (2, 4, 8, 16 without the stem's max-pool).
    """

    def __init__(self, width: float, stem_pool: bool):
        super().__init__()
        self.channels = [scaled(c, width) for c in (CHANNELS[0], *CHANNELS)]  # the stem's, then the stages'
        self.stem = nn.Sequential(
            nn.Conv2d(3, self.channels[0], 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(self.channels[0]),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if stem_pool else nn.Identity()
        strides = (1, 2, 2, 2)
        self.stages = nn.ModuleList(
            residual_stage(i, o, blocks, stride)
            for (i, o), blocks, stride in zip(pairwise(self.channels), BLOCKS, strides, strict=True)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = [self.stem(images)]  # (N, 64, H/2, W/2), the first skip
        x = self.pool(features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)  # 64 at /4, 128 at /8, 256 at /16, 512 at /32
        return features


class UpBlock(nn.Module):
    """ConvTranspose 2×2 stride 2, resize to the skip, concatenation, Conv 3×3 → BatchNorm → ReLU, Dropout."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, dropout: float):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.conv = nn.Sequential(*conv_relu(out_channels + skip_channels, out_channels), dropout_layer(dropout))

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = resize_bilinear(self.up(x), skip.shape[-2:], align_corners=True)
        return self.conv(torch.cat([x, skip], dim=1))


class ResNet34UNet(SegmentationModel):
    """Report 4's ResNet34-U-Net. Its encoder is `resnet`; `encoder` stays None, as nothing in it is
    pre-trained.

    Args: num_classes — channels of the logits; width — factor on all channels; dropout — share of activations
        set to 0 after each block of the decoder (the report uses none); stem_pool — the 3×3 max-pool before
        the first stage, as in ResNet-34; False is the report's listing, whose features are twice as large.
    """

    def __init__(self, *, num_classes: int = 1, width: float = 1.0, dropout: float = 0.0, stem_pool: bool = True):
        super().__init__()
        self.multiple = 32 if stem_pool else 16
        self.resnet = ResNet34(width, stem_pool)
        *skips, bridge = self.resnet.channels
        self.blocks, channels = nn.ModuleList(), bridge
        for skip in reversed(skips):
            self.blocks.append(UpBlock(channels, skip, skip, dropout))
            channels = skip
        self.head = nn.Conv2d(channels, num_classes, 1)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.resnet(images)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        *skips, x = features  # the bridge: (N, 512, H/32, W/32)
        for block in self.blocks:
            x = block(x, skips.pop())  # 256 at /16, 128 at /8, 64 at /4, 64 at /2
        logits = self.head(x)  # (N, num_classes, H/2, W/2)
        return resize_bilinear(logits, size, align_corners=True)
