"""Answers of calendars to our invitations: noted, or turned into a question that the person alone decides.

A calendar never does anything to a booking. It declines: we ask whether to cancel. It proposes another time: we ask
whether to move. Whose answer it is, their verified address and the secret in the address of the answer tell; without
the secret a message may make us ask, and no more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain import invitations as itip
from booking.domain import one_time
from booking.domain.access import Actor, NotFound, Subject, may
from booking.domain.foreign_calendars import ForeignCalendar, Occurrence
from booking.domain.invitations import WHOLE, Answer
from booking.domain.lifecycle import Action, possible
from booking.domain.occupation import Item
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import bookings, events, holds, mailed_links
from models import (
    Booking,
    BookingItem,
    CalendarQuestion,
    Instrument,
    Invitation,
    OneTimeLink,
    Person,
    Purpose,
    QuestionKind,
    QuestionState,
)

LONGEST_COMMENT = 500


def reply_tag(key: str, booking_id: UUID, person_id: UUID) -> str:
    """Give the secret that stands in the address to which one person answers about one booking."""
    return itip.secret(key, "reply", booking_id, person_id)


def take(
    session: Session,
    *,
    person: Person,
    actor: Actor,
    read: ForeignCalendar,
    tags: Sequence[str],
    keys: Sequence[str],
    vouched: bool,
    host: str,
    now: datetime,
) -> str:
    """Take an answer in, and tell in a word what came of it.

    `tags` are what stood after the plus signs of the addresses to which it was sent; `vouched` tells that the mail
    server found the sender to be who they say.
    """
    said = next(iter(read.occurrences), None)
    ours = itip.booking_of(said.uid, host) if said is not None else None
    if said is None or ours is None:
        return "unknown"
    booking_id, position = ours
    row = session.scalar(
        select(Invitation)
        .where(
            Invitation.booking_id == booking_id,
            Invitation.person_id == person.id,
            Invitation.position == position,
        )
        .with_for_update()
    )
    me = next((guest for guest in said.guests if guest.address == person.email), None)
    if row is None or me is None:
        return "stranger"
    if not itip.is_newer(_known(row), said.sequence, said.stamp):
        return "stale"
    if row.cancelled or said.sequence < row.sequence:
        return "stale"
    proven = vouched or any(reply_tag(key, booking_id, person.id) in tags for key in keys)
    if proven:
        row.answer, row.answer_sequence, row.answered_at = me.answer, said.sequence, said.stamp or now
    try:
        booking = bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    except NotFound:
        return "stranger"  # it is somebody else's by now
    if not proven and _asked_before(session, booking, person.id):
        return "asked"  # whoever can only make us ask cannot make us ask again and again
    if read.method == itip.Method.COUNTER:
        return _countered(session, actor, booking, row, said, keys[0], now)
    if me.answer == Answer.DECLINED:
        return _ask(session, actor, booking, row, QuestionKind.DECLINED, None, said.comment, keys[0], now)
    if not proven:
        return "unproven"
    if me.answer == Answer.ACCEPTED:
        open_one = waiting(session, booking_id=booking_id, person_id=person.id)
        if open_one is None or open_one.asked_by is None:  # to what its facility asks, it says nothing
            close(session, booking_id, person.id, QuestionState.OVER, now)
        _note(session, actor, "invitation.accepted", booking, now)
    return "noted"


def _asked_before(session: Session, booking: Booking, person_id: UUID) -> bool:
    query = select(CalendarQuestion.id).where(
        CalendarQuestion.booking_id == booking.id,
        CalendarQuestion.person_id == person_id,
        CalendarQuestion.booking_sequence == booking.sequence,
    )
    return session.scalars(query).first() is not None


def _known(row: Invitation) -> tuple[int, datetime | None] | None:
    return None if row.answer_sequence is None else (row.answer_sequence, row.answered_at)


def _countered(
    session: Session,
    actor: Actor,
    booking: Booking,
    row: Invitation,
    said: Occurrence,
    key: str,
    now: datetime,
) -> str:
    if said.span.start >= said.span.end or said.span == Span(row.starts_at, row.ends_at):
        return "unknown"
    return _ask(session, actor, booking, row, QuestionKind.COUNTERED, said.span, said.comment, key, now)


def _ask(
    session: Session,
    actor: Actor,
    booking: Booking,
    row: Invitation,
    kind: QuestionKind,
    span: Span | None,
    comment: str,
    key: str,
    now: datetime,
) -> str:
    """Ask the person, on the page and by a letter with a link; the same is not asked twice."""
    wanted = Action.CANCEL if kind is QuestionKind.DECLINED else Action.CHANGE
    if wanted not in possible(booking.state) or booking.ends_at <= now:
        return "late"
    open_one = waiting(session, booking_id=booking.id, person_id=row.person_id)
    if open_one is not None and open_one.kind is kind and _span(open_one) == span:
        return "asked"
    question = put(
        session,
        booking=booking,
        person_id=row.person_id,
        position=row.position,
        kind=kind,
        span=span,
        comment=comment,
        key=key,
        now=now,
    )
    _note(
        session,
        actor,
        f"invitation.{kind.value}",
        booking,
        now,
        person_id=str(row.person_id),
        question_id=str(question.id),
        comment=question.comment,
        start=span.start.isoformat() if span else None,
        end=span.end.isoformat() if span else None,
    )
    return "asked"


def put(
    session: Session,
    *,
    booking: Booking,
    person_id: UUID,
    position: int,
    kind: QuestionKind,
    span: Span | None,
    comment: str,
    key: str,
    asked_by: UUID | None = None,
    answer_by: datetime | None = None,
    now: datetime,
) -> CalendarQuestion:
    """Write down a question with the link by which it is answered from the mail, in place of one that was open."""
    close(session, booking.id, person_id, QuestionState.OVER, now)
    question = CalendarQuestion(
        id=uuid4(),
        booking_id=booking.id,
        person_id=person_id,
        position=position,
        kind=kind,
        state=QuestionState.OPEN,
        booking_sequence=booking.sequence,
        starts_at=span.start if span else None,
        ends_at=span.end if span else None,
        comment=comment[:LONGEST_COMMENT],
        created_at=now,
        asked_by=asked_by,
        answer_by=answer_by,
    )
    session.add(question)
    link_id = uuid4()
    session.add(
        OneTimeLink(
            id=link_id,
            person_id=person_id,
            purpose=Purpose.ANSWER_CALENDAR,
            subject=str(question.id),
            secret_hash=one_time.hashed(one_time.secret(key, link_id)),
            created_at=now,
            expires_at=answer_by or booking.ends_at,
        )
    )
    session.flush()
    return question


# --- what the person says -------------------------------------------------------------------------


def waiting(session: Session, *, booking_id: UUID, person_id: UUID | None) -> CalendarQuestion | None:
    """Give what is asked of a person about a booking and waits for their word."""
    return session.scalar(
        select(CalendarQuestion).where(
            CalendarQuestion.booking_id == booking_id,
            CalendarQuestion.person_id == person_id,
            CalendarQuestion.state == QuestionState.OPEN,
        )
    )


def mine(session: Session, *, actor: Actor, now: datetime) -> list[CalendarQuestion]:
    """Give all that is asked of the actor and can still be answered, by the beginning of the booking."""
    query = (
        select(CalendarQuestion)
        .join(Booking, Booking.id == CalendarQuestion.booking_id)
        .where(
            CalendarQuestion.person_id == actor.person_id,
            CalendarQuestion.state == QuestionState.OPEN,
            CalendarQuestion.booking_sequence == Booking.sequence,
            Booking.ends_at > now,
            or_(CalendarQuestion.answer_by.is_(None), CalendarQuestion.answer_by > now),
        )
        .order_by(Booking.starts_at, CalendarQuestion.id)
    )
    return list(session.scalars(query))


def is_late(question: CalendarQuestion, now: datetime) -> bool:
    """Tell whether the time to answer is over."""
    return question.answer_by is not None and question.answer_by <= now


def get(session: Session, *, actor: Actor, question_id: UUID) -> CalendarQuestion:
    """Give what the actor's calendar made us ask, with its booking.

    :raises NotFound: if there is no such question of theirs
    """
    places = selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility)
    query = select(CalendarQuestion).options(
        joinedload(CalendarQuestion.booking).options(joinedload(Booking.person), places)
    )
    found = session.scalars(
        query.where(CalendarQuestion.id == question_id).execution_options(populate_existing=True)
    ).one_or_none()
    if found is None or not may(actor, "invitation.answer", Subject(owner_id=found.person_id)):
        raise NotFound("question", question_id)
    return found


def linked(session: Session, *, link_id: UUID, secret: str, now: datetime) -> tuple[Actor, UUID]:
    """Give whom a mailed link stands for and the question that it answers; nothing is answered by that.

    :raises NotFound: if there is no such link, or its person may not sign in
    """
    return mailed_links.follow(
        session, purpose=Purpose.ANSWER_CALENDAR, link_id=link_id, secret=secret, now=now
    )


def answer(
    session: Session, *, actor: Actor, question_id: UUID, agrees: bool, now: datetime
) -> CalendarQuestion:
    """Do as the calendar said, by the same rules as on the page, or leave the booking as it is.

    :raises NotFound: if there is no such question of the actor's
    :raises Refused: if it is over, the booking was changed meanwhile, or a rule stands against it
    :raises WrongMove: if the booking's state does not allow it
    """
    question = get(session, actor=actor, question_id=question_id)
    booking = bookings.lock_for(
        session,
        actor=actor,
        booking_id=question.booking_id,
        action="booking.cancel" if agrees else "booking.see",
    )
    question = get(session, actor=actor, question_id=question_id)
    done = QuestionState.DONE if agrees else QuestionState.LEFT
    if question.state is done:
        return question
    if question.state is not QuestionState.OPEN or is_late(question, now):
        raise Refused([Reason("question_over")])
    if agrees and booking.sequence != question.booking_sequence:
        raise Refused([Reason("question_over")])
    close(session, question.booking_id, question.person_id, done, now)
    if agrees and question.kind is QuestionKind.DECLINED:
        bookings.cancel(session, actor=actor, booking_id=booking.id, version=booking.version, now=now)
    elif agrees:
        items = _moved(booking, question)
        bookings.change(
            session, actor=actor, booking_id=booking.id, version=booking.version, items=items, now=now
        )
    if question.asked_by is not None:
        told = {"person_id": str(question.asked_by), "accepted": agrees}
        _note(session, actor, "booking.move_answered", booking, now, **told)
    return get(session, actor=actor, question_id=question_id)


def _moved(booking: Booking, question: CalendarQuestion) -> list[Item]:
    """Give the items of the booking with the proposed time: all of them, or the one that the event was of."""
    span = _span(question)
    if span is None:
        return bookings.items_of(booking)
    return [
        Item(item.instrument_id, span, item.quantity, item.process)
        if question.position in {WHOLE, position}
        else item
        for position, item in enumerate(bookings.items_of(booking))
    ]


def _span(question: CalendarQuestion) -> Span | None:
    if question.starts_at is None or question.ends_at is None:
        return None
    return Span(question.starts_at, question.ends_at)


def close(session: Session, booking_id: UUID, person_id: UUID, state: QuestionState, now: datetime) -> None:
    """End what is asked, use up its link, and give back the time that was held for it."""
    question = waiting(session, booking_id=booking_id, person_id=person_id)
    if question is None:
        return
    question.state, question.answered_at = state, now
    if question.hold_id is not None:
        holds.drop(session, hold_id=question.hold_id, now=now)
        question.hold_id = None
    session.execute(
        update(OneTimeLink)
        .where(
            OneTimeLink.purpose == Purpose.ANSWER_CALENDAR,
            OneTimeLink.subject == str(question.id),
            OneTimeLink.used_at.is_(None),
        )
        .values(used_at=now)
    )
    session.flush()


def _note(session: Session, actor: Actor, kind: str, booking: Booking, now: datetime, **data: Any) -> None:
    told: Mapping[str, Any] = {name: value for name, value in data.items() if value is not None}
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        **told,
    )
