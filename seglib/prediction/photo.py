"""An image file of any size as what a model takes: the whole of it, or its tiles, read as training reads them."""

from pathlib import Path
from typing import NamedTuple

import torch

from seglib.data import files  # its readers as they are: an edit there would make every stored run a stranger
from seglib.prediction import tiles


class Photo(NamedTuple):
    """What was read of an image file.

    Shape: inputs (T, 3, S, S) uint8 RGB, one per tile in the order of `tiles.boxes`; T is 1 without tiles.
    """

    inputs: torch.Tensor
    size: tuple[int, int]  # height and width in pixels, as a viewer shows the image
    remark: str  # what had to be done to read it; empty if nothing


def read(path: Path, side: int, tile: int = 0, overlap: float = 0.0) -> Photo:
    """An image at a model's size S = `side`, by the reader that training used; or each of its tiles at that size.

    An image that fits into one tile is read as a whole, as without tiles.
    Raises: ValueError that names the file and says what is wrong with it; FileNotFoundError.
    """
    if tile and max(_stored_size(path)) > tile:
        return _in_tiles(path, side, tile, overlap)
    pixels, file = files.read_image(path, side)
    return Photo(pixels[None], (file.height, file.width), file.remark)


def upright(path: Path, longest: int = 0):
    """The image in its own size as a viewer shows it, as PIL's RGB, and what had to be done to read it.

    Args: longest — of its sides in pixels, if it is to be made smaller; 0 leaves it as it is.
    Raises: as `read`.
    """
    from PIL import ImageOps

    with files._opened(path) as image:
        if longest:
            image.draft(None, (longest, longest))
        image.load()
        rgb, remark = files._rgb(path, image)
        rgb = ImageOps.exif_transpose(rgb)
        if longest:
            rgb.thumbnail((longest, longest))
        return rgb, remark


def _stored_size(path: Path) -> tuple[int, int]:
    with files._opened(path) as image:
        return image.size


def _in_tiles(path: Path, side: int, tile: int, overlap: float) -> Photo:
    from PIL import Image

    rgb, remark = upright(path)
    size = rgb.height, rgb.width
    parts = []
    for rows, columns in tiles.boxes(size, tile, overlap):
        box = (columns.start, rows.start, columns.stop, rows.stop)
        part = rgb.crop(box).resize((side, side), Image.Resampling.BILINEAR)
        parts.append(files._pixels(part, (side, side, 3)).permute(2, 0, 1))
    return Photo(torch.stack(parts), size, remark)
