"""Which loss, and which λ: the terms of weighted sums over the epochs, λ × learning rate, report 5's claims about them.

A sum is a loss of two terms, first + λ · second; its terms' magnitudes are those of the training loss, weights
included, as the run store's history holds them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import reported, rows, tables, words
from seglib.escaping import bold
from seglib.runs import Run

LOSSES, CELLS = "losses", "coefficients and rates"  # families of recorded runs
PLACES = ("best", "worst")
SAME = 1.05  # terms are called equal if they are within this factor

Groups = Mapping[str, Sequence[Run]]


def validation_iou(group: Sequence[Run]) -> np.ndarray:
    """The best validation IoU of each run: (seeds,)."""
    _, measure = reported.RUN_MEASURES["best val IoU"]
    return np.array([measure(run) for run in group])


def best_and_worst(groups: Groups) -> list[str]:
    """The labels with the highest and with the lowest validation IoU, mean over seeds; a single one is both."""
    means = {label: validation_iou(group).mean() for label, group in groups.items()}
    order = sorted((label for label in means if not np.isnan(means[label])), key=lambda label: -means[label])
    return order[:1] + order[1:][-1:]


def table(groups: Groups) -> pd.DataFrame:
    """`tables.comparison` with target scale (unit or values) and val IoU (best epoch, mean over seeds) of each loss."""
    found = tables.comparison(groups)
    found["target scale"] = [_scale(groups[label][0]) if label in groups else "" for label in found.index]
    found["val IoU"] = [validation_iou(groups[x]).mean() if x in groups else np.nan for x in found.index]
    return found


def course(run: Run) -> pd.DataFrame:
    """One row per epoch: epoch, chosen (bool), val_iou, total and val_total (training and validation loss), and one
    column per term of the training loss, its weight included and in its name."""
    history, loss = run.history, run.config.loss
    found = history[["epoch", "val_iou"]].assign(total=history["train_loss"], val_total=history["val_loss"])
    found["chosen"] = found["epoch"] == run.meta["best_epoch"]
    weights = loss if isinstance(loss, Mapping) and len(loss) > 1 else {}
    terms = {_term(name, weight): weight * history[f"train_{name}"] for name, weight in weights.items()}
    if not terms:
        terms = {_term(*next(iter(loss.items()))) if isinstance(loss, Mapping) else loss: history["train_loss"]}
    return found.assign(**terms)


def courses(groups: Groups) -> dict[str, list[pd.DataFrame]]:
    """Label → the course of each run."""
    return {label: [course(run) for run in group] for label, group in groups.items()}


def _term(name: str, weight: float) -> str:
    return name if weight == 1 else f"{weight:g} · {name}"


def sums(groups: Groups, terms: Sequence[str]) -> dict[str, list[Run]]:
    """Those of the groups whose loss is a sum of these two terms."""
    return {label: list(group) for label, group in groups.items() if _is_sum(group[0].config.loss, terms)}


def _is_sum(loss: str | Mapping, terms: Sequence[str]) -> bool:
    return isinstance(loss, Mapping) and set(loss) == set(terms) and len(loss) == 2


def coefficient(loss: Mapping[str, float], terms: Sequence[str]) -> float:
    """λ: what the second term weighs when the first weighs 1."""
    return loss[terms[1]] / loss[terms[0]]


def ratio(run: Run, terms: Sequence[str]) -> np.ndarray:
    """λ · second over first, per epoch; NaN where a term is not above 0, so that they have no ratio."""
    first, second = (run.history[f"train_{name}"].to_numpy(float) for name in terms)
    first, second = (np.where(term > 0, term, np.nan) for term in (first, second))
    return coefficient(run.config.loss, terms) * second / first


def ratios(groups: Groups, terms: Sequence[str]) -> dict[str, list[pd.DataFrame]]:
    """Label → per run of the sums one row per epoch: epoch, chosen, ratio."""
    return {
        label: [course(run)[["epoch", "chosen"]].assign(ratio=ratio(run, terms)) for run in group]
        for label, group in sums(groups, terms).items()
    }


def magnitudes(groups: Groups, terms: Sequence[str]) -> pd.DataFrame:
    """One row per sum: target scale, λ, both terms of the chosen epochs (λ · second with its weight), ratio of the
    first epoch and of the chosen ones (geometric means over seeds), apart: the factor that lies between the terms
    at the chosen epochs, whichever is larger (1 is the same magnitude; mean over seeds of its logarithm)."""
    found = {}
    for label, group in sums(groups, terms).items():
        weight = coefficient(group[0].config.loss, terms)
        kept = pd.DataFrame([run.history.iloc[run.meta["best_epoch"] - 1] for run in group])
        logs = np.log([ratio(run, terms)[[0, run.meta["best_epoch"] - 1]] for run in group])
        found[label] = {
            "target scale": _scale(group[0]), "λ": weight, terms[0]: kept[f"train_{terms[0]}"].mean(),
            f"λ · {terms[1]}": weight * kept[f"train_{terms[1]}"].mean(),
            "ratio, first epoch": float(np.exp(logs[:, 0].mean())),
            "ratio, chosen epoch": float(np.exp(logs[:, 1].mean())),
            "apart": float(np.exp(np.abs(logs[:, 1]).mean())),
        }  # fmt: skip
    columns = ["target scale", "λ", terms[0], f"λ · {terms[1]}", "ratio, first epoch", "ratio, chosen epoch", "apart"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns)


def _scale(run: Run) -> str:
    return run.config.loss_options.get("target_scale", "unit")


def nearest(found: pd.DataFrame) -> str | None:
    """The label whose terms are nearest to the same magnitude, from `magnitudes`; None if no sum has a ratio."""
    apart = found["apart"].dropna()
    return apart.idxmin() if len(apart) else None


def cells(wanted: rows.Rows, groups: Groups, terms: Sequence[str]) -> pd.DataFrame:
    """One row per λ and learning rate: λ, lr, val IoU (best epoch, mean over seeds), sd (over seeds; NaN for one),
    seeds. Without a run, or without a score, val IoU is NaN."""
    found = []
    for label, config in wanted.items():
        scored = validation_iou(groups.get(label, []))
        scored = scored[~np.isnan(scored)]
        mean = scored.mean() if len(scored) else np.nan
        spread = scored.std(ddof=1) if len(scored) > 1 else np.nan
        found.append([coefficient(config.loss, terms), config.lr, mean, spread, len(scored)])
    return pd.DataFrame(found, columns=["λ", "lr", "val IoU", "sd", "seeds"])


def of_cells(found: pd.DataFrame):
    """The best cell of λ × learning rate, and whether the best λ is the same at every rate."""
    known = found.dropna(subset="val IoU")
    if known.empty:
        return words.markdown("No λ was trained at any learning rate.")
    top = known.loc[known["val IoU"].idxmax()]
    spread = "one seed" if top["seeds"] < 2 else f"sd {top['sd']:.3f} over {top['seeds']:.0f} seeds"
    text = f"Best validation IoU: **{top['val IoU']:.3f}** ({spread}), at λ = {top['λ']:g} and lr = {top['lr']:g}."
    if known["lr"].nunique() > 1 and known["λ"].nunique() > 1:
        chosen = known.loc[known.groupby("lr")["val IoU"].idxmax()].sort_values("lr")
        each = ", ".join(f"λ = {row['λ']:g} at lr = {row['lr']:g}" for _, row in chosen.iterrows())
        same = "the same at every learning rate" if chosen["λ"].nunique() == 1 else "another at another learning rate"
        text += f" The best λ is {same}: {each}."
    return words.markdown(f"{text} These are means without a test: the verdicts are below.")


def of_extremes(groups: Groups):
    """The best and the worst loss by validation IoU."""
    scored = {label: validation_iou(groups[label]) for label in best_and_worst(groups)}
    if not scored:
        return words.markdown("No loss has a validation IoU.")
    parts = [f"{name} is {bold(x)} ({scored[x].mean():.3f})" for name, x in zip(PLACES, scored, strict=False)]
    seeds = sorted({len(group) for group in scored.values()})
    basis = "of one seed" if seeds == [1] else f"mean over {' and '.join(map(str, seeds))} seeds"
    alone = " There is one loss alone." if len(scored) == 1 else ""
    if len(scored) > 1 and len({group.mean() for group in scored.values()}) == 1:
        alone = " These means are the same: there is no order."
    return words.markdown(f"By validation IoU ({basis}) the {', the '.join(parts)}.{alone}")


def of_negative(groups: Groups):
    """Which losses fell below 0, as report 3 saw of soft scores of logits; nothing if none did."""
    least = {label: min(run.history["train_loss"].min() for run in group) for label, group in groups.items()}
    texts = [f"under {bold(label)} it fell to {value:.3g}" for label, value in least.items() if value < 0]
    return words.markdown(f"A mean training loss below 0, as report 3 saw: {'; '.join(texts)}." if texts else "")


def of_balance(groups: Groups, terms: Sequence[str]):
    """Which λ brings both terms nearest to the same magnitude, and which is best and worst by validation IoU."""
    lines = []
    for variant, group in _by_variant(sums(groups, terms)).items():
        found = magnitudes(group, terms)
        if (label := nearest(found)) is None:
            continue
        order = zip(PLACES, best_and_worst(group), strict=False)
        placed = [f"the {place} is λ = {found['λ'][x]:g}" for place, x in order]
        start = f"{bold(variant)}: " if variant else ""
        by_iou = f"By validation IoU {' and '.join(placed) or 'there is no order'}, of {_listed(found['λ'])}"
        lines.append(f"{start}{_balance(found, label, terms)} {by_iou}{_one_seed(group)}.")
    return words.markdown("\n\n".join(lines) or "No sum of two terms was trained: no λ to speak of.")


def _balance(found: pd.DataFrame, label: str, terms: Sequence[str]) -> str:
    """`Nearest to the same magnitude is λ = 60: …`, and on which side all of them are if they are on one."""
    factor, sides = found["apart"][label], found["ratio, chosen epoch"].dropna()
    text = f"Nearest to the same magnitude is λ = {found['λ'][label]:g}: {terms[0]} and λ · {terms[1]} are "
    text += "equal" if factor < SAME else f"a factor of {factor:.2g} apart"
    text += " at the chosen epochs."
    if (sides > SAME).all() or (sides < 1 / SAME).all():
        side = "larger" if sides.iloc[0] > 1 else "smaller"
        text += f" λ · {terms[1]} is the {side} term at every λ tried, so that none brings them to the same magnitude."
    return text


def _one_seed(groups: Groups) -> str:
    return "" if all(len(group) > 1 for group in groups.values()) else " (one seed: of these trained models alone)"


def _by_variant(groups: Groups) -> dict[str, Groups]:
    """The groups by what stands after the comma of their labels: the name of a variant, empty for none."""
    found: dict[str, dict] = {}
    for label, group in groups.items():
        found.setdefault(label.partition(", ")[2], {})[label] = group
    return found


def _listed(values: Sequence[float]) -> str:
    *most, last = (f"{value:g}" for value in sorted(values))
    return f"{', '.join(most)} and {last}" if most else last


def claims(groups: Groups, terms: Sequence[str]) -> list[dict]:
    """Report 5's claims as claims about these runs: as `reported.answered` takes them, in test IoU."""
    found = []
    for variant, group in _by_variant(sums(groups, terms)).items():
        suffix = f", {variant}" if variant else ""
        first, second = (f"{name}{suffix}" for name in terms)
        of = f" ({variant})" if variant else ""
        sizes = magnitudes(group, terms).sort_values("λ")
        every, values = list(sizes.index), f"of {_listed(sizes['λ'])}{of}"
        if len(every) > 1 and (near := nearest(sizes)):
            text = f"λ = {sizes['λ'][near]:g}, which brings both terms nearest to the same magnitude, is the best"
            found.append({"text": f"{text} {values}", "better": near, "worse": [x for x in every if x != near]})
        if len(every) > 2 and len(every) % 2:
            middle = every[len(every) // 2]
            text = f"λ = {sizes['λ'][middle]:g}, the middle one, is the worst {values}"
            found.append({"text": text, "better": [x for x in every if x != middle], "worse": middle})
        if first in groups:
            text = f"{terms[0]} + λ · {terms[1]} is better than {terms[0]} alone at every λ {values}"
            found.append({"text": text, "better": every, "worse": first})
        if first in groups and second in groups:
            text = f"{terms[0]} alone is better than {terms[1]} alone{of}"
            found.append({"text": text, "better": first, "worse": second})
    return [{"source": "report 5", "metric": "IoU", **claim} for claim in found]


def of_claims(study: str, groups: Groups, terms: Sequence[str]):
    """The table of the claims' answers, or the sentence that there is nothing to ask."""
    asked = claims(groups, terms)
    if not asked:
        return words.markdown("No sum of two terms was trained: the claims cannot be asked of these runs.")
    return tables.show(reported.answered(asked, groups), study, "05_claims")
