"""What several architectures are built of, and the checks of the options they share."""

from collections.abc import Sequence

import torch
from torch import nn


def conv_relu(in_channels: int, out_channels: int, *, norm: bool = True, bias: bool = True) -> list[nn.Module]:
    """Conv 3×3 → (BatchNorm) → ReLU; the size stays."""
    normalisation = [nn.BatchNorm2d(out_channels)] if norm else []
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
        *normalisation,
        nn.ReLU(inplace=True),
    ]


class PointwiseConv2d(nn.Conv2d):
    """A 1×1 convolution with a stride, as a plain one on every stride-th pixel.

    The same function with the same parameters. On the CPU torch 2.15's own writes outside its memory in the
    backward pass when it has fewer than 16 input channels in the format channels_last.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, bias: bool = True):
        super().__init__(in_channels, out_channels, 1, stride, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        step_y, step_x = self.stride
        return nn.functional.conv2d(x[..., ::step_y, ::step_x], self.weight, self.bias)


class PointwiseConvTranspose2d(nn.ConvTranspose2d):
    """A transposed 1×1 convolution of stride 2 to twice the size: one pixel in four is computed, the others are bias.

    The same function with the same parameters as torch's own with `output_padding=1`, which has the fault named
    at `PointwiseConv2d` when it has fewer than 16 output channels.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 1, 2, output_padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        computed = nn.functional.conv2d(x, self.weight.transpose(0, 1))
        n, c, h, w = computed.shape
        out = computed.new_zeros(n, c, 2 * h, 2 * w).contiguous(memory_format=_format_of(computed))
        out[..., ::2, ::2] = computed
        return out + self.bias.view(-1, 1, 1)


def _format_of(x: torch.Tensor) -> torch.memory_format:
    is_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format


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
