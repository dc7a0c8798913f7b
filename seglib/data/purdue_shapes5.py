"""`purdue_shapes5`: the original files of Purdue's PurdueShapes5MultiObject, read without running what is in them.

A file is a gzip-compressed pickle of (index → [reds, greens, blues, masks 5×64×64, boxes], label → grey value).

Reference: Avinash Kak, DLStudio 2.5, Purdue University.
"""

import re
import threading
from pathlib import Path

import torch
import torch.nn.functional as F

from seglib import digest, paths
from seglib.data import fingerprint, plain_pickle
from seglib.data.core import Source
from seglib.data.shapes import SHAPES

FOLDER, SIDE = "purdue_shapes5", 64
FILES = {"train": "PurdueShapes5MultiObject-10000-train.gz", "test": "PurdueShapes5MultiObject-1000-test.gz"}
PATTERN = re.compile(r"PurdueShapes5MultiObject-(\d+)-(train|test)\.gz")  # the number of images is in the name
VALUES = {name: 50 * (i + 1) for i, name in enumerate(SHAPES)}  # of a shape's pixels in its plane


class PurdueShapes5(Source):
    """Five planes. The official training and test parts; validation is held out of the training part."""

    tasks = ("planes",)

    def __init__(self, config):
        super().__init__(config)
        self.root = paths.data() / FOLDER
        self.content: dict[str, dict | ValueError] = {}
        self.lock = threading.Lock()
        found = {}
        for path in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if match := PATTERN.fullmatch(path.name):
                found.setdefault(match[2], []).append((int(match[1]), path))
        if found.keys() != FILES.keys():
            raise FileNotFoundError(
                f"PurdueShapes5 not found in {self.root}; expected {' and '.join(FILES.values())}. "
                "`make data` downloads them for a study with this dataset; or set SEGLIB_DATA to the folder above"
            )
        self.files = {part: max(numbered) for part, numbered in found.items()}  # the largest: Kak gives 20s to try

    def class_names(self):
        return SHAPES

    def parts(self):
        return {part: [f"{part}_{i:05d}" for i in range(count)] for part, (count, _) in self.files.items()}

    def sample(self, split, name, size):
        part, index = name.split("_")
        images = self._images(part)
        try:
            image, planes = _sample(images[int(index)])
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise ValueError(f"{self.files[part][1]}: image {int(index)}: {error}") from None
        if size != SIDE:
            image = F.interpolate(image[None].float(), size=(size, size), mode="bilinear", antialias=True)[0]
            image = image.round().clamp(0, 255).byte()
            planes = F.interpolate(planes[None].float(), size=(size, size), mode="nearest-exact")[0].byte()
        return image, planes

    def fingerprint(self):
        digests = fingerprint.of_files([path for _, path in self.files.values()], self.root)
        return digest.of_value([sorted(digests.values()), self.members])

    def _images(self, part: str) -> dict[int, list]:
        """The content of a part's file, read once, also if that fails; one part at a time, for it is large."""
        with self.lock:
            if part not in self.content:
                count, path = self.files[part]
                try:
                    self.content = {part: read(path, count)}
                except ValueError as error:
                    self.content = {part: error}
            if isinstance(self.content[part], ValueError):
                raise self.content[part]
            return self.content[part]

    def note(self):
        counts = {part: count for part, (count, _) in self.files.items()}
        used = sum(len(names) for names in self.members.values())
        return "" if used == 11_000 else f"Subset of PurdueShapes5MultiObject: {used} images of {counts}"


def read(path: Path, count: int) -> dict[int, list]:
    """The images of an original file, by index from 0 to `count`.

    Raises: ValueError that names the file, for a broken one, one that is not of this format, and one that holds
        anything but plain data.
    """
    content = plain_pickle.load_gzip(path)
    if not isinstance(content, list | tuple) or len(content) != 2 or not isinstance(content[0], dict):
        raise ValueError(f"{path} is not an original PurdueShapes5 file: expected images and labels")
    if content[1] != VALUES:
        raise ValueError(f"{path} has the labels {content[1]}, expected {VALUES}")
    if sorted(content[0]) != list(range(count)):
        raise ValueError(f"{path} holds {len(content[0])} images, its name says {count}")
    return content[0]


def _sample(row: list) -> tuple[torch.Tensor, torch.Tensor]:
    """One image (3, 64, 64) and its planes (5, 64, 64) of 0 and 1."""
    image = torch.stack([plain_pickle.numbers(channel) for channel in row[:3]]).reshape(3, SIDE, SIDE)
    planes = plain_pickle.numbers(row[3]).reshape(len(SHAPES), SIDE, SIDE)
    grey = torch.tensor(list(VALUES.values())).view(-1, 1, 1)
    if image.min() < 0 or image.max() > 255 or not ((planes == 0) | (planes == grey)).all():
        raise ValueError(
            f"values {planes.unique().tolist()[:10]} in the planes, expected 0 or {grey.flatten().tolist()}"
        )
    return image.byte(), (planes > 0).byte()
