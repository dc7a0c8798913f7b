"""PDFs: nothing clipped, nothing lost, tagged, the same bytes twice. Alone: pytest tests/test_paper.py"""

import io
import re
import shutil
import subprocess

import pytest
from executed import HOSTILE, cell, comparison, draws, save, scores, shows
from nbformat import read
from nbformat.v4 import new_markdown_cell, new_output
from pypdf import PdfReader

from seglib import render
from seglib.render import paper, story

MARGIN = 20 / 25.4 * 72  # points
needs_pdftoppm = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="no pdftoppm (poppler) on PATH")


def pdf(cells) -> bytes:
    return paper.of_notebook(story.read(read(save(cells), as_version=4)))


def pages(content: bytes) -> list[str]:
    """The text of each page, its spaces and breaks as single spaces."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(content)).pages]


def squeezed(text: str) -> str:
    """Without spaces: where a line is broken is not the text's."""
    return re.sub(r"\s", "", text)


def pictures(content: bytes, folder):
    """Every page as a grey picture of 36 dots an inch: (height, width) arrays of 0 to 255."""
    import numpy as np
    from PIL import Image

    (folder / "x.pdf").write_bytes(content)
    subprocess.run(["pdftoppm", "-r", "36", "-gray", folder / "x.pdf", folder / "page"], check=True)
    return [np.asarray(Image.open(file)) for file in sorted(folder.glob("page*.pgm"))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLIB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        return pdf(comparison())


def test_the_paper_holds_text_tables_figures_formulas_and_parameters(made):
    text = " ".join(pages(made))
    for part in ("Which is better?", "Contents", "1. All models", "Table 1 Dice of every model.", "unet leads.",
                 "0.90 (0.80 to 1.00)", "Figure 2 Best and worst images: unet, frozen.", "whose runs", "2026-11-21",
                 ):  # fmt: skip
        assert part in text, part
    assert "table = 1 < 2" not in text  # code is for the page and the notebook
    assert squeezed("𝐸 = 𝑚𝑐2") in squeezed(text)


def test_names_full_of_code_are_text(made):
    text = squeezed("".join(pages(made)).replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"'))
    assert text.count(squeezed("<img src=x")) >= 6 and squeezed('#panic("3")') in text
    assert squeezed("is better than <b>bold</b>") in text


def test_two_builds_are_the_same_bytes_and_dated_by_the_notebook(made):
    assert pdf(comparison()) == made
    assert PdfReader(io.BytesIO(made)).metadata.creation_date.isoformat().startswith("2026-11-21T05:00:22")


def test_the_paper_can_be_navigated_and_read_aloud(made):
    reader = PdfReader(io.BytesIO(made))
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"] and reader.trailer["/Root"]["/Lang"] == "en"
    outline = str([entry if isinstance(entry, list) else entry.title for entry in reader.outline])
    assert "Comparison" in outline and "What the numbers say" in outline
    links = [a.get_object() for page in reader.pages for a in page.get("/Annots", []) or []]
    assert sum(link["/Subtype"] == "/Link" for link in links) == 3  # contents
    objects = [reader.get_object(n) for n in range(1, reader.trailer["/Size"])]
    spoken = [str(o["/Alt"]) for o in objects if isinstance(o, dict) and "/Alt" in o]
    assert {"Best and worst images: munet, fine-tuned.", "E = mc^2"} <= set(spoken)


def test_the_paper_conforms_to_pdf_ua(monkeypatch):
    import typst

    plain = typst.compile
    monkeypatch.setattr(typst, "compile", lambda file, root: plain(file, root=root, pdf_standards=["ua-1"]))
    assert b"pdfuaid" in pdf(comparison())  # raises TypstError where it does not


def test_figures_are_drawn_not_photographed():
    reader = PdfReader(io.BytesIO(pdf([new_markdown_cell("# T"), cell("x", draws())])))
    assert not [image for page in reader.pages for image in page.images]


@needs_pdftoppm
def test_no_table_and_no_printed_line_runs_over_the_margin(tmp_path):
    wide = scores(columns=[f"score of kind {n}" for n in range(11)])
    some = scores(columns=["IoU", "Dice", "whole-set IoU", "whole-set Dice"])
    printed = new_output("stream", name="stdout", text="=" * 160 + "\nx\n")
    cells = [new_markdown_cell("# T\n\n## Wide"), cell("x", printed, shows(wide), shows(some, "08_some"), draws())]
    content = pdf(cells)
    for picture in pictures(content, tmp_path):
        edge = int(MARGIN / 2) - 4  # points to dots, and a hair
        assert (picture[:, :edge] > 250).all() and (picture[:, -edge:] > 250).all()
    reader = PdfReader(io.BytesIO(content))
    flipped = [page.mediabox.width > page.mediabox.height for page in reader.pages]
    assert any(flipped) and not all(flipped)
    text = squeezed("".join(pages(content)))
    assert all(f"scoreofkind{n}" in text for n in range(11)) and text.count("0.90(0.80to1.00)") == 15


def test_a_parameter_of_a_long_value_leaves_its_meaning_room(tmp_path):
    value = {f"architecture_{n}": {"width": 0.25, "depth": 8} for n in range(12)}
    lines = [f"options_{n}: dict = {value}  # keywords of each architecture, by name" for n in range(4)]
    content = pdf([new_markdown_cell("# T"), cell("\n".join(lines), tags=("parameters",))])
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    assert text.count("keywords of each architecture, by name") == 4  # each on one line
    for picture in pictures(content, tmp_path):
        assert (picture[:, -int(MARGIN / 2) + 4 :] > 250).all()


def test_a_long_table_breaks_and_says_its_columns_on_each_page():
    rows = {f"model {n}": 0.2 + n / 1000 for n in range(90)}
    texts = [p for p in pages(pdf([new_markdown_cell("# T"), cell("x", shows(scores(rows)))])) if "model" in p]
    assert len(texts) >= 2 and all("Dice seeds" in text for text in texts)
    assert all(f"model {n} " in " ".join(texts) for n in range(90))


def test_a_short_table_stands_on_one_page():
    rows = {f"model {n}": n / 10 + 0.1 for n in range(9)}
    for above in (30, 34, 38, 42):
        texts = pages(pdf([new_markdown_cell("# T\n\n" + "Words.\n\n" * above), cell("x", shows(scores(rows)))]))
        assert sum("model 0" in text and "model 8" in text for text in texts) == 1


def test_no_heading_stands_alone_at_a_page_s_end():
    sections = "\n\n".join(f"## Heading {n}.\n\nBody {n}. " + "and so on " * 30 for n in range(60))
    texts = pages(pdf([new_markdown_cell(f"# T\n\n{sections}")]))
    where = {n: [f"Body {n}." in text for text in texts].index(True) for n in range(60)}
    assert len(texts) > 5 and all(f"Heading {n}. Body {n}." in texts[page] for n, page in where.items())


def test_the_study_s_paper_has_a_title_contents_and_every_notebook():
    stories = [story.read(read(save(comparison(), name), as_version=4)) for name in ("01_data", "08_comparison")]
    first, second, *rest = pages(paper.of_study(stories, "Study demo", ["Segmentation workbook", HOSTILE]))
    assert "Study demo" in first and "21 November 2026" in first and "<img src=x" in first
    assert second.startswith("Study demo Contents Comparison") and second.count("What the numbers say") == 2
    assert " ".join(rest).count("Table 1 Dice of every model.") == 2  # numbers start again with each notebook


def test_a_report_has_a_page_and_a_paper_of_each_notebook_and_one_of_all(tmp_path):
    for name in ("01_data", "08_comparison"):
        folder = save(comparison(), name).parent
    names = ["01_data", "05_not_run", "08_comparison"]
    render.write_report(folder, names, ["Segmentation workbook"], complete=True)
    made = {f.name for f in folder.glob("*.*") if f.suffix in (".html", ".pdf")}
    assert made == {"01_data.html", "01_data.pdf", "08_comparison.html", "08_comparison.pdf", "sample.pdf"}
    first = (folder / "01_data.html").read_text()
    assert 'href="01_data.pdf"' in first and 'href="08_comparison.html" rel="next"' in first
    render.write_report(folder, names, [], complete=False)
    assert not (folder / "sample.pdf").exists()
