"""Facilities: their pages, who manages them, and when they are open."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.hours import DAY_MINUTES, WeeklyHours
from booking.domain.inventory import MOST_HOURS
from booking.domain.rules import Invalid
from booking.services import events, occupation
from models import Facility, Instrument, OpeningRule


def by_code(session: Session, *, code: str) -> Facility:
    """Give a facility with its organisation and networks.

    :raises NotFound: if there is none of this code
    """
    facility = session.scalars(
        select(Facility)
        .where(Facility.code == code)
        .options(joinedload(Facility.organisation), selectinload(Facility.networks))
    ).one_or_none()
    if facility is None:
        raise NotFound("facility", code)
    return facility


def by_id(session: Session, *, facility_id: int) -> Facility:
    """Give a facility that there is."""
    return session.get_one(Facility, facility_id)


def listing(session: Session) -> list[Facility]:
    """Give all facilities by code, with their organisations and networks."""
    query = (
        select(Facility)
        .options(joinedload(Facility.organisation), selectinload(Facility.networks))
        .order_by(Facility.code)
    )
    return list(session.scalars(query))


def managed(session: Session, *, actor: Actor) -> list[Facility]:
    """Give the facilities at whose desk the actor works, as operator or manager; an administrator's: all."""
    query = select(Facility).options(joinedload(Facility.organisation), selectinload(Facility.networks))
    if not actor.administrator:
        query = query.where(Facility.id.in_(actor.operates | actor.manages))
    return list(session.scalars(query.order_by(Facility.code)))


def hours(session: Session, *, facility_id: int) -> list[WeeklyHours]:
    """Give the weekly hours of a facility, Monday's first."""
    return _read(session, OpeningRule.facility_id == facility_id)


def own_hours(session: Session, *, instrument_id: int) -> list[WeeklyHours]:
    """Give the weekly hours that an instrument has instead of its facility's; none when it keeps those."""
    return _read(session, OpeningRule.instrument_id == instrument_id)


def _read(session: Session, owner: object) -> list[WeeklyHours]:
    query = select(OpeningRule).where(owner)  # type: ignore[arg-type]
    rows = session.scalars(query.order_by(OpeningRule.weekday, OpeningRule.opens, OpeningRule.id))
    return [WeeklyHours(row.weekday, row.opens, row.closes, row.valid_from, row.valid_to) for row in rows]


def set_hours(
    session: Session, *, actor: Actor, code: str, hours: Sequence[WeeklyHours], now: datetime
) -> None:
    """Replace the weekly hours of a facility. What is booked outside the new hours stays booked.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor does not manage it
    :raises Invalid: if hours are not of a day, or inverted
    """
    facility = by_code(session, code=code)
    require(actor, "instrument.edit", Subject(facility_id=facility.id))
    check_hours(hours)
    before = _read(session, OpeningRule.facility_id == facility.id)
    if before == _sorted(hours):
        return
    # Every calendar that follows these hours has changed.
    follow = select(Instrument.id).where(
        Instrument.facility_id == facility.id,
        ~select(OpeningRule.id).where(OpeningRule.instrument_id == Instrument.id).exists(),
    )
    occupation.lock(session, session.scalars(follow))
    session.execute(delete(OpeningRule).where(OpeningRule.facility_id == facility.id))
    session.add_all(rows_of(hours, facility_id=facility.id))
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="facility.changed",
        now=now,
        facility_id=facility.id,
        subject=facility.code,
        hours=[in_words(before), in_words(hours)],
    )


def replace_own_hours(session: Session, *, instrument_id: int, hours: Sequence[WeeklyHours]) -> None:
    """Write the hours that an instrument has instead of its facility's; none gives it the facility's again.

    The caller has asked for the right, locked the instrument and records the event.

    :raises Invalid: if hours are not of a day, or inverted
    """
    check_hours(hours)
    session.execute(delete(OpeningRule).where(OpeningRule.instrument_id == instrument_id))
    session.add_all(rows_of(hours, instrument_id=instrument_id))
    session.flush()


def check_hours(hours: Sequence[WeeklyHours]) -> None:
    """Refuse hours that no week has.

    :raises Invalid: if a rule is not within one day, ends before it starts, or there are too many
    """
    if len(hours) > MOST_HOURS:
        raise Invalid({"hours": "too_large"})
    for rule in hours:
        if rule.weekday not in range(7) or not 0 <= rule.opens <= DAY_MINUTES or rule.closes > DAY_MINUTES:
            raise Invalid({"hours": "out_of_range"})
        if rule.opens >= rule.closes:
            raise Invalid({"hours": "inverted"})
        if rule.valid_from is not None and rule.valid_to is not None and rule.valid_from >= rule.valid_to:
            raise Invalid({"hours": "inverted"})


def in_words(hours: Sequence[WeeklyHours]) -> list[str]:
    """Write hours as an event keeps them: `0 08:30-17:30`, with the dates where they have any."""
    return [
        f"{rule.weekday} {_clock(rule.opens)}-{_clock(rule.closes)}"
        + (f" {rule.valid_from or ''}/{rule.valid_to or ''}" if rule.valid_from or rule.valid_to else "")
        for rule in _sorted(hours)
    ]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _sorted(hours: Sequence[WeeklyHours]) -> list[WeeklyHours]:
    return sorted(hours, key=lambda rule: (rule.weekday, rule.opens, rule.closes))


def rows_of(hours: Sequence[WeeklyHours], **owner: int) -> list[OpeningRule]:
    """Make the rows of weekly hours; `owner` is the facility_id or the instrument_id."""
    return [
        OpeningRule(
            weekday=rule.weekday,
            opens=rule.opens,
            closes=rule.closes,
            valid_from=rule.valid_from,
            valid_to=rule.valid_to,
            **owner,
        )
        for rule in hours
    ]
