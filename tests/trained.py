"""Tiny runs that were really trained, for what needs a model's weights: one of each task, in some seconds in all."""

import os
from contextlib import contextmanager

import pytest

from seglib import experiment
from seglib.config import Config

SMALL = {
    "image_size": 32, "train_images": 8, "val_images": 4, "batch_size": 4, "epochs": 3, "device": "cpu", "threads": 1,
}  # fmt: skip
BINARY = Config(**SMALL, test_images=24, model="unet", model_options={"width": 0.0625, "channels": [64, 128, 256]},
                lr=0.01)  # fmt: skip
MULTICLASS = Config(**SMALL, test_images=24, dataset="shapes", task="multiclass", loss="cross_entropy",
                    model="six_class_net", model_options={"width": 0.25})  # fmt: skip
VALUES = Config(**SMALL, test_images=8, dataset="shapes", task="planes", loss={"mse": 1.0, "dice": 60.0},
                loss_options={"target_scale": "values"}, model="munet",
                model_options={"width": 0.0625, "depth": 8}, select_by="val_loss")  # fmt: skip


@contextmanager
def store(folder):
    """The run store and the cache in a folder, for fixtures of a whole module."""
    old = {name: os.environ.get(name) for name in ("SEGLIB_OUTPUTS", "SEGLIB_CACHE")}
    os.environ |= {"SEGLIB_OUTPUTS": str(folder / "outputs"), "SEGLIB_CACHE": str(folder / "cache")}
    try:
        yield
    finally:
        for name, value in old.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of a store that all tests of a file share."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def one_store(own_folders, home):
    """Makes every test of a file that takes these two fixtures use that store."""
    with store(home):
        yield


def run(config):
    """The finished run of a config."""
    return experiment.run(config)
