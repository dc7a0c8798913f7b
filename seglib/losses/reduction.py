"""How a loss per pixel becomes one value per image.

Reduction: `image` is over the pixels of each image, so that no value depends on the rest of the batch; `batch` is
    over the pixels of the batch, and every image carries the batch's value. Pixels that are not valid count nowhere,
    and an image without valid pixels has loss 0.
"""

import torch

from seglib.losses.settings import Settings


def pixel_weights(logits, truth, settings: Settings) -> torch.Tensor:
    """The class weights, broadcastable to (N, C, H, W): of the channel; for binary of the true class."""
    if settings.class_weights is None:
        return logits.new_ones(())
    weights = logits.new_tensor(settings.class_weights)
    return torch.where(truth, weights[1], weights[0]) if settings.task == "binary" else weights.view(-1, 1, 1)


def mean(values, weights, settings: Settings) -> torch.Tensor:
    """Σ weight · value / Σ weight over pixels and channels, (N,); 0 where nothing weighs."""
    total, weight = pool(weights * values, settings).sum(1), pool(weights, settings).sum(1)
    return total / torch.where(weight > 0, weight, 1)


def pool(values, settings: Settings) -> torch.Tensor:
    """Sums over the pixels of each image, or of the whole batch: (N, C, H, W) → (N, C)."""
    sums = values.sum((2, 3))
    return sums.sum(0, keepdim=True).expand_as(sums) if settings.reduction == "batch" else sums
