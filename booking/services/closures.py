"""Closures: an instrument or a whole facility that is not to be had for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, events, occupation, replans
from models import Booking, BookingItem, Closure, ClosureKind, Instrument, Occupation

AHEAD = frozenset({State.REQUESTED, State.CONFIRMED})
"""Bookings that still mean to use their time."""

KINDS = {
    ClosureKind.MAINTENANCE: Kind.MAINTENANCE,
    ClosureKind.CLOSURE: Kind.CLOSURE,
    ClosureKind.BREAKDOWN: Kind.MAINTENANCE,
}


def affected(
    session: Session, *, actor: Actor, facility_id: int, instrument_id: int | None, span: Span
) -> list[Booking]:
    """Give the bookings that a closure would meet.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if the instrument is not the facility's
    """
    require(actor, "closure.make", Subject(facility_id=facility_id))
    availability.check_window(span)
    struck = places(session, facility_id, instrument_id)
    return bookings.displaced(session, instrument_ids=struck, span=span)


def make(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_id: int | None,
    span: Span,
    kind: ClosureKind,
    reason: str,
    imposed: bool,
    now: datetime,
) -> tuple[Closure, list[Booking]]:
    """Close one instrument, or all of a facility, for a span; give the bookings that an imposed closure displaces.

    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if a planned closure meets bookings, or the span has passed
    """
    made, met = make_all(
        session,
        actor=actor,
        facility_id=facility_id,
        instrument_ids=[instrument_id],
        span=span,
        kind=kind,
        reason=reason,
        imposed=imposed,
        now=now,
    )
    return made[0], met


def make_all(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_ids: Sequence[int | None],
    span: Span,
    kind: ClosureKind,
    reason: str,
    imposed: bool,
    now: datetime,
) -> tuple[list[Closure], list[Booking]]:
    """Close some instruments, or by None all of a facility, for one span: all of them or none.

    Whoever has booked several of them hears of it once.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if an instrument is not the facility's
    :raises Refused: if planned closures meet bookings, or the span has passed
    """
    require(actor, "closure.make", Subject(facility_id=facility_id))
    availability.check_window(span)
    if span.end <= now:
        raise Refused([Reason("past", {"now": now})])
    struck = {one: places(session, facility_id, one) for one in instrument_ids}
    every = sorted({place for some in struck.values() for place in some})
    instruments = occupation.lock(session, every).instruments
    met = bookings.displaced(session, instrument_ids=every, span=span)
    if met and not imposed:
        figures = {"bookings": len(met), "start": span.start, "end": span.end}
        raise Refused([Reason("meets_bookings", figures, overridable=True)])
    occupation.drop_expired(session, every, now=now)
    made = []
    for instrument_id, some in struck.items():
        closure = Closure(
            facility_id=facility_id,
            instrument_id=instrument_id,
            kind=kind,
            starts_at=span.start,
            ends_at=span.end,
            reason=reason,
            imposed=imposed,
            created_by=actor.person_id,
            created_at=now,
        )
        session.add(closure)
        session.flush()
        closed = {place: instruments[place] for place in some}
        occupation.close(session, closure=closure, instruments=closed, kind=KINDS[kind])
        _record(session, actor, "closure.made", closure, now, imposed=imposed)
        made.append(closure)
    for booking in met:
        _record(session, actor, "booking.displaced", _meeting(booking, made), now, booking=booking)
    session.flush()
    return made, met


def _meeting(booking: Booking, made: Sequence[Closure]) -> Closure:
    """Give the first of the closures that meets a booking; one of a station or line may meet it by its parts."""
    own = {item.instrument_id for item in booking.items}
    return next((one for one in made if one.instrument_id in own), made[0])


def _record(session: Session, actor: Actor, kind: str, closure: Closure, now: datetime, **data: Any) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=closure.facility_id,
        subject=str(closure.id),
        reason=closure.reason,
        **data,
    )


def lift(session: Session, *, actor: Actor, closure_id: UUID, now: datetime) -> Closure:
    """Open again before the end of a closure, or take a future one back; other places are no longer proposed.

    :raises NotFound: if there is none that this actor may lift
    """
    closure = session.get(Closure, closure_id)
    if closure is None:
        raise NotFound("closure", closure_id)
    require(actor, "closure.make", Subject(facility_id=closure.facility_id))
    struck = places(session, closure.facility_id, closure.instrument_id)
    left = replans.withdraw_of(session, actor=actor, closure=closure, places=struck, now=now)
    occupation.lock(session, struck)
    session.refresh(closure)
    if closure.lifted_at is None:
        closure.lifted_at = now
        occupation.release_closure(session, closure_id=closure.id, now=now)
        events.record(
            session,
            actor=actor,
            kind="closure.lifted",
            now=now,
            facility_id=closure.facility_id,
            subject=str(closure.id),
        )
        _stand_again(session, actor, closure, struck, now)
    session.flush()
    replans.begin_together(session, actor=actor, closures=left, now=now)
    return closure


def _stand_again(
    session: Session, actor: Actor, closure: Closure, struck: Sequence[int], now: datetime
) -> None:
    """Tell those whom a closure displaced, and who have stayed, that they can come after all."""
    span = Span(closure.starts_at, closure.ends_at)
    met = bookings.displaced(session, instrument_ids=struck, span=span) if closure.imposed else []
    for booking in met:
        if booking.state in AHEAD and booking.starts_at > now:
            events.record(
                session,
                actor=actor,
                kind="booking.stands",
                now=now,
                booking=booking,
                facility_id=closure.facility_id,
                subject=str(closure.id),
                person_id=str(booking.person_id),
            )


def listing(session: Session, *, actor: Actor, facility_id: int, within: Span) -> list[Closure]:
    """Give the closures of a facility that meet the window and were not lifted.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "facility.desk", Subject(facility_id=facility_id))
    query = select(Closure).where(
        Closure.facility_id == facility_id,
        Closure.lifted_at.is_(None),
        Closure.starts_at < within.end,
        Closure.ends_at > within.start,
    )
    return list(session.scalars(query.order_by(Closure.starts_at)))


def struck(session: Session, *, found: Sequence[Booking], now: datetime) -> set[UUID]:
    """Give which of these bookings, of those still to come, a closure meets; one statement."""
    ids = [row.id for row in found if row.state in AHEAD and row.ends_at > now]
    if not ids:
        return set()
    query = (
        select(BookingItem.booking_id)
        .join(Occupation, Occupation.instrument_id == BookingItem.instrument_id)
        .where(
            BookingItem.booking_id.in_(ids),
            Occupation.kind.in_([Kind.MAINTENANCE, Kind.CLOSURE]),
            Occupation.starts_at < BookingItem.ends_at,
            Occupation.ends_at > BookingItem.starts_at,
        )
    )
    return set(session.scalars(query))


def places(session: Session, facility_id: int, instrument_id: int | None) -> Sequence[int]:
    """Give what is closed: one instrument, or all of the facility.

    :raises NotFound: if the instrument is not the facility's
    """
    query = select(Instrument.id).where(Instrument.facility_id == facility_id).order_by(Instrument.id)
    if instrument_id is not None:
        query = query.where(Instrument.id == instrument_id)
    found = session.scalars(query).all()
    if instrument_id is not None and not found:
        raise NotFound("instrument", instrument_id)
    return found
