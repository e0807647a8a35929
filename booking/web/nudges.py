"""What the buttons beside a time do to it: another length, another day, the next that is free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from booking import i18n
from booking.db import Session
from booking.domain import hours
from booking.domain.availability import on_step
from booking.domain.rules import Policy
from booking.domain.spans import Span
from booking.http.identity import actor
from booking.i18n import gettext as _
from booking.services import availability, policies
from booking.web.forms import MOST_UNITS, Intake, days_from, typed_span
from models import Instrument

LENGTHS = (30, 60, 120, 240)
"""Minutes of the usual lengths; the last is half a day."""

HALF_A_DAY = LENGTHS[-1]
AHEAD = timedelta(days=60)
"""So far ahead the next free time is looked for."""


@dataclass(frozen=True)
class Length:
    """A usual length: what its button sends, what it says, and whether it is the present one."""

    value: str
    words: str
    chosen: bool


def lengths(policy: Policy, span: Span | None) -> list[Length]:
    """Give the usual lengths that the rules allow, and the whole day where they allow so much."""
    now = int(span.minutes) if span else 0
    found = [
        Length(f"length {minutes}", _words(minutes), minutes == now)
        for minutes in LENGTHS
        if policy.shortest <= minutes <= (policy.longest or minutes) and minutes % policy.step == 0
    ]
    if policy.longest is None or policy.longest > HALF_A_DAY:
        found.append(Length("length day", _("A day"), chosen=False))
    return found


def _words(minutes: int) -> str:
    return _("Half a day") if minutes == HALF_A_DAY else i18n.format_duration(minutes)


def nudged(
    session: Session, typed: Mapping[str, str], instrument: Instrument, now: datetime
) -> dict[str, str]:
    """Give the form with its time moved as the button says; what makes no sense leaves it as it is."""
    zone = hours.zone(instrument.facility.zone)
    intake = Intake(typed)
    span = intake.span(zone)
    what, _space, much = typed.get("nudge", "").partition(" ")
    if span is None or not what:
        return dict(typed)
    quantity = intake.whole("quantity", least=1, most=MOST_UNITS, default=1) or 1
    moved = {
        "length": lambda: _long(session, span, much, instrument, zone),
        "days": lambda: _days_on(span, much, zone),
        "on": lambda: _on(span, much, zone),
        "next": lambda: _next(session, span, instrument, quantity, now),
    }.get(what, lambda: None)()
    return {**typed, "more": "", **typed_span(moved, zone)} if moved else dict(typed)


def _long(session: Session, span: Span, much: str, instrument: Instrument, zone: ZoneInfo) -> Span | None:
    if much == "day":
        return _whole_day(session, span, instrument, zone)
    if not (much.isascii() and much.isdigit()) or int(much) not in LENGTHS:
        return None
    return Span(span.start, span.start + timedelta(minutes=int(much)))


def _whole_day(session: Session, span: Span, instrument: Instrument, zone: ZoneInfo) -> Span | None:
    """Give the open hours of the day of the start, as far as one use may reach."""
    day = days_from(span.start.astimezone(zone).date(), 1, zone)
    opened = availability.opening(session, instrument_ids=[instrument.id], within=day)[instrument.id]
    if not opened:
        return None
    policy = policies.in_force(session, instrument, person_id=actor().person_id, start=span.start)
    start = on_step(opened[0].start, policy.step, zone.key)
    most = timedelta(minutes=policy.longest) if policy.longest else day.duration
    steps = min(opened[-1].end - start, most) // timedelta(minutes=policy.step)
    end = start + steps * timedelta(minutes=policy.step)
    return Span(start, end) if start < end else None


def _days_on(span: Span, much: str, zone: ZoneInfo) -> Span | None:
    sign, digits = much[:1], much[1:]
    if sign not in {"+", "-"} or not (digits.isascii() and digits.isdigit()) or len(digits) > 2:
        return None
    return _shifted(span, timedelta(days=int(digits) * (1 if sign == "+" else -1)), zone)


def _on(span: Span, much: str, zone: ZoneInfo) -> Span | None:
    try:
        day = date.fromisoformat(much)
    except ValueError:
        return None
    return _shifted(span, day - span.start.astimezone(zone).date(), zone)


def _shifted(span: Span, by: timedelta, zone: ZoneInfo) -> Span | None:
    """Move a span by days on the wall clock, so that nine o'clock stays nine o'clock."""
    try:
        start, end = (_wall(at.astimezone(zone), by) for at in span)
    except OverflowError:
        return None
    return Span(start, end) if start < end and 2000 <= start.year < 2100 else None


def _wall(at: datetime, by: timedelta) -> datetime:
    day = at.date() + by
    return datetime.combine(day, time(at.hour, at.minute), tzinfo=at.tzinfo)


def _next(session: Session, span: Span, instrument: Instrument, quantity: int, now: datetime) -> Span | None:
    """Give the next time of this length that is free after the present one; after the last the first again."""
    for begin in (max(span.start + timedelta(minutes=1), now), now):
        found = availability.first_use(
            session,
            instrument=instrument,
            length=span.duration,
            within=Span(begin, max(begin, now) + AHEAD),
            quantity=quantity,
            person_id=actor().person_id,
            now=now,
        )
        if found is not None:
            return found
    return None


# --- the week of the time -------------------------------------------------------------------------


@dataclass(frozen=True)
class Glance:
    """One day of the week: how much of it is free; `level` from 0 (nothing) to 4 (nearly all of its hours)."""

    date: date
    value: str
    words: str
    level: int
    chosen: bool


def week(session: Session, instrument: Instrument, span: Span, now: datetime) -> list[Glance]:
    """Give the days of the week in which a span begins, each with the hours that are free in it."""
    zone = hours.zone(instrument.facility.zone)
    day = span.start.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    whole = days_from(monday, 7, zone)
    opened = availability.opening(session, instrument_ids=[instrument.id], within=whole)[instrument.id]
    free = availability.free(session, actor=actor(), code=instrument.code, within=whole, now=now)
    dates = [monday + timedelta(days=number) for number in range(7)]
    return [
        _glance(one, one == day, days_from(one, 1, zone), opened, [Span(f.start, f.end) for f in free], now)
        for one in dates
    ]


def _glance(
    day: date, chosen: bool, whole: Span, opened: Sequence[Span], free: Sequence[Span], now: datetime
) -> Glance:
    open_for, free_for = _within(opened, whole), _within(free, whole)
    if whole.end <= now:
        words = _("past")
    elif not open_for:
        words = _("closed")
    elif not free_for:
        words = _("full")
    else:
        words = _("%(hours)s h free", hours=i18n.format_number(round(free_for / 60, 1)))
    level = min(4, -(-4 * free_for // open_for)) if open_for else 0
    return Glance(day, f"on {day.isoformat()}", words, level, chosen)


def _within(spans: Sequence[Span], whole: Span) -> int:
    """Give the minutes of the spans that lie in the whole."""
    parts = (min(span.end, whole.end) - max(span.start, whole.start) for span in spans)
    return int(sum((part for part in parts if part > timedelta()), timedelta()) // timedelta(minutes=1))
