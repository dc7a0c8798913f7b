"""Stored runs trained again and compared: what is equal, what was changed, what cannot be compared.

Alone: pytest tests/test_verify.py
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from seglib import cli, digest, experiment, params, paths, runs, seal, verify
from seglib.config import Config
from seglib.params import Study

TINY = Config(
    image_size=32, train_images=8, val_images=4, test_images=5, epochs=1, batch_size=4, device="cpu", threads=1,
    model="unet", model_options={"width": 0.0625},
)  # fmt: skip
OWN = Study("own", {"02_frozen_encoder": {}, "08_comparison": {}})


def record(**configs):
    groups = {label: [experiment.run(config)] for label, config in configs.items()}
    runs.record("own", "02_frozen_encoder", {runs.MODELS: groups})
    return [group[0] for group in groups.values()]


def verdicts(sample="all"):
    return {one.label: one for one in verify.study(OWN, sample)}


def content():
    return {file: digest.of_file(file) for file in paths.outputs().rglob("*") if file.is_file()}


def resealed(run, **changes):
    """Rewrites the seal over the files as they are now, so that the run looks whole."""
    meta = json.loads((run.folder / "meta.json").read_text())
    seal.write(run.folder, {k: v for k, v in meta.items() if k not in ("files", "sha256")} | changes)


def moved_weights(run, by):
    tensors = load_file(run.folder / seal.WEIGHTS)
    save_file({name: t + by if name == "head.bias" else t for name, t in tensors.items()}, run.folder / seal.WEIGHTS)


def flipped(file, at=-3):
    written = bytearray(file.read_bytes())
    written[at] ^= 1
    file.write_bytes(written)


def test_runs_are_trained_to_the_same_bytes_beside_the_store():
    record(whole=TINY, after=TINY.with_(start_from={"seed": 9}))
    before = content()
    found = verdicts()
    assert {label: (one.verdict, one.equal, one.largest) for label, one in found.items()} == {
        "whole": (verify.EQUAL, "5 of 5 files", "none"), "after": (verify.EQUAL, "5 of 5 files", "none")
    }  # fmt: skip
    assert verify.is_right(list(found.values())) and content() == before
    assert all(one.now >= 0 for one in found.values())  # of a second's tenths


def test_one_flipped_bit_of_the_weights_under_a_new_seal_is_caught():
    hurt = record(whole=TINY, hurt=TINY.with_(seed=1))[1]
    flipped(hurt.folder / seal.WEIGHTS)
    resealed(hurt)
    assert not seal.damaged(hurt.folder, weights=True)  # nothing else would notice
    found = verdicts()
    assert (found["whole"].verdict, found["hurt"].verdict) == (verify.EQUAL, verify.DIFFERENT)
    assert found["hurt"].equal == "4 of 5 files" and found["hurt"].largest.endswith(" in model.safetensors")
    assert not verify.is_right(list(found.values()))
    assert "the same machine should give the same bytes" in verify.table(list(found.values()))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("history.csv", "\n1,0.", "\n1,1."), ("images.csv", ",lesion,", ",other,"), ("thresholds.csv", ",0.5,", ",0.6,")],
)
def test_a_changed_table_under_a_new_seal_is_caught(name, old, new):
    (run,) = record(hurt=TINY)
    text = (run.folder / name).read_text()
    assert old in text
    (run.folder / name).write_text(text.replace(old, new, 1))
    resealed(run)
    found = verdicts()["hurt"]
    assert found.verdict == verify.DIFFERENT and found.largest.endswith(f" in {name}")


def test_a_damaged_run_is_told_and_not_trained_again(monkeypatch):
    (run,) = record(hurt=TINY)
    flipped(run.folder / seal.WEIGHTS)
    monkeypatch.setattr(experiment, "begin", lambda *_: pytest.fail("trained"))
    found = verdicts()
    assert found["hurt"].verdict == verify.DAMAGED and not verify.is_right(list(found.values()))


def test_a_run_of_other_code_is_not_compared(monkeypatch):
    record(old=TINY)
    monkeypatch.setattr(digest, "of_code", lambda modules: "other code")
    monkeypatch.setattr(experiment, "begin", lambda *_: pytest.fail("trained"))
    found = verdicts()["old"]
    assert found.verdict == verify.NOT_VERIFIABLE and found.why.endswith("changed since: data, code")
    assert not verify.is_right([found]) and verify.summary([found]).endswith("so nothing was compared")


def test_a_run_whose_start_left_the_store_is_not_compared():
    (run,) = record(after=TINY.with_(start_from={"seed": 9}))
    start = json.loads((run.folder / "config.json").read_text())["start_from"]
    (runs.folder(start) / "meta.json").unlink()
    found = verdicts()["after"]
    assert found.verdict == verify.NOT_VERIFIABLE and start in found.why


def test_on_another_machine_rounding_is_within_tolerance_and_more_is_not():
    (run,) = record(moved=TINY)
    moved_weights(run, 1e-7)
    resealed(run, machine="another processor")
    found = verdicts()["moved"]
    assert found.verdict == verify.WITHIN and "stored by another machine (another processor; here " in found.why
    history = (run.folder / "history.csv").read_text().replace("\n1,0.", "\n1,9.")
    (run.folder / "history.csv").write_text(history)
    resealed(run, machine="another processor")
    found = verdicts()["moved"]
    assert found.verdict == verify.DIFFERENT and "beyond what that explains: train_loss by" in found.why


def test_a_sample_is_the_same_each_time_with_one_of_each_kind_first():
    from types import SimpleNamespace

    def run(key, **changes):
        meta = {"images": {"train": 8}}
        return SimpleNamespace(key=key, config=experiment.resolve(TINY.with_(**changes)), meta=meta)

    found = [run("d"), run("b", seed=1), run("c", seed=2), run("e", loss="dice"), run("a", image_size=64)]
    keys = [[one.key for one in verify.chosen(order, n)] for order in (found, found[::-1]) for n in (1, 3, 4, 9)]
    assert keys[:4] == keys[4:] == [["a"], ["a", "b", "e"], ["a", "b", "e", "c"], ["a", "b", "e", "c", "d"]]


@pytest.mark.parametrize(
    ("sample", "count"), [("3", 3), ("30", 20), ("10%", 2), ("11%", 3), ("1%", 1), ("100%", 20), ("all", 20)]
)
def test_a_sample_is_a_number_a_share_or_all(sample, count):
    assert verify.size_of(sample, 20) == count


@pytest.mark.parametrize("sample", ["0", "-1", "x", "", "0%", "101%", "1.5"])
def test_a_sample_of_no_sense_is_refused(sample):
    with pytest.raises(ValueError, match="expected a number of runs such as 3, a share such as 10%, or all"):
        verify.size_of(sample, 20)


def test_the_command_prints_the_table_and_fails_if_a_run_differs(capsys, monkeypatch):
    monkeypatch.setattr(params, "read", lambda study, overrides: OWN)
    assert cli.main(["verify", "own"]) == 1 and "has no recorded runs; run its report first" in capsys.readouterr().err
    (run,) = record(net=TINY)
    assert cli.main(["verify", "own", "--all"]) == 0
    text = capsys.readouterr().out
    assert run.key in text and "1 run: 1 equal" in text
    moved_weights(run, torch.tensor(0.5))
    resealed(run)
    assert cli.main(["verify", "own", "--sample", "100%"]) == 1
    assert "0.5 in model.safetensors" in capsys.readouterr().out
