"""What fine-tuning gains, and the encoder's rate. Alone: pytest tests/test_gains.py"""

import pytest
import stored
import torch

from seglib import gains, plots, rows, runs


def thick(by):
    """Runs that call `by` pixels of 32 × 32 foreground beside those that are."""
    masks = torch.zeros(24, 32, 32, dtype=torch.uint8)
    masks[:, 8:16, 8:16] = 1
    found = masks[:, None].float()
    found[:, :, 0, :by] = 1
    return [stored.store(f"thick{by}", found, stored.dataset(masks), encoder="frozen" if by == 16 else "fine_tune")]


def test_false_positives_are_counted_as_a_share_of_all_pixels():
    before, after = thick(16), thick(4)
    assert gains.false_positives(before[0]) == pytest.approx([16 / 1024] * 24)
    table = gains.table(before, after).set_index("score")
    row = table.loc[gains.FALSE_POSITIVES]
    assert row["difference"].mean == pytest.approx(-12 / 1024) and row["effect"] == "lower"
    assert table["difference"]["precision"].mean == pytest.approx(64 / 68 - 64 / 80)
    assert table["effect"]["recall"] == "no difference shown"
    text = gains.of_false_positives(table.reset_index()).data
    assert text.startswith("Fine-tuning removes false positives: 0.39 (") and "no difference in recall is shown" in text


@pytest.mark.parametrize(
    ("before", "after", "text"), [(4, 16, "Fine-tuning adds false positives"), (4, 4, "is not shown to change")]
)
def test_the_sentence_follows_the_numbers(before, after, text):
    assert text in gains.of_false_positives(gains.table(thick(before), thick(after))).data


def swept(**levels):
    return {
        f"net, encoder_lr {rate}": stored.model(
            rate, noise, encoder="fine_tune" if float(rate) else "frozen", encoder_lr=float(rate) or None
        )
        for rate, noise in levels.items()
    }


def test_the_best_rate_is_named_and_what_is_shown_to_be_worse():
    groups = swept(**{"0": 0.6, "1e-06": 0.2, "0.0001": 0.5})
    assert gains.rates(groups)["rate"].to_list() == [0, 1e-6, 1e-4]
    text = gains.of_rates(groups).data
    assert "**1e-06** has the best mean Dice" in text and "shown to be worse: **0** (frozen), **0.0001**." in text
    figure = plots.against_rate(gains.rates(groups), "Dice")
    assert [len(axis.texts) for axis in figure.axes] == [1, 2] and figure.axes[1].get_xscale() == "log"


def test_without_a_sweep_the_page_says_so():
    assert plots.against_rate(gains.rates({}), "Dice") is None
    assert "No learning rates" in gains.show_rates("own", "x", {}).data and "No verdict" in gains.of_rates({}).data


def test_where_the_frozen_row_comes_from_is_said():
    run = thick(16)
    assert "shows no run" in gains.of_origin("own", run).data
    runs.record("own", gains.FROZEN_NOTEBOOK, {runs.MODELS: {"net, frozen": run}})
    assert "notebook 02's own" in gains.of_origin("own", run).data
    assert "shows not all runs" in gains.of_origin("own", run + thick(4)).data


def test_only_a_notebook_that_fine_tunes_asks_for_a_frozen_row():
    assert rows.frozen({"dataset": "lesions", "model": "unet"}) == {}
