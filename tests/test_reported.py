"""Reported figures and claims beside runs whose order is known. Alone: pytest tests/test_reported.py"""

import pytest
import stored
import torch

from seglib import params, paths, reported, rows, runs, scores


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes the reported.yaml of a study `own` on lesions."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    (tmp_path / "own").mkdir()

    def write(text, dataset="lesions"):
        (tmp_path / "own" / "reported.yaml").write_text(f"dataset: {dataset}\n{text}")
        return "own@12345678"

    return write


@pytest.fixture
def groups():
    history = [{"epoch": e, "train_loss": 0.5, "val_loss": 0.5, "val_iou": 0.5, "val_dice": 0.5} for e in (1, 2, 3, 4)]
    rough = [{**row, "val_loss": 0.5 + 0.2 * (row["epoch"] % 2)} for row in history]
    return {
        "net, frozen": stored.model("f", 0.35, history=rough),
        "net, fine-tuned": stored.model("t", 0.2, history=history, parameters=200),
        "other, frozen": stored.model("o", 0.35),
    }


def claim(better, worse, metric="Dice"):
    return f"claims: [{{text: it is so, source: report 9, better: {better}, worse: {worse}, metric: {metric}}}]\n"


def on_isic(run):
    """The run as if its images were ISIC's."""
    file = run.folder / "config.json"
    file.write_text(file.read_text().replace('"lesions"', '"isic2016"'))
    return runs.Run(run.folder)


@pytest.mark.parametrize(
    ("better", "worse", "metric", "answer"),
    [
        ("'net, fine-tuned'", "'net, frozen'", "Dice", "held"),
        ("'net, frozen'", "'net, fine-tuned'", "Dice", "contradicted"),
        ("'net, frozen'", "'other, frozen'", "Dice", "not shown"),
        ("'net, fine-tuned'", "'net, frozen'", "HD95", "held"),  # less is better
        ("'net, fine-tuned'", "['net, frozen', 'other, frozen']", "Dice", "held"),
        ("['net, fine-tuned', 'other, fine-tuned']", "['net, frozen', 'other, frozen']", "Dice", "not run"),
        ("['net, fine-tuned', 'net, frozen']", "['net, frozen', 'net, fine-tuned']", "Dice", "contradicted"),
        ("'net, frozen'", "['other, frozen', 'net, fine-tuned']", "Dice", "contradicted"),
        ("'net, augmented'", "'net, frozen'", "Dice", "not run"),
        ("'net, fine-tuned'", "['net, frozen', 'third, frozen']", "Dice", "not run"),  # half a claim is not one held
        ("'net, fine-tuned'", "'net, frozen'", "parameters", "held"),
        ("'net, frozen'", "'other, frozen'", "parameters", "not shown"),  # they are equal
        ("'net, fine-tuned'", "'net, frozen'", "seconds per epoch", "not shown"),
    ],
)
def test_a_claim_is_answered_by_its_pairs(study, groups, better, worse, metric, answer):
    table = reported.claims(study(claim(better, worse, metric)), groups)
    assert table["answer"].to_list() == [answer], table["evidence"][0]
    assert ("n = 40 images × 3 seeds" in table["evidence"][0]) == (metric in ("Dice", "HD95") and answer != "not run")


def test_a_claim_tested_on_one_seed_is_about_these_trained_models(study, groups):
    text = claim("'net, fine-tuned'", "'net, frozen'")
    assert "these trained models" not in reported.claims(study(text), groups)["evidence"][0]
    alone = {**groups, "net, frozen": groups["net, frozen"][:1]}
    evidence = reported.claims(study(text), alone)["evidence"][0]
    assert evidence.endswith("n = 40 images × 3 and 1 seeds, these trained models")


def test_fluctuation_is_the_mean_change_over_the_second_half(groups):
    _, measure = reported.RUN_MEASURES["fluctuation"]
    assert measure(groups["net, frozen"][0]) == pytest.approx(0.2)
    assert measure(groups["net, fine-tuned"][0]) == 0


def test_claims_of_other_data_are_not_run_and_an_unknown_metric_is_an_error(study, groups):
    text = claim("'net, fine-tuned'", "'net, frozen'")
    assert reported.claims(study(text, "isic2016"), groups)["answer"].to_list() == ["not run"]
    with pytest.raises(ValueError, match="unknown metric of a claim 'Dise'; did you mean 'Dice'"):
        reported.claims(study(text.replace("Dice", "Dise")), groups)


def test_a_score_of_two_models_tested_on_different_images_is_not_run_and_says_so(study, groups):
    groups["net, frozen"] = stored.model("e", 0.35, stored.discs(30))
    table = reported.claims(study(claim("'net, fine-tuned'", "'net, frozen'")), groups)
    assert table["answer"].to_list() == ["not run"]
    assert table["evidence"][0] == "net, fine-tuned and net, frozen were not tested on the same images"
    by_size = reported.claims(study(claim("'net, fine-tuned'", "'net, frozen'", "parameters")), groups)
    assert by_size["answer"].to_list() == ["held"]  # which images does not matter to it


def test_a_reported_figure_stands_beside_ours_with_the_difference_s_interval(study, groups):
    name = study(
        "differs: {report 9: it trained longer}\n"
        "figures:\n"
        "  - {label: 'net, frozen', source: report 9, score: Dice, value: 0.9, also_said: 0.91}\n"
        "  - {label: 'net, frozen', source: report 9, score: val loss, ours: test loss, value: 0.25}\n"
        "  - {label: 'net, frozen', source: report 9, score: train loss, value: 0.4}\n"
        "  - {label: ['not run', 'other, frozen'], source: report 9, score: IoU, ours: foreground IoU, value: 0.9}\n"
    )
    table = reported.figures(name, groups)
    first = table.iloc[0]
    assert len(table) == 4 and first["differs"] == "it trained longer" and first["also said"] == "0.91"
    assert first["difference"].low == pytest.approx(first["measured"].low - 0.9) and first["reported"] == "0.9"
    assert [cell.mean for cell in table["measured"][1:3]] == [0.5, 0.5]  # the test loss; the kept epoch's
    assert table["model"][3] == "other, frozen" and table["measured"][3] == scores.estimate(
        groups["other, frozen"], "IoU"
    )
    with pytest.raises(ValueError, match="unknown score of a reported figure 'Dise'; did you mean 'Dice'"):
        reported.figures(study("figures: [{label: 'net, frozen', source: r, score: Dise, value: 1}]\n"), groups)


def test_sides_of_different_lengths_are_an_error(study, groups):
    text = claim("['net, fine-tuned', 'a']", "['net, frozen', 'b', 'c']")
    with pytest.raises(ValueError, match="better has 2 labels and worse 3"):
        reported.claims(study(text), groups)


def test_the_figures_and_claims_of_isic2016_name_what_the_study_s_notebooks_call_their_runs():
    labels, content = set(rows.labels("isic2016")), params.reported("isic2016")
    claimed = {name for entry in content["claims"] for pair in reported.pairs_of(entry) for name in pair}
    assert claimed <= labels and {entry["label"] for entry in content["figures"]} <= labels
    assert {entry["source"] for entry in content["claims"]} == {"report 1", "report 3"}


def test_a_claim_about_every_decoder_is_not_answered_by_one_that_it_does_not_name(groups):
    renamed = {f"mobilenetv2_decoder, {label.rpartition(', ')[2]}": groups[label] for label in list(groups)[:2]}
    renamed = {label: [on_isic(run) for run in group] for label, group in renamed.items()}
    table = reported.claims("isic2016", renamed).set_index("claim")
    assert table["answer"]["fine-tuning MobileNetV2 segments better than holding it frozen"] == "held"
    for text in ("fine-tuning helps every decoder", "fine-tuning removes false positives"):
        assert table["answer"][text] == "not run"
        assert "no runs of mobilenetv2_unet, fine-tuned nor" in table["evidence"][text]


def test_a_figure_in_quotes_keeps_its_digits_and_can_be_of_validation_or_of_the_model(study):
    groups = {"net": [stored.store("run", torch.ones(2, 1, 32, 32), stored.dataset(torch.ones(2, 32, 32).byte()),
                                   parameters=9_474_913, model="mobilenetv2_decoder", image_size=128)]}  # fmt: skip
    name = study(
        "figures:\n"
        "  - {label: net, source: report 9, score: Dice, value: '0.70', also_said: '0.80 and 0.90'}\n"
        "  - {label: net, source: report 9, score: val Dice, value: '0.9184'}\n"
        "  - {label: net, source: report 9, score: parameters, value: '10755913'}\n"
        "  - {label: net, source: report 9, score: multiply-adds of 16 images (G), value: '5.50'}\n"
    )
    table = reported.figures(name, groups)
    assert table["reported"].to_list() == ["0.70", "0.9184", "10755913", "5.50"]
    assert table["also said"][0] == "0.80 and 0.90"
    assert [cell.mean for cell in table["measured"][:3]] == [1, 0.5, 9_474_913]
    assert str(table["difference"][2]) == "-1281000"  # the classifier, which no decoder uses
    assert table["measured"][3].mean == pytest.approx(5.5, abs=0.1)


@pytest.mark.parametrize(("worse", "answer"), [("net, frozen", "contradicted"), ("other, frozen", "not shown")])
def test_likeness_can_be_contradicted_and_is_never_shown(study, groups, worse, answer):
    better = "net, fine-tuned" if answer == "contradicted" else "net, frozen"
    text = claim(f"'{better}'", f"'{worse}'").replace("}]", ", alike: true}]")
    table = reported.claims(study(text), groups)
    assert table["answer"].to_list() == [answer] and " − " in table["evidence"][0]


def test_every_figure_in_a_study_s_file_is_text():
    for file in paths.PARAMS.glob("*/reported.yaml"):
        for entry in params.reported(file.parent.name)["figures"]:
            assert isinstance(entry["value"], str) and isinstance(entry.get("also_said", ""), str), entry


def test_every_study_s_file_can_be_read():
    for file in paths.PARAMS.glob("*/reported.yaml"):
        content = params.reported(file.parent.name)
        assert content["figures"] or content["claims"]
        assert {entry["source"] for entry in content["figures"]} <= content["differs"].keys(), file
        for entry in content["claims"]:
            assert entry["metric"] in (*reported.scores.NAMES, *reported.RUN_MEASURES), entry
