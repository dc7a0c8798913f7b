"""`coco3`: COCO images with pizza, cat or bus, in three planes of that order. Images under their own licences.

All objects of a class are in its plane (report 5's loader kept only the last); a crowd region is ignored there.
There is no official split of such images: 60 % train, 20 % validation and 20 % test, by hash of the image id.

Reference: Lin et al., Microsoft COCO: Common Objects in Context, 2014, arXiv:1405.0312.
"""

import json
from collections import defaultdict
from functools import cached_property

import torch

from seglib import digest, paths
from seglib.data import fingerprint
from seglib.data.core import IGNORE_INDEX, Source, by_hash, unusable
from seglib.data.files import read_image

CLASSES = ("pizza", "cat", "bus")
FRACTIONS = {"train": 0.6, "val": 0.2}  # the rest is test
FOLDER, INSTANCES = "coco3", "instances.json"


class Coco3(Source):
    """Three planes, from a folder of images and COCO's `instances.json`."""

    tasks = ("planes",)

    def __init__(self, config):
        super().__init__(config)
        self.root = paths.data() / FOLDER
        self.file = self.root / INSTANCES
        if not self.file.is_file() or not (self.root / "images").is_dir():
            raise FileNotFoundError(
                f"coco3 not found in {self.root}; expected {INSTANCES} and the folder images. "
                "`make data STUDY=coco3` downloads them; or set SEGLIB_DATA to the folder above"
            )
        there = {path.name for path in (self.root / "images").iterdir()}
        files = [image["file_name"] for image in self.images.values()]
        if missing := [f"{self.root / 'images' / name} is not there" for name in files if name not in there]:
            raise unusable("coco3", missing)

    @cached_property
    def content(self) -> dict:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            return {key: content[key] for key in ("images", "annotations", "categories")}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.file} is not COCO's instances JSON ({error!r})") from None

    @cached_property
    def objects(self) -> dict[int, list[dict]]:
        """Image id → its objects of the three classes."""
        return chosen_objects(self.content)

    @cached_property
    def images(self) -> dict[str, dict]:
        """Name → COCO's entry, of the images that hold one of the classes."""
        return {f"{i['id']:012d}": i for i in self.content["images"] if i["id"] in self.objects}

    def class_names(self):
        return CLASSES

    def parts(self):
        ordered = by_hash([str(image["id"]) for image in self.images.values()])
        names, start, parts = [f"{int(i):012d}" for i in ordered], 0, {}
        for part, fraction in FRACTIONS.items():
            end = start + round(fraction * len(names))
            parts[part], start = names[start:end], end
        return {**parts, "test": names[start:]}

    def sample(self, split, name, size):
        entry = self.images[name]
        path = self.root / "images" / entry["file_name"]
        image, self.seen[name] = read_image(path, size, (entry["width"], entry["height"]), INSTANCES)
        names = {c["id"]: c["name"] for c in self.content["categories"]}
        planes = torch.zeros((len(CLASSES), size, size), dtype=torch.uint8)
        # one object over another of its class makes 1, and so does an object in a crowd: crowds go in first
        things = self.objects[entry["id"]]
        if split != "test" and not self.config.all_objects:
            things = [thing for thing in things if not thing.get("iscrowd")][-1:]
        for thing in sorted(things, key=lambda thing: -thing.get("iscrowd", 0)):
            inside = decoded(thing, entry, size)
            planes[CLASSES.index(names[thing["category_id"]])][inside] = IGNORE_INDEX if thing.get("iscrowd") else 1
        return image, planes

    def fingerprint(self):
        entries = {
            split: [[n, self.images[n], self.objects[self.images[n]["id"]]] for n in names]
            for split, names in self.members.items()
        }
        files = [self.root / "images" / i[1]["file_name"] for rows in entries.values() for i in rows]
        fault = [] if self.config.all_objects else ["last objects"]
        return digest.of_value([entries, list(fingerprint.of_files(files, self.root).values()), *fault])

    def note(self):
        used, few = sum(len(names) for names in self.members.values()), 1000
        if used < few:
            return f"Subset of COCO's images with {', '.join(CLASSES)}: {used} images, too few for a figure of merit"
        return f"Subset of {used} of {len(self.images)} images" if used < len(self.images) else ""


def chosen_objects(content: dict) -> dict[int, list[dict]]:
    """Image id → its objects of the three classes, for images that have one which is no crowd."""
    wanted = {c["id"] for c in content["categories"] if c["name"] in CLASSES}
    found = defaultdict(list)
    for thing in content["annotations"]:
        if thing["category_id"] in wanted:
            found[thing["image_id"]].append(thing)
    return {i: things for i, things in found.items() if not all(thing.get("iscrowd") for thing in things)}


def decoded(thing: dict, entry: dict, size: int) -> torch.Tensor:
    """Where an object is, as COCO's polygons or run lengths say: (size, size) bool, by nearest neighbour."""
    from pycocotools import mask as coco

    try:
        shape, height, width = thing["segmentation"], entry["height"], entry["width"]
        packed = isinstance(shape, dict) and not isinstance(shape["counts"], list)
        runs = shape if packed else coco.frPyObjects(shape, height, width)
        pixels = coco.decode(coco.merge(runs) if isinstance(runs, list) else runs)
    except Exception as error:  # pycocotools raises bare Exceptions and TypeErrors on what it cannot read
        raise ValueError(f"object {thing.get('id')} of image {entry['file_name']} has no readable outline") from error
    if pixels.shape != (height, width):
        raise ValueError(
            f"object {thing['id']} of {entry['file_name']} has {pixels.shape} pixels, not {(height, width)}"
        )
    rows, columns = (((torch.arange(size) + 0.5) * side / size).long() for side in (height, width))
    return torch.from_numpy(pixels).bool()[rows][:, columns]
