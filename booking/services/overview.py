"""What the staff of a facility should look at: what is down, whom closures meet, what runs out, who did not come."""

import enum
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from booking.domain.access import Actor, Subject, require
from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.qualifications import Step
from booking.domain.spans import Span
from booking.services import bookings, closures, facilities, faults, waitlist
from models import (
    Booking,
    BookingItem,
    Certificate,
    Closure,
    ClosureKind,
    Fault,
    Instrument,
    InstrumentPermit,
    Person,
    Qualification,
    WaitlistEntry,
    WaitlistInstrument,
)

ACTION = "facility.desk"
MISSED_DAYS = 30
EXPIRES_DAYS = 60
MOST = 50
"""No list of a desk is longer."""


class Why(enum.StrEnum):
    """Why an instrument is not to be had."""

    CLOSED = "closed"
    MAINTENANCE = "maintenance"
    BREAKDOWN = "breakdown"
    FAULT = "fault"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Down:
    """An instrument (None: the whole facility) that is not to be had now, since when, and until when if known."""

    instrument: Instrument | None
    why: Why
    since: datetime
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Expiring:
    """Something whose last day comes: a permit of an instrument, or somebody's certificate."""

    day: date
    name_zh: str
    name_en: str
    instrument: Instrument | None = None
    person: str = ""
    code: str = ""


def down(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> list[Down]:
    """Give what is down at a facility, longest first: closed now, reported as stopping work, or not to be booked.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    kinds = {
        ClosureKind.CLOSURE: Why.CLOSED,
        ClosureKind.MAINTENANCE: Why.MAINTENANCE,
        ClosureKind.BREAKDOWN: Why.BREAKDOWN,
    }
    closed = session.execute(
        select(Closure, Instrument)
        .outerjoin(Instrument, Instrument.id == Closure.instrument_id)
        .where(
            Closure.facility_id == facility_id,
            Closure.lifted_at.is_(None),
            Closure.starts_at <= now,
            Closure.ends_at > now,
        )
        .limit(MOST)
    ).all()
    found = [
        Down(instrument, kinds[closure.kind], closure.starts_at, closure.ends_at, closure.reason)
        for closure, instrument in closed
    ]
    known = {one.instrument.id for one in found if one.instrument}
    broken = session.execute(
        select(Fault, Instrument)
        .join(Instrument, Instrument.id == Fault.instrument_id)
        .where(Instrument.facility_id == facility_id, Fault.stops_work, Fault.state.in_(faults.WAITING))
        .order_by(Fault.reported_at)
        .limit(MOST)
    )
    for fault, instrument in broken:
        if instrument.id not in known:
            known.add(instrument.id)
            found.append(Down(instrument, Why.FAULT, fault.reported_at, text=fault.text))
    withdrawn = select(Instrument).where(
        Instrument.facility_id == facility_id, Instrument.published, ~Instrument.bookable
    )
    found += [
        Down(instrument, Why.WITHDRAWN, instrument.updated_at)
        for instrument in session.scalars(withdrawn.limit(MOST))
        if instrument.id not in known
    ]
    return sorted(found, key=lambda one: one.since)


def met(
    session: Session, *, actor: Actor, facility_id: int, closure_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Count the bookings, of those that still mean to come, that stand in the time of each closure; one statement.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    query = (
        select(Closure.id, func.count(Booking.id.distinct()))
        .join(
            Instrument,
            and_(
                Instrument.facility_id == Closure.facility_id,
                or_(Closure.instrument_id.is_(None), Closure.instrument_id == Instrument.id),
            ),
        )
        .join(
            BookingItem,
            and_(
                BookingItem.instrument_id == Instrument.id,
                BookingItem.starts_at < Closure.ends_at,
                BookingItem.ends_at > Closure.starts_at,
            ),
        )
        .join(Booking, and_(Booking.id == BookingItem.booking_id, Booking.state.in_(closures.AHEAD)))
        .where(Closure.id.in_(closure_ids), Closure.facility_id == facility_id)
        .group_by(Closure.id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def missed(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> tuple[list[Booking], int]:
    """Give the last bookings to which nobody came within a month, the latest first, and how many there were.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    there = (
        select(BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Instrument.facility_id == facility_id,
            BookingItem.starts_at > now - timedelta(days=MISSED_DAYS),
            BookingItem.starts_at <= now,
        )
    )
    chosen = Booking.state == State.NO_SHOW, Booking.id.in_(there)
    total = session.scalar(select(func.count()).select_from(Booking).where(*chosen)) or 0
    ids = session.scalars(
        select(Booking.id).where(*chosen).order_by(Booking.starts_at.desc(), Booking.id).limit(5)
    ).all()
    return list(reversed(bookings.by_ids(session, ids=ids))), total


def expiring(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> list[Expiring]:
    """Give the permits and certificates whose last day comes within two months and that nobody renewed, the next first.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    here = facilities.by_id(session, facility_id=facility_id)
    today = now.astimezone(zone(here.zone)).date()
    last = today + timedelta(days=EXPIRES_DAYS)
    other, later = aliased(InstrumentPermit), aliased(Certificate)
    permits = session.execute(
        select(InstrumentPermit, Instrument)
        .join(Instrument, Instrument.id == InstrumentPermit.instrument_id)
        .where(
            Instrument.facility_id == facility_id,
            InstrumentPermit.valid_until.between(today, last),
            ~exists().where(
                other.instrument_id == InstrumentPermit.instrument_id,
                other.name == InstrumentPermit.name,
                other.valid_until > InstrumentPermit.valid_until,
            ),
        )
        .order_by(InstrumentPermit.valid_until)
        .limit(MOST)
    )
    found = [
        Expiring(permit.valid_until, permit.name, permit.name, instrument=instrument)
        for permit, instrument in permits
    ]
    certificates = session.execute(
        select(Certificate.expires_on, Qualification, Person.name)
        .join(Qualification, Qualification.id == Certificate.qualification_id)
        .join(Person, Person.id == Certificate.person_id)
        .where(
            Qualification.facility_id == facility_id,
            Qualification.retired_at.is_(None),
            Certificate.state == Step.GRANTED,
            Certificate.expires_on > today,
            Certificate.expires_on <= last,
            ~exists().where(
                later.person_id == Certificate.person_id,
                later.qualification_id == Certificate.qualification_id,
                later.state == Step.GRANTED,
                or_(later.expires_on.is_(None), later.expires_on > Certificate.expires_on),
            ),
        )
        .order_by(Certificate.expires_on)
        .limit(MOST)
    )
    # A certificate counts until its day, that day excluded: its last day is the one before.
    found += [
        Expiring(until - timedelta(days=1), row.name_zh, row.name_en, person=name, code=row.code)
        for until, row, name in certificates
        if until is not None
    ]
    return sorted(found, key=lambda one: one.day)


def in_line(session: Session, *, actor: Actor, facility_id: int) -> int:
    """Count who waits for any instrument of a facility.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    there = (
        select(WaitlistInstrument.entry_id)
        .join(Instrument, Instrument.id == WaitlistInstrument.instrument_id)
        .where(Instrument.facility_id == facility_id)
    )
    query = select(func.count()).select_from(WaitlistEntry)
    query = query.where(WaitlistEntry.state.in_(waitlist.OPEN), WaitlistEntry.id.in_(there))
    return session.scalar(query) or 0


def unsettled_faults(session: Session, *, actor: Actor, facility_id: int) -> int:
    """Count the fault reports of a facility that are not over.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    query = (
        select(func.count())
        .select_from(Fault)
        .join(Instrument, Instrument.id == Fault.instrument_id)
        .where(Instrument.facility_id == facility_id, Fault.state.in_(faults.WAITING))
    )
    return session.scalar(query) or 0


def ahead(now: datetime, days: int = 28) -> Span:
    """Give the coming days at whose closures a desk looks."""
    return Span(now, now + timedelta(days=days))
