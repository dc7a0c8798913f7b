"""An executed notebook as its readers see it: text, code, numbered figures and tables, in order."""

import ast
import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from nbformat import NotebookNode

from seglib.render import grid, vector
from seglib.render.grid import Grid

HIDDEN = {"parameters", "injected-parameters", "remove-cell"}  # tags of cells whose code is not shown where they stand
PICTURES = {"image/svg+xml": "svg", "image/png": "png"}  # the first that is there is taken
CLOSING = "What the numbers say"  # the heading that every notebook's answer stands under


@dataclass(frozen=True)
class Text:
    """Markdown, of a cell or computed."""

    markdown: str


@dataclass(frozen=True)
class Code:
    """What a cell ran."""

    source: str


@dataclass(frozen=True)
class Printed:
    """What a cell printed, or how it failed; colour codes removed."""

    text: str
    failed: bool = False


@dataclass(frozen=True)
class Markup:
    """HTML that is no table: sanitised before it is shown."""

    html: str


@dataclass(frozen=True)
class Figure:
    """A picture; `model` is the label of the model whose gallery it is, if it is one."""

    number: int
    caption: str
    kind: str
    content: bytes
    model: str = ""

    @property
    def anchor(self) -> str:
        return f"figure-{self.number}"


@dataclass(frozen=True)
class Table:
    """A table of numbers."""

    number: int
    caption: str
    grid: Grid

    @property
    def anchor(self) -> str:
        return f"table-{self.number}"


Block = Text | Code | Printed | Markup | Figure | Table


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell, with the value that this notebook was run with."""

    name: str
    value: str
    meaning: str


@dataclass
class Story:
    """One notebook. `executed`: when it ended, and `seconds` that it took; None where the notebook does not tell."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    executed: datetime | None = None
    seconds: float | None = None

    @property
    def galleries(self) -> dict[str, str]:
        """Model → anchor of the first figure that is its gallery."""
        figures = [block for block in self.blocks if isinstance(block, Figure) and block.model]
        return {figure.model: figure.anchor for figure in reversed(figures)}


def read(notebook: NotebookNode) -> Story:
    """A notebook's story; a figure or table without a caption of its own is called after its section."""
    numbers = {Figure: count(1), Table: count(1)}
    story, heading = Story("Notebook"), ""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            heading = _last_heading(cell.source) or heading
            story.blocks.append(Text(cell.source))
        elif cell.cell_type == "code":
            if cell.source.strip() and not tags & {*HIDDEN, "remove-input"}:
                story.blocks.append(Code(cell.source))
            caption = cell.metadata.get("caption") or heading
            story.blocks += _shown(cell.outputs, caption, numbers)
    titles = [_last_heading(block.markdown, "#") for block in story.blocks if isinstance(block, Text)]
    story.title = next(filter(None, titles), story.title)
    story.parameters = _parameters(notebook)
    run = notebook.metadata.get("papermill", {})
    story.executed = datetime.fromisoformat(run["end_time"]) if run.get("end_time") else None
    story.seconds = notebook.metadata.get("seglib", {}).get("seconds", run.get("duration"))
    return story


def _last_heading(markdown: str, level: str = "#+") -> str:
    found = re.findall(rf"^{level} +(.+?)\s*$", markdown, re.M)
    return re.sub(r"^\d+\.\s+", "", found[-1]) if found else ""


def _shown(outputs: list[NotebookNode], caption: str, numbers: dict) -> Iterator[Block]:
    pictures = sum(any(kind in output.get("data", {}) for kind in PICTURES) for output in outputs)
    place = count(1)
    for output in outputs:
        if output.output_type == "stream":
            yield Printed(_without_colours(output.text))
        elif output.output_type == "error":
            yield Printed(_without_colours("\n".join(output.traceback)), failed=True)
        elif kind := next((k for k in PICTURES if k in output.data), None):
            drawn = PICTURES[kind] == "svg"
            content = vector.light(output.data[kind]).encode() if drawn else base64.b64decode(output.data[kind])
            model = _gallery_of(content) if drawn else ""
            which = "" if pictures == 1 else model or f"{next(place)} of {pictures}"
            text = f"{caption.rstrip('.')}: {which}." if which else caption
            yield Figure(next(numbers[Figure]), text, PICTURES[kind], content, model)
        else:
            yield from _of_data(output.data, caption, numbers)


def _of_data(data: NotebookNode, caption: str, numbers: dict) -> Iterator[Block]:
    if "text/html" in data:
        grids = grid.read(data["text/html"])
        yield from (Table(next(numbers[Table]), caption, found) for found in grids)
        if not grids:
            yield Markup(data["text/html"])
    elif "text/markdown" in data:
        if data["text/markdown"].strip():
            yield Text(data["text/markdown"])
    elif "text/plain" in data and not any("widget" in kind for kind in data):  # a widget without its kernel is nothing
        yield Printed(data["text/plain"])


def _gallery_of(svg: bytes) -> str:
    """The label that `plots.gallery` gave the figure as its id, or nothing."""
    found = re.search(rb"""<g id=(["'])gallery: (.+?)\1""", svg)
    return html.unescape(found[2].decode()) if found else ""


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip("\n")


def _parameters(notebook: NotebookNode) -> list[Parameter]:
    """Of the cell tagged parameters, with the values of the injected cell in their place."""
    sources = {tag: cell.source for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    declared = sources.get("parameters", "")
    values = dict([*_assignments(declared), *_assignments(sources.get("injected-parameters", ""))])
    lines = [line.partition("#") for line in declared.splitlines()]
    meanings = {code.split(":")[0].strip(): comment.strip() for code, _, comment in lines}
    return [Parameter(name, value, meanings.get(name, "")) for name, value in values.items()]


def _assignments(source: str) -> Iterator[tuple[str, str]]:
    """(name, value as written) of each assignment of a cell."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            yield ast.unparse(target), ast.unparse(statement.value)
