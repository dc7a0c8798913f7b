"""Scores under every convention, recomputed by hand, with sets and with pandas. Alone: pytest tests/test_scores.py"""

import numpy as np
import pandas as pd
import pytest
import stored
import torch

from seglib import conventions, metrics, pairwise, scores, stats, tables, words

EMPTY, FULL, LEFT, TOP = [[0, 0], [0, 0]], [[1, 1], [1, 1]], [[1, 0], [1, 0]], [[1, 1], [0, 0]]


def run_of(pairs, key="run", **more):
    """A binary run of (prediction, truth) pairs of 2 × 2 pixels."""
    pred, truth = (torch.tensor(masks, dtype=torch.uint8) for masks in zip(*pairs, strict=True))
    return stored.store(key, pred[:, None].float(), stored.dataset(truth), **more)


@pytest.mark.parametrize(
    ("pred", "truth", "expected"),
    [  # IoU, Dice, precision, recall, specificity, accuracy
        (LEFT, LEFT, (1, 1, 1, 1, 1, 1)),
        (TOP, LEFT, (1 / 3, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2)),
        (FULL, LEFT, (1 / 2, 2 / 3, 1 / 2, 1, 0, 1 / 2)),
        (EMPTY, LEFT, (0, 0, 0, 0, 1, 1 / 2)),  # nothing claimed where there is something
        (LEFT, EMPTY, (0, 0, 0, 0, 1 / 2, 1 / 2)),
        (EMPTY, EMPTY, (1, 1, 1, 1, 1, 1)),
        (FULL, FULL, (1, 1, 1, 1, np.nan, 1)),  # no pixel could be a false alarm
    ],
)
def test_all_six_scores_by_hand(pred, truth, expected):
    found = scores.per_image(run_of([(pred, truth)])).iloc[0]
    assert [found[name] for name in scores.RATIOS] == pytest.approx(expected, nan_ok=True)


def test_iou_and_dice_are_those_that_validation_computes():
    masks = stored.discs(10)
    run = stored.store("run", stored.guess(masks, 0.3, 0), stored.dataset(masks))
    truth, valid = metrics.one_hot(masks, "binary", 1)
    counts = metrics.confusion(torch.from_numpy(run.predictions()), truth, valid)
    for name, score in {"IoU": metrics.iou, "Dice": metrics.dice}.items():
        assert scores.values(run, name) == pytest.approx(metrics.per_image(score, counts, "binary").numpy(), abs=1e-6)


def test_scores_are_those_that_other_tools_compute_from_images_csv():
    run = stored.model("a", 0.3, seeds=[0])[0]
    frame = pd.read_csv(run.folder / "images.csv")
    per_image = (2 * frame.tp / (2 * frame.tp + frame.fp + frame.fn)).mean()
    pooled = frame[["tp", "fp", "fn"]].sum()
    row = tables.comparison({"a": [run]}).loc["a"]
    assert row["Dice"].mean == pytest.approx(per_image)
    assert row["whole-set Dice"].mean == pytest.approx(2 * pooled.tp / (2 * pooled.tp + pooled.fp + pooled.fn))
    assert row["whole-set IoU"].mean == pytest.approx(pooled.tp / pooled.sum())


def test_the_interval_of_a_whole_set_score_is_that_of_resampled_counts():
    run = stored.model("a", 0.35, stored.discs(200), seeds=[0])[0]
    found = stats.estimate(scores.whole_set(run, "Dice"))
    counts = run.images[["tp", "fp", "fn"]].to_numpy(float)
    drawn = np.random.default_rng(0).integers(len(counts), size=(4000, len(counts)))
    tp, fp, fn = counts[drawn].sum(1).T
    low, high = np.quantile(2 * tp / (2 * tp + fp + fn), [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_report_4_s_average_lies_between_the_two_conventions_it_mixes():
    run = stored.model("a", 0.35, seeds=[0])[0]
    n = len(run.images)
    assert scores.per_batch(run, "Dice", 1).mean() == pytest.approx(scores.values(run, "Dice").mean())
    assert scores.per_batch(run, "Dice", n).mean() == pytest.approx(scores.whole_set(run, "Dice").mean())
    counts = run.images[["tp", "fp", "fn"]].to_numpy(float)
    batches = [counts[i : i + 16].sum(0) for i in range(0, n, 16)]  # 16, 16 and 8 images
    by_hand = np.mean([2 * tp / (2 * tp + fp + fn) for tp, fp, fn in batches])
    assert scores.per_batch(run, "Dice", 16).mean() == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="batch_size is 0"):
        scores.per_batch(run, "Dice", 0)


@pytest.fixture
def three_classes():
    masks = torch.tensor([[[0, 1, 2, 2]], [[0, 0, 1, 1]]], dtype=torch.uint8)
    pred = torch.tensor([[[0, 2, 2, 2]], [[0, 0, 1, 0]]])
    probs = torch.nn.functional.one_hot(pred, 3).movedim(-1, 1).float()
    return stored.store("run", probs, stored.dataset(masks, "multiclass", ("background", "disk", "star")))


def test_classes_are_scored_alone_together_and_as_any_foreground(three_classes):
    found = conventions.per_class({"a": [three_classes]}, "IoU").loc["a"]
    means = {name: cell.mean for name, cell in found.items()}
    assert means["background"] == pytest.approx((1 + 2 / 3) / 2)
    assert means["disk"] == pytest.approx((0 + 1 / 2) / 2)
    assert means["star"] == pytest.approx(2 / 3)  # the second image has none and claims none: not counted
    assert means["mean over classes"] == pytest.approx((5 / 6 + 1 / 4 + 2 / 3) / 3)
    assert scores.foreground(three_classes, "IoU").tolist() == pytest.approx([1, 1 / 2])
    assert scores.foreground(three_classes, "IoU", pooled=True).mean() == pytest.approx(4 / 5)
    assert scores.values(three_classes, "IoU").tolist() == pytest.approx([(1 + 0 + 2 / 3) / 3, (2 / 3 + 1 / 2) / 2])
    ways = conventions.table({"a": [three_classes]}).columns
    assert {"any foreground, per image", "any foreground, whole set"} <= set(ways) and "report 5's bands" not in ways


def test_a_class_absent_everywhere_is_left_out_of_the_mean_and_named():
    masks = torch.tensor([[[0, 1, 1, 1]], [[0, 0, 1, 1]]], dtype=torch.uint8)
    data = stored.dataset(masks, "multiclass", ("background", "disk", "star"))
    without, claimed = masks.long(), masks.long()
    claimed[0, 0, 3] = 2  # this seed alone sees a star
    group = [
        stored.store(key, torch.nn.functional.one_hot(pred, 3).movedim(-1, 1).float(), data)
        for key, pred in {"a": without, "b": claimed}.items()
    ]
    assert conventions.per_class({"b": group[1:]}).loc["b", "left out"] == ""
    found = conventions.per_class({"a": group[:1], "a, b": group}, "IoU")
    assert np.isnan(found.loc["a", "star"].mean) and found.loc["a", "left out"] == "star"
    assert found.loc["a", "mean over classes"].mean == pytest.approx(1)
    of_b = (1 + (2 / 3 + 1) / 2 + 0) / 3
    assert found.loc["a, b", "mean over classes"].mean == pytest.approx((1 + of_b) / 2)
    assert found.loc["a, b", "left out"] == "star"


def test_all_background_scores_what_background_is(three_classes):
    found = scores.floor(three_classes, "all background")
    assert found["IoU"].tolist() == pytest.approx([(1 / 4 + 0 + 0) / 3, (1 / 2 + 0) / 2])
    binary = scores.floor(run_of([(LEFT, LEFT), (LEFT, EMPTY)], "other"), "all background")
    assert binary["HD95"].tolist() == [np.hypot(128, 128), 0] and binary["surface Dice"].tolist() == [0, 1]
    assert binary["Dice"].tolist() == [0, 1] and binary["specificity"].tolist() == [1, 1]


@pytest.mark.parametrize("task", ["binary", "multiclass", "planes"])
@pytest.mark.parametrize("which", scores.FLOORS)
def test_a_floor_scores_what_a_model_that_predicts_it_does_under_every_convention(task, which):
    generator, shape = torch.Generator().manual_seed(0), (25, 3, 32, 32) if task == "planes" else (25, 32, 32)
    masks = (torch.rand(shape, generator=generator) < torch.linspace(0.1, 0.9, 32)).byte()
    masks[:5] = 0  # images without any foreground
    if task == "multiclass":
        masks *= 1 + (torch.arange(25) % 2).byte()[:, None, None]
    names = {"binary": ("a",), "multiclass": ("background", "a", "b"), "planes": ("a", "b", "c")}[task]
    data = stored.dataset(masks, task, names)
    probs = metrics.mean_mask(data).float().expand(25, -1, -1, -1).clone()
    if which == "all background":
        probs[:] = 0
        probs[:, 0] = float(task == "multiclass")
    groups = {"a": [stored.store("run", probs, data, image_size=32)]}
    tabled = [
        conventions.table(groups),
        conventions.per_class(groups),
        tables.comparison(groups)[[*tables.QUALITY[:4]]],
    ]
    details = tables.details(groups)
    tabled += [frame.set_index("model").drop(columns="convention") for _, frame in details.groupby("convention")]
    tabled += [] if task == "multiclass" and which == "all background" else [tables.boundaries(groups)]
    union = "any foreground, "  # of the mean mask's planes it is not stored
    for table in tabled:
        for name in table if task != "planes" or which == "all background" else table.filter(regex=f"^(?!{union})"):
            found, expected = (
                [getattr(table.loc[row, name], end) for end in ("mean", "low", "high")] for row in (which, "a")
            )
            assert found == pytest.approx(expected, nan_ok=True), name


def test_a_floor_stands_under_every_rule_for_the_border():
    masks = (torch.arange(16) % 3).byte().reshape(1, 4, 4).expand(25, -1, -1)
    targets = {"foreground": (masks > 0).byte(), "background": (masks == 1).byte()}
    data = stored.dataset(targets["background"], border_targets=targets)
    run = stored.store("run", torch.zeros((25, 1, 4, 4)), data, border="background")
    table = conventions.borders({"a": [run]})
    assert table.loc["all background"].to_list() == table.loc["a"].to_list()
    assert [cell.mean for cell in table.loc["mean training mask"]] == pytest.approx([0.667, 1], abs=1e-3)


def test_bands_are_scored_where_outputs_are_values():
    data = stored.dataset(torch.ones((2, 1, 1, 2), dtype=torch.uint8), "planes", ("disk",))
    bands = torch.tensor([[[1, 0, 1, 2]], [[2, 0, 0, 2]]])
    run = stored.store("run", torch.ones((2, 1, 1, 2)), data, bands=bands)
    found = conventions.table({"a": [run]}, "IoU").loc["a"]
    assert found["report 5's bands"].mean == pytest.approx(0.75) and found["per image"].mean == 1


def test_every_border_rule_stands_in_one_table_and_the_headline_is_the_one_trained_on():
    masks = (torch.arange(16) % 3).byte().reshape(1, 4, 4).expand(25, -1, -1)  # 1 pet, 2 border
    targets = {
        "foreground": (masks > 0).byte(), "background": (masks == 1).byte(),
        "ignore": torch.where(masks == 2, 255, masks),
    }  # fmt: skip
    data = stored.dataset(targets["ignore"], border_targets=targets)
    run = stored.store("run", (masks == 1)[:, None].float(), data, border="ignore")
    table = conventions.borders({"a": [run]})
    assert {name: round(cell.mean, 3) for name, cell in table.loc["a"].items()} == {
        "border as foreground": 0.667, "border as background": 1.0, "border as ignore": 1.0,
    }  # fmt: skip
    assert scores.values(run, "accuracy").tolist() == [1.0] * 25 and run.images["pixels"].iloc[0] == 11
    with pytest.raises(ValueError, match="unknown border rule 'ignored'; did you mean 'ignore'"):
        scores.per_image(run, border="ignored")


def test_a_model_must_beat_both_floors_on_the_same_images_to_have_learned():
    good, bad = stored.model("good", 0.1), stored.model("bad", 50.0)
    learned = tables.comparison({"good": good, "bad": bad})["learned"]
    assert learned["good"] and not learned["bad"]
    few = {"good": stored.model("few", 0.1, stored.discs(stats.MIN_IMAGES - 1))}
    assert tables.comparison(few)["learned"].isna().all()  # nothing was tested
    assert tables.readable(tables.comparison(few))["learned"]["good"] == "–"
    assert "too few test images to tell" in words.of_runs("good", few["good"]).data


def test_learned_is_decided_on_the_images_that_both_model_and_floor_have_scored():
    masks = stored.discs(60)
    masks[40:] = 0  # without an object: not counted unless something is found
    probs = torch.where(torch.arange(60)[:, None, None, None] < 50, masks[:, None].float(), 1.0)
    run = stored.store("planes", probs, stored.dataset(masks[:, None], "planes", ("disk",)))
    assert np.isnan(scores.values(run, "Dice")).any() and pairwise.learned([run]) is True


def test_dice_and_iou_are_torchmetrics_s_where_conventions_are_the_same():
    segmentation = pytest.importorskip("torchmetrics.functional.segmentation", reason="an oracle for this test alone")
    masks = stored.discs(12)
    run = stored.store("run", stored.guess(masks, 0.3, 0), stored.dataset(masks))
    pred, truth = torch.from_numpy(run.predictions()).long(), masks[:, None].long()
    theirs = segmentation.dice_score(pred, truth, num_classes=1, input_format="one-hot").flatten()
    assert scores.values(run, "Dice") == pytest.approx(theirs.numpy(), abs=1e-6)
    theirs = segmentation.mean_iou(pred, truth, num_classes=1, input_format="one-hot").flatten()
    assert scores.values(run, "IoU") == pytest.approx(theirs.numpy(), abs=1e-6)
