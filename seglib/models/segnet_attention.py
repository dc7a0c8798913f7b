"""Report 3's architectures 2 and 3: a SegNet-like decoder on MobileNetV2 with gated skips, and with atrous
ones.

After Badrinarayanan et al., SegNet, 2015, arXiv:1511.00561 (here features are concatenated, where SegNet
unpools by remembered indices) and, for the atrous branches, Chen et al., DeepLabv3+, 2018, arXiv:1802.02611;
encoder: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381. The gate is the report's, a map made from the
encoder feature alone, not that of Oktay et al. (arXiv:1804.03999). The report gives prose; channels and skips
are a reading. With one class `segnet_attention` has 6,145,118 parameters and `segnet_attention_atrous`
39,138,902 (encoder 2,223,872 in both).
"""

import torch
from torch import nn

from seglib.models.base import SegmentationModel
from seglib.models.encoders import MobileNetV2Encoder
from seglib.models.layers import conv_relu, decoder_widths, dilated_convs, dropout_layer, scaled

STRIDES = (32, 16, 8, 4, 2)  # of what each decoder block is given


class AttentionGate(nn.Module):
    """feature · sigmoid(Conv 3×3 (feature) to one channel): where to look, the same for all channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.map = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return feature * torch.sigmoid(self.map(feature))


class AtrousBlock(nn.Module):
    """Parallel 3×3 convolutions (ReLU) of several dilations, concatenated and brought back by 1×1; size and
    channels stay."""

    def __init__(self, channels: int, dilations: tuple[int, ...], width: float):
        super().__init__()
        self.branches = nn.ModuleList(dilated_convs(channels, scaled(channels, width), dilations))
        self.fuse = nn.Conv2d(len(dilations) * scaled(channels, width), channels, 1)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return self.fuse(torch.cat([branch(feature).relu() for branch in self.branches], dim=1))


class DecoderBlock(nn.Sequential):
    """ConvTranspose 2×2 stride 2 → ReLU, three times Conv 3×3 → BatchNorm → ReLU, then Dropout."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__(
            nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2),
            nn.ReLU(inplace=True),
            *conv_relu(out_channels, out_channels),
            *conv_relu(out_channels, out_channels),
            *conv_relu(out_channels, out_channels),
            dropout_layer(dropout),
        )


class SegNetAttention(SegmentationModel):
    """Report 3's architecture 2: every encoder feature passes an attention gate.

    Args: num_classes — channels of the logits; weights — of the encoder; skip_strides — strides whose gated
        feature the decoder sees beside the bridge's at 32, any of 2, 4, 8, 16; decoder_channels — one block
        each, low resolution first; width — factor on the decoder's channels; dropout — share of activations
        set to 0 after each block (the report uses none).
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
        self.gates = nn.ModuleList(AttentionGate(c) for c in self.encoder.channels)
        self.blocks, skips, channels = nn.ModuleList(), list(self.encoder.channels), 0
        for stride, out_channels in zip(STRIDES, decoder_widths(decoder_channels, width, blocks=5), strict=True):
            skip = skips.pop() if stride in self.encoder.strides else 0
            self.blocks.append(DecoderBlock(channels + skip, out_channels, dropout))
            channels = out_channels
        self.head = nn.Conv2d(channels, num_classes, 1)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.encoder(images)  # (N, 16, H/2, W/2), 24 at /4, 32 at /8, 96 at /16, 1280 at /32

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        gated = [gate(feature) for gate, feature in zip(self.gates, features, strict=True)]
        x = self.blocks[0](gated.pop())  # (N, 256, H/16, W/16) from the bridge
        for stride, block in zip(STRIDES[1:], self.blocks[1:], strict=True):
            if stride in self.encoder.strides:
                x = torch.cat([x, gated.pop()], dim=1)
            x = block(x)  # (N, decoder channels, 2·H/stride, 2·W/stride)
        return self.head(x)  # (N, num_classes, H, W)


class SegNetAttentionAtrous(SegNetAttention):
    """Report 3's architecture 3: every encoder feature passes parallel atrous convolutions, then its gate.

    Args: as `SegNetAttention`; dilations — atrous rates of the parallel 3×3 convolutions; width scales their
        channels too, the most part of this network's parameters.
    """

    def __init__(
        self,
        *,
        num_classes: int = 1,
        weights: str = "none",
        skip_strides: tuple[int, ...] = (2, 4, 8, 16),
        decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
        dilations: tuple[int, ...] = (1, 2),
        width: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__(
            num_classes=num_classes,
            weights=weights,
            skip_strides=skip_strides,
            decoder_channels=decoder_channels,
            width=width,
            dropout=dropout,
        )
        self.atrous = nn.ModuleList(AtrousBlock(c, dilations, width) for c in self.encoder.channels)

    def decode(self, features: list[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        return super().decode([atrous(f) for atrous, f in zip(self.atrous, features, strict=True)], size)
