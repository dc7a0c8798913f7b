"""What images.csv holds, from masks small enough to count. Alone: pytest tests/test_images_table.py"""

import math

import pytest
import torch

from seglib import images_table, metrics
from seglib.data.core import Dataset, Split
from seglib.evaluation import Evaluation

BORDERED = torch.tensor([[1, 1, 2, 2, 0, 0]])  # pet, border, background


def dataset(task, masks, classes, **more):
    split = Split(
        tuple("abcdef"[: len(masks)]), torch.zeros((len(masks), 3, *masks.shape[-2:]), dtype=torch.uint8), masks
    )
    return Dataset("tiny", task, classes, "", "", split, split, split, **more)


def rows(data, pred, border="", **more):
    counts = metrics.confusion(pred, *metrics.one_hot(data.test.masks, data.task, data.num_classes))
    test = Evaluation(counts, torch.arange(len(pred)).float(), None, pred, **more)
    return list(images_table.rows(test, data, border))


def bordered():
    rules = {
        "foreground": (BORDERED > 0).byte(), "background": (BORDERED == 1).byte(),
        "ignore": torch.where(BORDERED == 2, metrics.IGNORE_INDEX, BORDERED).byte(),
    }  # fmt: skip
    targets = {rule: mask[None] for rule, mask in rules.items()}
    return dataset("binary", targets["ignore"], ("pet",), border_targets=targets)


def test_every_border_rule_has_rows_of_its_own_and_only_the_headline_a_loss():
    pred = torch.tensor([[[[1, 1, 1, 0, 0, 1]]]]).bool()
    found = {row["border"]: row for row in rows(bordered(), pred, "ignore")}
    counts = {rule: [row[k] for k in ("tp", "fp", "fn", "pixels")] for rule, row in found.items()}
    assert counts == {"foreground": [3, 1, 1, 6], "background": [2, 2, 0, 6], "ignore": [2, 1, 0, 4]}
    assert found["ignore"]["loss"] == 0 and math.isnan(found["background"]["loss"])


def test_a_border_rule_that_the_data_do_not_have_is_an_error():
    with pytest.raises(ValueError, match="border is '', expected one of foreground, background, ignore"):
        rows(bordered(), torch.zeros((1, 1, 1, 6), dtype=torch.bool))


def test_a_source_without_border_has_one_rule_and_it_is_empty():
    masks = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    found = rows(dataset("binary", masks, ("lesion",)), torch.ones((1, 1, 1, 2), dtype=torch.bool), "foreground")
    assert [row["border"] for row in found] == [""]


def test_the_foreground_counts_a_wrong_class_as_found():
    masks = torch.tensor([[[0, 1, 2, 2, 255]]], dtype=torch.uint8)
    pred = metrics.predict(torch.eye(3)[[1, 2, 2, 0, 1]].T[None, :, None], "multiclass")
    found = rows(dataset("multiclass", masks, ("background", "disk", "star")), pred)
    assert [[row[f"foreground_{k}"] for k in ("tp", "fp", "fn")] for row in found] == [[2, 1, 1]] * 3
    assert [row["tp"] for row in found] == [0, 0, 1]


def test_bands_decode_as_report_5_does_and_stand_beside_the_counts():
    outputs = torch.tensor([24.0, 26.0, 85.0, 86.0, 300.0]).expand(5, 5)[None, :, None]
    on = metrics.in_bands(outputs)[0, :, 0].int().tolist()
    assert on == [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    masks = torch.ones((1, 1, 1, 2), dtype=torch.uint8)
    pred = torch.ones((1, 1, 1, 2), dtype=torch.bool)
    data = dataset("planes", masks, ("disk",))
    assert math.isnan(rows(data, pred)[0]["band_tp"])
    assert rows(data, pred, bands=torch.tensor([[[1, 0, 1, 2]]]))[0]["band_fn"] == 1


def test_stored_predictions_that_are_not_those_counted_stop_the_run():
    data = dataset("binary", torch.ones((1, 1, 2), dtype=torch.uint8), ("lesion",))
    pred = torch.ones((1, 1, 1, 2), dtype=torch.bool)
    test = Evaluation(torch.zeros((1, 1, 4), dtype=torch.int64), torch.zeros(1), None, pred)
    with pytest.raises(AssertionError, match="disagree"):
        list(images_table.rows(test, data))


def test_the_reader_takes_the_headline_s_rows_unless_asked(tmp_path):
    from seglib import runs

    run = runs.Run(tmp_path)
    found = rows(bordered(), torch.zeros((1, 1, 1, 6), dtype=torch.bool), "ignore")
    runs.write_table(tmp_path / "images.csv", found)
    assert run.images["pixels"].to_list() == [4]
    old = runs.Run(tmp_path / "old")
    runs.write_table(old.folder / "images.csv", [{"image": "a", "class": "pet", "tp": 1}])
    with pytest.raises(ValueError, match="run old was stored by an older version; run its notebook again"):
        _ = old.images
    assert run.images_by_border["border"].to_list() == ["foreground", "background", "ignore"]
