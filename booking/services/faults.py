"""Faults: what people report of an instrument, told to its facility."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, joinedload

from booking.domain.access import Actor, Forbidden, Subject, require
from booking.domain.rules import Invalid
from booking.services import events, instruments
from models import Closure, ClosureKind, Fault, FaultState, Instrument

LONGEST_TEXT = 4000
MOST_OPEN = 5
"""Nobody has more reports of one instrument waiting."""

WAITING = (FaultState.OPEN, FaultState.CONFIRMED)
"""What is not over yet."""


def report(
    session: Session,
    *,
    actor: Actor,
    code: str,
    text: str,
    stops_work: bool = False,
    booking_id: UUID | None = None,
    now: datetime,
) -> Fault:
    """Tell the facility that something is wrong with an instrument.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: if nothing is said, or the actor's earlier reports of it all wait still
    """
    require(actor, "fault.report")
    if actor.person_id is None:
        raise Forbidden("fault.report", sign_in=True)
    instrument = instruments.by_code(session, actor=actor, code=code)
    if not text.strip():
        raise Invalid({"text": "required"})
    if len(text) > LONGEST_TEXT:
        raise Invalid({"text": "too_long_text"})
    waiting = select(func.count()).where(
        Fault.instrument_id == instrument.id,
        Fault.person_id == actor.person_id,
        Fault.state == FaultState.OPEN,
    )
    if (session.scalar(waiting) or 0) >= MOST_OPEN:
        raise Invalid({"text": "too_many"})
    return add(
        session,
        actor=actor,
        person_id=actor.person_id,
        instrument=instrument,
        text=text,
        stops_work=stops_work,
        booking_id=booking_id,
        now=now,
    )


def add(
    session: Session,
    *,
    actor: Actor,
    person_id: UUID,
    instrument: Instrument,
    text: str,
    stops_work: bool = False,
    booking_id: UUID | None = None,
    now: datetime,
) -> Fault:
    """Write a report down; for callers who have asked whether they may."""
    fault = Fault(
        instrument_id=instrument.id,
        booking_id=booking_id,
        person_id=person_id,
        text=text,
        stops_work=stops_work,
        state=FaultState.OPEN,
        reported_at=now,
    )
    session.add(fault)
    session.flush()
    note(session, actor, fault, instrument, "fault.reported", now, comment=text[:500])
    return fault


def of_use(
    session: Session,
    *,
    actor: Actor,
    person_id: UUID,
    booking_id: UUID,
    used: Sequence[Instrument],
    code: str,
    text: str,
    now: datetime,
) -> None:
    """Report what feedback says of a use, unless its person has reported it before.

    `code` names the faulty one of the instruments; it may be empty where there is one, or the report is known.

    :raises Invalid: for `instrument_id`, if it names none of them
    """
    of_this_use = select(Fault.instrument_id).where(
        Fault.booking_id == booking_id, Fault.person_id == person_id, Fault.state.in_(WAITING)
    )
    known = set(session.scalars(of_this_use))
    if not code and len(used) > 1:
        if not known:
            raise Invalid({"instrument_id": "required"})
        return
    instrument = next((one for one in used if code in {"", one.code}), None)
    if instrument is None:
        raise Invalid({"instrument_id": "unknown"})
    if instrument.id not in known:
        add(
            session,
            actor=actor,
            person_id=person_id,
            instrument=instrument,
            text=text,
            booking_id=booking_id,
            now=now,
        )


def told_of(session: Session, *, booking_id: UUID, person_id: UUID) -> str:
    """Give the code of the instrument that a person's feedback called faulty, if the report is not over."""
    query = (
        select(Instrument.code)
        .join(Fault, Fault.instrument_id == Instrument.id)
        .where(Fault.booking_id == booking_id, Fault.person_id == person_id, Fault.state.in_(WAITING))
        .order_by(Fault.reported_at.desc())
        .limit(1)
    )
    return session.scalar(query) or ""


def note(
    session: Session,
    actor: Actor,
    fault: Fault,
    instrument: Instrument,
    kind: str,
    now: datetime,
    comment: str = "",
) -> None:
    """Record what happened to a report."""
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=instrument.facility_id,
        subject=str(fault.id),
        person_id=str(fault.person_id),
        instrument=instrument.code,
        comment=comment,
        stops_work=fault.stops_work,
    )
    session.flush()


def listing(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_id: int | None = None,
    states: Iterable[FaultState] = (),
    limit: int = 200,
) -> list[Fault]:
    """Give the reports of a facility or of one instrument: those that stop work first, then the newest.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "fault.see", Subject(facility_id=facility_id))
    query = (
        select(Fault)
        .join(Instrument, Instrument.id == Fault.instrument_id)
        .where(Instrument.facility_id == facility_id)
        .options(joinedload(Fault.instrument).joinedload(Instrument.facility), joinedload(Fault.person))
    )
    wanted = list(states)
    if wanted:
        query = query.where(Fault.state.in_(wanted))
    if instrument_id is not None:
        query = query.where(Fault.instrument_id == instrument_id)
    return list(session.scalars(query.order_by(Fault.reported_at.desc()).limit(limit)))


def own(session: Session, *, actor: Actor, limit: int = 50) -> list[Fault]:
    """Give what the actor has reported, the newest first."""
    require(actor, "fault.report")
    query = (
        select(Fault)
        .where(Fault.person_id == actor.person_id)
        .options(joinedload(Fault.instrument).joinedload(Instrument.facility), joinedload(Fault.person))
    )
    return list(session.scalars(query.order_by(Fault.reported_at.desc()).limit(limit)))


def down(session: Session, *, instruments: Sequence[Instrument], now: datetime) -> dict[int, datetime]:
    """Give until when those instruments are out of order that are; one statement."""
    if not instruments:
        return {}
    rows = session.execute(
        select(Closure.instrument_id, Closure.facility_id, Closure.ends_at).where(
            Closure.kind == ClosureKind.BREAKDOWN,
            Closure.lifted_at.is_(None),
            Closure.starts_at <= now,
            Closure.ends_at > now,
            Closure.facility_id.in_({row.facility_id for row in instruments}),
            or_(Closure.instrument_id.is_(None), Closure.instrument_id.in_({row.id for row in instruments})),
        )
    ).all()
    found: dict[int, datetime] = {}
    for place, facility, until in rows:
        for row in instruments:
            if place == row.id or (place is None and facility == row.facility_id):
                found[row.id] = max(until, found.get(row.id, until))
    return found
