"""How masks, probabilities and overlays are written as image files; `seglib.predict` documents the formats."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

LONGEST = 1280  # pixels of an overlay's longer side: it is to be looked at, the mask is to be worked with
WHITE = 65535  # of a probability map: probability 1
QUALITY = 90  # of an overlay's JPEG


def masks(mask: np.ndarray, task: str, class_names: Sequence[str]) -> dict[str, bytes]:
    """A mask, uint8 (H, W) class ids or (C, H, W) planes → channel (empty where there is one file) → PNG."""
    if task == "planes":
        return {name: _grey_png(plane * 255) for name, plane in zip(class_names, mask, strict=True)}
    return {"": _grey_png(mask * 255) if task == "binary" else _png(mask, _palette(class_names))}


def read_masks(files: Mapping[str, Path], task: str) -> np.ndarray:
    """The mask that `masks` wrote: channel → file, in the order of the channels."""
    from PIL import Image

    planes = []
    for file in files.values():
        with Image.open(file) as image:
            planes.append(np.asarray(image) // (1 if task == "multiclass" else 255))
    return np.stack(planes) if task == "planes" else planes[0]


def probabilities(probs: np.ndarray, class_names: Sequence[str]) -> dict[str, bytes]:
    """Probabilities (C, H, W) float in [0, 1] → channel (empty where there is one) → PNG of 16 bits, p · 65535.

    Halves are rounded down, so that a value is above 32767 where the probability is above 0.5, and nowhere else.
    """
    names = class_names if len(probs) > 1 else [""]
    return {name: _png(_steps(plane)) for name, plane in zip(names, probs, strict=True)}


def _steps(plane: np.ndarray) -> np.ndarray:
    return np.ceil(plane.astype(np.float64) * WHITE - 0.5).astype(np.uint16)


def overlay(picture, mask: np.ndarray, class_names: Sequence[str]) -> bytes:
    """A mask over its image (PIL's RGB, at most LONGEST), in grey, so that all colour is a class's: JPEG."""
    from PIL import Image

    from seglib.plots import overlay as overlays
    from seglib.plots.style import class_colours

    def small(layer: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(layer).resize(picture.size, Image.Resampling.NEAREST))

    values = foreground(class_names, planes=mask.ndim == 3)
    fitted = np.stack([small(plane) for plane in mask]) if mask.ndim == 3 else small(mask)
    over = overlays.rgba(fitted, values, class_colours(tuple(values)))
    grey = np.asarray(picture, dtype=np.float64).mean(-1, keepdims=True) / 255
    mixed = grey * (1 - over[..., 3:]) + over[..., :3] * over[..., 3:]
    buffer = io.BytesIO()
    Image.fromarray((mixed * 255).round().astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def foreground(class_names: Sequence[str], planes: bool = False) -> dict[str, int]:
    """Class → its value in a mask, or its plane; without background, where the first class is called so."""
    first = 0 if planes or len(class_names) > 1 else 1  # binary: the one class is 1
    return {name: i for i, name in enumerate(class_names, start=first) if name != "background"}


def _palette(class_names: Sequence[str]) -> list[int]:
    """The colours of class ids, as the overlays and all figures have them; background is black."""
    from PIL import ImageColor

    from seglib.plots.style import class_colours

    colours = class_colours(tuple(foreground(class_names)))
    return [part for name in class_names for part in ImageColor.getrgb(colours.get(name, "#000000"))]


def _png(pixels: np.ndarray, palette: Sequence[int] = ()) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _grey_png(pixels: np.ndarray) -> bytes:
    """8-bit pixels (H, W) as a grey PNG without filters.

    Pillow tries all filters on each row of a grey image, which took most of the time of finishing a mask; a mask is
    long runs of one value, which zlib's run-length strategy packs smaller without them.
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each begins with its filter: 0 is none
    rows[:, 1:] = pixels
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT": packer.compress(rows.tobytes()) + packer.flush(),
        b"IEND": b"",
    }
    parts = [
        struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
