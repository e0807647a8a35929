"""Requests that nobody decided in time: they expire when they would begin, and give their time back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from booking.domain.approvals import StepState
from booking.domain.lifecycle import Action, State
from booking.services import approval_steps, bookings
from models import Booking, Occupation


def holds_over(session: Session, *, now: datetime) -> bool:
    """Tell whether there is a hold that has run out."""
    return bool(session.scalar(select(exists().where(Occupation.expires_at <= now))))


def overdue(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the requests whose start has passed, the oldest first."""
    # The state stands in the text, since SQLite uses a partial index only where it sees its condition.
    query = select(Booking.id).where(text("booking.state = 'requested'"), Booking.starts_at <= now)
    return list(session.scalars(query.order_by(Booking.starts_at).limit(limit)))


def expire(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> bool:
    """Let a request expire; False says that somebody decided or moved it meanwhile."""
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.approve")
    if booking.state is not State.REQUESTED or booking.starts_at > now:
        return False
    for step in approval_steps.current(session, booking_ids=[booking_id]).get(booking_id, []):
        if step.state is StepState.OPEN:
            approval_steps.tell(
                session, actor=actor, kind="approval.expired", booking=booking, step=step, now=now
            )
    bookings.finish(session, actor=actor, booking=booking, action=Action.EXPIRE, now=now)
    return True
