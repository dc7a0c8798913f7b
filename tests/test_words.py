"""Sentences and tables that must stay true whatever the numbers are. Alone: pytest tests/test_words.py"""

import re

import pandas as pd
import pytest
import stored

from seglib import gallery, paths, tables, words
from seglib.stats import Estimate


def row(difference, p=0.0001, verdict="better", seeds=3, others=3, p_holm=None):
    return pd.Series({
        "model": "a", "baseline": "b", "difference": Estimate(*difference), "p": p, "p_holm": p_holm or p, "d_z": 0.62,
        "wins": 0.784, "ties": 0.0, "images": 339, "seeds": seeds, "baseline_seeds": others,
        "these_models": min(seeds, others) < 2,
        "verdict": verdict,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            row((0.041, 0.032, 0.050)),
            "**a** is better than **b** by 0.041 Dice (95 % CI 0.032 to 0.050, p < 0.001 after Holm over 6 pairs, "
            "d_z = 0.6, higher on 78 % of images, n = 339 images × 3 seeds).",
        ),
        (row((-0.041, -0.050, -0.032), verdict="worse"), "**a** is worse than **b** by 0.041 Dice (95 % CI 0.032 to"),
        (
            row((0.01, -0.02, 0.04), 0.4, "no difference shown"),
            "**a** against **b**: no difference shown (0.010 Dice above, 95 % CI -0.020 to 0.040, p = 0.40",
        ),
        (row((-0.01, -0.04, 0.02), 0.4, "no difference shown"), "(0.010 Dice below, 95 % CI -0.020 to 0.040"),
        (
            row((0.02, 0.01, 0.03), 0.04, "no difference shown", p_holm=0.08),
            "shown once corrected for the number of pairs (0.020 Dice above",
        ),
        (
            row((0.02, 0.0005, 0.04), 0.052, "no difference shown"),  # bootstrap and sign flips need not agree
            "**a** against **b**: no difference shown, interval and test disagree (0.020 Dice above",
        ),
        (row((0.02, -0.001, 0.04), 0.048, "no difference shown"), "no difference shown, interval and test disagree ("),
        (row((0.3, float("nan"), float("nan")), verdict="too few test images"), "too few test images for a verdict (n"),
        (
            row((float("nan"),) * 3, float("nan"), "no score to compare"),
            "b**: no score to compare (no test image has a",
        ),
        (row((0.041, 0.032, 0.050), seeds=1, others=1), "n = 339 images × 1 seed; these trained models)."),
    ],
)
def test_a_verdict_says_what_the_table_shows(found, said):
    assert said in words.verdict(found, 6)


def test_an_effect_without_a_spread_is_left_out():
    text = words.verdict(row((0.1, 0.1, 0.1)).replace(0.62, float("nan")), 1)
    assert "d_z" not in text and "nan" not in text and "higher on 78 % of images" in text


def test_what_the_brackets_mean_follows_the_seeds():
    one, three = [None], [None, None, None]
    assert "for these trained models (one seed" in words.basis({"a": one})
    assert "over test images and seeds" in words.basis({"a": three}) and "trained" not in words.basis({"a": three})
    assert "with several seeds" in words.basis({"a": one, "b": three})


def test_a_table_for_readers_tells_counts_from_scores():
    table = pd.DataFrame({"IoU": [Estimate(1.0, 1.0, 1.0)], "test loss": [1.0], "seeds": [1.0], "learned": [True]})
    shown = tables.readable(table.assign(parameters=9_474_913, val=float("nan"), p=0.00001, wins=0.784))
    assert shown.iloc[0].to_list() == ["1.000", "1.000", "1", "yes", "9,474,913", "–", "<\u00a00.001", "78\u00a0%"]


def test_a_shown_table_leaves_its_numbers_as_csv_and_marks_the_best():
    table = pd.DataFrame(
        {"Dice": [Estimate(0.51234, 0.4, 0.6), Estimate(0.2, 0.1, 0.3)], "seeds": [3, 3]}, ["a<b>_1", "b"]
    )
    html = tables.show(table, "own", "scores", {"Dice": ["a<b>_1"]}, columns=["Dice"]).to_html()
    assert html.count("font-weight: bold") == 1 and "0.51 (0.40" in html and "seeds" not in html
    saved = pd.read_csv(paths.report("own") / "tables" / "scores.csv")
    assert list(saved.columns) == ["model", "Dice", "Dice_low", "Dice_high", "seeds"]
    assert saved.iloc[0].to_list() == ["a<b>_1", 0.51234, 0.4, 0.6, 3]
    latex = tables.to_latex(table, "What was measured", {"Dice": ["b"]})
    assert r"\toprule" in latex and r"a<b>\_1" in latex and r"\textbf{0.20" in latex


def test_sentences_of_a_whole_comparison_are_made_of_runs():
    groups = {"plain": stored.model("p", 0.35), "sharp": stored.model("s", 0.2)}
    assert "**sharp** is better than **plain** by" in words.of_comparison(groups).data
    assert "Of the models, the highest mean Dice is that of **sharp**" in words.of_ranking(groups).data
    assert "Shown to be worse: plain." in words.of_ranking(groups).data
    assert "It beats both floors" in words.of_runs("sharp", groups["sharp"]).data
    assert "nothing to compare" in words.of_comparison({"plain": groups["plain"]}).data
    assert "% of the" in gallery.of_failures("sharp", groups["sharp"]).data
    assert "no border of their own" in words.of_borders("own", groups).data


def test_the_best_of_models_that_learned_nothing_is_neither_praised_nor_marked():
    masks = stored.discs(30)
    wrong = {n: [stored.store(n, 1.0 - stored.guess(masks, 0.1, s), stored.dataset(masks))] for s, n in enumerate("ab")}
    assert tables.leaders(wrong, ["IoU", "HD95"]) == {"IoU": [], "HD95": []}
    text = words.of_ranking(wrong).data
    assert "That is no better than a floor: mean training mask (" in text and "Not learned" in text
    html = tables.show(tables.comparison(wrong), "own", "wrong", tables.leaders(wrong, ["IoU"])).to_html()
    assert "font-weight: bold" not in html
    both = {"right": stored.model("r", 0.1, masks), **wrong}
    assert tables.leaders(both, ["IoU"]) == {"IoU": ["right"]}


def test_of_few_images_nothing_is_marked_and_nobody_is_ranked():
    few = {name: stored.model(name, noise, stored.discs(6)) for name, noise in {"f": 0.1, "g": 9.0}.items()}
    assert tables.leaders(few, ["Dice"]) == {"Dice": []}
    text = words.of_ranking(few).data
    assert "Too few test images" in text and "worse" not in text and "Not learned" not in text


def test_a_page_says_that_intervals_of_few_images_are_too_narrow():
    said = {n: words.of_basis({"a": [stored.model(f"n{n}", 0.1, stored.discs(n))[0]]}).data for n in (6, 40, 60)}
    assert "Of 40 images intervals are too narrow" in said[40]
    assert "too narrow" not in said[6] and "too narrow" not in said[60]


def test_many_verdicts_are_a_sentence_each_in_which_names_with_commas_stay_apart():
    pairs = pd.DataFrame([{**row((0.041, 0.032, 0.050)), "model": f"net{i}, frozen"} for i in range(9)])
    said = words.listed(pairs, 9).data.replace("\xa0", " ")
    assert said.startswith(
        "- Better than **b** (difference in Dice): net0, frozen 0.041 (0.032 to 0.050); net1, frozen"
    )
    pairs["verdict"] = "no difference shown"
    assert words.listed(pairs, 9).data.startswith("- No difference shown against **b** (difference in Dice): net0")


def test_the_provenance_holds_all_that_a_number_comes_from_and_each_fact_once():
    found = [stored.model(key, 0.1, stored.discs(6), seeds=(seed,))[0] for seed, key in enumerate("xy")]
    for run in found:
        run.meta.update(images={"train": 8, "test": 6}, weights="none", commit="abc", seconds=2.0)
        run.meta.update(python="3.11", torch="2.15")
    text = words.provenance(found).data
    facts = dict(line.removeprefix("- **").split("**: ") for line in text.split("\n\n")[1].splitlines())
    assert text.startswith("## Provenance") and re.fullmatch("`[0-9a-f]{64}`", facts["data fingerprint"])
    assert (facts["seeds"], facts["versions"], facts["commit"]) == ("0 · 1", "python 3.11, torch 2.15", "abc")
    assert all(f"`{run.key}` (seed {run.config.seed}, 2 s)" in facts["runs"] for run in found)
    assert facts["training"] == "4 s in all, 700 MB at the peak"
    assert facts["encoder weights"] == "none" and "a device" in facts["device"]
