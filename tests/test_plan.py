"""What a plan counts, what it takes from stored runs, probes and neither. Alone: pytest tests/test_plan.py"""

import json

import pytest
import stored
import torch

from seglib import asked, cli, estimate, kinds, pace, params, paths, plan, probe, runs, runtime
from seglib.config import Config
from seglib.estimate import Kind
from seglib.kinds import Work
from seglib.models import summary
from seglib.pace import Pace, Spread

TINY = Config(
    image_size=32, train_images=8, val_images=4, test_images=5, epochs=2, batch_size=4, device="cpu", threads=1,
    precision="float32", accumulate=1, model="unet", model_options={"width": 0.0625},
)  # fmt: skip
STUDY = """dataset: lesions
image_size: 32
train_images: 8
val_images: 4
test_images: 6
weights: none
model_options: {decoder_channels: [16, 8, 8, 8, 8]}
batch_size: 4
epochs: 2
seeds: [0, 1]
device: cpu
threads: 1
"""


@pytest.fixture
def own_study(tmp_path, monkeypatch):
    """Notebook 02, and 03 with a row that starts from 02's run and one from a run that no row is."""
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    folder = tmp_path / "params" / "own"
    folder.mkdir(parents=True)
    (folder / "02_frozen_encoder.yaml").write_text(STUDY)
    (folder / "03_fine_tuning.yaml").write_text(
        STUDY + "encoder_rates: []\nvariants:\n  from 02: {start_from: {encoder: frozen}}\n"
        "  from another: {start_from: {encoder: frozen, lr: 0.5}}\n"
    )
    return params.read("own")


def test_runs_are_counted_once_with_the_runs_that_they_start_from(own_study):
    found = asked.of_study(own_study)
    first, second = ({one.key for one in group} for group in found.values())
    # 02: two seeds; 03: these, fine-tuned, from 02, from another and that other one, two seeds each
    assert (len(first), len(second), len(asked.distinct(found))) == (2, 10, 10) and first < second
    labels = [one.label for one in found["03_fine_tuning"]]
    assert sum(label.endswith("from another: the run it starts from") for label in labels) == 2


def test_a_sweep_s_winner_enters_the_rows_that_await_it_once_the_store_knows_it(monkeypatch):
    values = {
        "dataset": "lesions", "model": "six_class_net", "image_size": 32, "weights": "none", "device": "cpu",
        "threads": 1, "train_images": 4, "val_images": 2, "test_images": 2, "optimizer": "sgd", "lr": 0.01,
        "rates": [0.1, 0.3], "momenta": [], "trial_epochs": 1, "epochs": 2, "seeds": [5], "control_seeds": [6, 7],
        "overfit_epochs": 3, "overfit_changes": {}, "batch_size": 2, "accumulate": 1, "precision": "float32",
    }  # fmt: skip
    found = {(one.label, one.config.seed): one for one in asked.of(values)}
    network = "six_class_net, from scratch"
    assert {key: one.awaits for key, one in found.items()} == {
        (network, 5): True, ("six_class_net, two images", 5): False, ("lr 0.1", 5): False, ("lr 0.3", 5): False,
        (f"{network}, other seeds", 6): True, (f"{network}, other seeds", 7): True,
    }  # fmt: skip
    assert found[network, 5].config.lr == 0.01
    for rate, loss in ((0.1, 0.4), (0.3, 0.6)):
        one = found[f"lr {rate}", 5]
        stored.store(one.key, stored.guess(stored.discs(2, 32), 0.1, 0), stored.dataset(stored.discs(2, 32)),
                     history=[{"epoch": 1, "train_loss": 0.5, "val_loss": loss}], lr=rate)  # fmt: skip
    after = {(one.label, one.config.seed): one for one in asked.of(values)}
    assert not any(one.awaits for one in after.values()) and after["lr 0.3", 5].settled
    assert {after[key].config.lr for key in ((network, 5), (f"{network}, other seeds", 6))} == {0.1}


def test_kinds_tell_apart_what_costs_time_and_nothing_else():
    same = [{"seed": 3}, {"lr": 0.1}, {"epochs": 9}, {"loss_options": {"reduction": "mean"}}, {"batch_size": 4}]
    other = [{"image_size": 64}, {"batch_size": 2}, {"model_options": {"width": 0.125}}, {"loss": "dice"},
             {"noise": 0.1}, {"threads": 2}, {"channels_last": False}, {"precision": "bfloat16"}]  # fmt: skip
    mine = kinds.key(TINY, 8)
    assert {kinds.key(TINY.with_(**change), 8) for change in same} == {mine}
    found = [kinds.key(TINY.with_(**change), 8) for change in other] + [kinds.key(TINY, 3)]
    assert len({mine, *found}) == 10
    flipped = TINY.with_(horizontal_flip=True)
    assert kinds.key(flipped, 8) == kinds.key(TINY.with_(rotation=20.0), 8) != mine
    frozen = flipped.with_(model="segnet_attention", model_options={}, encoder="frozen")
    assert kinds.key(frozen, 8) != kinds.key(frozen.with_(feature_views=2), 8)
    idle = {
        "feature_views": 2,
        "deterministic": False,
        "momentum": 0.5,
    }  # a stored config lacks what it makes no use of
    assert kinds.key(TINY.with_(**idle), 8) == mine


def test_work_is_epochs_times_images_and_what_is_encoded_once_per_view():
    count = {"train": 10, "val": 4, "test": 6}
    assert kinds.work(TINY.with_(epochs=3), count) == Work(30, 0, 12, 6)
    frozen = TINY.with_(model="segnet_attention", model_options={}, encoder="frozen", epochs=3)
    assert kinds.work(frozen, count) == Work(30, 14, 12, 6)
    drawn = frozen.with_(rotation=5.0)
    assert kinds.work(drawn, count) == Work(30, 0, 12, 6)
    assert kinds.work(drawn.with_(feature_views=2), count).encoded == 2 * 10 + 4
    assert kinds.work(drawn.with_(feature_views=8), count).encoded == 3 * 10 + 4  # it has three epochs alone


def test_a_run_s_seconds_are_its_images_times_the_pace():
    rates = [Spread(rate, 2 * rate, 3 * rate) for rate in (1.0, 10.0, 0.1, 5.0, 7.0)]
    assert Pace(*rates, 100, "by hand").seconds(Work(30, 2, 10, 3)) == Spread(73, 146, 219)


def tell(run, *epochs, started=100.0, ended):
    """Writes the event log of a run: cumulative seconds of training and validation after each epoch."""
    events = [{"event": "start", "time": started}]
    events += [{"event": "epoch", "time": 0.0, "train_seconds": t, "val_seconds": v} for t, v in epochs]
    events.append({"event": "finish", "time": ended})
    (run.folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def test_the_pace_of_stored_runs_is_read_from_their_event_logs(monkeypatch):
    monkeypatch.setattr(pace, "STORED", 1.0)
    config = {"encoder": "frozen", "epochs": 4, "precision": "float32", "accumulate": 1}
    run, broken = (stored.model(name, 0.2, seeds=(0,), **config)[0] for name in ("net", "broken"))
    kind = kinds.key(run.config, 10)
    for one in (run, broken):
        one.meta.update(images={"train": 10, "val": 5, "test": 4}, device=runtime.processor("cpu"), peak_memory_mb=640)
    # the first epoch encodes 10 + 5 images in 6 + 0.9 s; a step's image takes 0.1 to 0.3 s, a validation's 0.02 s
    tell(run, (8.0, 1.0), (9.0, 1.1), (11.0, 1.2), (14.0, 1.3), ended=100 + 14 + 1.3 + 2)
    tell(broken, (8.0, 1.0), (9.0, 1.1), (11.0, 1.2), (14.0, 1.3), ended=1000.0)
    with open(broken.folder / "events.jsonl", "a") as file:
        file.write('{"event": "start", "time": 900}\n')
    found = pace.of_stored([run, broken], {kind})
    assert list(found) == [kind] and found[kind].memory == 640 and found[kind].source == "1 stored run"
    assert found[kind].step == pytest.approx((0.15, 0.2, 0.25))
    assert found[kind].encode.middle == pytest.approx((8.0 - 2.0 + 1.0 - 0.1) / 15)
    assert found[kind].val.middle == pytest.approx(0.02) and found[kind].test.middle == pytest.approx(0.5)
    log = run.folder / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    assert not pace.of_stored([run], {kind})
    tell(run, (8.0, 1.0), (9.0, 1.1), (11.0, 1.2), ended=120.0)
    assert pace.of_stored([run], {kind})
    run.meta["device"] = "another machine"
    assert not pace.of_stored([run], {kind})


def test_a_probe_takes_real_steps_and_leaves_nothing(tmp_path):
    frozen = TINY.with_(
        model="mobilenetv2_decoder", model_options={"decoder_channels": [16, 8, 8, 8, 8]}, encoder="frozen",
        lr=1e9, overfit=0, start_from={"seed": 4}, weights="none",
    )  # fmt: skip
    for config, parts in ((TINY, ("step", "val", "test", "run")), (frozen, ("step", "encode", "val", "test", "run"))):
        found = probe.measure(config, 8, 60.0)
        assert found.source.startswith(f"probe of {probe.STEPS} steps, ")
        for part in ("step", "encode", "val", "test", "run"):
            low, middle, high = getattr(found, part)
            assert (0 < low < middle < high) if part in parts else (low, middle, high) == (0, 0, 0)
    assert not paths.outputs().exists()


def test_without_time_one_kind_is_probed_and_the_others_follow_their_multiply_adds():
    wide = TINY.with_(model_options={"width": 0.25})
    asked_kinds = {"wide": Kind(wide, 8, 800), "narrow": Kind(TINY, 8, 8)}
    found = estimate.paces(asked_kinds, seconds=0.0)
    assert found["narrow"].source.startswith("probe of 1 step")  # the cheapest, and no more than it must
    narrow, wider = (
        summary.table(["unet"], num_classes=1, image_size=32, options={"unet": {"width": w}})["multiply-adds (G)"][0]
        for w in (0.0625, 0.25)
    )
    assert found["wide"].source.startswith("extrapolated by multiply-adds")
    assert found["wide"].step.middle / found["narrow"].step.middle == pytest.approx(wider / narrow, rel=0.1)
    low, middle, high = found["wide"].step
    assert high / middle > 2 and middle / low > 2 and found["wide"].memory > found["narrow"].memory


def test_stored_runs_are_believed_and_not_probed(monkeypatch):
    known = Pace(*[Spread(1.0, 1.0, 1.0)] * 5, 100, "2 stored runs", stored=True)
    monkeypatch.setattr(pace, "of_stored", lambda found, wanted: {"unet": known})
    monkeypatch.setattr(probe, "measure", lambda *_: pytest.fail("it was probed"))
    found = estimate.paces({"unet": Kind(TINY, 8, 8), "half": Kind(TINY.with_(loss="dice"), 8, 8)}, seconds=0.0)
    assert found["unet"] == known and found["half"].step == Spread(0.5, 1.0, 2.0)


def test_the_plan_of_a_study_says_what_it_found_and_writes_nothing(own_study, capsys, monkeypatch):
    monkeypatch.setattr(plan, "PROBES", 0.0)
    measured = probe.measure(TINY, 8, 0.0)
    monkeypatch.setattr(probe, "measure", lambda *_: measured)
    assert cli.main(["plan", "own"]) == 0
    text = capsys.readouterr().out
    assert "2 notebooks ask for 12 runs, 10 of them different; 0 are in the store, 10 are to be trained" in text
    assert "03_fine_tuning: 10 runs, 8 to be trained: " in text
    assert (
        "  shared      mobilenetv2_decoder (decoder_channels=[16, 8, 8, 8, 8]), random encoder frozen; seeds 0, 1"
        in text
    )
    for line in ("training: ", "with the pages: ", "disk: ", "memory: up to ", "measured in "):
        assert f"\n{line}" in text
    assert not paths.outputs().exists() and not list(runs.finished())
    key = list(asked.distinct(asked.of_study(params.read("own"))))[-1]
    runs.folder(key).mkdir(parents=True)
    runs.append_event(key, {"event": "failed", "error": "FloatingPointError: the loss is not finite"})
    assert cli.main(["plan", "own"]) == 0
    text = capsys.readouterr().out
    assert "0 are in the store, 1 known to diverge, 9 are to be trained" in text and "\n  diverges    " in text


def test_a_probe_waits_for_the_device(monkeypatch):
    waited = []
    monkeypatch.setattr(probe.efficiency, "wait", waited.append)
    probe.measure(TINY, 8, 0.0)
    assert len(waited) >= 4 and set(waited) == {torch.device("cpu").type}
