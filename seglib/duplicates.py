"""Near-duplicates: pictures that two splits share, so that a test score would be partly remembered.

Two images are alike if their difference hashes differ in few bits and their thumbnails agree; the hash finds the
pairs, the thumbnails keep plain pictures (a small shape on black) from all looking alike.
"""

import pandas as pd
import torch
import torch.nn.functional as F

from seglib.data.core import Dataset, Split

BITS = 16  # a hash has 16 × 16 of them
NEAR = 26  # bits that may differ, of 256
ALIKE = 0.97  # least correlation of the thumbnails, 16 × 16 in colour
PAIRS = (("train", "test"), ("val", "test"), ("train", "val"))
BATCH = 1024  # images compared with all others at once


def near_duplicates(dataset: Dataset) -> pd.DataFrame:
    """Pairs of images of different splits that look alike, most alike first.

    Returns: columns split, image, other split, other image, bits (that differ, of 256), correlation (of thumbnails);
        and row, other row: where the images are in their splits. Fixed copies are not asked: they are made to differ.
    """
    hashes = {name: _signatures(split) for name, split in dataset.splits().items()}
    rows = [row for one, other in PAIRS for row in _pairs(dataset, hashes, one, other)]
    columns = ["split", "image", "other split", "other image", "bits", "correlation", "row", "other row"]
    return pd.DataFrame(rows, columns=columns).sort_values(["bits", "correlation"], ascending=[True, False])


def difference_hash(images: torch.Tensor) -> torch.Tensor:
    """Whether brightness rises from each cell of a coarse grid to its right neighbour: (N, 256) of ±1.

    Shape: images (N, 3, H, W) uint8.
    """
    grey = F.interpolate(images.float().mean(1, keepdim=True), size=(BITS, BITS + 1), mode="area")[:, 0]
    return (grey.diff(dim=-1) > 0).flatten(1).float() * 2 - 1


def _signatures(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Hashes (N, 256) and thumbnails (N, 768) of mean 0 and length 1, of the images that are no copies."""
    originals = sum("~" not in name for name in split.names)  # they come first
    hashes, thumbs = [torch.empty(0, BITS**2)], [torch.empty(0, 3 * BITS**2)]
    for images, _ in split.batches():
        hashes.append(difference_hash(images))
        flat = F.interpolate(images.float(), size=(BITS, BITS), mode="area").flatten(1)
        thumbs.append(F.normalize(flat - flat.mean(1, keepdim=True), dim=1))
    return torch.cat(hashes)[:originals], torch.cat(thumbs)[:originals]


def _pairs(dataset: Dataset, signatures: dict, one: str, other: str) -> list[tuple]:
    (hashes, thumbs), (other_hashes, other_thumbs) = signatures[one], signatures[other]
    names, other_names, found = dataset.splits()[one].names, dataset.splits()[other].names, []
    for start in range(0, len(hashes), BATCH):
        bits = (BITS**2 - hashes[start : start + BATCH] @ other_hashes.T) / 2
        for i, j in (bits <= NEAR).nonzero().tolist():
            correlation = float(thumbs[start + i] @ other_thumbs[j])
            if correlation >= ALIKE:
                pair = (one, names[start + i], other, other_names[j], int(bits[i, j]), round(correlation, 3))
                found.append((*pair, start + i, j))
    return found
