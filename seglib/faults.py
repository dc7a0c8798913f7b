"""What a report's fault does: a row as reported beside the same row corrected, paired on the same test images."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import conventions, names, pairwise, rows, scores, stats, tables, words
from seglib.escaping import bold, plain
from seglib.runs import Run

FAMILY = "as reported"  # of recorded runs: rows with a fault, and the corrected rows beside them
BATCH = conventions.REPORT_4_BATCH
SCORED: dict[str, Callable[[Run, str], np.ndarray]] = {  # faults of scoring: the same runs, scored otherwise
    f"averaged per batch of {BATCH}": lambda run, score: scores.per_batch(run, score, BATCH),
    "a wrong class counts as right": lambda run, score: scores.foreground(run, score),
}

Groups = Mapping[str, Sequence[Run]]


def table(groups: Groups, score: str = "Dice", scored: Sequence[str] = ()) -> pd.DataFrame:
    """One row per fault.

    Args: groups — rows with a fault (their labels as `rows.faults` and `rows.reused` make them) and the rows that they
        are in; scored — faults of scoring, names in SCORED, of every row that has no other fault.
    Columns: row, fault, corrected, as reported, difference (all `Estimate`: as reported minus corrected, paired over
    images and seeds), p_holm (corrected over the rows of this table), effect (higher, lower, or no difference shown).
    Raises: ValueError for an unknown fault of scoring, or a fault whose row is not among the groups.
    """
    found = []
    for label, group in groups.items():
        if rows.FAULT in label:
            right, fault = rows.corrected(label), label.partition(rows.FAULT)[2]
            if right not in groups:
                raise ValueError(f"the row with fault '{label}' needs the row '{right}' beside it")
            pairwise.assert_comparable({label: group, right: groups[right]})
            found.append((right, fault, scores.matrix(groups[right], score), scores.matrix(group, score), group[0]))
    for fault in scored:
        if fault not in SCORED:
            raise ValueError(names.unknown("fault of scoring", fault, SCORED))
        for label, group in groups.items():
            if rows.FAULT not in label:
                as_reported = scores.matrix(group, lambda run, way=SCORED[fault]: way(run, score))
                found.append((label, f"{score} {fault}", scores.matrix(group, score), as_reported, group[0]))
    compared = [stats.compare(wrong, right, scores.span(run, score)) for _, _, right, wrong, run in found]
    corrected = stats.holm([c.p for c in compared])
    cells = [
        {
            "row": label, "fault": fault, "corrected": stats.estimate(right, scores.span(run, score)),
            "as reported": stats.estimate(wrong, scores.span(run, score)), "difference": c.difference, "p_holm": p,
            "effect": effect(c, p),
        }
        for (label, fault, right, wrong, run), c, p in zip(found, compared, corrected, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(cells, columns=COLUMNS)


COLUMNS = ("row", "fault", "corrected", "as reported", "difference", "p_holm", "effect")


def show(study: str, name: str, groups: Groups, score: str = "Dice", scored: Sequence[str] = ()):
    """The table for a page, as `tables.show` has it, or the sentence that no fault is switched on."""
    found = table(groups, score, scored)
    return tables.show(found, study, name) if len(found) else words.markdown("No fault of a report is switched on.")


def of_faults(groups: Groups, score: str = "Dice", scored: Sequence[str] = ()):
    """What each fault did, in words."""
    found = table(groups, score, scored)
    corrected = f" after Holm over {len(found)} faults" if len(found) > 1 else ""
    lines = [
        f"- As reported (*{plain(row['fault'])}*), {bold(row['row'])} has a {score} of {row['as reported']} instead of "
        f"{row['corrected']}: {row['effect']} (difference {row['difference']}{_p(row['p_holm'], corrected)})."
        for _, row in found.iterrows()
    ]
    return words.markdown("\n".join(lines) or "No fault of a report is switched on.")


def _p(p: float, corrected: str) -> str:
    """`, p = 0.02 after Holm over 2 faults`, or nothing where nothing was tested."""
    return "" if np.isnan(p) else f", p {stats.p_text(p)}{corrected}"


def effect(compared: stats.Comparison, p: float) -> str:
    """Higher or lower where shown after correction (p), else that no difference is, or that images are too few."""
    gap = compared.difference
    if compared.images < stats.MIN_IMAGES:
        return pairwise.FEW
    if not p < pairwise.ALPHA or gap.low <= 0 <= gap.high:
        return pairwise.NONE
    return "higher" if gap.mean > 0 else "lower"
