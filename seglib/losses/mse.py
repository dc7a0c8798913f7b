"""Mean squared error. Shapes and reduction: see `seglib.losses`."""

import torch

from seglib.losses.outputs import plane_values, probabilities
from seglib.losses.reduction import mean, pixel_weights
from seglib.losses.settings import Settings


def mse(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Squared error: mean over pixels and channels.

    `unit`: probabilities against {0, 1}, in [0, 1]. `values` (report 5): outputs as they are against 0 or
    (k + 1) · 50, in [0, ∞).
    """
    if settings.target_scale == "values":
        errors = logits - plane_values(logits) * truth
    else:
        errors = probabilities(logits, settings.task) - truth.to(logits.dtype)
    return mean(errors.square(), pixel_weights(logits, truth, settings) * valid, settings)
