"""Prompts for Segment Anything, made from masks: a box or a point for each object of a class.

A mask says where a class is, not which pixels are one object; each of its connected parts (8 neighbours) gets a prompt
of its own, but for specks. Coordinates are x, y in pixels; a pixel covers [i, i + 1).
"""

import zlib

import numpy as np

MOST = 10  # prompts of a class in an image: of more parts the largest
SPECK = 0.0005  # of the image: smaller parts get no prompt, unless there is no larger one
MOST_JITTER = 0.5  # of a side: at it, two sides of a box could meet

AUTOMATIC, POINT, TRUE_BOX, OUR_BOX = "automatic masks", "point in the truth", "box around the truth", "box around ours"
SOURCES = {
    AUTOMATIC: "a grid of points, no prompt; of the masks that SAM keeps, the one of best IoU with each true object is "
    "taken: an oracle chooses",
    POINT: "the point of each true object that is farthest from its edge: an oracle prompts",
    TRUE_BOX: "the box around each true object: an oracle prompts",
    OUR_BOX: "the box around each part of our best model's prediction: no oracle, nothing of the truth is used",
}
ORACLES = (AUTOMATIC, POINT, TRUE_BOX)


def named(source: str) -> str:
    """A source as tables and figures name it."""
    return f"{source} (oracle)" if source in ORACLES else source


def parts(mask: np.ndarray) -> np.ndarray:
    """The connected parts of a mask (S, S) bool that get a prompt, the largest first: (n, S, S) bool."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")[:MOST]
    large = [i for i in order if sizes[i] >= SPECK * mask.size]
    return np.stack([labels == i + 1 for i in large or order[:1]]) if count else np.zeros((0, *mask.shape), bool)


def boxes(mask: np.ndarray) -> np.ndarray:
    """The box around each part: x and y of two corners, (n, 4) float64."""
    found = [_box(part) for part in parts(mask)]
    return np.array(found, float).reshape(-1, 4)


def _box(part: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def points(mask: np.ndarray) -> np.ndarray:
    """Of each part the centre of the pixel that is farthest from the part's edge: x and y, (n, 2) float64."""
    from scipy import ndimage

    found = []
    for part in parts(mask):
        distance = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]  # beyond the image is outside
        row, column = np.unravel_index(distance.argmax(), part.shape)
        found.append((column + 0.5, row + 0.5))
    return np.array(found, float).reshape(-1, 2)


def jittered(found: np.ndarray, amount: float, seed: int, image: str, channel: int, size: int) -> np.ndarray:
    """Boxes (n, 4) with each side moved by up to ± `amount` of the box's width or height, uniformly; cut at the image.

    The draw depends on the seed, the image's name and the class's channel alone: the same box moves the same way, twice
    as far, at twice the amount, and whichever other images there are.
    """
    drawn = np.random.default_rng([seed, zlib.crc32(image.encode()), channel]).uniform(-1, 1, (MOST, 4))[: len(found)]
    sides = np.tile(found[:, 2:] - found[:, :2], 2)
    return np.clip(found + amount * sides * drawn, 0, size)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of boxes (n, 4), one by one with those of the same place: (n,)."""
    shared = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = shared.clip(0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


def filled(found: np.ndarray, size: int) -> np.ndarray:
    """The pixels whose centres lie in each box: (n, S, S) bool."""
    centres = np.arange(size) + 0.5
    x, y = ((found[:, [i]] <= centres) & (centres < found[:, [i + 2]]) for i in (0, 1))
    return y[:, :, None] & x[:, None, :]
