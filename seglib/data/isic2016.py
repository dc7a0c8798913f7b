"""ISIC 2016 (ISBI 2016 challenge, part 1): dermoscopic images with one lesion mask each. Licence CC-0.

Reference: Gutman et al., Skin Lesion Analysis toward Melanoma Detection, 2016, arXiv:1605.01397.
"""

from pathlib import Path

from seglib import digest, paths
from seglib.data.core import Source, first, hold_out
from seglib.data.files import check_same_size, read_image, read_mask

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

    def __init__(self, task, images, seed):
        super().__init__(task, images, seed)
        self.root = paths.data() / "isic2016"
        self.layout = next((layout for layout in LAYOUTS if self._there(layout)), None)
        if self.layout is None:
            ways = "; or ".join(", ".join(sum(layout.values(), ())) for layout in LAYOUTS)
            raise FileNotFoundError(
                f"ISIC 2016 not found in {self.root}; expected the folders {ways}. "
                "Put the challenge's four archives there unpacked, or set SEGLIB_DATA to the folder above"
            )
        self.pairs = {part: self._pairs(part) for part in OFFICIAL}
        train, val = hold_out(sorted(self.pairs["train"]))
        self.members = {
            split: first(names, self.wanted[split])
            for split, names in {"train": train, "val": val, "test": sorted(self.pairs["test"])}.items()
        }

    def class_names(self):
        return ("lesion",)

    def names(self, split):
        return self.members[split]

    def sample(self, split, name, size):
        image, mask = self.pairs["test" if split == "test" else "train"][name]
        pair = read_image(image, size), read_mask(mask, size, MASK_VALUES)
        check_same_size(image, mask)
        return pair

    def fingerprint(self):
        files = {
            split: [
                [name, *map(digest.of_file, self.pairs["test" if split == "test" else "train"][name])] for name in names
            ]
            for split, names in self.members.items()
        }
        return digest.of_value(files)

    def note(self):
        here = {"train": len(self.members["train"]) + len(self.members["val"]), "test": len(self.members["test"])}
        if here == OFFICIAL:
            return ""
        counts = " and ".join(f"{here[part]} of {OFFICIAL[part]} {part}" for part in OFFICIAL)
        return f"Subset of ISIC 2016: {counts} images"

    def _there(self, layout) -> bool:
        return all((self.root / folder).is_dir() for pair in layout.values() for folder in pair)

    def _pairs(self, part: str) -> dict[str, tuple[Path, Path]]:
        images, masks = (self.root / folder for folder in self.layout[part])
        pairs = {
            path.stem: (path, masks / f"{path.stem}_Segmentation.png")
            for path in sorted(images.iterdir())
            if path.suffix.lower() == ".jpg"
        }
        if not pairs:
            raise FileNotFoundError(f"no ISIC_*.jpg in {images}; the folder is there but holds no images")
        for image, mask in pairs.values():
            if not mask.is_file():
                raise FileNotFoundError(f"image {image} has no mask; expected {mask}")
        return pairs
