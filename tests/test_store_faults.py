"""The run store under faults: kill -9 at any file operation, damaged bytes, a clock that runs backwards.

No run may be taken for finished that is not whole, and no other run may suffer.
Alone: pytest tests/test_store_faults.py
"""

import json
import random
import shutil
import subprocess
import sys
import time

import killed
import pytest
import stored
import torch

from seglib import checkpoint, data, divergence, experiment, job, paths, runs, seal
from seglib.data import fingerprint, store
from seglib.explore import probabilities

TEN = 10  # places of a file that are tried
FILES = {"config.json", "history.csv", "images.csv", "thresholds.csv", "predictions.npz", "model.safetensors"}


def killed_runs(folder, *points):
    """The operations of a whole run, what it left, and a row for each run that was killed."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, killed.__file__, str(folder), *points], capture_output=True, text=True, cwd=paths.ROOT
    )
    assert done.returncode == 0, done.stderr
    first, *rows = map(json.loads, done.stdout.splitlines())
    assert set(first["reference"]) == FILES | killed.VARYING
    return first["operations"], first["reference"], rows


def check(reference, rows, count):
    assert len(rows) == count
    for row in rows:
        assert all(status == 9 for status in row["statuses"][:1]), "it ended before it could be killed"
        for whole in row["whole"]:  # what the store took for finished after a kill, if anything
            assert whole is None or {n: v for n, v in whole.items() if not n.startswith("state")} == reference, row
        assert row["status"] == 0 and row["finished"] and row["after"] == reference, row
        assert row["beside"], row


def test_a_run_killed_before_a_file_operation_ends_in_the_same_bytes(tmp_path):
    """Of the last ones, -4 is the renaming that makes the run finished."""
    operations, reference, rows = killed_runs(tmp_path / "killed", "43", "-3", "41,-1")
    check(reference, rows, 3)
    assert operations[-4].startswith("os.rename .meta.json")
    assert [row["whole"][0] is not None for row in rows] == [False, False, False]
    assert any(name.startswith(".state.pt-") for name in rows[0]["files then"]), "no torn file was left to be removed"


@pytest.mark.long
def test_a_run_killed_before_any_file_operation_ends_in_the_same_bytes(tmp_path):
    operations, reference, rows = killed_runs(tmp_path / "killed")
    assert len(operations) > 100
    check(reference, rows, len(operations))
    finished = [row["whole"][0] is not None for row in rows]
    assert finished == sorted(finished) and sum(finished) == 3, "only after meta.json was renamed"


@pytest.mark.long
def test_a_run_killed_again_and_again_ends_in_the_same_bytes(tmp_path):
    draw = random.Random(0)
    chains = [",".join(str(draw.randint(1, 90)) for _ in range(draw.randint(2, 8))) for _ in range(12)]
    _, reference, rows = killed_runs(tmp_path / "killed", *chains)
    check(reference, rows, 12)


def hurt(content, place, how):
    """The content with a bit flipped at a place, or cut off there."""
    return content[:place] if how == "cut" else content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def places(content, count=TEN):
    return sorted({0, len(content) - 1, *(len(content) * i // count for i in range(1, count))})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run and one beside it, to be copied: their store, and their keys."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("finished")
        patch.setenv("SEGLIB_OUTPUTS", str(folder))
        return folder, experiment.run(killed.TINY).key, experiment.run(killed.NEIGHBOUR).key


@pytest.fixture
def copied(finished):
    """The same in this test's own store."""
    folder, key, other = finished
    shutil.copytree(folder, paths.outputs())
    return runs.Run(runs.folder(key)), runs.Run(runs.folder(other))


@pytest.mark.filterwarnings("ignore:run .* is damaged")
@pytest.mark.parametrize("how", ["flipped", "cut"])
@pytest.mark.parametrize("name", sorted(FILES | {"meta.json"}))
def test_no_damaged_file_makes_a_finished_run(copied, name, how):
    run, other = copied
    file = run.folder / name
    content = file.read_bytes()
    for place in range(0, len(content), 11) if name == "meta.json" else places(content):
        file.write_bytes(hurt(content, place, how))
        seal._digest.cache_clear()
        found = seal.damaged(run.folder, weights=True)
        if name == "meta.json" and not found:  # white space, or the other way to write a sign
            assert json.loads(file.read_bytes()) == json.loads(content)
        else:
            assert found == [name], place
            weights_alone = name == "model.safetensors" and how == "flipped"
            assert (runs.find(run.key) is None) != weights_alone
    assert runs.find(other.key) and not seal.damaged(other.folder, weights=True)


@pytest.mark.filterwarnings("ignore:run .* is damaged")
def test_a_run_with_all_of_its_files_damaged_is_trained_again_and_the_others_stay(copied, monkeypatch):
    run, other = copied
    whole = killed.state(run.key)
    beside = killed.state(other.key)
    for name in FILES | {"meta.json", "events.jsonl"}:
        (run.folder / name).write_bytes(hurt((run.folder / name).read_bytes(), 40, "flipped"))
    (run.folder / "state.pt").write_bytes(b"x")
    (run.folder / ".images.csv-abc").write_bytes(b"torn")
    assert runs.find(run.key) is None and [r.key for r in runs.finished()] == [other.key]
    assert experiment.run(killed.TINY).key == run.key and killed.state(run.key) == whole
    monkeypatch.setattr(job, "carry_out", lambda *a, **k: pytest.fail("trained again"))
    assert experiment.run(killed.NEIGHBOUR).key == other.key and killed.state(other.key) == beside


def test_weights_with_a_flipped_bit_are_loaded_by_nothing(copied):
    run, _ = copied
    file = run.folder / "model.safetensors"
    file.write_bytes(hurt(file.read_bytes(), file.stat().st_size - 1, "flipped"))  # a number, not the header
    message = rf"run {run.key} is damaged .model.safetensors.; delete .*{run.key}, so that it is trained again"
    with pytest.raises(ValueError, match=message):
        seal.weights(run.folder)
    with pytest.raises(ValueError, match=f"start_from: {message}"):
        experiment.run(killed.TINY.with_(start_from=run.key, seed=3))
    with pytest.raises(ValueError, match=message):
        probabilities.predicted(run, data.load(run.config), 0, 0.3)


def test_a_state_with_any_byte_flipped_is_not_gone_on_with(tmp_path):
    from seglib.train import State

    for epoch in (1, 2):
        checkpoint.save(State({"w": torch.ones(3)}, {}, epoch=epoch), tmp_path)
    newest = tmp_path / checkpoint.FILES[0]
    content = newest.read_bytes()
    for place in places(content, 60):
        for how in ("flipped", "cut"):
            newest.write_bytes(hurt(content, place, how))
            state, damaged = checkpoint.load(tmp_path)
            assert (state.epoch, damaged) == (1, ["state.pt"]), (place, how)


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_record_of_a_notebook_is_named_and_does_not_count(how):
    groups = stored.model("net", 0.2, seeds=(0, 1))
    runs.record("own", "02_frozen_encoder", {"models": {"net é": groups}})
    file = runs._record_file("own", "02_frozen_encoder")
    content = file.read_bytes()
    assert runs.are_recorded("own", "02_frozen_encoder")
    for place in range(len(content) - 1):
        file.write_bytes(hurt(content, place, how))
        try:
            same = json.loads(file.read_bytes()) == json.loads(content)
        except ValueError:
            same = False
        assert runs.are_recorded("own", "02_frozen_encoder") == same, place
        if not same:
            with pytest.raises(
                ValueError, match=r"02_frozen_encoder\.runs\.json (is damaged .*delete it|was written by)"
            ):
                runs.families("own")
    runs.record("own", "02_frozen_encoder", {"models": {"net é": groups}})
    assert file.read_bytes() == content and list(runs.recorded("own")) == ["net é"]


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_file_of_the_decoded_images_is_made_anew(how, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    before = data.load(killed.TINY)
    (folder,) = (f for f in (paths.cache() / "decoded").iterdir() if f.name[0] != ".")
    names = sorted(file.name for file in folder.iterdir())
    assert store.DIGESTS in names and "train_images.npy" in names
    for name in names:
        file = folder / name
        content = file.read_bytes()
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(hurt(content, len(content) - 1 if how == "flipped" else len(content) // 2, how))
        after = data.load(killed.TINY)
        assert torch.equal(after.train.images, before.train.images) and torch.equal(after.test.masks, before.test.masks)
        assert file.read_bytes() == content, name
    assert [f.name for f in (paths.cache() / "decoded").iterdir() if f.name != ".locks"] == [folder.name]


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_damaged_memory_of_digests_gives_no_wrong_fingerprint(how, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    files = [tmp_path / "a", tmp_path / "b"]
    right = fingerprint.of_files(files, tmp_path)
    (memory,) = (file for file in (paths.cache() / "digests").glob("*.json") if str(tmp_path) in file.read_text())
    content = memory.read_bytes()
    for place in places(content, 60):
        memory.write_bytes(hurt(content, place, how))
        assert fingerprint.of_files(files, tmp_path) == right, place


def test_a_torn_line_of_the_event_log_costs_itself_alone():
    (run,) = stored.model("net", 0.2, seeds=(0,))
    runs.append_event(run.key, {"event": "start"})
    with open(run.folder / "events.jsonl", "ab") as file:
        file.write(b'{"event": "epoch", "epo\xff')
    runs.append_event(run.key, {"event": "failed", "error": "FloatingPointError: x"})
    assert [event["event"] for event in divergence._events(run.key)] == ["start", "failed"]


def test_no_event_log_makes_a_run_of_a_damaged_one(copied):
    run, _ = copied
    content = (run.folder / "events.jsonl").read_bytes()
    for place in range(0, len(content), 5):
        (run.folder / "events.jsonl").write_bytes(hurt(content, place, "flipped"))
        assert runs.find(run.key) and all(event["event"] for event in divergence._events(run.key))
    assert divergence.known(killed.TINY) == run and divergence._diverged(killed.TINY).epoch == 3
    (run.folder / "meta.json").unlink()
    assert divergence.known(killed.TINY) is None


def test_a_clock_that_runs_backwards_changes_nothing_but_the_times(copied, monkeypatch):
    run, _ = copied
    whole = killed.state(run.key)
    shutil.rmtree(run.folder)
    hours = iter(range(10**6))
    start = time.time()
    monkeypatch.setattr(time, "time", lambda: start - 3600 * next(hours))
    monkeypatch.setattr(job, "SAVE_SECONDS", 0.0)
    again = experiment.run(killed.TINY)
    times = [event["time"] for event in divergence._events(run.key)]
    assert times == sorted(times, reverse=True) and len(set(times)) == len(times) > 3
    assert killed.state(run.key) == whole and again.meta["seconds"] >= 0
