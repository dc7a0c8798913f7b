"""Which runs a notebook's parameters ask for, and the reports' faults switched on. Alone: pytest tests/test_rows.py"""

import json

import pytest
import torch

from seglib import data, experiment, params, rows, runs, seal
from seglib.config import Config
from seglib.data.core import overfitted

BASE = {"dataset": "lesions", "weights": "imagenet-pypi", "model": "mobilenetv2_decoder"}
TRIALS = BASE | {"optimizer": "sgd", "rates": [0.1, 0.01], "momenta": [0.5], "trial_epochs": 3, "epochs": 9}


def test_architectures_have_a_row_per_regime_or_one_from_scratch():
    regimes = {"frozen": {"encoder": "frozen"}, "fine-tuned": {"encoder_lr": 1e-6}}
    found = rows.grid(
        params.to_config(BASE), ["unet", "segnet_attention"], regimes, {"unet": {"width": 0.25}},
        {"unet": {"batch_size": 5}},
    )  # fmt: skip
    assert list(found) == [
        "unet (width=0.25), from scratch",
        "segnet_attention, frozen",
        "segnet_attention, fine-tuned",
    ]
    scratch, frozen, tuned = found.values()
    assert (scratch.weights, scratch.batch_size, scratch.model_options) == ("none", 5, {"width": 0.25})
    assert (frozen.encoder, tuned.encoder, tuned.encoder_lr, tuned.batch_size) == ("frozen", "fine_tune", 1e-6, 16)


def test_a_random_encoder_is_never_called_by_its_regime_alone():
    found = rows.grid(Config(), ["segnet_attention"], {"frozen": {"encoder": "frozen"}})
    assert list(found) == ["segnet_attention, frozen, random encoder"]


def test_further_rows_are_named_after_the_network_they_have():
    values = BASE | {"variants": {"slow": {"lr": 1e-5}, "no flips": {"model": "unet", "weights": "none"}}}
    assert list(rows.models_of(values)) == [
        "mobilenetv2_decoder, fine-tuned",
        "mobilenetv2_decoder, slow",
        "unet, no flips",
    ]


def test_the_frozen_row_beside_fine_tuning_is_notebook_02_s_run():
    values = BASE | {"encoder_rates": [], "encoder_lr": 1e-5, "decoder_lr": 1e-4, "feature_views": 3}
    first, second = rows.of(values).items()
    assert first == ("mobilenetv2_decoder, frozen", params.to_config(BASE).with_(encoder="frozen", feature_views=3))
    assert second[0] == "mobilenetv2_decoder, fine-tuned" and second[1].encoder_lr == 1e-5
    with pytest.raises(ValueError, match="nothing is fine-tuned; set encoder: fine_tune"):
        rows.frozen(values | {"encoder": "frozen", "encoder_lr": None})


def test_an_encoder_s_rate_of_0_is_a_frozen_encoder_all_else_as_in_the_sweep():
    values = BASE | {"encoder_rates": [0, 1e-6, 1e-4], "sweep": {"model": "segnet_attention", "epochs": 4}}
    found = rows.encoder_rates(values)
    assert list(found) == [f"segnet_attention, encoder_lr {rate}" for rate in ("0", "1e-06", "0.0001")]
    fixed, *others = found.values()
    assert [row.encoder_lr for row in others] == [1e-6, 1e-4] and {row.encoder for row in others} == {"fine_tune"}
    assert fixed == others[0].with_(encoder="frozen", encoder_lr=None) and fixed.epochs == 4


@pytest.mark.parametrize("study", ["demo", "isic2016"])
def test_what_training_starts_from_is_a_row_of_an_earlier_or_later_notebook(study):
    by_notebook = {name[:2]: rows.of(values) for name, values in params.read(study).notebooks.items()}
    frozen = next(iter(by_notebook["02"].values()))
    assert rows.frozen(params.read(study).notebooks["03_fine_tuning"]) == {runs.label(frozen): frozen}
    assert started(next(c for label, c in by_notebook["03"].items() if label.endswith("from the frozen run"))) == frozen
    swept = [c for label, c in by_notebook["03"].items() if "encoder_lr" in label]
    known = by_notebook["04"].values()
    assert all(started(c) in known for c in swept if c.start_from) and len(swept) >= 3


def started(config):
    """The config of the run whose weights another starts from."""
    return config.with_(**{"start_from": "", **config.start_from})


@pytest.mark.parametrize(
    ("spec", "weights"),
    [
        ("bce", "bce"), ("0.3 iou + 0.7 dice", {"iou": 0.3, "dice": 0.7}), ("mse + 60 dice", {"mse": 1, "dice": 60}),
        ("2 mse", {"mse": 2}), ("own:loss + 0.5 bce", {"own:loss": 1, "bce": 0.5}),
    ],
)  # fmt: skip
def test_a_loss_is_written_as_its_label(spec, weights):
    assert rows.weighted(spec) == weights


def test_a_loss_that_is_no_sum_of_terms_is_an_error():
    with pytest.raises(ValueError, match="'sixty dice' is neither a name nor a weight"):
        rows.weighted("mse + sixty dice")


def test_losses_and_coefficients_share_the_runs_of_one_rate():
    values = BASE | {"losses": ["mse"], "terms": ["mse", "dice"], "coefficients": [20, 60], "rates": [1e-3, 0.1]}
    found = rows.of(values)
    assert list(found)[:3] == ["mse", "mse + 20 dice", "mse + 60 dice"]
    assert found["mse + 60 dice, lr 0.001"] == found["mse + 60 dice"] != found["mse + 60 dice, lr 0.1"]


def test_each_loss_comes_again_under_each_variant():
    values = BASE | {"losses": ["mse"], "terms": ["mse", "dice"], "coefficients": [20.0], "rates": []}
    found = rows.of(values | {"variants": {"slow": {"lr": 1e-5}}})
    assert list(found) == ["mse", "mse + 20 dice", "mse, slow", "mse + 20 dice, slow"]
    assert (found["mse + 20 dice, slow"].lr, found["mse + 20 dice, slow"].loss) == (1e-5, {"mse": 1, "dice": 20})
    with pytest.raises(ValueError, match="expected two losses"):
        rows.of(values | {"terms": ["mse"]})


def test_every_trial_starts_afresh_and_the_reused_model_goes_on():
    values = TRIALS | {"reuse_model": True, "overfit_epochs": 7, "overfit_changes": {"lr": 0.01}}
    found = rows.of(values)
    assert {config.epochs for label, config in found.items() if label.startswith(("lr", "momentum"))} == {3}
    assert all(not found[label].start_from for label in ("lr 0.1", "lr 0.01", "momentum 0.5"))
    (fault,) = rows.reused(values).values()
    before = experiment.start(experiment.resolve(fault.with_(device="cpu", threads=1)))
    assert (fault.lr, before.lr, before.select_by, before.start_from) == (0.01, 0.1, "last", "")
    two = found["mobilenetv2_decoder, two images"]
    assert (two.overfit, two.epochs, two.lr) == (2, 7, 0.01)


def test_a_fault_is_a_change_of_the_row_it_names():
    values = BASE | {
        "variants": {"slow": {"lr": 1e-5}},
        "faults": {
            "torn masks": {"joint_transforms": False},
            "drift": {"row": "mobilenetv2_decoder, slow", "noise": 0.1},
        },
    }
    first, second = rows.faults(values)
    assert rows.corrected(first) == "mobilenetv2_decoder, fine-tuned" and "torn masks" in first
    assert rows.of(values)[second].lr == 1e-5 and rows.of(values)[second].noise == 0.1
    with pytest.raises(ValueError, match="faults: drift: unknown row 'mobilenetv2_decoder, slwo'; did you mean"):
        rows.faults(values | {"faults": {"drift": {"row": "mobilenetv2_decoder, slwo"}}})


@pytest.mark.parametrize("where", ["variants", "toggles", "faults"])
def test_a_change_that_cannot_be_is_told_with_its_place(where):
    for change, message in {"x": "expected the fields", ("lrr",): "unknown parameter 'lrr'; did you mean 'lr'"}.items():
        change = dict.fromkeys(change, 1) if isinstance(change, tuple) else change
        with pytest.raises(ValueError, match=f"{where}: odd.*{message}"):
            rows.of(BASE | {where: {"odd": change}})


@pytest.mark.parametrize("study", params.studies())
def test_the_rows_of_every_study_can_be_made_and_no_label_stands_for_two_configs(study):
    for notebook, values in params.read(study).notebooks.items():
        labels = rows.of(values)
        assert all(labels.values()), notebook
    assert len(rows.labels(study)) == len(set(rows.labels(study)))


SMALL = Config(
    image_size=32, train_images=8, val_images=4, test_images=6, epochs=2, batch_size=4, device="cpu", threads=1,
    horizontal_flip=True, rotation=10, model_options={"decoder_channels": [16, 8, 8, 8, 8]}, encoder="frozen",
)  # fmt: skip


def test_statistics_of_a_frozen_encoder_stay_or_drift_and_its_weights_stay():
    from safetensors.torch import load_file

    before = experiment.build(SMALL)[1].state_dict()
    for changes, moves in (({}, False), ({"frozen_statistics": False, "feature_views": 1}, True)):
        after = load_file(experiment.run(SMALL.with_(**changes)).folder / "model.safetensors")
        encoder = {name for name in before if name.startswith("encoder.")}
        moved = {name for name in encoder if not torch.equal(before[name], after[name])}
        assert bool(moved) == moves
        assert all("running_" in name or "num_batches" in name for name in moved)


def test_testing_in_training_mode_changes_the_scores_and_not_the_model():
    from safetensors.torch import load_file

    right, wrong = (experiment.run(SMALL.with_(test_in_eval_mode=mode)) for mode in (True, False))
    assert right.key != wrong.key and right.history.equals(wrong.history)
    first, second = (load_file(run.folder / "model.safetensors") for run in (right, wrong))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not right.images["loss"].equals(wrong.images["loss"])
    assert list(right.images["image"]) == list(wrong.images["image"])


def test_what_was_trained_on_is_what_is_tested():
    dataset = data.load(SMALL.with_(overfit=2))
    assert dataset.train.names == dataset.val.names == dataset.test.names and len(dataset.test) == 2
    with pytest.raises(ValueError, match="9 images wanted, but train has 8"):
        overfitted(data.load(SMALL), 9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "fine_tune", "frozen_statistics": False}, "fault of frozen encoders"),
        ({"all_objects": False}, "fault of coco3's masks; lesions has none"),
        ({"overfit": 2, "augmented_copies": 1}, "exclude each other"),
    ],
)
def test_a_fault_where_it_cannot_be_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        SMALL.with_(**changes)


def test_families_are_kept_apart_and_the_models_come_first():
    run = experiment.run(SMALL)
    runs.record("own", "03_b", {"faults": {"x": [run]}, runs.MODELS: {"a": [run]}, "none": {}})
    runs.record("own", "02_a", {"trials": {"a": [run]}})
    assert {family: list(groups) for family, groups in runs.families("own").items()} == {
        runs.MODELS: ["a"], "trials": ["a"], "faults": ["x"],
    }  # fmt: skip
    assert list(runs.recorded("own")) == ["a"] and runs.are_recorded("own", "03_b")
    assert seal.read_signed(runs._record_file("own", "02_a")) == {"trials": {"a": [run.key]}}


def test_a_record_of_an_older_version_is_named_and_hinders_no_other_notebook():
    run = experiment.run(SMALL)
    runs.record("own", "02_a", {runs.MODELS: {"a": [run]}})
    runs._record_file("own", "03_b").write_text(json.dumps({"a": [run.key]}))
    assert runs.recorded_by("own", "02_a").keys() == {run.key}
    with pytest.raises(ValueError, match=r"03_b.*was written by an older version"):
        runs.families("own")


def test_fewer_seeds_of_the_same_runs_are_no_row_of_their_own_and_other_runs_are():
    a, b, c = (experiment.run(SMALL.with_(seed=seed)) for seed in range(3))
    runs.record("own", "02_a", {runs.MODELS: {"net": [a, b]}})
    runs.record("own", "04_b", {runs.MODELS: {"net": [a]}})
    assert {label: len(group) for label, group in runs.recorded("own").items()} == {"net": 2}
    runs.record("own", "04_b", {runs.MODELS: {"net": [a, c]}})
    assert {label: len(group) for label, group in runs.recorded("own").items()} == {"net": 2, "net (notebook 04)": 2}
