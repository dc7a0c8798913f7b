"""Reliability and thresholds against brute force over pixels. Alone: pytest tests/test_calibration.py"""

import numpy as np
import pytest
import stored
import torch

from seglib import calibration, plots, tables
from seglib.metrics import BINS


@pytest.fixture
def run():
    masks = stored.discs(8)
    return stored.store("run", stored.guess(masks, 0.3, 0), stored.dataset(masks))


def pixels():
    masks = stored.discs(8)
    return stored.guess(masks, 0.3, 0).flatten().double().numpy(), masks.flatten().numpy()


def test_bins_and_error_are_those_of_the_pixels(run):
    probs, truth = pixels()
    bins = calibration.reliability(run)
    error = 0
    for i, row in bins.iterrows():
        inside = (probs >= i / BINS) & ((probs < (i + 1) / BINS) | (i == BINS - 1))
        assert row["pixels"] == inside.sum()
        if inside.any():
            confidence, frequency = probs[inside].mean(), truth[inside].mean()
            assert (row["confidence"], row["frequency"]) == pytest.approx((confidence, frequency), abs=1e-5)
            error += inside.mean() * abs(confidence - frequency)
    assert calibration.error(run) == pytest.approx(error, abs=1e-5)


def test_probabilities_that_mean_what_they_say_have_no_error():
    probs = torch.full((1, 1, 4, 4), 0.25)
    masks = torch.zeros((1, 4, 4), dtype=torch.uint8)
    masks[0, 0] = 1  # a quarter
    run = stored.store("run", probs, stored.dataset(masks))
    assert calibration.error(run) == pytest.approx(0)
    assert calibration.error(stored.store("sure", probs * 4, stored.dataset(masks))) == pytest.approx(0.75)


def test_dice_against_threshold_is_that_of_masks_cut_there(run):
    probs, truth = (values.reshape(8, -1) for values in pixels())
    for row in calibration.against_threshold(run).itertuples(index=False):
        cut = probs >= row[0]
        tp, total = (cut & (truth == 1)).sum(1), cut.sum(1) + truth.sum(1)
        assert (row[1], row[2]) == pytest.approx(((2 * tp / total).mean(), 2 * tp.sum() / total.sum()))


def test_a_threshold_chosen_on_the_test_images_is_never_below_the_one_used(run):
    row = calibration.table({"a": [run]}).loc["a"]
    assert row["best of 20 thresholds"] >= row["Dice at 0.5"] and 0 <= row["at threshold"] < 1
    assert row["lowest seed"] == row["highest seed"] == row["calibration error"]


def test_of_several_classes_no_threshold_is_said_to_be_better():
    masks = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    probs = torch.rand((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))
    run = stored.store("run", probs / probs.sum(1, True), stored.dataset(masks, "multiclass", ("background", "a", "b")))
    assert np.isnan(calibration.table({"a": [run]}).loc["a", "best of 20 thresholds"])
    assert calibration.reliability(run)["pixels"].sum() == 3 * 32


def test_of_planes_the_columns_say_that_classes_are_averaged_last():
    masks = torch.zeros((2, 2, 4, 4), dtype=torch.uint8)
    masks[0, :, 0] = 1  # the second image has only the first plane
    masks[1, 0, 0] = 1
    probs = masks.float()
    probs[1, 0] = 0  # missed
    data = stored.dataset(masks, "planes", ("a", "b"))
    row = calibration.table({"m": [stored.store("run", probs, data)]}).loc["m"]
    assert row["Dice at 0.5, mean of class means"] == pytest.approx((1 / 2 + 1) / 2)
    assert "Dice at 0.5" not in row and "calibration error" not in row and row["class-wise calibration error"] > 0
    assert list(tables.readable(row.to_frame("m").T).iloc[0])[3] == "0.75"


def test_regressed_values_have_no_calibration_error():
    data = stored.dataset(torch.ones((2, 1, 4, 4), dtype=torch.uint8), "planes", ("a",))
    run = stored.store("run", torch.ones((2, 1, 4, 4)), data, loss_options={"target_scale": "values"})
    row = calibration.table({"m": [run]}).loc["m"]
    assert row[["class-wise calibration error", "lowest seed", "highest seed"]].isna().all()
    assert row["best of 20 thresholds"] == 1
    assert plots.reliability({}) is None  # a page on which no model has probabilities: a sentence in its place


def test_both_charts_can_be_drawn(run):
    assert plots.reliability({"a": [calibration.reliability(run)]}).axes
    assert plots.thresholds({"a": [calibration.against_threshold(run)]}, 0.5).axes
