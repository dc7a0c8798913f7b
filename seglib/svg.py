"""Small drawings for the index pages, as inline SVG: they scale, print, and take the page's colours, light and dark.

Colours are classes of the pages' style sheet. Text beside a drawing says what it shows, or its `aria-label` does.
"""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from seglib.stats import ANY, Estimate

WIDTH, HEIGHT, MARGIN = 168, 18, 6  # of a whisker, in px
DOT = 3.6  # px, radius of a mean
PLOT = (420, 230)  # of curves, in px
EDGES = (44, 10, 12, 34)  # room of curves' axes: left, top, right, bottom
SPARE = 0.06  # of a scale, beyond what it has to show

Line = tuple[str, Sequence[float], Sequence[float]]  # class, x, y


def scale(
    cells: Sequence[Estimate], include: Sequence[float] = (), within: tuple[float, float] = ANY
) -> tuple[float, float]:
    """The range that shows these estimates with their intervals, and the values to include, cut to what can be."""
    ends = [v for cell in cells for v in (cell.mean, cell.low, cell.high)] + [*include]
    known = [v for v in ends if np.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    spare = SPARE * (high - low) or 0.01
    return max(low - spare, within[0]), min(high + spare, within[1])


def whisker(cell: Estimate, ends: tuple[float, float], name: str = "", zero: bool = False) -> Markup:
    """A mean as a dot on its interval; an arrow at the side where it lies outside of the scale.

    Args: ends — of the scale; name — a class of the drawing; zero — draw the line of no difference.
    """
    low, high = ends

    def x(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * float(np.clip((value - low) / (high - low), 0, 1))

    middle, parts = HEIGHT / 2, [f'<line class="scale" x1="0" x2="{WIDTH}" y1="{HEIGHT / 2}" y2="{HEIGHT / 2}"/>']
    if zero:
        parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="1" y2="{HEIGHT - 1}"/>')
    if np.isfinite(cell.low) and cell.low < cell.high and cell.high >= low and cell.low <= high:
        parts.append(
            f'<line class="interval" x1="{x(cell.low):.1f}" x2="{x(cell.high):.1f}" y1="{middle}" y2="{middle}"/>'
        )
        for end in (cell.low, cell.high) if x(cell.high) - x(cell.low) > 3 * DOT else ():  # else caps box the dot in
            parts.append(f'<line class="cap" x1="{x(end):.1f}" x2="{x(end):.1f}" y1="{middle - 4}" y2="{middle + 4}"/>')
    if np.isfinite(cell.mean):
        if low <= cell.mean <= high:
            parts.append(f'<circle class="mean" cx="{x(cell.mean):.1f}" cy="{middle}" r="{DOT}"/>')
        else:
            tip, back = (1, 7) if cell.mean < low else (WIDTH - 1, WIDTH - 7)
            parts.append(f'<path class="mean" d="M{tip} {middle}L{back} {middle - 4}V{middle + 4}Z"/>')
    return Markup(
        f'<svg class="whisker {escape(name)}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )


def curves(lines: Sequence[Line], y_label: str, alt: str, top: float | None = None) -> Markup:
    """Lines over epochs on axes from 0; what is not finite breaks a line.

    Args: lines — class, epochs, values; top — of the y axis, else what the values need.
    """
    known = [v for _, _, values in lines for v in values if np.isfinite(v)]
    top = top or max([*known, 0.0]) * (1 + SPARE) or 1.0
    last = max([*(v for _, epochs, _ in lines for v in epochs), 2])
    (width, height), (left, above, right, below) = PLOT, EDGES

    def at(epoch: float, value: float) -> str:
        x = left + (width - left - right) * (epoch - 1) / (last - 1)
        return f"{x:.1f} {above + (height - above - below) * (1 - min(value, top) / top):.1f}"

    parts = []
    for value in _ticks(top):
        x, y = at(1, value).split()
        parts.append(f'<line class="grid" x1="{x}" x2="{width - right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{left - 6}" y="{y}" dy=".35em" text-anchor="end">{value:g}</text>')
    for epoch in sorted({1, *(int(v) for v in _ticks(last) if v >= 1 and v == int(v)), int(last)}):
        x, y = at(epoch, 0).split()
        parts.append(f'<text x="{x}" y="{float(y) + 15}" text-anchor="middle">{epoch}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 3}" text-anchor="middle">epoch</text>')
    turned = f"translate(10 {(above + height - below) / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(y_label)}</text>')
    for name, epochs, values in lines:
        points = [at(e, v) if np.isfinite(v) else None for e, v in zip(epochs, values, strict=True)]
        drawn = [f"{'L' if i and points[i - 1] else 'M'}{point}" for i, point in enumerate(points) if point]
        parts.append(f'<path class="{escape(name)}" d="{"".join(drawn)}"/>')
        if len(drawn) == 1:
            x, y = next(filter(None, points)).split()
            parts.append(f'<circle class="{escape(name)}" cx="{x}" cy="{y}" r="3"/>')
    start = f'<svg class="curves" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}">'
    return Markup(f"{start}{''.join(parts)}</svg>")


def _ticks(top: float) -> list[float]:
    """Some four round values from 0 to at most `top`."""
    step = 10 ** np.floor(np.log10(top / 4))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if top / (step * factor) <= 5)
    return [float(f"{i * step:.6g}") for i in range(int(top / step + 1e-9) + 1)]
