"""Counts and scores against values a reader can verify and against Python sets. Alone: pytest tests/test_metrics.py"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seglib import metrics


def counts(pred, target, task="binary", classes=1):
    """Counts of 4-pixel masks, given as nested lists of shape (N, 4) (or (N, C, 4) for planes)."""
    pred, target = torch.tensor(pred), torch.tensor(target)
    if task == "binary":
        channels = pred[:, None, None].bool()
    elif task == "multiclass":
        channels = torch.stack([pred == c for c in range(classes)], 1)[:, :, None]
    else:
        channels = pred[:, :, None].bool()
    truth, valid = metrics.one_hot(target.unsqueeze(-2), task, classes)
    return metrics.confusion(channels, truth, valid)


@pytest.mark.parametrize(
    ("pred", "target", "iou", "dice"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0], 1, 1),
        ([1, 1, 0, 0], [0, 0, 1, 1], 0, 0),
        ([1, 1, 1, 0], [0, 1, 1, 1], 2 / 4, 4 / 6),
        ([1, 0, 0, 0], [1, 1, 1, 1], 1 / 4, 2 / 5),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1, 1),  # nothing there and nothing claimed
        ([0, 1, 0, 0], [0, 0, 0, 0], 0, 0),
        ([1, 1, 1, 1], [1, 255, 255, 1], 1, 1),  # ignored pixels count nowhere
    ],
)
def test_binary_scores_by_hand(pred, target, iou, dice):
    found = counts([pred], [target])
    assert metrics.per_image(metrics.iou, found, "binary").item() == pytest.approx(iou)
    assert metrics.per_image(metrics.dice, found, "binary").item() == pytest.approx(dice)


def test_a_class_absent_from_truth_and_prediction_is_not_counted():
    found = counts([[0, 0, 1, 1]], [[0, 0, 1, 1]], "multiclass", classes=3)
    assert metrics.iou(*found[0, 2, :3]).isnan()
    assert metrics.per_image(metrics.iou, found, "multiclass").item() == 1


def test_a_class_absent_from_truth_but_predicted_scores_zero():
    found = counts([[0, 0, 1, 2]], [[0, 0, 1, 1]], "multiclass", classes=3)
    assert metrics.per_image(metrics.iou, found, "multiclass").item() == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_planes_may_overlap():
    found = counts([[[1, 1, 0, 0], [0, 1, 1, 0]]], [[[1, 1, 0, 0], [0, 1, 0, 0]]], "planes", classes=2)
    assert metrics.per_image(metrics.iou, found, "planes").item() == pytest.approx((1 + 1 / 2) / 2)


masks = arrays("uint8", (3, 5, 4), elements=st.sampled_from([0, 1]))


@settings(max_examples=50, deadline=None)
@given(masks, masks, arrays("bool", (3, 5, 4)))
def test_scores_equal_those_of_python_sets(pred, target, ignored):
    target = target.copy()
    target[ignored] = metrics.IGNORE_INDEX
    truth, valid = metrics.one_hot(torch.from_numpy(target), "binary", 1)
    found = metrics.confusion(torch.from_numpy(pred)[:, None].bool(), truth, valid)
    for i in range(len(pred)):
        where = [(y, x) for y in range(5) for x in range(4) if not ignored[i, y, x]]
        a, b = ({p for p in where if m[i][p] == 1} for m in (pred, target))
        expected = len(a & b) / len(a | b) if a | b else 1.0
        iou = metrics.per_image(metrics.iou, found[i : i + 1], "binary").item()
        dice = metrics.per_image(metrics.dice, found[i : i + 1], "binary").item()
        assert math.isclose(iou, expected, abs_tol=1e-6)
        assert math.isclose(dice, 2 * iou / (1 + iou), abs_tol=1e-6)


def test_counts_per_threshold_equal_the_counts_at_that_threshold():
    probs = torch.rand((4, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    target = torch.randint(0, 3, (4, 6, 6), generator=torch.Generator().manual_seed(1)).byte()
    target[target == 2] = metrics.IGNORE_INDEX
    truth, valid = metrics.one_hot(target.unsqueeze(1).expand(-1, 2, -1, -1), "planes", 2)
    found = metrics.threshold_counts(probs, truth, valid)
    for i in range(metrics.BINS):
        expected = metrics.confusion(probs >= i / metrics.BINS, truth, valid)
        assert found[:, :, i, :2].tolist() == expected[..., :2].double().tolist()


def test_the_mean_mask_floor_predicts_where_most_training_masks_are():
    from seglib.data.core import Dataset, Split

    image = torch.zeros((3, 3, 2, 2), dtype=torch.uint8)
    train = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [0, 0]], [[1, 1], [0, 1]]], dtype=torch.uint8)
    test = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.uint8)
    split = Split(("a", "b", "c"), image, train)
    dataset = Dataset("x", "binary", ("lesion",), "", "", split, split, Split(("d",), image[:1], test))
    assert metrics.mean_mask(dataset).int().tolist() == [[[[1, 1], [0, 0]]]]
