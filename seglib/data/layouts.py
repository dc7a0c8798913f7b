"""Which files of a folder are images and masks, which belong together, and which part (train, val, test) they are of.

Read from the names of folders and files, as the common layouts use them; what is not clear is an error that says what
to write into `classes.yaml`, never a guess.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product, takewhile
from pathlib import Path

from seglib.data.classes import FRACTIONS
from seglib.data.core import SPLITS, by_hash, unusable
from seglib.data.files import SUFFIXES, checked_name

MASK_FOLDER = re.compile(
    r"mask|label|annot|ground.?truth|manual|segmentation|(?<![a-z])(gts?|seg)(?![a-z])|gtfine|target"
)
IMAGE_FOLDER = re.compile(r"image|img|photo|picture|raw|(?<![a-z])(rgb|ortho|input)")
PART = re.compile(
    r"(?<![a-z])(trainval|train|val|test)(ing|id|idation)?(?=$|[^a-z]|annot|mask|label|image|img|gt|data|set)"
)
MASK_SUFFIX = re.compile(
    r"[_-](segmentation|seg|masks?|labels?|l|gt|groundtruth|ground_truth|annotation|manual\d*)$", re.I
)
IMAGE_SUFFIX = re.compile(r"[_-](training|train|testing|test|image|img|rgb)$", re.I)
LISTS = ("", "splits", "lists", "ImageSets/Segmentation")  # where lists of names may lie: train.txt, val.txt, test.txt
DEPTH = 6  # of folders in folders, so that a link to itself ends


@dataclass(frozen=True)
class Item:
    """One file, as its path shows it."""

    path: Path
    part: str  # train, val or test; '' if the path does not say
    stem: str  # of the file's name, without a suffix that classes.yaml tells
    names: tuple[str, ...]  # what its partner may be called, the likeliest first


def parts(root: Path, layout: Mapping) -> dict[str, dict[str, tuple[Path, Path]]]:
    """Part → name → (image, mask). Names are file stems; where two parts use the same, the part stands before it.

    Args: layout — `images`, `masks`, `image_suffix`, `mask_suffix`, `fractions`, `exclude` of a `classes.yaml`.
    Raises: ValueError that lists every file without a partner, or says what is not clear.
    """
    images, masks = _items(root, layout)
    if not images or not masks:
        raise FileNotFoundError(
            f"{root} holds {len(images)} images and {len(masks)} masks; expected folders such as images and masks, or "
            "train/images and train/masks; or say `images:` and `masks:` (names of folders), or `mask_suffix:` (the "
            "end of the masks' file names), in classes.yaml"
        )
    lists = _lists(root, layout)
    pairs = _paired(root, images, masks, {stem for listed in lists.values() for stem, _ in listed} if lists else None)
    by_part: dict[str, dict[str, tuple[Path, Path]]] = defaultdict(dict)
    for (part, stem), pair in pairs.items():
        by_part[part][stem] = pair
    by_part = _by_list(root, pairs, lists) if lists else _named(by_part)
    if "fractions" in layout or set(by_part) == {""}:
        return _by_fraction(root, by_part, layout.get("fractions", FRACTIONS))
    if not {"train", "test"} <= set(by_part) <= set(SPLITS):
        found = ", ".join(f"{part or 'neither'} ({len(names)})" for part, names in sorted(by_part.items()))
        renamed = ", or rename val.txt to test.txt to test on it and hold a tenth of train out"
        raise ValueError(
            f"{root}: the {'lists' if lists else 'folders'} make the parts {found}, expected train, test and perhaps "
            f"val; say `fractions: {FRACTIONS}` in classes.yaml to divide all of them by hash of the name"
            + (renamed if lists.keys() == {"train", "val"} else "")
        )
    return by_part


def _items(root: Path, layout: Mapping) -> tuple[list[Item], list[Item]]:
    """The images and the masks among the files below a folder."""
    images, masks, rest = [], [], []
    found = [(folders, path) for folders, paths in _folders(root) for path in paths if not _excluded(path, layout)]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*(folders for folders, _ in found), strict=False))
    shared = len(list(same))  # folders around all files: their names tell no file from another
    for folders, path in found:
        part = next((m[1] for f in reversed(folders) if (m := PART.search(f.lower()))), "").replace("trainval", "train")
        kind = _kind(folders, path, shared, layout)
        if kind == "mask":
            masks += _suffixed(path, part, layout, "mask_suffix")
        elif kind == "image":
            images += _suffixed(path, part, layout, "image_suffix")
        elif kind == "either":
            rest.append((path, part))
    ends, elsewhere = layout.get("mask_suffix"), bool(masks)
    for path, part in rest:  # of folders that do not say: masks there, if any, have a suffix
        is_mask = path.stem.endswith(ends) if ends else bool(MASK_SUFFIX.search(path.stem))
        if is_mask and (ends or not elsewhere):
            masks += _suffixed(path, part, layout, "mask_suffix")
        else:
            images += _suffixed(path, part, layout, "image_suffix")
    return images, masks


def _folders(root: Path) -> Iterator[tuple[tuple[str, ...], list[Path]]]:
    """Every folder below (links are followed) as its names from the root, with the image files in it."""
    for here, below, names in os.walk(root, followlinks=True):
        folders = Path(here).relative_to(root).parts
        below[:] = sorted(b for b in below if not b.startswith((".", "__MACOSX")) and len(folders) < DEPTH)
        images = (Path(here, n) for n in sorted(names) if n[0] != "." and Path(n).suffix.lower() in SUFFIXES)
        yield folders, [checked_name(path) for path in images]


def _excluded(path: Path, layout: Mapping) -> bool:
    patterns = [str(pattern) for pattern in layout.get("exclude", [])]
    return any(fnmatch(path.name, pattern) or fnmatch(path.stem, pattern) for pattern in patterns)


def _kind(folders: tuple[str, ...], path: Path, shared: int, layout: Mapping) -> str:
    """What the folders say a file is: image, mask, either (nothing said), or other (named folders, and not in one).

    Told folders of masks and a told suffix of masks go before told folders of images, and these before a guess.
    """
    if _told(folders, layout, "masks"):
        return "mask"
    ends = layout.get("mask_suffix")
    by_suffix = ends and ends != layout.get("image_suffix") and "masks" not in layout
    if by_suffix and path.stem.endswith(ends):
        return "mask"
    if _told(folders, layout, "images"):
        return "image"
    for folder in reversed(folders[shared:]):
        if MASK_FOLDER.search(folder.lower()):
            return "other" if "masks" in layout else "mask"
        if IMAGE_FOLDER.search(folder.lower()):
            return "other" if "images" in layout else "image"
    return "other" if "images" in layout else "either"


def _told(folders: tuple[str, ...], layout: Mapping, key: str) -> bool:
    """Whether a file lies in the folder, or in one of the pattern, that `classes.yaml` names."""
    here = (*folders, "/".join(folders))
    return key in layout and (layout[key] in here or any(fnmatch(folder, layout[key]) for folder in here))


def _suffixed(path: Path, part: str, layout: Mapping, key: str) -> list[Item]:
    """The file as an item without its suffix; none if a suffix is told and it is not there."""
    if key in layout and not path.stem.endswith(layout[key]):
        return []
    stem = path.stem.removesuffix(layout.get(key, ""))
    names = [stem, IMAGE_SUFFIX.sub("", MASK_SUFFIX.sub("", stem))]  # without what usually tells image from mask
    names += [unicodedata.normalize("NFC", name) for name in names]  # macOS writes é as two characters, others as one
    return [Item(path, part, stem, tuple(names))]


def _paired(
    root: Path, images: list[Item], masks: list[Item], listed: set[str] | None
) -> dict[tuple[str, str], tuple[Path, Path]]:
    """(part, name) → image and mask. A mask belongs to the image of its stem, else to that of its short stem.

    Where there are lists, only the images that they name need be whole: Pascal VOC has masks for few of its images.
    """
    problems: list[str] = []
    wanted = [image for image in images if listed is None or {image.stem, image.path.stem} & listed]
    wanted_paths = {image.path for image in wanted}
    by_stem: dict[tuple[str, str], Item] = {}
    for image in images:
        first = by_stem.setdefault((image.part, image.stem), image)
        if first is not image and image.path in wanted_paths:
            problems.append(_twice("image", image.stem, image.path, first.path))
    for i, image in product(range(4), images):  # a whole stem goes before a short one, whichever comes first
        for part in (image.part, "*"):
            by_stem.setdefault((part, image.names[i]), image)
    found: dict[Path, Path] = {}
    for mask in masks:
        part = mask.part or "*"  # masks may lie together though images do not
        image = next(filter(None, (by_stem.get((part, name)) for name in mask.names)), None)
        if image is None and listed is None:
            problems.append(f"mask {mask.path} has no image")
        elif image is None or image.path not in wanted_paths:
            continue
        elif image.path in found:
            problems.append(_twice("mask", image.stem, mask.path, found[image.path]))
        else:
            found[image.path] = mask.path
    problems += [f"image {image.path} has no mask" for image in wanted if image.path not in found]
    if problems:
        raise unusable(f"{root} (`exclude:` in classes.yaml leaves files out)", problems)
    return {(image.part, image.stem): (image.path, found[image.path]) for image in wanted}


def _twice(kind: str, stem: str, one: Path, other: Path) -> str:
    return (
        f"{one} and {other} are both the {kind} of {stem}; say `{kind}s:` (a folder's name) or `{kind}_suffix:` in "
        "classes.yaml, or exclude one"
    )


def _named(by_part: Mapping) -> dict[str, dict[str, tuple[Path, Path]]]:
    stems = [stem for names in by_part.values() for stem in names]
    alike = len(set(stems)) < len(stems)  # numbered from 0 in each part, say
    return {part: {f"{part}_{s}" if alike else s: pair for s, pair in names.items()} for part, names in by_part.items()}


def _by_fraction(root: Path, by_part: Mapping, fractions: Mapping) -> dict[str, dict[str, tuple[Path, Path]]]:
    """Each part that is named gets one image at least, however few there are."""
    pairs = {name: pair for names in by_part.values() for name, pair in names.items()}
    names, start, result = by_hash(list(pairs)), 0, {}
    sizes = {part: max(1, round(fractions[part] * len(names))) for part in ("test", "val") if part in fractions}
    left = len(names) - sum(sizes.values())
    if left < (1 if "val" in sizes else 2):  # without val, one of train is held out
        raise ValueError(
            f"{root}: {len(names)} images divided by `fractions: {dict(fractions)}` leave {max(left, 0)} to train on; "
            "add images, or say smaller fractions in classes.yaml"
        )
    for part, size in sizes.items():
        result[part] = {name: pairs[name] for name in names[start : start + size]}
        start += size
    return {**result, "train": {name: pairs[name] for name in names[start:]}}


def _lists(root: Path, layout: Mapping) -> dict[str, list[tuple[str, str]]]:
    """Part → the names its list gives, each with its file and line; empty if there are no lists."""
    for folder in LISTS:
        files = {part: root / folder / f"{part}.txt" for part in ("train", "trainval", "val", "test")}
        there = {part: file for part, file in files.items() if file.is_file() and not _excluded(file, layout)}
        if there:
            if "train" in there:
                there.pop("trainval", None)
            return {part.replace("trainval", "train"): _listed(file) for part, file in there.items()}
    return {}


def _listed(file: Path) -> list[tuple[str, str]]:
    """The name (a stem) in each line that is not empty, and where it stands."""
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    where = ((line.split()[0], f"{file}, line {number}") for number, line in lines if line.strip())
    return [(re.sub(r"\.\w{3,4}$", "", Path(path).name), line) for path, line in where]


def _by_list(root: Path, pairs: Mapping, lists: Mapping) -> dict[str, dict[str, tuple[Path, Path]]]:
    known = {image.stem: (stem, (image, mask)) for (_, stem), (image, mask) in pairs.items()}
    known |= {stem: (stem, pair) for (_, stem), pair in pairs.items()}
    named = [(part, stem, where) for part, listed in lists.items() for stem, where in listed]
    if problems := [f"{where}: there is no image {stem}" for _, stem, where in named if stem not in known]:
        raise unusable(str(root), problems)
    result: dict[str, dict] = {part: {} for part in lists}
    for part, stem, _ in named:
        name, pair = known[stem]
        result[part][name] = pair
    return result
