"""What Segment Anything answered, kept in the run store: `outputs/runs/sam/<key>/`, in the form of a run's own tables.

`runs.Run` reads such a folder, so that its scores are made by the code that makes a model's. It is no run: it lies one
level deeper than those that `runs.finished` lists, and has no history, weights or thresholds.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from seglib import atomic, digest, images_table, metrics, paths, runs, runtime, seal
from seglib.config import Config
from seglib.data.core import Dataset
from seglib.evaluation import Evaluation
from seglib.progress import Count
from seglib.runs import Run
from seglib.sam import checkpoints, masks, prompts
from seglib.sam.masks import Answers, Question

FORMAT = 1  # of these folders; raise it with whatever changes what they hold
FOLDER = "sam"
DATA = (
    "dataset", "task", "data_folder", "image_size", "train_images", "val_images", "test_images", "data_seed", "folds",
    "fold", "border", "normalisation",
)  # fmt: skip
BOX = "filled box"  # the checkpoint that is none: the prompt itself, taken as the mask


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the answers of one checkpoint depend on besides it: the images, and the run whose boxes it gets."""

    dataset: Dataset  # whose test images are asked about
    run: Run  # boxes around ours are those of its predictions
    ours: np.ndarray  # these, on the same images: (N, C, S, S) bool
    device: str = "auto"


def answered(name: str, folder: Path | None, questions: Sequence[Question], asked: Asked) -> dict[Question, Run]:
    """Every question with what this checkpoint answers, from the store or asked now.

    Args: name — on pages; folder — of the checkpoint, None for the filled box.
    """
    wanted = {question: inputs(folder, question, asked) for question in questions}
    keys = {question: runs.key_of(depends) for question, depends in wanted.items()}
    with runs.lock(f"{FOLDER}-{runs.key_of({'checkpoint': name})}"):
        todo = [question for question in questions if not is_whole(keys[question])]
        if todo:
            sam = _loaded(folder, asked)
            progress = Count(name, len(asked.dataset.test), "images")
            for question, answers in zip(
                todo, masks.ask(sam, asked.dataset, asked.ours, todo, progress.add), strict=True
            ):
                _store(keys[question], name, wanted[question], answers, sam.parameters, asked)
            progress.finish()
    return {question: Run(place(keys[question])) for question in questions}


def inputs(folder: Path | None, question: Question, asked: Asked) -> dict:
    """Everything that answers depend on: what their key is the digest of."""
    config, own = asked.run.config, {"torch": ".".join(torch.__version__.split(".")[:2])}
    if folder:
        own |= {"device": runtime.device(asked.device).type, "checkpoint": checkpoints.identity(folder)}
        own["transformers"] = ".".join(metadata.version("transformers").split(".")[:2])
    return {
        "format": FORMAT,
        "question": dataclasses.asdict(question),
        "run": asked.run.key if question.source == prompts.OUR_BOX else "",
        "config": {name: getattr(config, name) for name in DATA},
        "data": asked.dataset.fingerprint,
        "images": list(asked.dataset.test.names),
        "code": _code(),
        **own,
    }


@functools.cache
def _code() -> str:
    return digest.of_code(["seglib.sam.masks", "seglib.sam.network", "seglib.images_table"])


def place(key: str) -> Path:
    return paths.runs() / FOLDER / key


def is_whole(key: str) -> bool:
    """Whether the store has these answers as they were written."""
    return (place(key) / seal.META).is_file() and not seal.damaged(place(key))


def told(answers: Run):
    """One row per image: image, encode_seconds, answer_seconds, memory_mb, prompts, the COUNTED of automatic masks."""
    import pandas as pd

    return pd.read_csv(
        answers.folder / "prompts.csv", keep_default_na=False, na_values=["nan"], converters={"image": str}
    )


def _loaded(folder: Path | None, asked: Asked):
    from seglib.sam import network

    return network.Sam(folder, runtime.device(asked.device)) if folder else network.FilledBox()


def _store(key: str, name: str, depends: Mapping, answers: Answers, parameters: int, asked: Asked) -> None:
    folder, dataset = place(key), asked.dataset
    truth, valid = metrics.one_hot(dataset.test.masks, dataset.task, dataset.num_classes)
    unknown = torch.full((len(dataset.test),), float("nan"))  # SAM was not trained here: it has no loss
    test = Evaluation(metrics.confusion(answers.pred, truth, valid), unknown, pred=answers.pred)
    config = Config(**{field: getattr(asked.run.config, field) for field in DATA}, model=name)
    runs.write_table(folder / "images.csv", images_table.rows(test, dataset, asked.run.config.border))
    runs.write_table(folder / "prompts.csv", answers.rows)
    runs.write_predictions(folder / "predictions.npz", answers.pred)
    content = {**depends, "config": dataclasses.asdict(config)}
    atomic.write(folder / "config.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    kind = depends.get("device", "cpu")
    seal.write(folder, {"checkpoint": name, "parameters": parameters, **runtime.describe(kind)})
