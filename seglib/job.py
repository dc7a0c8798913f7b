"""One run carried out: trained, watched, saved on the way, gone on with after a crash, its cost told."""

import contextlib
import json
import time
from pathlib import Path

import torch

from seglib import atomic, checkpoint, efficiency, record, runs, runtime, seal
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.interruption import Interruption
from seglib.models.base import SegmentationModel
from seglib.progress import Progress
from seglib.runs import Run
from seglib.train import Training

SAVE_SECONDS = 10.0  # at least, between two saved states
SAVE_SHARE = 0.05  # of the time, at most, is spent in saving


def carry_out(
    config: Config, key: str, inputs: dict, dataset: Dataset, model: SegmentationModel, runs_after: int = 0
) -> Run:
    """Trains a run from its start or from what is saved of it, and leaves it finished in the store."""
    runtime.reset_peak_memory(config.device)
    if (runs.folder(key) / seal.META).is_file():  # finished once, and damaged since
        names = seal.damaged(runs.folder(key))
        runs.append_event(key, {"event": "damaged", "time": time.time(), "files": names})
    for scratch in runs.folder(key).glob(".*-*"):  # of a process that was killed while it wrote; the key is locked
        scratch.unlink()
    atomic.write(runs.folder(key) / "config.json", json.dumps(inputs, indent=1) + "\n")
    state, damaged = checkpoint.load(runs.folder(key))
    for name in damaged:
        runs.append_event(key, {"event": "damaged", "time": time.time(), "file": name})
    training = Training(model, dataset, config, torch.device(config.device), state)
    with Interruption() as interruption:
        job = Job(key, training, interruption, runs_after)
        try:
            job.run()
            record.finish(config, key, dataset, model, training, cost(training), job.pulse)
            job.tell("finish")
            checkpoint.remove(runs.folder(key))
        except Exception as error:
            with contextlib.suppress(OSError):  # on a full disk, the error that says so is the one to be told
                job.tell("failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            job.progress.finish()
    return Run(runs.folder(key))


class Job:
    """A training under watch: its progress is shown, its state saved from time to time and before it is stopped."""

    def __init__(self, key: str, training: Training, interruption: Interruption, runs_after: int):
        config = training.config
        self.key, self.training, self.interruption = key, training, interruption
        title = f"{config.model} {config.encoder} seed {config.seed}"
        self.progress = Progress(title, config.epochs, training.epoch + training.step / training.steps, runs_after)
        self.saved, self.wait = time.monotonic(), SAVE_SECONDS

    def run(self) -> None:
        training = self.training
        where = {"epoch": training.epoch, "step": training.step}
        self.tell("start", **where, **runtime.describe(training.config.device))
        training.run(self.pulse, self.epoch)

    def epoch(self, row: dict) -> None:
        """Tells of an epoch's end: its row of the history, and the seconds so far."""
        seconds = {f"{part}_seconds": round(s, 3) for part, s in self.training.seconds.items()}
        self.tell("epoch", **{name: None if value != value else value for name, value in row.items()}, **seconds)
        self.progress.epoch(row)
        self.pulse()

    def pulse(self) -> None:
        """Saves if it is time, and stops if that is asked for."""
        if self.interruption.number is not None:
            try:
                self.save()
                self.tell("interrupted", signal=int(self.interruption.number))
            finally:  # also where nothing can be saved
                self.interruption.obey()
        if time.monotonic() - self.saved > self.wait:
            self.save()
        self.progress.step(self.training.epoch, self.training.step, self.training.steps)

    def save(self) -> None:
        started = time.monotonic()
        checkpoint.save(self.training.state(), self.folder)
        self.saved = time.monotonic()
        self.wait = max(SAVE_SECONDS, (self.saved - started) / SAVE_SHARE)

    def tell(self, event: str, **what) -> None:
        runs.append_event(self.key, {"event": event, "time": time.time(), **what})

    @property
    def folder(self) -> Path:
        return runs.folder(self.key)


def cost(training: Training) -> dict:
    """What a training took, as meta.json holds it; the first epoch and the encoding of features are in it."""
    config, seconds, epochs = training.config, training.seconds, training.epoch
    images_per_second = epochs * len(training.train) / seconds["train"]
    work = efficiency.work_per_image(training.model, config.image_size, decoder_only=training.keep_features)
    return {
        "seconds": round(sum(seconds.values()), 1),
        "seconds_per_epoch": round(sum(seconds.values()) / epochs, 3),
        "images_per_second": round(images_per_second, 1),
        "peak_memory_mb": runtime.peak_memory_mb(config.device),
        "precision": config.precision,
        "features_kept": training.keep_features,
        **efficiency.shares(work, images_per_second, config),
    }
