"""Markdown as HTML for a page: raw HTML in it is text, formulas are MathML, headings have anchors and an order."""

import functools
import re
from dataclasses import dataclass, field
from html import escape, unescape

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


@dataclass
class Headings:
    """The headings of one page, as they come: (level, anchor, HTML of the text)."""

    found: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, level: int, text: str) -> tuple[int, str]:
        """Level and anchor of a heading: one of the first level, none that skips a level, no anchor twice."""
        level = min(level, self.found[-1][0] + 1) if self.found else 1
        level = max(level, 2) if self.found else 1
        plain = re.sub(r"<[^>]+>|&\w+;", "", text)
        slug = re.sub(r"\W+", "-", plain.lower()).strip("-") or "section"
        slug = f"section-{slug}" if slug[0].isdigit() else slug
        taken = {anchor for _, anchor, _ in self.found}
        anchor = next(a for a in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3))) if a not in taken)
        self.found.append((level, anchor, text))
        return level, anchor


def to_html(markdown: str, headings: Headings) -> str:
    """One piece of a page's text; its headings are added to the page's."""
    html = MarkdownWithMath(renderer=_Renderer(headings)).render(markdown)
    html = re.sub(r'<(t[hd]) style="text-align:\w+">', r"<\1>", html)  # the page's policy lets no such style through
    html = html.replace("<th>", '<th scope="col">').replace("</table>", "</table></div>")
    name = f"Table of {_plain(headings.found[-1][2])}" if headings.found else "Table"
    return html.replace("<table>", f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>')


def _plain(html: str) -> str:
    """The text of some HTML, as an attribute holds it."""
    return escape(unescape(re.sub(r"<[^>]+>", "", html)))


class _Renderer(IPythonRenderer):
    """nbconvert's renderer, without raw HTML, scripts' addresses, pictures from elsewhere, and MathJax."""

    def __init__(self, headings: Headings):
        super().__init__(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        self.headings = headings

    def heading(self, text: str, level: int, **attributes) -> str:
        level, anchor = self.headings.add(level, text)
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text if self.safe_url(url) == "#harmful-link" else super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text if not url.startswith("data:image/") else super().image(text, url, title)

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre><code>{self.escape_html(code)}</code></pre>\n"

    def block_math(self, body: str) -> str:
        return f'<span class="formula" tabindex="0">{formula(body, display=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def inline_math(self, body: str) -> str:
        return formula(body)


@functools.cache
def formula(tex: str, display: bool = False) -> str:
    """A formula in TeX as MathML; one that is no formula as its text."""
    import pypandoc

    mark = "$$" if display else "$"
    source = f"{mark}{' '.join(tex.split())}{mark}"
    html = pypandoc.convert_text(source, "html", "markdown-raw_html", ["--mathml", "--wrap=none", "--quiet"])
    found = re.search(r"<math.*</math>", html, re.S)
    return found[0] if found else f"<code>{IPythonRenderer().escape_html(source)}</code>"
