"""A week's plan as PDF to hang up: a row for each instrument, a column for each day, on as many pages as it takes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from booking.gateways import pdf


class Shade(StrEnum):
    """How an entry is set off from others, in black and white."""

    FREE = "free"
    TAKEN = "taken"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stretch of a day in words."""

    times: str
    words: str
    shade: Shade = Shade.TAKEN


@dataclass(frozen=True, slots=True)
class Row:
    """An instrument and what stands in each of its days."""

    name: str
    code: str
    days: Sequence[Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands on a plan; `address` is where it is kept up to date, `notes` stand at the foot."""

    title: str
    place: str
    week: str
    heads: Sequence[str]
    rows: Sequence[Row]
    address: str
    notes: Sequence[str] = field(default_factory=tuple)


MARGIN, CODE, HEAD = 28.0, 56.0, 16.0
NAME = 104.0
SIZE, LEADING = 8.0, 10.0
MOST = 40
"""Entries of one day that are drawn; a row of more would leave its page."""


def draw(sheet: Sheet) -> bytes:
    """Draw a plan on pages of A4, broad, black on white."""
    from reportlab.lib.pagesizes import A4, landscape  # noqa: PLC0415 - it takes its time to load
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415

    pdf.fonts()
    file = io.BytesIO()
    width, height = landscape(A4)
    canvas = Canvas(file, pagesize=(width, height), invariant=True)
    canvas.setTitle(f"{sheet.title} {sheet.week}")
    canvas.setCreator("Yiqi")
    page = _Page(canvas, sheet, width, height)
    page.begin()
    for row in sheet.rows:
        page.row(row)
    page.end()
    canvas.save()
    return file.getvalue()


@dataclass
class _Page:
    """The page that is being drawn; `top` is where its next row begins."""

    canvas: Any
    sheet: Sheet
    width: float
    height: float
    number: int = 0
    top: float = 0.0

    @property
    def column(self) -> float:
        return (self.width - 2 * MARGIN - NAME) / len(self.sheet.heads)

    @property
    def bottom(self) -> float:
        return MARGIN + LEADING * (len(self.sheet.notes) + 1)

    def begin(self) -> None:
        self.number += 1
        edge = self.height - MARGIN
        room = self.width - 2 * MARGIN - CODE - 8
        self.canvas.setFillGray(0)
        pdf.write(self.canvas, self.sheet.title, MARGIN, edge - 14, 16, room)
        pdf.write(self.canvas, self.sheet.place, MARGIN, edge - 30, 9, room)
        pdf.write(self.canvas, self.sheet.week, MARGIN, edge - 46, 12, room)
        pdf.draw_code(self.canvas, self.sheet.address, self.width - MARGIN - CODE, edge + 4, CODE)
        self.top = edge - CODE
        self._heads()

    def _heads(self) -> None:
        self.canvas.setLineWidth(0.8)
        for day, head in enumerate(self.sheet.heads):
            left = MARGIN + NAME + day * self.column
            pdf.write(self.canvas, head, left + 3, self.top - 11, 9, self.column - 6)
        self.top -= HEAD
        self.canvas.line(MARGIN, self.top, self.width - MARGIN, self.top)

    def row(self, row: Row) -> None:
        lines = max(3, *(min(len(day), MOST) + (len(day) > MOST) for day in row.days))
        tall = lines * LEADING + 5
        if self.top - tall < self.bottom:
            self.end()
            self.begin()
        names = pdf.lines(row.name, 8.5, NAME - 4, 2)
        for line, name in enumerate(names):
            pdf.write(self.canvas, name, MARGIN, self.top - 10 * (line + 1), 8.5, NAME - 4)
        pdf.write(self.canvas, row.code, MARGIN, self.top - 10 * (len(names) + 1), 7, NAME - 4)
        for number, day in enumerate(row.days):
            self._day(MARGIN + NAME + number * self.column, day)
        self.canvas.setFillGray(0)
        self.top -= tall
        self._lines(tall)

    def _day(self, left: float, day: Sequence[Entry]) -> None:
        for line, entry in enumerate(day[:MOST]):
            base = self.top - LEADING * (line + 1)
            if entry.shade is not Shade.FREE:
                self.canvas.setFillGray(0.86 if entry.shade is Shade.TAKEN else 0.95)
                self.canvas.rect(left + 1, base - 2.4, self.column - 2, LEADING - 0.6, stroke=0, fill=1)
            self.canvas.setFillGray(0)
            text = f"{entry.times} {entry.words}".strip()
            pdf.write(self.canvas, text, left + 3, base, SIZE, self.column - 6)
        if len(day) > MOST:
            base = self.top - LEADING * (MOST + 1)
            pdf.write(self.canvas, f"+ {len(day) - MOST}", left + 3, base, SIZE, self.column - 6)

    def _lines(self, tall: float) -> None:
        self.canvas.setLineWidth(0.4)
        self.canvas.setStrokeGray(0.4)
        self.canvas.line(MARGIN, self.top, self.width - MARGIN, self.top)
        for day in range(len(self.sheet.heads) + 1):
            left = MARGIN + NAME + day * self.column
            self.canvas.line(left, self.top, left, self.top + tall)
        self.canvas.setStrokeGray(0)

    def end(self) -> None:
        room = self.width - 2 * MARGIN - 40
        self.canvas.setFillGray(0)
        for line, note in enumerate(reversed(self.sheet.notes)):
            pdf.write(self.canvas, note, MARGIN, MARGIN - 8 + LEADING * line, 7, room)
        number = str(self.number)
        pdf.write(self.canvas, number, self.width - MARGIN - 20, MARGIN - 8, 7, 20)
        self.canvas.showPage()
