"""Which test images to look at: the worst, median and best of a model, where two disagree, where failures gather."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglib import pairwise, scores, stats, words
from seglib.escaping import bold, short
from seglib.runs import Run

FAILURE = 0.65  # IoU below which ISIC 2018 counts a segmentation as failed
KINDS = ("worst", "median", "best")


MOST = 6  # models whose pictures a page shows


def models_shown(groups: Mapping[str, Sequence[Run]], most: int = MOST, score: str = "Dice") -> list[str]:
    """The models to show pictures of, in the order of the groups: all, or the best means and the last one."""
    sign = -1 if score in scores.LOWER_IS_BETTER else 1
    means = {label: sign * scores.estimate(group, score).mean for label, group in groups.items()}
    ranked = sorted(means, key=lambda label: np.nan_to_num(means[label], nan=-np.inf), reverse=True)
    kept = ranked if len(ranked) <= most else [*ranked[: most - 1], ranked[-1]]
    return [label for label in groups if label in kept]


def of_left_out(groups: Mapping[str, Sequence[Run]], shown: Sequence[str]):
    """Which models a page shows no pictures of, and where their predictions are; nothing if it shows all."""
    left = [label for label in groups if label not in shown]
    return words.markdown(
        f"Shown are the {len(shown) - 1} highest means of Dice and the lowest. Left out: {', '.join(left)}; their "
        "predictions are in the run store, and their scores in the tables above." if left else ""
    )  # fmt: skip


def predicted(run: Run, classes: Mapping[str, int]) -> np.ndarray:
    """What pictures of a run show: its foreground (N, H, W), or of several classes its channels (N, C, H, W); bool."""
    return run.predictions() if len(classes) > 1 else run.foreground()


def extremes(images: pd.DataFrame, count: int = 2, score: str = "Dice") -> dict[str, list[int]]:
    """Positions of the worst, median and best test images by a score; ties are broken by the image's name.

    No image is in two kinds: of few images fewer than `count` are given. Images without a score are left out.
    """
    worst_first = score not in scores.LOWER_IS_BETTER
    known = images.dropna(subset=score)
    order = known.sort_values([score, "image"], ascending=[worst_first, True], kind="stable").index.to_list()
    count = max(1, min(count, len(order) // 3))
    middle = (len(order) - count) // 2
    return {"worst": order[:count], "median": order[middle : middle + count], "best": order[-count:]}


def titles(images: pd.DataFrame, chosen: Mapping[str, list[int]]) -> list[str]:
    """One title per chosen image: why it was chosen, its name, its Dice and boundary distance."""
    return [f"{kind}\n{caption(images, i)}" for kind, rows in chosen.items() for i in rows]


def caption(images: pd.DataFrame, row: int) -> str:
    """An image's name and scores."""
    return f"{short(images['image'][row])}\nDice {images['Dice'][row]:.3f}\nHD95 {images['HD95'][row]:.1f} px"


def sections(run: Run, count: int) -> dict[str, dict[str, list[tuple[int, str]]]]:
    """Way (Dice, boundary distance) → kind (worst, median, best) → (position, caption) of the images chosen."""
    images = scores.per_image(run)
    ways = {"Dice": "Dice", "boundary distance": "HD95"}
    return {
        way: {kind: [(i, caption(images, i)) for i in rows] for kind, rows in extremes(images, count, score).items()}
        for way, score in ways.items()
    }


def disagreements(first: Run, last: Run, count: int, score: str = "Dice") -> tuple[list[int], list[str]]:
    """Positions of the test images where two runs differ most, up to `count` in favour of each, and their titles."""
    pairwise.assert_comparable({"first": [first], "last": [last]})
    a, b = (scores.per_image(run) for run in (first, last))
    frame = pd.DataFrame({"image": a["image"], "a": a[score], "b": b[score]})
    frame["gap"] = frame["b"] - frame["a"]
    gap = frame.dropna(subset="gap").sort_values(["gap", "image"], kind="stable")["gap"]
    rows = gap[gap > 0].index.to_list()[-count:][::-1] + gap[gap < 0].index.to_list()[:count]
    rows = rows or gap.index.to_list()[:count]  # they agree everywhere
    return rows, [f"{short(frame['image'][i])}\n{score} {frame['a'][i]:.3f} → {frame['b'][i]:.3f}" for i in rows]


def gains(first: Run, last: Run, count: int, score: str = "Dice") -> tuple[list[int], list[str]]:
    """Positions of the test images where the last run gains most on the first, in between, and least (or loses), up to
    `count` of each, and their titles."""
    pairwise.assert_comparable({"first": [first], "last": [last]})
    a, b = (scores.per_image(run) for run in (first, last))
    found = extremes(a[["image"]].assign(gain=b[score] - a[score]), count, "gain")
    kinds = {"largest gain": found["best"][::-1], "median gain": found["median"], "smallest gain": found["worst"]}
    chosen = [(kind, i) for kind, rows in kinds.items() for i in rows]
    texts = [f"{kind}\n{short(a['image'][i])}\n{score} {a[score][i]:.3f} → {b[score][i]:.3f}" for kind, i in chosen]
    return [i for _, i in chosen], texts


def failures(group: Sequence[Run]) -> pd.DataFrame:
    """Where failures gather: one row per third of the images by size, per contact with the edge, and for all.

    Columns: images, Dice (`Estimate`), failed (share of images × seeds with IoU below FAILURE, of those that have an
    IoU). Of several classes the IoU is here the mean over those that are not background: it would hide what is missed.
    Size is the truth's foreground as a share of the image; contact means that it reaches the image's outermost pixels.
    """
    dice, failed = scores.matrix(group, "Dice"), scores.matrix(group, _failed)
    rows = {
        name: {
            "images": int(mask.sum()),
            "Dice": stats.estimate(dice[:, mask], scores.span(group[0], "Dice")),
            "failed": _share(failed[:, mask]),
        }
        for name, mask in _kinds_of_image(group[0]).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def of_failures(name: str, runs: Sequence[Run]):
    """Where a model fails most, from the table of failures."""
    rows = failures(runs)
    kinds = rows[rows["images"] > 0].drop(index="all")
    parts = [f"{row['failed']:.0%} of the {row['images']} {group}" for group, row in kinds.iterrows()]
    return words.markdown(
        f"{bold(name)} has an IoU below {FAILURE} (ISIC 2018's limit of a failed segmentation) on "
        f"{rows['failed']['all']:.0%} of the images: {', '.join(parts)}. Thirds are by the object's share of the image."
    )


def failures_by_model(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """One row per model and floor, one column per kind of image as in `failures`: the share that failed."""
    first = next(iter(groups.values()))[0]
    columns = {label: failures(group)["failed"] for label, group in groups.items()}
    for which, prefix in scores.FLOORS.items():
        failed = _failed(first, prefix)
        columns[which] = pd.Series({name: _share(failed[mask]) for name, mask in _kinds_of_image(first).items()})
    return pd.DataFrame(columns).T.add_prefix("failed: ")


def _failed(run: Run, prefix: str = "") -> np.ndarray:
    """1 where an image's IoU is below FAILURE, 0 where not, NaN where it has none: (n,)."""
    iou = scores.per_class(run, "IoU", prefix).to_numpy()
    iou = scores.mean_of_defined(iou[:, 1 if run.config.task == "multiclass" else 0 :], 1)
    return np.where(np.isnan(iou), np.nan, iou < FAILURE)


def _share(failed: np.ndarray) -> float:
    known = failed[~np.isnan(failed)]
    return float(known.mean()) if len(known) else np.nan


def _kinds_of_image(run: Run) -> dict[str, np.ndarray]:
    images = run.images.drop_duplicates("image")
    size = ((images["foreground_tp"] + images["foreground_fn"]) / images["pixels"]).to_numpy()
    touches = images["foreground_on_edge"].to_numpy() > 0
    small, large = np.quantile(size, [1 / 3, 2 / 3])
    return {
        f"small (below {small:.1%})": size < small,
        f"medium ({small:.1%} to {large:.1%})": (size >= small) & (size <= large),
        f"large (above {large:.1%})": size > large,
        "touching the image's edge": touches,
        "not touching it": ~touches,
        "all": np.ones(len(size), dtype=bool),
    }
