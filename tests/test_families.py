"""Families of runs are compared within themselves. Alone: pytest tests/test_families.py"""

import pytest
import stored

from seglib import families, faults, pairwise, paths, rows, runs, words


@pytest.fixture
def net():
    return stored.model("net", 0.3, seeds=(0, 1), epochs=5, lr=0.01)


def test_rows_on_other_test_images_are_never_compared(net):
    elsewhere = stored.model("else", 0.2, stored.discs(30, seed=3), seeds=(0, 1), epochs=5, data_seed=7)
    parts = pairwise.comparable({"a": net, "b": elsewhere, "c": stored.model("c", 0.2, epochs=5)})
    assert [list(part) for part in parts] == [["a", "c"], ["b"]]
    assert families.bases({"b": elsewhere}, {"a": net}) == {}
    table = families.table({"b": elsewhere}, {"a": net})
    assert table["against"]["b"] == "–" and table["difference"]["b"] is None


def test_a_row_is_compared_with_the_one_it_was_changed_from(net):
    fast = stored.model("fast", 0.3, seeds=(0, 1), epochs=5, lr=0.1)
    heavy = stored.model("heavy", 0.3, seeds=(0, 1), epochs=5, lr=0.1, momentum=0.5)
    other = stored.model("other", 0.3, seeds=(0, 1), epochs=5, lr=0.01, model="unet")
    longer = stored.model("longer", 0.3, seeds=(0, 1), epochs=50, lr=0.1)
    trials = {"lr 0.1": fast, "momentum 0.5": heavy, "unet": other, "longer": longer, "again": fast}
    assert families.bases(trials, {"net": net}) == {"lr 0.1": "net", "momentum 0.5": "lr 0.1"}
    table = families.table(trials, {"net": net})
    assert table["changed"].to_list() == ["lr → 0.1", "momentum → 0.5", "–", "–", "–"]
    pair = pairwise.table({"net": net, "lr 0.1": fast}).iloc[0]
    assert table["difference"]["lr 0.1"] == pair["difference"]


def test_a_row_that_starts_anew_is_no_change_of_one_that_goes_on_from_another_run(net):
    going_on = stored.model("goingon", 0.3, seeds=(0, 1), epochs=3, lr=0.01, start_from={"lr": 0.5})
    anew = stored.model("anew", 0.3, seeds=(0, 1), epochs=3, lr=0.02)
    later = stored.model("later", 0.3, seeds=(0, 1), epochs=3, lr=0.03)
    assert families.bases({"anew": anew, "later": later}, {"net": net, "going on": going_on}) == {"later": "anew"}


def test_a_part_s_own_row_goes_before_a_model_of_the_same_name(net):
    mine = stored.model("mine", 0.5, seeds=(0, 1), epochs=5, lr=0.02)
    faster = stored.model("faster", 0.2, seeds=(0, 1), epochs=5, lr=0.03)
    table = families.table({"net": mine, "faster": faster}, {"net": net})
    expected = pairwise.table({"net": mine, "faster": faster}).iloc[0]["difference"]
    assert table["against"].to_list() == ["–", "net"] and table["difference"]["faster"] == expected


def test_the_control_is_the_same_config_under_other_seeds_and_nothing_is_claimed_of_it(net):
    again = stored.model("again", 0.3, seeds=(5, 6), epochs=5, lr=0.01)
    part = {"net": net, "net, other seeds": again}
    assert families.table(part, {})["changed"].to_list() == ["–", "seeds → 5, 6"]
    assert "as it should be" in families.of_control([part]).data
    worse = stored.model("worse", 0.9, seeds=(5, 6), epochs=5, lr=0.01)
    assert "no evidence" in families.of_control([{"net": net, "net, other seeds": worse}]).data


def test_a_study_that_lacks_a_family_says_so_and_what_has_no_section_is_shown(net, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *each: shown.extend(each))
    runs.record("own", "04_x", {runs.MODELS: {"net": net}, "mine": {"net": net}})
    found = families.of("own")
    for family in (families.LOSSES, families.TRIALS, families.CONTROL):
        assert families.show("own", family, [], {}).data == families.ABSENT[family]
    assert families.show_faults("own", []).data == families.ABSENT[faults.FAMILY]
    families.show_others("own", found, {})
    assert [shown[0].data, "net</th>" in shown[1].to_html(), len(shown)] == ["**Mine**", True, 2]
    assert families.show_others("own", {runs.MODELS: found[runs.MODELS]}, {}).data == "Nothing else was recorded."
    assert families.draw([]) == [] and families.draw_faults([]) == [] and families.listed([], {}) is None


def test_each_part_of_a_family_says_what_it_was_tested_on(net, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *each: shown.extend(each))
    elsewhere = stored.model("else", 0.2, stored.discs(30), seeds=(0, 1), epochs=5, image_size=64)
    runs.record("own", "05_x", {"losses": {"net": net, "else": elsewhere}})
    families.show("own", "losses", families.of("own")["losses"], {})
    assert [each.data for each in shown[::2]] == ["On lesions binary 128 px:", "On lesions binary 64 px:"]
    saved = sorted(file.name for file in (paths.report("own") / "tables").glob("08_*.csv"))
    assert saved == ["08_losses.csv", "08_losses_1.csv"]


def test_a_label_means_the_models_runs_and_every_family_is_answered_for(net):
    fault = f"net{rows.FAULT}torn"
    torn, trial = stored.model("torn", 0.8, seeds=(0, 1)), stored.model("trial", 0.3, seeds=(0, 1))
    runs.record("own", "02_x", {faults.FAMILY: {"net": net, fault: torn}, "trials": {"net": trial, "lr 0.1": trial}})
    runs.record("own", "03_x", {runs.MODELS: {"net": net}})
    everything = families.labelled(families.of("own"))
    assert list(everything) == ["net", fault, "lr 0.1"]
    assert families.keys(everything["net"]) == families.keys(net)
    (figure,) = families.draw_faults(families.of("own")[faults.FAMILY])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["net: torn"]


def test_many_verdicts_are_one_line_for_each_that_differs():
    groups = {f"m{i}": stored.model(f"m{i}", 0.2 + 0.6 * (i % 2), seeds=(0, 1)) for i in range(10)}
    pairs = pairwise.table(groups)
    against_first = pairs[pairs["baseline"] == "m0"]
    text = words.of_comparison(groups).data
    assert len(text.splitlines()) == against_first["verdict"].nunique()
    assert all(f"{row.model} {row.difference}" in text for row in against_first.itertuples())
    few = pairwise.of_best(groups, pairs)
    best = pairwise.leaders(groups, "Dice", pairs)[0]
    assert len(few) == 9 and ((few["model"] == best) | (few["baseline"] == best)).all()
