"""A model card says what the run's files hold, for every kind of run. Alone: pytest tests/test_card.py"""

import re
import shlex

import numpy as np
import pytest
import trained

from seglib import card, cli, config, experiment, licences, params, paths, rows, runs
from seglib.card import evidence, recipe
from seglib.config import Config
from seglib.data import SOURCES

home, one_store = trained.home, trained.one_store


@pytest.fixture(scope="module")
def binary(home):
    """A run, and one of another seed beside it."""
    with trained.store(home):
        trained.run(trained.BINARY.with_(seed=1))
        return trained.run(trained.BINARY)


@pytest.fixture(scope="module")
def multiclass(home):
    with trained.store(home):
        return trained.run(trained.MULTICLASS)


@pytest.fixture(scope="module")
def values(home):
    with trained.store(home):
        return trained.run(trained.VALUES)


def section(text, title):
    return re.search(rf"^## {re.escape(title)}\n\n(.*?)(?=\n\n## |\Z)", text, re.S | re.M)[1]


def row(block, name):
    """The cells of a table's row."""
    return next(line for line in block.splitlines() if line.startswith(f"| {name} |")).split(" | ")[1:]


def test_scores_are_those_of_the_per_image_table(binary):
    images, text = binary.images, card.text(binary)
    dice = 2 * images.tp / (2 * images.tp + images.fp + images.fn)
    cells = row(section(text, "Scores on the test images"), "this model")
    assert cells[0].startswith(f"{dice.mean():.2f} (") and "24 test images" in text
    worst = dice.idxmin()
    assert f"{images['image'][worst]} ({dice[worst]:.2f})" in section(text, "Groups of images")
    assert row(section(text, "Scores on the test images"), "all background")[0] == "0.000"


def test_groups_of_images_add_up_and_the_worst_is_named(binary):
    block = section(card.text(binary), "Groups of images")
    counts = {name: int(count) for name, count in re.findall(r"^\| (\S+).*? \| (\d+) \|", block, re.M)}
    assert counts["small"] + counts["medium"] + counts["large"] == counts["all"] == 24
    edge = binary.images["foreground_on_edge"] > 0
    assert counts.get("touching", 0) == edge.sum()
    assert re.search(
        r"the lowest mean Dice is that of the \d+ images \*", section(card.text(binary), "Intended use and limits")
    )


def test_other_seeds_of_the_same_training_stand_beside_and_nothing_else_does(binary, multiclass):
    trained.run(trained.BINARY.with_(seed=2, lr=0.02))  # another training
    block = section(card.text(binary), "Other seeds")
    assert [cells[:6] for cells in re.findall(r"^\| (.*?) \|", block, re.M)[2:]] == ["seed 0", "seed 1", "all 2 "]
    assert [run.config.seed for run in evidence.siblings(binary)] == [1]
    assert "holds no run of this config" in section(card.text(multiclass), "Other seeds")


def test_several_classes_have_a_row_each_and_one_has_none(binary, multiclass):
    assert "## Each class" not in card.text(binary)
    block = section(card.text(multiclass), "Each class")
    assert re.findall(r"^\| (\w+) \|", block, re.M)[-6:] == multiclass.meta["class_names"]
    frame = multiclass.images.query("`class` == 'background'")
    dice = (2 * frame.tp / (2 * frame.tp + frame.fp + frame.fn)).mean()
    assert row(block, "background")[0].startswith(f"{dice:.2f}"[:4])


def test_grey_values_have_no_calibration_and_few_images_no_interval(values):
    text = card.text(values)
    assert "there is no calibration to speak of" in section(text, "Calibration")
    block = section(text, "Scores on the test images")
    assert (
        "8 test images, of this one trained model: too few images for intervals" in block
        and "(" not in row(block, "this model")[0]
    )
    assert "too few test images to tell whether it is above" in block


def test_calibration_is_that_of_the_bins(binary):
    bins = binary.thresholds
    above = bins["tp"] + bins["fp"]
    pixels = above - above.shift(-1, fill_value=0)
    gap = (bins["probability"] - bins["probability"].shift(-1, fill_value=0)) - (
        bins["tp"] - bins["tp"].shift(-1, fill_value=0)
    )
    error = gap.abs().sum() / pixels.sum()
    assert float(row(section(card.text(binary), "Calibration"), "this model")[0]) == pytest.approx(error, rel=0.06)


def test_the_head_is_what_hugging_face_reads(binary):
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard(card.text(binary)).data
    assert found.license == "mit" and found.datasets == ["lesions"] and "unet" in found.tags
    (dice, iou) = found.eval_results
    assert (dice.metric_type, iou.metric_type, dice.dataset_split) == ("dice", "mean_iou", "test")
    images = binary.images
    assert dice.metric_value == pytest.approx(
        (2 * images.tp / (2 * images.tp + images.fp + images.fn)).mean(), abs=1e-4
    )


def test_a_model_on_images_of_others_is_not_called_free():
    for dataset in SOURCES:
        for weights in ("none", "imagenet-pypi", "imagenet", "my/weights.pt"):
            made = Config(dataset=dataset, data_folder="x" if dataset == "folder" else "", weights=weights)
            free = licences.of_data(made).free and licences.of_weights(made).free
            assert free == (dataset in ("lesions", "shapes") and weights == "none")


def test_a_card_names_no_place_of_this_machine(binary, multiclass, values):
    for run in (binary, multiclass, values):
        text = card.text(run)
        assert str(paths.ROOT) not in text and str(paths.outputs()) not in text and "nan" not in text.lower().split()
    assert "weights=mine.pt" in recipe.command(Config(weights="/home/someone/mine.pt"))
    own = Config(dataset="folder", data_folder="/home/someone/scans")
    assert "data_folder=scans" in recipe.command(own)


COMMANDS = [
    {"model_options": {"decoder_channels": [16, 8, 8, 8, 8]}, "loss": {"mse": 1.0, "dice": 60.0}, "lr": 1e-6},
    {"encoder_lr": 1e-5, "start_from": {"encoder": "frozen", "encoder_lr": None}, "weights": "imagenet-pypi"},
    {"loss_options": {"class_weights": [0.5, 2]}, "channels_last": False, "clip_norm": 1.0, "border": "foreground"},
    {"dataset": "folder", "data_folder": "my images/of 2026", "model": "my_module:MyNet", "schedule": "poly"},
    {"start_from": "0123456789abcdef", "seed": 3, "data_folder": "true", "dataset": "folder"},
]


@pytest.mark.parametrize("changes", COMMANDS)
def test_the_command_of_a_card_gives_the_very_config(changes):
    made = config.from_mapping(changes)
    words = shlex.split(recipe.command(made))
    assert words[:2] == ["seglib", "run"]
    assert config.from_mapping(params.parse_overrides(" ".join(words[2:]))) == made


def test_every_row_of_every_study_is_the_same_config_from_the_command_line():
    found = 0
    for study in params.studies():
        for values in params.read(study).notebooks.values():
            for made in rows.of(values).values():
                words = shlex.split(recipe.command(made))[2:]
                assert config.from_mapping(params.parse_overrides(" ".join(words))) == made
                found += 1
    assert found > 50


@pytest.mark.long
def test_the_command_line_finds_the_runs_that_a_notebook_trained(tmp_path, capsys, monkeypatch):
    import papermill

    values = params.read("smoke").notebooks["02_frozen_encoder"]
    papermill.execute_notebook(
        paths.NOTEBOOKS / "02_frozen_encoder.ipynb", tmp_path / "02.ipynb", values, kernel_name="python3",
        progress_bar=False, cwd=paths.NOTEBOOKS,
    )  # fmt: skip
    recorded = runs.recorded_by("smoke", "02_frozen_encoder")
    monkeypatch.setattr(experiment.job, "carry_out", lambda *a, **k: pytest.fail("trained again"))
    for key in recorded:
        words = shlex.split(recipe.command(runs.find(key).config))
        assert cli.main(words[1:]) == 0 and capsys.readouterr().out.startswith(f"{key}: ")
    assert recorded


def test_the_command_line_finds_the_run_that_python_trained_and_writes_its_card(binary, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiment.job, "carry_out", lambda *a, **k: pytest.fail("trained again"))
    (command,) = re.findall(r"```sh\n(seglib run .*)\n```", card.text(binary))
    assert cli.main(shlex.split(command)[1:]) == 0 and binary.key in capsys.readouterr().out
    assert cli.main(["card", binary.key[:8], "--to", str(tmp_path)]) == 0
    assert (tmp_path / "MODEL_CARD.md").read_text() == card.text(binary)


def test_a_card_does_not_replace_that_of_another_run_or_of_exported_files(binary, multiclass, tmp_path):
    card.write(binary, tmp_path)
    card.write(binary, tmp_path)
    with pytest.raises(ValueError, match=f"not the card of run {multiclass.key}"):
        card.write(multiclass, tmp_path)
    (tmp_path / "MODEL_CARD.md").write_text(f"- **run**: `{multiclass.key}`\n- it goes on from run {binary.key}\n")
    with pytest.raises(ValueError, match=f"not the card of run {binary.key}"):
        card.write(binary, tmp_path)
    (tmp_path / "MODEL_CARD.md").write_text(card.text(binary, {"model.onnx": "checked"}))
    with pytest.raises(ValueError, match="the card of exported files beside it"):
        card.write(binary, tmp_path)


def test_what_was_done_on_purpose_is_said(home):
    overfitted = trained.run(trained.BINARY.with_(overfit=4, epochs=1, joint_transforms=False, rotation=5, patience=1))
    text = card.text(overfitted)
    assert "the scores are no test" in section(text, "Data") and "read once" not in section(text, "Data")
    assert "image and mask were transformed apart" in section(text, "Training")
    assert "turned by up to 5 degrees" in text


def test_images_without_the_object_are_counted(binary, monkeypatch):
    assert "has not been measured" in evidence.empty(binary)
    images = binary.images.copy()
    images.loc[:1, ["foreground_tp", "foreground_fn"]] = 0
    images["foreground_fp"] = np.where(images.index == 1, 5, 0)
    monkeypatch.setitem(binary.__dict__, "images", images)
    assert evidence.empty(binary).startswith("2 of 24 test images hold none of what is looked for; it sees some on 1")
