"""Runs in the store with a model whose output is known without training; nothing is trained."""

import json

import torch
from torch import nn

from seglib import atomic, models, runs, seal
from seglib.config import Config
from seglib.models.base import SegmentationModel


class Pixelwise(SegmentationModel):
    """Logits of each pixel from its own colour: 20 · (red − 0.5) for the first class, green and blue for others."""

    multiple = 1

    def __init__(self, *, num_classes: int = 1):
        super().__init__()
        self.colours = nn.Parameter(torch.eye(3)[:num_classes])

    def encode(self, images):
        return [images]

    def decode(self, features, size):
        return 20 * (torch.einsum("nihw,ci->nchw", features[0], self.colours) - 0.5)


class Constant(Pixelwise):
    """The same logit everywhere."""

    def decode(self, features, size):
        return torch.full_like(features[0][:, : len(self.colours)], 0.3)


class Leftish(Pixelwise):
    """Higher the further left, whatever the image."""

    def decode(self, features, size):
        line = torch.linspace(2, -1, size[1]).expand(len(features[0]), len(self.colours), *size)
        return line + 0 * features[0][:, :1]


def store(key="aa11", model="Pixelwise", task="binary", classes=("lesion",), size=32, **config):
    """A finished run of one of these models, without scores."""
    values = Config(
        task=task, model=f"pixelwise:{model}", image_size=size, normalisation="raw", device="cpu", threads=1,
        **{"dataset": "lesions" if task == "binary" else "shapes"} | config,
    )  # fmt: skip
    folder = runs.folder(key)
    atomic.write(folder / "config.json", json.dumps({"config": values.__dict__}))
    from safetensors.torch import save

    built = models.build_model(values.model, num_classes=len(classes))
    atomic.write(folder / "model.safetensors", save(built.state_dict()))
    seal.write(folder, {"class_names": list(classes), "best_epoch": 1})
    return runs.Run(folder)
