"""Labels: QR codes as SVG and PNG, and a sheet of them as PDF to print and cut."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from booking.gateways import pdf
from booking.gateways.pdf import QUIET


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on a label; the names are shown under each other."""

    address: str
    code: str
    name_zh: str = ""
    name_en: str = ""
    place: str = ""


def _code(address: str) -> Any:
    import segno  # noqa: PLC0415 - few requests need it

    return segno.make(address, error="m", micro=False)


def png(label: Label, *, scale: int = 12) -> bytes:
    """Draw the code alone, as a picture."""
    file = io.BytesIO()
    _code(label.address).save(file, kind="png", scale=scale, border=QUIET)
    return file.getvalue()


def svg(label: Label) -> bytes:
    """Draw the code with the instrument's names under it."""
    rows = pdf.matrix(label.address)
    size = len(rows) + 2 * QUIET
    path = "".join(
        f"M{x + QUIET} {y + QUIET}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    )
    names = [name for name in (label.name_zh, label.name_en, label.code) if name]
    text = "".join(
        f'<text x="{size / 2}" y="{size + 1 + 3 * n}" font-size="{2.2 if len(name) < 20 else 1.5}"'
        f' text-anchor="middle" font-family="sans-serif">{escape(name)}</text>'
        for n, name in enumerate(names)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size + 3 * len(names)}"'
        f' width="{size * 8}" height="{(size + 3 * len(names)) * 8}" role="img" aria-label="{escape(label.code)}">'
        f'<rect width="100%" height="100%" fill="#fff"/><path d="{path}" fill="#000"/>{text}</svg>'
    ).encode()


def sheet(labels: Sequence[Label], *, title: str) -> bytes:
    """Draw labels on pages of A4, two by four, with lines to cut along."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 - it takes its time to load
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

    pdf.fonts()
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=True)
    canvas.setTitle(title)
    canvas.setCreator("Yiqi")
    across, down = 2, 4
    width, height = A4[0] / across, A4[1] / down
    for first in range(0, max(len(labels), 1), across * down):
        for n, label in enumerate(labels[first : first + across * down]):
            x, y = (n % across) * width, A4[1] - (n // across + 1) * height
            _draw(canvas, label, x, y, width, height)
        _cut_lines(canvas, A4, across, down)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw(canvas: Any, label: Label, x: float, y: float, width: float, height: float) -> None:
    margin = 18.0
    side = height - 2 * margin - 42
    left, top = x + (width - side) / 2, y + height - margin
    pdf.draw_code(canvas, label.address, left, top, side)
    room, middle = width - 2 * margin, x + width / 2
    base = top - side - 8
    for text, size in ((label.name_zh, 11.0), (label.name_en, 9.0), (f"{label.code} · {label.place}", 8.0)):
        if text:
            _line(canvas, text, middle, base, room, size)
        base -= 13


def _line(canvas: Any, text: str, middle: float, base: float, room: float, size: float) -> None:
    """Write a line in the middle; what does not fit is first made smaller and then cut."""
    while pdf.width_of(text, size) > room and size > 6:
        size -= 0.5
    pdf.write(canvas, text, middle - min(pdf.width_of(text, size), room) / 2, base, size, room)


def _cut_lines(canvas: Any, page: tuple[float, float], across: int, down: int) -> None:
    canvas.setStrokeGray(0.6)
    canvas.setLineWidth(0.4)
    canvas.setDash(3, 3)
    for n in range(1, across):
        canvas.line(page[0] * n / across, 0, page[0] * n / across, page[1])
    for n in range(1, down):
        canvas.line(0, page[1] * n / down, page[0], page[1] * n / down)
