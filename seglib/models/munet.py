"""mUNet of Purdue's DLStudio and the same with an atrous pyramid at the end of its encoder, report 5.

A. Kak, DLStudio 2.5 (`SemanticSegmentation.mUNet`); the pyramid after Chen et al., DeepLabv3, 2017,
arXiv:1706.05587, without its BatchNorm and image pooling. The output equals DLStudio's for the same weights.
Differs from it in leaving out what it defines and never uses (1,922,112 of its 6,999,109 parameters). With
five planes `munet` has 5,076,997 parameters; `munet_aspp` has 524,928 more.
"""

import torch
import torch.nn.functional as F
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.layers import PointwiseConv2d, PointwiseConvTranspose2d, dilated_convs, scaled


class SkipBlock(nn.Module):
    """Two 3×3 convolutions (one when the channels change), each → BatchNorm → ReLU, plus the identity.

    `resample`, if there is one, is applied with the same weights to both terms of the sum.
    """

    def __init__(self, kind: type[nn.Module], channels: int, out_channels: int, resample: nn.Module | None):
        super().__init__()
        widths = [channels, out_channels] if channels == out_channels else [channels]
        layers = [(kind(c, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()) for c in widths]
        self.path = nn.Sequential(*(module for layer in layers for module in layer))
        self.resample = resample or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.path(x)
        return self.resample(out) + self.resample(self.identity(x, out.shape[1]))

    def identity(self, x: torch.Tensor, channels: int) -> torch.Tensor:
        """x itself; twice beside itself when the channels double, its second half when they halve."""
        if channels > x.shape[1]:
            return torch.cat([x, x], dim=1)
        return x[:, -channels:]


class DownBlock(SkipBlock):
    """The contracting arm's block; `stride` 2 halves the resolution by a 1×1 convolution."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1):
        resample = PointwiseConv2d(channels, out_channels, stride=2) if stride == 2 else None
        super().__init__(nn.Conv2d, channels, out_channels, resample)


class UpBlock(SkipBlock):
    """The expanding arm's block, of transposed convolutions; `stride` 2 doubles the resolution."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1):
        # one pixel in four gets the convolution, the others the bias alone
        resample = PointwiseConvTranspose2d(channels, out_channels) if stride == 2 else None
        super().__init__(nn.ConvTranspose2d, channels, out_channels, resample)


def repeated(block: type[SkipBlock], channels: int, times: int) -> nn.Sequential:
    return nn.Sequential(*(block(channels, channels) for _ in range(times)))


class ASPP(nn.Module):
    """1×1 and dilated 3×3 convolutions side by side, concatenated and fused by 1×1; size and channels
    stay."""

    def __init__(self, channels: int, dilations: tuple[int, ...]):
        super().__init__()
        branches = [nn.Conv2d(channels, channels, 1), *dilated_convs(channels, channels, dilations)]
        self.branches = nn.ModuleList(branches)
        self.fuse = nn.Conv2d(len(branches) * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))


def overwrite(x: torch.Tensor, saved: torch.Tensor) -> torch.Tensor:
    """x with its first channels replaced by the saved ones."""
    return torch.cat([saved, x[:, saved.shape[1] :]], dim=1)


class MUNet(SegmentationModel):
    """DLStudio's mUNet. A skip is half of the channels, and overwrites where U-Net concatenates.

    Args: num_classes — channels of the logits; depth — a multiple of 8: depth/8 blocks before and 3·depth/8
        after the place where a level's skip is saved; head_dilation — of the last layer, a transposed
        convolution of stride 2. The original's 2 reaches only every second row and column: three of four
        logits are the bias alone. 1 reaches all of them with as many parameters; width — factor on all
        channels.
    """

    multiple = 8

    def __init__(self, *, num_classes: int = 5, depth: int = 16, head_dilation: int = 2, width: float = 1.0):
        super().__init__()
        if depth < 8 or depth % 8:
            raise ValueError(f"depth is {depth}, expected 8, 16, 24 or another multiple of 8")
        if head_dilation not in (1, 2):
            raise ValueError(f"head_dilation is {head_dilation}, expected 2 (the original) or 1 (no holes)")
        few, many = depth // 8, 3 * depth // 8
        low = 2 * scaled(32, width)  # 64 at width 1; even, because skips are halves
        high = 2 * low
        self.stem = nn.Conv2d(3, low, 3, padding=1)
        self.down1 = repeated(DownBlock, low, few)
        self.down2 = nn.Sequential(DownBlock(low, low, stride=2), repeated(DownBlock, low, many), nn.BatchNorm2d(low))
        self.down3 = nn.Sequential(DownBlock(low, high), repeated(DownBlock, high, few), nn.BatchNorm2d(high))
        self.bridge = nn.Sequential(repeated(DownBlock, high, many), DownBlock(high, high, stride=2))
        self.up4 = UpBlock(high, high, stride=2)
        self.up3 = repeated(UpBlock, high, few)  # before and after skip 3: the same weights, used twice
        self.norm3 = nn.BatchNorm2d(high)
        self.up2 = nn.Sequential(UpBlock(high, low), repeated(UpBlock, low, many))
        self.norm2 = nn.BatchNorm2d(low)
        self.up1 = nn.Sequential(UpBlock(low, low, stride=2), repeated(UpBlock, low, few))
        self.head = nn.ConvTranspose2d(
            low, num_classes, 3, stride=2, dilation=head_dilation, padding=head_dilation, output_padding=1
        )

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        x1 = self.down1(F.max_pool2d(self.stem(images).relu(), 2))  # (N, 64, H/2, W/2)
        x2 = self.down2(x1)  # (N, 64, H/4, W/4)
        x3 = self.down3(x2)  # (N, 128, H/4, W/4)
        skips = [x[:, : x.shape[1] // 2] for x in (x1, x2, x3)]
        return [*skips, self.bridge(x3)]  # (N, 128, H/8, W/8)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        skip1, skip2, skip3, x = features
        x = self.up3(self.up4(x))  # (N, 128, H/4, W/4)
        x = self.up3(self.norm3(overwrite(x, skip3)))
        x = self.norm2(overwrite(self.up2(x), skip2))  # (N, 64, H/4, W/4)
        x = overwrite(self.up1(x), skip1)  # (N, 64, H/2, W/2)
        return self.head(x)  # (N, num_classes, H, W)


class MUNetASPP(MUNet):
    """Report 5's mUNet with an atrous pyramid at the end of the encoder.

    Args: as `MUNet`; dilations — atrous rates of the pyramid's 3×3 convolutions, beside its 1×1.
    """

    def __init__(
        self,
        *,
        num_classes: int = 5,
        depth: int = 16,
        dilations: tuple[int, ...] = (2, 4, 6),
        head_dilation: int = 2,
        width: float = 1.0,
    ):
        super().__init__(num_classes=num_classes, depth=depth, head_dilation=head_dilation, width=width)
        self.aspp = ASPP(2 * self.stem.out_channels, dilations)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        *skips, x = super().encode(images)
        return [*skips, self.aspp(x)]  # (N, 128, H/8, W/8)
