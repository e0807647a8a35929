"""Displacements: other hours, an instrument withdrawn, days off, permits that end; whom they displace, and replans.

A closure displaces whom it meets; these do so by what can no longer be had. What is shown beforehand is found by the
same functions as what is done. The end of somebody's own qualification is no outage of the facility: they hear of it,
and the facility sees it, but nothing is proposed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import inventory, permits
from booking.domain.access import Actor, Subject, require
from booking.domain.hours import WeeklyHours, from_day, instant, is_open, zone
from booking.domain.permits import Term
from booking.domain.replanning import Cause, ReplanState
from booking.domain.rules import Invalid
from booking.domain.sheets import Bad
from booking.domain.spans import Span, subtract
from booking.domain.working_days import COUNTRY, Announced, DayKind
from booking.services import (
    availability,
    bookings,
    facilities,
    instruments,
    repair_pools,
    replans,
    working_days,
)
from booking.services.working_days import Outcome
from models import Booking, Facility, Instrument, Part, Replan

AHEAD = timedelta(days=400)
"""So far ahead bookings are looked at."""


# --- opening hours of a facility ------------------------------------------------------------------


def by_facility_hours(
    session: Session,
    *,
    actor: Actor,
    code: str,
    hours: Sequence[WeeklyHours],
    since: date | None = None,
    now: datetime,
) -> list[Booking]:
    """Give the bookings ahead that other hours of a facility would leave outside, from a day on where one is named.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: if no week has such hours, or the day has passed
    """
    facility = facilities.by_code(session, code=code)
    require(actor, "instrument.edit", Subject(facility_id=facility.id))
    hours = _since(facilities.hours(session, facility_id=facility.id), hours, since, facility, now)
    facilities.check_hours(hours)
    rows = session.scalars(select(Instrument).where(Instrument.facility_id == facility.id)).all()
    follow = [row for row in rows if not facilities.own_hours(session, instrument_id=row.id)]
    return _outside(session, facility, follow, hours, now)


def set_facility_hours(
    session: Session,
    *,
    actor: Actor,
    code: str,
    hours: Sequence[WeeklyHours],
    since: date | None = None,
    now: datetime,
) -> tuple[list[Booking], Replan | None]:
    """Set the hours of a facility, and have other places looked for where they leave bookings outside.

    From a day on, where one is named: until then its hours are what they were.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: if no week has such hours, or the day has passed
    """
    met = by_facility_hours(session, actor=actor, code=code, hours=hours, since=since, now=now)
    facility = facilities.by_code(session, code=code)
    dated = _since(facilities.hours(session, facility_id=facility.id), hours, since, facility, now)
    facilities.set_hours(session, actor=actor, code=code, hours=dated, now=now)
    return met, _begin(session, actor, facility.id, Cause.HOURS, met, {}, now)


# --- one instrument -------------------------------------------------------------------------------


def by_instrument(
    session: Session,
    *,
    actor: Actor,
    code: str,
    bookable: bool,
    opening: str,
    since: date | None = None,
    now: datetime,
) -> list[Booking]:
    """Give the bookings ahead that are displaced when an instrument is withdrawn, or gets other hours of its own.

    `opening` is written as in a sheet; empty, it keeps its facility's hours.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if no week has such hours
    """
    row = instruments.by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=row.facility_id))
    facility = session.get_one(Facility, row.facility_id)
    own = _own_since(session, row, facility, hours_from(opening), since, now)
    if not bookable:
        return _ahead(session, [row], now) if row.bookable else []
    return _outside(session, facility, [row], own or facilities.hours(session, facility_id=facility.id), now)


def set_instrument(
    session: Session,
    *,
    actor: Actor,
    code: str,
    bookable: bool,
    opening: str,
    since: date | None = None,
    now: datetime,
) -> tuple[list[Booking], Replan | None]:
    """Withdraw an instrument, offer it again, or give it other hours, from a day on; other places are looked for.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if no week has such hours
    """
    met = by_instrument(
        session, actor=actor, code=code, bookable=bookable, opening=opening, since=since, now=now
    )
    found = instruments.by_code(session, actor=actor, code=code)
    facility = session.get_one(Facility, found.facility_id)
    own = _own_since(session, found, facility, hours_from(opening), since, now)
    changes = {"bookable": "yes" if bookable else "no", "opening": own}
    row = instruments.edit(session, actor=actor, code=code, changes=changes, now=now)
    cause = Cause.HOURS if bookable else Cause.WITHDRAWN
    down = {} if bookable else {row.id: [Span(now, now + AHEAD)]}
    return met, _begin(session, actor, row.facility_id, cause, met, down, now)


def _own_since(
    session: Session,
    row: Instrument,
    facility: Facility,
    week: tuple[WeeklyHours, ...],
    since: date | None,
    now: datetime,
) -> tuple[WeeklyHours, ...]:
    """Give the hours that an instrument will have of its own; until the day it may have been its facility's.

    :raises Invalid: if the day has passed, or its own hours would end on it and it cannot take its facility's again
    """
    if since is None:
        return week
    if not week:
        raise Invalid({"opening": "required"})
    own = facilities.own_hours(session, instrument_id=row.id)
    return _since(own or facilities.hours(session, facility_id=facility.id), week, since, facility, now)


def _since(
    before: Sequence[WeeklyHours],
    week: Sequence[WeeklyHours],
    since: date | None,
    facility: Facility,
    now: datetime,
) -> tuple[WeeklyHours, ...]:
    """Give the hours as they are until a day and as they will be from it on; without a day, from the beginning.

    :raises Invalid: if the day has passed
    """
    if since is None:
        return tuple(week)
    if since < now.astimezone(zone(facility.zone)).date():
        raise Invalid({"since": "past"})
    return from_day(before, week, since)


def hours_from(text: str) -> tuple[WeeklyHours, ...]:
    """Read hours as a sheet has them, `Mon-Fri 08:30-17:30`, several with semicolons or on lines of their own.

    :raises Invalid: if no week has such hours
    """
    try:
        found: tuple[WeeklyHours, ...] = inventory.check("opening", text)
    except Bad as bad:
        raise Invalid({"opening": bad.code}, **bad.params) from None
    return found


# --- working days ---------------------------------------------------------------------------------


def announce(
    session: Session,
    *,
    actor: Actor,
    days: Sequence[Announced],
    source: str,
    now: datetime,
    country: str = COUNTRY,
) -> tuple[Outcome, list[Replan]]:
    """Write days into the table, and note for each facility what stands on days off.

    Its manager decides whether other places are looked for, and anybody is asked: some work on days off.

    :raises Forbidden: unless the actor administers
    """
    outcome = working_days.announce(session, actor=actor, days=days, source=source, now=now, country=country)
    off = {one.day for one in days if one.kind in {DayKind.REST, DayKind.HOLIDAY}}
    found: dict[int, list[Booking]] = {}
    for booking in outcome.standing:
        if working_days.days_of(booking) & off:
            found.setdefault(booking.items[0].instrument.facility_id, []).append(booking)
    begun = []
    for place, met in sorted(found.items()):
        down = _days_off(session, place, off)
        movable = _movable(met, now)
        replan = _begin(session, actor, place, Cause.WORKING_DAYS, movable, down, now, look=False)
        begun += [replan] if replan is not None else []
    return outcome, begun


def _days_off(session: Session, facility_id: int, off: Iterable[date]) -> dict[int, list[Span]]:
    tz = zone(session.get_one(Facility, facility_id).zone)
    spans = [Span(instant(day, 0, tz), instant(day + timedelta(days=1), 0, tz)) for day in sorted(off)]
    places = session.scalars(select(Instrument.id).where(Instrument.facility_id == facility_id))
    return dict.fromkeys(places, spans)


# --- permits of an instrument ---------------------------------------------------------------------


def by_permits(session: Session, *, row: Instrument, terms: Sequence[Term], now: datetime) -> list[Booking]:
    """Give the bookings ahead on an instrument, or on a line that it is a station of, which lack a permit."""
    booked = {row.id, *session.scalars(select(Part.line_id).where(Part.station_id == row.id))}
    valid = _valid(session, row, terms, now)
    return [
        booking
        for booking in _ahead(session, [row], now)
        if any(
            not any(span.contains(Span(item.starts_at, item.ends_at)) for span in valid)
            for item in booking.items
            if item.instrument_id in booked
        )
    ]


def drop_for_permits(session: Session, *, actor: Actor, row: Instrument, now: datetime) -> None:
    """Drop what is looked for because of an instrument's permits, of which nobody has been asked yet.

    :raises Forbidden: if the actor does not manage its facility
    """
    query = (
        select(Replan)
        .where(
            Replan.facility_id == row.facility_id,
            Replan.cause == Cause.PERMIT,
            Replan.state == ReplanState.OPEN,
        )
        .order_by(Replan.id)
        .with_for_update()
    )
    for replan in session.scalars(query).all():
        if replans.place_of(replan) == row.id:
            replans.withdraw(session, actor=actor, replan_id=replan.id, places=[row.id], now=now)


def permits_changed(
    session: Session, *, actor: Actor, row: Instrument, terms: Sequence[Term], now: datetime
) -> tuple[list[Booking], Replan | None]:
    """Give the bookings ahead that lack a permit by now, and have other places looked for.

    :raises Forbidden: if the actor does not manage its facility
    """
    met = by_permits(session, row=row, terms=terms, now=now)
    down = {row.id: subtract([Span(now, now + AHEAD)], _valid(session, row, terms, now))}
    return met, _begin(session, actor, row.facility_id, Cause.PERMIT, met, down, now)


def _valid(session: Session, row: Instrument, terms: Sequence[Term], now: datetime) -> list[Span]:
    tz = zone(session.get_one(Facility, row.facility_id).zone)
    # The last use ahead may begin before the end of this and end after it.
    return permits.valid(terms, Span(now - AHEAD, now + 2 * AHEAD), tz)


# --- what they share ------------------------------------------------------------------------------


def _ahead(session: Session, rows: Sequence[Instrument], now: datetime) -> list[Booking]:
    met = bookings.displaced(session, instrument_ids=[row.id for row in rows], span=Span(now, now + AHEAD))
    return _movable(met, now)


def _movable(met: Iterable[Booking], now: datetime) -> list[Booking]:
    return [one for one in met if one.state in repair_pools.MOVABLE and one.starts_at > now]


def _outside(
    session: Session,
    facility: Facility,
    rows: Sequence[Instrument],
    hours: Sequence[WeeklyHours],
    now: datetime,
) -> list[Booking]:
    """Give the bookings ahead that stand in the hours of now and would not stand in others.

    What a manager has let stand outside the hours of now is none of them.
    """
    if not rows:
        return []
    tz, before = zone(facility.zone), availability.hours_of(session, rows)
    return [
        booking
        for booking in _ahead(session, rows, now)
        if any(
            is_open(before[item.instrument_id][1], span, tz) and not is_open(hours, span, tz)
            for item in booking.items
            if item.instrument_id in before
            for span in [Span(item.starts_at, item.ends_at)]
        )
    ]


def _begin(
    session: Session,
    actor: Actor,
    facility_id: int,
    cause: Cause,
    met: Sequence[Booking],
    down: Mapping[int, Sequence[Span]],
    now: datetime,
    *,
    look: bool = True,
) -> Replan | None:
    if not met:
        return None
    return replans.begin_for(
        session, actor=actor, facility_id=facility_id, cause=cause, met=met, down=down, look=look, now=now
    )
