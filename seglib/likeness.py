"""How alike two runs of one config are: by the bytes of their files, and where these differ by what they hold.

On one machine (processor, kernels, threads, version of torch) a config gives the same bytes each time. Elsewhere
rounding differs and training amplifies it, so that only what TOLERANCE names is expected to agree. Measured between
AVX2 and SSE4.1 kernels: the first epoch's training loss agreed to 0.04 %, after 8 epochs test Dice were 0.750, 0.713.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from seglib import digest, scores, seal
from seglib.runs import Run

# On another machine: the largest relative difference of the first epoch's training loss, by precision; and the largest
# absolute ones of the means over the test images.
TOLERANCE = {"float32": 0.001, "bfloat16": 0.02, "Dice": 0.05, "IoU": 0.05}


def differences(one: Run, other: Run) -> dict[str, float]:
    """File → 0 if its bytes are equal, else the largest difference of what it holds; NaN where that cannot be told.

    Of tables the largest absolute one of their numbers, of weights of their values, of predictions the share of pixels.
    """
    return {
        name: 0.0 if digest.of_file(one.folder / name) == digest.of_file(other.folder / name) else compare(one, other)
        for name, compare in COMPARED.items()
    }


def beyond_tolerance(one: Run, other: Run) -> dict[str, float]:
    """What differs by more than another machine explains: name → difference; empty if nothing does."""
    first = [float(run.history["train_loss"].iloc[0]) for run in (one, other)]
    found = {"train_loss": (abs(first[0] - first[1]) / max(abs(first[0]), 1e-12), TOLERANCE[one.config.precision])}
    for score in ("Dice", "IoU"):
        means = [scores.per_image(run)[score].mean() for run in (one, other)]
        found[score] = (0.0 if np.isnan(means).all() else abs(means[0] - means[1]), TOLERANCE[score])
    return {name: gap for name, (gap, allowed) in found.items() if not gap <= allowed}


def _tables(name: str, one: Run, other: Run) -> float:
    frames = [getattr(run, name) for run in (one, other)]
    if not (frames[0].columns.equals(frames[1].columns) and len(frames[0]) == len(frames[1])):
        return math.nan
    texts, numbers = ([frame.select_dtypes(**kind) for frame in frames] for kind in
                      ({"exclude": "number"}, {"include": "number"}))  # fmt: skip
    if not texts[0].equals(texts[1]):
        return math.nan
    return _largest(*(frame.to_numpy(float) for frame in numbers))


def _predictions(one: Run, other: Run) -> float:
    found = [run.predictions() for run in (one, other)]
    return float((found[0] != found[1]).mean()) if found[0].shape == found[1].shape else math.nan


def _weights(one: Run, other: Run) -> float:
    found = [{name: t.numpy() for name, t in seal.weights(run.folder).items()} for run in (one, other)]
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in found]
    if shapes[0] != shapes[1]:
        return math.nan
    return max(_largest(found[0][name].astype(float), found[1][name].astype(float)) for name in found[0])


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    """The largest absolute difference; NaN at one place in both is none."""
    gap = np.abs(one - other)[~(np.isnan(one) & np.isnan(other)) & (one != other)]
    return float(gap.max()) if gap.size else 0.0


COMPARED: dict[str, Callable[[Run, Run], float]] = {
    "history.csv": functools.partial(_tables, "history"),
    "images.csv": functools.partial(_tables, "images_by_border"),
    "thresholds.csv": functools.partial(_tables, "thresholds"),
    "predictions.npz": _predictions,
    seal.WEIGHTS: _weights,
}
