"""Pages in a real browser: silent, alone, narrow enough, sorted, dark. Alone: pytest tests/test_browser.py

Skipped where there is no Chromium; `tests/browser.py` drives it.
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from bs4 import BeautifulSoup
from executed import HOSTILE, comparison, save, scores, shows
from nbformat.v4 import new_code_cell, new_markdown_cell

from seglib import render

VALUES = {"a": 0.9, "b": 0.11, "c": 0.5, "d": 0.7, "e": 0.3, HOSTILE: 0.2}
ROWS = "[...document.querySelector('table').tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with every kind of block; its first table has six rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        columns = ["IoU", "Dice", "whole-set IoU", "whole-set Dice", "surface Dice"]
        wide = new_code_cell("x", outputs=[shows(scores(VALUES, columns))], execution_count=1)
        long = new_markdown_cell(
            "`" + "unbreakable" * 20 + "`\n\n$$" + "a+" * 60 + "a$$\n\n```\n" + "x" * 300 + "\n```"
        )
        cells = comparison()
        notebook = save([cells[0], wide, long, *cells[1:]])
        render.write_page(notebook, ["01_data", "08_comparison"])
        yield notebook.with_suffix(".html").as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_page_asks_for_nothing_reports_no_error_and_fits(browser, address, width, dark, tmp_path):
    page = browser.open(address, width=width, dark=dark)
    assert not page.errors and not page.requests and page.overflow() <= 0
    for link in ("document.querySelector('.fold').open = true", "document.querySelector('.parameters').open = true"):
        page.evaluate(link)
    assert page.overflow() <= 0 and page.screenshot(tmp_path / "page.png").stat().st_size > 10_000
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def luminance(colour):
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(browser, address, dark):
    page = browser.open(address, dark=dark)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    pairs = page.evaluate("""[...document.querySelectorAll('body *')].filter(e => !e.closest('svg, math, script') &&
        [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())).map(e => {
          let under = e, back;
          do { back = getComputedStyle(under).backgroundColor; under = under.parentElement; }
          while (back == 'rgba(0, 0, 0, 0)' && under);
          return [e.tagName + '.' + e.className, getComputedStyle(e).color, back]; })""")
    assert len(pairs) > 60
    for what, ink, paper in pairs:
        low, high = sorted([luminance(ink), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (what, ink, paper)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) < 0.1) == dark


def test_a_click_on_a_column_sorts_by_its_numbers_and_another_turns_it_round(browser, address):
    page = browser.open(address)
    button = "thead th:nth-child(3) button"
    page.click(button)
    assert page.evaluate(ROWS) == ["b", HOSTILE, "e", "c", "d", "a"]
    assert page.evaluate("document.querySelector('thead th:nth-child(3)').ariaSort") == "ascending"
    page.evaluate(f"document.querySelector({button!r}).focus()")
    page.press("Enter")
    assert page.evaluate(ROWS) == ["a", "d", "c", "e", HOSTILE, "b"]
    page.click("thead th:nth-child(1) button")
    assert page.evaluate(ROWS) == [HOSTILE, "a", "b", "c", "d", "e"]
    assert page.evaluate("document.querySelectorAll('table')[0].querySelectorAll('th[aria-sort]').length") == 1
    assert not page.errors


def test_a_filter_keeps_the_rows_that_hold_every_word(browser, address):
    page = browser.open(address)
    page.evaluate("document.querySelector('input[type=search]').focus()")
    page.write("ONERROR 0.2")
    assert page.evaluate(ROWS) == [HOSTILE]
    assert page.evaluate("document.querySelector('[role=status]').textContent") == "1 of 6 rows"


def test_a_figure_is_saved_as_the_svg_that_is_shown(browser, address):
    page = browser.open(address)
    name, same, visible = page.evaluate("""(a => [a.download, a.href == a.closest('figure').querySelector('img').src,
        a.checkVisibility()])(document.querySelector('a.save'))""")
    assert (name, same, visible) == ("08_comparison-figure-1.svg", True, True)


def test_a_model_s_name_leads_to_its_gallery(browser, address):
    page = browser.open(address)
    page.click("#table-2 tbody tr:nth-child(3) th a")
    assert page.evaluate("location.hash") == "#figure-4"
    assert page.wait_for("document.getElementById('figure-4').getBoundingClientRect().top < innerHeight")


def test_the_first_key_leads_past_the_navigation(browser, address):
    page = browser.open(address)
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.press("Enter")
    assert page.wait_for("document.activeElement.id == 'content'")


def test_contents_stand_beside_the_text_or_folded_above_it(browser, address):
    for width, shown in ((1400, [True, False]), (360, [False, True])):
        page = browser.open(address, width=width)
        found = page.evaluate("['.side', '.fold'].map(s => document.querySelector(s).checkVisibility())")
        assert found == shown and not page.evaluate("document.querySelector('.fold').open")


def test_without_scripts_everything_is_there(browser, address):
    page = browser.open(address, scripts=False)
    plain = BeautifulSoup(page.evaluate("document.documentElement.outerHTML"), "html.parser")
    assert not plain.find_all("button") and not plain.find_all("input") and len(plain.find_all("table")) >= 3
    assert not page.errors and plain.find("a", download="08_scores.csv")["href"].startswith("data:text/csv")


def test_a_foreign_script_is_refused(browser, address):
    ours = Path(unquote(urlparse(address).path))
    bad = """<script>document.title = "owned"</script><img src=x onerror="document.title = 'owned'">
        <script src="https://example.org/x.js"></script></main>"""
    broken = ours.with_name("injected.html")
    broken.write_text(ours.read_text().replace("</main>", bad))
    page = browser.open(broken.as_uri())
    assert page.evaluate("document.title") != "owned"
    assert len([error for error in page.errors if "Content Security Policy" in error]) == 4


def test_it_prints_without_its_controls(browser, address, tmp_path):
    from pypdf import PdfReader

    page = browser.open(address)
    page.emulate(media="print")
    hidden = page.evaluate("""['.bar', '.side', '.fold', '.filter', '.files'].map(s =>
        document.querySelector(s).checkVisibility())""")
    assert not any(hidden)
    text = "".join(p.extract_text() for p in PdfReader(page.print(tmp_path / "page.pdf")).pages)
    assert "What the numbers say" in text and "Filter rows" not in text and "whose runs" in text  # the parameters
    assert page.evaluate("getComputedStyle(document.querySelector('thead button')).display") == "contents"
