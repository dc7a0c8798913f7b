"""One pass of a model over a split: counts per image, loss per image, and what a final evaluation keeps."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from seglib import metrics
from seglib.batches import Images, Pulse, no_pulse
from seglib.config import Config
from seglib.data.core import Split
from seglib.features import Features
from seglib.losses import build_loss
from seglib.losses.outputs import probabilities
from seglib.memory import Budget
from seglib.randomness import integer

EVAL_BATCH = 32  # images; changes speed and memory, never a score


@dataclass(frozen=True)
class Evaluation:
    """One split under one model.

    Shape: counts (N, C, 4) int64 (tp, fp, fn, valid pixels); loss (N,); and if they were kept: thresholds
    (N, C, BINS, 3), see `metrics.threshold_counts`; pred (N, C, H, W) bool; bands, the counts of report 5's
    decoding, where the target scale is `values`. All on the CPU.
    """

    counts: torch.Tensor
    loss: torch.Tensor
    thresholds: torch.Tensor | None = None
    pred: torch.Tensor | None = None
    bands: torch.Tensor | None = None


def evaluate(model: nn.Module, split: Split, config: Config, keep: bool = False, pulse: Pulse = no_pulse) -> Evaluation:
    """One pass over every image of the split as a run is tested, see `score`.

    In evaluation mode, unless the config has report 5's fault: then a copy of the model is in training mode, and scores
    depend on which images share a batch.
    """
    device = next(model.parameters()).device
    if not config.test_in_eval_mode:
        model = copy.deepcopy(model)  # BatchNorm's statistics would move
        torch.manual_seed(integer(config.seed))  # dropout's stream
    return score(model, Images(split, config, device, model, Budget()), config, keep, pulse, config.test_in_eval_mode)


@torch.inference_mode()
def score(
    model: nn.Module,
    split: Images | Features,
    config: Config,
    keep: bool = False,
    pulse: Pulse = no_pulse,
    eval_mode: bool = True,
) -> Evaluation:
    """One pass over a split in evaluation mode; losses are per image, whatever training reduces.

    Args: keep — also keep what only a final evaluation needs: predictions and counts per threshold;
        pulse — called after each batch; eval_mode — False leaves the model in training mode, in training's batches.
    """
    model.train(not eval_mode)
    batch_size = EVAL_BATCH if eval_mode else config.batch_size
    criterion = None
    counts, losses, preds, thresholds, bands = [], [], [], [], []
    for _, inputs, target in split.batches(torch.arange(len(split)).split(batch_size)):
        logits = split.logits(inputs).float()
        criterion = criterion or criterion_of(config, logits.shape[1], reduction="image")
        probs = probabilities(logits, config.task, **_decoding(config))
        truth, valid = metrics.one_hot(target, config.task, logits.shape[1])
        pred = metrics.predict(probs, config.task)
        counts.append(metrics.confusion(pred, truth, valid))
        losses.append(criterion(logits, target)[0])
        if keep:
            preds.append(pred.cpu())
            thresholds.append(metrics.threshold_counts(probs, truth, valid))
            if _decoding(config).get("target_scale") == "values" and logits.shape[1] <= len(metrics.BANDS):
                bands.append(metrics.confusion(metrics.in_bands(logits), truth, valid).cpu())
        pulse()
    kept = [torch.cat(parts) if parts else None for parts in (thresholds, preds, bands)]
    evaluation = Evaluation(torch.cat(counts).cpu(), torch.cat(losses).cpu(), *kept)
    assert len(evaluation.loss) == len(split), "evaluation did not see every image of the split"
    return evaluation


def criterion_of(config: Config, num_classes: int, **options) -> nn.Module:
    """The loss a config names; `options` win over the config's."""
    return build_loss(config.loss, task=config.task, num_classes=num_classes, **config.loss_options | options)


def _decoding(config: Config) -> dict:
    return {k: v for k, v in config.loss_options.items() if k == "target_scale"}
