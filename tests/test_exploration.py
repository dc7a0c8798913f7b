"""What the data page finds: duplicates, odd images, sizes, shares. Alone: pytest tests/test_exploration.py"""

import pytest
import torch
import torch.nn.functional as F

from seglib import data, duplicates, exploration, paths, plots
from seglib.config import Config
from seglib.data.core import Dataset, File, Split

LESIONS = {"train_images": 12, "val_images": 6, "test_images": 8, "image_size": 64}


def replaced(dataset, split, row, image=None, mask=None):
    """The data set with another image or mask in one row."""
    part = getattr(dataset, split)
    images, masks = part.images.clone(), part.masks.clone()
    if image is not None:
        images[row] = image
    if mask is not None:
        masks[row] = mask
    parts = dataset.splits() | {split: Split(part.names, images, masks)}
    return Dataset(dataset.source, dataset.task, dataset.class_names, "", "", **parts, files=dict(dataset.files))


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        return data.load(Config(**LESIONS))


def test_different_images_are_no_duplicates(lesions):
    assert duplicates.near_duplicates(lesions).empty
    shapes = data.load(Config(dataset="shapes", task="planes", train_images=200, val_images=50, test_images=50))
    assert duplicates.near_duplicates(shapes).empty


@pytest.mark.parametrize("change", ["same", "brighter", "noisy", "smaller and back"])
def test_an_image_that_came_back_changed_a_little_is_found(lesions, change):
    image = lesions.train.images[7].float()
    if change == "brighter":
        image = image * 0.9 + 20
    elif change == "noisy":
        image = image + 4 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    elif change == "smaller and back":
        image = F.interpolate(F.interpolate(image[None], size=40, mode="area"), size=64, mode="bilinear")[0]
    found = duplicates.near_duplicates(replaced(lesions, "test", 3, image.clamp(0, 255).byte()))
    assert found[["split", "image", "other split", "other image"]].values.tolist() == [
        ["train", lesions.train.names[7], "test", lesions.test.names[3]]
    ]
    assert plots.pairs(found, lesions.splits()) is not None


def test_each_check_finds_its_image_and_no_other(lesions):
    odd = replaced(lesions, "train", 1, image=torch.full((3, 64, 64), 90, dtype=torch.uint8))
    dark = torch.zeros(3, 64, 64, dtype=torch.uint8)
    dark[:, :4] = 60
    odd = replaced(odd, "val", 2, image=dark)
    for row, value in enumerate((0, 1, 255)):
        odd = replaced(odd, "test", row, mask=torch.full((64, 64), value, dtype=torch.uint8))
    odd.files[lesions.train.names[4]] = File(10, 10, "converted from CMYK")
    table = exploration.checks(odd)
    names = lesions.test.names
    assert table["which"].to_dict() == {
        "one flat colour": lesions.train.names[1], "nearly black or white": lesions.val.names[2],
        "mask without foreground": names[0], "mask of foreground alone": names[1], "mask ignored as a whole": names[2],
        "converted from CMYK": lesions.train.names[4],
    }  # fmt: skip
    images, masks, titles = exploration.failing(odd, count=1)
    assert len(images) == len(masks) == len(titles) == 6 and "test: mask without foreground" in titles[2]
    assert plots.odd(images, masks, titles, {"lesion": 1}) is not None


def test_a_set_without_background_is_labelled_everywhere_and_none_of_it_is_odd():
    masks = torch.tensor([[0, 0, 1, 255]]).repeat(4, 1).byte().repeat(4, 1, 1)
    images = torch.randint(0, 256, (4, 3, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    parts = {split: Split(tuple(f"{split}{i}" for i in range(4)), images, masks) for split in ("train", "val", "test")}
    street = Dataset("folder", "multiclass", ("sky", "road"), "", "", **parts)
    assert exploration.foreground_classes(street) == {"sky": 0, "road": 1}
    assert exploration.class_balance(street).loc["train"].round(1).to_dict() == {"sky": 66.7, "road": 33.3}
    assert exploration.foreground_areas(street)["area"].eq(75).all()
    assert exploration.checks(street)["images"].sum() == 0
    said = exploration.in_words(street).data
    assert "every pixel sky is right at 66.7 %" in said and "take the first, sky, for it" in said


def test_sizes_count_the_files_and_gather_the_rare_ones(lesions):
    files = {f"a{i}": File(100 + i // 3, 80, "") for i in range(36)}
    table = exploration.sizes(Dataset("x", "binary", ("a",), "", "", **lesions.splits(), files=files))
    assert table["images"].sum() == 36 and table.index[-1] == "4 other sizes" and len(table) == 9
    assert exploration.sizes(lesions).index.tolist() == ["drawn at its size"]


def test_the_augmentation_shown_is_what_training_sees(lesions):
    config = Config(**LESIONS, rotation=20.0, noise=0.02)
    shown = exploration.augmented(lesions, config, count=3, epochs=2)
    assert list(shown) == ["as stored", "epoch 1", "epoch 2"]
    assert not torch.equal(shown["epoch 1"][0], shown["epoch 2"][0])
    assert list(exploration.augmented(lesions, Config(**LESIONS), count=3)) == ["as stored"]
    copied = config.with_(augmented_copies=1)
    assert list(exploration.augmented(data.load(copied), copied, count=3)) == ["as stored", "copy 1"]


def test_the_splits_are_written_beside_the_report(lesions):
    assert exploration.save_splits(lesions, "mine") == "splits.csv"
    lines = (paths.report("mine") / "splits.csv").read_text().splitlines()
    assert len(lines) == 27 and lines[:2] == ["split,image", f"train,{lesions.train.names[0]}"]
