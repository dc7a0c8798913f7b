"""Two models on one page: how their configs, scores, curves and costs differ, and the images on which they disagree."""

import io
import json
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seglib import (
    atomic,
    config,
    data,
    digest,
    gallery,
    names,
    pairwise,
    paths,
    runs,
    scores,
    seal,
    site,
    stats,
    svg,
    thumbnails,
    words,
)
from seglib.escaping import shown
from seglib.plots.data import foreground_planes
from seglib.runs import Run

SHOWN = 3  # test images in favour of either model
SIDES = ("a", "b")
SCORES = ("Dice", "IoU", "precision", "recall", *scores.BOUNDARY, "test loss")
COST = {  # label → key in meta.json, digits
    "seconds of training": ("seconds", 1),
    "seconds per epoch": ("seconds_per_epoch", 2),
    "images per second": ("images_per_second", 1),
    "peak memory (MB)": ("peak_memory_mb", 0),
    "GFLOPs per image": ("gflops_per_image", 2),
    "best epoch": ("best_epoch", 0),
}
CODE = (Path(__file__), Path(site.__file__), Path(svg.__file__), Path(thumbnails.__file__))

Group = Sequence[Run]


def of_keys(first: str, second: str) -> Path:
    """The page that compares two runs of the store, in outputs/compare/.

    Raises: ValueError for a key that the store does not have, for one run twice, and for runs on other test images.
    """
    if first == second:
        raise ValueError(f"{first} is named twice; name two different runs")
    found = []
    for key in (first, second):
        run = runs.find(key)
        if run is None:
            known = [run.key for run in runs.finished()]
            raise ValueError(f"{names.unknown('run', key, known)}; `seglib runs` lists them")
        found.append(run)
    labels = [runs.label(run.config) for run in found]
    if labels[0] == labels[1]:
        labels = [f"{label}, run {run.key}" for label, run in zip(labels, found, strict=True)]
    return write({label: [run] for label, run in zip(labels, found, strict=True)}, paths.outputs() / "compare")


def name(a: Group, b: Group) -> str:
    """The file that compares two groups of runs."""
    return f"{a[0].key}-{b[0].key}.html"


def write(groups: Mapping[str, Group], folder: Path, back: str = "") -> Path:
    """Writes the page that compares two labelled groups of runs (seeds of one config each), the second minus the first.

    A page made from the same runs by the same code is left as it is.
    Args: back — link to the index that it belongs to.
    Raises: ValueError for groups that share a run and for runs that are not on the same test images.
    """
    (first, a), (second, b) = groups.items()
    if {run.key for run in a} & {run.key for run in b}:
        raise ValueError(f"{first} and {second} have a run in common; compare two that have none")
    pairwise.assert_comparable(groups)
    file = folder / name(a, b)
    keys = [[label, [run.key for run in group]] for label, group in groups.items()]
    made_from = digest.of_value([keys, back, *map(digest.of_file, [*CODE, *site.files()])])
    if seal.is_whole_page(file) and f'content="{made_from}"' in file.read_text(encoding="utf-8")[:2000]:
        return file
    row = pairwise.table(groups).iloc[0]
    content = {
        "labels": list(groups), "groups": list(groups.values()), "verdict": shown(words.verdict(row, 1)),
        "basis": words.basis(groups), "images": row["images"], "note": a[0].meta.get("note", ""),
        "scores": differences(groups), "changes": changes(a, b), "curves": curves(groups), "cost": cost(groups),
        "pictures": pictures(groups), "back": back, "made_from": made_from,
    }  # fmt: skip
    atomic.write(file, seal.signed_page(site.render("versus.html.j2", **content)))
    return file


def changes(a: Group, b: Group) -> list[dict]:
    """The fields of the configs that differ, in their order: field, a, b, what (config.py's own comment).

    A field's values over a group's runs are listed: those of `seed`, mostly.
    """
    found = []
    for field, what in explanations().items():
        values = [list(dict.fromkeys(_written(getattr(run.config, field)) for run in group)) for group in (a, b)]
        if set(values[0]) != set(values[1]):
            found.append({"field": field, "a": ", ".join(values[0]), "b": ", ".join(values[1]), "what": what})
    return found


def _written(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def explanations() -> dict[str, str]:
    """Field of `Config` → the comment that config.py has on it: at the line's end, else in the lines above it."""
    source = Path(config.__file__).read_text(encoding="utf-8")
    notes = {
        token.start[0]: (token.string.lstrip("# "), not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines, found = source.splitlines(), {}
    for field in config.FIELDS:
        number = next(i for i, line in enumerate(lines, start=1) if line.startswith(f"    {field}: "))
        above, text = number - 1, [notes[number][0]] if number in notes else []
        while number not in notes and notes.get(above, ("", False))[1]:
            text.insert(0, notes[above][0])
            above -= 1
        found[field] = " ".join(text)
    return found


def differences(groups: Mapping[str, Group]) -> list[dict]:
    """One row per score: score, a, b and gap (`Estimate`, b minus a), p (Holm over these rows), shown, whisker.

    The test loss is left out where the two were trained with different losses.
    """
    (_, a), (_, b) = groups.items()
    compared = {score: scores.compare(b, a, score) for score in SCORES if score != "test loss" or _same_loss(a, b)}
    compared = {score: c for score, c in compared.items() if np.isfinite(c.difference.mean)}
    corrected = dict(zip(compared, stats.holm([c.p for c in compared.values()]), strict=True))
    found = []
    for score, c in compared.items():
        ends = svg.scale([c.difference], include=[0.0])
        found.append({
            "score": f"{score} (px)" if score == "HD95" else score,
            "lower": score in scores.LOWER_IS_BETTER,
            "a": scores.estimate(a, score), "b": scores.estimate(b, score), "gap": c.difference,
            "p": "–" if np.isnan(corrected[score]) else stats.p_text(corrected[score]).removeprefix("= "),
            "shown": corrected[score] < pairwise.ALPHA and not c.difference.low <= 0 <= c.difference.high,
            "whisker": svg.whisker(c.difference, ends, zero=True),
        })  # fmt: skip
    return found


def _same_loss(a: Group, b: Group) -> bool:
    return len({json.dumps([run.config.loss, run.config.loss_options]) for run in (*a, *b)}) == 1


def curves(groups: Mapping[str, Group]) -> list[dict]:
    """The learning curves of both, every seed: title, drawing."""
    charts = {
        "val_dice": ("Validation Dice", 1.0),
        "train_loss": ("Training loss", None),
        "val_loss": ("Validation loss", None),
    }
    same, found = _same_loss(*groups.values()), []
    for column, (title, top) in charts.items():
        lines = [
            (side, run.history["epoch"].to_list(), run.history[column].to_list())
            for side, group in zip(SIDES, groups.values(), strict=True) for run in group
        ]  # fmt: skip
        if column != "val_dice" and not same:
            title += " (of different losses: their levels do not compare)"
        ends = [
            f"{label} ends at {np.mean([run.history[column].iloc[-1] for run in g]):.3f}" for label, g in groups.items()
        ]
        alt = f"{title} per epoch, one line per seed: {'; '.join(ends)}"
        found.append({"title": title, "drawing": svg.curves(lines, title.split(" (")[0], alt, top)})
    return found


def cost(groups: Mapping[str, Group]) -> list[tuple[str, str, str]]:
    """What each took: label, a, b. Means over seeds; a dash where a run of an older version did not say."""
    found = [("parameters", *(f"{g[0].meta['parameters']['total']:,}" for g in groups.values()))]
    found.append(("trained parameters", *(f"{g[0].meta['parameters']['trainable']:,}" for g in groups.values())))
    for label, (key, digits) in COST.items():
        values = [[run.meta[key] for run in group if key in run.meta] for group in groups.values()]
        found.append((label, *(f"{np.mean(v):,.{digits}f}" if v else "–" for v in values)))
    for label, key in {"device": "device", "torch": "torch", "commit": "commit", "trained on": "finished"}.items():
        values = [dict.fromkeys(str(run.meta.get(key, "–")) for run in group) for group in groups.values()]
        found.append((label, *(", ".join(v) for v in values)))
    return found


def pictures(groups: Mapping[str, Group]) -> dict:
    """The test images on which the first seeds disagree most: rows of name, scores and three pictures; or why not."""
    a, b = (group[0] for group in groups.values())
    try:
        test = data.load(a.config).test
    except (FileNotFoundError, ValueError) as error:
        return {"rows": [], "why": f"The images are not here: {error}"}
    images = scores.per_image(a)
    if list(test.names) != list(images["image"]):
        return {"rows": [], "why": "The images are not here: the data have changed since these runs were tested."}
    chosen, _ = gallery.disagreements(a, b, SHOWN)
    dice = [scores.per_image(run)["Dice"] for run in (a, b)]
    preds = [run.foreground() for run in (a, b)]
    rows = []
    for i in chosen:
        truth = foreground_planes(np.asarray(test.masks[i])).any(0)
        shown = [thumbnails.errors(test.images[i], truth, pred[i]) for pred in preds]
        rows.append({
            "image": images["image"][i], "a": dice[0][i], "b": dice[1][i],
            "truth": thumbnails.outlined(test.images[i], truth[None], ["foreground"]), "pictures": shown,
        })  # fmt: skip
    return {"rows": rows, "why": ""}
