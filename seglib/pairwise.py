"""Which model is better, and by more than chance: every pair of a comparison, tested on the same images."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import scores, stats, variance
from seglib.runs import Run

ALPHA = 0.05  # of the family of all pairs, after Holm's correction
BETTER, WORSE, NONE = "better", "worse", "no difference shown"
SHOWN = 6  # models of which a page shows every pair
FEW, UNSCORED = "too few test images", "no score to compare"  # nothing was tested

Groups = Mapping[str, Sequence[Run]]


def assert_comparable(groups: Groups) -> None:
    """Raises ValueError unless all runs share data, task, size, border rule and test images: no others are ranked."""
    everything = [run for group in groups.values() for run in group]
    if len({_tested_on(run) for run in everything}) > 1:
        kinds = sorted({on(run) for run in everything})
        raise ValueError(f"only runs on the same test images can be compared; these are on {', '.join(kinds)}")


def comparable(groups: Groups) -> list[dict[str, Sequence[Run]]]:
    """The groups in parts that can each be compared, in the order in which they come."""
    parts: dict[tuple, dict[str, Sequence[Run]]] = {}
    for label, group in groups.items():
        assert_comparable({label: group})
        parts.setdefault(_tested_on(group[0]), {})[label] = group
    return list(parts.values())


def on(run: Run) -> str:
    """What a run was tested on, in words: source, task, size and border rule."""
    rule = run.images["border"].iloc[0]
    return f"{run.config.dataset} {run.config.task} {run.config.image_size} px{f', border as {rule}' if rule else ''}"


def _tested_on(run: Run) -> tuple:
    return on(run), run.config.data_seed, tuple(run.images["image"])


def table(groups: Groups, score: str = "Dice", chosen: Sequence[tuple[str, str]] | None = None) -> pd.DataFrame:
    """One row per pair of models, the later one of the groups against the earlier one, or per `chosen` pair of labels,
    (model, baseline).

    Columns: model, baseline; difference (`Estimate`, model minus baseline, mean over images and seeds); p (two-sided),
    p_holm (corrected over all pairs of this table); d_z (Cohen's, of the images' differences); wins, ties (shares of
    images on which the model's score is higher, and equal); images (those on which every seed of both has a score: the
    whole row is of these alone); seeds, baseline_seeds; these_models (seeds are not
    covered: one of the two has a single one); verdict: better or worse only if the 95 % interval leaves out 0 and
    p_holm is below ALPHA; of fewer than `stats.MIN_IMAGES` images, or of none, nothing is tested.
    """
    assert_comparable(groups)
    pairs = [(model, baseline) for baseline, model in itertools.combinations(groups, 2)] if chosen is None else chosen
    compared = [scores.compare(groups[model], groups[baseline], score) for model, baseline in pairs]
    corrected = stats.holm([c.p for c in compared])
    rows = [
        {
            "model": model, "baseline": baseline, "difference": c.difference, "p": c.p, "p_holm": p, "d_z": c.effect,
            "wins": c.wins, "ties": c.ties, "images": c.images, "seeds": c.seeds[0], "baseline_seeds": c.seeds[1],
            "these_models": c.these_models, "verdict": _verdict(c, p, score),
        }
        for (model, baseline), c, p in zip(pairs, compared, corrected, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = ("model", "baseline", "difference", "p", "p_holm", "d_z", "wins", "ties", "images", "seeds",
           "baseline_seeds", "these_models", "verdict")  # fmt: skip
SPREADS = ("model", "baseline", "difference", "seed sd", "image sd", "interaction sd", "due to seeds", "due to images",
           "images needed", "seeds needed")  # fmt: skip


def _verdict(found: stats.Comparison, p: float, score: str) -> str:
    gap = found.difference
    if not np.isfinite(gap.mean):
        return UNSCORED
    if found.images < stats.MIN_IMAGES:
        return FEW
    if gap.low <= 0 <= gap.high or p >= ALPHA:
        return NONE
    return BETTER if (gap.mean > 0) != (score in scores.LOWER_IS_BETTER) else WORSE


def of_best(groups: Groups, pairs: pd.DataFrame, score: str = "Dice") -> pd.DataFrame:
    """The rows of `table` for a page: all of up to SHOWN models; of more, those of the best mean."""
    if len(groups) <= SHOWN:
        return pairs
    best = leaders(groups, score, pairs)[0]
    return pairs[(pairs["model"] == best) | (pairs["baseline"] == best)]


def leaders(groups: Groups, score: str, pairs: pd.DataFrame | None = None) -> list[str]:
    """The best mean first, then all models that are not shown to be worse than it, in the order of the groups."""
    pairs = table(groups, score) if pairs is None else pairs
    sign = -1 if score in scores.LOWER_IS_BETTER else 1
    means = {label: sign * scores.estimate(group, score).mean for label, group in groups.items()}
    best = max(means, key=lambda label: -np.inf if np.isnan(means[label]) else means[label])
    beaten = {row.baseline for row in pairs.itertuples() if row.model == best and row.verdict == BETTER}
    beaten |= {row.model for row in pairs.itertuples() if row.baseline == best and row.verdict == WORSE}
    return [best, *(label for label in groups if label != best and label not in beaten)]


def learned(group: Sequence[Run]) -> bool | None:
    """Whether Dice is shown to be above each floor's, paired on the same images; None where too few images tell."""
    dice = scores.matrix(group, "Dice")
    answers = []
    for which in scores.FLOORS:
        floor = np.broadcast_to(scores.floor(group[0], which)["Dice"], dice.shape)  # the same under every seed
        gap = stats.compare(dice, floor).difference
        answers.append(None if np.isnan(gap.low) else gap.low > 0)
    return False if False in answers else None if None in answers else True


def matrix(groups: Groups, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs as a square: row minus column (`Estimate`), None on the diagonal."""
    square = pd.DataFrame(None, index=list(groups), columns=list(groups), dtype=object)
    for row in pairs.itertuples():
        gap = row.difference
        square.loc[row.model, row.baseline] = gap
        square.loc[row.baseline, row.model] = stats.Estimate(-gap.mean, -gap.high, -gap.low)
    return square


def variances(groups: Groups, score: str = "Dice") -> pd.DataFrame:
    """Where the variance of each pair's difference is, and what it would take to show the difference seen.

    Columns: model, baseline; seed sd, image sd, interaction sd (`variance.Components`, in the score's units); due to
    seeds, due to images (shares of the variance of the mean difference, the interaction among the images'; NaN with
    one seed); difference (`Estimate`); images needed, seeds needed (for a power of 0.8 if this very difference were
    the true one, which is optimistic, tested at ALPHA over the number of pairs, Holm's strictest step; inf: no number
    would do; NaN of fewer than `stats.MIN_IMAGES` images).
    """
    assert_comparable(groups)
    found = {label: scores.matrix(group, score) for label, group in groups.items()}
    rows = []
    pairs = list(itertools.combinations(found, 2))
    for baseline, model in pairs:
        models = variance.paired(found[model], found[baseline])
        parts = variance.components(*models)
        by_seed = parts.seed**2 / parts.seeds
        by_image = (parts.image**2 + np.nan_to_num(parts.interaction) ** 2 / parts.seeds) / max(parts.images, 1)
        gap = scores.compare(groups[model], groups[baseline], score).difference
        images, seeds = variance.needed(parts, gap.mean, ALPHA / len(pairs), stats.MIN_IMAGES)
        total = by_seed + by_image
        shares = (by_seed / total, by_image / total) if total > 0 else (np.nan, np.nan)
        rows.append({
            "model": model, "baseline": baseline, "difference": gap, "seed sd": parts.seed, "image sd": parts.image,
            "interaction sd": parts.interaction, "due to seeds": shares[0], "due to images": shares[1],
            "images needed": images, "seeds needed": seeds,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=SPREADS)  # of a single model there are no pairs
