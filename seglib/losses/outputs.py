"""What a model's outputs mean: logits as probabilities, or as the grey values of report 5's planes."""

import torch

PLANE_STEP = 50.0  # report 5: where plane k is on, a target in `values` holds (k + 1) · 50


def plane_values(logits: torch.Tensor) -> torch.Tensor:
    """What plane k holds where it is on, (k + 1) · 50: (C, 1, 1)."""
    return PLANE_STEP * torch.arange(1, logits.shape[1] + 1, device=logits.device).view(-1, 1, 1)


def probabilities(logits: torch.Tensor, task: str, target_scale: str = "unit") -> torch.Tensor:
    """Logits → probabilities in [0, 1], (N, C, H, W): the one place where this is done.

    Softmax over classes for multiclass, else sigmoid. With target_scale `values` the output over (k + 1) ·
    50, clamped: above 0.5 it is nearer to (k + 1) · 50 than to 0.
    """
    if target_scale == "values":
        return (logits / plane_values(logits)).clamp(0, 1)
    return logits.softmax(1) if task == "multiclass" else logits.sigmoid()
