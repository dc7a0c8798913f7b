"""Tables made from the run store alone: scores with intervals, floors, paired differences. Frames in, frames out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from seglib import metrics, params
from seglib.runs import Run
from seglib.stats import Estimate, bootstrap_mean

FLOORS = ("all background", "mean training mask")
QUALITY = ("IoU", "Dice", "whole-set IoU", "whole-set Dice", "learned")  # columns of a comparison
COST = ("train loss", "val loss", "test loss", "epochs", "seeds", "test images", "parameters", "trained")
COUNTS = {"epochs", "seeds", "test images", "parameters", "trained", "trainable", "frozen"}  # columns of whole numbers
SCORES = {"IoU": metrics.iou, "Dice": metrics.dice}


def per_image(run: Run, prefix: str = "") -> pd.DataFrame:
    """One row per test image: IoU and Dice (mean over the classes that count there) and the test loss.

    Args: prefix — of the count columns; `mean_mask_` scores that floor instead of the model.
    """
    return _scored(run, [prefix + name for name in ("tp", "fp", "fn")])


def floor_per_image(run: Run, floor: str) -> pd.DataFrame:
    """As `per_image`, for one of the FLOORS."""
    if floor == "mean training mask":
        return per_image(run, "mean_mask_").drop(columns="loss")
    images = run.images
    truth, background = images["tp"] + images["fn"], images["class"] == "background"
    pixels = images["pixels"]
    counts = pd.DataFrame({"tp": truth.where(background, 0), "fp": (pixels - truth).where(background, 0)})
    counts["fn"] = truth - counts["tp"]
    return _scored(run, ["tp", "fp", "fn"], images.assign(**counts)).drop(columns="loss")


def _scored(run: Run, columns: Sequence[str], images: pd.DataFrame | None = None) -> pd.DataFrame:
    images = run.images if images is None else images
    classes = images["class"].nunique()
    counts = torch.from_numpy(images[list(columns)].to_numpy().reshape(-1, classes, 3).copy())
    rows = images.iloc[::classes]
    scores = {name: metrics.per_image(score, counts, run.config.task).numpy() for name, score in SCORES.items()}
    return pd.DataFrame({"image": rows["image"].to_numpy(), **scores, "loss": rows["loss"].to_numpy()})


def over_seeds(runs: Sequence[Run]) -> pd.DataFrame:
    """`per_image`, averaged over runs that differ in their seed alone.

    Raises: ValueError if the runs did not test on the same images.
    """
    frames = [per_image(run).set_index("image") for run in runs]
    if any(not frame.index.equals(frames[0].index) for frame in frames):
        raise ValueError(f"runs {', '.join(run.key for run in runs)} were not tested on the same images")
    return (sum(frames) / len(frames)).reset_index()


def whole_set(run: Run) -> dict[str, float]:
    """IoU and Dice of the pooled counts of all test images, mean over classes."""
    pooled = run.images.groupby("class", sort=False)[["tp", "fp", "fn"]].sum()
    counts = torch.from_numpy(pooled.to_numpy()[None])
    return {name: float(metrics.per_image(score, counts, run.config.task)) for name, score in SCORES.items()}


def losses(run: Run) -> dict[str, float]:
    """Training and validation loss of the epoch that was kept, and the test loss."""
    kept = run.history.iloc[run.meta["best_epoch"] - 1]
    return {
        "train": kept["train_loss"],
        "val": kept["val_loss"],
        "test": float(per_image(run)["loss"].mean()),
    }


def comparison(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """One row per group of runs (seeds of one config) and per floor; the index is the label.

    Columns: IoU, Dice (`Estimate`: mean over test images and seeds, 95 % interval over images); whole-set IoU,
    whole-set Dice; train, val, test loss (means over seeds); seeds; test images; parameters; trained parameters;
    learned (whether Dice is above both floors').
    Raises: ValueError if the groups do not share data, task, size and test images: those are never ranked together.
    """
    everything = [run for group in groups.values() for run in group]
    _assert_comparable(everything)
    floors = {floor: floor_per_image(everything[0], floor) for floor in FLOORS}
    best_floor = max(frame["Dice"].mean() for frame in floors.values())
    rows = {label: _row(group, best_floor) for label, group in groups.items()}
    for floor, frame in floors.items():
        rows[floor] = {**{name: bootstrap_mean(frame[name]) for name in SCORES}, "test images": len(frame)}
    return pd.DataFrame.from_dict(rows, orient="index")[[*QUALITY, *COST]]


def _row(group: Sequence[Run], best_floor: float) -> dict:
    images = over_seeds(group)
    scores = {name: bootstrap_mean(images[name]) for name in SCORES}
    pooled = pd.DataFrame([whole_set(run) for run in group]).mean()
    means = pd.DataFrame([losses(run) for run in group]).mean()
    parameters = group[0].meta["parameters"]
    return {
        **scores,
        **{f"whole-set {name}": pooled[name] for name in SCORES},
        **{f"{part} loss": means[part] for part in ("train", "val", "test")},
        "epochs": group[0].config.epochs,
        "seeds": len(group),
        "test images": len(images),
        "parameters": parameters["total"],
        "trained": parameters["trainable"],
        "learned": scores["Dice"].low > best_floor,
    }


def _assert_comparable(everything: Sequence[Run]) -> None:
    def shared(run: Run) -> tuple:
        return run.config.dataset, run.config.task, run.config.image_size, tuple(run.images["image"])

    if len({shared(run) for run in everything}) > 1:
        kinds = sorted({f"{run.config.dataset} {run.config.task} {run.config.image_size} px" for run in everything})
        raise ValueError(f"only runs on the same test images can be compared; these are on {', '.join(kinds)}")


def difference(better: Sequence[Run], worse: Sequence[Run], score: str = "Dice") -> Estimate:
    """Mean paired difference of a per-image score, first minus second, with its 95 % interval over images."""
    _assert_comparable([*better, *worse])
    return bootstrap_mean((over_seeds(better)[score] - over_seeds(worse)[score]).to_numpy())


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A comparison as text for a page: estimates with their intervals, counts with separators, gaps as a dash."""

    return pd.DataFrame({name: [_text(cell, name in COUNTS) for cell in table[name]] for name in table}, table.index)


def _text(cell, is_count: bool) -> str:
    if isinstance(cell, Estimate | str):
        return str(cell)
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if cell is None or pd.isna(cell):
        return "–"
    return f"{cell:,.0f}" if is_count else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3f}"


def extremes(images: pd.DataFrame, count: int = 2, score: str = "Dice") -> dict[str, list[int]]:
    """Positions of the worst, median and best test images by a score; ties are broken by the image's name.

    No image is in two kinds: of few images fewer than `count` are given. Images without a score are left out.
    """
    order = images.dropna(subset=score).sort_values([score, "image"], kind="stable").index.to_list()
    count = max(1, min(count, len(order) // 3))
    middle = (len(order) - count) // 2
    return {"worst": order[:count], "median": order[middle : middle + count], "best": order[-count:]}


def titles(images: pd.DataFrame, chosen: Mapping[str, list[int]], score: str = "Dice") -> list[str]:
    """One title per chosen image: why it was chosen, its name, its score."""
    return [
        f"{kind}\n{images['image'][i]}\n{score} {images[score][i]:.3f}" for kind, rows in chosen.items() for i in rows
    ]


def disagreements(first: Run, last: Run, count: int, score: str = "Dice") -> tuple[list[int], list[str]]:
    """Positions of the test images where two runs differ most, up to `count` in favour of each, and their titles."""
    _assert_comparable([first, last])
    scores = pd.DataFrame({"a": per_image(first)[score], "b": per_image(last)[score]})
    gap = (scores["b"] - scores["a"]).dropna().sort_values(kind="stable")
    rows = gap[gap > 0].index.to_list()[-count:][::-1] + gap[gap < 0].index.to_list()[:count]
    rows = rows or gap.index.to_list()[:count]  # they agree everywhere
    names = per_image(first)["image"]
    return rows, [f"{names[i]}\n{score} {scores['a'][i]:.3f} → {scores['b'][i]:.3f}" for i in rows]


def reported(study: str, groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """The figures a report gave (`reported.yaml` of the study) beside ours: reported, measured, difference.

    A loss called `val loss` in a report that validated on its test images is compared with our test loss, as the
    file's `ours` says. Empty if no figure is for these data and labels.
    """
    rows = []
    for figure in params.reported(study.split("@")[0]):
        group = groups.get(figure["label"])
        if group and group[0].config.dataset == figure["dataset"]:
            measured = _measured(group, figure.get("ours", figure["score"]))
            difference = f"{measured.mean - figure['value']:+.3f}"
            values = {"reported": figure["value"], "measured": measured, "difference": difference}
            rows.append({"model": figure["label"], "score": figure["score"], "by": figure["source"], **values})
    return pd.DataFrame(rows)


def _measured(group: Sequence[Run], score: str) -> Estimate:
    if score in SCORES:
        return bootstrap_mean(over_seeds(group)[score])
    if score == "test loss":
        return bootstrap_mean(over_seeds(group)["loss"])
    value = float(np.mean([losses(run)[score.removesuffix(" loss")] for run in group]))
    return Estimate(value, value, value)
