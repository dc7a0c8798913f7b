"""What notebook 06 says of its trials, in sentences computed from them: of the check on two images, of the winners, of
one model reused, of what was switched on and off, and of the control."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import (
    conventions,
    data,
    exploration,
    faults,
    pairwise,
    reported,
    rows,
    runs,
    scores,
    stats,
    tables,
    trials,
    words,
)
from seglib.divergence import Diverged, Outcomes, finished
from seglib.escaping import bold, plain
from seglib.runs import Run

NONE = "There is nothing to compare."
BY_HEART = 0.95  # Dice on each of the images trained on, from which on they count as learned by heart
FAMILIES = ("trials", "sanity check", faults.FAMILY, "control")  # of recorded runs, besides the models


def of_winner(outcomes: Outcomes, field: str, otherwise: str):
    """Which trial won and by how much; `otherwise` is what stands on the page without trials."""
    if not outcomes:
        return words.markdown(otherwise)
    found = trials.table(outcomes)
    best, losses = trials.best(found), found["best val loss"].dropna().sort_values()
    count = len(outcomes[best])
    text = f"{bold(best)} has the lowest best validation loss, {losses[best]:.3f}"
    text += f" (mean over {count} seeds)" if count > 1 else " (one seed: others may order the trials otherwise)"
    if len(losses) > 1:
        next_best = losses.index[1]
        text += f"; the next is {plain(next_best)} with {losses[next_best]:.3f}"
        text += f", {_apart(outcomes[next_best], outcomes[best])}" if count > 1 else ""
    values = [getattr(group[0].config, field) for group in outcomes.values()]
    if len(values) > 1 and getattr(outcomes[best][0].config, field) in (min(values), max(values)):
        text += f". The lowest is at the end of the values tried: a better {field} may lie beyond"
    if gone := trials.all_divergences(outcomes):
        text += f". Diverged: {gone}"
    return words.markdown(f"{text}.")


def _apart(first: Sequence[Run], second: Sequence[Run]) -> str:
    """Whether the first trial's best validation loss is shown to be above the second's."""
    gap, p, _ = reported.over_seeds([trials.best_loss(run) for run in first], [trials.best_loss(run) for run in second])
    if np.isnan(p):
        return "which these seeds cannot tell apart from chance"
    evidence = f"difference {gap}, p {stats.p_text(p)} over seeds"
    return f"shown to be higher ({evidence})" if p < pairwise.ALPHA else f"not shown to be higher ({evidence})"


def of_reused(fresh: Outcomes, again: Outcomes):
    """Which trial wins if one model is reused across the sweep, beside which wins with fresh weights."""
    if not again:
        return words.markdown("Reusing one model across the sweep is not tried here.")
    inherited = {rows.corrected(label) for label in again}
    chain = {label: group for label, group in fresh.items() if label not in inherited}  # the first inherits nothing
    right, wrong = trials.best(trials.table(fresh)), trials.best(trials.table(chain | again))
    gone = trials.all_divergences(again)
    gone = f" Diverged: {gone}." if gone else ""
    if wrong is None:
        return words.markdown(f"Every trial of the reused model diverged.{gone}")
    if right == rows.corrected(wrong):
        text = f"The choice is the same: {bold(right)} has the lowest best validation loss either way"
    else:
        text = (
            f"With fresh weights {bold(right)} has the lowest best validation loss, with one model reused {bold(wrong)}"
        )
    return words.markdown(f"{text}. A reused model's later trials have trained for longer, whatever their value.{gone}")


def show_against(study: str, name: str, outcomes: Outcomes, bases: Mapping[str, str]):
    """The table for a page, or the sentence that there is nothing to compare."""
    found = trials.against(outcomes, bases)
    columns = ["model", "baseline", "difference", "p_holm", "verdict", "fluctuation", "without the change"]
    return tables.show(found, study, name, columns=columns) if len(found) else words.markdown(NONE)


def of_toggles(outcomes: Outcomes, bases: Mapping[str, str]):
    """What each change did to the test score and to the steadiness of the validation loss."""
    if not bases:
        return words.markdown("Nothing is switched on or off here.")
    found = trials.against(outcomes, bases)
    lines = [f"- {words.verdict(row, len(found))} {_steadiness(row, outcomes)}" for _, row in found.iterrows()]
    lines += [f"- {bold(label)} diverged: {gone}." for label in bases if (gone := trials.divergences(outcomes[label]))]
    return words.markdown("\n".join(lines))


def _steadiness(row: pd.Series, outcomes: Outcomes) -> str:
    groups = [[trials.fluctuation(run) for run in outcomes[row[side]]] for side in ("model", "baseline")]
    if np.isnan(row[["fluctuation", "without the change"]].astype(float)).any():
        return "Too few epochs to say how steady its validation loss is."
    gap, p, _ = reported.over_seeds(*groups)
    text = f"Its validation loss changes by {row['fluctuation']:#.2g} between epochs, without the change by "
    text += f"{row['without the change']:#.2g}"
    if np.isnan(p):
        return f"{text} (one seed, or seeds that do not differ: no test)."
    shown = p < pairwise.ALPHA
    kind = ("unsteadier" if gap.mean > 0 else "steadier") if shown else "no difference shown"
    return f"{text}: {kind} (p {stats.p_text(p)} over seeds, not corrected)."


def of_control(groups: Mapping[str, Sequence[Run]]):
    """A config against itself under other seeds: what the page's verdicts say where there is nothing to find.

    Args: groups — the row and the control, in this order; one alone if no control is trained.
    """
    if len(groups) < 2:
        return words.markdown("No control is trained here (control_seeds is empty).")
    row = pairwise.table(groups).iloc[0]
    return words.markdown(f"{words.verdict(row, 1)} {_meaning(row)}")


def _meaning(row: pd.Series) -> str:
    if row["verdict"] in (pairwise.FEW, pairwise.UNSCORED):
        return "So the control says nothing here."
    if row["these_models"]:
        return (
            "With one seed on a side the test is of these trained models, and two trainings of one config are two "
            "models: a difference between them is what another seed does, and no difference between configs."
        )
    if row["verdict"] == pairwise.NONE:
        return "That is as it should be: nothing but the seeds differs."
    return (
        "Nothing but the seeds differs, so this difference is chance: a test at 5 % shows one in 20 such comparisons. "
        "Read every verdict of this study with that in mind, those near the limit above all."
    )


def of_overfitted(outcomes: Outcomes):
    """Whether the images trained on were learned by heart."""
    if not outcomes:
        return words.markdown("No sanity check is made here (overfit_epochs is 0).")
    ((label, (run, *_)),) = outcomes.items()
    if isinstance(run, Diverged):
        return words.markdown(
            f"{bold(label)} diverged: {trials.divergences([run])}. Nothing longer is worth a try before that."
        )
    dice, first, last = scores.values(run, "Dice"), run.history.iloc[0], run.history.iloc[-1]
    text = (
        f"In {len(run.history)} epochs on {len(dice)} images the training loss went from {first['train_loss']:.3f} to "
        f"{last['train_loss']:.3f}, and the Dice on these very images is {' and '.join(f'{d:.3f}' for d in dice)}. "
    )
    if dice.min() >= BY_HEART:
        return words.markdown(text + "They are learned by heart: network, loss and optimizer can fit what they see.")
    return words.markdown(
        f"{text}That is **not** by heart (every image at {BY_HEART} or more): these epochs at this rate do not fit "
        "even so little, so a low score further down need not be the data's fault."
    )


def of_images(study: str, name: str, outcomes: Outcomes):
    """The scores of each image that was to be learned by heart: no intervals, these images are all there is."""
    group = [run for runs_of_row in finished(outcomes).values() for run in runs_of_row]
    if not group:
        return words.markdown("There is nothing to score.")
    images = scores.per_image(group[0])[["image", "IoU", "Dice"]]
    return tables.show(images.assign(**{"foreground IoU": scores.foreground(group[0], "IoU")}), study, name)


def overlaid(run: Run, positions: Sequence[int], titles: Sequence[str]) -> tuple:
    """Images, truth and prediction at these places of a run's test images, as `plots.overlays` takes them."""
    splits, places = data.load(run.config), list(positions)
    preds = run.predictions()[places]
    preds = preds if run.config.task == "planes" else preds[:, 0] if run.config.task == "binary" else preds.argmax(1)
    masks = {"ground truth": splits.test.masks[places].numpy(), "prediction": preds}
    return splits.test.images[places], masks, exploration.foreground_classes(splits), titles


def record(study: str, notebook: str, models: Mapping[str, Sequence[Run]], *families: Outcomes) -> None:
    """Notes the page's runs for the study's later notebooks: the models, then those of FAMILIES in their order."""
    kept = {family: finished(group) for family, group in zip(FAMILIES, families, strict=True)}
    runs.record(study, notebook, {runs.MODELS: models, **kept})


def by_heart(run: Run) -> tuple:
    """The images that a run was trained and scored on, as `plots.overlays` takes them."""
    images = scores.per_image(run)
    titles = [f"{name}\nDice {dice:.3f}" for name, dice in zip(images["image"], images["Dice"], strict=True)]
    return overlaid(run, range(len(images)), titles)


def of_classes(study: str, name: str, groups: Mapping[str, Sequence[Run]]):
    """IoU class by class, or the sentence that there is one class."""
    found = conventions.per_class(groups, "IoU")
    if len(found.columns) < 2:
        return words.markdown(f"There is one class, {found.columns[0]}: its scores are those above.")
    return tables.show(found, study, name)


def without_momenta(values: Mapping) -> str:
    """Why no momenta are tried: a notebook's parameters say it."""
    if values["optimizer"] != "sgd":
        return f"No momenta are tried: the optimizer is {values['optimizer']}, which does not take one."
    return f"No momenta are tried: the momentum is {values['momentum']:g}."
