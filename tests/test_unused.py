"""Which runs nothing needs, and their removal. Alone: pytest tests/test_unused.py"""

import json
import os

import pytest
import stored

from seglib import asked, cli, locks, paths, runs, seal, unused
from seglib.asked import Asked
from seglib.config import Config

SHOWN, BEFORE, ASKED, SPARE, BROKEN = (digit * 16 for digit in "abcde")


def keep(key, start_from=""):
    masks = stored.discs(2)
    run = stored.store(key, stored.guess(masks, 0.1, 0), stored.dataset(masks))
    inputs = json.loads((run.folder / "config.json").read_text())
    (run.folder / "config.json").write_text(json.dumps(inputs | {"start_from": start_from}))
    seal.write(run.folder, {"seconds": 3600.0, "finished": "2026-01-01T00:00:00Z"})
    return run


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A run that a report shows, the one it started from, one that a study asks for, a spare and a broken one."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    (tmp_path / "params" / "own").mkdir(parents=True)
    (tmp_path / "params" / "own" / "02_frozen_encoder.yaml").write_text("weights: none\ndataset: lesions\n")
    monkeypatch.setattr(asked, "of", lambda values: [Asked("a row", Config(), ASKED, True)])
    shown = keep(SHOWN, start_from=BEFORE)
    for key in (BEFORE, ASKED, SPARE):
        keep(key)
    runs.folder(BROKEN).mkdir()
    (runs.folder(BROKEN) / "state.pt").write_bytes(b"x" * 1000)
    runs.append_event(BROKEN, {"event": "epoch", "train_seconds": 5.0, "val_seconds": 2.0})
    runs.record("own@1234", "02_frozen_encoder", {runs.MODELS: {"net": [shown]}})


def test_a_run_is_used_if_it_is_shown_asked_for_or_started_from(store):
    found = {one.key: one for one in unused.entries()}
    assert set(found) == {SHOWN, BEFORE, ASKED, SPARE, BROKEN} and found[SHOWN].shown_by == (
        "own@1234/02_frozen_encoder",
    )
    assert [one.key for one in unused.unused(found.values())] == [SPARE, BROKEN]
    assert (found[BROKEN].state, found[BROKEN].seconds) == ("unfinished", 7.0) and found[BROKEN].size > 1000
    assert found[SPARE].size == sum(file.stat().st_size for file in runs.folder(SPARE).iterdir())


def test_where_a_study_cannot_tell_what_it_asks_for_no_run_on_its_data_is_unused(store, monkeypatch):
    def gone(values):
        raise FileNotFoundError("no data")

    monkeypatch.setattr(asked, "of", gone)
    assert [one.key for one in unused.unused(unused.entries())] == [BROKEN]


def test_removing_asks_first_and_says_what_would_go(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked_for = []
    monkeypatch.setattr("builtins.input", lambda question: asked_for.append(question) or "n")
    assert cli.main(["runs", "--remove", SHOWN, BEFORE]) == 1
    text = capsys.readouterr().out
    assert "2 runs, 2.00 hours of training" in text and "still shown by own@1234/02_frozen_encoder" in text
    assert "nothing was removed" in text and len(asked_for) == 1 and runs.find(BEFORE)
    assert cli.main(["runs", "--remove", BEFORE]) == 1 and f"{SHOWN} started from {BEFORE}" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert cli.main(["runs", "--remove", "--unused"]) == 0
    assert "removed 2 runs, 1.00 hours of training" in capsys.readouterr().out
    left = {folder.name for folder in paths.runs().iterdir()} - {".locks"}
    assert left == {SHOWN, BEFORE, ASKED}


def test_without_a_terminal_nothing_is_removed_unless_yes_is_given(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert cli.main(["runs", "--remove", SPARE]) == 1 and runs.find(SPARE)
    assert "add --yes" in capsys.readouterr().err
    assert cli.main(["runs", "--remove", SPARE, "--yes"]) == 0 and not runs.folder(SPARE).exists()


@pytest.mark.parametrize("words", [["--remove"], ["--remove", SPARE, "--unused"], ["--remove", "f" * 16]])
def test_what_is_to_be_removed_must_be_said_and_be_there(store, words, capsys):
    assert cli.main(["runs", *words, "--yes"]) == 1 and "error: " in capsys.readouterr().err
    assert len(unused.entries()) == 5


def test_a_run_that_a_process_holds_is_never_removed(store, capsys):
    with runs.lock(SPARE):
        assert cli.main(["runs", "--remove", "--unused", "--yes"]) == 1
        assert f"process {os.getpid()} on" in locks.holder(locks.of_run(SPARE))  # who waits is still told for whom
        text = capsys.readouterr().out
    assert f"kept {SPARE}: another process" in text and runs.find(SPARE) and not runs.folder(BROKEN).exists()
    assert cli.main(["runs", "--remove", SPARE, "--yes"]) == 0


def test_the_list_says_what_the_store_holds(store, capsys):
    assert cli.main(["runs"]) == 0
    text = capsys.readouterr().out
    assert f"{SPARE}  lesions 128 px, mobilenetv2_decoder, fine_tune, seed 0, 3600 s, " in text
    assert "UNFINISHED" in text and "5 runs, 4.00 hours of training" in text
