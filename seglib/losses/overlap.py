"""What Dice and IoU share: sums over pixels for each class (or plane), and the mean over classes."""

import torch

from seglib.losses.outputs import plane_values, probabilities
from seglib.losses.reduction import pool
from seglib.losses.settings import Settings

NOMINAL_BATCH = 4  # report 5 sums Dice over a batch of 4; a fixed 4 keeps λ free of the batch size


def class_sums(logits, truth, valid, settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Σp·g and Σp² + Σg² (or Σp + Σg) over pixels, each (N, C)."""
    p, g = _predicted(logits, truth, settings) * valid, truth.to(logits.dtype)
    squared = settings.squared_denominator and not settings.on_logits
    return pool(p * g, settings), pool(p.square() + g if squared else p + g, settings)  # g² = g


def over_classes(losses, truth, settings: Settings) -> torch.Tensor:
    """Losses (N, C) → (N,): the mean over the classes that count, weighted by the class weights.

    Multiclass: those present in the truth of the image, or all where none is. Planes: all, empty or not; with
    target_scale `values` the mean becomes report 5's sum over planes and over a nominal batch of 4.
    """
    weights = torch.ones_like(losses)
    if settings.class_weights and settings.task != "binary":
        weights = weights * losses.new_tensor(settings.class_weights)
    if settings.task == "multiclass":
        if not settings.include_background:
            weights = weights * (torch.arange(losses.shape[1], device=losses.device) > 0)
        present = weights * (pool(truth, settings) > 0)
        weights = torch.where(present.any(1, keepdim=True), present, weights)
    mean = (weights * losses).sum(1) / weights.sum(1)
    return NOMINAL_BATCH * losses.shape[1] * mean if settings.target_scale == "values" else mean


def _predicted(logits, truth, settings: Settings) -> torch.Tensor:
    """The p of Dice and IoU: probabilities; with `values` outputs clamped at 0, in units of (k + 1) · 50.

    Those units cancel, and give eps one meaning for all planes. A plane that is empty in the truth then
    passes no gradient: its score is a constant in report 5; here it falls from 1 to 0 within a sliver above
    0, with a slope that would outweigh all other planes.
    """
    if settings.on_logits:
        return logits
    if settings.target_scale == "unit":
        return probabilities(logits, settings.task)
    outputs = (logits / plane_values(logits)).clamp(min=0)
    return torch.where(pool(truth, settings)[..., None, None] > 0, outputs, outputs.detach())
