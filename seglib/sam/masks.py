"""From what Segment Anything answers to predictions like a model's own: one channel per class, scored alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from seglib import metrics, runtime
from seglib.data.core import Dataset
from seglib.sam import prompts

MATCH = 0.5  # IoU from which on an automatic mask counts as a true object's
INSIDE = 0.9  # share of an automatic mask within one true object from which on it is a part of it
COUNTED = ("masks", "matching", "parts", "elsewhere", "claimed")  # of automatic masks, per image


@dataclass(frozen=True)
class Question:
    """Where the prompts come from, and how far a true box's sides are moved, as a share of them; or how many points a
    side of the automatic grid has."""

    source: str
    jitter: float = 0.0
    points: int = 0
    seed: int = 0  # of the jitter


@dataclass(frozen=True)
class Answers:
    """All images under one question: pred (N, C, S, S) bool, channels as a model's; rows, one dict per image."""

    pred: torch.Tensor
    rows: list[dict]


def ask(sam, dataset: Dataset, ours: np.ndarray, questions: list[Question], pulse: Callable[[], None]) -> list[Answers]:
    """Every question, asked of every test image; an image is encoded once for all of them.

    Args: sam — a `network.Sam` or `FilledBox`; ours — the predicted channels (N, C, S, S) bool that boxes around ours
        are made from; pulse — called after each image.
    Rows hold encode_seconds and answer_seconds, memory_mb (the peak while this image was encoded and all questions
    answered: a GPU's, or on the CPU the whole process's), prompts, and of automatic masks the COUNTED.
    """
    truths, found = true_channels(dataset).numpy(), [([], []) for _ in questions]
    kind = getattr(sam, "device", torch.device("cpu")).type
    for n, (name, image) in enumerate(zip(dataset.test.names, dataset.test.images, strict=True)):
        runtime.reset_peak_memory(kind)
        encoded, encoding = _timed(kind, partial(sam.encode, image))
        for question, (preds, rows) in zip(questions, found, strict=True):
            about = truths[n], ours[n], dataset.task, name
            (logits, told), seconds = _timed(kind, partial(_answer, sam, encoded, question, *about))
            preds.append(combined(logits, dataset.task))
            rows.append({"image": name, "encode_seconds": encoding, "answer_seconds": seconds, **told})
        memory = runtime.peak_memory_mb(kind)
        for _, rows in found:
            rows[-1]["memory_mb"] = memory
        pulse()
    return [Answers(torch.from_numpy(np.stack(preds)), rows) for preds, rows in found]


def true_channels(dataset: Dataset) -> torch.Tensor:
    """Where each class is in the test images: (N, C, S, S) bool, off where ignored."""
    truth, valid = metrics.one_hot(dataset.test.masks, dataset.task, dataset.num_classes)
    return truth & valid


def objects(channels: np.ndarray, task: str) -> np.ndarray:
    """The channels that are prompted for: all but the background of several exclusive classes."""
    return channels[1 if task == "multiclass" else 0 :]


def boxes_of(question: Question, mask: np.ndarray, image: str, channel: int) -> np.ndarray:
    """The boxes that a question gives for a class, the one of that place in `objects`, moved as it says: (n, 4)."""
    boxes = prompts.boxes(mask)
    if not question.jitter:
        return boxes
    return prompts.jittered(boxes, question.jitter, question.seed, image, channel, mask.shape[-1])


def _answer(sam, encoded, question: Question, truth, ours, task: str, name: str) -> tuple[np.ndarray, dict]:
    """Logits per class (K, S, S), −inf where nothing was claimed, and what is told of the image."""
    if question.source == prompts.AUTOMATIC:
        return matched(sam.automatic(encoded, question.points), objects(truth, task))
    planes = objects(ours if question.source == prompts.OUR_BOX else truth, task)
    count, logits = 0, []
    for k, plane in enumerate(planes):
        given = prompts.points(plane) if question.source == prompts.POINT else boxes_of(question, plane, name, k)
        found = (sam.points if question.source == prompts.POINT else sam.boxes)(encoded, given)
        logits.append(found.max(0) if len(given) else np.full(plane.shape, -np.inf))
        count += len(given)
    return np.stack(logits), {"prompts": count, **dict.fromkeys(COUNTED, float("nan"))}


def matched(masks: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, dict]:
    """Automatic masks (M, S, S) given to the classes (K, S, S) by the truth: of each true object the mask of best IoU.

    Logits are that IoU where a mask was given, −inf elsewhere. Told are how many masks there are; how many match an
    object (IoU of at least MATCH); how many of the others are a part of one (INSIDE it: over-segmentation); how many
    lie elsewhere; and which share of the true background's pixels those that match nothing claim. SAM's masks have no
    class, so that one elsewhere may well be a thing: it is a false positive only to who takes each mask for an object.
    """
    logits = np.full(truth.shape, -np.inf)
    best, inside = np.zeros(len(masks)), np.zeros(len(masks))
    sizes = masks.sum((1, 2))
    for k, plane in enumerate(truth):
        for part in prompts.parts(plane):
            shared = (masks & part).sum((1, 2))
            iou = shared / np.maximum(sizes + part.sum() - shared, 1)
            best, inside = np.maximum(best, iou), np.maximum(inside, shared / np.maximum(sizes, 1))
            if len(masks) and iou.max() > 0:
                logits[k] = np.maximum(logits[k], np.where(masks[iou.argmax()], iou.max(), -np.inf))
    strange = best < MATCH
    background = ~truth.any(0)
    claimed = masks[strange].any(0)[background].mean() if strange.any() and background.any() else 0.0
    within = int((strange & (inside >= INSIDE)).sum())
    counts = (len(masks), int((~strange).sum()), within, int(strange.sum()) - within, float(claimed))
    return logits, {"prompts": 0, **dict(zip(COUNTED, counts, strict=True))}


def combined(logits: np.ndarray, task: str) -> np.ndarray:
    """Logits per class (K, S, S) as predicted channels, bool: above 0; of exclusive classes the highest above 0, else
    the background, which is channel 0."""
    if task != "multiclass":
        return logits > 0
    highest = np.concatenate([np.zeros((1, *logits.shape[1:])), logits]).argmax(0)
    return np.stack([highest == channel for channel in range(len(logits) + 1)])


def _timed(kind: str, work: Callable) -> tuple:
    """What work gives, and the seconds until the device is done with it."""
    started = time.perf_counter()
    found = work()
    if kind != "cpu":
        getattr(torch, kind).synchronize()
    return found, time.perf_counter() - started
