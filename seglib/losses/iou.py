"""Soft IoU loss. Shapes and reduction: see `seglib.losses`."""

import torch

from seglib.losses.overlap import class_sums, over_classes
from seglib.losses.settings import Settings


def iou(logits, truth, valid, settings: Settings) -> torch.Tensor:
    """Soft IoU loss 1 − (Σp·g + eps/2) / (Σp² + Σg² − Σp·g + eps/2) per class, in all else as `dice`.

    Half of eps, so that per class Dice = 2·IoU / (1 + IoU) holds exactly.
    Reference: Rahman and Wang, Optimizing Intersection-over-Union in Deep Neural Networks for Image
    Segmentation, ISVC 2016 (theirs is binary, without eps, with squared_denominator: false).
    """
    overlap, total = class_sums(logits, truth, valid, settings)
    score = (overlap + settings.eps / 2) / (total - overlap + settings.eps / 2)
    return over_classes(1 - score, truth, settings)
