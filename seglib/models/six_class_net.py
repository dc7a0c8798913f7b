"""Report 2's nine-layer U-shaped network for six classes.

After Ronneberger et al., U-Net, 2015, arXiv:1505.04597, whose shape it borrows: six convolutions, three
transposed ones, two skips. What the report has and others do not: no ReLU before the concatenations, conv4
halves the resolution again, and the last layers go through twice the input's resolution. Kaiming
initialisation (He et al., 2015, arXiv:1502.01852; a reading: normal, for ReLU). 282,486 parameters with six
classes.
"""

import torch
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.layers import PointwiseConv2d, scaled


def conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)


def upconv(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Doubles the resolution."""
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)


class SixClassNet(SegmentationModel):
    """Report 2's `SegmentationModel`, its layers named as there.

    Args: num_classes — channels of the logits; width — factor on all channels.
    """

    multiple = 2

    def __init__(self, *, num_classes: int = 6, width: float = 1.0):
        super().__init__()
        c16, c32, c64, c128 = (scaled(c, width) for c in (16, 32, 64, 128))
        self.conv1 = conv(3, c32)
        self.conv2 = conv(c32, c64)
        self.conv3 = conv(c64, c128, stride=2)
        self.upconv1 = upconv(c128, c64)
        self.conv4 = conv(c64 + c64, c64, stride=2)
        self.upconv2 = upconv(c64, c32)
        self.conv5 = conv(c32 + c32, c32)
        self.upconv3 = upconv(c32, c16)
        self.outconv = PointwiseConv2d(c16, num_classes, stride=2)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        out1 = self.conv1(images).relu()  # (N, 32, H, W)
        out2 = self.conv2(out1).relu()  # (N, 64, H, W)
        return [out1, out2, self.conv3(out2).relu()]  # (N, 128, H/2, W/2)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        out1, out2, out3 = features
        out4 = torch.cat([self.upconv1(out3), out2], dim=1)  # (N, 64 + 64, H, W)
        out4 = self.conv4(out4).relu()  # (N, 64, H/2, W/2)
        out5 = torch.cat([self.upconv2(out4), out1], dim=1)  # (N, 32 + 32, H, W)
        out5 = self.conv5(out5).relu()  # (N, 32, H, W)
        out6 = self.upconv3(out5).relu()  # (N, 16, 2·H, 2·W)
        return self.outconv(out6)  # (N, num_classes, H, W)
