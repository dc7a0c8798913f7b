"""Reading image and mask files: decoded by Pillow, resized, checked; every error names the file."""

from collections.abc import Mapping
from pathlib import Path

import torch

MAX_PIXELS = 100_000_000  # no image of a study is larger; a file that says so is broken or hostile


def read_image(path: Path, size: int) -> torch.Tensor:
    """An image file as RGB, resized (bilinear, antialiased) to a square: (3, size, size) uint8."""
    from PIL import Image

    image = _open(path, "RGB").resize((size, size), Image.Resampling.BILINEAR)
    return _pixels(image, (size, size, 3)).permute(2, 0, 1).contiguous()


def read_mask(path: Path, size: int, values: Mapping[int, int]) -> torch.Tensor:
    """A mask file resized by nearest neighbour: (size, size) uint8 of target values.

    Args: values — file value → target value; every value of the file must be among them.
    Raises: ValueError if the file holds another value.
    """
    from PIL import Image

    mask = _open(path, None)
    if mask.mode == "1":  # a bilevel PNG decodes to 0 and 255
        mask = mask.convert("L")
    if mask.mode not in ("L", "P"):
        raise ValueError(f"mask {path} has Pillow mode {mask.mode}, expected one 8-bit channel (L, P or 1)")
    found = {value for value, count in enumerate(mask.histogram()[:256]) if count}
    if not found <= values.keys():
        raise ValueError(f"mask {path} has values {sorted(found)[:10]}, expected only {sorted(values)}")
    table = torch.zeros(256, dtype=torch.uint8)
    for file_value, target_value in values.items():
        table[file_value] = target_value
    resized = mask.resize((size, size), Image.Resampling.NEAREST)
    return table[_pixels(resized, (size, size)).long()]


def check_same_size(image: Path, mask: Path) -> None:
    """Raises ValueError if a mask does not have the height and width of its image."""
    from PIL import Image

    with Image.open(image) as a, Image.open(mask) as b:
        if a.size != b.size:
            raise ValueError(f"mask {mask} has {b.width}×{b.height} pixels, its image {a.width}×{a.height}")


def _open(path: Path, mode: str | None):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path} has {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            return image.convert(mode) if mode else image.copy()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not there") from None
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error}); replace or remove it") from error


def _pixels(image, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(shape)
