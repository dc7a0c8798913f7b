"""`folder`: the common layouts without code, and errors that name the file. Alone: pytest tests/test_data_folder.py"""

import random
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from seglib import data, paths
from seglib.config import Config
from seglib.data import store

LESION = "names: [background, lesion]\nvalues: {background: 0, lesion: 255}\n"
STREET = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
STREET_COLOURS = {name: [10 * i, 128, 255 - 10 * i] for i, name in enumerate(STREET)}
# six classes of the ISPRS aerial tiles
TILES = {"impervious": [255, 255, 255], "building": [0, 0, 255], "low vegetation": [0, 255, 255], "tree": [0, 255, 0],
         "car": [255, 255, 0], "clutter": [255, 0, 0]}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data" / "mine").mkdir(parents=True)
    return tmp_path / "data" / "mine"


def put(root, path, content):
    """One image or mask: an array, or an RGB colour for a plain image. Each plain image differs from the others."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = np.random.default_rng(zlib.crc32(path.encode())).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    Image.fromarray(content).save(file)


def half(value, other=0):
    mask = np.full((24, 32), other, dtype=np.uint8)
    mask[:, :16] = value
    return mask


def coloured(*colours):
    """A mask of vertical stripes of these colours."""
    stripes = np.repeat(np.array(colours, dtype=np.uint8), -(-32 // len(colours)), axis=0)[:32]
    return np.broadcast_to(stripes, (24, 32, 3)).copy()


def load(root, text, task="binary", **fields):
    (root / "classes.yaml").write_text(text)
    return data.load(Config(dataset="folder", data_folder="mine", task=task, image_size=32, **fields))


def counts(dataset):
    return {name: len(split) for name, split in dataset.splits().items()}


# layout: image path, mask path, part; {i} is the number of the image
BINARY_LAYOUTS = {
    "isic, four folders": ("{part}/ISIC_{i}.jpg", "{part}_masks/ISIC_{i}_Segmentation.png"),
    "isic, the archives": (
        "ISBI2016_ISIC_Part1_{Part}_Data/ISIC_{i}.jpg",
        "ISBI2016_ISIC_Part1_{Part}_GroundTruth/ISIC_{i}_Segmentation.png",
    ),
    "folders in splits": ("{part}/images/{i}.png", "{part}/masks/{i}.png"),
    "splits in folders": ("images/{part}/{i}.png", "annotations/{part}/{i}.png"),
    "vessels": ("{part}ing/images/{i}_{part}ing.tif", "{part}ing/1st_manual/{i}_manual1.gif"),
    "camel case": ("{Part}/Original/a{i}.bmp", "{Part}/GT/a{i}_mask.tif"),
}


@pytest.mark.parametrize("layout", BINARY_LAYOUTS)
def test_split_folders_are_read_without_code(root, layout):
    image, mask = BINARY_LAYOUTS[layout]
    for part, numbers in {"train": range(10), "test": range(10, 13)}.items():
        for i in numbers:
            named = {"part": part, "Part": {"train": "Training", "test": "Test"}[part], "i": i}
            put(root, image.format(**named), "picture")
            put(root, mask.format(**named), half(255))
    dataset = load(root, LESION)
    assert counts(dataset) == {"train": 9, "val": 1, "test": 3}
    assert dataset.class_names == ("lesion",) and dataset.note == ""
    assert dataset.train.masks[:, :, :14].eq(1).all() and dataset.train.masks[:, :, 18:].eq(0).all()
    assert all(str(i) in "".join(dataset.test.names) for i in (10, 11, 12))


def street(root, flat=False):
    for part, numbers in {"train": range(6), "val": range(6, 8), "test": range(8, 11)}.items():
        for i in numbers:
            if flat:
                put(root, f"701_StillsRaw_full/{i}.png", "picture")
                put(root, f"LabeledApproved_full/{i}_L.png", coloured([0, 0, 0], *STREET_COLOURS.values()))
            else:
                put(root, f"{part}/{i}.png", "picture")
                put(root, f"{part}annot/{i}.png", (half(i % 11, 11)))


def test_street_scenes_with_an_index_and_void(root):
    street(root)
    dataset = load(root, f"names: [{', '.join(STREET)}]\nignore: [11]\n", task="multiclass")
    assert counts(dataset) == {"train": 6, "val": 2, "test": 3} and dataset.class_names == STREET
    values = dict(zip(dataset.test.names, dataset.test.masks[:, 0], strict=True))
    assert values["8"].tolist() == [8] * 16 + [255] * 16 and values["10"].unique().tolist() == [10, 255]


def test_street_scenes_with_colours_in_a_flat_pair_of_folders(root):
    street(root, flat=True)
    lines = [f"names: [{', '.join(STREET)}]", f"colours: {STREET_COLOURS}".replace("'", ""), "ignore: [[0, 0, 0]]"]
    dataset = load(root, "\n".join(lines) + "\n", task="multiclass")
    assert counts(dataset) == {"train": 8, "val": 1, "test": 2}
    assert dataset.train.masks[0, 0].unique_consecutive().tolist() == [255, *range(10)]


def test_aerial_tiles_with_hexadecimal_colours(root):
    for i in range(10):
        put(root, f"2_Ortho_RGB/top_{i}_RGB.tif", "picture")
        put(root, f"5_Labels_all/top_{i}_label.tif", coloured(*TILES.values()))
    colours = "".join(f"  {name}: '#{bytes(colour).hex()}'\n" for name, colour in TILES.items())
    dataset = load(
        root, f"names: [{', '.join(TILES)}]\ncolours:\n{colours}fractions: {{test: 0.3, val: 0.2}}\n", "multiclass"
    )
    assert counts(dataset) == {"train": 5, "val": 2, "test": 3} and dataset.num_classes == 6
    assert dataset.train.masks[0, 0].unique_consecutive().tolist() == list(range(6))


def test_aerial_tiles_below_a_folder_that_is_named_like_masks(root):
    for i in range(10):
        put(root, f"semantic_labeling/top/top_mosaic_area{i}.tif", "picture")
        put(root, f"semantic_labeling/gts_for_participants/top_mosaic_area{i}.tif", coloured(*TILES.values()))
    dataset = load(root, f"names: [{', '.join(TILES)}]\ncolours: {TILES}\n".replace("'", ""), "multiclass")
    assert counts(dataset) == {"train": 7, "val": 1, "test": 2}
    assert dataset.train.masks[0, 0].unique_consecutive().tolist() == list(range(6))


@pytest.mark.parametrize("below", ["", "PH2 Dataset images/"])
@pytest.mark.parametrize(
    "told",
    [
        "mask_suffix: _lesion\nexclude: ['*_R?_Label*']\n",
        "mask_suffix: _lesion\nimages: '*_Dermoscopic_Image'\n",
        "images: '*_Dermoscopic_Image'\nmasks: '*_lesion'\nmask_suffix: _lesion\n",
    ],
)
def test_a_folder_per_lesion_with_a_told_suffix(root, below, told):
    for i in range(10):
        case = f"{below}IMD{i:03}/IMD{i:03}"
        put(root, f"{case}_Dermoscopic_Image/IMD{i:03}.bmp", "picture")
        put(root, f"{case}_lesion/IMD{i:03}_lesion.bmp", half(255))
    put(root, f"{below}IMD003/IMD003_roi/IMD003_R1_Label3.bmp", half(255))
    dataset = load(root, LESION + told)
    assert counts(dataset) == {"train": 7, "val": 1, "test": 2}
    assert dataset.train.masks[:, :, :14].eq(1).all() and set(dataset.test.names) < {f"IMD{i:03}" for i in range(10)}


def test_a_told_mask_suffix_goes_before_a_folder_of_images(root):
    for i in range(10):
        put(root, f"images/{i}.png", "picture")
        put(root, f"images/{i}_lesion.png", half(255))
    put(root, "preview.png", "picture")  # so that images is not around all files
    dataset = load(root, LESION + "mask_suffix: _lesion\nimages: images\n")
    assert sum(counts(dataset).values()) == 10 and dataset.train.masks.unique().tolist() == [0, 1]


def test_a_folder_around_all_files_does_not_tell_images_from_masks(root):
    for i in range(10):
        put(root, f"Dataset_with_GT/benign/benign ({i}).png", "picture")
        put(root, f"Dataset_with_GT/benign/benign ({i})_mask.png", half(1))
    assert sum(counts(load(root, "names: [background, tumour]\n")).values()) == 10


def test_masks_beside_their_images(root):
    for i in range(10):
        put(root, f"benign ({i}).png", "picture")
        put(root, f"benign ({i})_mask.png", half(1))
    dataset = load(root, "names: [background, tumour]\n")
    assert sum(counts(dataset).values()) == 10 and dataset.train.masks.unique().tolist() == [0, 1]


def pairs(root, count=10, value=255):
    for i in range(count):
        put(root, f"images/{i}.png", "picture")
        put(root, f"masks/{i}.png", half(value))


def test_folders_may_be_links_and_names_may_look_like_suffixes(root, tmp_path):
    for i, stem in enumerate(("a", "a-img", "b_l", "b_r", "c_test", "d_mask")):  # none of these is a suffix here
        put(tmp_path / "elsewhere", f"i/{stem}.png", "picture")
        put(tmp_path / "elsewhere", f"m/{stem}.png", half(255) if i % 2 else half(0))
    (root / "images").symlink_to(tmp_path / "elsewhere" / "i")
    (root / "masks").symlink_to(tmp_path / "elsewhere" / "m")
    dataset = load(root, LESION)
    full = {
        n: int(m.max()) for split in dataset.splits().values() for n, m in zip(split.names, split.masks, strict=True)
    }
    assert full == {"a": 0, "a-img": 1, "b_l": 0, "b_r": 1, "c_test": 0, "d_mask": 1}


def test_lists_of_names_make_the_splits(root):
    pairs(root)
    (root / "train.txt").write_text("images/1.png masks/1.png\n4\n0.png\n\n")
    (root / "test.txt").write_text("2\n3\n")
    (root / "val.txt").write_text("5\n")
    dataset = load(root, LESION)
    names = {name: split.names for name, split in dataset.splits().items()}
    assert names == {"train": ("0", "1", "4"), "val": ("5",), "test": ("2", "3")}
    (root / "test.txt").write_text("2\n33\n")
    with pytest.raises(ValueError, match=r"test.txt, line 2: there is no image 33"):
        load(root, LESION)


def voc(root, lists):
    """Pascal VOC: masks for three images of four, two kinds of masks, and lists of the images that have them."""
    for i in range(20):
        put(root, f"JPEGImages/2007_{i:06}.jpg", "picture")
        if i % 4:
            put(root, f"SegmentationClass/2007_{i:06}.png", half(1))
            put(root, f"SegmentationObject/2007_{i:06}.png", half(3))
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    for part, numbers in lists.items():
        text = "".join(f"2007_{i:06}\n" for i in numbers)
        (root / f"ImageSets/Segmentation/{part}.txt").write_text(text)
    return "names: [background, cat]\nmasks: SegmentationClass\n"


def test_an_image_needs_a_mask_only_where_a_list_names_it(root):
    text = voc(root, {"train": (1, 2, 3, 5), "val": (6, 7), "test": (9, 10)})
    (root / "SegmentationClass/2007_000001.png").rename(root / "SegmentationClass/2007_000004.png")
    with pytest.raises(ValueError, match=r"1 problem in the files:\n  image .*2007_000001.jpg has no mask$"):
        load(root, text)
    (root / "SegmentationClass/2007_000004.png").rename(root / "SegmentationClass/2007_000001.png")
    (root / "JPEGImages/2007_000011.jpg").unlink()  # nor need a mask that no list names have an image
    dataset = load(root, text)
    assert counts(dataset) == {"train": 4, "val": 2, "test": 2} and dataset.train.masks.unique().tolist() == [0, 1]


def test_lists_without_test_name_the_ways_out(root):
    listed = {"train": (1, 2, 3, 5, 6, 7), "val": (9, 10, 11, 13), "trainval": (1, 2, 3, 5, 6, 7, 9, 10, 11, 13)}
    text = voc(root, listed)
    with pytest.raises(ValueError, match=r"lists make the parts train \(6\), val \(4\).*`fractions: .*rename val.txt"):
        load(root, text)
    divided = load(root, text + "fractions: {val: 0.1, test: 0.2}\n")
    assert counts(divided) == {"train": 7, "val": 1, "test": 2}
    names = {name for split in divided.splits().values() for name in split.names}
    assert names == {f"2007_{i:06}" for i in listed["trainval"]}  # of the lists alone
    (root / "ImageSets/Segmentation/val.txt").rename(root / "ImageSets/Segmentation/test.txt")
    assert counts(load(root, text)) == {"train": 5, "val": 1, "test": 4}


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("told", ["", "fractions: {test: 0.1}\n", "fractions: {test: 0.1, val: 0.1}\n"])
def test_a_few_images_still_make_three_parts(root, count, told):
    pairs(root, count)
    assert counts(load(root, LESION + told)) == {"train": count - 2, "val": 1, "test": 1}


@pytest.mark.parametrize(("count", "told"), [(2, ""), (2, "fractions: {test: 0.1}\n"), (4, "fractions: {test: 0.9}\n")])
def test_too_few_images_to_divide_are_an_error(root, count, told):
    pairs(root, count)
    with pytest.raises(ValueError, match=rf"{count} images divided by `fractions: .*to train on"):
        load(root, LESION + told)


def test_fractions_depend_on_each_name_alone(root):
    pairs(root, 20)
    before = load(root, LESION)
    assert counts(before) == {"train": 14, "val": 2, "test": 4}
    assert {n for s in before.splits().values() for n in s.names} == {str(i) for i in range(20)}
    (root / "images" / "19.png").rename(root / "images" / "x.png")
    (root / "masks" / "19.png").rename(root / "masks" / "x.png")
    after = load(root, LESION)
    assert len(set(after.test.names) & set(before.test.names)) >= 3


def test_numbers_that_start_anew_in_each_part_stay_apart(root):
    for part in ("train", "test"):
        for i in range(5):
            put(root, f"{part}/images/{i}.png", "picture")
            put(root, f"{part}/masks/{i}.png", half(255))
    dataset = load(root, LESION)
    assert dataset.test.names == tuple(f"test_{i}" for i in range(5)) and len(dataset.train) == 4


def test_the_same_image_in_two_splits_is_a_leak_whatever_its_name(root):
    for part, i in (("train", 1), ("train", 2), ("test", 3)):
        put(root, f"{part}/images/{i}.png", "picture")
        put(root, f"{part}/masks/{i}.png", half(255))
    (root / "test/images/3.png").write_bytes((root / "train/images/2.png").read_bytes())
    with pytest.raises(ValueError, match=r"3.png \(test\) is the same file as .*2.png"):
        load(root, LESION)
    for i in (4, 5):
        put(root, f"train/images/{i}.png", "picture")
        put(root, f"train/masks/{i}.png", half(255))
    assert counts(load(root, LESION + "fractions: {test: 0.3, val: 0.3}\nexclude: ['3']\n")) == {
        "train": 2, "val": 1, "test": 1,
    }  # fmt: skip


def test_classes_of_the_study_win_over_those_of_the_data(root, tmp_path, monkeypatch):
    pairs(root)
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params")
    (tmp_path / "params" / "mine").mkdir(parents=True)
    (tmp_path / "params" / "mine" / "classes.yaml").write_text(LESION.replace("lesion", "polyp"))
    assert load(root, LESION).class_names == ("polyp",)


def test_the_fingerprint_follows_classes_and_files(root):
    pairs(root)
    first = load(root, LESION).fingerprint
    assert load(root, LESION).fingerprint == first
    assert load(root, LESION.replace("255", "[255, 254]")).fingerprint != first
    put(root, "masks/3.png", half(255, other=0)[:, ::-1].copy())
    assert load(root, LESION).fingerprint != first


def test_a_hundred_broken_files_are_one_list(root):
    pairs(root, 120)
    rng = random.Random(0)
    for i in range(100):
        file = root / "images" / f"{i}.png"
        file.write_bytes(rng.choice([b"", file.read_bytes()[: rng.randrange(20, 200)], b"no image"]))
    with pytest.raises(ValueError, match="folder: 100 problems in the files") as error:
        load(root, LESION)
    lines = str(error.value).splitlines()[1:]
    assert {line.split("/images/")[1].split(".png")[0] for line in lines} == {str(i) for i in range(100)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "names: [background, lesion]\n",
            r"masks/\d.png has values 255, expected only 0, 1; say in classes.yaml what its 255",
        ),
        ("names: [background, lesion]\nignore: [255]\n", "is 255 ignored, or is it lesion"),
        ("name: [a, b]\n", "unknown key 'name'; did you mean 'names'"),
        ("names: [a]\n", "expected two or more different names"),
        (
            "names: [lesion, background]\nvalues: {background: 0, lesion: 255}\n",
            "expected 'background', spelled so, as the first",
        ),
        ("names: [Background, lesion]\nvalues: {Background: 0, lesion: 255}\n", "'background', spelled so"),
        ("names: [a, b, c]\n", "3 names, expected 2 for task binary"),
        ("names: [a, b]\nvalues: {a: 0}\n", "no colour or value for b"),
        ("names: [a, b]\nvalues: {a: 0, c: 1}\n", "unknown class 'c'"),
        ("names: [a, b]\nvalues: {a: 0, b: 256}\n", "256, expected a value of 0 to 255"),
        ("names: [a, b]\ncolours: {a: 0, b: 1}\n", r"0, expected \[r, g, b\]"),
        (
            "names: [a, b]\ncolours: {a: '#zzzzzz', b: '#000000'}\n",
            r"classes.yaml: '#zzzzzz', expected \[r, g, b\] or #rr",
        ),
        ("names: [a, b]\nvalues: {a: 0, b: 0}\n", "0 stands for two things"),
        (LESION + "fractions: {test: 2}\n", "fractions is"),
        (LESION + "fractions: {val: 0.2}\n", "without test"),
        (LESION + "mask_suffix: _x\n", "holds 10 images and 0 masks"),
        (LESION + "masks: labels\n", "expected folders such as images and masks"),
    ],
)
def test_what_is_wrong_with_classes_yaml_is_said(root, text, message):
    pairs(root)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(root, text)


def test_files_without_a_partner_are_all_listed(root):
    pairs(root)
    (root / "masks" / "3.png").unlink()
    (root / "images" / "5.png").unlink()
    with pytest.raises(
        ValueError,
        match=r"`exclude:` in classes.yaml.*2 problems.*\n  image .*3.png has no mask\n  mask .*5.png has no image",
    ):
        load(root, LESION)
    assert load(root, LESION + "exclude: ['3', '5.png']\n").note.startswith("without 3, 5.png")


def test_two_masks_for_an_image_are_asked_about_and_not_chosen(root):
    pairs(root)
    for i in range(10):
        put(root, f"1st_manual/{i}.png", half(255)[:, ::-1].copy())
    with pytest.raises(ValueError, match="are both the mask of 0; say `masks:`"):
        load(root, LESION)
    dataset = load(root, LESION + "masks: 1st_manual\n")
    assert dataset.train.masks[:, :, 18:].eq(1).all()


def test_a_part_without_test_is_asked_about(root):
    for part in ("train", "val"):
        for i in range(4):
            put(root, f"{part}/images/{part}{i}.png", "picture")
            put(root, f"{part}/masks/{part}{i}.png", half(255))
    with pytest.raises(ValueError, match=r"the parts train \(4\), val \(4\), expected train, test"):
        load(root, LESION)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "folder"}, "dataset: folder and data_folder belong together"),
        ({"dataset": "lesions", "data_folder": "mine"}, "belong together"),
        ({"dataset": "folder", "data_folder": "mone"}, "unknown data_folder 'mone'; did you mean 'mine'"),
        ({"dataset": "folder", "data_folder": "mine"}, "write one with the names of the classes"),
        ({"dataset": "isic2016", "border": "ignore"}, "isic2016 has none"),
    ],
)
def test_what_a_config_of_a_folder_lacks_is_said(root, fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        data.load(Config(**fields))


def test_four_at_once_build_one_store(root, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    pairs(root)
    config = Config(dataset="folder", data_folder="mine", image_size=32)
    (root / "classes.yaml").write_text(LESION)
    built = []
    build = store._build
    monkeypatch.setattr(store, "_build", lambda *arguments: built.append(1) or build(*arguments))
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: data.load(config), range(4)))
    assert len(built) == 1 and all(torch.equal(d.train.images, loaded[0].train.images) for d in loaded)
