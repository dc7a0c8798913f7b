"""Which images are shown, and where failures gather. Alone: pytest tests/test_gallery.py"""

import math

import pandas as pd
import pytest
import stored
import torch

from seglib import gallery, plots, scores


def test_extremes_are_three_different_kinds_and_leave_out_what_has_no_score():
    images = pd.DataFrame({"image": list("abcdefg"), "Dice": [0.5, 0.1, float("nan"), 0.9, 0.7, 0.3, 0.6]})
    assert gallery.extremes(images, 1) == {"worst": [1], "median": [0], "best": [3]}
    many = gallery.extremes(images, 10)
    assert sorted(i for rows in many.values() for i in rows) == [0, 1, 3, 4, 5, 6]


def test_of_a_distance_the_largest_is_the_worst_and_ties_go_by_name():
    images = pd.DataFrame({"image": list("bca"), "HD95": [2.0, 9.0, 2.0]})
    assert gallery.extremes(images, 1, "HD95") == {"worst": [1], "median": [2], "best": [0]}


def test_a_gallery_is_the_same_every_time_and_names_files_and_scores():
    run = stored.model("a", 0.3, seeds=[0])[0]
    sections = gallery.sections(run, 2)
    assert sections == gallery.sections(run, 2) and list(sections) == ["Dice", "boundary distance"]
    worst = scores.per_image(run)["Dice"].idxmin()
    position, caption = sections["Dice"]["worst"][0]
    assert position == worst and caption.startswith(f"image {worst:03d}\nDice 0.") and "HD95" in caption
    images = torch.zeros((40, 3, 24, 24), dtype=torch.uint8)
    figure = plots.gallery(images, stored.discs(), run.foreground(), sections, "a")
    assert len(figure.axes) == 12 and figure.get_suptitle() == "a"
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {
        "true positive", "false positive", "false negative",
    }  # fmt: skip


def test_two_models_disagree_most_where_their_scores_are_farthest_apart():
    masks = stored.discs()
    probs = stored.guess(masks, 0.05, 0)
    spoiled = probs.clone()
    spoiled[7] = 0  # the second run finds nothing there
    runs = [stored.store(k, p, stored.dataset(masks)) for k, p in {"a": probs, "b": spoiled}.items()]
    rows, titles = gallery.disagreements(*runs, count=1)
    assert rows == [7] and titles[0].endswith("→ 0.000")
    assert gallery.disagreements(*runs[::-1], count=1)[0] == [7]


def test_failures_are_counted_by_size_and_by_contact_with_the_edge():
    masks = torch.zeros((9, 8, 8), dtype=torch.uint8)
    for i in range(9):
        masks[i, 1 : 2 + i // 3 * 2, 1:7] = 1  # three sizes
    masks[8, 0] = 1  # one touches the edge
    probs = masks[:, None].float()
    probs[:3] = 0  # the small ones are missed
    group = [stored.store("a", probs, stored.dataset(masks))]
    table = gallery.failures(group)
    assert table["images"].to_list()[3:] == [1, 8, 9]
    assert table["failed"].iloc[0] == 1 and table["failed"]["all"] == pytest.approx(1 / 3)
    assert table["Dice"]["touching the image's edge"].mean == pytest.approx(1)
    by_model = gallery.failures_by_model({"a": group})
    assert by_model.loc["a"].to_list() == table["failed"].to_list()
    assert set(by_model.loc["all background"]) == {1.0}


def test_an_image_without_a_score_is_neither_failed_nor_not():
    masks = torch.zeros((4, 2, 8, 8), dtype=torch.uint8)
    masks[:2, 0, 2:5] = 1  # two images of four have something
    probs = masks.float()
    probs[0] = 0  # one of the two is missed
    run = stored.store("a", probs, stored.dataset(masks, "planes", ("a", "b")))
    assert gallery.failures([run])["failed"]["all"] == 1 / 2
    nothing = stored.dataset(masks * 0, "planes", ("a", "b"))
    assert math.isnan(gallery.failures([stored.store("b", masks * 0.0, nothing)])["failed"]["all"])


def test_background_does_not_hide_that_a_class_was_missed():
    masks = torch.zeros((3, 8, 8), dtype=torch.uint8)
    masks[:, 2:4, 2:4] = 1
    pred = masks.clone()
    pred[:, 2, 2] = 0
    pred[:, 3, 3] = 0  # IoU 0.5 of the class, 0.97 of the background: 0.73 on average
    run = stored.store("a", torch.nn.functional.one_hot(pred.long(), 2).movedim(-1, 1).float(),
                       stored.dataset(masks, "multiclass", ("background", "a")))  # fmt: skip
    assert scores.values(run, "IoU").min() > gallery.FAILURE
    assert gallery.failures([run])["failed"]["all"] == 1


def test_gains_come_largest_first_and_name_both_scores():
    masks = torch.zeros(3, 24, 24, dtype=torch.uint8)
    masks[:, :4] = 1  # four of 24 rows
    first, last = (masks[:, None].float().clone() for _ in range(2))
    first[0], last[1, :, 2:] = 0, 0  # image 0: 0 → 1; image 1: 1 → 2/3; image 2 stays
    runs = [stored.store(name, probs, stored.dataset(masks)) for name, probs in (("a", first), ("b", last))]
    positions, titles = gallery.gains(*runs, 2)
    assert positions == [0, 2, 1]
    assert titles[0] == "largest gain\nimage 000\nDice 0.000 → 1.000" and titles[2].endswith("Dice 1.000 → 0.667")
