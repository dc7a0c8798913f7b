"""The network of a finished run as a graph: its forward pass captured for any batch and size."""

import copy
import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from seglib.models.base import SMALLEST, SegmentationModel
from seglib.models.layers import PointwiseConvTranspose2d


class Network(nn.Module):
    """A model without its checks and its padding, which depend on the size at hand and so cannot be in a graph."""

    def __init__(self, model: SegmentationModel):
        super().__init__()
        self.model = copy.deepcopy(model)
        for name, layer in list(self.model.named_modules()):
            if isinstance(layer, PointwiseConvTranspose2d):
                self.model.set_submodule(name, _of_torch(layer))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self.model.encode(images), images.shape[-2:])


def _of_torch(layer: PointwiseConvTranspose2d) -> nn.ConvTranspose2d:
    """torch's own layer of the same function: ours asks how its input lies in memory, which fixes the batch in a graph,
    and is there for training alone."""
    own = nn.ConvTranspose2d(
        layer.in_channels, layer.out_channels, 1, layer.stride, output_padding=layer.output_padding
    )
    own.load_state_dict(layer.state_dict())
    return own.requires_grad_(False).eval()


@dataclass(frozen=True)
class Captured:
    """A captured network, and the heights and widths it takes: multiples of `multiple` from `least` on, or, where
    `why_fixed` says why, those of its run alone."""

    program: ExportedProgram
    multiple: int
    least: int
    why_fixed: str = ""


def capture(model: SegmentationModel, size: int) -> Captured:
    """The graph of a model for any number of images and, where it does not depend on them, any height and width.

    Args: size — pixels, the side of the images that the model was trained and tested with.
    Raises: ValueError if it cannot be captured at all.
    """
    try:
        program = _captured(model, size, any_size=True)
        least = _least_side(program, model)
        if size >= least:
            return Captured(program, model.multiple, least)
        why = f"a graph for any size takes none below {least} pixels"
    except Exception as error:  # torch.export raises many kinds; what they say is what the user must know
        why = _first_line(error)
    try:
        return Captured(_captured(model, size, any_size=False), model.multiple, size, why)
    except Exception as error:
        raise ValueError(f"{type(model).__name__} cannot be captured as a graph: {_first_line(error)}") from error


def _captured(model: SegmentationModel, size: int, any_size: bool) -> ExportedProgram:
    """The graph, by torch.export, from an example of two images, oblong where the size is free."""
    step = model.multiple
    shapes = {0: Dim("batch", min=1)}
    if any_size:
        fewest = -(-SMALLEST // step)
        shapes |= {2: step * Dim("rows", min=fewest), 3: step * Dim("columns", min=fewest)}
    images = torch.zeros(2, 3, size + step * any_size, size + 2 * step * any_size)
    # oblivious: else a graph takes no image that its deepest feature has one row or column of
    with _config.patch(backed_size_oblivious=True), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own deprecations
        return torch.export.export(Network(model), (images,), dynamic_shapes=(shapes,), strict=False)


def _least_side(program: ExportedProgram, model: SegmentationModel) -> int:
    """The smallest height and width that a graph takes: a guard of torch's may leave out a feature of one pixel."""
    least = SMALLEST + -SMALLEST % model.multiple
    try:
        program.module()(torch.zeros(1, 3, least, least))
    except AssertionError:
        return least + max(least, model.multiple)
    return least


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
