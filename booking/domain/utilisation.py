"""Utilisation: how much of its open time an instrument was booked, used, down or waited for somebody in vain."""

import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from booking.domain.hours import WeeklyHours, instant, open_spans
from booking.domain.spans import Span, intersect, subtract

HOUR = 3600
YEAR_DAYS = 365


class Measure(enum.StrEnum):
    """In what a target is said."""

    PERCENT = "percent"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Hours:
    """Sums of seconds of instruments, a unit's as its part: open, booked, used, down, and booked but nobody came.

    Down counts within open time; `missed` is how many times nobody came.
    """

    open: int = 0
    booked: int = 0
    used: int = 0
    down: int = 0
    lost: int = 0
    missed: int = 0

    def __add__(self, other: "Hours") -> "Hours":
        """Sum two."""
        return Hours(
            self.open + other.open,
            self.booked + other.booked,
            self.used + other.used,
            self.down + other.down,
            self.lost + other.lost,
            self.missed + other.missed,
        )

    @property
    def utilisation(self) -> float | None:
        """Booked ÷ open."""
        return _share(self.booked, self.open)

    @property
    def use(self) -> float | None:
        """Used ÷ booked."""
        return _share(self.used, self.booked)

    @property
    def downtime(self) -> float | None:
        """Down ÷ open."""
        return _share(self.down, self.open)

    @property
    def no_show(self) -> float | None:
        """What nobody came for ÷ all that was booked, those hours among it."""
        return _share(self.lost, self.booked + self.lost)


@dataclass(frozen=True, slots=True)
class Target:
    """What shall be booked from a day on: hours in a year, or percent of the open time; None ends an earlier one."""

    measure: Measure
    value: int | None
    valid_from: date

    def wanted(self, days: int, opened: int) -> float | None:
        """Give the seconds that it asks of so many days in which an instrument was open for so long."""
        if self.value is None:
            return None
        if self.measure is Measure.PERCENT:
            return opened * self.value / 100
        return self.value * HOUR * days / YEAR_DAYS


def total(rows: Iterable[Hours]) -> Hours:
    """Sum any number of them."""
    return sum(rows, Hours())


def stretches(first: date, days: int, step: int, zone: ZoneInfo) -> list[Span]:
    """Cut whole days of a zone's calendar into stretches of `step` days; the last one may be shorter."""
    cuts = [*range(0, days, step), days]
    ends = [instant(first + timedelta(days=cut), 0, zone) for cut in cuts]
    return [Span(start, end) for start, end in itertools.pairwise(ends)]


def open_time(rules: Sequence[WeeklyHours], within: Sequence[Span], zone: ZoneInfo) -> list[Span]:
    """Give the open spans of stretches that follow each other."""
    if not within or not rules:
        return []
    return open_spans(rules, Span(within[0].start, within[-1].end), zone)


def seconds_in(spans: Sequence[Span], within: Sequence[Span]) -> list[int]:
    """Give how many seconds of the spans lie in each stretch."""
    return [sum(_seconds(span) for span in intersect(spans, [stretch])) for stretch in within]


def opened_and_down(
    opened: Sequence[Span], closed: Sequence[Span], down: Sequence[Span]
) -> tuple[list[Span], list[Span]]:
    """Take days off out of the open time, and give what is left with the part of it in which nothing ran."""
    left = subtract(opened, closed) if closed else list(opened)
    return left, intersect(left, down) if down else []


def wanted(
    own: Sequence[Target], facility: Sequence[Target], first: date, days: int, opened: int
) -> float | None:
    """Give the seconds that are asked of so many days from a first on; one's own target before the facility's.

    A change of target within the days counts by the days on which each was in force.
    """
    shares: dict[Target, int] = {}
    for n in range(days):
        day = first + timedelta(days=n)
        target = _newest(own, day) or _newest(facility, day)
        if target is not None:
            shares[target] = shares.get(target, 0) + 1
    asked = [
        found
        for target, of_days in shares.items()
        if (found := target.wanted(of_days, opened * of_days // days)) is not None
    ]
    return sum(asked) if asked else None


def _newest(targets: Sequence[Target], day: date) -> Target | None:
    begun = [target for target in targets if target.valid_from <= day]
    return max(begun, key=lambda target: target.valid_from, default=None)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _seconds(span: Span) -> int:
    return int(span.duration.total_seconds())
