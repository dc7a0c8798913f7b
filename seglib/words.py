"""Sentences computed from the numbers, for the notebooks' text: they stay true when a parameter changes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import conventions, origin, pairwise, params, reported, runtime, scores, stats, tables
from seglib.data.core import Dataset
from seglib.escaping import bold, plain
from seglib.runs import Run


def markdown(text: str):
    """Text that a notebook shows as Markdown."""
    from IPython.display import Markdown

    return Markdown(text)


def provenance(runs: Sequence[Run]):
    """Where a page's numbers come from."""
    return markdown(origin.of(runs))


def environment() -> str:
    """Device, commit and versions in one line."""
    return " · ".join(f"{name} {value}" for name, value in runtime.describe().items())


def banner(dataset: Dataset):
    """What a reader must know of the images before any figure; nothing for a full official set."""
    return markdown(f"> **{dataset.note}.**" if dataset.note else "")


def basis(groups: Mapping[str, Sequence[Run]]) -> str:
    """What the brackets of a table are, in a sentence."""
    counts = {len(group) > 1 for group in groups.values()}
    alone = "over test images, for these trained models (one seed: other seeds are not covered)"
    both = "over test images and seeds (two-way random effects)"
    if 2 in (len(group) for group in groups.values()):
        both += "; two seeds say little about others, so that such intervals are wide"
    if counts == {True}:
        return f"In brackets the 95 % interval {both}."
    if counts == {False}:
        return f"In brackets the 95 % interval {alone}."
    return f"In brackets the 95 % interval: with several seeds {both}; else {alone}."


def of_basis(groups: Mapping[str, Sequence[Run]]):
    """What a table of scores holds, for its page."""
    images = len(set(next(iter(groups.values()))[0].images["image"]))
    few = (
        f"Of {images} images intervals are too narrow (in simulation those of means cover in 84 % at 20, 92 % at 40). "
    )
    return markdown(
        f"Means over the test images and the seeds. {basis(groups)} Floors are fixed: their interval is over test "
        f"images. Of fewer than {stats.MIN_IMAGES} images no interval is given. "
        f"{few if stats.MIN_IMAGES <= images < stats.NARROW else ''}*learned*: shown to be above both "
        "floors, paired on the same images (–: too few to tell). **Bold**: of the models that have learned the best "
        "mean, and with it every one not shown to be worse."
    )


CHOICES = {"val_dice": "validation Dice", "val_iou": "validation IoU", "val_loss": "validation loss"}  # of the epoch


def of_runs(name: str, runs: Sequence[Run]):
    """What one configuration reached on the test images, and whether that is more than the floors."""
    row = tables.comparison({name: runs}).loc[name]
    learned = {
        True: "It beats both floors",
        False: "It is **not** shown to beat both floors: *not learned*",
        None: "There are too few test images to tell whether it beats the floors",
    }[pairwise.learned(runs)]
    epochs = ", ".join(str(run.meta["best_epoch"]) for run in runs)
    how = f"Chosen by {by}" if (by := CHOICES.get(runs[0].config.select_by)) else "The last is kept"
    return markdown(
        f"{bold(name)} reaches a Dice of **{row['Dice']}** and an IoU of **{row['IoU']}** (mean over "
        f"{row['test images']} test images, {_seeds(runs)}). {basis({name: runs})} "
        f"{learned}. {how}: epoch {epochs} of {runs[0].config.epochs}."
    )


def of_comparison(groups: Mapping[str, Sequence[Run]], score: str = "Dice"):
    """The verdicts as a list on a page."""
    if len(groups) < 2:
        return markdown("There is one model alone: nothing to compare.")
    pairs = pairwise.table(groups, score)
    return listed(pairs[pairs["baseline"] == next(iter(groups))], len(pairs), score)


def listed(pairs: pd.DataFrame, count: int, score: str = "Dice"):
    """Rows of `pairwise.table` as a list of verdicts, p corrected over `count` pairs; beyond 8 rows one line for all of
    one verdict against one baseline."""
    lines = [verdict(row, count, score) for _, row in pairs.iterrows()]
    if len(pairs) > 8:
        link = {pairwise.BETTER: "than", pairwise.WORSE: "than"}
        lines = [
            f"{said.capitalize()} {link.get(said, 'against')} {bold(base)} (difference in {score}): "
            + "; ".join(f"{plain(row.model)} {row.difference}" for row in rows.itertuples())
            + "."
            for (base, said), rows in pairs.groupby(["baseline", "verdict"], sort=False)
        ]
    return markdown("\n".join(f"- {line}" for line in lines))


def verdict(row: pd.Series, pairs: int, score: str = "Dice") -> str:
    """`A is better than B by 0.041 Dice (95 % CI 0.032 to 0.050, p < 0.001, …, n = 339 images × 3 seeds)`.

    Args: row — of `pairwise.table`; pairs — how many pairs p_holm is corrected over.
    """
    gap, model, baseline = row["difference"], bold(row["model"]), bold(row["baseline"])
    if row["verdict"] == pairwise.FEW:
        return f"{model} against {baseline}: too few test images for a verdict ({_sample(row)})."
    if row["verdict"] == pairwise.UNSCORED:
        return f"{model} against {baseline}: no score to compare (no test image has a {score} from every run of both)."
    numbers = f"{abs(gap.mean):.{gap.digits}f} {score}{' px' if score == 'HD95' else ''}"
    low, high = sorted((gap.low, gap.high) if gap.mean >= 0 else (-gap.low, -gap.high))
    p = f"p {stats.p_text(row['p_holm'])}{f' after Holm over {pairs} pairs' if pairs > 1 else ''}"
    evidence = f"95 % CI {low:.{gap.digits}f} to {high:.{gap.digits}f}, {p}"
    if row["verdict"] == pairwise.NONE:
        side = "" if not round(gap.mean, gap.digits) else " above" if gap.mean > 0 else " below"
        return (
            f"{model} against {baseline}: no difference shown{_why(row)} ({numbers}{side}, {evidence}, {_sample(row)})."
        )
    effect = "" if pd.isna(row["d_z"]) else f"d_z = {row['d_z']:.1f}, "
    effect += f"higher on {100 * row['wins']:.0f} % of images"
    return f"{model} is {row['verdict']} than {baseline} by {numbers} ({evidence}, {effect}, {_sample(row)})."


def _why(row: pd.Series) -> str:
    """Why no difference is shown, where interval or test alone would show one."""
    apart = not row["difference"].low <= 0 <= row["difference"].high
    if apart and row["p"] < pairwise.ALPHA:
        return " once corrected for the number of pairs"
    return ", interval and test disagree" if apart or row["p_holm"] < pairwise.ALPHA else ""


def _sample(row: pd.Series) -> str:
    """`n = 339 images × 3 seeds`, or that the verdict is of these trained models alone."""
    seeds, others = row["seeds"], row["baseline_seeds"]
    counts = str(seeds) if seeds == others else f"{seeds} against {others}"
    sample = f"n = {row['images']} images × {counts} seed{'s' if max(seeds, others) > 1 else ''}"
    return f"{sample}; these trained models" if row["these_models"] else sample


def of_ranking(groups: Mapping[str, Sequence[Run]], score: str = "Dice"):
    """The best mean of the models, all that are not shown to be worse, and what has not learned."""
    pairs = pairwise.table(groups, score)
    best, *ties = pairwise.leaders(groups, score, pairs)
    top = scores.estimate(groups[best], score)
    if np.isnan(top.mean):
        return markdown(f"No model has a {score} on these images.")
    text = f"Of the models, the {_best(score)} mean {score} is that of {bold(best)}: **{top}**."
    if np.isnan(top.low):
        return markdown(
            f"{text} Too few test images have been scored to say that it is better, or that it has learned."
        )
    text += _under_floors(groups[best], score)
    worse = [label for label in groups if label not in (best, *ties)]
    if ties:
        text += f" Not shown to be worse: {'; '.join(map(plain, ties))}."
    if worse:
        text += f" Shown to be worse: {'; '.join(map(plain, worse))}."
    if unlearned := [label for label in groups if pairwise.learned(groups[label]) is False]:
        text += f" Not learned (not shown to be above both floors): {'; '.join(map(plain, unlearned))}."
    return markdown(text)


def _best(score: str) -> str:
    return "lowest" if score in scores.LOWER_IS_BETTER else "highest"


def _under_floors(group: Sequence[Run], score: str) -> str:
    """Which floors have a better mean than a model, or nothing."""
    sign = -1 if score in scores.LOWER_IS_BETTER else 1
    texts = []
    for which in scores.FLOORS if score != "test loss" else ():  # floors have no loss
        floor = stats.estimate(scores.floor(group[0], which)[score].to_numpy(), scores.span(group[0], score))
        if sign * (floor.mean - scores.estimate(group, score).mean) > 0:
            texts.append(f"{which} ({floor})")
    return f" That is no better than a floor: {', '.join(texts)}." if texts else ""


def of_classes(study: str, groups: Mapping[str, Sequence[Run]]):
    """The scores class by class, or the sentence that there is one class."""
    table = conventions.per_class(groups)
    if len(table.columns) < 2:
        return markdown(f"There is one class, {table.columns[0]}: its scores are those above.")
    return tables.show(table, study, "08_classes")


def of_borders(study: str, groups: Mapping[str, Sequence[Run]]):
    """The scores under every rule for the annotators' border, or the sentence that masks have none."""
    table = conventions.borders(groups)
    if table.empty:
        return markdown("These masks have no border of their own, so no rule for one changes a score.")
    return tables.show(table, study, "08_borders")


def of_reported(study: str, groups: Mapping[str, Sequence[Run]]):
    """The report's figures beside ours, or the sentence that there are none."""
    table = reported.figures(study, groups)
    if table.empty:
        return markdown("No report gave figures for these data and these models.")
    return tables.show(table.drop(columns="differs"), study, "08_reported")


def of_recipes(study: str, groups: Mapping[str, Sequence[Run]]):
    """Why reported and measured figures need not agree: recipes, and data that are not those of the report."""
    found = params.reported(study.split("@")[0])["differs"]
    note = next(iter(groups.values()))[0].meta["note"]
    lines = [f"- **{source}**: {text}" for source, text in found.items()] if found else []
    lines += [f"- **data**: {note}."] if found and note else []
    return markdown("\n".join(lines))


def of_claims(study: str, groups: Mapping[str, Sequence[Run]]):
    """The reports' claims and their answers, or the sentence that there are none."""
    table = reported.claims(study, groups)
    if table.empty:
        return markdown("No report made claims about this study.")
    return tables.show(table, study, "08_claims")


def _seeds(runs: Sequence[Run]) -> str:
    seeds = sorted({run.config.seed for run in runs})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
