"""The table of working days: the administrator's own days over those that were published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import Actor, require
from booking.domain.hours import local_days, zone
from booking.domain.lifecycle import State
from booking.domain.policy import RuleKind
from booking.domain.spans import Span
from booking.domain.working_days import (
    COUNTRY,
    Announced,
    DayKind,
    WorkingDays,
    published_days,
    published_kind,
    published_name,
)
from booking.services import events, occupation
from models import Booking, BookingItem, CalendarDay, Instrument, NetworkFacility, Rule


def known(session: Session, first: date, last: date, *, country: str = COUNTRY) -> WorkingDays:
    """Give what sort the days from the first to the last are, both included; one statement.

    A count that may leave the stretch should be given a wide one: its days are cheap.
    """
    query = select(CalendarDay.day, CalendarDay.kind).where(
        CalendarDay.country == country,
        CalendarDay.day >= date(first.year, 1, 1),
        CalendarDay.day <= date(last.year, 12, 31),
    )
    own = {row.day: row.kind for row in session.execute(query)}
    return WorkingDays(own, frozenset(day.year for day in own))


def around(session: Session, day: date, *, country: str = COUNTRY) -> WorkingDays:
    """Give what sort the days of the year before and the year after a day are, for counts of working days."""
    return known(session, day - timedelta(days=366), day + timedelta(days=366), country=country)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an announcement does: how many days turn, and the bookings ahead that stand on those."""

    turned: int
    standing: Sequence[Booking]


def check(
    session: Session, *, actor: Actor, days: Sequence[Announced], now: datetime, country: str = COUNTRY
) -> Outcome:
    """Tell what it would do to write days into the table; nothing is written.

    :raises Forbidden: unless the actor administers
    """
    require(actor, "working_day.edit")
    turned = _turned(session, days, country)
    return Outcome(len(turned), _standing_on(session, turned, now))


def announce(
    session: Session,
    *,
    actor: Actor,
    days: Sequence[Announced],
    source: str,
    now: datetime,
    country: str = COUNTRY,
) -> Outcome:
    """Write days into the table.

    What was decided about a booking stays; whoever keeps the table looks at those that are listed.

    :raises Forbidden: unless the actor administers
    """
    outcome = check(session, actor=actor, days=days, now=now, country=country)
    wanted = {one.day: one for one in days}
    rows = {
        row.day: row
        for row in session.scalars(
            select(CalendarDay).where(CalendarDay.country == country, CalendarDay.day.in_(wanted))
        )
    }
    for day, one in wanted.items():
        row = rows.get(day)
        if one.kind is None:
            if row is not None:
                session.delete(row)
        elif row is None:
            row = CalendarDay(country=country, day=day, kind=one.kind, name=one.name, source=source)
            session.add(row)
        else:
            row.kind, row.name, row.source = one.kind, one.name, source
    session.flush()
    if outcome.turned:
        occupation.advance(session, _judged_by_days())
    events.record(
        session,
        actor=actor,
        kind="working_days.announced",
        now=now,
        subject=country,
        days=len(wanted),
        turned=outcome.turned,
    )
    return outcome


def _turned(session: Session, days: Sequence[Announced], country: str) -> list[date]:
    """Give the days that become of another sort."""
    wanted = {one.day: one.kind for one in days}
    before = known(session, min(wanted), max(wanted), country=country)
    kept = {day: kind for day, kind in before.own.items() if day not in wanted}
    after = WorkingDays({**kept, **{day: kind for day, kind in wanted.items() if kind is not None}})
    return [day for day in wanted if after.kind(day) is not before.kind(day)]


def listed(session: Session, year: int, *, country: str = COUNTRY) -> list[CalendarDay]:
    """Give the days of a year that differ from their weekday or are holidays, the table's own over the published."""
    own = {
        row.day: row
        for row in session.scalars(
            select(CalendarDay).where(
                CalendarDay.country == country,
                CalendarDay.day >= date(year, 1, 1),
                CalendarDay.day <= date(year, 12, 31),
            )
        )
    }
    for day in published_days(year):
        if day not in own:
            kind = published_kind(day) or DayKind.HOLIDAY
            zh, _en = published_name(day)
            own[day] = CalendarDay(country=country, day=day, kind=kind, name=zh, source="")
    return [own[day] for day in sorted(own)]


def _judged_by_days() -> ColumnElement[bool]:
    """Say for which instruments the sort of a day decides what may be booked."""

    def places(column: Any) -> Any:
        return select(column).where(Rule.kind == RuleKind.SETTING, Rule.day_kind.is_not(None))

    networks = places(Rule.network_id).where(Rule.network_id.is_not(None))
    members = select(NetworkFacility.facility_id).where(NetworkFacility.network_id.in_(networks))
    above = exists(places(Rule.id).where(Instrument.category_code.startswith(Rule.category_code)))
    return or_(
        Instrument.id.in_(places(Rule.instrument_id)),
        Instrument.facility_id.in_(places(Rule.facility_id)),
        Instrument.facility_id.in_(members),
        above,
    )


def _standing_on(session: Session, days: Sequence[date], now: datetime) -> list[Booking]:
    """Give the bookings ahead whose use touches one of the days where the facility stands."""
    if not days:
        return []
    wide = timedelta(days=1)
    first = datetime.combine(min(days), time(), tzinfo=UTC) - wide
    last = datetime.combine(max(days), time(), tzinfo=UTC) + 2 * wide
    query = (
        select(Booking)
        .where(
            Booking.state.in_((State.REQUESTED, State.CONFIRMED)),
            Booking.ends_at > max(first, now),
            Booking.starts_at < last,
        )
        .options(
            joinedload(Booking.person),
            selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility),
        )
        .order_by(Booking.starts_at)
    )
    touched = set(days)
    return [booking for booking in session.scalars(query) if days_of(booking) & touched]


def days_of(booking: Booking) -> set[date]:
    """Give the local days that a booking touches."""
    found: set[date] = set()
    for item in booking.items:
        within = Span(item.starts_at, item.ends_at - timedelta(microseconds=1))
        found.update(local_days(within, zone(item.instrument.facility.zone)))
    return found
