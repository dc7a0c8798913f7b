"""Rows as reported beside rows corrected. Alone: pytest tests/test_faults.py"""

import pytest
import stored

from seglib import faults, rows, scores


def test_a_fault_is_compared_with_the_row_it_is_in():
    right, wrong = stored.model("right", 0.2), stored.model("wrong", 0.5)
    groups = {"net": right, f"net{rows.FAULT}torn masks": wrong, f"net{rows.FAULT}nothing": right}
    table = faults.table(groups).set_index("fault")
    gap = scores.matrix(wrong, "Dice").mean() - scores.matrix(right, "Dice").mean()
    assert table["difference"]["torn masks"].mean == pytest.approx(gap) and table["effect"]["torn masks"] == "lower"
    assert table["difference"]["nothing"].mean == 0 and table["effect"]["nothing"] == "no difference shown"
    assert set(table["row"]) == {"net"}


def test_what_a_fault_did_is_said_with_both_scores():
    right, wrong = stored.model("right", 0.2), stored.model("wrong", 0.5)
    text = faults.of_faults({"net": right, f"net{rows.FAULT}torn masks": wrong}).data
    assert f"**net** has a Dice of {scores.estimate(wrong, 'Dice')} instead of" in text and ": lower (" in text
    assert faults.of_faults({"net": right}).data == "No fault of a report is switched on."


def test_a_fault_of_scoring_is_measured_on_the_same_runs():
    net = stored.model("net", 0.4)
    fault = f"averaged per batch of {faults.BATCH}"
    (row,) = faults.table({"net": net}, scored=[fault]).to_dict("records")
    assert row["as reported"].mean == pytest.approx(scores.estimate(net, "Dice").mean + row["difference"].mean)
    assert row["as reported"].mean == pytest.approx(scores.per_batch(net[0], "Dice", faults.BATCH).mean(), abs=0.05)


def test_a_fault_without_its_row_and_an_unknown_one_are_errors():
    net = stored.model("net", 0.4)
    with pytest.raises(ValueError, match="needs the row 'net' beside it"):
        faults.table({f"net{rows.FAULT}torn masks": net})
    with pytest.raises(ValueError, match="unknown fault of scoring 'averagd per batch of 20'; did you mean"):
        faults.table({"net": net}, scored=["averagd per batch of 20"])
