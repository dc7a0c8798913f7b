"""A run from config to store: what it leaves, what makes it anew, what a crash costs.

Alone: pytest tests/test_experiment.py
"""

import dataclasses
import json

import pytest
import torch

from seglib import digest, experiment, metrics, paths, runs, tables
from seglib.config import Config

FILES = {
    "config.json", "history.csv", "images.csv", "thresholds.csv", "predictions.npz", "events.jsonl",
    "model.safetensors", "meta.json",
}  # fmt: skip
TINY = Config(
    image_size=32, train_images=8, val_images=4, test_images=5, epochs=4, batch_size=4, device="cpu", threads=1,
    horizontal_flip=True, rotation=10, model_options={"decoder_channels": [16, 8, 8, 8, 8]},
)  # fmt: skip


def test_a_finished_run_holds_exactly_its_files_and_is_not_trained_again(monkeypatch):
    run = experiment.run(TINY)
    assert {f.name for f in run.folder.iterdir() if not f.name.startswith(".")} == FILES
    monkeypatch.setattr(experiment.job, "carry_out", lambda *a, **k: pytest.fail("trained again"))
    assert experiment.run(TINY).key == run.key


def test_the_training_loss_falls_and_every_test_image_has_a_row():
    run = experiment.run(TINY.with_(epochs=8, lr=1e-2))
    assert run.history["train_loss"].iloc[-1] < 0.8 * run.history["train_loss"].iloc[0]
    assert run.images["image"].nunique() == 5 and (run.images["pixels"] == 32 * 32).all()
    assert run.meta["status"] == "finished" and run.meta["images"] == {"train": 8, "val": 4, "test": 5}


def test_the_stored_counts_are_those_of_the_stored_predictions():
    run = experiment.run(TINY)
    test = experiment.data.load(TINY).test
    truth, valid = metrics.one_hot(test.masks, "binary", 1)
    found = metrics.confusion(torch.from_numpy(run.predictions()), truth, valid)
    assert found.flatten(0, 1).tolist() == run.images[["tp", "fp", "fn", "pixels"]].to_numpy().tolist()
    at_half = run.thresholds.query("threshold == 0.5")[["tp", "fp", "fn"]].to_numpy()[0]
    assert at_half.tolist() == run.images[["tp", "fp", "fn"]].sum().to_list()


def test_a_frozen_encoder_does_not_move_and_the_decoder_does():
    before = experiment.build(TINY.with_(encoder="frozen"))[1].state_dict()
    from safetensors.torch import load_file

    after = load_file(experiment.run(TINY.with_(encoder="frozen")).folder / "model.safetensors")
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("encoder.")} <= same
    assert {"head.weight", "head.bias"}.isdisjoint(same)


CHANGES = {
    "seed": 1, "data_seed": 1, "epochs": 5, "lr": 2e-3, "rotation": 5.0, "batch_size": 2, "threads": 2, "loss": "dice",
    "encoder": "frozen", "encoder_lr": 1e-4, "train_images": 7, "image_size": 64, "normalisation": "half",
    "model_options": {"decoder_channels": [16, 8, 8, 8, 4]}, "select_by": "val_loss", "channels_last": False,
    "schedule": "cosine", "warmup_epochs": 1, "clip_norm": 1.0, "patience": 2, "accumulate": 2, "precision": "bfloat16",
    "compile": "default", "start_from": {"seed": 5},
}  # fmt: skip


def test_everything_that_changes_the_result_changes_the_key():
    def key(config):
        return runs.key_of(experiment.inputs(experiment.resolve(config)))

    keys = [key(TINY), *(key(TINY.with_(**{name: value})) for name, value in CHANGES.items())]
    assert len(set(keys)) == len(keys)
    assert key(TINY) == key(dataclasses.replace(TINY))


def test_the_key_is_the_digest_of_what_config_json_holds():
    run = experiment.run(TINY)
    assert runs.key_of(json.loads((run.folder / "config.json").read_text())) == run.key


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "unett"}, "unknown model 'unett'"),
        ({"model_options": {"dropuot": 0.1}}, "did you mean 'dropout'"),
        ({"weights": "imagenet-pipy"}, "unknown weights 'imagenet-pipy'; did you mean 'imagenet-pypi'"),
        ({"loss": "bec"}, "unknown loss 'bec'; did you mean 'bce'"),
        ({"loss": "cross_entropy"}, "does not go with task binary"),
        ({"image_size": 40}, "not multiples of 32"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_trained(values, message, monkeypatch):
    monkeypatch.setattr(experiment.job, "carry_out", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        experiment.run(TINY.with_(**values))
    assert not list(runs.finished())


def test_a_device_that_is_not_here_is_an_error_and_no_fallback(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device: cuda was asked for and is not here; present: .*cpu"):
        experiment.run(TINY.with_(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_run_on_a_gpu_scores_about_as_on_the_cpu():
    scores = [tables.per_image(experiment.run(TINY.with_(device=d)))["loss"].mean() for d in ("cpu", "cuda")]
    assert scores[0] == pytest.approx(scores[1], rel=0.05)


def test_evaluation_moves_images_to_where_the_model_is():
    from seglib.evaluation import evaluate

    class Elsewhere(torch.nn.Module):
        """Says it is on another device, and takes images from there alone."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

        def forward(self, images):
            assert images.device.type == "meta", "the images were left behind"
            raise StopIteration

    with pytest.raises(StopIteration):
        evaluate(Elsewhere(), experiment.data.load(TINY).test, TINY)


def test_tables_hold_scores_of_models_and_floors_and_refuse_to_mix_data():
    first, other = experiment.run(TINY), experiment.run(TINY.with_(test_images=4))
    table = tables.comparison({"a": [first, experiment.run(TINY.with_(seed=1))]})
    assert list(table.index) == ["a", *tables.FLOORS] and table["seeds"]["a"] == 2
    images = tables.per_image(first)
    assert tables.comparison({"a": [first]})["Dice"]["a"].mean == pytest.approx(images["Dice"].mean())
    assert table["Dice"]["all background"].mean == 0
    with pytest.raises(ValueError, match="only runs on the same test images can be compared"):
        tables.comparison({"a": [first], "b": [other]})


def test_two_processes_never_train_one_key(monkeypatch):
    import threading

    key, order = "k" * 16, []
    with runs.lock(key):
        waiting = threading.Thread(target=lambda: [runs.lock(key).__enter__(), order.append("second")])
        waiting.start()
        waiting.join(timeout=0.3)
        order.append("first")
    waiting.join(timeout=5)
    assert order == ["first", "second"]


LOSS = "def loss(logits, target):\n    return (logits[:, 0].sigmoid() - (target == 1).float()).abs().mean((1, 2))\n"


def test_code_that_was_edited_after_its_import_trains_nothing_under_the_key_of_what_its_file_says(
    tmp_path, monkeypatch
):
    file = tmp_path / "edited_loss.py"
    file.write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    config = TINY.with_(epochs=1, loss="edited_loss:loss")
    run = experiment.run(config)
    file.write_text(f"# a comment\n{LOSS}")
    assert experiment.run(config).key == run.key and experiment.run(config.with_(seed=1)).key != run.key
    file.write_text(LOSS.replace("abs()", "square()"))
    with pytest.raises(RuntimeError, match=r"edited_loss\.py: edited since .* restart the kernel"):
        experiment.run(config)
    file.write_text(LOSS)
    assert experiment.run(config).key == run.key
    monkeypatch.setitem(digest._LOADED, digest.source_of("seglib.losses.dice"), "was_other = 1")
    with pytest.raises(RuntimeError, match=r"losses.dice\.py: edited since"):
        experiment.run(TINY.with_(epochs=1, loss="dice"))
    assert {folder.name for folder in paths.runs().glob("[!.]*")} == {run.key, experiment.run(config.with_(seed=1)).key}


@pytest.mark.parametrize("loss", ["bce", {"bce": 1.0, "dice": 1.0}])
def test_bce_does_not_go_with_outputs_that_are_read_as_grey_values(loss):
    planes = {"dataset": "shapes", "task": "planes", "loss_options": {"target_scale": "values"}}
    experiment.build(TINY.with_(**planes, loss="iou"))
    with pytest.raises(ValueError, match="use target_scale: unit, or mse, dice and iou"):
        experiment.build(TINY.with_(**planes, loss=loss))
