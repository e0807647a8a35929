"""Attendance: who did not come, who did not leave, who did not say how it went; found out whenever somebody looks.

What is written follows from the clock of the booking alone: a look that comes hours late writes the same.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from booking.domain import attendance
from booking.domain.access import Actor
from booking.domain.credit import Deed
from booking.domain.lifecycle import Action, State, after
from booking.domain.occupation import Kind
from booking.domain.rules import Reason, Refused
from booking.services import bookings, credit, events, manners, occupation, policies
from models import Booking, Event, Occupation, Usage

LOOKS_BACK = timedelta(days=3)
"""What began longer ago than this without anybody coming is left as it is."""


def perhaps_missed(session: Session, *, now: datetime, limit: int = 500) -> list[UUID]:
    """Give the bookings that have begun and to which nobody has come yet, those that began first."""
    # By the time index of the ledger: what began lately is little beside all that was ever booked.
    begun = select(Occupation.booking_id).where(
        Occupation.starts_at > now - LOOKS_BACK, Occupation.starts_at <= now, Occupation.kind == Kind.BOOKING
    )
    query = select(Booking.id).where(
        Booking.id.in_(begun),
        Booking.state == State.CONFIRMED,
        Booking.starts_at <= now,
        Booking.starts_at > now - LOOKS_BACK,
    )
    return list(session.scalars(query.order_by(Booking.starts_at).limit(limit)))


def is_missed(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> bool:
    """Tell whether the grace of a booking is over; looked at before anything is locked."""
    booking = bookings.get(session, actor=actor, booking_id=booking_id)
    missed = attendance.missed_at(manners.span_of(booking), manners.of(session, booking))
    return booking.state is State.CONFIRMED and missed is not None and missed <= now


def miss(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> bool:
    """Note that nobody came, and give the time back; False says that somebody came or moved it meanwhile."""
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.approve")
    missed = attendance.missed_at(manners.span_of(booking), manners.of(session, booking))
    if booking.state is not State.CONFIRMED or missed is None or missed > now:
        return False
    _miss(session, actor, booking, missed, now)
    return True


def may_call_missed(session: Session, *, actor: Actor, booking: Booking, now: datetime) -> bool:
    """Tell whether the actor may say by now that nobody came to a booking."""
    if booking.state is not State.CONFIRMED or booking.starts_at > now:
        return False
    if not bookings.may_on(actor, "booking.miss", booking):
        return False
    return attendance.called_missed_from(manners.span_of(booking), manners.of(session, booking)) <= now


def call_missed(
    session: Session, *, actor: Actor, booking_id: UUID, excused: bool = False, now: datetime
) -> Booking:
    """Note by the word of staff that nobody came; who is excused loses no points.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see it but is not of its staff
    :raises WrongMove: if somebody came, or its state does not allow it
    :raises Refused: if people may still come
    """
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.miss")
    after(booking.state, Action.MISS)
    since = attendance.called_missed_from(manners.span_of(booking), manners.of(session, booking))
    if now < since:
        zone = booking.items[0].instrument.facility.zone
        raise Refused([Reason("not_missed_yet", {"since": since, "zone": zone})])
    _miss(session, actor, booking, since, now, costs=not excused)
    return booking


def may_say_came(actor: Actor, booking: Booking) -> bool:
    """Tell whether the actor may say that somebody came after all whom the facility noted as not having come."""
    return booking.state is State.NO_SHOW and bookings.may_on(actor, "booking.approve", booking)


def say_came(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> Booking:
    """Note that somebody came after all: they are checked in, or were there until the end if their time is over.

    The points that it cost are given back. What was given away meanwhile cannot be had back.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises WrongMove: if it is not noted as missed
    :raises Refused: if somebody else has its time by now
    """
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.approve")
    _expect(session, actor, booking, now)
    return _arrive(session, actor, booking, now)


def take_back(session: Session, *, actor: Actor, booking: Booking, now: datetime, undo: UUID) -> Booking:
    """Take back that nobody came to a locked booking: they are expected again, or have come if their grace is over.

    :raises WrongMove: if it is not noted as missed
    :raises Refused: if somebody else has its time by now
    """
    _expect(session, actor, booking, now, undo=str(undo))
    missed = attendance.missed_at(manners.span_of(booking), manners.of(session, booking))
    return _arrive(session, actor, booking, now) if missed is not None and missed <= now else booking


def _arrive(session: Session, actor: Actor, booking: Booking, now: datetime) -> Booking:
    booking.usage = Usage(checked_in_at=booking.starts_at, late_minutes=0)
    booking.apply(Action.CHECK_IN)
    _record(session, actor, "booking.checked_in", booking, now)
    if booking.ends_at <= now:
        booking.usage.checked_out_at = booking.ends_at
        booking.usage.early_minutes = booking.usage.overtime_minutes = 0
        booking.apply(Action.CHECK_OUT)
        _record(session, actor, "booking.ended", booking, now)
    session.flush()
    return booking


def _expect(session: Session, actor: Actor, booking: Booking, now: datetime, **data: Any) -> None:
    """Give a booking its time again, and back the points that it cost."""
    booking.apply(Action.COME)
    items = bookings.items_of(booking)
    locked = occupation.unlocked(session, {item.instrument_id for item in items})
    timetables = policies.timetables(session, locked.instruments.values(), person_id=booking.person_id)
    occupation.drop_expired(session, locked.instruments, now=now)
    with session.begin_nested():  # the database's own guard tells whether it still fits
        occupation.take(
            session,
            claims=occupation.claims(items, locked.instruments, locked.parts, timetables),
            instruments=locked.instruments,
            booking_id=booking.id,
        )
    credit.give_back(session, actor=actor, booking_id=booking.id, deed=Deed.NO_SHOW, now=now)
    booking.version += 1
    booking.sequence += 1
    booking.updated_at = now
    _record(session, actor, "booking.came", booking, now, **data)
    session.flush()


def _record(session: Session, actor: Actor, kind: str, booking: Booking, now: datetime, **data: Any) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        version=booking.version,
        **data,
    )


def _miss(
    session: Session, actor: Actor, booking: Booking, missed: datetime, now: datetime, *, costs: bool = True
) -> None:
    """Give the time back; nobody loses points for time that the facility had closed."""
    closed = manners.closed_over(session, booking)
    bookings.finish(
        session,
        actor=actor,
        booking=booking,
        action=Action.MISS,
        now=now,
        missed=missed.isoformat(),
        person_id=str(booking.person_id),
    )
    if costs and not closed:
        _note(session, actor, booking, Deed.NO_SHOW, missed, now)


def overrunning(session: Session, *, now: datetime, limit: int = 500) -> list[UUID]:
    """Give the bookings whose time is over and whose people have not checked out, the longest over first."""
    # The state stands in the text, since SQLite uses a partial index only where it sees its condition.
    query = select(Booking.id).where(text("booking.state = 'checked_in'"), Booking.ends_at < now)
    return list(session.scalars(query.order_by(Booking.ends_at).limit(limit)))


def overrun(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> bool:
    """Flag who is still there after their time, once; check them out when the next one comes or patience ends.

    False says that nothing was to be done.
    """
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.check_in")
    if booking.state is not State.CHECKED_IN:
        return False
    span, known = manners.span_of(booking), manners.of(session, booking)
    if attendance.gone_at(span, manners.follows_at(session, booking), known) <= now:
        bookings.check_out(session, actor=actor, booking_id=booking_id, now=now)
        return True
    over = span.end + timedelta(minutes=known.tolerance + 1)
    if over > now or (booking.usage is not None and booking.usage.overtime_minutes):
        return False
    booking.usage = booking.usage or Usage()
    booking.usage.overtime_minutes = attendance.overtime(span, over, known)
    bookings.note_overtime(session, actor=actor, booking=booking, now=now)
    session.flush()
    return True


def unspoken(session: Session, *, now: datetime, limit: int = 500) -> list[UUID]:
    """Give the uses of which nobody has said in time how they went, and whose people have not lost points for it."""
    late = now - attendance.FEEDBACK_WITHIN
    query = (
        select(Usage.booking_id)
        .join(Booking, Booking.id == Usage.booking_id)
        .where(
            Usage.feedback_at.is_(None),
            Usage.checked_out_at <= late,
            Usage.checked_out_at > late - LOOKS_BACK,
            Booking.state == State.ENDED,
            ~credit.noted(Booking.id, Deed.NO_FEEDBACK),
            # Whom it was noted late that they came was not asked in time.
            ~exists().where(Event.booking_id == Booking.id, Event.kind == "booking.came"),
        )
    )
    return list(session.scalars(query.order_by(Usage.checked_out_at).limit(limit)))


def note_silence(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> bool:
    """Take the points of somebody who has not said how the use went; False says that there is nothing to take."""
    booking = bookings.get(session, actor=actor, booking_id=booking_id)
    usage = booking.usage
    if usage is None or usage.checked_out_at is None or usage.feedback_at is not None:
        return False
    at = usage.checked_out_at + attendance.FEEDBACK_WITHIN
    return at <= now and _note(session, actor, booking, Deed.NO_FEEDBACK, at, now) != 0


def _note(session: Session, actor: Actor, booking: Booking, deed: Deed, at: datetime, now: datetime) -> int:
    return credit.note(
        session,
        actor=actor,
        person_id=booking.person_id,
        facility_id=booking.items[0].instrument.facility_id,
        deed=deed,
        booking_id=booking.id,
        at=at,
        now=now,
    )
