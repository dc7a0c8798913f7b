"""Decoded once: a source's images and masks at one size, kept as memory-mapped uint8 arrays in the cache folder."""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from seglib import digest, paths, runtime
from seglib.data.core import SPLITS, Source, Split

FORMAT = 1  # goes up when what is stored, or how it is decoded, changes


def splits(source: Source, dataset: str, size: int, fingerprint: str) -> dict[str, Split]:
    """The source's splits, decoded by the first call and opened from the store by the later ones."""
    key = digest.of_value([FORMAT, dataset, source.task, size, fingerprint])[:24]
    folder = paths.cache() / "decoded" / f"{dataset}-{size}-{key}"
    if not folder.is_dir():
        _build(source, size, folder)
    return {split: _open(source, split, folder) for split in SPLITS}


def _build(source: Source, size: int, folder: Path) -> None:
    """Decodes every sample into a folder of its own, which takes its name only when all of it is there."""
    import numpy as np

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with ThreadPoolExecutor(runtime.cores()) as pool:
            for split in SPLITS:
                names = source.names(split)
                decoded = list(pool.map(lambda name, split=split: source.sample(split, name, size), names))
                for kind, arrays in zip(("images", "masks"), zip(*decoded, strict=True), strict=True):
                    np.save(scratch / f"{split}_{kind}.npy", torch.stack(arrays).numpy())
        os.rename(scratch, folder)
    except OSError:
        if not folder.is_dir():  # else another process was quicker, and its folder is the same
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _open(source: Source, split: str, folder: Path) -> Split:
    import numpy as np

    # "c": private pages, since torch wants to be able to write; the files are never written
    images, masks = (torch.from_numpy(np.load(folder / f"{split}_{k}.npy", mmap_mode="c")) for k in ("images", "masks"))
    names = tuple(source.names(split))
    assert len(names) == len(images) == len(masks), f"{folder} does not hold the {split} split of its source"
    return Split(names, images, masks)
