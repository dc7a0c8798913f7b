"""Tables made from the run store alone, and how they are shown: frames in, frames out; HTML, CSV and LaTeX of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import atomic, calibration, pairwise, paths, scores, stats
from seglib.reported import kept_losses
from seglib.runs import Run
from seglib.scores import FLOORS, per_image
from seglib.stats import Estimate

__all__ = ["COST", "FLOORS", "QUALITY", "comparison", "per_image", "readable", "show", "to_latex"]

QUALITY = ("IoU", "Dice", "whole-set IoU", "whole-set Dice", "learned")  # columns of a comparison
COST = ("train loss", "val loss", "test loss", "epochs", "seeds", "test images", "parameters", "trained")
COUNTS = {"epochs", "seeds", "test images", "images", "parameters", "trained", "trainable", "frozen",
          "images needed", "seeds needed", "baseline_seeds"}  # columns of whole numbers  # fmt: skip
PERCENT = {"due to seeds", "due to images", "wins", "ties"}
P_VALUES = {"p", "p_holm"}
ROUGH = {"seed sd", "image sd", "interaction sd", "calibration error", "class-wise calibration error", "lowest seed",
         "highest seed", "fluctuation", "without the change", "seconds per image", "of these encoding",
         calibration.AT_HALF, f"{calibration.AT_HALF}, mean of class means", calibration.BEST,
         "at threshold"}  # without an interval: two digits  # fmt: skip
OVERLAP = ("IoU", "Dice")

Groups = Mapping[str, Sequence[Run]]


def comparison(groups: Groups) -> pd.DataFrame:
    """One row per group of runs (seeds of one config) and per floor; the index is the label.

    Columns: IoU, Dice, whole-set IoU, whole-set Dice (`Estimate`: mean over test images and seeds with its 95 %
    interval, see `stats`); train, val, test loss (`Estimate`, of the test loss alone with an interval); epochs; seeds;
    test images; parameters; trained parameters; learned (whether Dice is shown to be above each floor's, paired;
    None where too few images have been scored to tell). A floor has scores and test images alone: it has no output
    to take a loss of, and *learned* is its comparison.
    Raises: ValueError if the groups do not share data, task, size and test images: those are never ranked together.
    """
    pairwise.assert_comparable(groups)
    first = next(iter(groups.values()))[0]
    rows = {label: _row(group) for label, group in groups.items()}
    pooled = _pooled_floors(groups, OVERLAP)
    for which, cells in _floors(groups, OVERLAP).items():
        whole = {f"whole-set {name}": cell for name, cell in pooled[which].items()}
        rows[which] = {**cells, **whole, "test images": len(set(first.images["image"]))}
    return pd.DataFrame.from_dict(rows, orient="index")[[*QUALITY, *COST]]


def _row(group: Sequence[Run]) -> dict:
    kept = pd.DataFrame([kept_losses(run) for run in group]).mean()
    parameters = group[0].meta["parameters"]
    return {
        **{name: scores.estimate(group, name) for name in OVERLAP},
        **{f"whole-set {name}": _pooled(group, name) for name in OVERLAP},
        "learned": pairwise.learned(group),
        **{name: Estimate(kept[name], stats.UNKNOWN, stats.UNKNOWN) for name in ("train loss", "val loss")},
        "test loss": scores.estimate(group, "test loss"),
        "epochs": group[0].config.epochs,
        "seeds": len(group),
        "test images": len(set(group[0].images["image"])),
        "parameters": parameters["total"],
        "trained": parameters["trainable"],
    }


def _pooled(group: Sequence[Run], score: str) -> Estimate:
    return scores.estimate(group, score, lambda run: scores.whole_set(run, score))


def details(groups: Groups) -> pd.DataFrame:
    """Two rows per model and floor, per image and whole set: precision, recall, specificity, accuracy."""
    names, rows = ("precision", "recall", "specificity", "accuracy"), []
    for label, group in groups.items():
        for convention, found in {"per image": scores.estimate, "whole set": _pooled}.items():
            rows.append({"model": label, "convention": convention, **{name: found(group, name) for name in names}})
    floors = {"per image": _floors(groups, names), "whole set": _pooled_floors(groups, names)}
    rows += [
        {"model": which, "convention": convention, **found[which]}
        for which in FLOORS
        for convention, found in floors.items()
    ]
    return pd.DataFrame(rows)


def boundaries(groups: Groups) -> pd.DataFrame:
    """One row per model and floor: boundary IoU, HD95 (pixels of the evaluation size, less is better), surface Dice."""
    rows = {label: {name: scores.estimate(group, name) for name in scores.BOUNDARY} for label, group in groups.items()}
    return pd.DataFrame.from_dict(rows | _floors(groups, list(scores.BOUNDARY)), orient="index")


def _floors(groups: Groups, names: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """Floor → score → `Estimate`; a floor has no seeds, so its interval is over test images."""
    first = next(iter(groups.values()))[0]
    frames = {which: scores.floor(first, which) for which in FLOORS}
    return {
        which: {name: stats.estimate(frame[name].to_numpy(), scores.span(first, name)) for name in names}
        for which, frame in frames.items()
    }


def _pooled_floors(groups: Groups, names: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    """As `_floors`, of the whole set's pooled counts."""
    first = next(iter(groups.values()))[0]
    return {
        which: {name: stats.estimate(scores.whole_set(first, name, prefix), scores.span(first, name)) for name in names}
        for which, prefix in FLOORS.items()
    }


def leaders(groups: Groups, names: Sequence[str]) -> dict[str, list[str]]:
    """Score → the best of the models that have learned and all others of these not shown to be worse, for `show`.

    Nothing is marked where no model has learned, or has an interval. Corrected over all pairs, whatever has learned.
    """
    learned = {label: group for label, group in groups.items() if pairwise.learned(group)}
    found = {}
    for name in names:
        kept = {label: group for label, group in learned.items() if np.isfinite(scores.estimate(group, name).low)}
        found[name] = pairwise.leaders(kept, name, pairwise.table(groups, name)) if kept else []
    return found


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table as text for a page: estimates with their intervals, counts with separators, gaps as a dash."""
    return pd.DataFrame({name: [_text(cell, name) for cell in table[name]] for name in table}, table.index)


def _text(cell, column: str) -> str:
    if isinstance(cell, Estimate):
        return "–" if np.isnan(cell.mean) else str(cell)
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if cell is None or pd.isna(cell):
        return "–"
    if column in P_VALUES:
        return stats.p_text(cell).removeprefix("= ").replace(" ", "\u00a0")
    if np.isinf(cell):
        return "no number"
    if column == "d_z":
        return f"{cell:.1f}"
    if column in ROUGH:
        return f"{cell:#.2g}".rstrip(".")  # 0.50, not 0.5
    if column in PERCENT or str(column).startswith("failed"):
        return f"{100 * cell:.0f}\u00a0%"
    return f"{cell:,.0f}" if column in COUNTS else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3f}"


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table as numbers for other tools: an `Estimate` column x becomes x, x_low and x_high, at full precision."""
    columns = {}
    for name in table:
        cells = table[name].to_list()
        if any(isinstance(cell, Estimate) for cell in cells):
            for suffix, part in {"": "mean", "_low": "low", "_high": "high"}.items():
                columns[f"{name}{suffix}"] = [getattr(cell, part, np.nan) for cell in cells]
        else:
            columns[name] = cells
    return pd.DataFrame(columns, index=table.index)


def show(
    table: pd.DataFrame,
    study: str,
    name: str,
    best: Mapping[str, Sequence[str]] | None = None,
    columns: Sequence[str] | None = None,
    rows: Sequence | None = None,
):
    """A table for a page, and the whole of it in the report's `tables/`: <name>.csv as numbers, <name>.tex as shown.

    Args: best — column → index labels in bold (as `leaders` gives them); columns — those that the page shows, else all;
        rows — labels of the index that the page shows, else all.
    Returns: a Styler.
    """
    named = not isinstance(table.index, pd.RangeIndex)
    content = plain(table).to_csv(index=named, index_label="model" if named else None, lineterminator="\n")
    atomic.write(paths.report(study) / "tables" / f"{name}.csv", content)
    table = table.loc[slice(None) if rows is None else list(rows), slice(None) if columns is None else [*columns]]
    latex = to_latex(table if named else table.reset_index(drop=True), best=best)
    atomic.write(paths.report(study) / "tables" / f"{name}.tex", latex)
    styler = readable(table).style.set_uuid(name).format(escape="html").format_index(escape="html")
    texts = [column for column in table if all(isinstance(cell, str) for cell in table[column])]
    left = [{"selector": "", "props": [("text-align", "left")]}]
    styler = styler.set_table_styles(dict.fromkeys(texts, left))
    for column, labels in (best or {}).items():
        styler = styler.set_properties(subset=(list(labels), column), **{"font-weight": "bold"})
    return styler if named else styler.hide(axis="index")


def to_latex(table: pd.DataFrame, caption: str = "", best: Mapping[str, Sequence[str]] | None = None) -> str:
    """A table as a LaTeX `table` with booktabs rules; `best` as in `show`."""
    styler = (
        readable(table)
        .style.format(escape="latex")
        .format_index(escape="latex", axis=0)
        .format_index(escape="latex", axis=1)
    )
    for column, labels in (best or {}).items():
        styler = styler.set_properties(subset=(list(labels), column), textbf="--rwrap")
    if isinstance(table.index, pd.RangeIndex):
        styler = styler.hide(axis="index")
    return styler.to_latex(hrules=True, caption=caption or None)
