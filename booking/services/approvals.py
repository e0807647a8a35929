"""Approvals: the manager's yes or no to a request that already holds its time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from booking.domain.lifecycle import Action, State
from booking.domain.rules import Reason, Refused
from booking.services import bookings, events
from models import Booking, BookingItem, Instrument


def approve(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    comment: str = "",
    version: int | None = None,
    now: datetime,
) -> Booking:
    """Confirm a request.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if the actor does not manage every facility of it
    :raises WrongMove: if it is no request any more
    :raises Refused: if its time has passed
    """
    booking = bookings.lock_for(
        session, actor=actor, booking_id=booking_id, action="booking.approve", version=version
    )
    if booking.state is State.REQUESTED and booking.ends_at <= now:
        raise Refused([Reason("past", {"now": now})])
    booking.apply(Action.APPROVE)
    booking.version += 1
    booking.sequence += 1
    booking.updated_at = now
    events.record(
        session,
        actor=actor,
        kind="booking.approved",
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        comment=comment,
        version=booking.version,
    )
    session.flush()
    return booking


def reject(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    comment: str = "",
    version: int | None = None,
    now: datetime,
) -> Booking:
    """Refuse a request and give its time back.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if the actor does not manage every facility of it
    :raises WrongMove: if it is no request any more
    """
    booking = bookings.lock_for(
        session, actor=actor, booking_id=booking_id, action="booking.approve", version=version
    )
    return bookings.finish(
        session, actor=actor, booking=booking, action=Action.REJECT, now=now, reason=comment
    )


def inbox(session: Session, *, actor: Actor) -> list[Booking]:
    """Give the requests that wait for this manager, those that begin soonest first."""
    waiting, _ = bookings.listing(session, actor=actor, states=[State.REQUESTED], page_size=500)
    return [booking for booking in waiting if bookings.may_on(actor, "booking.approve", booking)]


def waiting(session: Session, *, actor: Actor) -> int:
    """Count the requests that this manager may decide; one statement."""
    query = select(func.count()).select_from(Booking).where(Booking.state == State.REQUESTED)
    if not actor.administrator:
        items = select(BookingItem.booking_id).join(Instrument, Instrument.id == BookingItem.instrument_id)
        query = query.where(
            Booking.id.in_(items.where(Instrument.facility_id.in_(actor.manages))),
            Booking.id.not_in(items.where(Instrument.facility_id.not_in(actor.manages))),
        )
    return session.scalar(query) or 0
