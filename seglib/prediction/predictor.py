"""A finished run's model at work: images as they were read → probabilities and masks at their original size."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from seglib import metrics, names, runtime
from seglib.batches import autocast, memory_format, prepare
from seglib.losses.outputs import probabilities
from seglib.prediction import tiles
from seglib.prediction.photo import Photo
from seglib.restore import restored
from seglib.runs import Run

FLIPS = {  # which sides are turned, for each view of an image
    "none": [()],
    "horizontal": [(), (-1,)],
    "vertical": [(), (-2,)],
    "both": [(), (-1,), (-2,), (-2, -1)],
}
BAND = 512  # rows of an image whose mask is made at once, so that memory holds few channels of few rows


@dataclass(frozen=True)
class Way:
    """How an image is predicted. Raises: ValueError for a value that cannot be."""

    flips: str = "none"  # none, horizontal, vertical or both: the mean of the probabilities over so many views
    tile: int = 0  # side in pixels of the image; each tile is resized to the size of training; 0 = the whole at once
    overlap: float = 0.25  # share of a tile that overlaps the next, at least

    def __post_init__(self):
        if self.flips not in FLIPS:
            raise ValueError(names.unknown("flips", self.flips, FLIPS))
        tiles.check(self.tile, self.overlap)

    def settings(self) -> dict:
        """What of it changes a mask."""
        return {**asdict(self), "overlap": self.overlap if self.tile else 0.0}


class Predictor:
    """The model of a finished run with its stored weights, in evaluation mode.

    Args: device — auto, cpu, cuda or mps. On another kind of device than the run's the last bits differ.
    Raises: ValueError for a damaged run, and for one whose outputs depend on the other images in a batch.
    """

    def __init__(self, run: Run, device: str = "auto"):
        if not run.config.test_in_eval_mode:
            raise ValueError(
                f"run {run.key} has report 5's fault (test_in_eval_mode: false): what it makes of an image depends on "
                "the others in its batch; take a run without it"
            )
        model = restored(run)
        kind = runtime.device(device).type
        precision = run.config.precision if kind == run.config.device else runtime.precision("auto", kind)
        self.run, self.config = run, run.config.with_(device=kind, precision=precision)
        self.class_names: tuple[str, ...] = tuple(run.meta["class_names"])
        self.device = torch.device(kind)
        runtime.prepare(self.config.threads, self.config.seed, self.config.deterministic)
        self.model = model.to(self.device, memory_format=memory_format(self.config))

    @property
    def side(self) -> int:
        """Pixels of a side of what the model takes."""
        return self.config.image_size

    @torch.inference_mode()
    def logits(self, inputs: torch.Tensor, flips: str = "none") -> torch.Tensor:
        """Images (N, 3, S, S) uint8, prepared as in training → logits (N, V, C, S, S) float32 of V views."""
        images = prepare(inputs.to(self.device), self.config)
        views = []
        for sides in FLIPS[flips]:
            with autocast(self.config, self.device):
                found = self.model(images.flip(sides) if sides else images).float()
            views.append(found.flip(sides) if sides else found)
        return torch.stack(views, 1)

    @torch.inference_mode()
    def probabilities(self, logits: Sequence[torch.Tensor], photo: Photo, way: Way) -> torch.Tensor:
        """Logits of each tile, (T, V, C, S, S) → probabilities (C, H, W) at the image's own size.

        Logits are resized (bilinear) and then made probabilities, from which masks are cut: a resized mask would have
        steps as large as the model's pixels. Logits rather than probabilities, since that is what networks whose own
        last layer is such a resizing do (DeepLab, SegFormer), and at the model's own size both are the same.
        """
        if len(logits) == 1:
            return self._sized(logits[0], photo.size)
        boxes = tiles.boxes(photo.size, way.tile, way.overlap)
        parts = (
            self._sized(views, (rows.stop - rows.start, columns.stop - columns.start))
            for views, (rows, columns) in zip(logits, boxes, strict=True)
        )
        return tiles.blended(parts, photo.size, way.tile, way.overlap)

    @torch.inference_mode()
    def mask(self, probs: torch.Tensor) -> torch.Tensor:
        """Probabilities (C, H, W) → a mask as `Split` holds them, uint8 on the CPU: (H, W), or (C, H, W) for planes."""
        bands = [metrics.predict(band[None], self.config.task)[0] for band in probs.split(BAND, dim=1)]
        if self.config.task == "planes":
            return torch.cat(bands, dim=1).byte().cpu()
        channel = [band.byte().argmax(0) if self.config.task == "multiclass" else band[0] for band in bands]
        return torch.cat(channel).byte().cpu()

    def _sized(self, views: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """The mean probabilities (C, *size) of views (V, C, S, S)."""
        if views.shape[-2:] != size:
            smaller = min(size) < self.side
            views = F.interpolate(views, size, mode="bilinear", antialias=smaller)
        probs = probabilities(views, self.config.task, self.config.loss_options.get("target_scale", "unit"))
        return probs.mean(0) if len(probs) > 1 else probs[0]
