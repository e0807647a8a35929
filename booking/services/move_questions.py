"""A manager asks the owner of a booking whether it may be moved; the owner answers as they answer their calendar."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden
from booking.domain.invitations import WHOLE
from booking.domain.lifecycle import Action, after
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import acting, bookings, calendar_replies, events
from models import Booking, CalendarQuestion, QuestionKind

ACTION = "booking.approve"


def may_ask(actor: Actor, booking: Booking) -> bool:
    """Tell whether the actor asks about a booking rather than deciding for its owner: it is one time of another's."""
    others = actor.person_id not in {booking.person_id, booking.booked_by_id}
    one_time = len({(item.starts_at, item.ends_at) for item in booking.items}) == 1
    return others and one_time and bookings.may_on(actor, ACTION, booking)


def ask(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    span: Span,
    comment: str = "",
    key: str,
    now: datetime,
) -> CalendarQuestion:
    """Ask the owner whether the booking may be moved to another time; it stays as it is until they say yes.

    Nothing is held for it meanwhile, and what was asked before is asked no more.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor does not manage its facility, or it is their own
    :raises Invalid: for `start_date`, if it is the time that the booking has
    :raises WrongMove: if its state does not allow it
    :raises Refused: if the owner could not have this time
    """
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.change")
    if not may_ask(actor, booking):
        raise Forbidden(ACTION)
    after(booking.state, Action.CHANGE)
    if Span(booking.starts_at, booking.ends_at) == span:
        raise Invalid({"start_date": "duplicate"})
    owner = acting.actor_of(session, booking.person_id)
    if owner is None:
        raise Forbidden(ACTION)
    items = [
        Item(item.instrument_id, span, item.quantity, item.process) for item in bookings.items_of(booking)
    ]
    verdict = bookings.dry_run(session, actor=owner, items=items, booking_id=booking_id, now=now)
    if not verdict.allowed:
        raise Refused(verdict.reasons)
    question = calendar_replies.put(
        session,
        booking=booking,
        person_id=booking.person_id,
        position=WHOLE,
        kind=QuestionKind.COUNTERED,
        span=span,
        comment=comment.strip(),
        asked_by=actor.person_id,
        key=key,
        now=now,
    )
    events.record(
        session,
        actor=actor,
        kind="booking.move_asked",
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        person_id=str(booking.person_id),
        question_id=str(question.id),
        comment=question.comment,
        start=span.start.isoformat(),
        end=span.end.isoformat(),
    )
    return question
