"""Repetition: a small part of RFC 5545's rules, and the dates and spans that it gives on a facility's clock."""

import calendar
import enum
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

from booking.domain.hours import DAY_MINUTES, instant
from booking.domain.rules import LONGEST, Invalid
from booking.domain.spans import Span

MOST_DATES = 366
"""No series has more dates, those that are left out counted."""

LONGEST_SERIES = timedelta(days=3 * 366)
"""No series goes on for longer than three years after its first day."""

MOST_INTERVAL = 99
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST = -1


class Frequency(enum.StrEnum):
    """How often: the unit that the interval counts."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"


class Clock(enum.StrEnum):
    """What the zone's clock does to a date: nothing, or what its reader should know."""

    PLAIN = "plain"
    MISSING = "missing"
    TWICE = "twice"
    SHIFTED = "shifted"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which days: every so many days, weeks (on some weekdays) or months.

    A month has the day of this number (-1 is its last) or the weekday in this position (-1 is the last such).
    Either a number of dates or the last possible day ends it.
    """

    frequency: Frequency
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    month_day: int | None = None
    position: int | None = None
    count: int | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rule from a first day on, with the wall-clock minute at which each use begins and how long it takes."""

    rule: Rule
    first_day: date
    start_minute: int
    minutes: int
    excluded: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A date of a series with its span in UTC, and what the clock does to it."""

    day: date
    span: Span
    clock: Clock


# --- rules as text --------------------------------------------------------------------------------

_PART = re.compile(r"([A-Z]+)=([A-Z0-9,+-]+)", re.ASCII)
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_WEEKDAY = re.compile(rf"([+-]?\d)?({'|'.join(WEEKDAYS)})", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(T\d{6}Z?)?", re.ASCII)
_KNOWN = {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYSETPOS", "COUNT", "UNTIL", "WKST"}


def parse(text: str, first_day: date) -> Rule:
    """Read a rule as RFC 5545 writes it; what it leaves open is as on the first day.

    :raises Invalid: if it is none, or none that a booking can follow
    """
    parts = _parts(text)
    try:
        frequency = Frequency(parts.get("FREQ", ""))
    except ValueError:
        raise Invalid({"rule": "malformed"}) from None
    if parts.get("WKST", "MO") != "MO" or ("BYMONTHDAY" in parts and frequency is not Frequency.MONTHLY):
        raise Invalid({"rule": "unknown"})
    rule = Rule(
        frequency=frequency,
        interval=_number(parts.get("INTERVAL", "1"), MOST_INTERVAL),
        count=_number(parts["COUNT"], MOST_DATES) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
    )
    days = _weekdays(parts["BYDAY"]) if "BYDAY" in parts else []
    if frequency is Frequency.MONTHLY:
        rule = _monthly(rule, parts, days, first_day)
    elif "BYSETPOS" in parts or any(position for position, _ in days):
        raise Invalid({"rule": "unknown"})
    elif frequency is Frequency.WEEKLY:
        rule = replace(
            rule, weekdays=tuple(sorted({weekday for _, weekday in days} or {first_day.weekday()}))
        )
    elif days:
        raise Invalid({"rule": "unknown"})
    check(rule, first_day)
    return rule


def written(rule: Rule) -> str:
    """Write a rule as RFC 5545 does; `parse` reads it back as the same."""
    parts = [f"FREQ={rule.frequency.value}"]
    if rule.interval != 1:
        parts.append(f"INTERVAL={rule.interval}")
    if rule.weekdays:
        before = "" if rule.position is None else str(rule.position)
        parts.append("BYDAY=" + ",".join(before + WEEKDAYS[weekday] for weekday in rule.weekdays))
    if rule.month_day is not None:
        parts.append(f"BYMONTHDAY={rule.month_day}")
    if rule.count is not None:
        parts.append(f"COUNT={rule.count}")
    if rule.until is not None:
        parts.append(f"UNTIL={rule.until:%Y%m%d}")
    return ";".join(parts)


def check(rule: Rule, first_day: date) -> None:
    """Refuse a rule without an end, or one that goes on for too long.

    :raises Invalid: if it does
    """
    if not 2000 <= first_day.year < 2097:
        raise Invalid({"first_day": "out_of_range"})
    if (rule.count is None) == (rule.until is None):
        raise Invalid({"rule": "malformed" if rule.count is not None else "endless"})
    if rule.count is not None and not 1 <= rule.count <= MOST_DATES:
        raise Invalid({"rule": "too_large" if rule.count > 0 else "too_small"})
    if rule.until is not None and rule.until < first_day:
        raise Invalid({"rule": "inverted"})
    if rule.until is not None and rule.until - first_day > LONGEST_SERIES:
        raise Invalid({"rule": "too_large"})
    if not 1 <= rule.interval <= MOST_INTERVAL:
        raise Invalid({"rule": "out_of_range"})


def _parts(text: str) -> dict[str, str]:
    raw = text.strip().upper().removeprefix("RRULE:")
    found: dict[str, str] = {}
    for part in raw.split(";") if 0 < len(raw) <= 300 else [""]:
        match = _PART.fullmatch(part)
        if match is None or match[1] in found:
            raise Invalid({"rule": "malformed"})
        found[match[1]] = match[2]
    if found.keys() - _KNOWN:
        raise Invalid({"rule": "unknown"})
    return found


def _number(raw: str, most: int) -> int:
    if not _NUMBER.fullmatch(raw) or int(raw) < 1:
        raise Invalid({"rule": "malformed"})
    if int(raw) > most:
        raise Invalid({"rule": "too_large"})
    return int(raw)


def _until(raw: str) -> date:
    found = _UNTIL.fullmatch(raw)
    try:
        return date(*map(int, found.groups()[:3])) if found else date.fromisoformat("")
    except ValueError:
        raise Invalid({"rule": "malformed"}) from None


def _weekdays(raw: str) -> list[tuple[int, int]]:
    found = []
    for part in raw.split(","):
        match = _WEEKDAY.fullmatch(part)
        if match is None or (match[1] is not None and int(match[1]) not in (LAST, 1, 2, 3, 4)):
            raise Invalid({"rule": "malformed"})
        found.append((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return found


def _monthly(rule: Rule, parts: dict[str, str], days: list[tuple[int, int]], first_day: date) -> Rule:
    if days:
        if len(days) > 1 or "BYMONTHDAY" in parts:
            raise Invalid({"rule": "unknown"})
        position, weekday = days[0]
        set_position = _position(parts["BYSETPOS"]) if "BYSETPOS" in parts else 0
        if bool(position) == bool(set_position):
            raise Invalid({"rule": "malformed"})
        return replace(rule, weekdays=(weekday,), position=position or set_position)
    if "BYSETPOS" in parts:
        raise Invalid({"rule": "malformed"})
    raw = parts.get("BYMONTHDAY", str(first_day.day))
    number = LAST if raw == "-1" else _number(raw.removeprefix("+"), 31)
    return replace(rule, month_day=number)


def _position(raw: str) -> int:
    if raw.removeprefix("+") not in {"-1", "1", "2", "3", "4"}:
        raise Invalid({"rule": "malformed"})
    return int(raw)


# --- dates ----------------------------------------------------------------------------------------


def days(rule: Rule, first_day: date) -> list[date]:
    """Give the rule's days from the first day on; a month without the day has none.

    :raises Invalid: if there are none at all, or more than a series may have
    """
    check(rule, first_day)
    end = first_day + LONGEST_SERIES
    last = min(rule.until, end) if rule.until is not None else end
    most = rule.count if rule.count is not None else MOST_DATES + 1
    found: list[date] = []
    for day in _candidates(rule, first_day, last):
        if first_day <= day <= last:
            found.append(day)
        if len(found) >= most:
            break
    if not found:
        raise Invalid({"rule": "no_dates"})
    # A count that three years cannot hold is not silently cut short.
    if len(found) > MOST_DATES or (rule.count is not None and len(found) < rule.count):
        raise Invalid({"rule": "too_large"})
    return found


def _candidates(rule: Rule, first_day: date, last: date) -> list[date]:
    """Give every day that the rule may mean; each step of these walks gives one, so that none goes on for ever."""
    until = datetime.combine(last, time())
    if rule.frequency is Frequency.MONTHLY:
        start = datetime.combine(first_day.replace(day=1), time())
        months = rrule(MONTHLY, dtstart=start, interval=rule.interval, until=until)
        return [day for month in months if (day := _in_month(rule, month.year, month.month)) is not None]
    start = datetime.combine(first_day, time())
    if rule.frequency is Frequency.WEEKLY:
        walk = rrule(WEEKLY, dtstart=start, interval=rule.interval, byweekday=rule.weekdays, until=until)
    else:
        walk = rrule(DAILY, dtstart=start, interval=rule.interval, until=until)
    return [at.date() for at in walk]


def _in_month(rule: Rule, year: int, month: int) -> date | None:
    length = calendar.monthrange(year, month)[1]
    if rule.month_day is not None:
        number = length if rule.month_day == LAST else rule.month_day
        return date(year, month, number) if number <= length else None
    weekday = rule.weekdays[0]
    such = [day for day in range(1, length + 1) if date(year, month, day).weekday() == weekday]
    position = rule.position or 1
    return date(year, month, such[position if position == LAST else position - 1])


def occurrences(pattern: Pattern, tz: ZoneInfo) -> list[Occurrence]:
    """Give every date of the pattern with its span, those that are left out too.

    :raises Invalid: if the pattern makes no sense
    """
    if not 0 <= pattern.start_minute < DAY_MINUTES:
        raise Invalid({"start": "out_of_range"})
    if not 1 <= pattern.minutes <= LONGEST.total_seconds() // 60:
        raise Invalid({"length": "out_of_range"})
    found = days(pattern.rule, pattern.first_day)
    if pattern.excluded - set(found):
        raise Invalid({"excluded": "unknown"})
    return [occurrence(day, pattern.start_minute, pattern.minutes, tz) for day in found]


def occurrence(day: date, start_minute: int, minutes: int, tz: ZoneInfo) -> Occurrence:
    """Give the use that begins on a day at a time of the wall clock.

    A time that the clock skips is as much later as it skips; of a time that comes twice the first is meant. The
    length is that of the use, whatever the clock does meanwhile.
    """
    start = instant(day, start_minute, tz)
    span = Span(start, start + timedelta(minutes=minutes))
    return Occurrence(day, span, _clock(day, start_minute, span, tz))


def _clock(day: date, start_minute: int, span: Span, tz: ZoneInfo) -> Clock:
    asked = datetime.combine(day, time(start_minute // 60, start_minute % 60))
    local = span.start.astimezone(tz)
    if local.replace(tzinfo=None) != asked:
        return Clock.MISSING
    if local.replace(fold=1).astimezone(UTC) != span.start:
        return Clock.TWICE
    if local.utcoffset() != span.end.astimezone(tz).utcoffset():
        return Clock.SHIFTED
    return Clock.PLAIN


# --- splitting ------------------------------------------------------------------------------------


def split(rule: Rule, first_day: date, at: date) -> tuple[Rule, Rule]:
    """Give a rule that ends before a day of it, and one that goes on from that day; together they are the whole.

    :raises Invalid: if the day is not one of the rule's, or its first
    """
    found = days(rule, first_day)
    if at not in found[1:]:
        raise Invalid({"day": "unknown"})
    before = found[: found.index(at)]
    if rule.count is None:
        return replace(rule, until=before[-1]), rule
    rest = replace(rule, count=rule.count - len(before))
    return replace(rule, count=len(before)), rest
