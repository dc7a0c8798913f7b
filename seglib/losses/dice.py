"""Soft Dice loss. Shapes and reduction: see `seglib.losses`."""

import torch

from seglib.losses.overlap import class_sums, over_classes
from seglib.losses.settings import Settings


def dice(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Soft Dice loss 1 − (2·Σp·g + eps) / (Σp² + Σg² + eps) per class, averaged by `_over_classes`.

    Range [0, 1], 0 for a perfect prediction. Truth and prediction both empty: 0. Truth empty, prediction not:
    close to 1 once Σp² is well above eps.
    Reference: Milletari et al., V-Net, 2016, arXiv:1606.04797 (here with eps, and several classes). Report
    5 has eps in the denominator alone and lacks the 2.
    """
    overlap, total = class_sums(logits, truth, valid, settings)
    factor = 2 if settings.dice_factor_2 else 1
    score = (factor * overlap + settings.eps) / (total + settings.eps)
    return over_classes(1 - score, truth, settings)
