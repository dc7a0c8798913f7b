"""The data sources by name, and `load`, which turns a source into the splits a run works on."""

import dataclasses

from seglib import names
from seglib.data import copies, core, store
from seglib.data.coco3 import Coco3
from seglib.data.core import Dataset, Source
from seglib.data.folder import Folder
from seglib.data.isic2016 import Isic2016
from seglib.data.lesions import Lesions
from seglib.data.oxford_pet import OxfordPet
from seglib.data.purdue_shapes5 import PurdueShapes5
from seglib.data.shapes import Shapes

SOURCES: dict[str, type[Source]] = {
    "coco3": Coco3,
    "folder": Folder,
    "isic2016": Isic2016,
    "lesions": Lesions,
    "oxford_pet": OxfordPet,
    "purdue_shapes5": PurdueShapes5,
    "shapes": Shapes,
}


def kind(config) -> type[Source]:
    """The class of the source a config names.

    Raises: ValueError for an unknown source, a task or a border rule it does not offer.
    """
    if config.dataset not in SOURCES:
        raise ValueError(names.unknown("dataset", config.dataset, SOURCES))
    found = SOURCES[config.dataset]
    if config.task not in found.tasks:
        raise ValueError(f"dataset {config.dataset} has no task {config.task}; it offers {', '.join(found.tasks)}")
    if config.border != "foreground" and not found.border_rules:
        raise ValueError(f"border: {config.border} needs masks with a border of their own; {config.dataset} has none")
    if (config.dataset == "folder") != bool(config.data_folder):
        raise ValueError("dataset: folder and data_folder belong together; give both or neither")
    return found


def open_source(config) -> Source:
    """The source a config names, its folders checked and nothing decoded.

    Raises: ValueError as `kind`, and for more images than it has or a leak between its splits; FileNotFoundError
        if its data are not there.
    """
    source = kind(config)(config)
    for split in source.members:
        source.names(split)
    return source


def load(config) -> Dataset:
    """The decoded data set of a config: all that its data fields say, and the fixed copies it asks for.

    Raises: as `open_source`; ValueError that lists every file that cannot be read and every mask with an unknown value.
    """
    source = open_source(config)
    dataset = store.dataset(source, source.fingerprint())
    source.check_content()
    if config.overfit:
        return core.overfitted(dataset, config.overfit)
    return dataclasses.replace(dataset, train=copies.extended(dataset, config)) if config.augmented_copies else dataset
