"""Opening hours of a facility's week, in its own zone, as spans of UTC."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from booking.domain.spans import Span, merge

DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """Open from one minute of the day to another on one weekday (Monday is 0), while the rule is in force.

    Minutes are wall-clock minutes after local midnight; 1440 is the next midnight.
    `valid_from` and `valid_to` are local dates, the second exclusive; None is no limit.
    """

    weekday: int
    opens: int
    closes: int
    valid_from: date | None = None
    valid_to: date | None = None

    def applies(self, day: date) -> bool:
        """Tell whether the rule opens that day."""
        return (
            self.weekday == day.weekday()
            and (self.valid_from is None or self.valid_from <= day)
            and (self.valid_to is None or day < self.valid_to)
        )


ALWAYS = tuple(WeeklyHours(weekday, 0, DAY_MINUTES) for weekday in range(7))
"""Open around the clock."""


def in_force(rules: Iterable[WeeklyHours], day: date) -> tuple[WeeklyHours, ...]:
    """Give the week that counts on a day, as if it always did."""
    found = {
        replace(rule, valid_from=None, valid_to=None)
        for rule in rules
        if (rule.valid_from is None or rule.valid_from <= day)
        and (rule.valid_to is None or day < rule.valid_to)
    }
    return tuple(sorted(found, key=lambda rule: (rule.weekday, rule.opens, rule.closes)))


def from_day(
    before: Iterable[WeeklyHours], week: Iterable[WeeklyHours], day: date
) -> tuple[WeeklyHours, ...]:
    """Give hours that are as before until a day, and another week from it on; what was to begin later is dropped."""
    kept = [
        rule if rule.valid_to is not None and rule.valid_to <= day else replace(rule, valid_to=day)
        for rule in before
        if rule.valid_from is None or rule.valid_from < day
    ]
    return (*kept, *(replace(rule, valid_from=day, valid_to=None) for rule in week))


def changes_ahead(rules: Iterable[WeeklyHours], today: date) -> list[tuple[date, tuple[WeeklyHours, ...]]]:
    """Give the days after today on which another week begins, each with that week."""
    known = tuple(rules)
    days = sorted({day for rule in known for day in (rule.valid_from, rule.valid_to) if day and day > today})
    found, last = [], in_force(known, today)
    for day in days:
        week = in_force(known, day)
        if week != last:
            found.append((day, week))
        last = week
    return found


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Give the zone of an IANA name."""
    return ZoneInfo(name)


def instant(day: date, minute: int, tz: ZoneInfo) -> datetime:
    """Give the UTC instant of a wall-clock minute.

    A time that the clock skips in spring is the instant at which the gap ends the day's
    arithmetic (fold 0 read with the offset before the gap); a time that comes twice in autumn
    is its first coming.
    """
    wall = datetime.combine(day + timedelta(days=minute // DAY_MINUTES), time(), tzinfo=tz)
    return (wall + timedelta(minutes=minute % DAY_MINUTES)).astimezone(UTC)


def local_days(within: Span, tz: ZoneInfo) -> Iterator[date]:
    """Give every local date that the span touches."""
    day = within.start.astimezone(tz).date()
    last = within.end.astimezone(tz).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def open_spans(rules: Iterable[WeeklyHours], within: Span, tz: ZoneInfo) -> list[Span]:
    """Give the open time that lies in the span, merged over midnight and sorted."""
    known = tuple(rules)
    spans = []
    for day in local_days(within, tz):
        for rule in known:
            if rule.applies(day):
                start = max(instant(day, rule.opens, tz), within.start)
                end = min(instant(day, rule.closes, tz), within.end)
                if start < end:
                    spans.append(Span(start, end))
    return merge(spans)


def is_open(rules: Iterable[WeeklyHours], span: Span, tz: ZoneInfo) -> bool:
    """Tell whether the whole span is open."""
    return open_spans(rules, span, tz) == [span]
