"""Pages: well-formed, closed to scripts and hosts, numbered, escaped, accessible. Alone: pytest tests/test_render.py"""

import base64
import hashlib
import importlib
import io
import re
import subprocess
import sys
import tomllib
from urllib.parse import unquote

import html5lib
import numpy as np
import pytest
from bs4 import BeautifulSoup
from executed import HOSTILE, cell, comparison, save, scores, shows
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image

from seglib import paths, render
from seglib.render import grid, markup, vector
from seglib.render.page import PageExporter, _address

NAMES = ["01_data", "08_comparison", "09_more"]


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        return page(comparison())


@pytest.fixture(scope="module")
def soup(html):
    return BeautifulSoup(html, "html.parser")


def page(cells, names=NAMES, name="08_comparison"):
    notebook = save(cells, name)
    render.write_page(notebook, names)
    return notebook.with_suffix(".html").read_text()


def saved_file(link):
    return base64.b64decode(link["href"].partition("base64,")[2]).decode()


def test_the_page_is_well_formed_html5(html):
    html5lib.HTMLParser(strict=True).parse(html)  # raises ParseError


def test_the_page_refers_to_nothing_but_itself_and_its_neighbours(soup):
    addresses = [tag[a] for a in ("src", "href", "srcset", "action", "data") for tag in soup.find_all(attrs={a: True})]
    known = r"#.+|data:(image/svg\+xml|(text/csv|application/x-tex);base64),.*|(index|01_data|09_more)\.html"
    assert addresses and not [a[:80] for a in addresses if not re.fullmatch(rf"{known}|08_comparison\.ipynb", a)]
    assert not re.search(r"@import|url\(", "".join(style.get_text() for style in soup.find_all("style")))


def test_the_policy_lets_no_script_and_no_style_but_ours_run(soup):
    policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    for name in ("style", "script"):
        (ours,) = soup.find_all(name)
        digest = base64.b64encode(hashlib.sha256(ours.string.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not soup.find_all(style=True)
    assert not [a for tag in soup.find_all(True) for a in tag.attrs if a.startswith("on")]


def test_names_full_of_html_are_text_wherever_they_stand(soup):
    shown = soup.main.get_text()
    assert len(soup.find_all("script")) == 1 and not soup.find_all("img", src="x") and not soup.find_all("b")
    assert shown.count(HOSTILE) >= 5  # printed, table, caption, galleries, parameters
    assert "is better than <b>bold</b>" in shown
    assert not [a for a in soup.find_all("a") if a.get("href", "").startswith("javascript")]
    assert HOSTILE in soup.find(id="figure-1").img["alt"]


def test_a_notebook_s_own_name_is_text_too():
    html = page([new_markdown_cell("# T")], name="1 <b>&'x")
    assert "<b>" not in html and "1 &lt;b&gt;&amp;&#39;x" in html


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(soup):
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    named = [tag[a] for a in ("aria-labelledby",) for tag in soup.find_all(attrs={a: True})]
    targets = {a["href"][1:] for a in soup.find_all("a", href=re.compile("^#"))} | set(named)
    assert {"content", "figure-1", "table-1", "verdicts", "what-the-numbers-say"} <= targets <= set(ids)


def test_headings_come_in_order_and_the_contents_name_them(soup):
    levels = [int(h.name[1]) for h in soup.main.find_all(re.compile("h[1-6]"))]
    assert levels == [1, 2, 3, 2]  # the #### of Verdicts is no leap
    contents = [a.get_text() for a in soup.find("nav", class_="side").find("ul").find_all("a")]
    assert contents == ["1. All models", "Verdicts", "What the numbers say"]


def test_a_heading_that_comes_twice_has_two_anchors():
    headings = markup.Headings()
    markup.to_html("# A\n\n## B\n\n## B\n\n## 1\n\n# C", headings)
    assert [(level, anchor) for level, anchor, _ in headings.found] == [
        (1, "a"), (2, "b"), (2, "b-2"), (2, "section-1"), (2, "c"),
    ]  # fmt: skip


def test_a_table_in_the_text_scrolls_in_its_box_and_has_no_style_of_its_own():
    html = markup.to_html("|a|b|\n|:--|--:|\n|1|`<table>`|", markup.Headings())
    table = BeautifulSoup(html, "html.parser").find("div", class_="scroll", recursive=False).table
    assert [th["scope"] for th in table.find_all("th")] == ["col", "col"] and "style" not in html
    assert table.find("code").get_text() == "<table>"


def test_figures_and_tables_are_numbered_captioned_and_described(soup):
    captions = {f["id"]: f.figcaption.get_text(" ", strip=True) for f in soup.find_all("figure")}
    assert captions["table-1"].startswith("Table 1 Dice of every model. CSV LaTeX")
    assert captions["figure-1"].startswith("Figure 1 Dice against")
    assert captions["figure-2"].startswith("Figure 2 Best and worst images: unet, frozen.")
    assert all(img["alt"] for img in soup.find_all("img")) and len(soup.find_all("img")) == 4
    assert all(svg["aria-hidden"] == "true" for svg in soup.find_all("svg"))
    assert all(th.get("scope") for th in soup.find_all("th"))
    assert all(soup.find(id=t["aria-labelledby"]) for t in soup.select("figure table"))
    assert soup.html["lang"] == "en" and soup.find("a", class_="skip")["href"] == "#content"


def picture(colours, mode="RGB") -> str:
    """An SVG with one embedded PNG, as matplotlib writes it."""
    file = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8), mode).save(file, "PNG")
    return f'<svg><path d="M 1.23456 -7.8\nL 12 3.999" /><image href="data:image/png;base64,\n{b64(file)}"/></svg>'


def b64(file) -> str:
    return base64.b64encode(file.getvalue()).decode()


def test_photographs_in_a_figure_become_jpeg_and_masks_stay_exact():
    y, x = np.mgrid[:200, :200]
    grain = np.random.default_rng(0).integers(-3, 4, (200, 200, 3))
    photograph = np.stack([100 + y / 3, 60 + x / 4, 90 + (x + y) / 5], -1) + grain
    light = vector.light(picture(photograph))
    kept = np.asarray(Image.open(io.BytesIO(base64.b64decode(light.split("jpeg;base64,")[1].split('"')[0]))))
    assert len(light) < len(picture(photograph)) / 2 and np.abs(kept - photograph).mean() < 3
    assert 'd="M 1.2 -7.8 L 12 3.9"' in light
    mask = picture(np.where(((x - 99) ** 2 + (y - 99) ** 2 < 2500)[..., None], [0, 158, 115], 0))
    assert vector.light(mask).split("<image")[1] == mask.split("<image")[1]
    seen_through = picture(np.dstack([photograph, np.where(x < 9, 0, 255)]), "RGBA")
    assert vector.light(seen_through).split("<image")[1] == seen_through.split("<image")[1]


def test_a_drawing_keeps_what_it_refers_to_and_is_an_address_that_gives_it_back():
    glyph = '<use xlink:href="#Sans-41" transform="translate(63.623 0)"/>'
    svg = f"""<?xml version="1.0"?>\n<svg><!-- A --><defs><path id="Sans-41" d="M 0 0"/></defs>
     <g id="gallery: a&#10;#Sans-41" clip-path="url(#c1)">{glyph}</g>\n<g id="unused"><clipPath id="c1"/></g></svg>"""
    light = vector.light(svg)
    assert "<use href='#n1' x='63.6'/>" in light and '<path id="n1"' in light and '<clipPath id="n0"/>' in light
    assert 'id="gallery: a&#10;#Sans-41" clip-path="url(#n0)"' in light and "unused" not in light and "--" not in light
    kind, _, content = str(_address(light.encode(), "svg")).partition(",")
    assert kind == "data:image/svg+xml" and not set('"#&\n') & set(content) and unquote(content) == light


def test_a_figure_without_a_caption_is_called_after_its_section():
    cells = [new_markdown_cell("# T\n\n## 2. Samples"), cell("x", shows(scores()), shows(scores(), "08_more"))]
    assert BeautifulSoup(page(cells), "html.parser").find(id="table-2").figcaption.get_text().startswith("Table 2 Sam")


def test_results_come_first_and_code_is_folded(soup):
    folded = soup.find_all("details", class_="code")
    assert [d.pre.get_text().strip() for d in folded] == ["table = 1 < 2"]  # remove-input and parameters have none
    assert not [d for d in soup.find_all("details") if d.has_attr("open")]


def test_a_table_can_be_saved_as_csv_and_latex(soup):
    csv, tex = soup.find(id="table-1").find_all("a", download=True)
    assert (csv["download"], tex["download"]) == ("08_scores.csv", "08_scores.tex")
    assert saved_file(csv).startswith('model,Dice,Dice_low,Dice_high,seeds\n"unet, frozen",0.9,0.8,1.0,3\n')
    assert "\\toprule" in saved_file(tex) and "\\textbf" in saved_file(tex)


def test_the_best_are_bold_and_a_model_leads_to_its_gallery(soup):
    rows = soup.find(id="table-1").tbody.find_all("tr")
    assert [bool(row.find("strong")) for row in rows] == [False, True, False]
    assert [row.th.a["href"] for row in rows] == ["#figure-2", "#figure-3", "#figure-4"]
    assert rows[1].th.get_text() == HOSTILE


def test_whiskers_stand_where_the_column_s_span_says(soup):
    # intervals 0.8 to 1.0, 0.4 to 0.6, 0.6 to 0.8: the span is 0.4 to 1.0, drawn from 3 to 97
    drawn = [cell.svg for cell in soup.find(id="table-1").tbody.find_all("td") if cell.svg]
    assert [svg.circle["cx"] for svg in drawn] == ["81.3", "18.7", "50.0"]
    assert drawn[1].path["d"].startswith("M3.0 5H34.3")
    values = [cell["data-value"] for cell in soup.find(id="table-1").tbody.find_all("td", class_="number")]
    assert values == ["0.9", "3", "0.5", "3", "0.7", "3"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,234", 1234), ("-0.05 (-0.10 to 0.01)", -0.05), ("< 0.001", 0.001), ("36 %", 36), ("–", None), ("2 of 3", 2),
     ("3x", None), ("unet", None), ("1e-04", 1e-4)],
)  # fmt: skip
def test_a_cell_is_sorted_by_the_number_that_it_begins_with(text, value):
    assert grid.Cell(text.replace(" ", "\xa0", 1)).value == value


def test_merged_cells_keep_their_size_and_are_not_sorted():
    html = "<table><thead><tr><th colspan=2>a</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
    (found,) = grid.read(html)
    assert not found.is_plain and found.width == 2
    assert '<th scope="colgroup" colspan="2">a</th>' in grid.to_html(found, {})


def test_mathematics_is_mathml(soup):
    inline, display = soup.main.find_all("math")
    assert inline.find("msup") and display.find("mfrac") and display["display"] == "block"
    assert "$" not in soup.main.find("p").get_text()


def test_html_that_is_no_table_is_harmless():
    html = f"<details onclick='x()'><summary>net</summary><pre>a</pre></details>{HOSTILE}<a href='javascript:1'>k</a>"
    output = new_output("display_data", {"text/html": html})
    soup = BeautifulSoup(page([new_markdown_cell("# T"), cell("x", output)]), "html.parser")
    assert soup.find(class_="markup").details.pre.get_text() == "a"
    assert {tag.name for tag in soup.find(class_="markup").find_all(True)} == {"details", "summary", "pre"}


def test_parameters_are_those_that_the_notebook_ran_with(soup):
    rows = [[c.get_text() for c in row.find_all(["th", "td"])] for row in soup.select(".parameters tbody tr")]
    assert rows == [["study", repr(HOSTILE), "whose runs"], ["examples", "2", "images"]]
    assert "executed 2026-11-21 05:00 UTC in 4 s" in soup.footer.get_text(" ", strip=True)


def test_the_page_leads_to_those_before_and_after_it(soup):
    links = {a.get("rel", ["index"])[0]: a["href"] for a in soup.header.find_all("a")}
    assert links == {"prev": "01_data.html", "index": "index.html", "next": "09_more.html"}
    ends = BeautifulSoup(page([new_markdown_cell("# T")], name="01_data"), "html.parser").header
    assert [a["href"] for a in ends.find_all("a")] == ["index.html", "08_comparison.html"]


def test_a_failed_notebook_shows_its_error():
    failure = new_output("error", ename="ValueError", evalue="<b>", traceback=["\x1b[31mValueError\x1b[0m: <b>"])
    soup = BeautifulSoup(page([new_markdown_cell("# T"), cell("x", failure)], name="08_x.failed"), "html.parser")
    assert soup.find("pre", class_="failed").get_text() == "ValueError: <b>"
    assert [a["href"] for a in soup.header.find_all("a")] == ["index.html"]


def test_nbconvert_knows_both_exporters_by_name():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    for name, target in project["entry-points"]["nbconvert.exporters"].items():
        module, _, exporter = target.partition(":")
        found = getattr(importlib.import_module(module), exporter)()
        assert found.file_extension == {"seglib_html": ".html", "seglib_pdf": ".pdf"}[name]


def test_jupyter_nbconvert_makes_the_same_page():
    notebook = save(comparison())
    exporter = f"{PageExporter.__module__}.{PageExporter.__name__}"
    command = [sys.executable, "-m", "nbconvert", "--to", exporter, str(notebook)]
    subprocess.run(command, check=True, capture_output=True, cwd=paths.ROOT)
    alone = notebook.with_suffix(".html").read_text()
    (notebook.parent / "index.html").touch()
    render.write_page(notebook, ["08_comparison"])
    assert notebook.with_suffix(".html").read_text().replace('<a href="index.html">Index</a>', "") == alone


def test_rows_of_different_scores_have_no_whiskers_on_one_scale():
    def spans(first):
        cells = "".join(f"<tr><td>{name}</td><td>{text}</td></tr>" for name, text in rows.items())
        (found,) = grid.read(f"<table><thead><tr><th>{first}</th><th>x</th></tr></thead><tbody>{cells}</tbody></table>")
        return found.spans

    rows = {"Dice": "0.51 (0.37 to 0.66)", "HD95": "19 (0 to 41)"}
    assert spans("model") == [None, (0, 41)] and spans("score") == [None, None]
