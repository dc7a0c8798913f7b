"""What flips and tiles do to a run's scores on images whose masks are known: each way on the same images, paired."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seglib import atomic, stats
from seglib.evaluation import EVAL_BATCH
from seglib.prediction import sources, stream
from seglib.prediction.predictor import Predictor, Way
from seglib.prediction.sources import Image
from seglib.prediction.truth import Truth, scores
from seglib.runs import Run

PLAIN = "plain"
SCORES = ("Dice", "IoU")


def ways(flips: str, tile: int, overlap: float) -> dict[str, Way]:
    """Plain, and each of what is asked for alone and together.

    Raises: ValueError if nothing is asked for that could be compared.
    """
    turned, parts = f"flips {flips}", f"tiles of {tile} px"
    found = {PLAIN: Way(), turned: Way(flips), parts: Way(tile=tile, overlap=overlap)}
    found[f"{turned}, {parts}"] = Way(flips, tile, overlap)
    different = {tuple(way.settings().values()): label for label, way in reversed(found.items())}
    if len(different) == 1:
        raise ValueError("nothing to compare with plain; give flips (both, horizontal, vertical), a tile, or both")
    return {label: way for label, way in found.items() if label in different.values()}


def scored(
    run: Run,
    images: Sequence[str | Path],
    target: str | Path,
    masks: str | Path,
    asked: dict[str, Way],
    *,
    recursive: bool = False,
    device: str = "auto",
    batch_size: int = EVAL_BATCH,
) -> pd.DataFrame:
    """Image × way: image, way, Dice, IoU, seconds (of the way, per image). Writes nothing; skips what cannot be read.

    Args: as for `predict`, whose masks are of one way; asked — label → way.
    Raises: as `predict`; ValueError if no image could be scored.
    """
    predictor, rows = Predictor(run, device), []
    found = sources.find(images, target, recursive)
    truth = Truth.of(masks, predictor.config, predictor.class_names, [image.name for image in found])
    known = [image for image in found if truth.has(image.name)]
    for label, way in asked.items():
        started = time.perf_counter()
        values = _scored(predictor, known, truth, way, batch_size)
        seconds = (time.perf_counter() - started) / max(len(values), 1)
        rows += [(name, label, *pair, seconds) for name, pair in values.items()]
    if not rows:
        raise ValueError(f"nothing to compare: of {len(known)} images with a mask in {masks} none could be scored")
    return pd.DataFrame(rows, columns=["image", "way", *SCORES, "seconds"])


def table(found: pd.DataFrame) -> pd.DataFrame:
    """One row per way: mean Dice and IoU with intervals, paired differences from plain, p (Holm's), ms per image.

    Intervals and tests are over the images, for this trained model; see `seglib.stats`. Few images have none.
    """
    by_way = {score: found.pivot(index="image", columns="way", values=score) for score in SCORES}
    labels = list(dict.fromkeys(found["way"]))
    rows = {}
    for label in labels:
        rows[label] = {score: _estimate(by_way[score][label]) for score in SCORES}
        for score in SCORES:
            pair = [by_way[score][name].to_numpy()[None] for name in (label, PLAIN)]
            compared = None if label == PLAIN else stats.compare(*pair, (0.0, 1.0))
            rows[label][f"Δ {score}"] = compared.difference if compared else "–"
            rows[label][f"p {score}"] = compared.p if compared else np.nan
        rows[label]["ms per image"] = 1000 * found.loc[found["way"] == label, "seconds"].iloc[0]
    whole = pd.DataFrame.from_dict(rows, orient="index")
    for score in SCORES:
        whole[f"p {score}"] = stats.holm(whole[f"p {score}"].to_numpy(float))
    return whole


def as_text(whole: pd.DataFrame) -> str:
    """The table for a terminal."""
    shown = whole.astype(object)
    for column in shown:
        if column.startswith("p "):
            shown[column] = ["–" if np.isnan(p) else stats.p_text(p).removeprefix("= ") for p in whole[column]]
    shown["ms per image"] = [f"{ms:.1f}" for ms in whole["ms per image"]]
    return shown.map(str).to_string()


def write(found: pd.DataFrame, folder: Path) -> Path:
    """The scores of each image in each way as compare.csv."""
    text = found.to_csv(index=False, lineterminator="\n")
    atomic.write(folder / "compare.csv", text.encode("utf-8", "backslashreplace"))
    return folder / "compare.csv"


def _estimate(values: pd.Series) -> stats.Estimate:
    return stats.estimate(values.to_numpy()[None], (0.0, 1.0))


def _scored(predictor: Predictor, images: Sequence[Image], truth: Truth, way: Way, batch_size: int) -> dict:
    """Image → Dice, IoU."""

    def read(image: Image) -> stream.Read:
        return stream.read(image, predictor.side, way, lambda *_: False)

    def finish(each: stream.Read, logits) -> tuple[str, tuple[float, float] | None]:
        if logits is None:
            return each.image.name, None
        mask = predictor.mask(predictor.probabilities(logits, each.photo, way))
        try:
            counts = truth.counts(each.image.name, truth.files(each.image.name), mask)
        except ValueError:  # `predict` tells of it
            return each.image.name, None
        return each.image.name, scores(counts, predictor.config.task)

    with stream.Workers(way, batch_size) as workers:
        reads = workers.read(read, images)
        found = workers.finish(finish, stream.forwarded(reads, predictor, way, batch_size))
        return {name: values for name, values in found if values is not None}
