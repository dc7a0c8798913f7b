"""Masks of the images that are predicted, read at their own size by the rules of the run's source, and the scores."""

from collections.abc import Sequence
from pathlib import Path

import torch

from seglib import digest, metrics
from seglib.config import Config
from seglib.data import files, isic2016, oxford_pet
from seglib.data.core import BORDER, IGNORE_INDEX
from seglib.data.files import SUFFIXES, Values
from seglib.data.folder import Folder
from seglib.data.layouts import IMAGE_SUFFIX, MASK_SUFFIX
from seglib.prediction.target import folder_of


def values(config: Config, classes: int) -> Values:
    """What a mask file holds → target value, as the run's source has it; of a source without files as `predict` writes.

    Raises: FileNotFoundError if the source is `folder` and its classes.yaml is not there.
    """
    if config.dataset == "folder":
        return Folder(config).classes.table
    if config.dataset == "oxford_pet":
        border = oxford_pet.RULES[config.border]
        return {raw: border if value == BORDER else value for raw, value in oxford_pet.MASK_VALUES.items()}
    if config.task == "multiclass":
        return {**{i: i for i in range(classes)}, IGNORE_INDEX: IGNORE_INDEX}
    return isic2016.MASK_VALUES  # 0 and 255, also of each plane


class Truth:
    """The masks below a folder, by the names of the images.

    The mask of `sub/a.jpg` is, in this order, `sub/a.jpg.png` (as `predict` writes it), `sub/a.*`, or `sub/a_mask.*`
    with any of the usual suffixes. Of planes there is one below the folder of each class: `disk/sub/a.png`.
    """

    def __init__(self, folder: Path, config: Config, class_names: Sequence[str]):
        if not folder.is_dir():
            raise FileNotFoundError(f"masks: {folder} is no folder")
        self.folder, self.task, self.class_names = folder, config.task, tuple(class_names)
        self.values = values(config, len(class_names))
        self.found: dict[tuple[str, str], list[Path]] = {}
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")):
            parent = path.parent.relative_to(folder).as_posix()
            short = MASK_SUFFIX.sub("", path.stem)
            for stem in {path.stem, short}:
                self.found.setdefault((parent, stem), []).append(path)

    @classmethod
    def of(cls, folder: str | Path, config: Config, class_names: Sequence[str], images: Sequence[str]) -> "Truth":
        """The masks of some images. Raises: FileNotFoundError if there is no folder, or no mask of any of them."""
        truth = cls(Path(folder), config, class_names)
        if not any(map(truth.has, images)):
            raise FileNotFoundError(
                f"masks: {folder} has none of any image; expected, for example, {images[0]}.png or the image's name "
                "with another suffix, in sub-folders as the images are"
            )
        return truth

    def has(self, name: str) -> bool:
        """Whether there is something to score an image by."""
        try:
            return bool(self.files(name))
        except ValueError:  # more or fewer than one: `predict` tells of it
            return False

    def files(self, name: str) -> list[Path]:
        """The mask file of an image, of planes one per class; empty if there is none.

        Raises: ValueError if there are several, or masks of some planes only.
        """
        if self.task != "planes":
            return self._one("", name)
        planes = [self._one(label, name) for label in self.class_names]
        if missing := [c for c, found in zip(self.class_names, planes, strict=True) if not found]:
            if len(missing) < len(planes):
                raise ValueError(f"masks: {name} has none of {', '.join(missing)}; an empty plane needs one, too")
            return []
        return [file for found in planes for file in found]

    def digest(self, found: Sequence[Path]) -> str:
        """Of what scores depend on: the files, and what their values mean."""
        return digest.of_value([sorted(map(str, self.values.items())), *map(digest.of_file, found)])

    def counts(self, name: str, found: Sequence[Path], mask: torch.Tensor) -> list[list[int]]:
        """tp, fp, fn and valid pixels per class of a predicted mask, against these files: C lists of 4.

        Raises: ValueError that names a file that cannot be read or has another size.
        """
        size = tuple(mask.shape[-2:])
        read = [_read(file, size, self.values, name) for file in found]
        target = torch.stack(read) if self.task == "planes" else read[0]
        channels = len(self.class_names)
        truth, valid = metrics.one_hot(target[None], self.task, channels)
        pred, _ = metrics.one_hot(mask[None], self.task, channels)
        return metrics.confusion(pred, truth, valid)[0].tolist()

    def _one(self, label: str, name: str) -> list[Path]:
        folder, _, last = name.rpartition("/")
        parent = "/".join(part for part in (folder_of(label), folder) if part) or "."
        stem = last.rpartition(".")[0] or last
        for wanted in (last, stem, IMAGE_SUFFIX.sub("", stem)):
            found = self.found.get((parent, wanted), [])
            exact = [path for path in found if path.stem == wanted] or found
            if len(exact) > 1:
                raise ValueError(f"masks: {name} has {len(exact)}: {', '.join(map(str, exact))}; leave one of them")
            if exact:
                return exact
        return []


def scores(counts: Sequence[Sequence[int]], task: str) -> tuple[float, float]:
    """Dice and IoU of one image from its counts (C, 4), by the rules of all reports: means over classes that count."""
    tensor = torch.tensor(counts)[None]
    return tuple(float(metrics.per_image(score, tensor, task)) for score in (metrics.dice, metrics.iou))


def _read(path: Path, size: tuple[int, int], known: Values, image: str) -> torch.Tensor:
    """A mask file at its own size as target values, (H, W) uint8."""
    from PIL import ImageOps

    with files._opened(path) as opened:
        opened.load()
        mask = ImageOps.exif_transpose(opened)
        coloured = any(isinstance(value, tuple) for value in known)
        mask = mask.convert("RGB") if coloured else files._one_channel(path, mask, known)
        files._check_values(path, files._held(mask), known)
        if (mask.height, mask.width) != size:
            raise ValueError(f"mask {path} has {mask.width}×{mask.height} pixels, {image} as shown {size[1]}×{size[0]}")
        if not coloured:
            table = torch.zeros(256, dtype=torch.uint8)
            table[list(known)] = torch.tensor(list(known.values()), dtype=torch.uint8)
            return table[files._pixels(mask, size).long()]
        red, green, blue = files._pixels(mask, (*size, 3)).int().unbind(-1)
        codes, target = red << 16 | green << 8 | blue, torch.zeros(size, dtype=torch.uint8)
        for (r, g, b), value in known.items():
            target[codes == (r << 16 | g << 8 | b)] = value
        return target
