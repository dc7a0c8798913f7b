"""Boundary scores against brute force over sets, and MONAI where it is. Alone: pytest tests/test_boundary.py"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from seglib import boundary

SIZE = (7, 9)


def pixels(mask):
    return {(int(y), int(x)) for y, x in np.argwhere(mask)}


def rim(mask):
    return {(y, x) for y, x in mask if not {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} <= mask}


def band(mask, width):
    steps = range(-width, width + 1)
    return {(y, x) for y, x in mask if not all((y + j, x + i) in mask for j in steps for i in steps)}


def brute_force(pred, truth):
    """The three scores of two masks that are not empty, from sets of pixels."""
    width = max(1, round(0.02 * math.hypot(*pred.shape)))
    a, b = pixels(pred), pixels(truth)
    iou = len(band(a, width) & band(b, width)) / len(band(a, width) | band(b, width))
    forth = [min(math.dist(p, q) for q in rim(b)) for p in rim(a)]
    back = [min(math.dist(p, q) for q in rim(a)) for p in rim(b)]
    hausdorff = max(np.percentile(forth, 95), np.percentile(back, 95))
    return iou, hausdorff, sum(d <= boundary.TOLERANCE for d in forth + back) / len(forth + back)


def scores(pred, truth, task="binary"):
    return boundary.scores(torch.as_tensor(pred)[None, None], torch.as_tensor(truth)[None, None], task)[0, 0].tolist()


masks = arrays("bool", SIZE)


@settings(max_examples=60, deadline=None)
@given(masks, masks)
def test_scores_equal_brute_force_over_sets(pred, truth):
    if pred.any() and truth.any():
        assert scores(pred, truth) == pytest.approx(brute_force(pred, truth))


def test_a_square_moved_by_one_pixel_by_hand():
    truth, pred = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[5:10, 5:10] = pred[5:10, 6:11] = True
    # bands one pixel wide: 16 pixels each; they share the two rows' 4 pixels each, and no column
    assert scores(pred, truth) == pytest.approx([8 / 24, 1.0, 1.0])


def test_a_band_is_as_wide_as_two_per_cent_of_the_diagonal():
    mask = torch.zeros((1, 1, 128, 128), dtype=torch.bool)
    mask[..., 20:100, 20:100] = True
    inner = mask.clone()
    inner[..., 24:96, 24:96] = False  # 0.02 · 181 = 3.6: four pixels
    assert boundary.boundary_iou(mask, inner).item() == 1


NOTHING, ALL = np.zeros(SIZE, bool), np.ones(SIZE, bool)


@pytest.mark.parametrize(
    ("pred", "truth", "task", "expected"),
    [
        (NOTHING, NOTHING, "binary", [1, 0, 1]),
        (NOTHING, NOTHING, "multiclass", [math.nan] * 3),
        (NOTHING, ALL, "binary", [0, math.hypot(*SIZE), 0]),
        (ALL, NOTHING, "planes", [0, math.hypot(*SIZE), 0]),
        (ALL, ALL, "multiclass", [1, 0, 1]),
    ],
)
def test_empty_masks_follow_the_written_rule(pred, truth, task, expected):
    assert scores(pred, truth, task) == pytest.approx(expected, nan_ok=True)


def test_distances_and_surface_dice_are_monai_s():
    monai = pytest.importorskip("monai.metrics", reason="MONAI is an oracle for this test alone")
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((6, 2, 24, 20), generator=generator)
    pred, truth = (torch.nn.functional.avg_pool2d(n, 5, 1, 2) > 0.5 for n in (noise[:3], noise[3:]))
    found = boundary.scores(pred, truth, "multiclass")
    one = torch.cat([torch.zeros_like(pred[:, :1]), pred], 1), torch.cat([torch.zeros_like(truth[:, :1]), truth], 1)
    distance = monai.compute_hausdorff_distance(*(m.float() for m in one), include_background=False, percentile=95)
    assert found[..., 1].numpy() == pytest.approx(distance.numpy(), rel=1e-5)
    surface = monai.compute_surface_dice(*(m.float() for m in one), class_thresholds=[boundary.TOLERANCE] * 2)
    assert found[..., 2].numpy() == pytest.approx(surface.numpy(), rel=1e-5)
