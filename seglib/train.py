"""The training loop. It knows tensors and a config; no paths, no files, no plots."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from seglib import metrics
from seglib.batches import resident, training_batch
from seglib.config import Config
from seglib.data.core import Dataset, Split
from seglib.evaluation import Evaluation, criterion_of, evaluate
from seglib.models.base import SegmentationModel
from seglib.optim import build_optimizer
from seglib.randomness import generator

SCORES = {"iou": metrics.iou, "dice": metrics.dice}


@dataclass
class State:
    """All that training needs to go on from the end of an epoch; plain values and tensors."""

    model: dict
    optimizer: dict
    epoch: int = 0  # epochs done
    history: list[dict] = field(default_factory=list)  # one row per epoch
    best_epoch: int = 0
    best_model: dict = field(default_factory=dict)


def fit(
    model: SegmentationModel,
    dataset: Dataset,
    config: Config,
    device: torch.device,
    state: State | None = None,
    on_epoch: Callable[[State], None] = lambda state: None,
    on_step: Callable[[int, int, int], None] = lambda epoch, step, steps: None,
) -> State:
    """Trains to `config.epochs`, from the start or from a state, and leaves the best epoch's weights in the model.

    The order of the images, the augmentation and the dropout are functions of (seed, epoch), so that a resumed
    training ends as one that never stopped. Validation alone chooses the epoch.
    """
    criterion = criterion_of(config, dataset.num_classes)
    optimizer = build_optimizer(model, config)
    if state is None:
        state = State(_copy(model.state_dict()), optimizer.state_dict())
    else:
        model.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
    train, val = resident(dataset.train, device), resident(dataset.val, device)
    for epoch in range(state.epoch, config.epochs):
        losses = train_one_epoch(model, train, criterion, optimizer, config, epoch, on_step)
        evaluation = evaluate(model, val, config)
        row = {"epoch": epoch + 1, **losses, **_validation_row(evaluation, config)}
        state.epoch, state.history = epoch + 1, [*state.history, row]
        state.model, state.optimizer = _copy(model.state_dict()), optimizer.state_dict()
        if _better(row, state.history[: state.best_epoch][-1:], config.select_by):
            state.best_epoch, state.best_model = epoch + 1, state.model
        on_epoch(state)
    model.load_state_dict(state.best_model)
    return state


def train_one_epoch(model, split: Split, criterion, optimizer, config: Config, epoch: int, on_step) -> dict[str, float]:
    """One pass over the split; returns the mean loss per image and, for a weighted sum, the mean of each part."""
    model.train()
    rng = generator(config.seed, epoch)
    order = torch.randperm(len(split), generator=rng)
    torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))  # dropout's stream, anew for each epoch
    batches = order.split(config.batch_size)
    sums: dict[str, torch.Tensor] = {}
    for step, indices in enumerate(batches):
        images, target = training_batch(split, indices.to(split.images.device), config, epoch)
        loss, parts = criterion(model(images), target)
        optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()
        optimizer.step()
        named = {"train_loss": loss} | {f"train_{name}": part for name, part in parts.items() if len(parts) > 1}
        for name, value in named.items():  # summed on the device; read once, after the epoch
            sums[name] = sums.get(name, 0) + value.detach().sum()
        on_step(epoch, step + 1, len(batches))
    means = {name: float(value) / len(split) for name, value in sums.items()}
    if not math.isfinite(means["train_loss"]):
        raise FloatingPointError(f"the training loss is not finite in epoch {epoch + 1}; a lower lr may help")
    return means


def _validation_row(evaluation: Evaluation, config: Config) -> dict[str, float]:
    scores = {name: metrics.per_image(score, evaluation.counts, config.task) for name, score in SCORES.items()}
    loss = float(evaluation.loss.mean())
    if not math.isfinite(loss):
        raise FloatingPointError("the validation loss is not finite; a lower lr may help")
    return {"val_loss": loss} | {f"val_{n}": float(s.nanmean()) for n, s in scores.items()}


def _better(row: dict, best: list[dict], select_by: str) -> bool:
    if not best or math.isnan(best[0][select_by]):
        return True
    return row[select_by] < best[0][select_by] if select_by == "val_loss" else row[select_by] > best[0][select_by]


def _copy(state: dict) -> dict:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
