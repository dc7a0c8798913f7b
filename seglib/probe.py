"""A few real training steps of one kind of run, timed: model, image size, batch, regime and precision as it has them.

Nothing is stored. Some images are decoded and repeated; the network has random weights, which cost the same.
"""

import contextlib
import statistics
from time import monotonic

import torch

from seglib import data, efficiency, experiment, images_table, kinds, runtime
from seglib.amounts import counted
from seglib.batches import no_pulse
from seglib.config import Config
from seglib.data import store
from seglib.evaluation import EVAL_BATCH, evaluate, score
from seglib.features import part_size
from seglib.pace import EXTRAPOLATED, PROBED, Pace, spread
from seglib.train import Training

STEPS = 5  # measured, after one that warms up
TEST = 16  # images tested and scored
RUN = (0.1, 0.3, 0.8)  # seconds in which a run's files reach the disk and the machine's peaks are measured: low to high
EVALUATED = EVAL_BATCH + TEST  # images, at least
QUICK = 1.0  # seconds; what takes less is measured at its second call
PLAIN = {  # what changes no time, and could make a step of random weights fail
    "weights": "none", "start_from": "", "lr": 1e-6, "encoder_lr": None, "decoder_lr": None, "schedule": "constant",
    "warmup_epochs": 0.0, "epochs": 1, "patience": 0, "overfit": 0,
}  # fmt: skip


class _Enough(Exception):
    """Ends a training that has been measured."""


class Watch:
    """Called after each encoded part and each step of a training: notes what it took, ends it when that is enough."""

    def __init__(self, training: Training, seconds: float):
        self.training, self.device = training, training.config.device
        self.took = {"encode": [], "step": []}
        self.started = self.last = monotonic()
        self.seconds = seconds

    def __call__(self) -> None:
        efficiency.wait(self.device)
        steps = self.took["step"]
        part = steps if self.training.step > len(steps) else self.took["encode"]
        part.append(monotonic() - self.last)
        self.last = monotonic()
        if len(steps) > STEPS or (len(steps) > 1 and self.last - self.started > self.seconds):
            raise _Enough


def measure(config: Config, train: int, seconds: float) -> Pace:
    """The pace of a resolved config's kind.

    Args: train — training images of the run; seconds — after which the steps end, at the earliest after the second.
    Returns: the peak memory is that of the probe, without what a run holds of its own images.
    """
    batch = kinds.batch(config, train)
    source = data.open_source(config)
    config = config.with_(**PLAIN, batch_size=batch, accumulate=min(config.accumulate, batch))
    runtime.reset_peak_memory(config.device)
    dataset = store.sample(source, {"train": (STEPS + 1) * batch, "val": EVAL_BATCH, "test": TEST})
    training = Training(experiment.network(config, dataset), dataset, config, torch.device(config.device))
    watch = Watch(training, seconds)
    with contextlib.suppress(_Enough):
        training.run(watch)
    training.pulse = no_pulse
    encode, step = (
        [took / images for took in watch.took[part][1:]]  # the first one warms up
        for part, images in {"encode": part_size(config), "step": batch}.items()
    )
    val = _seconds(lambda: score(training.model, training.val, config), config) / EVAL_BATCH
    test = _seconds(lambda: _tested(training, config), config) / TEST
    low, middle, high = min(step), statistics.median(step), max(step)
    around = f", {100 * (low / middle - 1):+.0f} to {100 * (high / middle - 1):+.0f} %" if len(step) > 1 else ""
    source = f"probe of {counted(len(step), 'step')}{around}"
    started = monotonic()
    efficiency.work_per_image(training.model, config.image_size, decoder_only=training.keep_features)
    once = [monotonic() - started + seconds for seconds in RUN]
    wider = PROBED if len(step) == STEPS else EXTRAPOLATED  # of a step or two
    spreads = (spread(samples, wider) for samples in (step, encode, [val], [test], once))
    return Pace(*spreads, runtime.peak_memory_mb(config.device), source)


def _tested(training: Training, config: Config) -> None:
    dataset = training.dataset
    test = evaluate(training.model, dataset.test, config, keep=True)
    list(images_table.rows(test, dataset, config.border))


def _seconds(function, config: Config) -> float:
    """Seconds of a call, of the second one if the first was quick, since then its warming up counts."""
    for _ in range(2):
        started = monotonic()
        function()
        efficiency.wait(config.device)
        if (took := monotonic() - started) > QUICK:
            break
    return took
