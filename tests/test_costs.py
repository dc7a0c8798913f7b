"""Costs beside scores, in tables, words and charts. Alone: pytest tests/test_costs.py"""

import itertools

import numpy as np
import pandas as pd
import pytest
import stored

from seglib import costs, plots
from seglib.plots import cost, sheets
from seglib.stats import Estimate


def rows_of(**cells):
    """A table of costs: label → (parameters, Dice)."""
    frame = pd.DataFrame({"parameters": {label: c for label, (c, _) in cells.items()}})
    return frame.assign(Dice=[Estimate(d, d - 0.01, d + 0.01) for _, d in cells.values()])


def test_the_front_has_what_nothing_of_equal_or_lower_cost_beats():
    table = rows_of(cheap=(1, 0.5), twin=(1, 0.5), better=(2, 0.7), worse=(2, 0.6), dear=(3, 0.7), best=(9, 0.8))
    assert costs.front(table, "parameters") == ["cheap", "twin", "better", "best"]
    table.loc["free"] = [0, Estimate(float("nan"), float("nan"), float("nan"))]
    assert "free" not in costs.front(table, "parameters")


def test_of_a_score_that_is_better_low_the_low_are_on_the_front():
    table = rows_of(near=(2, 0.1), far=(1, 0.9), lost=(3, 0.5)).rename(columns={"Dice": "HD95"})
    assert costs.front(table, "parameters", "HD95") == ["far", "near"]


def groups(**noise):
    return {
        f"unet (width={width}), from scratch": stored.model(
            width, level, model="unet", model_options={"width": float(width)}, image_size=64
        )
        for width, level in noise.items()
    }  # fmt: skip


def test_operations_are_those_of_the_options_trained_and_speeds_means_over_seeds():
    found = costs.table(groups(**{"0.125": 0.2, "0.25": 0.21}))
    narrow, wide = found["multiply-adds (G)"]
    assert 3 < wide / narrow < 4.1  # operations grow with the square of the width, but for the first layer
    assert found["images per second"].to_list() == [50, 50] and found["network"].iloc[0] == "unet (width=0.125)"


def test_the_cheapest_row_that_is_not_shown_to_be_worse_is_named():
    text = costs.of_costs(groups(**{"0.25": 0.2, "0.125": 0.2})).data
    assert "**unet (width=0.125), from scratch**" in text and "a device, 1 threads." in text
    alike = [line for line in text.splitlines() if "best mean" in line]
    assert len(alike) == 1
    text = costs.of_costs(groups(**{"0.25": 0.1, "0.125": 0.6})).data
    assert "every row with fewer multiply-adds is shown to be worse" in text


def table_of(networks, regimes):
    random = np.random.default_rng(0)
    sizes, means = 10 ** random.uniform(-2, 0, 9), random.uniform(0.7, 0.85, 9)
    rows = {
        f"{name} (width=0.25), {regime}": {
            "network": f"{name} (width=0.25)", costs.OPERATIONS: size, "parameters": 1e6 * size,
            "Dice": Estimate(score + gain, score + gain - 0.02, score + gain + 0.02),
        }
        for name, size, score in zip(networks, sizes, means, strict=False)
        for gain, regime in zip((0.0, 0.03), regimes, strict=False)
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


@pytest.mark.parametrize(("networks", "regimes"), [(1, 1), (9, 2)])
def test_no_name_of_the_cost_chart_covers_another_or_leaves_the_chart(networks, regimes):
    table = table_of([f"network_{i}" for i in range(networks)], ["frozen", "fine-tuned"][:regimes])
    figure = cost.against_cost(table, "Dice", costs.AXES)
    figure.draw_without_rendering()
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts]
        assert len(boxes) == networks
        inside = figure.bbox
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= inside.x1 and b.y1 <= inside.y1 for b in boxes)
        assert not any(cost._common(a, b) for a, b in itertools.combinations(boxes, 2))


def test_a_row_without_a_score_has_no_point():
    table = table_of(["a", "b"], ["frozen"])
    table.iloc[1, list(table).index("Dice")] = Estimate(float("nan"), float("nan"), float("nan"))
    figure = cost.against_cost(table, "Dice", {"parameters": "parameters"})
    assert [text.get_text() for text in figure.axes[0].texts] == ["a\n(width=0.25)"]


def test_a_name_above_a_column_is_broken_after_underscores():
    assert sheets._narrow("segnet_attention_atrous (width=0.25)", "frozen").split("\n") == [
        "segnet_", "attention_", "atrous", "(width=0.25)", "frozen"]  # fmt: skip


@pytest.mark.parametrize(("models", "figures"), [(1, [1]), (5, [5]), (6, [3, 3]), (18, [5, 5, 4, 4])])
def test_many_models_are_spread_over_figures(models, figures):
    images, masks = np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8)
    preds = {f"net{i}, frozen": np.zeros((2, 8, 8), bool) for i in range(models)}
    found = sheets.sheets_of_models(images, masks, preds, ["a", "b"])
    assert [len(figure.axes) // 2 - 2 for figure in found] == figures


@pytest.mark.parametrize("column", ["val_dice", "val_loss"])
def test_learning_curves_have_a_panel_per_network_and_a_ring_per_seed(column):
    history = pd.DataFrame({"epoch": [1, 2], "val_dice": [0.1, 0.2], "val_loss": [0.9, 0.8]})
    runs = {f"{net}, {row}": [(history, 2), (history, 1)] for net in "ab" for row in ("frozen", "tuned")}
    panels = [axis for axis in plots.curves_by_network(runs, column).axes if axis.get_visible()]
    rings = [line.get_xdata().tolist() for line in panels[0].lines if line.get_marker() == "o"]
    assert [axis.get_title() for axis in panels] == ["a", "b"] and rings == [[2], [1], [2], [1]]
    (loss, dice) = plots.curves_of_rows(runs).axes
    assert {text.get_text() for text in dice.texts} == set(runs) and len(loss.texts) == 4
