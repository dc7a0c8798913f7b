"""A finished run whose bytes changed is not taken for finished. Alone: pytest tests/test_seal.py"""

import json

import pytest
import stored

from seglib import experiment, runs, seal
from seglib.config import Config

TINY = Config(
    image_size=32, train_images=6, val_images=4, test_images=5, epochs=1, batch_size=4, device="cpu", threads=1,
    model_options={"decoder_channels": [16, 8, 8, 8, 8]},
)  # fmt: skip


def hurt(file, how):
    content = file.read_bytes()
    if how == "flipped":
        content = (
            content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
        )
    file.write_bytes(content[: len(content) // 2] if how == "truncated" else content)
    if how == "gone":
        file.unlink()


@pytest.mark.parametrize("how", ["flipped", "truncated", "gone"])
@pytest.mark.parametrize(
    "name", ["images.csv", "thresholds.csv", "history.csv", "predictions.npz", "config.json", "meta.json"]
)
def test_a_file_that_changed_is_named_and_the_run_does_not_count(name, how):
    (run,) = stored.model("net", 0.2, seeds=(0,))
    assert not seal.damaged(run.folder) and runs.find(run.key)
    hurt(run.folder / name, how)
    assert seal.damaged(run.folder) == [name]
    if (run.folder / "meta.json").is_file():
        with pytest.warns(UserWarning, match=f"run {run.key} is damaged .{name}"):
            assert runs.find(run.key) is None


@pytest.mark.filterwarnings("ignore:run .* is damaged")
def test_a_damaged_run_is_trained_again_to_the_same_bytes_and_its_log_says_so():
    run = experiment.run(TINY)
    before = (run.folder / "images.csv").read_bytes()
    hurt(run.folder / "images.csv", "flipped")
    again = experiment.run(TINY)
    assert again.key == run.key and (run.folder / "images.csv").read_bytes() == before
    events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [e["files"] for e in events if e["event"] == "damaged"] == [["images.csv"]]


def test_weights_are_read_whole_before_another_run_starts_from_them():
    run = experiment.run(TINY)
    hurt(run.folder / "model.safetensors", "flipped")
    assert runs.find(run.key) and seal.damaged(run.folder, weights=True) == ["model.safetensors"]
    with pytest.raises(ValueError, match=r"start_from: run .* is damaged .model.safetensors.*delete"):
        experiment.run(TINY.with_(start_from=run.key, seed=3))
