"""How the index pages are written: their templates, style and the little that all of them need."""

import functools
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from seglib import progress

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **content) -> str:
    """A page from its template; all content is escaped but drawings, which are made here."""
    return _environment().get_template(template).render(**content)


def files() -> list[Path]:
    """What the pages look like: their templates and their style."""
    return sorted(file for file in TEMPLATES.iterdir() if file.is_file())


@functools.cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"bold": bold, "breakable": breakable, "clock": progress.clock}
    return found


def bold(text: str) -> Markup:
    """A text with what stands between `**` in bold, the rest escaped."""
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text))))


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))
