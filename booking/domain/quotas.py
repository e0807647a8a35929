"""Limits over time: how much a person, a project or an organisation may book at a place in a day, week or month."""

import enum
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from booking.domain.hours import DAY_MINUTES, instant, local_days
from booking.domain.policy import Moment, Rule, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.spans import Span, intersect, merge
from booking.domain.working_days import DayKind

MOST_DAYS = 366
"""No window rolls over more days."""


class Party(enum.StrEnum):
    """Whose bookings are counted together."""

    PERSON = "person"
    PROJECT = "project"
    ORGANISATION = "organisation"


class Measure(enum.StrEnum):
    """What is counted of them."""

    HOURS = "hours"
    BOOKINGS = "bookings"


class Period(enum.StrEnum):
    """Over which time: one of the calendar where the facility stands, or any so many days in a row."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit in minutes or bookings; a rule with a band of the week counts only what lies in it."""

    rule: Rule
    party: Party
    measure: Measure
    period: Period
    days: int
    limit: int


@dataclass(frozen=True, slots=True)
class Use:
    """Time of a booking at the place of a limit."""

    booking: Hashable
    span: Span


@dataclass(frozen=True, slots=True)
class Full:
    """A limit that a wish would break: what is used in the window, and what is asked for on top, as it counts."""

    quota: Quota
    window: Span
    used: int
    asked: int


def counting(rules: Iterable[Rule], day: date, customer_class: CustomerClass) -> list[Quota]:
    """Give the limits that count on a day: of all places, and at each the most particular and newest of a name."""
    found: dict[object, Rule] = {}
    for rule in sorted(rules, key=lambda rule: rule.order):
        fits = rule.in_force(day) and rule.customer_class in (None, customer_class)
        if rule.kind is RuleKind.QUOTA and fits:
            band = (rule.day_kind, rule.weekdays, rule.opens, rule.closes)
            found.setdefault((rule.place, rule.name, band), rule)
    return [quota_of(rule, rule.value) for rule in found.values() if rule.value is not None]


def quota_of(rule: Rule, limit: int) -> Quota:
    """Read a rule of this kind."""
    data = rule.data
    return Quota(
        rule,
        Party(data["party"]),
        Measure(data["measure"]),
        Period(data["period"]),
        int(data.get("days") or 1),
        limit,
    )


def name_of(party: Party, measure: Measure, period: Period) -> str:
    """Give the name under which such a limit is kept."""
    return f"{party.value}.{measure.value}.{period.value}"


def reach(quota: Quota, wish: Sequence[Span], tz: ZoneInfo) -> Span:
    """Give the time in which other bookings count beside the wish."""
    start, end = min(span.start for span in wish), max(span.end for span in wish)
    if quota.period is Period.ROLLING:
        return Span(start - timedelta(days=quota.days), end + timedelta(days=quota.days))
    found = windows(quota.period, Span(start, end), tz)
    return Span(found[0].start, found[-1].end)


def windows(period: Period, within: Span, tz: ZoneInfo) -> list[Span]:
    """Give the days, weeks or months of the facility's calendar that the span touches."""
    found: dict[date, Span] = {}
    for day in local_days(Span(within.start, within.end - timedelta(microseconds=1)), tz):
        first, last = _bounds(period, day)
        found.setdefault(first, Span(instant(first, 0, tz), instant(last, 0, tz)))
    return list(found.values())


def _bounds(period: Period, day: date) -> tuple[date, date]:
    if period is Period.DAY:
        return day, day + timedelta(days=1)
    if period is Period.WEEK:
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def current(quota: Quota, now: datetime, tz: ZoneInfo) -> Span:
    """Give the window of a limit in which a moment lies; of rolling ones that which ends with it."""
    if quota.period is Period.ROLLING:
        return Span(now - timedelta(days=quota.days), now)
    return windows(quota.period, Span(now, now + _MINUTE), tz)[0]


def used(
    quota: Quota,
    uses: Sequence[Use],
    window: Span,
    tz: ZoneInfo,
    day_kind: Callable[[date], DayKind] | None = None,
) -> int:
    """Give how much of the uses counts in a window, in minutes or bookings."""
    return _Sum(quota.measure, _counted(quota, uses, tz, day_kind)).within(window)


def full(
    quota: Quota,
    *,
    uses: Sequence[Use],
    wish: Sequence[Use],
    had: Sequence[Use] = (),
    tz: ZoneInfo,
    day_kind: Callable[[date], DayKind] | None = None,
) -> Full | None:
    """Give the window in which the wish would go furthest over the limit, None where it keeps to it everywhere.

    `had` is the time that the booking has which is being changed: what asks for no more than that may stay.
    """
    others, asked, own = (_counted(quota, part, tz, day_kind) for part in (uses, wish, had))
    if not asked:
        return None
    span = Span(min(use.span.start for use in asked), max(use.span.end for use in asked))
    if quota.period is Period.ROLLING:
        looked = _rolling(quota, [*others, *asked], span)
    else:
        looked = windows(quota.period, span, tz)
    sums = [_Sum(quota.measure, part) for part in (others, asked, own)]
    found = [Full(quota, window, *(part.within(window) for part in sums[:2])) for window in looked]
    over = [
        one for one in found if one.asked > sums[2].within(one.window) and one.used + one.asked > quota.limit
    ]
    return max(over, key=lambda one: (one.used + one.asked, one.window), default=None)


def _counted(
    quota: Quota, uses: Sequence[Use], tz: ZoneInfo, day_kind: Callable[[date], DayKind] | None
) -> list[Use]:
    """Give what counts of the uses: bookings by where they start, hours by what lies in the limit's band."""
    if quota.measure is Measure.BOOKINGS:
        first: dict[Hashable, Span] = {}
        for use in sorted(uses, key=lambda use: use.span):
            first.setdefault(use.booking, use.span)
        starts = [Use(booking, Span(span.start, span.start + _INSTANT)) for booking, span in first.items()]
        return [use for use in starts if _starts_in(quota.rule, use.span.start, tz, day_kind)]
    if not quota.rule.banded:
        return list(uses)
    return [
        Use(use.booking, part)
        for use in uses
        for part in intersect([use.span], band(quota.rule, use.span, tz, day_kind))
    ]


_INSTANT = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)


def _starts_in(rule: Rule, start: datetime, tz: ZoneInfo, day_kind: Callable[[date], DayKind] | None) -> bool:
    wall = start.astimezone(tz)
    kind = day_kind(wall.date()) if rule.day_kind is not None and day_kind else None
    return rule.in_band(Moment(CustomerClass.EXTERNAL, wall.date(), wall.hour * 60 + wall.minute, kind))


def band(
    rule: Rule, within: Span, tz: ZoneInfo, day_kind: Callable[[date], DayKind] | None = None
) -> list[Span]:
    """Give the time of a rule's band that the span touches."""
    found = []
    for day in local_days(within, tz):
        kind = day_kind(day) if rule.day_kind is not None and day_kind else None
        opens = rule.opens if rule.opens is not None else 0
        closes = rule.closes if rule.closes is not None else DAY_MINUTES
        if rule.in_band(Moment(CustomerClass.EXTERNAL, day, opens, kind)):
            found.append(Span(instant(day, opens, tz), instant(day, closes, tz)))
    return merge(found)


def _rolling(quota: Quota, uses: Sequence[Use], around: Span) -> list[Span]:
    """Give the windows among which the fullest is: what is in one turns only where it meets an end of a use.

    The first and the last that hold a minute of the time around are among them: beyond, none of it counts.
    """
    length = timedelta(days=quota.days)
    starts = {use.span.start for use in uses} | {use.span.end - length for use in uses}
    starts |= {around.start - length + _MINUTE, around.end - _MINUTE}
    return [
        Span(start, start + length)
        for start in sorted(starts)
        if start < around.end and around.start < start + length
    ]


class _Sum:
    """How much of some uses lies in a window: minutes, or how many start there."""

    def __init__(self, measure: Measure, uses: Sequence[Use]) -> None:
        self._measure = measure
        self._starts = sorted(use.span.start for use in uses)
        self._ends = sorted(use.span.end for use in uses)
        self._until_start, self._until_end = (
            [0.0, *accumulate(at.timestamp() for at in ends)] for ends in (self._starts, self._ends)
        )

    def within(self, window: Span) -> int:
        """Give the sum; minutes are whole, for times are."""
        if self._measure is Measure.BOOKINGS:
            return sum(window.start <= start < window.end for start in self._starts)
        return round((self._elapsed(window.end) - self._elapsed(window.start)) / 60)

    def _elapsed(self, at: datetime) -> float:
        """Give the seconds that lie before an instant."""
        begun, over, now = bisect_right(self._starts, at), bisect_right(self._ends, at), at.timestamp()
        return (begun * now - self._until_start[begun]) - (over * now - self._until_end[over])
