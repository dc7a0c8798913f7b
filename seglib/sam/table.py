"""Tables of Segment Anything beside a study's models. A row names the source of its prompts, and none is over two."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from seglib import pairwise, reported, runtime, scores, stats
from seglib.runs import Run
from seglib.sam import checkpoints, outputs, prompts
from seglib.sam.comparison import Comparison, Found
from seglib.sam.masks import COUNTED, Question, boxes_of, objects, true_channels
from seglib.stats import Estimate

OVERLAP, EDGES = ("IoU", "Dice", "recall", "precision"), tuple(scores.BOUNDARY)
TIMED = 8  # images on which our models' seconds are measured
OBSERVED = {  # report 5's, on SAM beside mUNet: metric → what it said, and whether SAM is said to be better
    "recall": ("SAM is far more complete: it finds the entire object most times, mUNet often its middle alone", True),
    "boundary IoU": ("SAM's boundaries are accurate and smooth; mUNet's are not smooth", True),
    "precision": ("mUNet is conservative, with few false positives; SAM has some, and over-segments at times", False),
}

Rows = Mapping[str, Sequence[Run]]


def rows(compared: Comparison, found: Found) -> dict[str, list[Run]]:
    """Every row of the page: ours, the best first, then source by source what each checkpoint answers."""
    return {**compared.groups, **{label: [found[name][question]] for label, (name, question) in asked(found).items()}}


def asked(found: Found) -> dict[str, tuple[str, Question]]:
    """Label of each row that was prompted → checkpoint's name and question, source by source."""
    return {
        f"{name}, {prompts.named(source)}": (name, question)
        for source in prompts.SOURCES
        for name, answers in found.items()
        for question in answers
        if question.source == source and not question.jitter
    }


def of_sam(found: Found) -> list[str]:
    """The labels of the rows that are Segment Anything's: not the filled boxes."""
    return [label for label, (name, _) in asked(found).items() if name != outputs.BOX]


def scored(compared: Comparison, found: Found, columns: Sequence[str]) -> pd.DataFrame:
    """One row per label with these scores (`Estimate`, over images)."""
    table = {
        label: {name: scores.estimate(group, name) for name in columns}
        for label, group in rows(compared, found).items()
    }
    return pd.DataFrame.from_dict(table, orient="index", columns=list(columns))


def classes(compared: Comparison, found: Found, score: str) -> pd.DataFrame:
    """One row per label, one column per class: a score (`Estimate`) over the images on which the class counts."""
    table = {
        label: {
            name: scores.estimate(group, score, lambda run, name=name: scores.per_class(run, score)[name].to_numpy())
            for name in compared.dataset.class_names
        }
        for label, group in rows(compared, found).items()
    }
    return pd.DataFrame.from_dict(table, orient="index")


def verdicts(compared: Comparison, found: Found, score: str = "IoU") -> pd.DataFrame:
    """`pairwise.table` of every prompted row against our best model, and of SAM's against its own box, filled."""
    prompted = asked(found)
    pairs = [(label, compared.best) for label in prompted]
    floors = {question: label for label, (name, question) in prompted.items() if name == outputs.BOX}
    pairs += [(label, floors[prompted[label][1]]) for label in of_sam(found) if prompted[label][1] in floors]
    return pairwise.table(rows(compared, found), score, pairs)


def automatic(found: Found) -> pd.DataFrame:
    """One row per checkpoint: the COUNTED of its automatic masks, means over images (`Estimate`)."""
    table = {
        name: {
            column: stats.estimate(outputs.told(run)[column].to_numpy(float), (0, 1 if column == "claimed" else np.inf))
            for column in COUNTED
        }
        for name, answers in found.items()
        for question, run in answers.items()
        if question.source == prompts.AUTOMATIC
    }
    return pd.DataFrame.from_dict(table, orient="index", columns=list(COUNTED))


def jitter(compared: Comparison, found: Found) -> pd.DataFrame:
    """IoU against how far the true box's sides are moved: one row per checkpoint and amount.

    Columns: name, jitter (largest, as a share of the side), IoU (`Estimate`), box IoU (of the moved box with the
    unmoved one, mean over boxes: how much worse the prompt is).
    """
    worse = {q: box_iou(compared, q) for q in compared.questions if q.source == prompts.TRUE_BOX}
    table = [
        {"name": name, "jitter": q.jitter, "IoU": scores.estimate([run], "IoU"), "box IoU": worse[q]}
        for name, answers in found.items()
        for q, run in sorted(answers.items(), key=lambda item: item[0].jitter)
        if q.source == prompts.TRUE_BOX
    ]
    return pd.DataFrame(table)


def box_iou(compared: Comparison, question: Question) -> float:
    """IoU of the question's boxes with the true ones, mean over all boxes."""
    found = []
    for name, truth in zip(compared.dataset.test.names, true_channels(compared.dataset).numpy(), strict=True):
        for k, plane in enumerate(objects(truth, compared.dataset.task)):
            found += prompts.overlap(boxes_of(question, plane, name, k), prompts.boxes(plane)).tolist()
    return float(np.mean(found)) if found else float("nan")


def costs(compared: Comparison, found: Found) -> pd.DataFrame:
    """Seconds per image, of these encoding it; the largest peak memory (MB); prompts per image; parameters.

    Ours are measured now, one image at a time; SAM's are those of the store. Without stored weights ours are unknown.
    """
    table = {}
    for label, group in compared.groups.items():
        seconds, memory = _ours(group[0], compared)
        table[label] = {
            "seconds per image": seconds, "of these encoding": np.nan, "memory (MB)": memory,
            "prompts per image": 0.0, "parameters": group[0].meta["parameters"]["total"],
        }  # fmt: skip
    for label in of_sam(found):
        name, question = asked(found)[label]
        run = found[name][question]
        told = outputs.told(run)
        table[label] = {
            "seconds per image": (told["encode_seconds"] + told["answer_seconds"]).mean(),
            "of these encoding": told["encode_seconds"].mean(), "memory (MB)": told["memory_mb"].max(),
            "prompts per image": question.points**2 if question.points else told["prompts"].mean(),
            "parameters": run.meta["parameters"],
        }  # fmt: skip
    return pd.DataFrame.from_dict(table, orient="index")


@torch.inference_mode()
def _ours(run: Run, compared: Comparison) -> tuple[float, float]:
    """Seconds per image and peak memory (MB) of one of our models, one image at a time; the first one is a warm-up."""
    from seglib.batches import Images
    from seglib.explore import probabilities
    from seglib.memory import Budget

    try:
        probabilities.check(run)
    except (FileNotFoundError, ValueError):
        return np.nan, np.nan
    config, model = probabilities.loaded(run.folder)
    device = next(model.parameters()).device
    images = Images(compared.dataset.test, config, device, model, Budget())
    runtime.reset_peak_memory(device.type)
    for i in range(-1, min(TIMED, len(images))):
        if i == 0:
            started = time.perf_counter()
        (_, inputs, _), *_ = images.batches([torch.tensor([max(i, 0)])])
        images.logits(inputs).cpu()  # waits for the device
    return (time.perf_counter() - started) / min(TIMED, len(images)), runtime.peak_memory_mb(device.type)


def observations(compared: Comparison, found: Found) -> pd.DataFrame:
    """Report 5's observations, asked of each row of SAM against our best model; one row each where none was run.

    Columns: metric (of OBSERVED), SAM's row, ours, SAM, difference (SAM minus ours; `Estimate`s), p_holm (over this
    table), answer (as in `reported`).
    """
    groups, labels = rows(compared, found), of_sam(found)
    asked_of = [(metric, label) for metric in OBSERVED for label in labels or [""]]
    claims = [_claim(metric, label, compared.best) for metric, label in asked_of]
    gaps = [scores.compare(groups[label], groups[compared.best], metric) for metric, label in asked_of if label]
    unknown = Estimate(stats.UNKNOWN, stats.UNKNOWN, stats.UNKNOWN)
    return pd.DataFrame({
        "metric": [metric for metric, _ in asked_of],
        "SAM's row": [label or "–" for _, label in asked_of],
        "ours": [scores.estimate(groups[compared.best], metric) for metric, _ in asked_of],
        "SAM": [scores.estimate(groups[label], metric) if label else unknown for metric, label in asked_of],
        "difference": [gap.difference for gap in gaps] or unknown,
        "p_holm": stats.holm([gap.p for gap in gaps]) if gaps else stats.UNKNOWN,
        "answer": reported.answered(claims, groups)["answer"],
    })  # fmt: skip


def _claim(metric: str, label: str, best: str) -> dict:
    """An observation as `reported` takes a claim."""
    text, sam_is_better = OBSERVED[metric]
    better, worse = (label, best) if sam_is_better else (best, label)
    return {"text": text, "source": "report 5", "better": better, "worse": worse, "metric": metric}


def states(compared: Comparison, found: Found) -> pd.DataFrame:
    """One row per checkpoint: what it is, its parameters, whether it was run, and where it is from or how to get it."""
    table = {}
    for name, folder in compared.folders.items():
        title, known = checkpoints.title(name), checkpoints.CHECKPOINTS.get(name)
        runs = list(found.get(title, {}).values())
        how = checkpoints.origin(name, folder) if folder else f"seglib weights {name} (about {known.megabytes} MB)"
        table[title] = {
            "what": known.what if known else "a checkpoint of one's own",
            "parameters": runs[0].meta["parameters"] if runs else None,
            "state": "run" if runs else "not run: transformers is not installed" if folder else "not run: not here",
            "from": how,
        }
    return pd.DataFrame.from_dict(table, orient="index", columns=["what", "parameters", "state", "from"])
