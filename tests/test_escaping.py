"""Names in Markdown. Alone: pytest tests/test_escaping.py"""

import re

import pytest
from nbconvert.filters import markdown2html

from seglib.escaping import bold, plain, short, shown


@pytest.mark.parametrize(
    "name", ["_mine_ and *this*", "net (c=[16, 8]), a_b", "_", "`x` <i>y</i>", "a\\*b", "**", "5 $x$"]
)
def test_a_name_stands_on_the_page_as_it_is(name):
    for text in (plain(name), bold(name)):
        shown = re.sub(r"</?strong>|</?p>", "", markdown2html(f"{text} is better")).strip()
        assert shown == f"{name} is better".replace("<", "&lt;").replace(">", "&gt;")


def test_a_name_without_markup_is_left_alone():
    assert plain("mobilenetv2_decoder (width=0.5), frozen") == "mobilenetv2_decoder (width=0.5), frozen"


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("ISIC_0000003", "ISIC_0000003"),
        ("a\nb\tc\u202ed", "a b c d"),
        ("x" * 12 + "_" * 200 + "y" * 11, "x" * 12 + "…" + "y" * 11),
    ],
)
def test_above_a_picture_a_name_is_one_short_line(name, above):
    assert short(name) == above and len(above) <= 24


@pytest.mark.parametrize("name", ["_mine_ *this*", "a\\*b", "<i>"])
def test_a_sentence_that_is_no_markdown_shows_names_as_they_are(name):
    assert shown(f"{bold(name)} is better") == f"**{name}** is better"
