"""Runs in the store made from given probabilities and masks, by the code that real runs use; nothing is trained."""

import json

import torch

from seglib import atomic, images_table, metrics, record, runs, seal
from seglib.config import Config
from seglib.data.core import Dataset, Split
from seglib.evaluation import Evaluation


def dataset(masks, task="binary", classes=("lesion",), **more):
    names = tuple(f"image {i:03d}" for i in range(len(masks)))
    split = Split(names, torch.zeros((len(masks), 3, *masks.shape[-2:]), dtype=torch.uint8), masks)
    return Dataset("lesions", task, classes, "", "", split, split, split, **more)


def store(key, probs, data, border="", bands=None, loss=None, history=(), parameters=100, **config):
    """The run of these probabilities (N, C, H, W) on the test images of the data."""
    truth, valid = metrics.one_hot(data.test.masks, data.task, data.num_classes)
    pred = metrics.predict(probs, data.task)
    test = Evaluation(
        metrics.confusion(pred, truth, valid),
        torch.full((len(probs),), 0.5) if loss is None else torch.as_tensor(loss),
        metrics.threshold_counts(probs, truth, valid),
        pred,
        bands,
    )
    folder = runs.folder(key)
    runs.write_table(folder / "images.csv", images_table.rows(test, data, border))
    runs.write_table(folder / "thresholds.csv", record._threshold_rows(test, data))
    runs.write_predictions(folder / "predictions.npz", pred)
    epochs = history or [{"epoch": 1, "train_loss": 0.5, "val_loss": 0.5, "val_iou": 0.5, "val_dice": 0.5}]
    runs.write_table(folder / "history.csv", epochs)
    values = Config(dataset=data.source, task=data.task, device="cpu", threads=1, **config)
    atomic.write(folder / "config.json", json.dumps({"config": values.__dict__}))
    counts = {"total": parameters, "trainable": parameters}
    meta = {"best_epoch": 1, "parameters": counts, "note": "a note", "seconds_per_epoch": 9.0}
    meta |= {"images_per_second": 50.0, "peak_memory_mb": 700, "device": "a device"}
    seal.write(folder, meta)
    return runs.Run(folder)


def discs(count=40, size=24, seed=0):
    """Masks of discs of many sizes, (N, size, size) uint8."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = 6 + (size - 12) * torch.rand((count, 2, 1, 1), generator=generator)
    radius = 2 + 8 * torch.rand((count, 1, 1), generator=generator)
    return (((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2) < radius**2).byte()


def guess(masks, noise, seed):
    """Probabilities that are the masks with noise: the more, the worse."""
    generator = torch.Generator().manual_seed(seed)
    return (masks[:, None] * 0.5 + 0.25 + noise * torch.randn(masks[:, None].shape, generator=generator)).clamp(0, 1)


def model(name, noise, masks=None, seeds=(0, 1, 2), **more):
    """A group of runs that differ in their seed."""
    masks = discs() if masks is None else masks
    probs = [guess(masks, noise, 10 * sum(map(ord, name)) + s) for s in seeds]
    return [store(f"{name}{s}", p, dataset(masks), seed=s, **more) for s, p in zip(seeds, probs, strict=True)]
