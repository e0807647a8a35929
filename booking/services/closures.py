"""Closures: an instrument or a whole facility that is not to be had for a while."""

from collections.abc import Sequence
from datetime import datetime
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
    require(actor, "closure.make", Subject(facility_id=facility_id))
    availability.check_window(span)
    if span.end <= now:
        raise Refused([Reason("past", {"now": now})])
    struck = places(session, facility_id, instrument_id)
    locked = {
        place: row for place, row in occupation.lock(session, struck).instruments.items() if place in struck
    }
    met = bookings.displaced(session, instrument_ids=struck, span=span)
    if met and not imposed:
        figures = {"bookings": len(met), "start": span.start, "end": span.end}
        raise Refused([Reason("meets_bookings", figures, overridable=True)])
    occupation.drop_expired(session, struck, now=now)
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
    occupation.close(session, closure=closure, instruments=locked, kind=KINDS[kind])
    events.record(
        session,
        actor=actor,
        kind="closure.made",
        now=now,
        facility_id=facility_id,
        subject=str(closure.id),
        reason=reason,
        imposed=imposed,
    )
    for booking in met:
        events.record(
            session,
            actor=actor,
            kind="booking.displaced",
            now=now,
            booking=booking,
            facility_id=facility_id,
            subject=str(closure.id),
            reason=reason,
        )
    session.flush()
    return closure, met


def lift(session: Session, *, actor: Actor, closure_id: UUID, now: datetime) -> Closure:
    """Open again before the end of a closure, or take a future one back; other places are no longer proposed.

    :raises NotFound: if there is none that this actor may lift
    """
    closure = session.get(Closure, closure_id)
    if closure is None:
        raise NotFound("closure", closure_id)
    require(actor, "closure.make", Subject(facility_id=closure.facility_id))
    struck = places(session, closure.facility_id, closure.instrument_id)
    replans.withdraw_of(session, actor=actor, closure_id=closure_id, places=struck, now=now)
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
