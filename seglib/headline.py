"""What a study found, in three sentences for its index: the best model, the study's contrast, and what did not hold."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import pairwise, reported, scores, words
from seglib.escaping import shown
from seglib.runs import Run

SCORE = "Dice"
NAMED = 3  # labels that a sentence lists; of more it gives the number

Groups = Mapping[str, Sequence[Run]]


def sentences(groups: Groups, pairs: pd.DataFrame, study: str, contrast: Sequence[str] = ()) -> list[str]:
    """The three sentences, names in `**`.

    Args: pairs — of all groups, as `pairwise.table` gives it for SCORE; study — whose reports' claims are answered;
        contrast — (model, baseline), or nothing for the best model against the study's first row.
    """
    return [best(groups, pairs), gain(groups, pairs, contrast), shortcomings(groups, study)]


def best(groups: Groups, pairs: pd.DataFrame) -> str:
    """Which model has the best mean, and which are not shown to be worse."""
    first, *ties = pairwise.leaders(groups, SCORE, pairs)
    top = scores.estimate(groups[first], SCORE)
    if np.isnan(top.mean):
        return f"No model has a {SCORE} on these images."
    text = f"**{first}** has the highest mean {SCORE}, {top}"
    if len(groups) == 1:
        return f"{text}; it is the study's only model."
    if np.isnan(top.low):
        return f"{text}; there are too few test images to say that it is better than others."
    if not ties:
        return f"{text}, and is shown to be better than {_all_others(len(groups) - 1)}."
    return f"{text}; not shown to be worse: {_listed(ties)}."


def gain(groups: Groups, pairs: pd.DataFrame, contrast: Sequence[str] = ()) -> str:
    """The study's contrast with its interval and p."""
    missing = [label for label in contrast if label not in groups]
    if missing:
        return f"The study's contrast is not here: no runs of {_listed(missing)}."
    if len(groups) < 2:
        return "There is nothing to compare it with but the floors."
    model, baseline = contrast or _default(groups, pairs)
    row = next(row for _, row in pairs.iterrows() if {row["model"], row["baseline"]} == {model, baseline})
    return shown(words.verdict(row if row["model"] == model else turned(row), len(pairs), SCORE))


def _default(groups: Groups, pairs: pd.DataFrame) -> tuple[str, str]:
    """The best model and the first of the others."""
    model = pairwise.leaders(groups, SCORE, pairs)[0]
    return model, next(label for label in groups if label != model)


def turned(row: pd.Series) -> pd.Series:
    """A row of `pairwise.table` with model and baseline exchanged."""
    gap = row["difference"]
    verdicts = {pairwise.BETTER: pairwise.WORSE, pairwise.WORSE: pairwise.BETTER}
    changes = {
        "model": row["baseline"], "baseline": row["model"], "seeds": row["baseline_seeds"],
        "baseline_seeds": row["seeds"], "difference": type(gap)(-gap.mean, -gap.high, -gap.low), "d_z": -row["d_z"],
        "wins": 1 - row["wins"] - row["ties"], "verdict": verdicts.get(row["verdict"], row["verdict"]),
    }  # fmt: skip
    return pd.Series({**row, **changes})


def shortcomings(groups: Groups, study: str) -> str:
    """What has not learned, and which claims of the reports did not hold."""
    answers = {label: pairwise.learned(group) for label, group in groups.items()}
    if unlearned := [label for label, answer in answers.items() if answer is False]:
        text = f"Not learned, that is not shown to be above both floors: {_listed(unlearned)}."
    elif None in answers.values():
        text = "There are too few test images to tell which models have learned more than the floors."
    else:
        text = "Every model is shown to be above both floors."
    claims = reported.claims(study, groups)
    if claims.empty:
        return text
    counts = Counter(claims["answer"])
    parts = [f"{counts[answer]} {answer}" for answer in ANSWERS if counts[answer]]
    wrong = [f"“{row.claim}”" for row in claims.itertuples() if row.answer == reported.CONTRADICTED]
    named = f" Contradicted: {_listed(wrong, bold=False)}." if wrong else ""
    return f"{text} Of the reports' {len(claims)} claims: {', '.join(parts)}.{named}"


ANSWERS = (reported.HELD, reported.NOT_SHOWN, reported.CONTRADICTED, reported.NOT_RUN)


def _all_others(count: int) -> str:
    return {1: "the other one", 2: "both others"}.get(count, f"all {count} others")


def _listed(names: Sequence[str], bold: bool = True) -> str:
    shown = [f"**{name}**" if bold else name for name in names[:NAMED]]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return "; ".join([*shown, *more])
