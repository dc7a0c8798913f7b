"""What trackers get of the event logs, read back with their own readers. Alone: pytest tests/test_track.py"""

import builtins
import json

import pytest
import stored

from seglib import atomic, runs, scores, track, track_mlflow, track_tensorboard
from seglib.cli import main
from seglib.config import Config

HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "train_bce": 0.5 / e, "val_loss": 2 / e, "val_iou": 0.1 * e, "val_dice": 0.2 * e}
    for e in (1, 2, 3)
]


def told(key, events):
    lines = [json.dumps({"time": 1000.0 + i, **event}) for i, event in enumerate(events)]
    atomic.write(runs.folder(key) / "events.jsonl", "\n".join(lines) + "\n")


def epochs(upto):
    return [{"event": "epoch", **row, "train_seconds": 1.0} for row in HISTORY[:upto]]


@pytest.fixture
def finished():
    masks = stored.discs(4)
    run = stored.store("aa11", stored.guess(masks, 0.2, 0), stored.dataset(masks), history=HISTORY)
    meta = {"commit": "c", "python": "3", "torch": "2"} | json.loads((run.folder / "meta.json").read_text())
    from seglib import seal

    told("aa11", [{"event": "start"}, *epochs(3), {"event": "finish"}])
    seal.write(run.folder, {k: v for k, v in meta.items() if k not in ("files", "sha256")})
    return runs.Run(run.folder)


@pytest.fixture
def unfinished():
    config = Config(dataset="lesions", device="cpu", threads=1, epochs=3).__dict__
    atomic.write(runs.folder("bb22") / "config.json", json.dumps({"config": config}))
    again = {"event": "epoch", **HISTORY[1], "val_dice": 0.4}  # told twice: it went on from before this epoch
    told("bb22", [{"event": "start", "device": "a device"}, *epochs(2), {"event": "start"}, again])
    with open(runs.folder("bb22") / "events.jsonl", "a") as file:
        file.write('{"event": "epo')  # being written
    return "bb22"


def points(folder):
    """What TensorBoard's own reader finds: tag → [(step, value)]."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    return {
        tag: [(e.step, pytest.approx(e.value)) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }, found


def test_tensorboard_reads_every_epoch_and_the_test_scores_once(finished, unfinished, tmp_path, capsys):
    for call in range(2):
        assert main(["track", "tensorboard", "--to", str(tmp_path / "logs")]) == 0
        assert f"2 runs, of which {2 - 2 * call} were new or had grown" in capsys.readouterr().out
        scalars, found = points(tmp_path / "logs" / "aa11")
        assert scalars["dice/val"] == [(1, 0.2), (2, 0.4), (3, 0.6)] and scalars["bce/train"][0] == (1, 0.5)
        assert scalars["test/Dice"] == [(3, scores.per_image(finished)["Dice"].mean())]
        assert [e.wall_time for e in found.Scalars("loss/val")] == [1001.0, 1002.0, 1003.0]
        assert "hparams" in found.summary_metadata["_hparams_/experiment"].plugin_data.plugin_name
        scalars, _ = points(tmp_path / "logs" / "bb22")
        assert scalars["dice/val"] == [(1, 0.2), (2, 0.4)] and "test/Dice" not in scalars
    told("bb22", [{"event": "start"}, *epochs(3), {"event": "interrupted"}])
    written = track_tensorboard.write(track.logs(), tmp_path / "logs")
    assert written == {"aa11": False, "bb22": True} and len(points(tmp_path / "logs" / "bb22")[0]["dice/val"]) == 3
    assert track.read("bb22").status == "interrupted" and sorted(f.name for f in (tmp_path / "logs").iterdir()) == [
        "aa11", "bb22",
    ]  # fmt: skip


def test_a_folder_of_something_else_is_left_alone(finished, tmp_path):
    (tmp_path / "logs" / "aa11").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="was not written by `seglib track`"):
        track_tensorboard.write(track.logs(["aa"]), tmp_path / "logs")
    with pytest.raises(FileNotFoundError, match="no run 'zz' with an event log"):
        track.logs(["zz"])


def test_without_mlflow_the_command_says_how_to_get_it(finished, monkeypatch, capsys):
    plain = builtins.__import__

    def missing(name, *rest):
        if name.split(".")[0] == "mlflow":
            raise ModuleNotFoundError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert main(["track", "mlflow"]) == 1
    assert "mlflow is not installed" in (told := capsys.readouterr().err) and "pip install mlflow-skinny" in told


def test_mlflow_has_each_run_and_each_point_once(finished, unfinished, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert track_mlflow.write(track.logs(), uri) == {"aa11": True, "bb22": True}
    assert track_mlflow.write(track.logs(), uri) == {"aa11": False, "bb22": False}
    told("bb22", [{"event": "start"}, *epochs(3), {"event": "failed"}])
    assert track_mlflow.write(track.logs(), uri) == {"aa11": False, "bb22": True}
    client = mlflow.MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name("seglib").experiment_id
    found = {run.data.tags["seglib.key"]: run for run in client.search_runs([number])}
    assert len(found) == 2 and [found[key].info.status for key in ("aa11", "bb22")] == ["FINISHED", "FAILED"]
    for run in found.values():
        metric = client.get_metric_history(run.info.run_id, "val_dice")
        assert sorted((m.step, m.value) for m in metric) == [(e, pytest.approx(0.2 * e)) for e in (1, 2, 3)]
        assert {m.timestamp for m in metric if m.step == 1} == {1_001_000}
    assert found["aa11"].data.metrics["test_Dice"] == pytest.approx(scores.per_image(finished)["Dice"].mean())
    assert found["aa11"].data.params["dataset"] == "lesions"
    with pytest.raises(RuntimeError, match="MLflow at nowhere:///"):
        track_mlflow.write(track.logs(), "nowhere:///")
