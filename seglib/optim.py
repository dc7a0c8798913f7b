"""The optimizer of a run: two parameter groups by role, encoder and decoder, each with its learning rate."""

import math

import torch

from seglib.config import Config
from seglib.models.base import SegmentationModel


def build_optimizer(model: SegmentationModel, config: Config) -> torch.optim.Optimizer:
    """Adam or SGD over every trainable parameter, each in exactly one group.

    Raises: ValueError if `encoder_lr` or `decoder_lr` is given for a model without a pre-trained encoder.
    """
    for name in ("encoder_lr", "decoder_lr"):
        if getattr(config, name) is not None and model.encoder is None:
            raise ValueError(f"{name} is given, but {config.model} has no pre-trained encoder to tell apart; use lr")
    roles = {
        "encoder": model.encoder.parameters() if model.encoder is not None else (),
        "decoder": model.decoder_parameters(),
    }
    groups = [
        {
            "name": role,
            "params": [p for p in parameters if p.requires_grad],
            "lr": getattr(config, f"{role}_lr") or config.lr,
        }
        for role, parameters in roles.items()
    ]
    groups = [group | {"base_lr": group["lr"]} for group in groups if group["params"]]
    grouped = [id(p) for group in groups for p in group["params"]]
    trainable = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trainable), "a trainable parameter is in no group, or in two"
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)
    return torch.optim.Adam(groups, lr=config.lr, fused=True)


def set_learning_rates(optimizer: torch.optim.Optimizer, config: Config, epochs_done: float) -> None:
    """Sets each group's learning rate to its own times the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * schedule(config, epochs_done)


def schedule(config: Config, epochs_done: float) -> float:
    """The learning rates' factor in [0, 1], a function of the epochs done (steps as fractions) and of nothing else.

    After the warm-up: constant 1; cosine ½(1 + cos πx) (Loshchilov and Hutter, SGDR, 2017, arXiv:1608.03983,
    without restarts); poly (1 − x)^0.9 (Chen et al., DeepLab, 2017, arXiv:1606.00915); x from 0 to 1.
    """
    if epochs_done < config.warmup_epochs:
        return epochs_done / config.warmup_epochs
    if config.schedule == "constant":
        return 1.0
    x = (epochs_done - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
    return (1 + math.cos(math.pi * x)) / 2 if config.schedule == "cosine" else (1 - x) ** 0.9
