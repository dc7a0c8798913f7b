"""Charts: colours that stay with a label. Alone: pytest tests/test_plots.py"""

import pytest

from seglib.plots import style


@pytest.fixture(autouse=True)
def fresh():
    style.assign_colours([])


def test_a_label_keeps_its_colour_whatever_a_chart_shows_beside_it():
    style.assign_colours(["a, frozen", "b, frozen", "a, fine-tuned"])
    found = style.colours(["b, frozen", "new", "a, fine-tuned", "a, frozen"])
    assert found["a, frozen"] == style.PALETTE[0].lower() and found["b, frozen"] == style.PALETTE[1].lower()
    assert len(set(found.values())) == 4 and found == style.colours(list(found))
    assert style.dashes(["a, frozen", "a, fine-tuned"]) == {"a, frozen": "-", "a, fine-tuned": "--"}


def test_nine_models_under_two_regimes_have_different_colours():
    labels = [f"{name}, {regime}" for name in "abcdefghi" for regime in ("frozen", "fine-tuned")]
    assert len(set(style.colours(labels).values())) == 18
