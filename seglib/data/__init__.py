"""The data sources by name, and `load`, which turns a source into the splits a run works on."""

from seglib import names
from seglib.data import store
from seglib.data.core import SPLITS, Dataset, Source
from seglib.data.isic2016 import Isic2016
from seglib.data.lesions import Lesions
from seglib.data.shapes import Shapes

SOURCES: dict[str, type[Source]] = {"isic2016": Isic2016, "lesions": Lesions, "shapes": Shapes}


def open_source(config) -> Source:
    """The source a config names, its folders checked and nothing decoded.

    Raises: ValueError for an unknown source, a task it does not offer, more images than it has or a leak between
        its splits; FileNotFoundError if its data are not there.
    """
    if config.dataset not in SOURCES:
        raise ValueError(names.unknown("dataset", config.dataset, SOURCES))
    kind = SOURCES[config.dataset]
    if config.task not in kind.tasks:
        raise ValueError(f"dataset {config.dataset} has no task {config.task}; it offers {', '.join(kind.tasks)}")
    wanted = {split: getattr(config, f"{split}_images") for split in SPLITS}
    source = kind(config.task, wanted, config.data_seed)
    listed = [name for split in SPLITS for name in source.names(split)]
    if len(set(listed)) < len(listed):
        twice = sorted({name for name in listed if listed.count(name) > 1})
        raise ValueError(f"{config.dataset}: in more than one split: {', '.join(twice[:5])}")
    return source


def load(config) -> Dataset:
    """The decoded data set of a config (its dataset, task, image_size, …_images and data_seed).

    Raises: as `open_source`; ValueError for a file that cannot be read or a mask with an unknown value.
    """
    source = open_source(config)
    fingerprint = source.fingerprint()
    splits = store.splits(source, config.dataset, config.image_size, fingerprint)
    return Dataset(config.dataset, config.task, source.class_names(), source.note(), fingerprint, **splits)
