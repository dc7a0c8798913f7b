"""The losses by name, and `build_loss`, which turns what a YAML says into a criterion.

Each is a formula over (logits, truth, valid), in a file of its own, that gives one value per image: logits (N, C, H, W)
float, 0 where not valid; truth and valid (N, C, H, W) bool as `metrics.one_hot` makes them (truth only where valid);
returns (N,). `seglib.losses.reduction` says how pixels, classes and images are averaged.

A spec is a name (`bce`), a weighted sum (`{mse: 1.0, dice: 60.0}`), or a loss of one's own, in a sum too:
`my_module:my_loss`, a function (logits, target) → one value per image, (N,), called with logits in float32,
0 where they are ignored. Its module enters the run key, and `seglib.losses.check.check_loss` runs the
registry's tests on it.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import torch

from seglib import names
from seglib.losses.bce import bce
from seglib.losses.cross_entropy import cross_entropy
from seglib.losses.dice import dice
from seglib.losses.iou import iou
from seglib.losses.mse import mse
from seglib.losses.own import own
from seglib.losses.settings import Settings, check_positive
from seglib.losses.weighted_sum import Loss

LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "bce": bce,
    "cross_entropy": cross_entropy,
    "dice": dice,
    "iou": iou,
    "mse": mse,
}
TASKS = {  # the losses that go with a task
    "binary": ("bce", "dice", "iou", "mse"),
    "multiclass": ("cross_entropy", "dice", "iou", "mse"),
    "planes": ("bce", "dice", "iou", "mse"),
}
OPTIONS = {f.name for f in dataclasses.fields(Settings)} - {"task", "num_classes"}


def build_loss(spec: str | Mapping[str, float], *, task: str, num_classes: int, **options) -> Loss:
    """The criterion of a spec.

    Args: spec — see the module; options — the fields of `seglib.losses.settings.Settings`, documented there.
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
    """The modules whose code a spec depends on: those of its losses and of their sum."""
    losses = {_function(name).__module__ for name in _weights(spec)}
    return [Loss.__module__, *sorted(losses)]


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


def _function(name: str, task: str = "") -> Callable[..., torch.Tensor]:
    """The function that a name in a spec stands for; if a task is given, one that goes with it."""
    if ":" in name:
        return own(name)
    if name not in LOSSES:
        raise ValueError(names.unknown("loss", name, LOSSES))
    if task and name not in TASKS[task]:
        raise ValueError(f"loss {name} does not go with task {task}; what goes: {', '.join(TASKS[task])}")
    return LOSSES[name]
