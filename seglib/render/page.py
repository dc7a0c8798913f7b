"""`seglib_html`: one executed notebook as one self-contained page that asks no host for anything."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

import bleach
from markupsafe import Markup as Safe
from nbconvert import TemplateExporter
from nbformat import NotebookNode
from traitlets import default

from seglib.render import grid, markup, story
from seglib.render.story import Code, Figure, Markup, Story, Table, Text

TEMPLATES = Path(__file__).parent.parent / "templates"
HARMLESS = {"details", "summary", "pre", "code", "p", "br", "em", "strong", "b", "i", "ul", "ol", "li"}  # else escaped
READABLE = " !$()*+,-./:;<=>?@_{|}~'"  # what a data address needs not encode, in an attribute
MEDIA = {"csv": "text/csv", "tex": "application/x-tex", "svg": "image/svg+xml", "png": "image/png"}


class PageExporter(TemplateExporter):
    """`jupyter nbconvert --to seglib_html`: the template `workbook`, given the notebook's `Story`.

    The page leads to the notebooks beside it, or to those that `resources["notebooks"]` names, in this order.
    """

    export_from_notebook = "HTML page of the segmentation workbook"
    output_mimetype = "text/html"

    @default("file_extension")
    def _html(self) -> str:
        return ".html"

    @default("extra_template_basedirs")
    def _our_templates(self) -> list[str]:
        return [str(TEMPLATES)]

    @default("template_name")
    def _our_template(self) -> str:
        return "workbook"

    def from_notebook_node(self, nb: NotebookNode, resources: dict | None = None, **options):
        """The page's HTML and nbconvert's resources."""
        resources = self._init_resources(resources)
        found = story.read(nb)
        resources |= {"story": found, **_contents(found, _tables(resources)), **_neighbours(resources)}
        return super().from_notebook_node(nb, resources, **options)

    def default_filters(self):
        """nbconvert's, and those that our template adds."""
        yield from super().default_filters()
        yield from {"asset": _asset, "sha256": _sha256, "address": _address}.items()


def _tables(resources: dict) -> Path:
    """The folder of the report's tables as files, beside the notebook."""
    return Path(resources["metadata"].get("path") or ".") / "tables"


def _contents(found: Story, tables: Path) -> dict:
    """What the template prints: (kind, block, HTML of its content or files to save) in order, and the headings."""
    headings, links, blocks = markup.Headings(), found.galleries, []
    for block in found.blocks:
        kind, html, files = type(block).__name__.lower(), "", {}
        if isinstance(block, Text):
            html = markup.to_html(block.markdown, headings)
        elif isinstance(block, Table):
            html, files = grid.to_html(block.grid, links, f"{block.anchor}-caption"), _files(block, tables)
        elif isinstance(block, Code):
            html = _coloured(block.source)
        elif isinstance(block, Markup):
            html = bleach.clean(block.html, tags=HARMLESS, attributes={})
        blocks.append((kind, block, Safe(html), files))
    found_headings = [(level, anchor, Safe(_unlinked(text))) for level, anchor, text in headings.found]
    answer = next((anchor for _, anchor, text in headings.found if story.CLOSING in text), "")
    numbered = [block for block in found.blocks if isinstance(block, Figure | Table)]
    return {"blocks": blocks, "headings": found_headings, "answer": answer, "numbered": numbered}


def _unlinked(html: str) -> str:
    return re.sub(r"</?a\b[^>]*>", "", html)


def _files(table: Table, folder: Path) -> dict[str, str]:
    """File name → address that holds it, of the table as CSV and LaTeX, where the report has them."""
    files = [folder / f"{table.grid.name}.{kind}" for kind in ("csv", "tex")] if table.grid.name else []
    return {file.name: _address(file.read_bytes(), file.suffix[1:]) for file in files if file.is_file()}


def _neighbours(resources: dict) -> dict:
    """The page's name, the pages before and after it, and which other files of its report there are."""
    name, folder = resources["metadata"].get("name", "notebook"), Path(resources["metadata"].get("path") or ".")
    beside = sorted(file.stem for file in folder.glob("[0-9]*.ipynb") if not file.stem.endswith(".failed"))
    names = resources.get("notebooks") or beside
    place = names.index(name) if name in names else len(names) + 1  # a failed notebook has no neighbours
    return {
        "name": name,
        "before": "".join(names[place - 1 : place]),
        "after": "".join(names[place + 1 : place + 2]),
        "index": "notebooks" in resources or (folder / "index.html").is_file(),
        "paper": (folder / f"{name}.pdf").is_file(),
    }


def _coloured(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))


def _address(content: bytes, kind: str) -> Safe:
    """A file's content as a `data:` address, without what ends an attribute."""
    if kind == "svg":  # a third shorter than base64
        return Safe(f"data:{MEDIA[kind]},{quote(content, safe=READABLE)}")
    return Safe(f"data:{MEDIA[kind]};base64,{base64.b64encode(content).decode()}")


def _asset(name: str) -> Safe:
    """A file of the template, as it is."""
    return Safe((TEMPLATES / "workbook" / name).read_text(encoding="utf-8"))


def _sha256(text: str) -> Safe:
    """What a content-security policy calls an inline script or style by."""
    return Safe(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
