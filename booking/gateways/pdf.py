"""What all PDF files share: fonts that need nothing of the system, text that fits its room, codes to scan."""

import re
from functools import cache
from typing import Any

CHINESE, LATIN = "STSong-Light", "Helvetica"
_LATIN = re.compile("[\x20-\x7e\xa0-\xff–…’“”]+")
_RUNS = re.compile(f"{_LATIN.pattern}|[^\x20-\x7e\xa0-\xff–…’“”]+")
QUIET = 4
"""Modules left white around a code, as its standard asks."""


@cache
def fonts() -> None:
    """Make Chinese text known to reportlab; it takes its time to load."""
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415

    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))


def runs(text: str) -> list[tuple[str, str]]:
    """Give the stretches of a text, each with the font that has its signs: Latin ones look poor in a Chinese font."""
    return [(LATIN if _LATIN.match(part) else CHINESE, part) for part in _RUNS.findall(text)]


def width_of(text: str, size: float) -> float:
    """Give how many points a text takes."""
    from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: PLC0415

    return float(sum(stringWidth(part, font, size) for font, part in runs(text)))


def cut(text: str, size: float, room: float) -> str:
    """Give as much of a text as fits in so many points."""
    if width_of(text, size) <= room:
        return text
    while text and width_of(text + "…", size) > room:
        text = text[:-1].rstrip()
    return text + "…" if text else ""


def lines(text: str, size: float, room: float, most: int) -> list[str]:
    """Break a text into lines that fit in so many points; what is beyond the last line is cut."""
    found: list[str] = []
    while text and len(found) < most - 1 and width_of(text, size) > room:
        end = next(n for n in range(len(text), 0, -1) if n == 1 or width_of(text[:n], size) <= room)
        space = text.rfind(" ", 0, end + 1)
        end = space if space > 0 and text[:end].isascii() else end
        found.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*found, cut(text, size, room)] if text else found


def write(canvas: Any, text: str, x: float, y: float, size: float, room: float) -> None:
    """Write a line that begins at x, cut to its room."""
    for font, part in runs(cut(text, size, room)):
        canvas.setFont(font, size)
        canvas.drawString(x, y, part)
        x += width_of(part, size)


def matrix(address: str) -> list[bytearray]:
    """Give the modules of the code that leads to an address, row by row."""
    import segno  # noqa: PLC0415 - few requests need it

    return list(segno.make(address, error="m", micro=False).matrix)


def draw_code(canvas: Any, address: str, left: float, top: float, side: float) -> None:
    """Draw the code that leads to an address, with the white it needs around it."""
    rows = matrix(address)
    module = side / (len(rows) + 2 * QUIET)
    canvas.setFillGray(0)
    for line, row in enumerate(rows):
        for column, dark in enumerate(row):
            if dark:
                x, y = left + (column + QUIET) * module, top - (line + QUIET + 1) * module
                canvas.rect(x, y, module, module, stroke=0, fill=1)
