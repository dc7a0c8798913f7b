"""What fine-tuning gains over a frozen encoder, paired on the same test images; and what the encoder's rate does."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import faults, pairwise, runs, scores, stats, tables, words
from seglib.runs import Run

FROZEN_NOTEBOOK = "02_frozen_encoder"
FALSE_POSITIVES = "false positives (share of pixels)"
SCORES = ("Dice", "IoU", "precision", "recall", FALSE_POSITIVES, "boundary IoU", "HD95")

Groups = Mapping[str, Sequence[Run]]


def false_positives(run: Run) -> np.ndarray:
    """Pixels called foreground that are not, as a share of the image's: (n,). Any class counts as foreground."""
    images = run.images.drop_duplicates("image")
    return (images["foreground_fp"] / images["pixels"]).to_numpy()


def table(before: Sequence[Run], after: Sequence[Run]) -> pd.DataFrame:
    """One row per score of SCORES.

    Columns: score; frozen, fine-tuned, difference (all `Estimate`: fine-tuned minus frozen, paired over images and
    seeds); p_holm (corrected over the rows of this table); effect (higher, lower, or no difference shown).
    """
    pairwise.assert_comparable({"before": before, "after": after})
    found = {name: [_matrix(group, name) for group in (before, after)] for name in SCORES}
    spans = {name: (0.0, 1.0) if name == FALSE_POSITIVES else scores.span(before[0], name) for name in SCORES}
    compared = {name: stats.compare(second, first, spans[name]) for name, (first, second) in found.items()}
    corrected = stats.holm([c.p for c in compared.values()])
    rows = [
        {
            "score": name, "frozen": stats.estimate(found[name][0], spans[name]),
            "fine-tuned": stats.estimate(found[name][1], spans[name]), "difference": c.difference, "p_holm": p,
            "effect": faults.effect(c, p),
        }
        for (name, c), p in zip(compared.items(), corrected, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _matrix(group: Sequence[Run], name: str) -> np.ndarray:
    return scores.matrix(group, false_positives if name == FALSE_POSITIVES else name)


def of_false_positives(found: pd.DataFrame):
    """In words, from `table`: whether fine-tuning removes false positives, and at what cost in recall."""
    rows = found.set_index("score")
    wrong, recall = rows.loc[FALSE_POSITIVES], rows.loc["recall"]
    says = {"lower": "removes false positives", "higher": "adds false positives", pairwise.NONE: _UNSHOWN}
    also = {
        "lower": "it also misses more",
        "higher": "it also misses less",
        pairwise.NONE: "no difference in recall is shown",
    }
    if wrong["effect"] not in says:
        return words.markdown(f"Whether fine-tuning removes false positives: {wrong['effect']} for a verdict.")
    tuned, frozen, gap = (_percent(wrong[name]) for name in ("fine-tuned", "frozen", "difference"))
    return words.markdown(
        f"Fine-tuning {says[wrong['effect']]}: {tuned} % of an image's pixels are called foreground wrongly, with the "
        f"encoder frozen {frozen} % (difference {gap} percentage points, p {stats.p_text(wrong['p_holm'])} after Holm "
        f"over the table). Recall: {recall['fine-tuned']} against {recall['frozen']}; {also[recall['effect']]}."
    )


_UNSHOWN = "is not shown to change false positives"


def _percent(cell: stats.Estimate) -> str:
    """`1.20 (1.00 to 1.40)`: a share as per cent."""
    mean, low, high = (f"{100 * end:.2f}" for end in (cell.mean, cell.low, cell.high))
    return f"{mean} ({low} to {high})"


def of_origin(study: str, before: Sequence[Run]):
    """Whether the frozen row is what notebook 02 shows, or was trained for this page."""
    keys, known = {run.key for run in before}, runs.recorded_by(study, FROZEN_NOTEBOOK)
    if keys <= known.keys():
        return words.markdown("The frozen row is notebook 02's own: the same runs, from the store.")
    which = "no run" if keys.isdisjoint(known) else "not all runs"
    return words.markdown(
        f"Notebook 02 of study *{study}* shows {which} of the frozen row with these parameters; what it lacks was "
        "trained for this page."
    )


def rates(swept: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per row of the sweep, the index is its label: rate (of the encoder, 0 if frozen), the score."""
    rows = {label: {"rate": _rate(group[0]), score: scores.estimate(group, score)} for label, group in swept.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["rate", score])


def _rate(run: Run) -> float:
    config = run.config
    return 0.0 if config.encoder == "frozen" else config.lr if config.encoder_lr is None else config.encoder_lr


def show_rates(study: str, name: str, swept: Groups):
    """The sweep's scores for a page, or the sentence that there is none."""
    if not swept:
        return words.markdown("No learning rates of the encoder are compared here.")
    return tables.show(tables.comparison(swept)[[*tables.QUALITY]], study, name, tables.leaders(swept, ["IoU", "Dice"]))


def of_rates(swept: Groups, score: str = "Dice"):
    """In words: the best rate of the sweep, and which are not shown to be worse."""
    found = rates(swept, score)
    if len(found) < 2 or np.isnan(found[score].iloc[0].low):
        return words.markdown(
            "No verdict on the encoder's learning rate: fewer than two rates, or too few test images."
        )
    best, *ties = pairwise.leaders(swept, score, pairwise.table(swept, score))
    text = f"Of the encoder's learning rates, {_named(found, best)} has the best mean {score}, {found[score][best]}"
    worse = [label for label in found.index if label not in (best, *ties)]
    text += f"; not shown to be worse: {', '.join(_named(found, label) for label in ties)}" if ties else ""
    text += f"; shown to be worse: {', '.join(_named(found, label) for label in worse)}" if worse else ""
    return words.markdown(f"{text}.")


def _named(found: pd.DataFrame, label: str) -> str:
    rate = found["rate"][label]
    return f"**{rate:g}**" if rate else "**0** (frozen)"
