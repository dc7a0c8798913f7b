"""Whether an exported network is the model it was made of: both on real test images, in several sizes and batches."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from seglib import data, metrics
from seglib.batches import prepare
from seglib.exporting.network import Captured
from seglib.losses.outputs import plane_values, probabilities
from seglib.models.base import SegmentationModel
from seglib.runs import Run

TOLERANCE = 1e-4  # largest difference of two outputs; of `target_scale: values`, after division by what a plane holds
IMAGES = 8  # test images looked at, at most
# Share of those images' pixels that may differ from the run's stored masks: they were made in other batches, and where
# the precision was bfloat16 by another arithmetic.
STORED = {"float32": 1e-3, "bfloat16": 0.02}

Network = Callable[[np.ndarray], np.ndarray]  # images (N, 3, H, W) float32 → outputs (N, C, H, W)


@dataclass(frozen=True)
class Figures:
    """What a check found.

    largest_difference: of two outputs; pixels: compared; differing: those whose masks differ, all of them within the
    tolerance of a tie; images, shapes: what was compared, as batch x height x width; as_stored: the share of these
    images' pixels, at the run's size, whose mask is the one that the run stored when it was tested.
    """

    largest_difference: float
    tolerance: float
    pixels: int
    differing: int
    images: int
    shapes: list[str]
    as_stored: float

    def plain(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
        masks = "masks identical" if not self.differing else f"{self.differing} pixels of masks differ, at a tie"
        return (
            f"largest difference {self.largest_difference:.1e} (allowed {self.tolerance:.0e}), {masks}, over "
            f"{self.images} test images ({', '.join(self.shapes)}; {self.pixels:,} pixels); "
            f"{self.as_stored:.3%} of the pixels as the run stored them"
        )


def check(run: Run, model: SegmentationModel, network: Network, captured: Captured, what: str) -> Figures:
    """Compares an exported network with the run's model.

    Args: model — as `restored` gives it; captured — says which sizes the network takes; what — the file's name, for
        the error.
    Raises: ValueError that says by how much outputs differ, or that the model is not the one which the run stored the
        masks of; FileNotFoundError if the run's data are not there.
    """
    images = _images(run)
    largest, differing, pixels, shapes = 0.0, 0, 0, []
    for batch in _batches(images, captured):
        with torch.inference_mode():
            wanted = model(batch)
        found = torch.from_numpy(network(batch.numpy()))
        shape = "x".join(map(str, (len(batch), *batch.shape[-2:])))
        if found.shape != wanted.shape:
            raise ValueError(f"{what}: outputs of {shape} have shape {tuple(found.shape)}, not {tuple(wanted.shape)}")
        unlike = _scaled(found, run) - _scaled(wanted, run)
        largest = max(largest, unlike.abs().max().item() if unlike.isfinite().all() else float("inf"))
        masks = (_masks(outputs, run) for outputs in (found, wanted))
        changed = torch.ne(*masks)
        if largest > TOLERANCE or (changed & (_margin(wanted, run) > TOLERANCE)).any():
            raise ValueError(
                f"{what} is not the model of run {run.key}: at {shape} outputs differ by up to {largest:.2e} (allowed "
                f"{TOLERANCE:.0e}; the largest output is {wanted.abs().max().item():.2e}) and "
                f"{int(changed.any(1).sum()):,} pixels of the masks differ; nothing was written"
            )
        differing, pixels = differing + int(changed.any(1).sum()), pixels + changed[:, 0].numel()
        shapes.append(shape)
    stored = _as_stored(run, model, images)
    return Figures(largest, TOLERANCE, pixels, differing, len(images), shapes, stored)


def _images(run: Run) -> torch.Tensor:
    """The first test images of a run, as its model is given them: (n, 3, S, S) float32."""
    test = data.load(run.config).test
    if list(test.names) != list(run.images.drop_duplicates("image")["image"]):
        raise ValueError(
            f"run {run.key} was tested on other images than {run.config.dataset} now has; see `seglib data`"
        )
    return prepare(test.images[:IMAGES], run.config).contiguous()


def _batches(images: torch.Tensor, captured: Captured):
    """All images at once, one alone, and where other sizes can be, two and one in other sizes, the least among them."""
    yield images
    yield images[:1]
    if not captured.why_fixed:
        side, step, least = images.shape[-1], captured.multiple, captured.least
        for count, size in ((2, (side + step, least)), (1, (least, side + 2 * step)), (1, (least, least))):
            yield F.interpolate(images[:count], size=size, mode="bilinear")


def _scaled(outputs: torch.Tensor, run: Run) -> torch.Tensor:
    """Outputs in units in which the tolerance is meant: logits as they are, grey values as shares of their plane's."""
    return outputs / plane_values(outputs) if _in_values(run) else outputs


def _masks(outputs: torch.Tensor, run: Run) -> torch.Tensor:
    scale = "values" if _in_values(run) else "unit"
    return metrics.predict(probabilities(outputs, run.config.task, scale), run.config.task)


def _margin(outputs: torch.Tensor, run: Run) -> torch.Tensor:
    """How far a pixel is from another mask: of multiclass the lead of the best logit, (N, 1, H, W); else each channel's
    distance from its threshold, (N, C, H, W)."""
    if run.config.task == "multiclass":
        best, second = outputs.topk(2, dim=1).values.split(1, dim=1)
        return best - second
    return (_scaled(outputs, run) - (metrics.THRESHOLD if _in_values(run) else 0.0)).abs()


def _in_values(run: Run) -> bool:
    return run.config.loss_options.get("target_scale") == "values"


def _as_stored(run: Run, model: SegmentationModel, images: torch.Tensor) -> float:
    with torch.inference_mode():
        masks = _masks(model(images), run).numpy()
    share = float((masks == run.predictions()[: len(images)]).all(1).mean())
    if 1 - share > STORED[run.config.precision]:
        raise ValueError(
            f"run {run.key}: its weights no longer give the masks that it stored ({1 - share:.2%} of the pixels "
            "differ), so that the code or the data have changed since; train it again, then export"
        )
    return share
