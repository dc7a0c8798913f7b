"""Encoders with weights learned elsewhere: torchvision's MobileNetV2, cut before its classifier."""

from collections.abc import Sequence

import torch
from torch import nn

from seglib.models.weights import load_mobilenetv2

TAPS = {2: 1, 4: 3, 8: 6, 16: 13, 32: 18}  # stride → the last of torchvision's `features` at it
CHANNELS = {2: 16, 4: 24, 8: 32, 16: 96, 32: 1280}  # stride → channels there


class MobileNetV2Encoder(nn.Module):
    """MobileNetV2 at width 1.0 without its classifier; 2,223,872 parameters.

    Args: weights — as `seglib.models.weights` names them; `none` gives random ones; skip_strides — where
        features leave beside the last one at stride 32, any of 2, 4, 8, 16.
    Shape: images (N, 3, H, W), H and W multiples of 32; returns one feature (N, channels[i], H/s, W/s) per
        stride s, high resolution first.
    Raises: ValueError for other strides, for weights that do not fit, and what `weights.locate` raises.
    Reference: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381.
    """

    def __init__(self, weights: str = "none", skip_strides: Sequence[int] = (2, 4, 8, 16)):
        super().__init__()
        from torchvision.models import mobilenet_v2  # here: seglib imports where there is no torchvision

        if not set(skip_strides) <= {2, 4, 8, 16}:
            raise ValueError(f"skip_strides are {tuple(skip_strides)}, expected any of 2, 4, 8, 16")
        self.strides = (*sorted(set(skip_strides)), 32)
        self.channels = [CHANNELS[s] for s in self.strides]
        self.features = mobilenet_v2(weights=None).features
        if weights != "none":
            self._load(weights)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        taps, features, x = [TAPS[s] for s in self.strides], [], images
        for i, block in enumerate(self.features):
            x = block(x)
            if i in taps:
                features.append(x)
        return features

    def _load(self, weights: str) -> None:
        try:
            self.features.load_state_dict(load_mobilenetv2(weights))
        except RuntimeError as error:  # torch's way of listing what is missing, unknown or of another shape
            raise ValueError(f"weights {weights} do not fit torchvision's mobilenet_v2: {error}") from error
