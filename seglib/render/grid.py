"""Tables as notebooks leave them (pandas' HTML), read once and written for a page or for paper, intervals drawn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

INTERVAL = re.compile(r"([-−]?[\d.,]+)\s\(([-−]?[\d.,]+)\sto\s([-−]?[\d.,]+)\)")  # as Estimate writes it
NUMBER = re.compile(r"[<>]?\s*([-−+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)(?:\s?%)?(?:\s|$)")
UNKNOWN = {"", "–", "no number"}


@dataclass(frozen=True)
class Cell:
    """One cell; `heads` whether it is a heading, `bold` whether it is one of the best."""

    text: str
    heads: bool = False
    bold: bool = False
    columns: int = 1
    rows: int = 1

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """Mean, low and high, of a cell that holds them."""
        found = INTERVAL.fullmatch(self.text)
        return tuple(_number(part) for part in found.groups()) if found else None

    @property
    def value(self) -> float | None:
        """The number that the cell begins with: what it is sorted by."""
        found = NUMBER.match(self.text)
        return _number(found[1]) if found else None


@dataclass(frozen=True)
class Grid:
    """Heading rows and body rows; `name` is the table's file name in the report's `tables/`, if it has one."""

    name: str
    head: list[list[Cell]]
    body: list[list[Cell]]

    @cached_property
    def is_plain(self) -> bool:
        """Whether every row has the same cells: merged ones can neither be sorted nor drawn as columns."""
        cells = [cell for row in (*self.head, *self.body) for cell in row]
        same_width = len({len(row) for row in (*self.head, *self.body)}) == 1
        return same_width and all(cell.columns == cell.rows == 1 for cell in cells)

    @cached_property
    def width(self) -> int:
        """Columns."""
        return max(sum(cell.columns for cell in row) for row in (*self.head, *self.body))

    @cached_property
    def numeric(self) -> list[bool]:
        """Per column, whether it holds numbers (or nothing) alone, so that it is set to the right."""
        if not self.is_plain:
            return [position > 0 for position in range(self.width)]
        return [self._is_numeric([row[i] for row in self.body]) for i in range(self.width)]

    @cached_property
    def spans(self) -> list[tuple[float, float] | None]:
        """Per column, the lowest and highest end of its intervals: what whiskers are drawn on; None without any, and
        where a column `score` says that the rows are of different units."""
        if any(cell.text == "score" for row in self.head for cell in row):
            return [None] * self.width
        columns = zip(*self.body, strict=True) if self.is_plain and self.body else [()] * self.width
        ends = [[end for cell in column if cell.interval for end in cell.interval[1:]] for column in columns]
        return [(min(found), max(found)) if found and min(found) < max(found) else None for found in ends]

    @staticmethod
    def _is_numeric(cells: Sequence[Cell]) -> bool:
        shown = [cell for cell in cells if cell.text not in UNKNOWN and not cell.heads]
        return bool(shown) and all(cell.value is not None or cell.text in ("yes", "no") for cell in shown)


def place(value: float, span: tuple[float, float]) -> float:
    """Where a value lies on a span, as a share of it."""
    return (value - span[0]) / (span[1] - span[0])


def read(html: str) -> list[Grid]:
    """The tables of a piece of HTML; what pandas' Styler set in bold is marked."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(html, "html.parser")
    bold = _bold("".join(style.get_text() for style in page.find_all("style")))
    return [_grid(table, bold) for table in page.find_all("table")]


def _grid(table, bold: set[str]) -> Grid:
    rows = {part: [_row(row, bold) for row in table.select(f"{part} tr")] for part in ("thead", "tbody")}
    return Grid((table.get("id") or "").removeprefix("T_"), rows["thead"], [row for row in rows["tbody"] if row])


def _row(row, bold: set[str]) -> list[Cell]:
    return [
        Cell(
            cell.get_text().strip(" \t\r\n\xa0"), cell.name == "th", cell.get("id") in bold,
            int(cell.get("colspan", 1)), int(cell.get("rowspan", 1)),
        )
        for cell in row.find_all(["th", "td"])
    ]  # fmt: skip


def _bold(css: str) -> set[str]:
    rules = re.findall(r"([^{}]+)\{([^}]*)\}", css)
    return {name for names, rule in rules if "font-weight: bold" in rule for name in re.findall(r"#([\w-]+)", names)}


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-").rstrip("."))


def to_html(grid: Grid, links: dict[str, str], caption: str = "") -> str:
    """The table's rows as HTML, all text escaped.

    Args: links — text of a cell → anchor that it leads to; caption — id of the element that names the table.
    """
    head = "".join(f"<tr>{''.join(_heading(cell, grid, i) for i, cell in enumerate(row))}</tr>" for row in grid.head)
    rows = ["".join(_cell(cell, grid, i, links) for i, cell in enumerate(row)) for row in grid.body]
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    kind = ' class="plain"' if grid.is_plain and len(grid.body) > 1 else ""
    named = f' aria-labelledby="{caption}"' if caption else ""
    return f"<table{kind}{named}>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody>\n</table>"


def _heading(cell: Cell, grid: Grid, column: int) -> str:
    scope = "colgroup" if cell.columns > 1 else "col"
    text = escape(cell.text) or '<span class="unseen">row</span>'
    return f'<th scope="{scope}"{_set(grid, column)}{_size(cell)}>{text}</th>'


def _set(grid: Grid, column: int) -> str:
    return ' class="number"' if grid.is_plain and grid.numeric[column] else ""


def _size(cell: Cell) -> str:
    return f' colspan="{cell.columns}"' * (cell.columns > 1) + f' rowspan="{cell.rows}"' * (cell.rows > 1)


def _cell(cell: Cell, grid: Grid, column: int, links: dict[str, str]) -> str:
    text = escape(cell.text)
    text = f'<a href="#{links[cell.text]}">{text}</a>' if cell.text in links else text
    text = f"<strong>{text}</strong>" if cell.bold else text
    span = grid.spans[column] if grid.is_plain else None
    if span and cell.interval:
        text += _whisker(cell.interval, span)
    if cell.heads:
        return f'<th scope="row"{_size(cell)}>{text}</th>'
    value = "" if cell.value is None else f' data-value="{cell.value:.12g}"'
    return f"<td{_set(grid, column)}{value}{_size(cell)}>{text}</td>"


def _whisker(interval: tuple[float, float, float], span: tuple[float, float]) -> str:
    """The interval drawn on the column's span; the text beside it says the same."""
    mean, low, high = (f"{3 + 94 * place(value, span):.1f}" for value in interval)
    zero = f"{3 + 94 * place(0, span):.1f}" if span[0] < 0 < span[1] else ""
    line = f'<path class="zero" d="M{zero} 0v10"/>' if zero else ""
    return (
        f'<svg class="whisker" viewBox="0 0 100 10" aria-hidden="true" focusable="false">{line}'
        f'<path d="M{low} 5H{high}M{low} 2v6M{high} 2v6"/><circle cx="{mean}" cy="5" r="2.6"/></svg>'
    )
