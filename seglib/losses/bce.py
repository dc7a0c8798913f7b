"""Binary cross-entropy. Shapes and reduction: see `seglib.losses`."""

import torch
import torch.nn.functional as F

from seglib.losses.reduction import mean, pixel_weights
from seglib.losses.settings import Settings


def bce(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Binary cross-entropy −g·log p − (1 − g)·log(1 − p): mean over pixels and planes, in [0, ∞).

    Computed from logits; report 1's sigmoid followed by BCELoss is the same function.
    """
    losses = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    return mean(losses, pixel_weights(logits, truth, settings) * valid, settings)
