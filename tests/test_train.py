"""The trainer: exact when broken and resumed, the same with features kept or not, and stopped in time.

Alone: pytest tests/test_train.py
"""

import dataclasses
import hashlib
import json
import math
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from small import SMALL
from torch._subclasses.fake_tensor import FakeTensorMode

from seglib import batches, checkpoint, efficiency, experiment, memory, optim, paths, runs
from seglib.config import Config
from seglib.evaluation import evaluate
from seglib.features import Features, FrozenImages
from seglib.models import MODELS, build_model
from seglib.models.base import SegmentationModel
from seglib.models.encoders import MobileNetV2Encoder
from seglib.models.resize import BilinearResize
from seglib.progress import Progress, line
from seglib.train import State, Training

TINY = Config(
    image_size=32, train_images=10, val_images=4, test_images=5, epochs=3, batch_size=4, device="cpu", threads=1,
    horizontal_flip=True, rotation=10, model_options={"decoder_channels": [16, 8, 8, 8, 8]},
)  # fmt: skip
FROZEN = TINY.with_(encoder="frozen", horizontal_flip=False, rotation=0)
CONFIGS = {
    "fine-tuned": TINY.with_(schedule="cosine", warmup_epochs=1, clip_norm=0.5, accumulate=2),
    "features kept": TINY.with_(encoder="frozen", feature_views=2),
    "sgd, weighted loss": TINY.with_(optimizer="sgd", lr=0.01, seed=2, loss={"bce": 1.0, "dice": 0.5}, patience=2),
}


class Broken(BaseException):
    """Stands for a process that ends in the middle."""


def training_of(config, state=None, **options):
    config = experiment.resolve(config)
    dataset, model = experiment.build(config)
    return Training(model, dataset, config, torch.device("cpu"), state, **options)


def trained(config, **options):
    training = training_of(config, **options)
    training.run()
    return training


def bytes_of(training):
    tensors = training.model.state_dict().values()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()


def bytes_of_run(run):
    tensors = load_file(run.folder / "model.safetensors")
    return hashlib.sha256(
        b"".join(tensors[n].numpy().tobytes() for n in training_of(TINY).model.state_dict())
    ).hexdigest()


def weights_of(run):
    return hashlib.sha256((run.folder / "model.safetensors").read_bytes()).hexdigest()


def broken_after(config, pulses):
    """The state of a training that ended in the middle, or None if it has fewer pulses."""
    training, seen = training_of(config), []

    def pulse():
        seen.append(0)
        if len(seen) == pulses:
            raise Broken

    try:
        training.run(pulse)
    except Broken:
        return training.state()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_training_broken_after_any_step_and_gone_on_with_ends_in_the_same_bytes(name):
    straight = trained(CONFIGS[name])
    for pulses in (1, 3, 4, 6, 11):  # in an epoch, after its last step, after its validation, in the next ones
        state = broken_after(CONFIGS[name], pulses)
        resumed = trained(CONFIGS[name], state=state)
        assert bytes_of(resumed) == bytes_of(straight), pulses
        assert resumed.history == straight.history and resumed.best_epoch == straight.best_epoch


KILLED = """
import sys
from seglib import experiment, job
from seglib.config import from_mapping
job.SAVE_SECONDS, job.SAVE_SHARE = 0, 1
experiment.run(from_mapping({"image_size": 32, "train_images": 32, "val_images": 4, "test_images": 5, "epochs": 8,
    "batch_size": 4, "device": "cpu", "threads": 1, "horizontal_flip": True, "rotation": 10,
    "model_options": {"decoder_channels": [16, 8, 8, 8, 8]}}))
"""


def test_a_process_killed_at_any_moment_loses_nothing_that_was_saved():
    config = TINY.with_(train_images=32, epochs=8)
    key = runs.key_of(experiment.inputs(experiment.resolve(config)))
    process = subprocess.Popen([sys.executable, "-c", KILLED], cwd=paths.ROOT)
    while not (runs.folder(key) / "state-before.pt").is_file() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    state, _ = checkpoint.load(runs.folder(key))
    assert state.epoch + state.step > 0 and runs.find(key) is None
    resumed = weights_of(experiment.run(config))
    assert not list(runs.folder(key).glob("state*"))
    (runs.folder(key) / "meta.json").unlink()
    assert weights_of(experiment.run(config)) == resumed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_after_the_step_and_saves_it(number, monkeypatch):
    def stop(number, frame):
        raise Broken

    former = signal.signal(signal.SIGTERM, stop)
    steps, step = [], Training._add

    def add(self, *args):
        step(self, *args)
        steps.append(0)
        if len(steps) == 5:  # the second of the second epoch's three steps
            signal.raise_signal(number)

    try:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Broken):
            patch.setattr(Training, "_add", add)
            experiment.run(TINY)
        assert signal.getsignal(signal.SIGTERM) is stop, "the handler that was there is not there again"
    finally:
        signal.signal(signal.SIGTERM, former)
    key = runs.key_of(experiment.inputs(experiment.resolve(TINY)))
    state, _ = checkpoint.load(runs.folder(key))
    assert (state.epoch, state.step) == (1, 2) and runs.find(key) is None
    resumed = experiment.run(TINY)
    events = [json.loads(line) for line in (resumed.folder / "events.jsonl").read_text().splitlines()]
    assert [(e["epoch"], e["step"]) for e in events if e["event"] == "start"] == [(0, 0), (1, 2)]
    assert bytes_of(trained(TINY)) == bytes_of_run(resumed)


def test_the_state_before_is_used_when_the_newest_is_damaged(tmp_path):
    for epoch in (1, 2, 3):
        checkpoint.save(State({"w": torch.ones(3)}, {}, epoch=epoch), tmp_path)
    assert checkpoint.load(tmp_path)[0].epoch == 3
    newest, before = (tmp_path / name for name in checkpoint.FILES)
    for damage in (
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:-1] + b"?",
    ):
        content = newest.read_bytes()
        newest.write_bytes(damage(content))
        state, damaged = checkpoint.load(tmp_path)
        assert state.epoch == 2 and damaged == ["state.pt"]
        checkpoint.save(State({"w": torch.ones(3)}, {}, epoch=3), tmp_path)
        assert checkpoint.load(tmp_path)[0].epoch == 3
        checkpoint.save(State({"w": torch.ones(3)}, {}, epoch=2), tmp_path)
        checkpoint.save(State({"w": torch.ones(3)}, {}, epoch=3), tmp_path)
    newest.write_bytes(b"")
    before.write_bytes(b"?")
    assert checkpoint.load(tmp_path) == (None, ["state.pt", "state-before.pt"])


def test_a_damaged_state_is_not_pushed_over_a_good_one(tmp_path):
    for epoch in (1, 2):
        checkpoint.save(State({}, {}, epoch=epoch), tmp_path)
    newest = tmp_path / checkpoint.FILES[0]
    newest.write_bytes(newest.read_bytes()[:100])
    assert checkpoint.load(tmp_path)[0].epoch == 1  # and now the process dies in its next save, after the renaming
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Broken):
        patch.setattr("seglib.atomic.write", raising(Broken))
        checkpoint.save(State({}, {}, epoch=2), tmp_path)
    assert checkpoint.load(tmp_path)[0].epoch == 1


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


def test_a_signal_while_the_run_is_finished_is_obeyed_and_the_run_goes_on_from_its_end(monkeypatch):
    from seglib import images_table

    def rows(*args, real=images_table.rows):
        signal.raise_signal(signal.SIGINT)
        yield from real(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(images_table, "rows", rows)
        experiment.run(TINY)
    run = experiment.run(TINY)
    starts = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines() if '"start"' in line]
    assert [s["epoch"] for s in starts] == [0, 3]


def test_the_time_of_a_broken_epoch_counts_and_the_time_left_starts_with_the_first_step():
    training = training_of(TINY)

    def pulse():
        time.sleep(0.05)
        if training.step == 2:
            raise Broken

    with pytest.raises(Broken):
        training.run(pulse)
    assert training.state().seconds["train"] >= 0.1
    progress = Progress("run", epochs=4, first=1.5)
    assert math.isnan(progress._left(1.5)) and progress._left(2.0) >= 0
    assert line("run", 1, 4, {}, math.nan) == "run · epoch 1/4"


# Frozen encoders


def test_kept_features_give_the_same_weights_as_the_encoder_in_every_step():
    ordinary = FROZEN.with_(image_size=64, train_images=37, val_images=9, batch_size=8, model_options={}, epochs=2)
    for config in (FROZEN, CONFIGS["features kept"], FROZEN.with_(channels_last=False, accumulate=2), ordinary):
        kept, anew = trained(config), trained(config, keep_features=False)
        assert isinstance(kept.train, Features) and isinstance(anew.train, FrozenImages)
        for mine, theirs in zip(kept.history, anew.history, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_frozen_encoder_sees_each_image_once_for_each_view(monkeypatch):
    encoded = []
    encoder = MobileNetV2Encoder.forward
    monkeypatch.setattr(MobileNetV2Encoder, "forward", lambda self, x: encoded.append(len(x)) or encoder(self, x))
    training = training_of(TINY.with_(encoder="frozen", feature_views=2, epochs=5))
    encoded.clear()
    training.run()
    assert encoded == [4, 4, 4, *[4], *[4, 4, 4]]  # in parts of a batch: the first view, validation, the second view


def test_views_are_the_draws_of_the_first_epochs_and_off_is_exact():
    two = trained(TINY.with_(encoder="frozen", feature_views=2, epochs=2))
    off = trained(TINY.with_(encoder="frozen", feature_views=0, epochs=2))
    assert isinstance(off.train, FrozenImages)
    assert two.history[1] == pytest.approx(off.history[1], abs=1e-6)
    keys = {runs.key_of(experiment.inputs(experiment.resolve(TINY.with_(feature_views=n)))) for n in (0, 2)}
    assert len(keys) == 1 and batches.draw(TINY.with_(feature_views=2), 5) == 5, "a trained encoder has no views"


def test_what_does_not_fit_is_streamed_or_kept_on_disk_with_the_same_result(monkeypatch):
    resident = {name: trained(CONFIGS[name]) for name in ("fine-tuned", "features kept")}
    monkeypatch.setattr(memory.Budget, "takes", lambda self, size, device: False)
    for name, expected in resident.items():
        streamed = trained(CONFIGS[name])
        assert bytes_of(streamed) == bytes_of(expected)
    assert not list((paths.cache() / "features").iterdir()), "a file of features was left behind"
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="set SEGLIB_CACHE to a larger disk"):
        trained(FROZEN)


# What the reports train with


def test_schedules_rise_in_the_warm_up_and_fall_as_named():
    config = TINY.with_(epochs=10, warmup_epochs=2, schedule="cosine")
    factors = [optim.schedule(config, done) for done in (0, 1, 2, 6, 10)]
    assert factors == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert optim.schedule(config.with_(schedule="poly"), 6) == pytest.approx(0.5**0.9)
    assert optim.schedule(TINY, 2.5) == 1


def test_the_learning_rates_of_the_groups_follow_the_schedule_of_the_step():
    training = training_of(TINY.with_(encoder_lr=1e-5, lr=1e-3, schedule="cosine", epochs=1))
    seen = []
    training.run(lambda: seen.append([group["lr"] for group in training.optimizer.param_groups]))
    expected = [optim.schedule(training.config, (step + 0.5) / 3) for step in range(3)]
    for (encoder, decoder), factor in zip(seen, expected, strict=False):
        assert (encoder, decoder) == pytest.approx((1e-5 * factor, 1e-3 * factor))


def test_passes_add_up_to_the_step_of_the_whole_batch():
    config = Config(
        image_size=32, train_images=10, val_images=4, test_images=4, epochs=2, batch_size=6, device="cpu", threads=1,
        model="six_class_net", model_options={"width": 0.25}, optimizer="sgd", lr=0.1,
    )  # fmt: skip
    whole, parts = trained(config.with_(accumulate=1)), trained(config.with_(accumulate=3))  # no BatchNorm in it
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_batch_that_does_not_fit_is_divided_before_training_and_one_image_too_many_is_an_error(monkeypatch):
    assert experiment.resolve(TINY).accumulate == 1
    per_image, fixed = experiment._step_bytes(TINY.model, "{}", TINY.encoder, 32, 1, "float32")
    monkeypatch.setattr(memory, "total", lambda device: (fixed + 1.5 * per_image) / memory.STEP_SHARE)
    config = TINY.with_(model_options={})
    with pytest.warns(UserWarning, match=r"a batch of 4 images does not fit .* 4 passes \(accumulate: 4\)"):
        assert experiment.resolve(config).accumulate == 4
    with pytest.warns(UserWarning, match="accumulate: 2 may not fit the cpu's memory; 4 would"):
        experiment.resolve(config.with_(accumulate=2))
    monkeypatch.setattr(memory, "total", lambda device: fixed)
    with pytest.raises(ValueError, match="use a smaller image_size or width"):
        experiment.resolve(config)


def test_the_estimate_of_a_step_counts_what_autograd_keeps():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Sigmoid()).to("meta")
    per_image, fixed = memory.step_bytes(model, 32, 1)
    images, activations, losses = 3 * 32 * 32 * 4, (3 + 4) * 32 * 32 * 4, memory.LOSS_COPIES * 32 * 32 * 4
    assert per_image == pytest.approx(memory.TRANSIENT * (images + activations + losses), rel=0.01)
    assert fixed == 4 * 4 * (3 * 4 * 9 + 4)


def test_early_stopping_waits_for_the_named_score_and_last_keeps_the_last_epoch(monkeypatch):
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.4, 0.9])
    row = lambda *args: {"val_loss": 1.0, "val_iou": 0.1, "val_dice": next(scores)}  # noqa: E731
    monkeypatch.setattr("seglib.train._validation_row", row)
    stopped = trained(TINY.with_(epochs=6, patience=3))
    assert (stopped.epoch, stopped.best_epoch) == (5, 2)
    scores = iter([0.3, 0.5, 0.4])
    last = trained(TINY.with_(select_by="last"))
    assert last.best_epoch == 3
    with pytest.raises(ValueError, match="patience needs a score"):
        TINY.with_(patience=2, select_by="last")


def test_training_starts_from_the_weights_of_another_run():
    changes = {"encoder": "frozen", "seed": 3}
    child = experiment.run(TINY.with_(start_from=changes, lr=1e-12, epochs=1, optimizer="sgd"))
    parent = experiment.run(TINY.with_(**changes, lr=1e-12, epochs=1, optimizer="sgd"))
    before, after = (load_file(run.folder / "model.safetensors") for run in (parent, child))
    assert all(
        torch.allclose(before[name], after[name]) for name in before if "running" not in name and "num_b" not in name
    )
    assert experiment.run(TINY.with_(start_from=parent.key, lr=1e-12, epochs=1, optimizer="sgd")).key != child.key
    assert runs.label(child.config).endswith("from scratch from frozen, seed=3")
    assert TINY.with_(start_from={}) == TINY
    with pytest.raises(ValueError, match="do not fit this model"):
        experiment.run(TINY.with_(start_from=parent.key, model_options={}))
    with pytest.raises(ValueError, match="do not fit this model"):  # before the other run is trained
        experiment.check(TINY.with_(start_from={"model_options": {}}))
    with pytest.raises(ValueError, match=r"the run of start_from: .* drop encoder_lr"):
        experiment.run(TINY.with_(start_from={"encoder": "frozen"}, encoder_lr=1e-5))
    with pytest.raises(FileNotFoundError, match="no finished run abc"):
        experiment.run(TINY.with_(start_from="abc"))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(monkeypatch):
    order = training_of(TINY)._order().split(4)[1].tolist()

    def poisoned(images, masks, indices, config, epoch, real=batches.training_batch):
        images, masks = real(images, masks, indices, config, epoch)
        return (images * float("nan") if indices.tolist() == order else images), masks

    monkeypatch.setattr(batches, "training_batch", poisoned)
    with pytest.raises(FloatingPointError, match="not finite in epoch 1, step 2 of 3; its images: ") as caught:
        experiment.run(TINY)
    names = experiment.data.load(TINY).train.names
    assert all(names[i] in str(caught.value) for i in order)
    key = runs.key_of(experiment.inputs(experiment.resolve(TINY)))
    assert '"event": "failed"' in (runs.folder(key) / "events.jsonl").read_text()


def test_bfloat16_computes_in_it_and_ends_near_float32():
    exact, short = trained(TINY), trained(TINY.with_(precision="bfloat16"))
    assert short.history[-1]["train_loss"] == pytest.approx(exact.history[-1]["train_loss"], rel=0.05)
    assert short.history != exact.history
    with torch.no_grad():
        logits = short.train.logits(torch.zeros(2, 3, 32, 32))
    assert logits.dtype == torch.bfloat16


@pytest.mark.long  # the compiler takes most of a minute
def test_a_compiled_step_ends_near_the_plain_one():
    plain, fast = trained(TINY.with_(rotation=0)), trained(TINY.with_(rotation=0, compile="default"))
    assert fast.history[-1]["train_loss"] == pytest.approx(plain.history[-1]["train_loss"], rel=0.05)
    config = TINY.with_(compile="default", model="six_class_net", model_options={"width": 0.25}, epochs=1)
    assert bytes_of(trained(config, state=broken_after(config, 2))) == bytes_of(trained(config))
    with pytest.raises(ValueError, match="reduce-overhead needs CUDA graphs"):
        experiment.resolve(TINY.with_(compile="reduce-overhead"))


# Deterministic resizing, and what a run says of itself


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (1, 1), (4, 6), (13, 6)])
def test_the_gradient_of_resizing_by_matrices_is_that_of_torch(size, align_corners):
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 3, 4, 6).contiguous(memory_format=memory_format).requires_grad_()
        out = BilinearResize.apply(x, size, align_corners)
        expected = F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
        assert torch.equal(out, expected)
        grad = torch.randn_like(out)
        mine, theirs = (torch.autograd.grad(o, x, grad)[0] for o in (out, expected))
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_every_architecture_trains_to_the_same_bytes_twice_on_a_gpu():
    for model in MODELS:
        config = TINY.with_(model=model, model_options=SMALL[model], image_size=64, device="cuda")
        assert bytes_of(trained(config)) == bytes_of(trained(config))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("mobilenetv2_unet", {"encoder": "frozen", "feature_views": 2}),
        ("mobilenetv2_decoder", {}),
        ("resnet34_unet", {"clip_norm": 1.0}),
        ("munet", {"task": "planes", "dataset": "shapes", "loss": {"mse": 1.0, "dice": 20.0}}),
    ],
)
def test_on_a_gpu_no_tensor_is_left_behind(model, changes, monkeypatch):
    # torch's fake tensors have a device and no values: a CPU tensor that meets a CUDA one is an error, as on a GPU
    config = TINY.with_(model=model, model_options=SMALL[model], image_size=64, **changes)
    dataset, classes = experiment.data.load(config), len(experiment.data.open_source(config).class_names())
    config = config.with_(device="cuda", accumulate=2)
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: None)  # autograd's engine wants a real device
    monkeypatch.setattr(memory, "total", lambda device: 2**33)
    monkeypatch.setattr(Training, "_means", lambda self: {"train_loss": 1.0})  # reading a value needs one
    monkeypatch.setattr("seglib.train._validation_row", lambda *a: {"val_loss": 1.0, "val_iou": 0.5, "val_dice": 0.5})
    with FakeTensorMode(allow_non_fake_inputs=True):
        splits = {name: valueless(split) for name, split in dataset.splits().items()}
        with torch.device("cuda"):
            net = build_model(model, num_classes=classes, **SMALL[model])
        if config.encoder == "frozen":
            net.freeze_encoder()
        Training(net, dataclasses.replace(dataset, **splits), config, torch.device("cuda")).run()
        evaluation = evaluate(net, splits["test"], config, keep=True)
    assert evaluation.counts.shape == (5, classes, 4) and evaluation.counts.device.type == "cpu"


def valueless(split):
    images, masks = (torch.empty(t.shape, dtype=t.dtype) for t in (split.images, split.masks))
    return dataclasses.replace(split, images=images, masks=masks)


def test_operations_are_counted_forward_and_backward_and_by_group():
    class Net(SegmentationModel):
        def __init__(self):
            super().__init__()
            self.depthwise, self.pointwise = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.Conv2d(8, 1, 1)
            self.stem = torch.nn.Conv2d(3, 8, 1)

        def encode(self, images):
            return [self.stem(images)]

        def decode(self, features, size):
            return self.pointwise(self.depthwise(features[0]))

    pixels = 32 * 32
    stem, depthwise, pointwise = (2 * pixels * macs for macs in (3 * 8, 8 * 9, 8))
    operations, moved = efficiency.work_per_image(Net(), 32)
    assert operations == 2 * stem + 3 * (depthwise + pointwise)  # the images need no gradient
    assert moved > 4 * pixels * (3 + 8 + 8 + 8 + 8 + 1)  # what the forward pass alone reads and writes


def test_a_run_reports_its_speed_memory_and_share_of_the_machine():
    meta = experiment.run(FROZEN).meta
    assert meta["features_kept"] and meta["precision"] == "float32"
    assert meta["images_per_second"] > 0 and meta["seconds_per_epoch"] > 0 and meta["peak_memory_mb"] > 50
    assert 0 < meta["share_of_matrix_rate"] < 1 and meta["bound_by"] in ("matrix rate", "memory bandwidth")
