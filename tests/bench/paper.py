"""Tables and plots for pages of `docs/`: text between two marks, and small SVG pictures of our own."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 56, 150, 34, 44
COLOURS = ("#1f6feb", "#d1480f", "#2da44e", "#8250df")
INK = "#6e7781"
"""A grey that can be read on white and on black."""


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Give a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def put(page: Path, mark: str, text: str) -> None:
    """Replace what stands between the marks of a page that name it.

    :raises ValueError: if the page has no such marks
    """
    whole = page.read_text()
    begin, end = f"<!-- {mark}: written by the benchmark -->\n", f"<!-- {mark}: end -->"
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no place for {mark}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


Points = Sequence[tuple[float, float]]


def chart(title: str, across: str, up: str, lines: Mapping[str, Points], *, most: float) -> str:
    """Draw lines over an axis that doubles, from 0 up to `most`."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    low, high = math.log2(xs[0]), math.log2(xs[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + width * (math.log2(x) - low) / (high - low), TOP + height * (1 - min(y, most) / most)

    parts = [_text(LEFT, 18, title, weight="bold"), _text(LEFT, HEIGHT - 8, across)]
    parts.append(_text(6, 18, up, size=11))
    for n in range(6):
        y = place(xs[0], most * n / 5)[1]
        parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - RIGHT}" stroke="{INK}" stroke-opacity=".3"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{most * n / 5:g}", anchor="end", size=11))
    parts += [_text(place(x, 0)[0], HEIGHT - 28, f"{x:g}", anchor="middle", size=11) for x in xs]
    for n, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{'ML'[k > 0]}{x:.1f} {y:.1f}" for k, (x, y) in enumerate(place(*p) for p in points))
        colour = COLOURS[n % len(COLOURS)]
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            for x, y in (place(*p) for p in points)
        ]
        parts.append(_text(WIDTH - RIGHT + 10, TOP + 12 + 18 * n, name, fill=colour))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' font-family="sans-serif"><title>{escape(title)}</title>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: int = 13,
    weight: str = "normal",
    fill: str = INK,
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
        f' fill="{fill}">{escape(words)}</text>'
    )
