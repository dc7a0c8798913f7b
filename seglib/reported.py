"""What the reports gave, beside what was measured: their figures and their claims, from a study's `reported.yaml`."""

import itertools
from collections.abc import Callable, Mapping, Sequence, Set

import numpy as np
import pandas as pd

from seglib import names, pairwise, params, scores, stats
from seglib.models import summary
from seglib.runs import Run
from seglib.stats import Estimate

HELD, NOT_SHOWN, CONTRADICTED, NOT_RUN = "held", "not shown", "contradicted", "not run"
ALPHA = pairwise.ALPHA

Groups = Mapping[str, Sequence[Run]]


LOSSES = ("train loss", "val loss")  # of the epoch that was kept
KEPT = (*LOSSES, "val Dice")  # what a reported figure can be about besides the scores, of that epoch
REPORT_1_BATCH = 16
COSTS: dict[str, Callable[[Run], float]] = {  # and of the model: no interval
    "parameters": lambda run: run.meta["parameters"]["total"],
    f"multiply-adds of {REPORT_1_BATCH} images (G)": lambda run: _multiply_adds(run),
}


def last_losses(run: Run) -> pd.Series:
    """Validation loss of the second half of the epochs."""
    history = run.history["val_loss"]
    return history.iloc[len(history) // 2 :]


# What a claim can be about besides the scores: one number per run, with +1 if more is meant by `better`, else −1
RUN_MEASURES: dict[str, tuple[int, Callable[[Run], float]]] = {
    "parameters": (1, lambda run: run.meta["parameters"]["total"]),
    "mean train loss": (-1, lambda run: run.history["train_loss"].mean()),  # over all epochs: the curve's level
    "fluctuation": (-1, lambda run: last_losses(run).diff().abs().mean()),  # of val loss between epochs
    "last val loss": (-1, lambda run: last_losses(run).iloc[-1]),
    "best val loss": (-1, lambda run: run.history["val_loss"].min()),
    "best val IoU": (1, lambda run: run.history["val_iou"].max()),
    "first epochs' Dice": (1, lambda run: run.history["val_dice"].iloc[:3].mean()),  # validation, epochs 1 to 3
    "seconds per epoch": (-1, lambda run: run.meta["seconds_per_epoch"]),
}


def figures(study: str, groups: Groups) -> pd.DataFrame:
    """One row per reported figure that has runs here.

    Columns: model, score, by (the report), reported, also said, measured (`Estimate`), difference (`Estimate`: measured
    minus reported, the reported figure taken as exact: it came without an interval), differs (why the recipes are not
    the same). A loss called `val loss` in a report that validated on its test images is compared with our test loss,
    as the file's `ours` says; a figure whose model the report does not name stands beside each that it may be of.
    Empty if no figure is for these data and labels.
    """
    content = params.reported(study.split("@")[0])
    rows = []
    for figure in content["figures"]:
        labels = [figure["label"]] if isinstance(figure["label"], str) else figure["label"]
        for label in labels:
            group = groups.get(label)
            if not group or group[0].config.dataset != content["dataset"]:
                continue
            found, value = _measured(group, figure.get("ours", figure["score"])), float(figure["value"])
            rows.append({
                "model": label, "score": figure["score"], "by": figure["source"], "reported": str(figure["value"]),
                "also said": str(figure.get("also_said", "")), "measured": found,
                "difference": Estimate(found.mean - value, found.low - value, found.high - value),
                "differs": content["differs"].get(figure["source"], ""),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _measured(group: Sequence[Run], score: str) -> Estimate:
    if score in scores.NAMES:
        return scores.estimate(group, score)
    if score.startswith("foreground "):
        name = score.removeprefix("foreground ")
        return scores.estimate(group, name, lambda run: scores.foreground(run, name))
    if score in COSTS:
        return Estimate(float(COSTS[score](group[0])), float("nan"), float("nan"))
    if score not in KEPT:
        raise ValueError(names.unknown("score of a reported figure", score, [*scores.NAMES, *KEPT, *COSTS]))
    return Estimate(float(np.mean([_kept(run, score) for run in group])), float("nan"), float("nan"))


def kept_losses(run: Run) -> dict[str, float]:
    """Training and validation loss of the epoch that was kept."""
    return {name: _kept(run, name) for name in LOSSES}


def _kept(run: Run, score: str) -> float:
    return float(run.history.iloc[run.meta["best_epoch"] - 1][score.lower().replace(" ", "_")])


def _multiply_adds(run: Run) -> float:
    config, classes = run.config, run.images["class"].nunique()
    found = summary.table(
        [config.model], num_classes=classes, image_size=config.image_size, batch_size=REPORT_1_BATCH,
        options={config.model: config.model_options},
    )  # fmt: skip
    return found["multiply-adds (G)"][0]


def claims(study: str, groups: Groups) -> pd.DataFrame:
    """One row per claim of the study's reports: claim, by, answer (held, not shown, contradicted, not run), evidence.

    A claim holds if every pair it speaks of differs its way, Holm-corrected over all tests of this table at 5 %; it is
    contradicted if a pair differs the other way; it is not run if any label that it names has no runs, or two that it
    compares by a score were tested on different images, whatever the others show. A claim of likeness (`alike`) is
    contradicted if a pair differs either way, and else not shown: it could hold only within a margin, and the reports
    give none. Scores are tested as in `pairwise`; what is one number per run by Welch's t over seeds (two or more of
    each); parameter counts are exact.
    """
    content = params.reported(study.split("@")[0])
    elsewhere = {label for label, group in groups.items() if group[0].config.dataset != content["dataset"]}
    groups = {label: group for label, group in groups.items() if label not in elsewhere}
    return answered(content["claims"], groups, elsewhere)


def answered(claims: Sequence[Mapping], groups: Groups, elsewhere: Set[str] = frozenset()) -> pd.DataFrame:
    """The table of `claims` for these claims, each as a `reported.yaml` holds it.

    Args: elsewhere — labels that have runs on other data than the report's.
    """
    lacking = [_lacking(claim, groups, elsewhere) for claim in claims]
    tested = [
        [] if lack else [_test(groups, pair, claim["metric"]) for pair in pairs_of(claim)]
        for claim, lack in zip(claims, lacking, strict=True)
    ]
    corrected = iter(stats.holm([test["p"] for tests in tested for test in tests]))
    rows = []
    for claim, tests, lack in zip(claims, tested, lacking, strict=True):
        ps = list(itertools.islice(corrected, len(tests)))
        answers = [_answer(test, p, claim.get("alike", False)) for test, p in zip(tests, ps, strict=True)]
        if not answers:
            answer = NOT_RUN
        elif CONTRADICTED in answers:
            answer = CONTRADICTED
        else:
            answer = HELD if set(answers) == {HELD} else NOT_SHOWN
        evidence = "; ".join(_evidence(test, p) for test, p in zip(tests, ps, strict=True))
        evidence = evidence or claim.get("note") or lack
        rows.append({"claim": claim["text"], "by": claim["source"], "answer": answer, "evidence": evidence})
    return pd.DataFrame(rows)


def pairs_of(claim: Mapping) -> list[tuple[str, str]]:
    """The (better, worse) pairs of labels that a claim speaks of.

    Either side is a label or a list of labels, each by its full name. Two lists are taken place by place; one label
    against a list, with each of the list.
    Raises: ValueError for two lists of different lengths.
    """
    better, worse = ([side] if isinstance(side, str) else side for side in (claim["better"], claim["worse"]))
    if len(better) == len(worse):
        return list(zip(better, worse, strict=True))
    if min(len(better), len(worse)) > 1:
        raise ValueError(
            f"claim '{claim['text']}': better has {len(better)} labels and worse {len(worse)}; "
            "two lists are taken place by place, so give both the same length, or a single label on one side"
        )
    return list(itertools.product(better, worse))


def _missing(claim: Mapping, groups: Groups) -> list[str]:
    """The labels that a claim names and the study has not run, each once."""
    return [name for name in dict.fromkeys(itertools.chain(*pairs_of(claim))) if name not in groups]


def _lacking(claim: Mapping, groups: Groups, elsewhere: Set[str]) -> str:
    """Why a claim cannot be answered: `no runs of A nor B`, or that runs are on other data than the report's or, for a
    score, not on the same test images; empty if it can be."""
    if missing := _missing(claim, groups):
        if elsewhere.issuperset(missing):
            return "these runs are on other data than the report's"
        return f"no runs of {' nor '.join(missing)}"
    for better, worse in pairs_of(claim) if claim["metric"] in scores.NAMES else ():
        if len(pairwise.comparable({label: groups[label] for label in (better, worse)})) > 1:
            return f"{better} and {worse} were not tested on the same images"
    return ""


def _test(groups: Groups, pair: tuple[str, str], metric: str) -> dict:
    """The difference of a pair in a metric, its two-sided p and the sign that would be `better`."""
    first, second = (groups[label] for label in pair)
    if metric in RUN_MEASURES:
        sign, measure = RUN_MEASURES[metric]
        found, p, basis = over_seeds([measure(r) for r in first], [measure(r) for r in second], metric == "parameters")
    elif metric not in scores.NAMES:
        raise ValueError(names.unknown("metric of a claim", metric, [*scores.NAMES, *RUN_MEASURES]))
    else:
        sign = -1 if metric in scores.LOWER_IS_BETTER else 1
        compared = scores.compare(first, second, metric)
        found, p = compared.difference, compared.p
        basis = f"n = {compared.images} images × {_counts(first, second)}"
        basis += ", these trained models" if compared.these_models else ""
    return {"what": f"{pair[0]} − {pair[1]}: {metric}", "sign": sign, "gap": found, "p": p, "basis": basis}


def _evidence(test: Mapping, p: float) -> str:
    """`A − B: Dice 0.04 (0.03 to 0.05), p < 0.001, n = …`; a count without digits after the point."""
    gap = test["gap"]
    shown = f"{gap.mean:+,.0f}" if gap.low == gap.high else str(gap)
    tested = "" if np.isnan(p) else f", p {stats.p_text(p)}"
    return f"{test['what']} {shown}{tested}, {test['basis']}"


def over_seeds(first: Sequence[float], second: Sequence[float], exact: bool = False) -> tuple[Estimate, float, str]:
    """The difference of two means of one number per run, first minus second: with its 95 % interval and two-sided p by
    Welch's t over seeds, and what that rests on; NaN with a single seed of either."""
    from scipy.stats import ttest_ind

    gap = float(np.mean(first) - np.mean(second))
    basis = f"over {_counts(first, second)}"
    if exact:
        return Estimate(gap, gap, gap), float("nan"), "exact"
    if min(len(first), len(second)) < 2 or not np.ptp(first) + np.ptp(second):
        return Estimate(gap, float("nan"), float("nan")), float("nan"), f"{basis}: no interval"
    found = ttest_ind(first, second, equal_var=False)
    ends = found.confidence_interval()
    return Estimate(gap, float(ends.low), float(ends.high)), float(found.pvalue), basis


def _counts(first: Sequence, second: Sequence) -> str:
    counts = dict.fromkeys([len(first), len(second)])
    return f"{' and '.join(map(str, counts))} seed{'s' if max(counts) > 1 else ''}"


def _answer(test: Mapping, p: float, alike: bool) -> str:
    gap, sign = test["gap"], test["sign"]
    shown = (p < ALPHA or gap.low == gap.high) and (gap.low > 0 or gap.high < 0)  # NaN is not below
    if not shown:
        return NOT_SHOWN
    return HELD if gap.mean * sign > 0 and not alike else CONTRADICTED
