"""Large images in tiles that overlap, and what the tiles show put together without seams.

Along each side the tiles lie evenly, all of one length, each overlapping the next by at least the share asked for. A
tile counts fully in its middle and less and less towards its ends, over the length of the overlap; at every pixel the
weights of all tiles add up to 1, so that what all tiles agree on stays as it is.
"""

import math

import torch

MOST = 0.9  # of a tile that may overlap the next: more would take hundreds of tiles


def check(tile: int, overlap: float) -> None:
    """Raises ValueError for a tile (pixels, 0 = none) or an overlap (share of a tile) that cannot be."""
    if tile < 0 or 0 < tile < 32:
        raise ValueError(f"tile is {tile}, expected its side in pixels, at least 32 (0 = the whole image at once)")
    if not 0 <= overlap <= MOST:
        raise ValueError(f"overlap is {overlap}, expected a share of the tile from 0 to {MOST}")


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where the tiles along a side of that length start, in pixels."""
    if tile >= length:
        return [0]
    step = max(1, math.floor(tile * (1 - overlap)))
    count = 1 + math.ceil((length - tile) / step)
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def boxes(size: tuple[int, int], tile: int, overlap: float) -> list[tuple[slice, slice]]:
    """Rows and columns of each tile of an image (height, width), row by row; one for all of it where it fits."""
    rows, columns = ([slice(s, s + min(tile, n)) for s in starts(n, tile, overlap)] for n in size)
    return [(row, column) for row in rows for column in columns]


def weights(length: int, tile: int, overlap: float) -> torch.Tensor:
    """What each tile counts along a side: (tiles, min(tile, length)) float32, of which those on a pixel add up to 1."""
    places, tile = starts(length, tile, overlap), min(tile, length)
    to_end = torch.minimum(torch.arange(tile) + 0.5, tile - torch.arange(tile) - 0.5).double()
    ramp = (to_end / (overlap * tile)).clamp(max=1) if overlap else torch.ones(tile, dtype=torch.float64)
    total = torch.zeros(length, dtype=torch.float64)
    for start in places:
        total[start : start + tile] += ramp
    return torch.stack([ramp / total[start : start + tile] for start in places]).float()


def blended(parts, size: tuple[int, int], tile: int, overlap: float) -> torch.Tensor:
    """The whole, (C, *size) in [0, 1], from what each tile shows: an iterable of (C, h, w) in the order of `boxes`."""
    down, across = (weights(length, tile, overlap) for length in size)
    whole = None
    for i, ((rows, columns), part) in enumerate(zip(boxes(size, tile, overlap), parts, strict=True)):
        if whole is None:
            whole, down, across = part.new_zeros((len(part), *size)), down.to(part.device), across.to(part.device)
        whole[:, rows, columns] += part * down[i // len(across)][:, None] * across[i % len(across)]
    return whole.clamp_(0, 1)  # a sum of weights may be 1 and a rounding
