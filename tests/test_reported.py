"""Reported figures and claims beside runs whose order is known. Alone: pytest tests/test_reported.py"""

import pytest
import stored

from seglib import params, paths, reported, scores


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


@pytest.mark.parametrize(
    ("better", "worse", "metric", "answer"),
    [
        ("'net, fine-tuned'", "'net, frozen'", "Dice", "held"),
        ("'net, frozen'", "'net, fine-tuned'", "Dice", "contradicted"),
        ("'net, frozen'", "'other, frozen'", "Dice", "not shown"),
        ("'net, fine-tuned'", "'net, frozen'", "HD95", "held"),  # less is better
        ("'net, fine-tuned'", "'*, frozen'", "Dice", "held"),
        ("'*, fine-tuned'", "'*, frozen'", "Dice", "held"),  # of the pairs that both exist
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


def test_fluctuation_is_the_mean_change_over_the_second_half(groups):
    _, measure = reported.RUN_MEASURES["fluctuation"]
    assert measure(groups["net, frozen"][0]) == pytest.approx(0.2)
    assert measure(groups["net, fine-tuned"][0]) == 0


def test_claims_of_other_data_are_not_run_and_an_unknown_metric_is_an_error(study, groups):
    text = claim("'net, fine-tuned'", "'net, frozen'")
    assert reported.claims(study(text, "isic2016"), groups)["answer"].to_list() == ["not run"]
    with pytest.raises(ValueError, match="unknown metric of a claim 'Dise'; did you mean 'Dice'"):
        reported.claims(study(text.replace("Dice", "Dise")), groups)


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


def test_every_study_s_file_can_be_read():
    for file in paths.PARAMS.glob("*/reported.yaml"):
        content = params.reported(file.parent.name)
        assert content["figures"] or content["claims"]
        assert {entry["source"] for entry in content["figures"]} <= content["differs"].keys(), file
        for entry in content["claims"]:
            assert entry["metric"] in (*reported.scores.NAMES, *reported.RUN_MEASURES), entry
