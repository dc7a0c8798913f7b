"""The interval of a mean over images. Alone: pytest tests/test_stats.py"""

import numpy as np
import pytest

from seglib.stats import Estimate, bootstrap_mean


def test_the_interval_agrees_with_the_closed_form_of_a_normal_mean():
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = rng.beta(5, 2, (300, 200))  # skewed, as Dice is
    covered = [(e := bootstrap_mean(s, resamples=500)).low <= 5 / 7 <= e.high for s in samples]
    assert 0.91 <= np.mean(covered) <= 0.98


def test_undefined_images_are_left_out():
    assert bootstrap_mean(np.array([0.5, np.nan, 0.7])).mean == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.71, 0.75, "0.730 (0.710 to 0.750)"),
        (0.55, 0.91, "0.73 (0.55 to 0.91)"),
        (0.721, 0.739, "0.730 (0.721 to 0.739)"),
        (0.7295, 0.7305, "0.7300 (0.7295 to 0.7305)"),
    ],
)
def test_no_more_digits_are_shown_than_the_interval_supports(low, high, text):
    assert str(Estimate(0.73, low, high)).replace("\u00a0", " ") == text
