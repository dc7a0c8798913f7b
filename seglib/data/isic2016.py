"""ISIC 2016 (ISBI 2016 challenge, part 1): dermoscopic images with one lesion mask each. Licence CC-0.

Reference: Gutman et al., Skin Lesion Analysis toward Melanoma Detection, 2016, arXiv:1605.01397.
"""

from pathlib import Path

from seglib import digest, paths
from seglib.data import fingerprint
from seglib.data.core import Source, unusable
from seglib.data.files import read_pair

# Two layouts are in use: four plain folders, and the folders of the challenge's own archives.
LAYOUTS = (
    {"train": ("train", "train_masks"), "test": ("test", "test_masks")},
    {
        "train": ("ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth"),
        "test": ("ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth"),
    },
)
OFFICIAL = {"train": 900, "test": 379}
MASK_VALUES = {0: 0, 255: 1}  # a file's 255 is the lesion (a target's 255 would be ignore)


class Isic2016(Source):
    """The official training and test parts; validation is held out of the training part."""

    def __init__(self, config):
        super().__init__(config)
        self.root = paths.data() / "isic2016"
        layout = next((layout for layout in LAYOUTS if is_there(self.root, layout)), None)
        if layout is None:
            ways = "; or ".join(", ".join(sum(layout.values(), ())) for layout in LAYOUTS)
            raise FileNotFoundError(
                f"ISIC 2016 not found in {self.root}; expected the folders {ways}. "
                "`make data STUDY=isic2016` downloads them; or set SEGLIB_DATA to the folder above them"
            )
        self.pairs = {part: _pairs(*(self.root / folder for folder in layout[part])) for part in OFFICIAL}

    def class_names(self):
        return ("lesion",)

    def parts(self):
        return {part: list(pairs) for part, pairs in self.pairs.items()}

    def sample(self, split, name, size):
        image, mask, self.seen[name] = read_pair(*self._pair(split, name), size, MASK_VALUES)
        return image, mask

    def fingerprint(self):
        files = {split: [(name, *self._pair(split, name)) for name in names] for split, names in self.members.items()}
        digests = fingerprint.of_files((f for rows in files.values() for row in rows for f in row[1:]), self.root)
        return digest.of_value({s: [[n, digests[i], digests[m]] for n, i, m in rows] for s, rows in files.items()})

    def note(self):
        here = {"train": len(self.names("train")) + len(self.names("val")), "test": len(self.names("test"))}
        if here == OFFICIAL:
            return ""
        counts = " and ".join(f"{here[part]} of {OFFICIAL[part]} {part}" for part in OFFICIAL)
        return f"Subset of ISIC 2016: {counts} images"

    def _pair(self, split: str, name: str) -> tuple[Path, Path]:
        return self.pairs["test" if split == "test" else "train"][name]


def is_there(root: Path, layout) -> bool:
    """Whether a folder holds this layout."""
    return all((root / folder).is_dir() for pair in layout.values() for folder in pair)


def _pairs(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    pairs = {
        path.stem: (path, masks / f"{path.stem}_Segmentation.png")
        for path in sorted(images.iterdir())
        if path.suffix.lower() == ".jpg" and not path.name.startswith(".")
    }
    if not pairs:
        raise FileNotFoundError(f"no ISIC_*.jpg in {images}; the folder is there but holds no images")
    there = {path.name for path in masks.iterdir()}
    if missing := [f"image {i} has no mask; expected {m}" for i, m in pairs.values() if m.name not in there]:
        raise unusable("isic2016", missing)
    return pairs
