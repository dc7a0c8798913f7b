"""The optimizer of a run: two parameter groups by role, encoder and decoder, each with its learning rate."""

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
    groups = [group for group in groups if group["params"]]
    grouped = [id(p) for group in groups for p in group["params"]]
    trainable = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trainable), "a trainable parameter is in no group, or in two"
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return torch.optim.Adam(groups, lr=config.lr)
