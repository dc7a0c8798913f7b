"""What an architecture costs: torchinfo's layer table of one, and parameters, multiply-adds and memory of
several."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import torch

from seglib.models import build_model
from seglib.models.base import SegmentationModel

if typing.TYPE_CHECKING:
    import pandas as pd
    import torchinfo


def summarise(model: SegmentationModel, image_size: int, batch_size: int = 1) -> torchinfo.ModelStatistics:
    """torchinfo's summary in evaluation, for square images; printing it shows every layer's output shape.

    Frozen parameters are its non-trainable ones. Modules used twice count their multiply-adds twice, their
    parameters once.
    """
    import torchinfo

    columns = ("input_size", "output_size", "num_params", "mult_adds")
    device = next(model.parameters()).device
    size = (batch_size, 3, image_size, image_size)
    return torchinfo.summary(model, size, device=device, mode="eval", depth=4, col_names=columns, verbose=0)


def table(
    names: Sequence[str],
    *,
    num_classes: int,
    image_size: int,
    batch_size: int = 1,
    frozen: bool = False,
    options: Mapping[str, Mapping] | None = None,
) -> pd.DataFrame:
    """One row per architecture, in the order given.

    Args: names — as `build_model` takes them; image_size — side of the square images, in pixels; batch_size —
        of multiply-adds and memory; frozen — whether the encoders that are pre-trained count as frozen;
        options — the keywords of some of the models, by name.
    Returns: columns model, parameters, trainable, frozen (numbers of parameters), multiply-adds (G) (10⁹, of
        one forward pass) and memory (MB) (10⁶ bytes, torchinfo's estimate: input, parameters, and every layer's
        output twice, as training keeps them for the way back).
    """
    import pandas as pd

    rows = []
    for name in names:
        model = _shapes_only(name, num_classes, (options or {}).get(name, {}))
        if frozen and model.encoder is not None:
            model.freeze_encoder()
        found = summarise(model, image_size, batch_size)
        total = sum(p.numel() for p in model.parameters())
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        memory = found.total_input + found.total_output_bytes + found.total_param_bytes
        row = [name, total, trainable, total - trainable, found.total_mult_adds / 1e9, memory / 1e6]
        rows.append(row)
    columns = ["model", "parameters", "trainable", "frozen", "multiply-adds (G)", "memory (MB)"]
    return pd.DataFrame(rows, columns=columns)


def pages(names: Sequence[str], *, num_classes: int, image_size: int, options: Mapping[str, Mapping] | None = None):
    """torchinfo's summary of each architecture, to be opened one by one: an object that a notebook shows as HTML."""
    import html

    from IPython.display import HTML

    texts = {n: str(summarise(_shapes_only(n, num_classes, (options or {}).get(n, {})), image_size)) for n in names}
    fold = "<details><summary>{}</summary><pre>{}</pre></details>"
    return HTML("".join(fold.format(html.escape(name), html.escape(text)) for name, text in texts.items()))


def _shapes_only(name: str, num_classes: int, options: Mapping) -> SegmentationModel:
    """A model on the meta device: nothing is allocated and nothing computed."""
    with torch.device("meta"):
        return build_model(name, num_classes=num_classes, **options)
