"""The losses by name, and `build_loss`, which turns what a YAML says into a criterion.

A spec is a name (`bce`), a weighted sum (`{mse: 1.0, dice: 60.0}`), or a loss of one's own, in a sum too:
`my_module:my_loss`, a function (logits, target) → one value per image, (N,), called with logits in float32,
0 where they are ignored. Its module enters the run key, and `seglib.losses.check.check_loss` runs the
registry's tests on it.
"""

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from seglib import names
from seglib.losses import terms
from seglib.losses.terms import Settings, check_positive, probabilities
from seglib.metrics import one_hot

__all__ = ["LOSSES", "TASKS", "Loss", "build_loss", "modules_of", "probabilities"]

LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "bce": terms.bce,
    "cross_entropy": terms.cross_entropy,
    "dice": terms.dice,
    "iou": terms.iou,
    "mse": terms.mse,
}
TASKS = {  # the losses that go with a task
    "binary": ("bce", "dice", "iou", "mse"),
    "multiclass": ("cross_entropy", "dice", "iou", "mse"),
    "planes": ("bce", "dice", "iou", "mse"),
}
OPTIONS = {f.name for f in dataclasses.fields(Settings)} - {"task", "num_classes"}


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
            if name in LOSSES:
                parts[name] = function(logits, truth, valid, self.settings)
            else:
                parts[name] = _per_image(name, function(logits, target.long()), len(logits))
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


def build_loss(spec: str | Mapping[str, float], *, task: str, num_classes: int, **options) -> Loss:
    """The criterion of a spec.

    Args: spec — see the module; options — the fields of `terms.Settings`, documented there.
    Raises: ValueError for an unknown loss or option, a loss that does not go with the task, a weight that is
        not a positive number, and all that `Settings` refuses.
    """
    if task not in TASKS:
        raise ValueError(names.unknown("task", task, TASKS))
    for option in options:
        if option not in OPTIONS:
            raise ValueError(names.unknown("loss option", option, OPTIONS))
    _check_num_classes(num_classes, task)
    settings = Settings(task=task, num_classes=num_classes, **options)
    weights = _weights(spec)
    if settings.class_weights and task == "binary" and not {"bce", "mse"} & weights.keys():
        raise ValueError(f"class_weights weigh nothing in a binary {' + '.join(weights)}; drop them")
    return Loss(weights, {name: _function(name, task) for name in weights}, settings)


def modules_of(spec: str | Mapping[str, float]) -> list[str]:
    """The modules whose code a spec depends on: this one, and those of one's own losses."""
    return [__name__, *sorted({_own(name).__module__ for name in _weights(spec) if ":" in name})]


def _weights(spec: str | Mapping[str, float]) -> dict[str, float]:
    """A spec as name → weight."""
    if isinstance(spec, str):
        return {spec: 1.0}
    if not isinstance(spec, Mapping) or not spec:
        raise ValueError(f"loss is {spec!r}, expected a name or weights such as {{mse: 1.0, dice: 60.0}}")
    for name, weight in spec.items():
        check_positive(f"the weight of {name}", weight)
    return dict(spec)


def _check_num_classes(num_classes: int, task: str) -> None:
    least, most, words = {
        "binary": (1, 1, "1 (the foreground)"),
        "multiclass": (2, math.inf, "at least 2 (background is one)"),
        "planes": (1, math.inf, "at least 1"),
    }[task]
    if not least <= num_classes <= most:
        raise ValueError(f"num_classes is {num_classes}, expected {words} for task {task}")


def _function(name: str, task: str) -> Callable[..., torch.Tensor]:
    """The function that a name in a spec stands for."""
    if ":" in name:
        return _own(name)
    if name not in LOSSES:
        raise ValueError(names.unknown("loss", name, LOSSES))
    if name not in TASKS[task]:
        raise ValueError(f"loss {name} does not go with task {task}; what goes: {', '.join(TASKS[task])}")
    return LOSSES[name]


def _own(path: str) -> Callable[..., torch.Tensor]:
    """The function that `module:name` stands for."""
    if not names.OWN.fullmatch(path):
        raise ValueError(f"loss '{path}' is not of the form module:name")
    module, _, name = path.partition(":")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"loss '{path}': {module} imports {error.name}, which is not installed") from error
        raise ValueError(f"loss '{path}': no module '{module}'; run where it can be imported") from error
    if not callable(function):
        raise ValueError(f"loss '{path}': module '{module}' has no function '{name}'")
    return function


def _per_image(name: str, loss: torch.Tensor, images: int) -> torch.Tensor:
    if tuple(loss.shape) != (images,):
        raise ValueError(f"loss '{name}' has shape {tuple(loss.shape)}, expected ({images},): one per image")
    return loss
