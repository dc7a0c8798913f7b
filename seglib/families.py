"""What a study's families of runs show, each compared within itself: what a row changes, and what that does.

A family (`runs.families`) is compared in parts that share their test images: nothing is ranked across data or tasks.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from seglib import faults, pairwise, plots, runs, scores, tables, words
from seglib.rows import FAULT
from seglib.runs import Run
from seglib.words import markdown

Groups = Mapping[str, Sequence[Run]]
LOSSES, TRIALS, SANITY, CONTROL = "losses", "trials", "sanity check", "control"
ABSENT = {  # what a page says where a study has no such family
    LOSSES: "This study compares no losses (notebook 05 does).",
    TRIALS: "This study has no trials of single settings (notebook 06 does).",
    SANITY: "This study learns no images by heart (notebook 06 does).",
    faults.FAMILY: "No fault of a report is switched on in this study.",
    CONTROL: "This study has no control: a config compared with itself under other seeds.",
}
KNOWN = (runs.MODELS, *ABSENT)


def of(study: str) -> dict[str, list[Groups]]:
    """Family → its parts of comparable groups, the models first. Raises as `runs.families`."""
    return {family: pairwise.comparable(groups) for family, groups in runs.families(study).items()}


def labelled(found: Mapping[str, Sequence[Groups]]) -> dict[str, Sequence[Run]]:
    """Label → runs of all families; the models first, and a label means the first family's runs that has it."""
    groups: dict[str, Sequence[Run]] = {}
    for parts in found.values():
        for part in parts:
            groups |= {label: group for label, group in part.items() if label not in groups}
    return groups


def bases(part: Groups, models: Groups) -> dict[str, str]:
    """Row → the row it is compared with: that with the fewest other settings changed, the models before the part's
    earlier rows, of the same network and epochs on the same images, both trained anew or both from another run. A row
    without any is a base itself, and has no entry.
    """
    found, earlier = {}, _beside(part, models)
    for label, group in part.items():
        near = {
            name: len(changes(group, other))
            for name, other in earlier.items()
            if _same_kind(group, other) and keys(other) != keys(group)
        }
        if near and keys(group) not in map(keys, earlier.values()):
            found[label] = min(near, key=near.get)
        earlier[label] = group
    return found


def _beside(part: Groups, models: Groups) -> dict[str, Sequence[Run]]:
    """The models under labels that the part does not use, if they were tested on the part's images."""
    others = {label: group for label, group in models.items() if label not in part}
    (first, *_) = part.items()
    return {
        label: group for label, group in others.items() if len(pairwise.comparable(dict([first, (label, group)]))) == 1
    }


def keys(group: Sequence[Run]) -> list[str]:
    return [run.key for run in group]


def _same_kind(group: Sequence[Run], other: Sequence[Run]) -> bool:
    a, b = group[0].config, other[0].config
    kinds = [(c.model, c.epochs, c.overfit, bool(c.start_from)) for c in (a, b)]
    return kinds[0] == kinds[1]


def changes(group: Sequence[Run], other: Sequence[Run]) -> dict[str, tuple]:
    """Field → its values in the other's config and in the group's, where they are not the same; seeds are no field."""
    before, after = (dataclasses.asdict(each[0].config) for each in (other, group))
    return {name: (before[name], after[name]) for name in after if name != "seed" and before[name] != after[name]}


def table(part: Groups, models: Groups, score: str = "Dice") -> pd.DataFrame:
    """One row per group of a part, the index its label.

    Columns: IoU, Dice (`Estimate`), learned, against (the row of `bases`), changed (what is not the same there),
    difference (`Estimate`, paired), p_holm (corrected over this table's pairs), verdict; seeds, test images.
    """
    found, known = bases(part, models), {**models, **part}
    pairs = _pairs(known, found, score).set_index("model")
    rows = {}
    for label, group in part.items():
        base = found.get(label)
        compared = pairs.loc[label] if base else {}
        rows[label] = {
            **{name: scores.estimate(group, name) for name in tables.OVERLAP},
            "learned": pairwise.learned(group),
            "against": base or "–",
            "changed": _changed(group, known[base]) if base else "–",
            "difference": compared.get("difference"), "p_holm": compared.get("p_holm"),
            "verdict": compared.get("verdict", "–"),
            "seeds": len(group), "test images": len(set(group[0].images["image"])),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _pairs(known: Groups, found: Mapping[str, str], score: str) -> pd.DataFrame:
    used = {label: known[label] for label in {**found, **dict.fromkeys(found.values())}}
    return pairwise.table(used, score, list(found.items()))


def _changed(group: Sequence[Run], base: Sequence[Run]) -> str:
    """`lr → 0.1`; of a config that is the same the seeds."""
    found = changes(group, base) or {"seeds": (None, ", ".join(str(run.config.seed) for run in group))}
    return "; ".join(f"{name} → {_plain(new)}" for name, (_, new) in found.items())


def _plain(value) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_plain(each)}" for name, each in value.items()) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else "none" if value in (None, "") else str(value)


PAGE = ("IoU", "Dice", "learned", "against", "changed", "difference", "verdict")  # columns on a page


def show(study: str, family: str, parts: Sequence[Groups], models: Groups):
    """The tables of a family's parts, or the sentence that the study has none."""
    if not parts:
        return markdown(ABSENT.get(family, f"This study has no runs of the family {family}."))
    names = [f"08_{family.replace(' ', '_')}{f'_{i}' if i else ''}" for i in range(len(parts))]
    return _each(parts, lambda part: _one(study, names[parts.index(part)], part, models))


def _one(study: str, name: str, part: Groups, models: Groups):
    return tables.show(table(part, models), study, name, tables.leaders(part, tables.OVERLAP), PAGE)


def show_others(study: str, found: Mapping[str, Sequence[Groups]], models: Groups):
    """The sanity check, models on other test images than the first part's, and families that have no section, each
    under its name; or the sentence that there is nothing else."""
    rest = {f"{runs.MODELS} on other data": found.get(runs.MODELS, [])[1:]}
    rest |= {family: parts for family, parts in found.items() if family == SANITY or family not in KNOWN}
    named = [(family, parts) for family, parts in rest.items() if parts]
    if not named:
        return markdown("Nothing else was recorded.")
    from IPython.display import display

    for family, parts in named:
        display(markdown(f"**{family[0].upper()}{family[1:]}**"))
        if (table := show(study, family, parts, models)) is not None:
            display(table)
    return None


def draw(parts: Sequence[Groups]) -> list[Figure]:
    """Per part the means and intervals of its rows, the leaders filled."""
    names = tables.OVERLAP
    return [plots.intervals(table(part, {}), names, tables.leaders(part, names)) for part in parts]


def listed(parts: Sequence[Groups], models: Groups, score: str = "Dice"):
    """Each part's verdicts, a row against its base; nothing where no row has one."""
    return _each(parts, lambda part: _verdicts(part, models, score))


def _verdicts(part: Groups, models: Groups, score: str):
    pairs = _pairs({**models, **part}, bases(part, models), score)
    return words.listed(pairs, len(pairs), score)


def show_faults(study: str, parts: Sequence[Groups], score: str = "Dice"):
    """As reported beside corrected, as `faults.show` has it."""
    if not parts:
        return markdown(ABSENT[faults.FAMILY])
    return _each(parts, lambda part: faults.show(study, f"08_as_reported{parts.index(part) or ''}", part, score))


def draw_faults(parts: Sequence[Groups], score: str = "Dice") -> list[Figure]:
    """Per part what each fault does to the score: as reported minus corrected."""
    figures = []
    for part in parts:
        found = faults.table(part, score)
        found["name"] = found["row"] + ": " + found["fault"]
        found["shown"] = found["effect"].isin(["higher", "lower"])
        found.index = found["row"] + FAULT + found["fault"]
        figures.append(plots.effects(found, score))
    return figures


def of_control(parts: Sequence[Groups], score: str = "Dice"):
    """What a config compared with itself under other seeds says of the comparisons on this page."""
    lines = []
    for part in parts:
        pairs = _pairs(part, bases(part, {}), score)
        for _, row in pairs.iterrows():
            shown = row["verdict"] in (pairwise.BETTER, pairwise.WORSE)
            meaning = (
                "Nothing but the seeds differs, so **a difference of this size is no evidence** for anything else on "
                "these images" if shown else "Nothing but the seeds differs, and none is claimed: as it should be"
            )  # fmt: skip
            lines.append(f"- {words.verdict(row, len(pairs), score)} {meaning}.")
    return markdown("\n".join(lines))


def _each(parts: Sequence[Groups], show_one: Callable):
    """What one part gives; or what all of them give, shown one after the other, each under what it was tested on."""
    if len(parts) == 1:
        return show_one(parts[0])
    from IPython.display import display

    for part in parts:
        display(markdown(f"On {pairwise.on(next(iter(part.values()))[0])}:"), show_one(part))
    return None
