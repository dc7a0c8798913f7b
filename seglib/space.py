"""Disk space that runs will take, counted before any of them starts; nothing is trained and nothing decoded.

Sizes are upper bounds: of weights and states exact, of predictions as if they could not be compressed.
"""

import functools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from seglib import asked, data, kinds, memory, models, paths
from seglib.amounts import amount, counted
from seglib.asked import Asked
from seglib.checkpoint import FILES
from seglib.config import Config
from seglib.data import copies, store
from seglib.data.core import SPLITS
from seglib.features import can_be_kept
from seglib.models.base import SegmentationModel
from seglib.params import Study

# Bytes, all above what the demo's 72 runs and 7 notebooks take: rows of CSV, a tensor's entry in the list of tensors
IMAGE_ROW, THRESHOLD_ROW, EPOCH_ROWS, TENSOR, SAVED_TENSOR, RUN_FILES = 300, 100, 600, 200, 600, 8_000
PAGE = 15_000_000  # of a notebook: executed, HTML, PDF, its share of the index and of the pages of pairs


class Need(NamedTuple):
    """Bytes wanted in a folder, and what for."""

    folder: Path
    size: int
    purpose: str


def check(needs: Iterable[Need]) -> None:
    """Raises OSError that says where how much is missing, if a disk has not the space for all that it is to take."""
    for together in _by_disk(needs):
        free, size = free_in(together[0].folder), sum(need.size for need in together)
        if size > free:
            listed = ", ".join(f"{amount(need.size)} for {need.purpose} in {need.folder}" for need in together)
            raise OSError(
                f"not enough disk space: {amount(size)} are needed and {amount(free)} are free ({listed}); set "
                "SEGLIB_OUTPUTS or SEGLIB_CACHE to a folder on a larger disk, or remove runs that no report shows: "
                "seglib runs --remove --unused"
            )


def check_study(study: Study) -> None:
    """Raises OSError if there is no room for what is still to be trained, decoded and written of a study."""
    check(needed(asked.of_study(study)))


def needed(wanted: asked.Runs) -> list[Need]:
    """What a study will write, by folder and purpose."""
    todo = [one for one in asked.distinct(wanted).values() if not one.settled]
    stored, states = sum(of_run(one.config) for one in todo), max((of_states(one.config) for one in todo), default=0)
    kept = max((_on_disk(one.config) for one in todo), default=0)
    needs = [
        Need(paths.outputs(), stored, counted(len(todo), "run")),
        Need(paths.outputs(), states, "a training's saved states"),
        Need(paths.outputs(), PAGE * len(wanted), "pages"),
        Need(paths.cache(), sum(decoded(todo).values()), "decoded images"),
        Need(paths.cache(), kept, "features of a frozen encoder, while it trains"),
    ]
    return [need for need in needs if need.size]


def of_run(config: Config) -> int:
    """Bytes of a finished run of this config."""
    count, classes = kinds.images(config), _classes(config)
    source = data.open_source(config)
    rows = count["test"] * classes * max(len(source.border_rules), 1)
    predictions = count["test"] * classes * -(-(config.image_size**2) // 8)
    tensors = network(config).state_dict().values()
    weights = memory.of(*tensors) + len(tensors) * TENSOR
    thresholds = 20 * classes * THRESHOLD_ROW
    return weights + predictions + rows * IMAGE_ROW + thresholds + config.epochs * EPOCH_ROWS + RUN_FILES


def decoded(wanted: Iterable[Asked]) -> dict[Path, int]:
    """Folder → bytes of the images that are not decoded yet."""
    found = {}
    for config in (one.config for one in wanted):
        source = data.open_source(config)
        fingerprint = source.fingerprint()
        rules = len(source.border_rules)
        channels = _classes(config) if source.task == "planes" else 1
        count = {split: len(source.names(split)) for split in SPLITS}
        sizes = {store.name_of(source, fingerprint): sum(count.values()) * (3 + channels) + count["test"] * rules}
        if config.augmented_copies:
            name = copies.name_of(config.dataset, source.task, fingerprint, config)
            sizes[name] = count["train"] * (1 + config.augmented_copies) * (3 + channels)
        found |= {store.place(name): size * config.image_size**2 for name, size in sizes.items()}
    return {folder: size for folder, size in found.items() if not folder.is_dir()}


def features(config: Config) -> int:
    """Bytes of the features that a run keeps of a frozen encoder; 0 if it keeps none."""
    if not can_be_kept(config):
        return 0
    images = torch.empty(1, 3, config.image_size, config.image_size, device="meta")
    width = 2 if config.precision == "bfloat16" else 4
    count = kinds.images(config)
    numbers = sum(feature.numel() for feature in network(config).encode(images))
    return (kinds.views(config) * count["train"] + count["val"]) * numbers * width


def resident(config: Config) -> int:
    """Bytes of the images and kept features that a run holds in its device's memory, or maps to it."""
    classes = _classes(config) if config.task == "planes" else 1
    images = sum(kinds.images(config).values()) * (3 + classes) * config.image_size**2
    room = memory.RESIDENT_SHARE * memory.total(torch.device(config.device))
    return sum(size for size in (images, features(config)) if size <= room)


def _on_disk(config: Config) -> int:
    """Bytes of the features that do not fit into memory."""
    size = features(config)
    return size if size > memory.RESIDENT_SHARE * memory.total(torch.device("cpu")) else 0


def of_states(config: Config) -> int:
    """Bytes of a training's saved states: the last two, and the next one while it is written."""
    model = network(config)
    trained, learned = list(model.trained_state().values()), [p for p in model.parameters() if p.requires_grad]
    saved = 2 * trained + (2 if config.optimizer == "adam" else 1) * learned  # now, the best epoch's, and moments
    return (len(FILES) + 1) * (memory.of(*saved) + len(saved) * SAVED_TENSOR)


def network(config: Config) -> SegmentationModel:
    """A config's model without its numbers: on the meta device, frozen as it is trained."""
    options = json.dumps(config.model_options, sort_keys=True)
    return _on_meta(config.model, options, config.encoder, config.frozen_statistics, _classes(config))


@functools.lru_cache(maxsize=256)
def _on_meta(name: str, options: str, encoder: str, statistics: bool, classes: int) -> SegmentationModel:
    with torch.device("meta"):
        model = models.build_model(name, num_classes=classes, **json.loads(options))
    return model.freeze_encoder(statistics) if encoder == "frozen" else model


def _classes(config: Config) -> int:
    return len(data.open_source(config).class_names())


def _by_disk(needs: Iterable[Need]) -> list[list[Need]]:
    """The needs of each file system together."""
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(os.stat(_existing(need.folder)).st_dev, []).append(need)
    return list(disks.values())


def free_in(folder: Path) -> int:
    """Bytes that may be written to a folder, which need not be there yet."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
