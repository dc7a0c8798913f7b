"""Oxford-IIIT Pet: photographs of cats and dogs of 37 breeds with trimaps. Licence CC BY-SA 4.0.

A trimap holds pet (1), background (2) and a border that its annotators left to neither (3); `border` says which side
it is on in training and in the headline, and test scores under all three rules follow from `border_targets`.

Reference: Parkhi et al., Cats and Dogs, CVPR 2012.
"""

from pathlib import Path

from seglib import digest, paths
from seglib.data import fingerprint
from seglib.data.core import BORDER, IGNORE_INDEX, Source, unusable
from seglib.data.files import read_pair

FOLDER = "oxford-iiit-pet"  # as torchvision names it
LISTS = {"train": "trainval.txt", "test": "test.txt"}
OFFICIAL = {"train": 3680, "test": 3669}
RULES = {"foreground": 1, "background": 0, "ignore": IGNORE_INDEX}
MASK_VALUES = {1: 1, 2: 0, 3: BORDER}


class OxfordPet(Source):
    """Pet against background, in the official trainval and test parts; validation is held out of trainval."""

    border_rules = RULES

    def __init__(self, config):
        super().__init__(config)
        self.root = paths.data() / FOLDER
        if not all((self.root / part).exists() for part in ("images", "annotations/trimaps", *_lists())):
            raise FileNotFoundError(
                f"Oxford-IIIT Pet not found in {self.root}; expected images, annotations/trimaps, "
                f"{', '.join(_lists())}. `make data STUDY=oxford_pet` downloads them; or set SEGLIB_DATA to the folder "
                "above"
            )
        self.listed = {part: _names(self.root / "annotations" / file) for part, file in LISTS.items()}
        present = {
            folder: {f.name for f in (self.root / folder).iterdir()} for folder in ("images", "annotations/trimaps")
        }
        wanted = [file for names in self.listed.values() for name in names for file in self._pair(name)]
        missing = [f"{f} is not there" for f in wanted if f.name not in present[str(f.parent.relative_to(self.root))]]
        if missing:
            raise unusable("oxford_pet", missing)

    def class_names(self):
        return ("pet",)

    def parts(self):
        return self.listed

    def sample(self, split, name, size):
        image, mask, self.seen[name] = read_pair(*self._pair(name), size, MASK_VALUES)
        return image, mask

    def fingerprint(self):
        digests = fingerprint.of_files(
            (f for ns in self.members.values() for n in ns for f in self._pair(n)), self.root
        )
        rows = {s: [[n, *(digests[f] for f in self._pair(n))] for n in names] for s, names in self.members.items()}
        return digest.of_value(rows)

    def note(self):
        here = {"train": len(self.names("train")) + len(self.names("val")), "test": len(self.names("test"))}
        if here == OFFICIAL:
            return ""
        breeds = len({name.rsplit("_", 1)[0] for names in self.members.values() for name in names})
        counts = " and ".join(f"{here[part]} of {OFFICIAL[part]} {part}" for part in OFFICIAL)
        return f"Subset of Oxford-IIIT Pet: {counts} images, {breeds} of 37 breeds"

    def _pair(self, name: str) -> tuple[Path, Path]:
        return self.root / "images" / f"{name}.jpg", self.root / "annotations" / "trimaps" / f"{name}.png"


def _lists() -> list[str]:
    return [f"annotations/{file}" for file in LISTS.values()]


def _names(file: Path) -> list[str]:
    names = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{file} lists no images")
    return names
