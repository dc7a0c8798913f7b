"""What an index shows of a study's runs: the leaderboard with drawings and pictures, and the pairs that have a page."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seglib import data, gallery, headline, pairwise, scores, svg, tables, thumbnails, versus, words
from seglib.runs import Run

FEW = 6  # models of which every pair gets a page; of more each one with the best, and the study's contrast
DRAWN = ("Dice", "IoU")
THUMBNAIL = 128  # px, shown at half of that

Groups = Mapping[str, Sequence[Run]]


def of_families(families: Mapping[str, Groups], study: str, contrast: Sequence[str]) -> dict:
    """All that the index shows of the runs.

    Args: families — as `runs.families` gives them, the one that is ranked first; contrast — as `params.about` has it.
    Ranked are those of the first family that share the first model's test images; all other rows are `others`, with
    their number.
    """
    (family, groups), *rest = families.items()
    groups, *elsewhere = pairwise.comparable(groups)
    others = {f"{family} on {pairwise.on(next(iter(part.values()))[0])}": len(part) for part in elsewhere}
    everything = [run for members in families.values() for group in members.values() for run in group]
    pairs = pairwise.table(groups, headline.SCORE)
    leaders = pairwise.leaders(groups, headline.SCORE, pairs)
    return _ranking(groups, leaders) | {
        "family": family, "groups": groups, "others": others | {name: len(members) for name, members in rest},
        "runs": families, "seconds": sum(run.meta["seconds"] for run in {run.key: run for run in everything}.values()),
        "trained": sorted({_machine(run) for run in everything}), "note": everything[0].meta["note"],
        "source": everything[0].config.dataset, "pairs": pairs, "contrast": list(contrast),
        "sentences": headline.sentences(groups, pairs, study, contrast), "basis": words.basis(groups),
        "best": leaders[0], "score": str(scores.estimate(groups[leaders[0]], headline.SCORE)),
    }  # fmt: skip


def _machine(run: Run) -> str:
    return f"{run.meta['device']}, torch {run.meta['torch']}, commit {run.meta['commit']}"


def _ranking(groups: Groups, leaders: Sequence[str]) -> dict:
    """The rows of the leaderboard, best mean Dice first, floors among them, and the scales of its drawings."""
    table = tables.comparison(groups)
    table = table.iloc[np.argsort([-_known(cell.mean) for cell in table["Dice"]], kind="stable")]
    scales = {score: svg.scale([table[score][label] for label in groups], within=(0.0, 1.0)) for score in DRAWN}
    best = {score: set(tables.leaders(groups, [score])[score]) for score in DRAWN}
    shown, image, why = _pictures(groups, leaders[0])
    text = tables.readable(table)
    rows, numbers = [], {label: i for i, label in enumerate(groups, start=1)}
    for label, row in table.iterrows():
        drawn = {
            score: svg.whisker(row[score], scales[score], "best" if label in best[score] else "") for score in DRAWN
        }
        cells = {name: text[name][label] for name in ("Dice", "IoU", "test loss", "seeds", "parameters", "learned")}
        floor = label in scores.FLOORS
        rows.append({
            "label": label, "number": numbers.get(label), "floor": floor, "best": label in best["Dice"], "drawn": drawn,
            "picture": shown.get(label, ""), **cells, "learned": "" if floor else cells["learned"],
        })  # fmt: skip
    return {
        "rows": rows, "numbers": numbers, "scales": scales, "image": image, "no_pictures": why,
        "leaderboard": tables.plain(table), "images": int(table["test images"].iloc[0]),
    }  # fmt: skip


def _known(value: float) -> float:
    return -np.inf if np.isnan(value) else value


def _pictures(groups: Groups, best: str) -> tuple[dict[str, str], str, str]:
    """Label → prediction of its first seed on one test image, the best model's median; that image; or why none is."""
    first = groups[best][0]
    try:
        test = data.load(first.config).test
    except (FileNotFoundError, ValueError) as error:
        return {}, "", f"No pictures: {error}"
    images = scores.per_image(first)
    if list(test.names) != list(images["image"]):
        return {}, "", "No pictures: the data have changed since these runs were tested."
    i = gallery.extremes(images, count=1)["median"][0]
    start = int(first.config.task == "multiclass")
    classes = list(first.images["class"].unique())[start:]
    return {
        label: thumbnails.outlined(test.images[i], group[0].predictions()[i, start:], classes, THUMBNAIL)
        for label, group in groups.items()
    }, images["image"][i], ""  # fmt: skip


def compared(found: dict, folder: Path, whole: bool) -> dict:
    """The pages that compare two models, written where `whole` says so: `pairs_shown`, those that have one.

    Pages of runs that the study does not show any more are removed.
    """
    if len(found["groups"]) < 2:
        return {"pairs_shown": []}
    groups, pages = found["groups"], folder / "compare"
    pairs = list(itertools.combinations(groups, 2))
    if len(groups) > FEW:
        pairs = [pair for pair in pairs if found["best"] in pair or set(pair) == set(found["contrast"])]
    if whole:
        written = {versus.write({a: groups[a], b: groups[b]}, pages, "../index.html") for a, b in pairs}
        for old in set(pages.glob("*.html")) - written:
            old.unlink()
    files = {(a, b): pages / versus.name(groups[a], groups[b]) for a, b in pairs}
    links = {pair: f"compare/{file.name}" for pair, file in files.items() if file.is_file()}
    return {"pairs_shown": _pairs(found["pairs"], links)}


def _pairs(pairs, links: Mapping[tuple[str, str], str]) -> list[dict]:
    """The pairs that have a page: model, baseline, difference with its drawing, verdict, link; all on one scale."""
    rows = [row for row in pairs.to_dict("records") if (row["baseline"], row["model"]) in links]
    ends = svg.scale([row["difference"] for row in rows], include=[0.0])
    for row in rows:
        shown = "best" if row["verdict"] in (pairwise.BETTER, pairwise.WORSE) else ""
        row["link"] = links[row["baseline"], row["model"]]
        row["drawing"] = svg.whisker(row["difference"], ends, shown, zero=True)
    return rows
