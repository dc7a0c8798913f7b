"""Sources, splits, files and the decoded store. Alone: pytest tests/test_data.py"""

import hashlib
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from seglib import data
from seglib.config import Config
from seglib.data import core, lesions, shapes

SMALL = {"train_images": 6, "val_images": 3, "test_images": 4, "image_size": 32}
REAL = Path(os.environ.get("SEGLIB_DATA") or "nowhere")  # read before the tests get a folder of their own


@pytest.fixture
def isic(tmp_path):
    """An ISIC folder of ten training and three test images, 40×30, lesion in the left half."""
    root = tmp_path / "data" / "isic2016"
    for part, count in {"train": 10, "test": 3}.items():
        for i in range(count):
            name = f"ISIC_{i + (100 if part == 'test' else 0):07d}"
            mask = Image.new("L", (40, 30))
            mask.paste(255, (0, 0, 20, 30))
            (root / part).mkdir(parents=True, exist_ok=True)
            (root / f"{part}_masks").mkdir(exist_ok=True)
            Image.new("RGB", (40, 30), (10 * i, 100, 50)).save(root / part / f"{name}.jpg")
            mask.save(root / f"{part}_masks" / f"{name}_Segmentation.png")
    return root


def isic_config(**changes):
    return Config(dataset="isic2016", image_size=32, **changes)


@pytest.mark.parametrize(("source", "task"), [(n, t) for n in ("lesions", "shapes") for t in data.SOURCES[n].tasks])
def test_a_generated_source_keeps_the_promises_of_a_dataset(source, task):
    dataset = data.load(Config(dataset=source, task=task, **SMALL))
    for split, count in {"train": 6, "val": 3, "test": 4}.items():
        part = dataset.splits()[split]
        masks = (count, dataset.num_classes, 32, 32) if task == "planes" else (count, 32, 32)
        assert part.images.shape == (count, 3, 32, 32) and part.masks.shape == masks
        assert part.images.dtype == part.masks.dtype == torch.uint8
        assert part.masks.max() < max(dataset.num_classes, 2)
    assert dataset.note.startswith("Generated")


@pytest.mark.parametrize("draw", [lesions.draw, shapes.draw])
def test_a_generated_image_depends_on_seed_and_index_alone(draw):
    first = draw(0, 7)
    draw(0, 8)
    assert all(torch.equal(a, b) for a, b in zip(first, draw(0, 7), strict=True))
    assert not torch.equal(first[0], draw(1, 7)[0]) and not torch.equal(first[0], draw(0, 8)[0])


def test_every_lesion_is_darker_than_its_skin_and_neither_all_nor_nothing():
    for i in range(30):
        image, mask = lesions.draw(0, i)
        assert 0.005 < mask.float().mean() < 0.7
        ring = torch.nn.functional.max_pool2d(mask[None].float(), 15, 1, 7)[0].bool() & ~mask
        assert image[:, mask].mean() < image[:, ring].mean()


def test_shapes_of_each_kind_are_drawn_and_lie_on_black():
    seen = torch.zeros(5)
    for i in range(40):
        image, planes = shapes.draw(0, i)
        seen += planes.flatten(1).any(1)
        assert (image.amax(0)[planes.amax(0) == 0] == 0).all() and (image.amax(0)[planes.amax(0) > 0] > 0).all()
    assert (seen >= 5).all()


def test_more_data_of_a_seed_begins_with_the_same_images():
    few, more = (Config(train_images=n, val_images=1, test_images=1, image_size=32) for n in (2, 4))
    assert torch.equal(data.load(few).train.images, data.load(more).train.images[:2])


def test_the_255_of_an_isic_file_is_lesion_and_not_ignore(isic):
    masks = data.load(isic_config()).train.masks
    assert masks.unique().tolist() == [0, 1]
    assert masks[:, :, :16].eq(1).all() and masks[:, :, 16:].eq(0).all()


def test_validation_is_the_tenth_of_train_that_hashes_lowest(isic):
    names = [f"ISIC_{i:07d}" for i in range(10)]
    lowest = min(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    dataset = data.load(isic_config())
    assert dataset.val.names == (lowest,) and len(dataset.train) == 9 and lowest not in dataset.train.names
    assert dataset.note == "Subset of ISIC 2016: 10 of 900 train and 3 of 379 test images"


def test_both_layouts_of_isic_give_the_same_data(isic):
    before = data.load(isic_config())
    plain, official = data.isic2016.LAYOUTS
    for part in plain:
        for a, b in zip(plain[part], official[part], strict=True):
            (isic / a).rename(isic / b)
    assert data.load(isic_config()).fingerprint == before.fingerprint


def test_the_fingerprint_follows_content_and_not_time(isic):
    before = data.open_source(isic_config()).fingerprint()
    image = isic / "train" / "ISIC_0000003.jpg"
    os.utime(image, (1, 1))
    assert data.open_source(isic_config()).fingerprint() == before
    Image.new("RGB", (40, 30), (1, 2, 3)).save(image)
    assert data.open_source(isic_config()).fingerprint() != before


def break_nothing(root):
    root.rename(root.with_name("elsewhere"))


def remove_mask(root):
    (root / "train_masks" / "ISIC_0000004_Segmentation.png").unlink()


def truncate_image(root):
    image = root / "train" / "ISIC_0000004.jpg"
    image.write_bytes(image.read_bytes()[:200])


def empty_image(root):
    (root / "test" / "ISIC_0000101.jpg").write_bytes(b"")


def foreign_mask_value(root):
    Image.new("L", (40, 30), 7).save(root / "train_masks" / "ISIC_0000004_Segmentation.png")


def colour_mask(root):
    Image.new("RGB", (40, 30), "red").save(root / "train_masks" / "ISIC_0000004_Segmentation.png")


def leak(root):
    for folder, suffix in (("train", ".jpg"), ("train_masks", "_Segmentation.png")):
        source = root / folder / f"ISIC_0000001{suffix}"
        (root / folder.replace("train", "test") / source.name).write_bytes(source.read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_nothing, "ISIC 2016 not found in .*expected the folders train, train_masks"),
        (remove_mask, "ISIC_0000004.jpg has no mask; expected .*ISIC_0000004_Segmentation.png"),
        (truncate_image, "ISIC_0000004.jpg cannot be read as an image"),
        (empty_image, "ISIC_0000101.jpg cannot be read as an image"),
        (foreign_mask_value, "ISIC_0000004_Segmentation.png has values 7, expected only 0, 255"),
        (colour_mask, r"ISIC_0000004_Segmentation.png is coloured \(Pillow mode RGB\)"),
        (leak, "in more than one split: ISIC_0000001"),
    ],
)
def test_what_is_wrong_with_the_files_is_said_with_their_name(isic, damage, message):
    damage(isic)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        data.load(isic_config())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dataset": "leisons"}, "unknown dataset 'leisons'; did you mean 'lesions'"),
        ({"dataset": "lesions", "task": "multiclass"}, "has no task multiclass; it offers binary"),
        ({"dataset": "isic2016", "test_images": 4}, "4 images wanted, but the split has 3"),
    ],
)
def test_what_a_source_cannot_give_is_an_error(isic, values, message):
    with pytest.raises(ValueError, match=message):
        data.open_source(Config(**values))


def test_a_decoded_store_is_opened_again_and_not_decoded_again(monkeypatch):
    config = Config(**{**SMALL, "data_seed": 5})
    first = data.load(config)
    monkeypatch.setattr(lesions, "draw", lambda seed, index: 1 / 0)
    assert torch.equal(first.test.images, data.load(config).test.images)


def test_a_store_that_could_not_be_built_leaves_nothing(isic, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    foreign_mask_value(isic)
    with pytest.raises(ValueError, match="has values"):
        data.load(isic_config())
    assert not list((tmp_path / "cache" / "decoded").glob("*isic2016-*"))


def test_every_broken_file_is_named_in_one_list(isic):
    for damage in (truncate_image, empty_image, foreign_mask_value):
        damage(isic)
    (isic / "train" / "ISIC_0000006.jpg").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="isic2016: 3 problems in the files") as error:
        data.load(isic_config())
    named = str(error.value).splitlines()[1:]
    assert len(named) == 3 and all(str(isic) in line for line in named)
    assert "ISIC_0000101.jpg cannot be read as an image (the file is empty)" in str(error.value)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux to see what a process has mapped")
def test_a_store_is_mapped_and_not_read(isic):
    dataset = data.load(isic_config())
    mapped = Path("/proc/self/maps").read_text()
    assert all(f"{split}_images.npy" in mapped for split in dataset.splits())


def test_folds_cut_train_into_disjoint_parts_and_leave_test_alone(isic):
    folds = [data.load(isic_config(folds=3, fold=k)) for k in range(3)]
    vals = [set(fold.val.names) for fold in folds]
    assert sorted(name for val in vals for name in val) == [f"ISIC_{i:07d}" for i in range(10)]
    assert sorted(map(len, vals)) == [3, 3, 4]
    for fold, val in zip(folds, vals, strict=True):
        assert val.isdisjoint(fold.train.names) and len(fold.train) + len(val) == 10
        assert fold.test.names == folds[0].test.names


def test_folds_of_a_generated_source_cut_train_and_val_together():
    config = Config(**SMALL, folds=3, fold=1)
    members = data.open_source(config).members
    assert {split: len(names) for split, names in members.items()} == {"train": 6, "val": 3, "test": 4}
    other = data.open_source(config.with_(fold=2)).members
    assert set(other["val"]).isdisjoint(members["val"])


def test_holding_out_does_not_depend_on_the_order_of_the_names():
    names = [f"n{i}" for i in range(50)]
    assert core.hold_out(names) == core.hold_out(names[::-1])
    assert len(core.hold_out(names)[1]) == 5


@pytest.mark.skipif(not (REAL / "isic2016").is_dir(), reason="SEGLIB_DATA names no folder with isic2016")
def test_the_real_isic_images_load(monkeypatch):
    monkeypatch.setenv("SEGLIB_DATA", str(REAL))
    dataset = data.load(Config(dataset="isic2016", image_size=64))
    assert len(dataset.val) == round(0.1 * (len(dataset.train) + len(dataset.val)))
    assert 0.1 < dataset.train.masks.float().mean() < 0.5
