"""`images.csv`, the per-image table of a finished run: every score of every report is computed from it.

One row per border rule × test image × class (for most sources there is one rule, named by an empty text).

| column | what |
|---|---|
| image, class | the image's name; the class, as `class_names` has them (background is one where there are several) |
| border | rule for the border that annotators drew: foreground, background, ignore; empty where masks have none |
| tp, fp, fn, pixels | pixels: true positives, false positives, false negatives, and all that are not ignored |
| loss | the test loss of the whole image, repeated per class; nan but under the rule trained on |
| mean_mask_tp, _fp, _fn | the same for the floor *mean training mask*; and mean_mask_boundary_iou and so on |
| foreground_tp, _fp, _fn | any foreground class against any (report 2), of the whole image, repeated per class |
| foreground_on_edge | pixels of the true foreground on the image's outermost rows and columns, repeated per class |
| boundary_iou, hausdorff_95, surface_dice | see `seglib.boundary`: its rule for empty masks, pixels, tolerance |
| band_tp, _fp, _fn | under report 5's bands (`metrics.BANDS`) where `target_scale` is `values`, else nan |
"""

from collections.abc import Iterator

import torch

from seglib import boundary, metrics
from seglib.data.core import Dataset
from seglib.evaluation import Evaluation

CHUNK = 256  # images held as bool planes at a time
COUNTS = ("tp", "fp", "fn", "pixels")


def rows(test: Evaluation, dataset: Dataset, border: str = "") -> Iterator[dict]:
    """The rows of images.csv, rule by rule, image by image, class by class.

    Args: test — with its predictions kept; border — the rule that the run was trained and evaluated with.
    Raises: ValueError if the data have border rules and `border` is none of them.
    """
    targets = dataset.border_targets or {"": dataset.test.masks}
    if dataset.border_targets and border not in targets:
        raise ValueError(f"border is '{border}', expected one of {', '.join(targets)}: {dataset.source} has a border")
    floor = metrics.mean_mask(dataset)
    for rule, masks in targets.items():
        headline = rule == border or not dataset.border_targets
        columns = _columns(test.pred, masks, floor, dataset)
        if headline:
            assert torch.equal(columns[:, :, :4].long(), test.counts), "stored predictions and counts disagree"
        for i, image in enumerate(dataset.test.names):
            for c, name in enumerate(dataset.class_names):
                yield _row(
                    {"image": image, "class": name, "border": rule},
                    columns[i, c].tolist(),
                    float(test.loss[i]) if headline else float("nan"),
                    test.bands[i, c].tolist() if headline and test.bands is not None else [float("nan")] * 3,
                )


def _row(name: dict, columns: list[float], loss: float, bands: list) -> dict:
    counts = [int(value) for value in columns[:11]]
    return {
        **name,
        **dict(zip(COUNTS, counts[:4], strict=True)),
        "loss": loss,
        **{f"mean_mask_{k}": v for k, v in zip(COUNTS, counts[4:7], strict=False)},
        **{f"foreground_{k}": v for k, v in zip((*COUNTS[:3], "on_edge"), counts[7:], strict=True)},
        **dict(zip(boundary.NAMES, columns[11:14], strict=True)),
        **{f"mean_mask_{k}": v for k, v in zip(boundary.NAMES, columns[14:], strict=True)},
        **{f"band_{k}": v for k, v in zip(COUNTS[:3], bands[:3], strict=True)},
    }


def _columns(pred: torch.Tensor, masks: torch.Tensor, floor: torch.Tensor, dataset: Dataset) -> torch.Tensor:
    """Counts (4), the floor's (3), the foreground's (3 and 1), boundary scores (3) and the floor's (3): (N, C, 17)."""
    chunks = []
    for pred_chunk, mask_chunk in zip(pred.split(CHUNK), masks.split(CHUNK), strict=True):
        truth, valid = metrics.one_hot(mask_chunk, dataset.task, dataset.num_classes)
        counts = metrics.confusion(pred_chunk, truth, valid)
        mean_mask = metrics.confusion(floor, truth, valid)[..., :3]
        whole = _foreground_counts(pred_chunk, truth, valid, dataset.task)[:, None].expand_as(counts)
        edges = [boundary.scores(p & valid, truth & valid, dataset.task) for p in (pred_chunk, floor)]
        chunks.append(torch.cat([counts, mean_mask, whole, *edges], dim=-1))
    return torch.cat(chunks)


def _foreground_counts(pred, truth, valid, task: str) -> torch.Tensor:
    """tp, fp, fn of any foreground class against any, whichever it is, and the true foreground on the edge: (N, 4)."""
    first = 1 if task == "multiclass" else 0  # class 0 is background there
    pred, truth, valid = pred[:, first:].any(1, True), truth[:, first:].any(1, True), valid.all(1, True)
    inside = torch.zeros_like(truth[:1, :1])
    inside[..., 1:-1, 1:-1] = True
    on_edge = (truth & valid & ~inside).sum((-3, -2, -1))[:, None]
    return torch.cat([metrics.confusion(pred, truth, valid)[:, 0, :3], on_edge], dim=1)
