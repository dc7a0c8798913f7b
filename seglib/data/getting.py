"""How the data of each source are had: downloaded, verified, unpacked. What is there already is left as it is.

No host but the pets' publishes checksums; for the others the first download's is recorded (see `download.fetch`).
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from seglib import atomic, paths
from seglib.data import coco3 as coco
from seglib.data import isic2016 as isic
from seglib.data import oxford_pet as pets
from seglib.data import purdue_shapes5 as purdue
from seglib.data.download import Remote, fetch, fetch_all, unreachable
from seglib.data.unpack import unpack

ISIC = "https://isic-challenge-data.s3.amazonaws.com/2016/"
COCO = "http://images.cocodataset.org/"  # has no https of its own
COCO_ANNOTATIONS, COCO_PART = "annotations/annotations_trainval2017.zip", "train2017"
PURDUE = "https://engineering.purdue.edu/kak/distDLS/datasets_for_DLStudio.tar.gz"


def get(dataset: str) -> bool:
    """Downloads the data of a source, if it has any to download; whether there was anything to do.

    Raises: FileNotFoundError with the files to put where if their host is out of reach; ValueError for a file that is
        not what it should be.
    """
    return dataset in SOURCES and SOURCES[dataset](paths.data())


def isic2016(data: Path) -> bool:
    """The challenge's four archives."""
    root = data / "isic2016"
    if any(isic.is_there(root, layout) for layout in isic.LAYOUTS):
        return False
    names = [f"{folder}.zip" for pair in isic.LAYOUTS[1].values() for folder in pair]
    with unreachable(f"the challenge's archives ({', '.join(names)}), unpacked,", root):
        for name in names:
            if not (root / name.removesuffix(".zip")).is_dir():
                unpack(fetch(Remote(ISIC + name), root), root)
    return True


def oxford_pet(data: Path) -> bool:
    """The two archives that torchvision's own data set names, with its MD5 sums, in the folder that it expects."""
    from torchvision.datasets import OxfordIIITPet

    root = data / pets.FOLDER
    folders = {"images.tar.gz": "images", "annotations.tar.gz": "annotations"}
    if all((root / folder).is_dir() for folder in folders.values()):
        return False
    with unreachable(f"{' and '.join(folders)} of Oxford-IIIT Pet, unpacked,", root):
        for url, md5 in OxfordIIITPet._RESOURCES:
            remote = Remote(url, f"md5:{md5}")
            if not (root / folders[remote.name]).is_dir():
                unpack(fetch(remote, root), root)
    for split in ("trainval", "test"):
        OxfordIIITPet(data, split)  # raises if it is not what torchvision expects
    return True


def coco3(data: Path) -> bool:
    """COCO's annotations, and of its images those with pizza, cat or bus alone."""
    root = data / coco.FOLDER
    with unreachable(f"{coco.INSTANCES} and the folder images (see the README)", root):
        if not (root / coco.INSTANCES).is_file():
            archive = fetch(Remote(COCO + COCO_ANNOTATIONS), root)
            atomic.write(root / coco.INSTANCES, json.dumps(_chosen(archive)))
            archive.unlink()
        images = json.loads((root / coco.INSTANCES).read_text(encoding="utf-8"))["images"]
        (root / "images").mkdir(exist_ok=True)
        there = {path.name for path in (root / "images").iterdir()}
        missing = [Remote(image["coco_url"]) for image in images if image["file_name"] not in there]
        if missing:
            fetch_all(missing, root / "images", "images of coco3")
    return bool(missing)


def _chosen(archive: Path) -> dict:
    """COCO's annotations of the training images, reduced to the three classes."""
    member = f"annotations/instances_{COCO_PART}.json"
    try:
        with zipfile.ZipFile(archive) as file, file.open(member) as content:
            everything = json.load(content)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{archive} does not hold COCO's {member} ({error}); remove it and call this again") from None
    objects = coco.chosen_objects(everything)
    return {
        "images": [image for image in everything["images"] if image["id"] in objects],
        "annotations": [thing for things in objects.values() for thing in things],
        "categories": [category for category in everything["categories"] if category["name"] in coco.CLASSES],
    }


def purdue_shapes5(data: Path) -> bool:
    """Purdue's archive of data sets, of which the two files are kept."""
    root = data / purdue.FOLDER
    if all((root / name).is_file() for name in purdue.FILES.values()):
        return False
    with unreachable(" and ".join(purdue.FILES.values()), root):
        unpacked = root / "unpacked"
        unpack(fetch(Remote(PURDUE), root), unpacked)
        for name in purdue.FILES.values():
            found = sorted(unpacked.rglob(name))
            if not found:
                raise ValueError(f"{PURDUE} does not hold {name} any more; put it into {root} by hand")
            found[0].replace(root / name)
        shutil.rmtree(unpacked)
    return True


SOURCES: dict[str, Callable[[Path], bool]] = {
    "coco3": coco3,
    "isic2016": isic2016,
    "oxford_pet": oxford_pet,
    "purdue_shapes5": purdue_shapes5,
}
