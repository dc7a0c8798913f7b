"""Decoded once: a source's images and masks at one size, kept as memory-mapped uint8 arrays in the cache folder.

A store is built in parallel, straight into its files, so that a set may be larger than memory; it takes its name
only when all of it is there. One process builds, others wait for it; all of them then share its pages. A damaged
store is built anew.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from seglib import atomic, digest, paths, runtime
from seglib.data import fingerprint
from seglib.data.core import BORDER, SPLITS, Dataset, File, Source, Split, unusable
from seglib.progress import Count

FEW = 16  # samples decoded where a few will do
DIGESTS = "digests.json"  # of a stored folder: file → sha256
FORMAT = 2  # goes up when what is stored, or how it is decoded, changes


def dataset(source: Source, fingerprint: str) -> Dataset:
    """The source, decoded by the first call and opened from the store by the later ones.

    Raises: ValueError that lists every sample that cannot be decoded.
    """
    config = source.config
    folder = stored(name_of(source, fingerprint), lambda scratch: _build(source, scratch))
    arrays = {file.stem: opened(file) for file in folder.glob("*.npy")}
    splits = {
        split: Split(tuple(source.names(split)), arrays[f"{split}_images"], arrays[f"{split}_masks"])
        for split in SPLITS
    }
    for split, part in splits.items():
        assert len(part.names) == len(part.images) == len(part.masks), f"{folder} does not hold {split} of its source"
    rules = {rule: arrays[f"test_masks_{rule}"] for rule in source.border_rules}
    files = {name: File(*seen) for name, seen in json.loads((folder / "files.json").read_text()).items()}
    return Dataset(
        config.dataset, source.task, source.class_names(), source.note(), fingerprint, **splits,
        border_targets=rules, files=files,
    )  # fmt: skip


def name_of(source: Source, fingerprint: str) -> str:
    """What the store calls the folder of a source at its config's image size."""
    config = source.config
    border = config.border if source.border_rules else ""
    key = digest.of_value([FORMAT, config.dataset, source.task, config.image_size, border, fingerprint])[:24]
    return f"{config.dataset}-{config.image_size}-{key}"


def sample(source: Source, counts: Mapping[str, int]) -> Dataset:
    """Splits of so many images, made of a few decoded now and repeated: as costly to train on, and nothing is stored.

    Args: counts — split → images; a split with fewer samples of its own repeats them.
    """
    splits, rules = {}, {}
    for split, count in counts.items():
        names = source.names(split)[: min(count, FEW)]
        decoded = [source.sample(split, name, source.config.image_size) for name in names]
        rows = torch.arange(count) % len(names)
        targets = [_targets(source, split, mask) for _, mask in decoded]
        stacked = {kind: torch.stack([target[kind] for target in targets])[rows] for kind in targets[0]}
        images = torch.stack([image for image, _ in decoded])[rows]
        splits[split] = Split(tuple(f"{names[row]} {i}" for i, row in enumerate(rows)), images, stacked.pop("masks"))
        rules |= {kind.removeprefix("masks_"): masks for kind, masks in stacked.items()}
    return Dataset(
        source.config.dataset, source.task, source.class_names(), source.note(), "", **splits, border_targets=rules
    )


def stored(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of that name in the store; if it is not there, `build` fills a scratch folder that becomes it."""
    folder = place(name)
    if _is_whole(folder):
        return folder
    with _alone(folder):
        if _is_whole(folder):  # another process was quicker
            return folder
        for left in folder.parent.glob(f".{name}-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        try:
            build(scratch)
            digests = {file.name: digest.of_file(file) for file in scratch.iterdir()}
            atomic.write(scratch / DIGESTS, json.dumps(digests, indent=1))
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            os.rename(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def place(name: str) -> Path:
    """Where the store has, or would have, the folder of that name."""
    return paths.cache() / "decoded" / name


def _is_whole(folder: Path) -> bool:
    """Whether all files of a stored folder are there as they were written; each is read once in each state."""
    try:
        known = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        found = fingerprint.of_files([folder / name for name in known], folder)
    except (OSError, ValueError, AttributeError):
        return False
    return known == {file.name: value for file, value in found.items()}


def created(file: Path, shape: tuple[int, ...]):
    """A new memory-mapped uint8 array, to be filled in place."""
    import numpy as np

    if 0 in shape:  # cannot be mapped
        np.save(file, np.zeros(shape, np.uint8))
        return np.zeros(shape, np.uint8)
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)


def opened(file: Path) -> torch.Tensor:
    """An array of the store as a tensor, of which only what is looked at is read."""
    import numpy as np

    # "c": private pages, since torch wants to be able to write; the files are never written
    return torch.from_numpy(np.load(file, mmap_mode="c"))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the right to build a folder; the system frees it if the process dies."""
    lock = folder.parent / ".locks" / folder.name
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(source: Source, scratch: Path) -> None:
    """Decodes every sample of the source into arrays of the scratch folder."""
    size, total = source.config.image_size, sum(len(source.names(split)) for split in SPLITS)
    problems: list[str] = []
    progress = Count(f"decoding {source.config.dataset}, {size} px", total, "images")
    for split in SPLITS:
        arrays = {}

        def decode(i: int, name: str, split=split, arrays=arrays) -> None:
            try:
                image, mask = source.sample(split, name, size)
            except (ValueError, FileNotFoundError) as error:
                problems.append(str(error))
            else:
                for kind, tensor in {"images": image, **_targets(source, split, mask)}.items():
                    arrays[kind][i] = tensor.numpy()
            progress.add()

        channels = (len(source.class_names()),) if source.task == "planes" else ()
        names = source.names(split)
        arrays["images"] = created(scratch / f"{split}_images.npy", (len(names), 3, size, size))
        for kind in _targets(source, split, torch.zeros(1, dtype=torch.uint8)):
            arrays[kind] = created(scratch / f"{split}_{kind}.npy", (len(names), *channels, size, size))
        with ThreadPoolExecutor(runtime.cores()) as pool:
            list(pool.map(decode, range(len(names)), names))
    progress.finish()
    if problems:
        raise unusable(source.config.dataset, problems)
    (scratch / "files.json").write_text(json.dumps(source.seen, sort_keys=True))


def _targets(source: Source, split: str, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """A decoded mask as what is stored of it: under the config's border rule, and for test under every rule."""
    if not source.border_rules:
        return {"masks": mask}
    value = source.border_rules[source.config.border]
    rules = source.border_rules if split == "test" else {}
    return {"masks": mask.where(mask != BORDER, value)} | {
        f"masks_{rule}": mask.where(mask != BORDER, value) for rule, value in rules.items()
    }
