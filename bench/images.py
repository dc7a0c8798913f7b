"""The image files that the benchmarks read: real ones where SEGLIB_DATA has ISIC 2016, else generated ones."""

from pathlib import Path

from PIL import Image

from seglib import data, paths
from seglib.config import Config

PARTS = {"train": "train_masks", "test": "test_masks"}


def write(root: Path, count: int, side: int) -> str:
    """Writes `count` training images and 8 test images as JPEG with PNG masks, in ISIC's layout; returns what they are.

    Args: side — pixels; images of another size are resized to it, as photographs of that size would be stored.
    """
    real = paths.data() / "isic2016"
    for part, masks in PARTS.items():
        (root / "isic2016" / part).mkdir(parents=True)
        (root / "isic2016" / masks).mkdir()
        wanted = count if part == "train" else 8
        for name, image, mask in _real(real, part, wanted) if real.is_dir() else _generated(part, wanted):
            image.resize((side, side), Image.Resampling.BICUBIC).save(
                root / "isic2016" / part / f"{name}.jpg", quality=92
            )
            mask = mask.resize((side, side), Image.Resampling.NEAREST)
            mask.save(root / "isic2016" / masks / f"{name}_Segmentation.png")
    return "ISIC 2016 (subset, real)" if real.is_dir() else "generated lesions"


def _real(root: Path, part: str, wanted: int):
    for file in sorted((root / part).glob("*.jpg"))[:wanted]:
        mask = Image.open(root / PARTS[part] / f"{file.stem}_Segmentation.png")
        yield file.stem, Image.open(file).convert("RGB"), mask.convert("L")


def _generated(part: str, wanted: int):
    split = getattr(data.load(Config(train_images=wanted, val_images=1, test_images=8)), part)
    for i in range(wanted):
        mask = Image.fromarray((split.masks[i] * 255).numpy())
        yield f"ISIC_{part}_{i:04d}", Image.fromarray(split.images[i].permute(1, 2, 0).numpy()), mask
