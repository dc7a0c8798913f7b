"""Test images as small PNGs inside a page: a prediction's outline, or its errors tinted."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from seglib.plots import style

SIDE = 176  # px, of the longer side: enough for a fine outline on small images, and little to store for large ones
LINE = 2  # px, of an outline
COLOURS = 64  # of a PNG's palette: keeps a page small
STRENGTH = 0.55  # of a tint


def outlined(image, planes: np.ndarray, classes: Sequence[str], side: int = SIDE) -> str:
    """A data URI of an image with the outline of each plane in its class's colour, as the figures have it.

    Args: image (3, H, W) uint8; planes (C, H, W) bool, of the foreground classes.
    """
    picture, planes = _sized(image, planes, side)
    for plane, colour in zip(planes, style.class_colours(classes).values(), strict=True):
        picture[_outline(plane)] = ImageColor.getrgb(colour)
    return _uri(picture)


def errors(image, truth: np.ndarray, pred: np.ndarray) -> str:
    """A data URI of an image with true and false positives and false negatives tinted, the truth outlined in white.

    Args: image (3, H, W) uint8; truth, pred (H, W) bool.
    """
    picture, (truth, pred) = _sized(image, np.stack([truth, pred]), SIDE)
    for colour, where in zip(style.ERRORS.values(), (truth & pred, ~truth & pred, truth & ~pred), strict=True):
        tinted = (1 - STRENGTH) * picture[where] + STRENGTH * np.array(ImageColor.getrgb(colour))
        picture[where] = tinted.astype(np.uint8)
    picture[_outline(truth)] = 255
    return _uri(picture)


def _sized(image, planes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """An image as (h, w, 3) uint8 and its planes, with `side` pixels on the longer side."""
    picture = Image.fromarray(np.asarray(image).transpose(1, 2, 0))
    size = tuple(max(1, round(side * length / max(picture.size))) for length in picture.size)
    masks = [np.array(Image.fromarray(plane).resize(size, Image.Resampling.NEAREST)) for plane in planes]
    return np.array(picture.resize(size, Image.Resampling.BICUBIC)), np.stack(masks)


def _outline(plane: np.ndarray) -> np.ndarray:
    """The plane's pixels less than LINE + 1 steps, up, down or aside, from one not of it; the image's edge is none."""
    inside = plane
    for _ in range(LINE):
        padded = np.pad(inside, 1, mode="edge")
        inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & inside
    return plane & ~inside


def _uri(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
