"""Boundary scores per image and class: boundary IoU, 95th-percentile Hausdorff distance, normalised surface Dice.

The boundary of a mask is the set of its pixels with a 4-neighbour outside it; beyond the image's edge is outside.
Distances are Euclidean, between pixel centres, in pixels of the evaluation size. Ignored pixels belong to neither
mask. Where truth and prediction are both empty, a binary image has IoU and surface Dice 1 and distance 0, a class of
several NaN (not counted); where one alone is empty, IoU and surface Dice are 0 and the distance is the image's
diagonal: the worst there is, so that a mean over images exists (MONAI gives inf or NaN there).
"""

import math

import torch
import torch.nn.functional as F

TOLERANCE = 2.0  # pixels: a boundary that is off by no more counts as right in surface Dice
THICKNESS = 0.02  # of the image's diagonal: the band of boundary IoU, as Cheng et al. have it
PERCENTILE = 95
NAMES = ("boundary_iou", "hausdorff_95", "surface_dice")  # as columns of images.csv


def scores(pred: torch.Tensor, truth: torch.Tensor, task: str) -> torch.Tensor:
    """All three scores, in the order of NAMES.

    Shape: pred and truth (N, C, H, W) bool on the CPU, off where ignored; returns (N, C, 3) float64.
    """
    distances = torch.empty((*pred.shape[:2], 2), dtype=torch.float64)
    edges = edge(pred), edge(truth)
    diagonal = math.hypot(*pred.shape[-2:])
    for i, c in torch.cartesian_prod(torch.arange(pred.shape[0]), torch.arange(pred.shape[1])).tolist():
        distances[i, c] = torch.tensor(_distance_scores(edges[0][i, c].numpy(), edges[1][i, c].numpy(), diagonal))
    found = torch.cat([boundary_iou(pred, truth)[..., None], distances], dim=-1)
    empty = ~(pred | truth).flatten(2).any(-1)
    if task == "binary":
        found[empty] = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    else:
        found[empty] = math.nan
    return found


def boundary_iou(pred: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """IoU of the inner bands of both masks, one THICKNESS wide; NaN where both are empty. (N, C) float64.

    The band is what erosion by a square takes away, as in the authors' own code.
    Reference: Cheng et al., Boundary IoU, CVPR 2021, arXiv:2103.16562.
    """
    width = max(1, round(THICKNESS * math.hypot(*pred.shape[-2:])))
    bands = [mask & ~_erode(mask, width) for mask in (pred, truth)]
    both, either = ((bands[0] & bands[1]).flatten(2).sum(-1), (bands[0] | bands[1]).flatten(2).sum(-1))
    return both.double() / either


def edge(masks: torch.Tensor) -> torch.Tensor:
    """The boundary pixels of masks, (N, C, H, W) bool."""
    padded = F.pad(masks, (1, 1, 1, 1))
    sides = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1], padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]
    return masks & ~(sides[0] & sides[1] & sides[2] & sides[3])


def _erode(masks: torch.Tensor, width: int) -> torch.Tensor:
    """Erosion by a square of 2 · width + 1 pixels, by doubling windows along one side after the other."""
    masks = F.pad(masks, (width,) * 4)
    for dim in (-2, -1):
        size = 1
        while size < 2 * width + 1:
            step = min(size, 2 * width + 1 - size)
            length = masks.shape[dim] - step
            masks = masks.narrow(dim, 0, length) & masks.narrow(dim, step, length)
            size += step
    return masks


def _distance_scores(pred, truth, diagonal: float) -> tuple[float, float]:
    """Hausdorff-95 and surface Dice of two boundaries, numpy bool (H, W).

    The distance is the larger of the two directed 95th percentiles, interpolated linearly (as MONAI; MedPy takes the
    percentile of both directions pooled). Surface Dice is the share of both boundaries' pixels that lie within
    TOLERANCE of the other, each pixel counting once (DeepMind's code weighs them by the length they stand for).
    Reference: Nikolov et al., 2018, arXiv:1809.04430.
    """
    import numpy as np

    if not pred.any() or not truth.any():
        return diagonal, 0.0
    forth, back = surface_distances(pred, truth)
    hausdorff = max(np.percentile(forth, PERCENTILE), np.percentile(back, PERCENTILE))
    within = np.count_nonzero(forth <= TOLERANCE) + np.count_nonzero(back <= TOLERANCE)
    return float(hausdorff), within / (len(forth) + len(back))


def surface_distances(first, second):
    """Distances of each set's pixels to the nearest of the other; two numpy arrays, of sets that are not empty."""
    import numpy as np
    from scipy.spatial import KDTree

    points = np.argwhere(first), np.argwhere(second)
    return KDTree(points[1]).query(points[0])[0], KDTree(points[0]).query(points[1])[0]
