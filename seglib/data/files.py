"""Reading image and mask files: decoded by Pillow within limits, resized, checked; every error names the file.

Odd files are handled where the right reading is known (CMYK, a palette, 16-bit PNG, transparency, EXIF orientation;
a remark says so) and refused with their name where it is not.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from seglib.data.core import File

MAX_PIXELS = 80_000_000  # no image of a study is larger; a file that says so is broken or hostile
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # raster formats alone: no file runs an interpreter
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
ORIENTATION = 0x0112  # EXIF: how the stored pixels are to be turned; from 5 on, height and width change places
Values = Mapping[int | tuple[int, int, int], int]  # what a mask file holds (a value or a colour) → target value


def read_pair(image: Path, mask: Path, size: int, values: Values) -> tuple[torch.Tensor, torch.Tensor, File]:
    """An image (3, size, size), its mask (size, size), both uint8, and what the image's file showed.

    Args: values — every value (or colour) that the mask file may hold, and its target value.
    Raises: ValueError that names the file and says what is wrong with it; FileNotFoundError.
    """
    target, frame = _read_mask(mask, size, values)
    pixels, file = read_image(image, size, frame, mask.name)
    return pixels, target, file


def read_image(
    path: Path, size: int, frame: tuple[int, int] | None = None, mask: str = ""
) -> tuple[torch.Tensor, File]:
    """An image file as RGB, resized (bilinear, antialiased) to a square: (3, size, size) uint8; and what it showed.

    Args: frame — width and height of its mask. They also say whether the mask was drawn on the pixels as a viewer
        turns them (after their EXIF orientation) or as they are stored; where both fit, or there is no frame, the
        image is turned as a viewer does.
    """
    from PIL import Image, ImageOps

    with _opened(path) as image:
        (width, height), orientation = image.size, image.getexif().get(ORIENTATION, 1)
        shown = (height, width) if orientation in (5, 6, 7, 8) else (width, height)
        if frame and frame not in (shown, (width, height)):
            raise ValueError(f"mask {mask} has {frame[0]}×{frame[1]} pixels, its image {path} {shown[0]}×{shown[1]}")
        image.draft(None, (2 * size, 2 * size))  # lets JPEG skip detail that a much smaller image cannot show
        image.load()
        rgb, remark = _rgb(path, image)
        if orientation in range(2, 9) and frame in (None, shown):
            rgb, remark = ImageOps.exif_transpose(rgb), f"turned as EXIF orientation {orientation} says"
        elif orientation in range(2, 9):
            remark = f"EXIF orientation {orientation} not applied, since the mask has the size of the stored pixels"
        pixels = _pixels(rgb.resize((size, size), Image.Resampling.BILINEAR), (size, size, 3))
    return pixels.permute(2, 0, 1).contiguous(), File(*frame, remark) if frame else File(*shown, remark)


def checked_name(path: Path) -> Path:
    """The path. Raises: ValueError for one that no table and no page can hold."""
    if re.search("[\udc80-\udcff]", str(path)):  # how Python reads bytes that are no UTF-8
        raise ValueError(f"the file name {os.fsencode(path)!r} is not UTF-8 text; rename it")
    return path


def _read_mask(path: Path, size: int, values: Values) -> tuple[torch.Tensor, tuple[int, int]]:
    """A mask file resized by nearest neighbour, (size, size) uint8 of target values; and the file's width, height."""
    from PIL import Image, ImageOps

    with _opened(path) as image:
        image.load()
        mask = ImageOps.exif_transpose(image)
        coloured = any(isinstance(value, tuple) for value in values)
        mask = mask.convert("RGB") if coloured else _one_channel(path, mask, values)
        _check_values(path, _held(mask), values)
        resized = mask.resize((size, size), Image.Resampling.NEAREST)
        if coloured:
            red, green, blue = _pixels(resized, (size, size, 3)).int().unbind(-1)
            codes, target = red << 16 | green << 8 | blue, torch.zeros((size, size), dtype=torch.uint8)
            for (r, g, b), value in values.items():
                target[codes == (r << 16 | g << 8 | b)] = value
            return target, mask.size
        table = torch.zeros(256, dtype=torch.uint8)
        for file_value, target_value in values.items():
            table[file_value] = target_value
        return table[_pixels(resized, (size, size)).long()], mask.size


def _rgb(path: Path, image) -> tuple[object, str]:
    """Any decoded image as RGB, and what had to be done for it."""
    from PIL import Image

    if image.mode.startswith("I;16") and image.format == "PNG":  # by the format's definition 65535 is white
        return image.point(lambda value: value / 257).convert("L").convert("RGB"), "16 bits per channel, scaled to 8"
    if image.mode.startswith(("I", "F")):
        raise ValueError(
            f"{path} has {image.mode} pixels ({image.format}), whose white is not known; convert it to 8 bits"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            return Image.alpha_composite(black, image).convert("RGB"), "transparent pixels laid on black"
    return image.convert("RGB"), "converted from CMYK" if image.mode == "CMYK" else ""


def _one_channel(path: Path, mask, values: Values):
    """A mask that holds values as one 8-bit channel: the file's own, a palette's indices, or grey written as RGB."""
    from PIL import Image, ImageChops

    if mask.mode == "1":  # bilevel decodes to 0 and 255
        return mask.convert("L")
    if mask.mode in ("LA", "La"):
        return mask.getchannel("L")
    if mask.mode.startswith("I"):
        low, high = mask.getextrema()
        if low < 0 or high > 255:
            raise ValueError(f"mask {path} has values up to {high}, expected only {sorted(values)}")
        return Image.frombytes(
            "L", mask.size, bytes(mask.convert("I").tobytes()[::4])
        )  # little-endian on all we run on
    if mask.mode in ("RGB", "RGBA"):
        red, green, blue = mask.split()[:3]
        if any(ImageChops.difference(red, other).getbbox() for other in (green, blue)):
            raise ValueError(
                f"mask {path} is coloured (Pillow mode {mask.mode}), expected one channel of {sorted(values)}"
            )
        return red
    if mask.mode == "P" and not _held(mask) <= values.keys():  # a palette of greys: what a viewer shows of it
        rgb = mask.convert("RGB")
        red, green, blue = rgb.split()
        if red.tobytes() == green.tobytes() == blue.tobytes() and _held(red) <= values.keys():
            return red
    if mask.mode not in ("L", "P"):
        raise ValueError(f"mask {path} has Pillow mode {mask.mode}, expected one 8-bit channel or RGB")
    return mask


def _held(mask) -> set:
    """Every value or colour of a mask; of very many colours none, which is never right either."""
    colours = mask.getcolors(4096)
    return {colour for _, colour in colours} if colours else {"more than 4,096 colours"}


def _check_values(path: Path, held: set, values: Values) -> None:
    if held <= values.keys():
        return
    foreign = sorted(held - values.keys(), key=str)
    hint = "; a lossy format such as JPEG cannot hold classes" if path.suffix.lower() in (".jpg", ".jpeg") else ""
    if held <= {0, 255}:
        hint = "; say in classes.yaml what its 255 is: `values: {background: 0, lesion: 255}`"
    more = f" and {len(foreign) - 6} more" if len(foreign) > 6 else ""
    raise ValueError(
        f"mask {path} has values {', '.join(map(str, foreign[:6]))}{more}, expected only "
        f"{', '.join(str(v) for v in sorted(values, key=str))}{hint}"
    )


@contextlib.contextmanager
def _opened(path: Path):
    """A file opened by Pillow; whatever its decoders raise on broken bytes becomes an error with the file's name."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{path} has {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}")
            yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not there") from None
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, zlib.error, EOFError and more
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        why = "the file is empty" if not path.stat().st_size else str(error).replace(f" {str(path)!r}", "")
        raise ValueError(f"{path} cannot be read as an image ({why}); replace or remove it") from error


def _pixels(image, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(shape)
