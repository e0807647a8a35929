"""Time drawn sideways: rows of instruments, bars of what takes them.

The paper has columns of equal width on the facility's clock, from the first hour shown of each day to the
last. Where the clock is put forward or back, the paper follows the clock. Places are numbers of grid lines,
from 1; a style sheet has a class for each, since pages may carry no style of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from booking import i18n, wording
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.spans import Span, merge
from booking.i18n import gettext as _
from booking.services.availability import Bar
from booking.web.forms import days_from

MOST_COLUMNS = 200
"""The style sheet has classes for so many columns."""

STEPS = (15, 30, 60)
"""Minutes of a column, the finest first; the whole of a week of long days fits at an hour."""

DAYTIME = (8, 18)
"""The hours shown where nothing is ever open."""

NARROWEST = 576
"""Pixels that a desk's row is wide at least, whatever the window; the style sheet says so."""

STRIP = 240
"""Pixels of a row under a form on a small phone."""

TARGET = 24
"""Pixels that a link is wide and high at least, so that a finger hits it."""

MOST_BARS = 60
"""Bars of one row; an instrument of hundreds of channels has a list for the rest."""


class Look(StrEnum):
    """How a bar is painted; each has words besides."""

    MINE = "mine"
    BOOKED = "booked"
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    TAKEN = "taken"
    MAINTENANCE = "maintenance"
    CLOSED = "closed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Paper:
    """The columns: of each of the days the hours from `opens` to `closes`, `step` minutes a column."""

    first: date
    days: int
    opens: int
    closes: int
    step: int
    zone: ZoneInfo

    @property
    def per_day(self) -> int:
        """Give the number of columns of a day."""
        return (self.closes - self.opens) * 60 // self.step

    @property
    def columns(self) -> int:
        """Give the number of all columns."""
        return self.days * self.per_day

    @property
    def span(self) -> Span:
        """Give the time on the paper, from midnight to midnight."""
        return days_from(self.first, self.days, self.zone)

    @property
    def dates(self) -> list[date]:
        """Give the days on the paper."""
        return [self.first + timedelta(days=number) for number in range(self.days)]

    @property
    def ticks(self) -> int:
        """Give into how many parts lines divide the paper: days, or the hours of the only one."""
        return self.days if self.days > 1 else self.closes - self.opens

    def line(self, at: datetime, *, up: bool = False) -> int:
        """Give the grid line at or before an instant, with `up` the one at or after it."""
        wall = at.astimezone(self.zone)
        day = (wall.date() - self.first).days
        if day < 0:
            return 1
        if day >= self.days:
            return self.columns + 1
        minutes = wall.hour * 60 + wall.minute - self.opens * 60
        minutes = min(max(minutes, 0), (self.closes - self.opens) * 60)
        return day * self.per_day + (-(-minutes // self.step) if up else minutes // self.step) + 1

    def place(self, span: Span) -> tuple[int, int] | None:
        """Give the first and last grid line of a span, None where nothing of it is on the paper."""
        first, last = self.line(span.start), self.line(span.end, up=True)
        return (first, last) if first < last else None


@dataclass(frozen=True, slots=True)
class Block:
    """A bar and its room on the paper, from line `first` to `last`, no narrower than a finger.

    Lines within the room, from 1: `bar` of all that is taken, `use` without set-up and clean-up.
    """

    first: int
    last: int
    bar: tuple[int, int]
    use: tuple[int, int]
    look: Look
    times: str
    title: str
    who: str
    word: str
    entry: Bar


@dataclass(frozen=True, slots=True)
class Row:
    """What one instrument's row shows: where it is open, what takes it, and how many bars are left out."""

    opened: list[tuple[int, int]]
    blocks: list[Block]
    more: int


def paper(
    first: date,
    days: int,
    zone: ZoneInfo,
    *,
    opened: Iterable[Span] = (),
    spans: Iterable[Span] = (),
) -> Paper:
    """Give the paper of some days, with the hours in which anything is open or, in `spans`, taken."""
    whole = days_from(first, days, zone)
    opens, closes = _hours([*opened, *spans], whole, zone)
    step = next(step for step in STEPS if days * (closes - opens) * 60 // step <= MOST_COLUMNS)
    return Paper(first, days, opens, closes, step, zone)


def _hours(spans: Iterable[Span], whole: Span, zone: ZoneInfo) -> tuple[int, int]:
    first, last = 24, 0
    for span in merge(spans):
        start, end = max(span.start, whole.start), min(span.end, whole.end)
        if start >= end:
            continue
        begins, ends = start.astimezone(zone), end.astimezone(zone)
        over_midnight = begins.date() != (end - timedelta(microseconds=1)).astimezone(zone).date()
        if over_midnight:
            return 0, 24
        first = min(first, begins.hour)
        last = max(last, 24 if ends.date() != begins.date() else ends.hour + bool(ends.minute))
    return (first, last) if first < last else DAYTIME


def row(
    drawn: Paper, opened: Iterable[Span], bars: Sequence[Bar], *, staff: bool = False, width: int = NARROWEST
) -> Row:
    """Lay one instrument's bars on the paper; staff read names, others what the mask leaves.

    `width` is how many pixels the row has at least.
    """
    found = blocks(drawn, bars, staff=staff, width=width)
    return Row(
        opened=[place for span in merge(opened) if (place := drawn.place(span)) is not None],
        blocks=found[:MOST_BARS],
        more=max(0, len(found) - MOST_BARS),
    )


def blocks(drawn: Paper, bars: Iterable[Bar], *, staff: bool = False, width: int = NARROWEST) -> list[Block]:
    """Give the bars that have a place on the paper, in the order in which they came."""
    least = min(-(-drawn.columns * TARGET // width), drawn.columns)
    return [block for bar in bars if (block := _block(drawn, bar, least, staff=staff)) is not None]


def _block(drawn: Paper, bar: Bar, least: int, *, staff: bool) -> Block | None:
    place = drawn.place(Span(bar.start, bar.end))
    if place is None:
        return None
    use = drawn.place(Span(bar.use_start, bar.use_end)) or place
    first = min(place[0], drawn.columns + 1 - least)
    look = look_of(bar, staff=staff)
    return Block(
        first=first,
        last=max(place[1], first + least),
        bar=(place[0] - first + 1, place[1] - first + 1),
        use=(use[0] - first + 1, use[1] - first + 1),
        look=look,
        times=i18n.format_span(bar.use_start, bar.use_end, drawn.zone.key),
        title=bar.title or "",
        who="" if look is Look.MINE else bar.person or "",
        word=word_of(bar, look),
        entry=bar,
    )


def look_of(bar: Bar, *, staff: bool = False) -> Look:
    """Tell how a bar is painted for this reader."""
    if bar.kind is Kind.MAINTENANCE:
        return Look.MAINTENANCE
    if bar.kind is Kind.CLOSURE:
        return Look.CLOSED
    if bar.kind is Kind.HOLD:
        return Look.HELD
    if bar.state is State.REQUESTED:
        return Look.PENDING
    if bar.mine and not staff:
        return Look.MINE
    if not staff or bar.state is None:
        return Look.TAKEN
    return {State.CHECKED_IN: Look.RUNNING, State.ENDED: Look.ENDED}.get(bar.state, Look.BOOKED)


def word_of(bar: Bar, look: Look) -> str:
    """Name what a bar is, for those who do not see its colour."""
    if bar.state is not None:
        return _("Yours") if look is Look.MINE else wording.state_name(bar.state)
    return _("Taken") if bar.kind is Kind.BOOKING else wording.kind_name(bar.kind)
