"""`predict`: a finished run's masks of images of one's own, each at its image's own size, in a folder.

| in the folder | what |
|---|---|
| masks/a.jpg.png | of image a.jpg, in the size a viewer shows it, 8 bits. Binary: 0 and 255, grey. Multiclass: class |
| | ids 0, 1, … with a palette. Planes: a folder per class, masks/disk/a.jpg.png, each 0 and 255 |
| probabilities/a.jpg.png | if asked for: 16 bits, grey, probability · 65535; of several classes a folder per class |
| overlays/a.jpg.jpg | if asked for: the mask over its image in grey, at most 1280 pixels, to look at |
| areas.csv | image × class: pixels, share of the image (of planes, which overlap, shares may add up to more than 1) |
| scores.csv | with masks: Dice and IoU per image, at its own size; of several classes also one by one |
| unreadable.csv | images and masks that could not be read, and why |
| manifest.json, images.jsonl | the run and settings, and what is done: a second call goes on from there |

Sub-folders are kept. An image whose files are there and whose content, run and settings are the same is left alone.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from seglib import atomic, chosen, runtime
from seglib.evaluation import EVAL_BATCH
from seglib.prediction import encoding, photo, sources, stream
from seglib.prediction.predictor import Predictor, Way
from seglib.prediction.sources import Image
from seglib.prediction.stream import Read
from seglib.prediction.target import Target, alone, check
from seglib.prediction.truth import Truth, scores
from seglib.progress import Count
from seglib.runs import Run

FORMAT = 1  # of the folder; goes up when a mask of the same run and settings would be another


@dataclass
class Predictions:
    """What a call of `predict` did."""

    run: Run
    folder: Path
    done: int = 0  # images predicted now
    kept: int = 0  # images that were there already
    unreadable: dict[str, str] = field(default_factory=dict)  # image, or its mask → why
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)  # image → Dice, IoU; of those with a mask


def predict(
    run: str | Run,
    images: str | Path | Sequence[str | Path],
    target: str | Path,
    *,
    masks: str | Path | None = None,
    recursive: bool = False,
    probabilities: bool = False,
    overlays: bool = False,
    flips: str = "none",
    tile: int = 0,
    overlap: float = Way.overlap,
    by: str = "",
    device: str = "auto",
    batch_size: int = EVAL_BATCH,
) -> Predictions:
    """Predicts a mask for every image and writes the files that this module's docstring lists into `target`.

    Args: run — a run, its key, the start of one, or `best:STUDY` (see `chosen.choose`; `by` is its score);
        images — files, folders, glob patterns; masks — a folder with the images' masks, if they are to be scored;
        recursive — folders with all that is below them; flips — none, horizontal, vertical or both: the mean of the
        probabilities over the image and its mirror images; tile, overlap — side in pixels and share: large images in
        tiles, each resized to the size of training; device — auto, cpu, cuda, mps; batch_size — images, or tiles, at
        once: changes speed and memory, and the last bits of what is computed.
    Raises: FileNotFoundError for a run, source or folder of masks that is not there; ValueError for settings that
        cannot be, and for a target that holds anything else. An image that cannot be read raises nothing: it is listed.
    """
    run = run if isinstance(run, Run) else chosen.choose(run, by).run
    wanted = [images] if isinstance(images, str | Path) else images
    found = sources.find(wanted, target, recursive)
    way = Way(flips, tile, overlap)
    predictor = Predictor(run, device)
    names = [image.name for image in found]
    truth = Truth.of(masks, predictor.config, predictor.class_names, names) if masks is not None else None
    same = manifest(predictor, way)
    check(Path(target), same)  # before a lock is put into a folder that is somebody else's
    with alone(Path(target)):
        folder = Target(Path(target), same, {**legend(predictor), **runtime.describe()})
        kinds = {"masks": True, "probabilities": probabilities, "overlays": overlays}
        job = _Job(predictor, way, folder, [kind for kind, asked in kinds.items() if asked], truth)
        return job.run(found, batch_size)


def manifest(predictor: Predictor, way: Way) -> dict:
    """What must be the same of all masks in a folder."""
    run = predictor.run
    weights = run.meta["files"]["model.safetensors"]["sha256"]
    return {"format": FORMAT, "run": run.key, "weights": weights, "settings": way.settings()}


def legend(predictor: Predictor) -> dict:
    """What the masks' values mean."""
    task, names = predictor.config.task, predictor.class_names
    values = dict.fromkeys(names, 255) if task != "multiclass" else {name: i for i, name in enumerate(names)}
    return {"task": task, "values": values, "model": chosen.title(predictor.run)}


class _Job:
    """One call at work."""

    def __init__(self, predictor: Predictor, way: Way, target: Target, kinds: Sequence[str], truth: Truth | None):
        self.predictor, self.way, self.target, self.truth = predictor, way, target, truth
        self.names, self.task = predictor.class_names, predictor.config.task
        channels = {"masks": self.task == "planes", "probabilities": len(self.names) > 1, "overlays": False}
        self.kinds = {kind: self.names if channels[kind] else ("",) for kind in kinds}
        self.found = Predictions(predictor.run, target.folder)

    def run(self, images: Sequence[Image], batch_size: int) -> Predictions:
        progress = Count(f"predicting with {self.predictor.run.key}", len(images), "images")
        with stream.Workers(self.way, batch_size) as workers:
            reads = workers.read(self._read, images)
            logits = stream.forwarded(reads, self.predictor, self.way, batch_size)
            for read, entry, problem in workers.finish(self._finish, logits):
                self._note(read, entry, problem)
                progress.add()
        progress.finish()
        self._write_tables([image.name for image in images])
        return self.found

    def _read(self, image: Image) -> Read:
        return stream.read(image, self.predictor.side, self.way, self._is_done)

    def _is_done(self, image: Image, sha256: str) -> bool:
        entry = self.target.entries.get(image.name)
        return bool(entry) and entry["sha256"] == sha256 and self.target.has(entry, self.kinds)

    def _finish(self, read: Read, logits) -> tuple[Read, dict | None, str]:
        """Makes and writes all files of an image, and scores its mask; in a thread of its own."""
        if read.error:
            return read, None, read.error
        if logits is None:
            entry = dict(self.target.entries[read.image.name])
        else:
            self.target.check_same_image(*read.image, read.sha256)
            entry, mask = self._written(read, logits)
        if self.truth is None:
            return read, entry, ""
        try:
            files = self.truth.files(read.image.name)
            if files and entry.get("truth") != (digest := self.truth.digest(files)):
                if logits is None:
                    mask = torch.from_numpy(encoding.read_masks(self._files("masks", read.image.name), self.task))
                entry |= {"truth": digest, "counts": self.truth.counts(read.image.name, files, mask)}
        except (OSError, ValueError) as error:
            return read, entry, str(error)
        return read, entry, ""

    def _written(self, read: Read, logits) -> tuple[dict, torch.Tensor]:
        probs = self.predictor.probabilities(logits, read.photo, self.way)
        mask = self.predictor.mask(probs)
        contents = {"masks": lambda: encoding.masks(mask.numpy(), self.task, self.names)}
        contents["probabilities"] = lambda: encoding.probabilities(probs.cpu().numpy(), self.names)
        contents["overlays"] = lambda: {"": self._overlay(read.image.path, mask)}
        for kind in self.kinds:
            for channel, content in contents[kind]().items():
                atomic.write(self.target.file(kind, read.image.name, channel), content)
        height, width = read.photo.size
        entry = {
            "image": read.image.name, "path": str(read.image.path), "sha256": read.sha256, "width": width,
            "height": height, "remark": read.photo.remark, "pixels": self._areas(mask.numpy()),
        }  # fmt: skip
        return entry, mask

    def _overlay(self, path: Path, mask: torch.Tensor) -> bytes:
        picture, _ = photo.upright(path, encoding.LONGEST)
        return encoding.overlay(picture, mask.numpy(), self.names)

    def _areas(self, mask: np.ndarray) -> list[int]:
        values = range(len(self.names)) if self.task == "multiclass" else [1]
        planes = mask if self.task == "planes" else [mask]
        return [int(np.count_nonzero(plane == value)) for plane in planes for value in values]

    def _files(self, kind: str, name: str) -> dict[str, Path]:
        return {channel: self.target.file(kind, name, channel) for channel in self.kinds[kind]}

    def _note(self, read: Read, entry: dict | None, problem: str) -> None:
        name = read.image.name
        if problem:
            self.found.unreadable[name if entry is None else f"{name} (its mask)"] = problem
        if entry is None:
            return
        if read.photo is not None:
            self.found.done += 1
        else:
            self.found.kept += 1
        if entry != self.target.entries.get(name):
            self.target.add(entry)

    def _write_tables(self, names: Sequence[str]) -> None:
        """The tables of all images in the folder; scores of those that this call named, if it has masks."""
        folder = self.target.folder
        entries = {n: entry for n, entry in sorted(self.target.entries.items()) if n not in self.found.unreadable}
        _table(folder / "areas.csv", ("image", "class", "pixels", "share"), _area_rows(entries, self.names))
        problems = sorted(self.found.unreadable.items())
        _table(folder / "unreadable.csv", ("image", "why"), problems)
        if self.truth is not None:
            counts = {n: entries[n]["counts"] for n in names if "counts" in entries.get(n, ())}
            self.found.scores = {name: scores(rows, self.task) for name, rows in counts.items()}
            several = self.names if len(self.names) > 1 else ()
            header = ("image", "Dice", "IoU", *(f"{score} {name}" for name in several for score in ("Dice", "IoU")))
            rows = ([n, *self.found.scores[n], *_one_by_one(rows, several, self.task)] for n, rows in counts.items())
            _table(folder / "scores.csv", header, rows)


def _area_rows(entries: Mapping[str, Mapping], names: Sequence[str]) -> Iterable[tuple]:
    for name, entry in entries.items():
        size = entry["width"] * entry["height"]
        for label, pixels in zip(names, entry["pixels"], strict=True):
            yield name, label, pixels, f"{pixels / size:.6f}"


def _one_by_one(counts: Sequence, several: Sequence[str], task: str) -> list[float]:
    return [score for row in counts for score in scores([row], task)] if several else []


def _table(file: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A CSV file; what of a name is no Unicode is written as its escape."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([header, *rows])
    atomic.write(file, buffer.getvalue().encode("utf-8", "backslashreplace"))
