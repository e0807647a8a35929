"""Agreements: what the owner of a booking lets the facility do with it after an outage."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain.access import Actor
from booking.domain.lifecycle import Action, after
from booking.domain.replanning import IfSilent
from booking.services import bookings, events
from models import Booking

AS_IT_WAS = date.min
"""A day that nobody means: leaves the day by which it is needed as it was."""


def agree(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    may_move: bool,
    if_silent: IfSilent,
    makes_room: bool | None = None,
    needed_by: date | None = AS_IT_WAS,
    version: int | None = None,
    now: datetime,
) -> Booking:
    """Say whether a booking may be moved a little so that others find room, and what silence shall mean.

    `may_move` is for others whom an outage meets, `makes_room` for those who wait; None leaves that as it was.
    After the day by which it is needed another place is of hardly more use to its owner than none.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if it is not theirs to change
    :raises Stale: if the version is not the booking's
    :raises WrongMove: if the booking is over
    """
    booking = bookings.lock_for(
        session, actor=actor, booking_id=booking_id, action="booking.agree", version=version
    )
    after(booking.state, Action.CHANGE)
    room = booking.makes_room if makes_room is None else makes_room
    needed = booking.needed_by if needed_by == AS_IT_WAS else needed_by
    before = booking.may_move, booking.makes_room, booking.if_silent, booking.needed_by
    if before == (may_move, room, if_silent, needed):
        return booking
    booking.may_move, booking.makes_room, booking.if_silent, booking.needed_by = (
        may_move,
        room,
        if_silent,
        needed,
    )
    booking.version += 1
    booking.updated_at = now
    events.record(
        session,
        actor=actor,
        kind="booking.agreed",
        now=now,
        booking=booking,
        may_move=may_move,
        makes_room=room,
        if_silent=if_silent.value,
        needed_by=needed.isoformat() if needed else None,
    )
    session.flush()
    return booking
