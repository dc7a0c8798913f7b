"""What several architectures are built of, and the checks of the options they share."""

from collections.abc import Sequence

from torch import nn


def conv_relu(in_channels: int, out_channels: int, *, norm: bool = True, bias: bool = True) -> list[nn.Module]:
    """Conv 3×3 → (BatchNorm) → ReLU; the size stays."""
    normalisation = [nn.BatchNorm2d(out_channels)] if norm else []
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
        *normalisation,
        nn.ReLU(inplace=True),
    ]


def scaled(channels: int, width: float) -> int:
    """Channels times the width multiplier, at least 1."""
    if not 0 < width < float("inf"):
        raise ValueError(f"width is {width}, expected a number above 0 (1.0 is the report's network)")
    return max(1, round(channels * width))


def decoder_widths(channels: Sequence[int], width: float, blocks: int) -> list[int]:
    """The channels of each decoder block, scaled; there must be as many as the resolution is doubled."""
    if len(channels) != blocks or min(channels) < 1:
        raise ValueError(f"decoder_channels are {tuple(channels)}, expected {blocks} numbers of at least 1")
    return [scaled(c, width) for c in channels]


def dropout_layer(share: float) -> nn.Dropout:
    """Sets a share of the activations to 0 in training."""
    if not 0 <= share < 1:
        raise ValueError(f"dropout is {share}, expected a share of at least 0 and below 1")
    return nn.Dropout(share)


def dilated_convs(in_channels: int, out_channels: int, dilations: Sequence[int]) -> list[nn.Conv2d]:
    """One 3×3 convolution per dilation (atrous rate); the size stays."""
    if not dilations or min(dilations) < 1:
        raise ValueError(f"dilations are {tuple(dilations)}, expected one or more integers of at least 1")
    return [nn.Conv2d(in_channels, out_channels, 3, padding=d, dilation=d) for d in dilations]
