"""Three ways to train the same model on the same files; each returns the seconds of every epoch, validation included.

The first epoch counts from the start: listing, decoding into the store, building the model are in it.
"""

import os
import time
import warnings
from itertools import pairwise

import lightning
import segmentation_models_pytorch as smp
import torch
import torchvision.transforms.functional as T
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import InterpolationMode

from bench.smp_unet import SmpUnet
from seglib import data, experiment, paths
from seglib.data.core import NORMALISATION
from seglib.train import Training


def ours(config) -> list[float]:
    """This workbook's trainer."""
    marks = [time.perf_counter()]
    dataset, model = experiment.build(config)
    training = Training(model, dataset, config, torch.device(config.device))
    training.run(on_epoch=lambda row: marks.append(time.perf_counter()))
    return _differences(marks)


def plain(config) -> list[float]:
    """The loop of the reports: a Dataset that decodes every image in every epoch, a DataLoader, loss.item()."""
    marks = [time.perf_counter()]
    train, val = _loaders(config, workers=0)
    device, net, criterion = torch.device(config.device), smp_model(), nn.BCEWithLogitsLoss()
    net.to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr)
    for _ in range(config.epochs):
        net.train()
        for images, masks in train:
            loss = criterion(net(images.to(device)), masks.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        net.eval()
        with torch.no_grad():
            for images, masks in val:
                criterion(net(images.to(device)), masks.to(device)).item()
        marks.append(time.perf_counter())
    return _differences(marks)


def smp_lightning(config) -> list[float]:
    """smp's model, loss and metrics in lightning's Trainer, with a loader worker per core, as smp's examples do it."""
    marks = [time.perf_counter()]
    train, val = _loaders(config, workers=os.cpu_count())
    trainer = lightning.Trainer(
        max_epochs=config.epochs, accelerator="gpu" if config.device == "cuda" else "cpu", devices=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[_Clock(marks)],
        log_every_n_steps=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(_Module(config.lr), train, val)
    return _differences(marks)


TRAINERS = {"this trainer": ours, "plain loop": plain, "smp + lightning": smp_lightning}


def smp_model() -> nn.Module:
    return smp.Unet("mobilenet_v2", encoder_weights=None, classes=1)


def the_model() -> str:
    """The same, as a config names it."""
    return f"{SmpUnet.__module__}:{SmpUnet.__name__}"


class _Files(torch.utils.data.Dataset):
    """Decodes, resizes, flips and rotates one image and its mask together."""

    def __init__(self, names, config, augment: bool):
        root = paths.data() / "isic2016"
        self.pairs = [(root / "train" / f"{n}.jpg", root / "train_masks" / f"{n}_Segmentation.png") for n in names]
        self.size, self.augment, self.rotation = [config.image_size] * 2, augment, config.rotation

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int):
        image, mask = (Image.open(path) for path in self.pairs[i])
        image, mask = T.resize(image.convert("RGB"), self.size), T.resize(mask, self.size, InterpolationMode.NEAREST)
        if self.augment:
            flip, angle = torch.rand(2).tolist()
            if flip < 0.5:
                image, mask = T.hflip(image), T.hflip(mask)
            angle = (2 * angle - 1) * self.rotation
            image, mask = T.rotate(image, angle, InterpolationMode.BILINEAR), T.rotate(mask, angle)
        return T.normalize(T.to_tensor(image), *NORMALISATION["imagenet"]), (T.to_tensor(mask) > 0.5).float()


class _Module(lightning.LightningModule):
    def __init__(self, lr: float):
        super().__init__()
        self.net, self.lr, self.criterion = smp_model(), lr, smp.losses.SoftBCEWithLogitsLoss()

    def training_step(self, batch, _):
        return self._step(batch)

    def validation_step(self, batch, _):
        return self._step(batch)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def _step(self, batch):
        images, masks = batch
        logits = self.net(images)
        smp.metrics.get_stats((logits.sigmoid() > 0.5).long(), masks.long(), mode="binary")
        return self.criterion(logits, masks)


class _Clock(lightning.Callback):
    def __init__(self, marks: list[float]):
        self.marks = marks

    def on_train_epoch_end(self, *_):  # lightning calls it after the epoch's validation
        self.marks.append(time.perf_counter())


def _loaders(config, workers: int):
    source = data.open_source(config)
    train, val = (_Files(source.names(split), config, augment=split == "train") for split in ("train", "val"))
    more = {"num_workers": workers, "pin_memory": config.device == "cuda"}
    return DataLoader(train, config.batch_size, shuffle=True, **more), DataLoader(val, config.batch_size, **more)


def _differences(marks: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(marks)]
