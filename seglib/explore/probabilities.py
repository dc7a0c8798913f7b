"""Probabilities of test images, computed from a run's stored weights when they are asked for, and kept in the cache.

A run keeps masks and not probabilities, which would make its folder many times as large. They are computed a batch of
the run's own evaluation at a time, so that they are the ones its masks were cut from, rounded up to LEVELS steps.
"""

import functools
import io
from pathlib import Path

import numpy as np
import torch

from seglib import atomic, digest, paths, runtime
from seglib.batches import Images, memory_format
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import EVAL_BATCH
from seglib.losses.outputs import probabilities
from seglib.memory import Budget
from seglib.metrics import predict
from seglib.models.base import SegmentationModel
from seglib.restore import restored
from seglib.runs import Run

LEVELS = 100  # steps of probability: p is above k / LEVELS if and only if its level is at least k
DIFFERENT = 0.01  # share of pixels on the other side of the cut from which on the weights are not those of the masks


def predicted(run: Run, splits: Dataset, row: int, threshold: float) -> np.ndarray:
    """Predicted channels of a test image at a threshold that is a multiple of 1 / LEVELS: bool (C, H, W).

    Binary and planes: where the probability is above it. Multiclass: the likeliest class where its probability is above
    it, else background, if there is one.
    """
    level, pred = (part[row % EVAL_BATCH] for part in _part(run, splits, row // EVAL_BATCH))
    above = level >= round(threshold * LEVELS)
    if run.config.task != "multiclass":
        return above
    pred = pred & above
    if splits.class_names[0] == "background":
        pred[0] |= ~above[0]
    return pred


def are_known(run: Run, row: int) -> bool:
    """Whether the probabilities of a test image are in the cache already. Raises: as `check`."""
    check(run)
    return _file(run, row // EVAL_BATCH).is_file()


def check(run: Run) -> None:
    """Raises ValueError or FileNotFoundError for a run that has no probabilities of single images, or no weights."""
    if not run.config.test_in_eval_mode:
        raise ValueError(
            f"run {run.key} was tested in training mode (report 5's fault), in which an image's output depends on "
            "the others in its batch"
        )
    if not _weights(run).is_file():
        raise FileNotFoundError(f"run {run.key} has no {_weights(run).name} to compute probabilities from")


def _part(run: Run, splits: Dataset, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels (n, C or 1, H, W) uint8 and masks (n, C, H, W) bool of a batch of the test images."""
    known = are_known(run, part * EVAL_BATCH)
    file, start = _file(run, part), part * EVAL_BATCH
    masks = stored(run)[start : start + EVAL_BATCH]
    if not known:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, levels=_levels(run, splits, torch.arange(len(splits.test))[start:][:EVAL_BATCH]))
        atomic.write(file, buffer.getvalue())
    with np.load(file) as content:
        return content["levels"], masks


@functools.lru_cache(maxsize=2)
def stored(run: Run) -> np.ndarray:
    """As `Run.predictions`, kept for the two runs looked at."""
    return run.predictions()


@torch.inference_mode()
def _levels(run: Run, splits: Dataset, indices: torch.Tensor) -> np.ndarray:
    """The probability of each channel, of multiclass that of the likeliest, in steps: uint8 (n, C or 1, H, W).

    Raises: ValueError if the weights do not give the masks that the run stored.
    """
    config, model = loaded(run.folder)
    device = next(model.parameters()).device
    images = Images(splits.test, config, device, model, Budget())
    (_, inputs, _), *_ = images.batches([indices])
    probs = probabilities(images.logits(inputs).float(), config.task, config.loss_options.get("target_scale", "unit"))
    different = (predict(probs, config.task).cpu().numpy() != stored(run)[indices.numpy()]).mean()
    if different > DIFFERENT:
        raise ValueError(
            f"the weights of run {run.key} do not give its stored masks ({different:.1%} of pixels differ): "
            "was its folder changed, are these other images, or does its device compute too differently?"
        )
    if config.task == "multiclass":
        probs = probs.amax(1, keepdim=True)
    steps = np.ceil(probs.cpu().numpy().astype(np.float64) * LEVELS) - 1
    return steps.clip(0, LEVELS - 1).astype(np.uint8)


@functools.lru_cache(maxsize=2)
def loaded(folder: Path) -> tuple[Config, SegmentationModel]:
    """A run's config on this machine's device, and its model with the stored weights, ready to evaluate."""
    run = Run(folder)
    config = run.config.with_(device=runtime.device().type)
    runtime.prepare(config.threads, config.seed, config.deterministic)
    return config, restored(run).to(config.device, memory_format=memory_format(config))


def _weights(run: Run) -> Path:
    return run.folder / "model.safetensors"


def _file(run: Run, part: int) -> Path:
    content = digest.of_value([LEVELS, EVAL_BATCH, run.key, _digest(_weights(run))])[:24]
    return paths.cache() / "probabilities" / content / f"{part:05d}.npz"


@functools.lru_cache(maxsize=64)
def _digest(file: Path) -> str:
    return digest.of_file(file)
