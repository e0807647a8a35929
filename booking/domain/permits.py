"""Permits of instruments: the days on which all that are wanted are valid, what a use lacks, and when to warn."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from booking.domain.hours import instant
from booking.domain.spans import Span, intersect, merge

OVER = -1
WARNINGS = (60, 30, 7, OVER)
"""So many days before the last one its facility hears of it, and on the day after."""


@dataclass(frozen=True, slots=True)
class Term:
    """Days on which a permit of some name is valid, both in it."""

    name: str
    first: date
    last: date

    def span(self, tz: ZoneInfo) -> Span:
        """Give the time from the first midnight to that after the last day."""
        return Span(instant(self.first, 0, tz), instant(self.last + timedelta(days=1), 0, tz))


@dataclass(frozen=True, slots=True)
class Lack:
    """A permit that is not valid for the whole of a use: until when it is, or from when on where it was not before."""

    name: str
    until: date | None
    since: date | None


def valid(terms: Iterable[Term], within: Span, tz: ZoneInfo) -> list[Span]:
    """Give the time in a span at which every permit is valid; all of it where none is wanted."""
    found = [within]
    for spans in _by_name(terms, tz).values():
        found = intersect(found, spans)
    return found


def lacks(terms: Iterable[Term], use: Span, tz: ZoneInfo) -> list[Lack]:
    """Give each permit that is not valid for the whole of a use."""
    found = []
    for name, spans in _by_name(terms, tz).items():
        if any(span.contains(use) for span in spans):
            continue
        before = [span for span in spans if span.start <= use.start]
        if before:
            found.append(Lack(name, _last_day(before[-1].end, tz), None))
        else:
            found.append(Lack(name, None, spans[0].start.astimezone(tz).date()))
    return found


def warning(last: date, today: date, warned: int | None) -> int | None:
    """Give which warning is due today, None if none is; after a pause only the last is said."""
    left = (last - today).days
    due = [days for days in WARNINGS if left <= days and (warned is None or days < warned)]
    return min(due, default=None)


def _by_name(terms: Iterable[Term], tz: ZoneInfo) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for term in terms:
        found.setdefault(term.name, []).append(term.span(tz))
    return {name: merge(spans) for name, spans in found.items()}


def _last_day(end: datetime, tz: ZoneInfo) -> date:
    return (end - timedelta(microseconds=1)).astimezone(tz).date()
