"""Verdicts on pairs of models, from runs made of known noise. Alone: pytest tests/test_pairwise.py"""

import numpy as np
import pytest
import stored
import torch

from seglib import pairwise, plots, scores, stats, tables, variance, words


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        return {"plain": stored.model("p", 0.35), "same": stored.model("q", 0.35), "sharp": stored.model("s", 0.2)}


def test_every_pair_is_tested_once_and_corrected_over_all(groups):
    pairs = pairwise.table(groups)
    assert list(zip(pairs["model"], pairs["baseline"], strict=True)) == [
        ("same", "plain"), ("sharp", "plain"), ("sharp", "same"),
    ]  # fmt: skip
    assert pairs["p_holm"].to_numpy() == pytest.approx(stats.holm(pairs["p"]))
    assert pairs["verdict"].to_list() == ["no difference shown", "better", "better"]
    gap = scores.matrix(groups["sharp"], "Dice").mean() - scores.matrix(groups["plain"], "Dice").mean()
    assert pairs["difference"][1].mean == pytest.approx(gap)


def test_of_a_distance_less_is_better(groups):
    pairs = pairwise.table(groups, "HD95")
    assert pairs["difference"][1].mean < 0 and pairs["verdict"][1] == "better"
    assert pairwise.leaders(groups, "HD95")[0] == "sharp"


def test_the_best_is_named_with_all_that_are_not_shown_to_be_worse(groups):
    assert pairwise.leaders(groups, "Dice") == ["sharp"]
    alike = {name: groups[name] for name in ("plain", "same")}
    assert sorted(pairwise.leaders(alike, "Dice")) == ["plain", "same"]


def test_a_verdict_needs_both_the_interval_and_the_corrected_p(groups):
    found = stats.compare(scores.matrix(groups["sharp"], "Dice"), scores.matrix(groups["plain"], "Dice"))
    assert pairwise._verdict(found, 0.049, "Dice") == "better"
    assert pairwise._verdict(found, 0.051, "Dice") == "no difference shown"


def test_the_square_is_antisymmetric_and_its_chart_can_be_drawn(groups):
    pairs = pairwise.table(groups)
    square = pairwise.matrix(groups, pairs)
    assert square.loc["sharp", "plain"].mean == -square.loc["plain", "sharp"].mean
    assert square.loc["sharp", "plain"].low == -square.loc["plain", "sharp"].high
    assert plots.differences(square, pairs, "Dice").axes


def test_the_chart_of_intervals_fills_the_best_and_leaves_room_for_every_name(groups):
    table = tables.comparison(groups)
    figure = plots.intervals(table, ["IoU", "Dice"], tables.leaders(groups, ["Dice"]))
    assert [axis.get_xlabel() for axis in figure.axes] == ["IoU, higher is better", "Dice, higher is better"]
    filled = [line for line in figure.axes[1].lines if line.get_marker() == "o" and line.get_mfc() != "white"]
    assert len(filled) == 1 and filled[0].get_xdata()[0] == table["Dice"]["sharp"].mean


def test_one_seed_against_several_is_of_these_trained_models(groups):
    pairs = pairwise.table({"one": groups["plain"][:1], "three": groups["sharp"]})
    assert pairs["these_models"][0] and pairs["seeds"][0] == 3 and pairs["baseline_seeds"][0] == 1
    assert "n = 40 images × 3 against 1 seeds; these trained models" in words.verdict(pairs.iloc[0], 1)


def test_where_the_variance_is_and_what_would_show_the_difference(groups):
    row = pairwise.variances(groups).iloc[1]
    models = [scores.matrix(groups[name], "Dice") for name in ("sharp", "plain")]
    assert row["image sd"] == variance.components(*models).image
    assert row["due to seeds"] + row["due to images"] == pytest.approx(1)
    assert stats.MIN_IMAGES <= row["images needed"] < 40  # it was shown with 40
    found = variance.components(*models)
    wanted = variance.needed(found, row["difference"].mean, 0.05 / 3, stats.MIN_IMAGES)  # three pairs
    assert (row["images needed"], row["seeds needed"]) == wanted
    alone = pairwise.variances({name: group[:1] for name, group in groups.items()}).iloc[1]
    assert np.isnan(alone["seed sd"]) and np.isnan(alone["seeds needed"])


def test_a_single_model_makes_no_pairs_and_no_error(groups):
    alone = dict([next(iter(groups.items()))])
    assert list(pairwise.variances(alone).columns) == list(pairwise.variances(groups).columns)
    assert pairwise.variances(alone).empty and pairwise.table(alone).empty


def test_runs_on_other_images_are_not_compared(groups):
    for other in (stored.model("o", 0.3, stored.discs(30)), stored.model("d", 0.3, data_seed=1)):
        with pytest.raises(ValueError, match="only runs on the same test images can be compared"):
            tables.comparison({"a": groups["plain"], "b": other})


def test_a_model_without_a_score_is_not_tested_and_not_of_the_family(groups):
    nothing = np.full((1, 40), np.nan)
    found = stats.compare(nothing, np.random.default_rng(0).random((1, 40)))
    assert np.isnan(found.p) and np.isnan(found.difference.mean) and found.images == 0
    assert pairwise._verdict(found, found.p, "Dice") == "no score to compare"
    one_of_three = stats.compare(np.vstack([nothing, np.ones((2, 40))]), np.zeros((3, 40)))
    assert pairwise._verdict(one_of_three, one_of_three.p, "Dice") == "no score to compare"
    few = stats.compare(np.ones((3, 5)), np.zeros((3, 5)))
    assert pairwise._verdict(few, few.p, "Dice") == "too few test images"
    with pytest.raises(ValueError, match="a difference is NaN or infinite"):
        stats.sign_flip(np.array([0.1, np.nan]))


@pytest.mark.filterwarnings("error")
def test_a_page_holds_a_model_without_any_score():
    masks = np.zeros((30, 1, 24, 24))  # no object anywhere: what finds nothing has no score
    data = stored.dataset(torch.tensor(masks, dtype=torch.uint8), "planes", ("disk",))
    found = {name: [stored.store(name, torch.full((30, 1, 24, 24), p), data)] for name, p in FILLED}
    pairs = pairwise.table(found)
    assert pairs["verdict"].to_list() == ["no score to compare"] and np.isnan(pairs["p_holm"][0])
    assert "**everything** against **nothing**: no score to compare" in words.of_comparison(found).data
    assert pairwise.variances(found)[["images needed", "seeds needed"]].isna().all(axis=None)
    assert plots.differences(pairwise.matrix(found, pairs), pairs, "Dice").axes
    assert tables.leaders(found, ["Dice"]) == {"Dice": []}
    assert "nan" not in words.of_ranking(found).data.lower()
    assert words.of_ranking({"nothing": found["nothing"]}).data == "No model has a Dice on these images."


FILLED = (("nothing", 0.0), ("everything", 1.0))
