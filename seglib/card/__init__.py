"""The model card of a finished run: what the model is, what it reached, and where it ends; every figure computed.

After Mitchell et al., Model Cards for Model Reporting, 2019, arXiv:1810.03993; the head is what Hugging Face reads.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seglib import atomic, costs, licences, plain_yaml, runs, scores
from seglib.card import evidence, recipe, usage
from seglib.config import Config
from seglib.escaping import plain
from seglib.runs import Run
from seglib.words import CHOICES

NAME = "MODEL_CARD.md"
BORDER = {"foreground": "is foreground here", "background": "is background here", "ignore": "counts nowhere here"}


def write(run: Run, folder: Path) -> Path:
    """Writes a run's card into a folder.

    Raises: ValueError if the folder holds another run's card, or one of exported files: those belong together.
    """
    file = folder / NAME
    if usage.HEADING in assert_free(run, folder):
        raise ValueError(f"{file} is the card of exported files beside it; export again, or give another folder")
    atomic.write(file, text(run))
    return file


def assert_free(run: Run, folder: Path) -> str:
    """The card that a folder holds already, or nothing. Raises ValueError if it is not of this run, or no folder."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a folder for the card; choose another name")
    file = folder / NAME
    there = file.read_text(encoding="utf-8") if file.is_file() else ""
    if there and _key(run) not in there:
        raise ValueError(f"{file} is there already and not the card of run {run.key}; give another folder")
    return there


def text(run: Run, files: Mapping[str, object] | None = None) -> str:
    """The card as Markdown.

    Args: files — of an export: file name → what its check found, as text.
    """
    sections = {
        "What it is": _what(run),
        usage.HEADING: usage.text(run, files) if files else "",
        "Data": _data(run),
        "Training": _training(run),
        "Scores on the test images": f"{evidence.basis(run)}\n\n{evidence.overall(run)}",
        "Each class": evidence.per_class(run),
        "Rules for the annotators' border": evidence.borders(run),
        "Groups of images": f"{evidence.subgroups(run)}\n\n{evidence.worst_images(run)}",
        "Calibration": evidence.calibrated(run),
        "Other seeds": evidence.other_seeds(run),
        "Intended use and limits": _limits(run),
        "Licences": _licences(run),
        "Where it comes from": _origin(run),
    }
    blocks = [f"## {title}\n\n{block}" for title, block in sections.items() if block]
    title = f"# {plain(recipe.label(run))}\n\n{_banner(run)}{evidence.best_line(run)}"
    return "\n\n".join([_head(run, files), title, *blocks]) + "\n"


def _banner(run: Run) -> str:
    return f"> **{run.meta['note']}.**\n\n" if run.meta["note"] else ""


def _what(run: Run) -> str:
    config, counts = run.config, run.meta["parameters"]
    names = run.meta["class_names"]
    operations = costs.multiply_adds(config, len(names)) / 1e9
    answers = {
        "binary": f"one channel: {plain(names[0])} against everything else",
        "multiclass": f"one of {len(names)} classes at each pixel: {', '.join(map(plain, names))}",
        "planes": f"{len(names)} channels that may overlap: {', '.join(map(plain, names))}",
    }
    side = config.image_size
    rows = {
        "architecture": plain(runs.network(config)),
        "answer": answers[config.task],
        "input": f"RGB images, resized to {side} × {side} pixels",
        "parameters": f"{counts['total']:,}, of which {counts['trainable']:,} were trained",
        "multiply-adds": f"{operations:.3g} · 10⁹ for one image of that size",
    }
    return _listed(rows)


def _data(run: Run) -> str:
    config = run.config
    counts = "\n".join(f"| {split} | {count} |" for split, count in run.meta["images"].items())
    note = f"{run.meta['note']}. Every figure here is of these images alone. " if run.meta["note"] else ""
    rule = run.images["border"].iloc[0]
    source = f"`{config.dataset}`" + (f", folder `{recipe.folder(config)}`" if config.data_folder else "")
    border = f" The border that annotators left to neither side {BORDER[rule]}." if rule else ""
    return f"Source {source}. {note}{_splits(config)}{border}\n\n| split | images |\n| --- | --- |\n{counts}"


def _splits(config: Config) -> str:
    """What each split was for, in sentences."""
    if config.overfit:
        return (
            "These are the same images three times, to see whether they can be learned at all: the scores are no test."
        )
    chosen = "chose the epoch" if config.select_by in CHOICES else "was watched and chose nothing"
    text = f"*train* is what it learned from, *val* {chosen}, *test* was read once, at the end."
    if config.folds:
        text += f" *val* is part {config.fold} (from 0) of {config.folds} for cross-validation, *train* the others."
    if config.augmented_copies:
        text += f" *train* holds each image as it is and {config.augmented_copies} times augmented."
    return text


def _training(run: Run) -> str:
    parts = [_listed({name: plain(fact) for name, fact in recipe.facts(run).items()})]
    parts.append(f"To train it again:\n\n```sh\n{recipe.command(run.config)}\n```")
    parts.append(
        f"With the code of commit {run.meta['commit']}, the same data, torch {_release(run)} and the same kind of "
        f"device this has the run key `{run.key}`; from a notebook it is the same run."
    )
    return "\n\n".join(parts)


def _release(run: Run) -> str:
    return ".".join(run.meta["torch"].split(".")[:2])


def _limits(run: Run) -> str:
    config, note = run.config, run.meta["note"]
    count = run.meta["images"]["train"] // (1 + config.augmented_copies)
    learned_from = f"{count} images of `{config.dataset}`{f' ({note})' if note else ''}"
    lines = [
        "Made to compare methods of segmentation, for research and teaching.",
        "It is **not a medical device** and no basis for a decision about a person: nobody has validated it for any.",
        f"It has learned from {learned_from}. How it does on images of another origin has not been measured.",
        f"It was trained and tested on images squeezed to {config.image_size} × {config.image_size} pixels: what is "
        "smaller than a pixel there is lost.",
        evidence.empty(run),
        evidence.worst_group(run),
        evidence.learned(run),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _licences(run: Run) -> str:
    rows = {
        "code": f"{licences.PROJECT}, that of the workbook that made this file",
        "data": licences.of_data(run.config).sentence,
        "encoder's first weights": licences.of_weights(run.config).sentence,
    }
    unsettled = (
        "Whether a trained model inherits the terms of what it learned from is not settled; this is no legal advice."
    )
    return f"{_listed(rows)}\n\n{unsettled}"


def _origin(run: Run) -> str:
    meta = run.meta
    rows = {
        "run": f"`{run.key}`",
        "finished": meta["finished"],
        "commit": f"{meta['commit']}{' (with changes that are in no commit)' if meta['commit'].endswith('+') else ''}",
        "device": f"{meta['device']}, {run.config.threads} threads",
        "versions": f"python {meta['python']}, torch {meta['torch']}",
        "training took": f"{meta['seconds']:.0f} s",
    }
    return _listed(rows)


def _key(run: Run) -> str:
    """The line that says whose card it is; other keys may stand in it, such as that of the run it goes on from."""
    return _listed({"run": f"`{run.key}`"})


def _listed(rows: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {value}" for name, value in rows.items())


def _head(run: Run, files: Mapping[str, object] | None) -> str:
    """The front matter: what Hugging Face shows, sorts and searches by."""
    config = run.config
    metrics = {"dice": "Dice", "mean_iou": "IoU"}
    values = {kind: scores.estimate([run], score).mean for kind, score in metrics.items()}
    results = [
        {"type": kind, "name": f"{metrics[kind]} per image, mean", "value": round(value, 4)}
        for kind, value in values.items()
        if np.isfinite(value)
    ]
    free = licences.of_data(config).free and licences.of_weights(config).free
    licence = {"license": licences.PROJECT.lower()} if free else {
        "license": "other", "license_name": "see-the-card", "license_link": f"{NAME}#licences"
    }  # fmt: skip
    formats = ["onnx"] if files and any(name.endswith(".onnx") for name in files) else []
    head = {
        **licence,
        "pipeline_tag": "image-segmentation",
        "tags": ["image-segmentation", config.task, config.model.rpartition(":")[2], *formats],
        "datasets": [config.dataset],
        "metrics": list(metrics),
        "model-index": [{
            "name": f"{config.model.rpartition(':')[2]}-{config.dataset}-{run.key}",
            "results": [{
                "task": {"type": "image-segmentation"},
                "dataset": {"type": config.dataset, "name": config.dataset, "split": "test"}, "metrics": results,
            }],
        }],
    }  # fmt: skip
    return f"---\n{plain_yaml.dump(head)}---"
