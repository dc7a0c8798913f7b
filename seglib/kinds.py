"""Kinds of runs: those of one kind cost the same per image, so that one of them tells what the others will take."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from seglib import data, digest
from seglib.amounts import counted
from seglib.batches import is_augmented
from seglib.config import Config
from seglib.data.core import SPLITS
from seglib.features import can_be_kept
from seglib.runs import network

# What leaves the cost of an image as it is; all other fields tell kinds apart.
FREE = {
    "seed", "data_seed", "folds", "fold", "border", "normalisation", "joint_transforms", "all_objects", "weights",
    "start_from", "epochs", "patience", "select_by", "lr", "encoder_lr", "decoder_lr", "momentum", "schedule",
    "warmup_epochs", "train_images", "val_images", "test_images", "overfit", "batch_size", "loss_options",
    "feature_views",
}  # fmt: skip
GEOMETRY = ("horizontal_flip", "vertical_flip", "rotation")  # one resampling, whichever of them are on
SWITCHES = ("color_jitter", "noise", "clip_norm", "augmented_copies")  # on or off


class Work(NamedTuple):
    """How often a run does what takes time, in images."""

    steps: int  # trained on, over all epochs
    encoded: int  # whose features a frozen encoder makes once, to be kept
    val: int  # validated, over all epochs
    test: int
    runs: int = 1


def images(config: Config) -> dict[str, int]:
    """How many images each split of a run has; nothing is decoded.

    Raises: ValueError or FileNotFoundError for data that are not there.
    """
    if config.overfit:
        return dict.fromkeys(SPLITS, config.overfit)
    source = data.open_source(config)
    counts = {split: len(source.names(split)) for split in SPLITS}
    return counts | {"train": counts["train"] * (1 + config.augmented_copies)}


def work(config: Config, count: Mapping[str, int]) -> Work:
    """What a run of this config does on so many images of each split; with `patience` it may be less."""
    encoded = views(config) * count["train"] + count["val"] if can_be_kept(config) else 0
    return Work(config.epochs * count["train"], encoded, config.epochs * count["val"], count["test"])


def views(config: Config) -> int:
    """How often each training image is encoded to be kept, where features are kept."""
    return min(config.feature_views, config.epochs) if is_augmented(config) else 1


def batch(config: Config, train: int) -> int:
    """Images of a full step, of so many training images."""
    return min(config.batch_size, train)


def key(config: Config, train: int) -> str:
    """The same text for two resolved configs with so many training images if they are of one kind."""
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in FREE | set(GEOMETRY)}
    fields |= {name: bool(fields[name]) for name in SWITCHES}
    fields["crop"] = config.crop < 1 or any(getattr(config, name) for name in GEOMETRY)
    fields["kept"] = can_be_kept(config)
    fields["deterministic"] = config.deterministic or config.device == "cpu"  # where it does nothing
    fields["loss"] = sorted(config.loss) if isinstance(config.loss, dict) else [config.loss]
    return digest.of_value([fields, batch(config, train)])


def name(config: Config, train: int) -> str:
    """What a reader calls a kind: the network, its regime, the image size, the step, and what is augmented."""
    regime = {"frozen": "frozen", "fine_tune": "trained whole"}[config.encoder]
    if config.encoder == "frozen":
        how = "encoded in each step" if config.frozen_statistics else "its statistics drift"
        regime += f", {'features kept' if can_be_kept(config) else how}"
    loss = " + ".join(sorted(config.loss)) if isinstance(config.loss, dict) else config.loss
    drawn = ", augmented" if is_augmented(config) else ""
    passes = f" in {config.accumulate} passes" if config.accumulate > 1 else ""
    threads = f" × {counted(config.threads, 'thread')}" if config.device == "cpu" else ""
    return (
        f"{network(config)}, {regime}, {config.image_size} px, batch {batch(config, train)}{passes}, {loss}{drawn}, "
        f"{config.precision}, {config.device}{threads}"
    )
