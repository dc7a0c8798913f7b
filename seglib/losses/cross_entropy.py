"""Cross-entropy over classes. Shapes and reduction: see `seglib.losses`."""

import torch

from seglib.losses.reduction import mean, pixel_weights
from seglib.losses.settings import Settings


def cross_entropy(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Cross-entropy −log p of the true class: mean over pixels, in [0, ∞).

    Class weights make it a weighted mean, each pixel weighing as its true class does. Written out, because
    torch's own over images (nll_loss2d) has no deterministic form on CUDA.
    """
    return mean(-logits.log_softmax(1), pixel_weights(logits, truth, settings) * truth, settings)
