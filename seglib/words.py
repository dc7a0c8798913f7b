"""Sentences computed from the numbers, for the notebooks' text: they stay true when a parameter changes."""

import math
from collections.abc import Mapping, Sequence

from seglib import exploration, runtime, tables
from seglib.data.core import Dataset
from seglib.runs import Run


def markdown(text: str):
    """Text that a notebook shows as Markdown."""
    from IPython.display import Markdown

    return Markdown(text)


def provenance(runs: Sequence[Run]):
    """Where a page's numbers come from: data, weights, device, commit, run keys, seconds."""
    first = runs[0].meta
    images = ", ".join(f"{n} {split}" for split, n in first["images"].items())
    lines = {
        "data": f"{runs[0].config.dataset}, {runs[0].config.image_size} px, {images} images. {first['note']}",
        "encoder weights": first["weights"],
        "device": f"{first['device']}, torch {first['torch']}, {runs[0].config.threads} threads",
        "commit": first["commit"],
        "runs": ", ".join(f"`{run.key}` (seed {run.config.seed}, {run.meta['seconds']:.0f} s)" for run in runs),
    }
    return markdown("\n".join(f"- **{name}**: {text}" for name, text in lines.items()))


def environment() -> str:
    """Device, commit and versions in one line."""
    return " · ".join(f"{name} {value}" for name, value in runtime.describe().items())


def banner(dataset: Dataset):
    """What a reader must know of the images before any figure; nothing for a full official set."""
    return markdown(f"> **{dataset.note}.**" if dataset.note else "")


def of_data(dataset: Dataset):
    """What notebook 01 found."""
    areas = exploration.foreground_areas(dataset)
    train = areas[areas["split"] == "train"]["area"]
    sizes = ", ".join(f"{len(split)} for {name}" for name, split in dataset.splits().items())
    empty = int((areas["area"] == 0).sum())
    return markdown(
        f"`{dataset.source}` gives {sum(map(len, dataset.splits().values()))} images ({sizes}). In the training part "
        f"the foreground covers {train.mean():.1f} % of an image on average, from {train.min():.1f} % to "
        f"{train.max():.1f} %; {empty} of all images have none. A model that calls every pixel background is right at "
        f"{100 - train.mean():.1f} % of the training pixels and has found nothing: hence IoU and Dice, and the floors "
        "in every comparison."
    )


def of_runs(name: str, runs: Sequence[Run]):
    """What one configuration reached on the test images, and whether that is more than the floors."""
    row = tables.comparison({name: runs}).loc[name]
    learned = "It beats both floors" if row["learned"] else "It is **not** shown to beat both floors: *not learned*"
    epochs = ", ".join(str(run.meta["best_epoch"]) for run in runs)
    return markdown(
        f"**{name}** reaches a Dice of **{row['Dice']}** and an IoU of **{row['IoU']}** (mean over "
        f"{row['test images']} test images, {_models(runs)}; in brackets, where there are enough, the 95 % "
        f"interval over test images). "
        f"{learned}. Chosen by {runs[0].config.select_by.replace('_', ' ')}: epoch {epochs} of {runs[0].config.epochs}."
    )


def of_comparison(groups: Mapping[str, Sequence[Run]], score: str = "Dice"):
    """The verdicts as a list on a page."""
    if len(groups) < 2:
        return markdown("There is one model alone: nothing to compare.")
    return markdown("\n".join(f"- {text}" for text in verdicts(groups, score)))


def verdicts(groups: Mapping[str, Sequence[Run]], score: str = "Dice") -> list[str]:
    """One sentence per group against the first: better, worse or no difference shown."""
    (baseline, first), *others = groups.items()
    return [verdict(label, runs, baseline, first, score) for label, runs in others]


def verdict(label: str, runs: Sequence[Run], baseline: str, first: Sequence[Run], score: str = "Dice") -> str:
    """`A is better than B by 0.041 Dice (95 % interval 0.032 to 0.050, n = 339 images; these trained models)`."""
    gap = tables.difference(runs, first, score)
    images = len(tables.over_seeds(runs))
    seeds = dict.fromkeys([_seeds(runs), _seeds(first)])
    basis = f"n = {images} test images; these trained models, {' against '.join(seeds)}"
    pair = f"**{label}** against **{baseline}**"
    if math.isnan(gap.low):
        return f"{pair}: too few test images for a verdict ({basis})."
    numbers = f"{abs(gap.mean):.{gap.digits}f} {score}"
    low, high = sorted((gap.low, gap.high) if gap.mean >= 0 else (-gap.low, -gap.high))
    interval = f"95 % interval {low:.{gap.digits}f} to {high:.{gap.digits}f}"
    if gap.low <= 0 <= gap.high:
        return f"{pair}: no difference shown ({numbers}, {interval}, {basis})."
    sign = "better" if gap.mean > 0 else "worse"
    return f"**{label}** is {sign} than **{baseline}** by {numbers} ({interval}, {basis})."


def of_ranking(groups: Mapping[str, Sequence[Run]], score: str = "Dice"):
    """The best mean, together with all that are not shown to be worse, and what has not learned."""
    table = tables.comparison(groups).loc[list(groups)]
    best = max(groups, key=lambda label: table[score][label].mean)
    text = f"The highest mean {score} is that of **{best}**: **{table[score][best]}**."
    others = [label for label in groups if label != best]
    ties = [label for label in others if not tables.difference(groups[best], groups[label], score).low > 0]
    if ties:
        text += f" Not shown to be worse: {', '.join(ties)}."
    elif others:
        text += f" Shown to be worse on these images: {', '.join(others)}."
    if unlearned := [label for label in groups if not table["learned"][label]]:
        text += f" Not learned (not shown to be above both floors): {', '.join(unlearned)}."
    return markdown(text)


def of_reported(study: str, groups: Mapping[str, Sequence[Run]]):
    """The report's figures beside ours, or the sentence that there are none."""
    table = tables.reported(study, groups)
    if table.empty:
        return markdown("No report gave figures for these data and these models.")
    return tables.readable(table.set_index("model").rename_axis(None))


def _models(runs: Sequence[Run]) -> str:
    return f"these trained models, {_seeds(runs)}"


def _seeds(runs: Sequence[Run]) -> str:
    seeds = sorted({run.config.seed for run in runs})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
