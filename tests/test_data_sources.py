"""Pets, COCO and Purdue's shapes: what files hold, and what is refused. Alone: pytest tests/test_data_sources.py"""

import gzip
import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seglib import data
from seglib.config import Config
from seglib.data import plain_pickle
from seglib.data.shapes import SHAPES

REAL = Path(os.environ.get("SEGLIB_DATA") or "nowhere")  # read before the tests get a folder of their own
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools


@pytest.fixture
def pets(tmp_path):
    """Twelve pets: trimap 1 in the left third, border 3 in the middle, background 2 on the right."""
    root = tmp_path / "data" / "oxford-iiit-pet"
    (root / "annotations" / "trimaps").mkdir(parents=True)
    (root / "images").mkdir()
    trimap = np.repeat(np.array([1, 3, 2], dtype=np.uint8), 32)[None].repeat(60, 0)
    for i in range(12):
        Image.new("RGB", (96, 60), (20 * i, 0, 0)).save(root / "images" / f"Bengal_{i}.jpg")
        Image.fromarray(trimap).save(root / "annotations" / "trimaps" / f"Bengal_{i}.png")
    lines = [f"Bengal_{i} 6 1 2\n" for i in range(12)]
    (root / "annotations" / "trainval.txt").write_text("".join(lines[:8]))
    (root / "annotations" / "test.txt").write_text("".join(lines[8:]))
    return root


def pet_config(**changes):
    return Config(dataset="oxford_pet", image_size=48, **changes)


@pytest.mark.parametrize(("rule", "value"), [("foreground", 1), ("background", 0), ("ignore", 255)])
def test_the_border_is_on_the_side_that_its_rule_says(pets, rule, value):
    dataset = data.load(pet_config(border=rule))
    for split in dataset.splits().values():
        assert split.masks[:, :, :16].eq(1).all() and split.masks[:, :, 32:].eq(0).all()
        assert split.masks[:, :, 16:32].eq(value).all()
    assert set(dataset.border_targets) == {"foreground", "background", "ignore"}
    assert torch.equal(dataset.border_targets[rule], dataset.test.masks)


def test_all_border_rules_of_test_come_with_any_of_them(pets):
    one, other = (data.load(pet_config(border=rule)) for rule in ("foreground", "ignore"))
    assert all(torch.equal(one.border_targets[rule], other.border_targets[rule]) for rule in one.border_targets)
    assert one.fingerprint == other.fingerprint and torch.equal(one.train.images, other.train.images)


def test_the_official_lists_make_the_parts_of_the_pets(pets):
    dataset = data.load(pet_config())
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 7, "val": 1, "test": 4}
    assert dataset.test.names == ("Bengal_10", "Bengal_11", "Bengal_8", "Bengal_9")
    assert dataset.note == "Subset of Oxford-IIIT Pet: 8 of 3680 train and 4 of 3669 test images, 1 of 37 breeds"


def test_every_missing_pet_is_named(pets):
    (pets / "images" / "Bengal_3.jpg").unlink()
    (pets / "annotations" / "trimaps" / "Bengal_9.png").unlink()
    with pytest.raises(ValueError, match=r"2 problems(.|\n)*Bengal_3.jpg is not there(.|\n)*|Bengal_9.png is not"):
        data.load(pet_config())


def box(x, y, width, height):
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


@pytest.fixture
def coco(tmp_path):
    """Ten images 64×48, each with two cats at the left and a bus, that overlap, and a crowd of pizzas."""
    root = tmp_path / "data" / "coco3"
    (root / "images").mkdir(parents=True)
    images, things = [], []
    for i in range(1, 11):
        images.append({"id": i, "file_name": f"{i:012d}.jpg", "width": 64, "height": 48})
        Image.new("RGB", (64, 48), (20 * i, 0, 0)).save(root / "images" / f"{i:012d}.jpg")
        crowd = np.zeros((48, 64), dtype=np.uint8)
        crowd[24:] = 1
        flat = crowd.T.flatten()
        counts = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], flat, [2]])))).tolist()
        runs = {"size": [48, 64], "counts": ([0] if flat[0] else []) + counts}
        for category, shape, is_crowd in (
            (17, box(0, 0, 16, 24), 0), (17, box(16, 0, 16, 24), 0), (6, box(24, 0, 16, 24), 0), (59, runs, 1),
            (1, box(0, 0, 64, 48), 0), (59, box(0, 36, 64, 12), 0),
        ):  # fmt: skip
            things.append({"id": len(things), "image_id": i, "category_id": category, "segmentation": shape,
                           "iscrowd": is_crowd})  # fmt: skip
    images.append({"id": 11, "file_name": "no.jpg", "width": 64, "height": 48})  # holds none of the classes
    names = {17: "cat", 6: "bus", 59: "pizza", 1: "person"}
    content = {"images": images, "annotations": things, "categories": [{"id": i, "name": n} for i, n in names.items()]}
    (root / "instances.json").write_text(json.dumps(content))
    return root


def coco_config(**changes):
    return Config(dataset="coco3", task="planes", image_size=64, **changes)


def test_all_objects_of_a_class_are_in_its_plane_and_crowds_are_ignored(coco):
    dataset = data.load(coco_config())
    assert dataset.class_names == ("pizza", "cat", "bus")
    pizza, cat, bus = dataset.test.masks[0]
    assert cat[:30, :31].eq(1).all() and cat[:30, 33:].eq(0).all() and cat[34:].eq(0).all()
    assert bus[:30, 25:39].eq(1).all() and bus.sum() == bus[:33, 23:41].sum()
    assert pizza[:31].eq(0).all() and pizza[33:47].eq(255).all() and pizza[49:].eq(1).all()


def test_report_5_s_loader_keeps_the_last_object_alone_where_it_trains(coco):
    right, wrong = (data.load(coco_config(all_objects=value)) for value in (True, False))
    pizza, cat, bus = wrong.train.masks[0]
    assert cat.sum() == 0 and bus.sum() == 0 and pizza[49:].eq(1).all() and pizza[:47].sum() == 0
    assert wrong.test.masks.equal(right.test.masks) and wrong.fingerprint != right.fingerprint


def test_coco_is_split_by_hash_of_the_id(coco):
    dataset = data.load(coco_config())
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 6, "val": 2, "test": 2}
    content = json.loads((coco / "instances.json").read_text())
    content["images"].reverse()
    (coco / "instances.json").write_text(json.dumps(content))
    assert data.load(coco_config()).test.names == dataset.test.names


def test_the_fingerprint_of_coco_follows_the_annotations(coco):
    before = data.open_source(coco_config()).fingerprint()
    content = json.loads((coco / "instances.json").read_text())
    content["annotations"][0]["segmentation"] = box(0, 0, 8, 8)
    (coco / "instances.json").write_text(json.dumps(content))
    assert data.open_source(coco_config()).fingerprint() != before


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2]], "no readable outline"),
        ({"size": [4, 4], "counts": [16]}, r"has \(4, 4\) pixels|no readable"),
        (7, "outline"),
    ],
)
def test_an_unreadable_outline_is_named(coco, segmentation, message):
    content = json.loads((coco / "instances.json").read_text())
    content["annotations"][0]["segmentation"] = segmentation
    (coco / "instances.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        data.load(coco_config())


def purdue_image(index):
    """One image as DLStudio pickles it: shape k in rows 12k to 12k + 8."""
    planes = np.zeros((5, 64, 64), dtype=np.int64)
    for k in range(5):
        planes[k, 12 * k : 12 * k + 8] = 50 * (k + 1)
    channel = [index % 256] * (64 * 64)
    boxes = {50 * (k + 1): [[0, 12 * k, 64, 12 * k + 8]] for k in range(5)}
    return [channel, [10] * 4096, [200] * 4096, planes, boxes]


def write_purdue(root, part, count, content=None, protocol=2):
    root.mkdir(parents=True, exist_ok=True)
    labels = {name: 50 * (i + 1) for i, name in enumerate(SHAPES)}
    content = content or ({i: purdue_image(i) for i in range(count)}, labels)
    file = root / f"PurdueShapes5MultiObject-{count}-{part}.gz"
    file.write_bytes(gzip.compress(content if isinstance(content, bytes) else pickle.dumps(content, protocol)))
    return file


@pytest.fixture
def purdue(tmp_path):
    root = tmp_path / "data" / "purdue_shapes5"
    write_purdue(root, "train", 10)
    write_purdue(root, "test", 4)
    return root


def purdue_config(**changes):
    return Config(dataset="purdue_shapes5", task="planes", **{"image_size": 64, **changes})


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_an_original_file_becomes_five_planes(purdue, protocol):
    write_purdue(purdue, "train", 10, protocol=protocol)
    dataset = data.load(purdue_config())
    assert {name: len(split) for name, split in dataset.splits().items()} == {"train": 9, "val": 1, "test": 4}
    image, masks = dataset.test.images[3], dataset.test.masks[3]
    assert image.flatten(1).unique(dim=1).flatten().tolist() == [3, 10, 200]
    expected = torch.zeros(5, 64, 64, dtype=torch.uint8)
    for k in range(5):
        expected[k, 12 * k : 12 * k + 8] = 1
    assert torch.equal(masks, expected) and dataset.note.startswith("Subset of PurdueShapes5MultiObject: 14 images")


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (Evil(os.system, "touch {mark}"), "posix.system"),
        (Evil(eval, "open('{mark}', 'w')"), r"\w+.eval"),
        (Evil(getattr, os, "system"), r"\w+.getattr"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (np.array([Evil(os.system, "touch {mark}")], dtype=object), "posix.system"),
        (Path("x"), "pathlib"),
    ],
)
def test_a_file_that_would_run_code_is_refused_and_not_run(purdue, tmp_path, content, asked):
    mark = tmp_path / "was-run"
    if isinstance(content, Evil):
        content.call = (
            content.call[0],
            tuple(a.format(mark=mark) if isinstance(a, str) else "os" for a in content.call[1]),
        )
    write_purdue(purdue, "train", 10, content=({0: content}, {}))
    with pytest.raises(ValueError, match=f"-10-train.gz is broken, or no pickle of plain data: it asks for {asked}"):
        data.load(purdue_config())
    assert not mark.exists()


def test_a_pickled_array_is_not_made_before_its_numbers_are_there():
    class Huge(np.ndarray):
        def __reduce__(self):
            return np._core.multiarray._reconstruct, (np.ndarray, (10**12,), b"b")

    stream = gzip.compress(pickle.dumps(np.zeros(1).view(Huge), 2))
    file = Path(os.environ["SEGLIB_DATA"]) / "x.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(stream)
    with pytest.raises((ValueError, TypeError, AttributeError)):
        plain_pickle.numbers(plain_pickle.load_gzip(file))


def other_values(root):
    image = purdue_image(0)
    image[3][0, 0, 0] = 60
    write_purdue(root, "train", 10, (dict.fromkeys(range(10), image), {n: 50 * (i + 1) for i, n in enumerate(SHAPES)}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "PurdueShapes5MultiObject-4-test.gz").unlink(), "PurdueShapes5 not found"),
        (lambda root: write_purdue(root, "train", 10, b"no pickle"), "-10-train.gz is broken"),
        (lambda root: write_purdue(root, "train", 10, (1, 2)), "expected images and labels"),
        (lambda root: write_purdue(root, "train", 10, ({0: 1}, {"disk": 3})), "has the labels"),
        (lambda root: (root / "PurdueShapes5MultiObject-10-train.gz").write_bytes(b"\x1f\x8b12"), "is broken"),
        (lambda root: (root / "PurdueShapes5MultiObject-10-train.gz").rename(
            root / "PurdueShapes5MultiObject-20-train.gz"), "holds 10 images, its name says 20"),
        (other_values, "image 0: values .*60.* in the planes"),
    ],
)  # fmt: skip
def test_a_broken_original_is_named(purdue, damage, message):
    damage(purdue)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        data.load(purdue_config())


def test_an_endless_original_is_not_read_to_its_end(purdue, monkeypatch):
    monkeypatch.setattr(plain_pickle, "MAX_BYTES", 100_000)
    with pytest.raises(ValueError, match="more than 100,000 bytes unpacked"):
        data.load(purdue_config(data_seed=1))


@pytest.mark.parametrize(
    ("folder", "config", "sizes"),
    [
        ("oxford-iiit-pet", Config(dataset="oxford_pet", image_size=64, border="ignore"), (270, 30, 298)),
        ("coco3", Config(dataset="coco3", task="planes", image_size=64), (32, 11, 10)),
    ],
)
def test_the_real_subsets_load(monkeypatch, folder, config, sizes):
    if not (REAL / folder).is_dir():
        pytest.skip(f"SEGLIB_DATA names no folder with {folder}")
    monkeypatch.setenv("SEGLIB_DATA", str(REAL))
    dataset = data.load(config)
    assert tuple(len(split) for split in dataset.splits().values()) == sizes and dataset.note
    assert (dataset.test.masks == 1).flatten(-2).any(-1).any()
