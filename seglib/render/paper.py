"""`seglib_pdf`: executed notebooks as PDF by pandoc and Typst, both from Python wheels: no TeX, no browser.

Text goes the page's way (Markdown to HTML) and on through pandoc; tables, figures and code, which pandoc would strip of
what they need, are written here as calls of the functions in `templates/paper/report.typ`.
"""

import functools
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import unescape
from pathlib import Path

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import default

from seglib.render import markup, story
from seglib.render.grid import Cell, Grid, place
from seglib.render.story import Block, Code, Figure, Markup, Printed, Story, Table, Text

TEMPLATE = Path(__file__).parent.parent / "templates" / "paper" / "report.typ"
MARK, FORMULA = "SEGLIB-BLOCK-{}-STANDS-HERE", "SEGLIB-FORMULA-{}-STANDS-HERE"
UPRIGHT, FLIPPED = 480, 720  # points of width that a table has on an A4 page
CHARACTER, GAP = 0.47, 8  # a character's width in ems, a column's padding in points
SETTINGS = (  # (points, characters of a text before it breaks, width), tried in this order
    (8.5, 30, UPRIGHT), (7.5, 30, UPRIGHT), (7.5, 16, UPRIGHT), (6.5, 16, UPRIGHT), (7.5, 30, FLIPPED),
    (6.5, 16, FLIPPED),
)  # fmt: skip
WHOLE = 14  # rows up to which a table stands on one page
PRINTED = 60  # lines


class PaperExporter(Exporter):
    """`jupyter nbconvert --to seglib_pdf`: one notebook as a PDF, the same bytes each time."""

    export_from_notebook = "PDF of the segmentation workbook"
    output_mimetype = "application/pdf"

    @default("file_extension")
    def _pdf(self) -> str:
        return ".pdf"

    def from_notebook_node(self, nb: NotebookNode, resources: dict | None = None, **options):
        """The PDF's bytes and nbconvert's resources."""
        nb, resources = super().from_notebook_node(nb, resources, **options)
        return of_notebook(story.read(nb)), resources


def of_notebook(found: Story) -> bytes:
    """One notebook as a PDF."""
    return _compiled([found], found.title)


def of_study(stories: Sequence[Story], title: str, lines: Sequence[str]) -> bytes:
    """One PDF of all of a study's notebooks. Args: lines — what the title page says under the title."""
    return _compiled(stories, title, lines)


def _compiled(stories: Sequence[Story], title: str, lines: Sequence[str] | None = None) -> bytes:
    """The stories one after another. Args: lines — of a title page, None for none.

    Raises: typst.TypstError, a bug of ours: no text of a notebook is Typst's code.
    """
    import typst

    dates = [found.executed for found in stories if found.executed]
    date = max(dates) if dates else None
    with tempfile.TemporaryDirectory(prefix="seglib-") as folder:
        shutil.copy(TEMPLATE, folder)
        source = "\n".join(_document(stories, title, lines, date, Path(folder)))
        (Path(folder) / "main.typ").write_text(source, encoding="utf-8")
        return typst.compile(Path(folder) / "main.typ", root=folder)


def _document(stories, title, lines, date: datetime | None, folder: Path) -> Iterator[str]:
    made = f"datetime({date:year: %Y, month: %-m, day: %-d, hour: %-H, minute: %-M, second: %-S})" if date else "none"
    yield '#import "report.typ": *'
    yield f"#show: report.with(title: {_string(title)}, about: {_string(title)}, date: {made})"
    if lines is not None:
        day = [f"{date:%-d %B %Y}"] if date else []
        under = "".join(f"{_string(line)}, " for line in (*lines, *day))
        yield f"#cover(title: {_string(title)}, about: ({under}))"
        yield "#contents()"
    for number, found in enumerate(stories):
        yield f"#chapter(breaks: {str(lines is not None).lower()})"
        body = _body(found, f"{number}-", folder)
        if lines is None:
            body = re.sub(r"\n(?=== )", "\n#sections()\n", body, count=1)
        yield body


def _body(found: Story, prefix: str, folder: Path) -> str:
    """One notebook as Typst's code; its figures go to `folder`, their names begin with `prefix`."""
    headings, calls, html = markup.Headings(), {}, []
    for number, block in enumerate(found.blocks):
        if isinstance(block, Text):
            html.append(markup.to_html(block.markdown, headings))
        elif call := _call(block, prefix, folder):
            mark = MARK.format(number)
            calls[mark] = call
            html.append(f"<p>{mark}</p>")
    text = re.sub(r'(<h\d) id="[^"]*"', r"\1", "\n".join(html))
    text = re.sub(r'<a href="#[^"]*">(.*?)</a>', r"\1", text, flags=re.S)
    for number, formula in enumerate(dict.fromkeys(re.findall(r"<math.*?</math>", text, re.S))):
        mark = FORMULA.format(number)
        calls[mark], text = _formula(formula), text.replace(formula, mark)
    source = _typst(text)
    for mark, call in calls.items():
        source = source.replace(mark, call)
    return source + _parameters(found)


def _formula(mathml: str) -> str:
    """An equation that a screen reader says as TeX; the semicolon parts it from what follows."""
    tex = unescape(re.search(r"<annotation[^>]*>(.*?)</annotation>", mathml, re.S)[1])
    block = str('display="block"' in mathml).lower()
    return f"#math.equation(block: {block}, alt: {_string(tex)}, {_typst(mathml).strip()}.body);"


@functools.lru_cache(maxsize=256)  # a notebook's text is in its own PDF and in the study's
def _typst(html: str) -> str:
    import pypandoc

    return pypandoc.convert_text(html, "typst", "html", ["--wrap=none", "--quiet"])


def _call(block: Block, prefix: str, folder: Path) -> str:
    if isinstance(block, Figure):
        file = f"{prefix}{block.anchor}.{block.kind}"
        (folder / file).write_bytes(block.content)
        return f"#picture({_string(file)}, {_string(block.caption)})"
    if isinstance(block, Table):
        return _table(block.grid, block.caption)
    if isinstance(block, Printed):
        return _printed(block.text.splitlines() or [""])
    if isinstance(block, Markup):
        folded = ", ".join(re.findall(r"<summary>(.*?)</summary>", block.html))
        return f"#emph({_string(f'In the notebook and its page, to be opened: {unescape(folded)}.')})" if folded else ""
    assert isinstance(block, Code)  # the notebook and its page have it
    return ""


def _printed(lines: list[str]) -> str:
    """Printed lines, so small that the longest fits; of very many the first."""
    size = max(4.5, min(7, UPRIGHT / max(1, 0.61 * max(map(len, lines)))))
    more = len(lines) - PRINTED
    note = f"\n\n#emph({_string(f'{more} more lines are in the notebook and its page.')})" if more > 0 else ""
    text = _string("\n".join(lines[:PRINTED]))
    return f"#[#show raw: set text(size: {size:.2f}pt)\n#raw(block: true, {text})]{note}"


def _table(grid: Grid, caption: str) -> str:
    size, flipped = _size(grid)
    header = ", ".join(_cell(cell, grid, i) for row in grid.head for i, cell in enumerate(row))
    cells = "".join(f"  {', '.join(_cell(cell, grid, i) for i, cell in enumerate(row))},\n" for row in grid.body)
    align = ", ".join("right" if numeric else "left" for numeric in grid.numeric)
    call = (
        f"#numbers({_string(caption)}, columns: {grid.width}, align: ({align},), size: {size}pt, "
        f"breakable: {str(len(grid.body) > WHOLE).lower()},\n"
        f"  header: ({header},),\n{cells})"
    )
    return f"#wide[\n{call}\n]" if flipped else call


def _size(grid: Grid) -> tuple[float, bool]:
    """Font size in points, and whether the table needs a page on its side."""
    columns = [[cell.text for cell in column] for column in zip(*grid.head[-1:], *grid.body, strict=False)]
    for size, kept, room in SETTINGS:
        wanted = sum(max(max(_longest_word(text), min(len(text), kept)) for text in texts) for texts in columns)
        if wanted * CHARACTER * size + GAP * grid.width <= room:
            break
    return size, room == FLIPPED


def _longest_word(text: str) -> int:
    return max((len(word) for word in re.split(r"[ \n]", text)), default=0)


def _cell(cell: Cell, grid: Grid, column: int) -> str:
    text = f"strong({_string(cell.text)})" if cell.bold else _string(cell.text)
    span = grid.spans[column] if grid.is_plain else None
    if span and cell.interval:
        mean, low, high = (f"{place(value, span):.4f}" for value in cell.interval)
        zero = f", zero: {place(0, span):.4f}" if span[0] < 0 < span[1] else ""
        text = f"whisker({text}, {mean}, {low}, {high}{zero})"
    if cell.columns > 1 or cell.rows > 1:
        return f"table.cell(colspan: {cell.columns}, rowspan: {cell.rows}, {text})"
    return text


def _parameters(found: Story) -> str:
    if not found.parameters:
        return ""
    cells = ",\n  ".join(f"raw({_string(p.name)}), raw({_string(p.value)}), {_string(p.meaning)}"
                         for p in found.parameters)  # fmt: skip
    took = f" in {found.seconds:.0f} s" if found.seconds is not None else ""
    when = f"Executed {found.executed:%Y-%m-%d %H:%M} UTC{took}." if found.executed else ""
    return (
        f'\n== Parameters\n#plain(columns: (auto, 1fr, 1.5fr), header: ("parameter", "value", "meaning"),\n  {cells})\n'
        f"#{_string(when)}\n"
    )


def _string(text: str) -> str:
    """A text as Typst's string: JSON's escapes without those that Typst lacks."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"\\u([0-9a-f]{4})", r"\\u{\1}", quoted).replace("\\b", "").replace("\\f", "")
