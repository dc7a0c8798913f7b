"""What a run's files show of its model: scores, classes, subgroups, calibration, other seeds; as Markdown."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from seglib import calibration, conventions, gallery, pairwise, paths, runs, scores, seal, stats, tables
from seglib.escaping import plain
from seglib.metrics import BINS
from seglib.runs import Run

MODEL = "this model"
FEW_NAMED = 3  # images that the card names as its worst


def table(frame: pd.DataFrame, corner: str) -> str:
    """A frame as a Markdown table, its cells as pages show them."""
    text = tables.readable(frame)
    rows = [[corner, *text.columns], ["---"] * (len(text.columns) + 1)]
    rows += [[str(name), *cells] for name, cells in zip(text.index, text.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in map(str, row))} |" for row in rows)


def basis(run: Run) -> str:
    """What the figures are of, and what their brackets mean."""
    count = images(run)
    if count < stats.MIN_IMAGES:
        return f"Means over {count} test images, of this one trained model: too few images for intervals."
    few = " Of so few images such intervals are too narrow." if count < stats.NARROW else ""
    return (
        f"Means over {count} test images, of this one trained model; in brackets the 95 % interval over test images "
        f"(bootstrap). How other seeds would do is not in it.{few}"
    )


def images(run: Run) -> int:
    return run.images["image"].nunique()


def overall(run: Run) -> str:
    """Scores of the model with the two floors beside it."""
    group = {MODEL: [run]}
    found = tables.comparison(group)[["Dice", "IoU", "whole-set Dice", "whole-set IoU", "test loss"]]
    more = tables.details(group).query("convention == 'per image'").drop(columns="convention").set_index("model")
    parts = [table(found, "per image, but where *whole set* is said"), table(more, "per image")]
    parts.append(table(tables.boundaries(group), "boundary; HD95 in pixels of the evaluated size"))
    return "\n\n".join([*parts, learned(run)])


def learned(run: Run) -> str:
    """Whether the model is shown to be above the floors."""
    floors = "the floors (*all background* and the *mean training mask*, which know nothing of the image at hand)"
    return {
        True: f"It is shown to be above both of {floors}.",
        False: f"It is **not** shown to be above both of {floors}: in this workbook's words, it has *not learned*.",
        None: f"There are too few test images to tell whether it is above {floors}.",
    }[pairwise.learned([run])]


def per_class(run: Run) -> str:
    """Dice and IoU of each class; empty if there is one class alone."""
    found = {score: conventions.per_class({MODEL: [run]}, score) for score in ("Dice", "IoU")}
    names = list(run.images["class"].unique())
    if len(names) < 2:
        return ""
    frame = pd.DataFrame({score: part.loc[MODEL, names] for score, part in found.items()}, index=names)
    return table(frame.rename(index=plain), "class; over the images on which it counts")


def borders(run: Run) -> str:
    """Dice under each rule for the border that annotators drew; empty if masks have none."""
    found = conventions.borders({MODEL: [run]})
    return "" if found.empty else table(found, "Dice per image")


def subgroups(run: Run) -> str:
    """Scores by the size of the object and by its contact with the image's edge."""
    found = gallery.failures([run])
    found = found[found["images"] > 0].rename(columns={"failed": f"failed (IoU below {gallery.FAILURE})"})
    return table(found, "test images by the true foreground")


def worst_images(run: Run) -> str:
    """The images with the lowest Dice."""
    frame = scores.per_image(run).dropna(subset="Dice").sort_values(["Dice", "image"], kind="stable")
    listed = ", ".join(f"{plain(row.image)} ({row.Dice:.2f})" for row in frame.head(FEW_NAMED).itertuples())
    return f"The lowest Dice: {listed}." if listed else "No test image has a Dice."


def worst_group(run: Run) -> str:
    """Which of the groups has the lowest mean Dice, and how often the model fails."""
    found = gallery.failures([run])
    means = pd.Series({name: cell.mean for name, cell in found["Dice"].drop("all").items()}).dropna()
    if means.empty or np.isnan(found["failed"]["all"]):
        return "No test image has a score that tells where it fails."
    fails = f"It fails (IoU below {gallery.FAILURE}) on {found['failed']['all']:.0%} of the test images."
    if means.max() - means.min() < stats.NEGLIGIBLE:
        return f"{fails} The groups by size and contact with the edge have one mean Dice."
    name = means.idxmin()
    return (
        f"{fails} Of the groups by size and contact with the edge the lowest mean Dice is that of the "
        f"{found['images'][name]} images *{name}*: {found['Dice'][name]}, against {found['Dice']['all']} of all."
    )


def calibrated(run: Run) -> str:
    """The calibration error, and what the cut at 0.5 costs."""
    if not calibration.are_probabilities(run):
        return "Its outputs are regressed grey values, not probabilities: there is no calibration to speak of."
    found = calibration.table({MODEL: [run]}).drop(columns=["lowest seed", "highest seed"])
    found = found.dropna(axis="columns", how="all")
    what = "class-wise expected calibration error" if run.config.task != "binary" else "expected calibration error"
    text = f"The {what} is pooled over the test set's pixels, in {BINS} bins; pixels far from every edge are easy and "
    text += "make it small. "
    if calibration.BEST in found:
        text += "No threshold was chosen on the test images: the best one is shown to tell what 0.5 costs."
    return f"{table(found, '')}\n\n{text.strip()}"


def empty(run: Run) -> str:
    """How many test images hold no foreground, and on how many of these it sees some."""
    frame = run.images.drop_duplicates("image")
    nothing = (frame["foreground_tp"] + frame["foreground_fn"]) == 0
    if not nothing.any():
        return "Every test image holds what is looked for: what it does where there is none has not been measured."
    seen = int((frame["foreground_fp"][nothing] > 0).sum())
    held = f"{int(nothing.sum())} of {len(frame)} test images hold none of what is looked for"
    return f"{held}; it sees some on {seen} of them."


def other_seeds(run: Run) -> str:
    """The same training from other seeds, where the store has it."""
    group = [run, *siblings(run)]
    if len(group) == 1:
        return (
            "The run store holds no run of this config, data and code with another seed: how much of the scores is due "
            "to this one is not known."
        )
    group.sort(key=lambda each: each.config.seed)
    rows = {
        f"seed {each.config.seed}{' (this model)' if each.key == run.key else ''}": {
            score: scores.estimate([each], score) for score in ("Dice", "IoU")
        }
        for each in group
    }
    rows[f"all {len(group)} seeds"] = {score: scores.estimate(group, score) for score in ("Dice", "IoU")}
    text = "The last row's interval is over test images and seeds (two-way random effects)."
    text += " Two seeds say little about others." if len(group) == 2 else ""
    if images(run) < stats.MIN_IMAGES:
        text = "There are too few test images for intervals."
    return f"{table(pd.DataFrame.from_dict(rows, orient='index'), 'the same config, data and code')}\n\n{text}"


def siblings(run: Run) -> list[Run]:
    """The finished runs whose inputs are those of this one but for the seed."""
    mine = _but_for_seed(run.folder)
    alike = [f for f in _folders() if f.name != run.key and _but_for_seed(f) == mine]
    return [found for folder in alike if (found := runs.find(folder.name))]


def _folders() -> Iterator:
    return (meta.parent for meta in sorted(paths.runs().glob(f"*/{seal.META}")))


def _but_for_seed(folder) -> dict:
    inputs = json.loads((folder / "config.json").read_text())
    started = inputs["config"].get("start_from")
    changing = (
        {"start_from"} if isinstance(started, dict) and "seed" not in started else set()
    )  # it has this run's seed
    kept = {name: value for name, value in inputs.items() if name not in changing}
    return {**kept, "config": {**inputs["config"], "seed": None}}


def best_line(run: Run) -> str:
    """Dice and IoU in a sentence."""
    dice, iou = (scores.estimate([run], score) for score in ("Dice", "IoU"))
    if np.isnan(dice.mean):
        return "No test image has a Dice."
    return f"Dice {dice}, IoU {iou} (per image, over {images(run)} test images)."
