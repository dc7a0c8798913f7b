"""Sentences and tables that must stay true whatever the numbers are. Alone: pytest tests/test_words.py"""

import pandas as pd
import pytest

from seglib import tables, words
from seglib.stats import Estimate


@pytest.fixture
def gap(monkeypatch):
    """Makes every paired difference the given one."""

    def arrange(mean, low, high):
        monkeypatch.setattr(tables, "difference", lambda *a, **k: Estimate(mean, low, high))
        monkeypatch.setattr(tables, "over_seeds", lambda runs: [0] * 300)
        monkeypatch.setattr(words, "_seeds", lambda runs: "seed 0")

    return arrange


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        ((0.041, 0.032, 0.050), "is better than **b** by 0.041 Dice (95 % interval 0.032 to 0.050"),
        ((-0.041, -0.050, -0.032), "is worse than **b** by 0.041 Dice (95 % interval 0.032 to 0.050"),
        ((0.01, -0.02, 0.04), "no difference shown (0.010 Dice, 95 % interval -0.020 to 0.040"),
        ((-0.01, -0.04, 0.02), "no difference shown (0.010 Dice, 95 % interval -0.020 to 0.040"),
        ((0.0, 0.0, 0.0), "no difference shown"),
        ((0.3, float("nan"), float("nan")), "too few test images for a verdict"),
    ],
)
def test_a_verdict_says_what_the_interval_shows(gap, estimate, said):
    gap(*estimate)
    assert said in words.verdict("a", [], "b", [])


def test_extremes_are_three_different_kinds_and_leave_out_what_has_no_score():
    images = pd.DataFrame({"image": list("abcdefg"), "Dice": [0.5, 0.1, float("nan"), 0.9, 0.7, 0.3, 0.6]})
    assert tables.extremes(images, 1) == {"worst": [1], "median": [0], "best": [3]}
    many = tables.extremes(images, 10)
    assert sorted(i for rows in many.values() for i in rows) == [0, 1, 3, 4, 5, 6]


def test_a_table_for_readers_tells_counts_from_scores():
    table = pd.DataFrame({"IoU": [Estimate(1.0, 1.0, 1.0)], "test loss": [1.0], "seeds": [1.0], "learned": [True]})
    shown = tables.readable(table.assign(parameters=9_474_913, val=float("nan")))
    assert shown.iloc[0].to_list() == ["1.000", "1.000", "1", "yes", "9,474,913", "–"]
