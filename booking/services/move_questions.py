"""A manager asks the owner of a booking whether it may be moved; the owner answers as they answer their calendar.

The new time is held for the owner until they answer, at the latest until a deadline: silence moves nothing.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound
from booking.domain.hours import zone
from booking.domain.invitations import WHOLE
from booking.domain.lifecycle import Action, after
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import (
    acting,
    bookings,
    calendar_replies,
    events,
    holds,
    occupation,
    policies,
    processes,
)
from models import Booking, CalendarQuestion, QuestionKind, QuestionState

ACTION = "booking.approve"

DAYS = (1, 2, 3, 5)
"""So many working days the owner may be given."""

USUAL_DAYS = 2
LONGEST = timedelta(days=14)
"""So long another time is held at most."""


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
    days: int = USUAL_DAYS,
    answer_by: datetime | None = None,
    key: str,
    now: datetime,
) -> CalendarQuestion:
    """Ask the owner whether the booking may be moved to another time; it stays as it is until they say yes.

    The new time is held for them for so many working days, or until `answer_by`, but never beyond the start of either
    time. What was asked before is asked no more.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor does not manage its facility, or it is their own
    :raises Invalid: for `start_date`, if it is the time that the booking has; for `answer_by`, if nobody could answer
    :raises WrongMove: if its state does not allow it
    :raises Refused: if it has begun, or the owner could not have this time
    """
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.change")
    if not may_ask(actor, booking):
        raise Forbidden(ACTION)
    after(booking.state, Action.CHANGE)
    if booking.starts_at <= now:
        raise Refused([Reason("already_started", {"start": booking.starts_at})])
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
        answer_by=_until(session, booking, span, days, answer_by, now),
        key=key,
        now=now,
    )
    _hold(session, booking, items, question, now)
    _note(
        session,
        actor,
        "booking.move_asked",
        booking,
        question,
        now,
        person_id=str(booking.person_id),
        comment=question.comment,
        start=span.start.isoformat(),
        end=span.end.isoformat(),
        deadline=question.answer_by.isoformat() if question.answer_by else None,
    )
    return question


def _until(
    session: Session, booking: Booking, span: Span, days: int, wanted: datetime | None, now: datetime
) -> datetime:
    if wanted is None:
        if days not in DAYS:
            raise Invalid({"days": "unknown"})
        tz = zone(booking.items[0].instrument.facility.zone)
        wanted = policies.working_days_of(session, now.astimezone(tz).date()).due(now, days, tz)
    if wanted <= now:
        raise Invalid({"answer_by": "past"})
    return min(wanted, now + LONGEST, booking.starts_at, span.start)


def _hold(
    session: Session, booking: Booking, items: list[Item], question: CalendarQuestion, now: datetime
) -> None:
    locked = occupation.unlocked(session, {item.instrument_id for item in items})
    occupation.drop_expired(session, locked.instruments, now=now)
    hold = holds.keep_place(
        session,
        booking=booking,
        items=items,
        locked=locked,
        until=question.answer_by or booking.starts_at,
        for_owner=True,
        now=now,
    )
    hold.draws = processes.held_draws(items, booking.items)
    question.hold_id = hold.id
    session.flush()


def withdraw(session: Session, *, actor: Actor, question_id: UUID, now: datetime) -> CalendarQuestion:
    """Ask no more, and give the other time back.

    :raises NotFound: if no such question was asked of a booking that the actor may see
    :raises Forbidden: if the actor does not manage its facility
    :raises Refused: if it is over
    """
    question, booking = _locked(session, actor, question_id)
    if not bookings.may_on(actor, ACTION, booking):
        raise Forbidden(ACTION)
    if question.state is not QuestionState.OPEN:
        raise Refused([Reason("question_over")])
    calendar_replies.close(session, booking.id, question.person_id, QuestionState.WITHDRAWN, now)
    _note(
        session,
        actor,
        "booking.move_unasked",
        booking,
        question,
        now,
        person_id=str(question.person_id),
    )
    return question


# --- what is read ---------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, question_id: UUID) -> CalendarQuestion:
    """Give what a facility asked about a booking that the actor may see.

    :raises NotFound: if there is no such question
    """
    found = session.get(CalendarQuestion, question_id, populate_existing=True)
    if found is None or found.asked_by is None:
        raise NotFound("question", question_id)
    try:
        bookings.get(session, actor=actor, booking_id=found.booking_id)
    except NotFound:
        raise NotFound("question", question_id) from None
    return found


def of_booking(session: Session, *, actor: Actor, booking_id: UUID) -> list[CalendarQuestion]:
    """Give what its facility asked about a booking, the last first.

    :raises NotFound: if there is no such booking for this actor
    """
    bookings.get(session, actor=actor, booking_id=booking_id)
    query = select(CalendarQuestion).where(
        CalendarQuestion.booking_id == booking_id, CalendarQuestion.asked_by.is_not(None)
    )
    return list(session.scalars(query.order_by(CalendarQuestion.created_at.desc(), CalendarQuestion.id)))


def open_for(session: Session, *, booking: Booking, now: datetime) -> CalendarQuestion | None:
    """Give what the owner of a booking is asked by its facility and can still answer."""
    found = calendar_replies.waiting(session, booking_id=booking.id, person_id=booking.person_id)
    if found is None or found.asked_by is None or calendar_replies.is_late(found, now):
        return None
    return found if found.booking_sequence == booking.sequence else None


# --- what is over ---------------------------------------------------------------------------------


def over(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the open questions of facilities that nobody can answer any more."""
    # The state stands in the text, since SQLite uses a partial index only where it sees its condition.
    query = (
        select(CalendarQuestion.id)
        .join(Booking, Booking.id == CalendarQuestion.booking_id)
        .where(
            text("calendar_question.state = 'open'"),
            CalendarQuestion.asked_by.is_not(None),
            or_(
                CalendarQuestion.answer_by <= now,
                Booking.starts_at <= now,
                Booking.sequence != CalendarQuestion.booking_sequence,
            ),
        )
    )
    return list(session.scalars(query.order_by(CalendarQuestion.id).limit(limit)))


def end(session: Session, *, question_id: UUID, now: datetime) -> bool:
    """End a question that met silence, of which its asker hears, or that a change of the booking overtook.

    False says that it was answered meanwhile.
    """
    question, booking = _locked(session, SYSTEM, question_id)
    if question.state is not QuestionState.OPEN:
        return False
    if booking.sequence != question.booking_sequence:
        calendar_replies.close(session, booking.id, question.person_id, QuestionState.OVER, now)
        return True
    if not calendar_replies.is_late(question, now) and booking.starts_at > now:
        return False
    calendar_replies.close(session, booking.id, question.person_id, QuestionState.LAPSED, now)
    _note(
        session,
        SYSTEM,
        "booking.move_unanswered",
        booking,
        question,
        now,
        person_id=str(question.asked_by),
    )
    return True


def _locked(session: Session, actor: Actor, question_id: UUID) -> tuple[CalendarQuestion, Booking]:
    place = get(session, actor=actor, question_id=question_id).booking_id
    booking = bookings.lock_for(session, actor=actor, booking_id=place, action="booking.see")
    return get(session, actor=actor, question_id=question_id), booking


def _note(
    session: Session,
    actor: Actor,
    kind: str,
    booking: Booking,
    question: CalendarQuestion,
    now: datetime,
    **data: Any,
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        question_id=str(question.id),
        **data,
    )
