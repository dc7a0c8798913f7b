"""A criterion: the weighted sum of losses, each of which is logged too."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from seglib.losses.settings import Settings
from seglib.metrics import one_hot


class Loss(nn.Module):
    """A weighted sum of losses; called with (logits, target) it returns (loss, parts).

    Shape: logits (N, C, H, W), computed in float32 whatever their precision; target (N, H, W), for planes
        (N, C, H, W), 255 counting nowhere; loss (N,), whose mean is what training minimises; parts: by name
        the losses it is the sum of, each (N,) and before its weight.
    Raises: ValueError if a shape does not fit.
    """

    def __init__(self, weights: Mapping[str, float], functions: Mapping[str, Callable], settings: Settings):
        super().__init__()
        self.weights, self.functions, self.settings = dict(weights), dict(functions), settings

    def forward(self, logits: torch.Tensor, target: torch.Tensor):
        self._check_shapes(logits, target)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        truth, valid = one_hot(target, self.settings.task, self.settings.num_classes)
        logits = logits.masked_fill(~valid, 0)  # whatever ignored pixels hold, they get no gradient
        parts = {}
        for name, function in self.functions.items():
            if ":" in name:  # module:name, one of your own
                parts[name] = _per_image(name, function(logits, target.long()), len(logits))
            else:
                parts[name] = function(logits, truth, valid, self.settings)
        return sum(weight * parts[name] for name, weight in self.weights.items()), parts

    def _check_shapes(self, logits: torch.Tensor, target: torch.Tensor) -> None:
        n, _, *size = logits.shape
        full = (n, self.settings.num_classes, *size)
        wanted = {"logits": full, "target": full if self.settings.task == "planes" else (n, *size)}
        for name, tensor in (("logits", logits), ("target", target)):
            if tuple(tensor.shape) != wanted[name]:
                raise ValueError(
                    f"{name} have shape {tuple(tensor.shape)}, expected {wanted[name]} for task "
                    f"{self.settings.task}, num_classes={self.settings.num_classes}"
                )


def _per_image(name: str, loss: torch.Tensor, images: int) -> torch.Tensor:
    if tuple(loss.shape) != (images,):
        raise ValueError(f"loss '{name}' has shape {tuple(loss.shape)}, expected ({images},): one per image")
    return loss
