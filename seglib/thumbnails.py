"""Test images as small PNGs inside a page: a prediction's outline, or its errors tinted."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from seglib.plots import style

SIDE = 176  # px; larger images are made smaller
COLOURS = 64  # of a PNG's palette: keeps a page small
STRENGTH = 0.55  # of a tint


def outlined(image, planes: np.ndarray, classes: Sequence[str]) -> str:
    """A data URI of an image with the outline of each plane in its class's colour, as the figures have it.

    Args: image (3, H, W) uint8; planes (C, H, W) bool, of the foreground classes.
    """
    picture, planes = _small(image, planes)
    for plane, colour in zip(planes, style.class_colours(classes).values(), strict=True):
        picture[_outline(plane)] = ImageColor.getrgb(colour)
    return _uri(picture)


def errors(image, truth: np.ndarray, pred: np.ndarray) -> str:
    """A data URI of an image with true and false positives and false negatives tinted, the truth outlined in white.

    Args: image (3, H, W) uint8; truth, pred (H, W) bool.
    """
    picture, (truth, pred) = _small(image, np.stack([truth, pred]))
    for colour, where in zip(style.ERRORS.values(), (truth & pred, ~truth & pred, truth & ~pred), strict=True):
        tinted = (1 - STRENGTH) * picture[where] + STRENGTH * np.array(ImageColor.getrgb(colour))
        picture[where] = tinted.astype(np.uint8)
    picture[_outline(truth)] = 255
    return _uri(picture)


def _small(image, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image as (h, w, 3) and its planes, of at most SIDE pixels; writable copies."""
    image = np.array(image).transpose(1, 2, 0)
    share = min(1, SIDE / max(image.shape[:2]))
    if share == 1:
        return image, planes
    size = tuple(round(share * side) for side in image.shape[1::-1])
    small = [np.array(Image.fromarray(p).resize(size, Image.Resampling.NEAREST)) for p in planes]
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)), np.stack(small)


def _outline(plane: np.ndarray) -> np.ndarray:
    """The plane's pixels with a neighbour, above, below or beside, that is not of it; the image's edge is none."""
    padded = np.pad(plane, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return plane & ~inside


def _uri(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
