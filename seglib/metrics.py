"""Counts and scores: every score in every report is computed from these counts, per image and class.

Conventions: IoU = TP / (TP + FP + FN), Dice = 2 TP / (2 TP + FP + FN). Where truth and prediction are both empty,
a binary image scores 1; a class of several is NaN and does not count. Ignored pixels count nowhere.
"""

import torch
import torch.nn.functional as F

from seglib.data.core import IGNORE_INDEX, Dataset

THRESHOLD = 0.5  # on probabilities, for binary and planes
BINS = 20  # of probability, for counts per threshold and reliability
BANDS = ((25, 85), (65, 135), (115, 185), (165, 230), (210, float("inf")))  # report 5's, one per plane


def predict(probs: torch.Tensor, task: str) -> torch.Tensor:
    """Probabilities (N, C, H, W) → which channels are on at each pixel, (N, C, H, W) bool."""
    if task == "multiclass":
        return F.one_hot(probs.argmax(1), probs.shape[1]).movedim(-1, 1).bool()
    return probs > THRESHOLD


def in_bands(outputs: torch.Tensor) -> torch.Tensor:
    """Report 5's decoding of raw outputs (N, C ≤ 5, H, W): plane k is on where its output lies in BANDS[k]; bool."""
    low, high = torch.tensor(BANDS[: outputs.shape[1]], device=outputs.device).T[..., None, None]
    return (outputs >= low) & (outputs <= high)


def one_hot(target: torch.Tensor, task: str, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A target as (truth, valid), both (N, C, H, W) bool; a pixel that is not valid counts nowhere."""
    if task == "planes":
        return target == 1, target != IGNORE_INDEX
    classes = torch.arange(num_classes, device=target.device) + (1 if task == "binary" else 0)
    truth = target[:, None] == classes.view(1, -1, 1, 1)
    return truth, (target != IGNORE_INDEX)[:, None].expand_as(truth)


def confusion(pred: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """True positives, false positives, false negatives and valid pixels per image and class: (N, C, 4) int64."""
    tp, fp, fn = pred & truth & valid, pred & ~truth & valid, ~pred & truth & valid
    return torch.stack([t.sum((-2, -1)) for t in (tp, fp, fn, valid)], dim=-1)


def iou(tp: torch.Tensor, fp: torch.Tensor, fn: torch.Tensor, empty: float = float("nan")) -> torch.Tensor:
    """Intersection over union (Jaccard), element by element; `empty` where there is neither truth nor prediction."""
    return (tp / (tp + fp + fn)).nan_to_num(nan=empty)


def dice(tp: torch.Tensor, fp: torch.Tensor, fn: torch.Tensor, empty: float = float("nan")) -> torch.Tensor:
    """Dice coefficient (F1), element by element; `empty` where there is neither truth nor prediction."""
    return (2 * tp / (2 * tp + fp + fn)).nan_to_num(nan=empty)


def empty_score(task: str) -> float:
    """The score of a class absent from truth and prediction: 1 if binary, NaN (not counted) if of several."""
    return 1.0 if task == "binary" else float("nan")


def per_image(score, counts: torch.Tensor, task: str) -> torch.Tensor:
    """One score per image, (N,), from counts (N, C, ≥ 3): the mean over the classes that count there.

    Args: score — `iou` or `dice`.
    """
    return score(*counts[..., :3].unbind(-1), empty=empty_score(task)).nanmean(1)


def threshold_counts(probs: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Per image, class and threshold i / BINS: pixels at or above it that are truth, that are not, their summed
    probability.

    Differences of neighbouring thresholds are the reliability bins. Returns (N, C, BINS, 3) float64 on the CPU.
    """
    rows = []
    for i in range(BINS):
        above = (probs >= i / BINS) & valid
        sums = [(above & truth), (above & ~truth), probs * above]  # no float64 here: Apple's GPUs have none
        rows.append(torch.stack([s.sum((-2, -1)).cpu().double() for s in sums], dim=-1))
    return torch.stack(rows, dim=2)


def mean_mask(dataset: Dataset) -> torch.Tensor:
    """The floor *mean mask*: the training set's mean target, cut at 0.5 (the likeliest class); (1, C, H, W) bool."""
    sums, valid_sums = 0, 0
    for masks in dataset.train.masks.split(256):
        truth, valid = one_hot(masks, dataset.task, dataset.num_classes)
        sums, valid_sums = sums + (truth & valid).sum(0), valid_sums + valid.sum(0)
    return predict((sums / valid_sums.clamp(min=1))[None], dataset.task)
