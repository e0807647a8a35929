"""Wishes that found a place: booked at once where their owner asked for it, else offered with a deadline."""

from datetime import datetime

from sqlalchemy.orm import Session

from booking.domain.access import Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.services import acting, bookings, occupation, waitlist
from booking.services.waitlist import Choice
from models import Booking, EntryState, WaitlistEntry, WaitlistOffer

WHY = "wish_found"
"""What the letter of a booking tells that came of a wish."""


def serve(session: Session, *, choice: Choice, key: str, now: datetime) -> Booking | WaitlistOffer | None:
    """Book the place that was found for a wish, or offer it; None says that it can no longer be had."""
    entry = session.get(WaitlistEntry, choice.entry_id)
    if entry is None or not entry.at_once:
        return waitlist.offer(session, choice=choice, key=key, now=now)
    return _book(session, choice, now)


def _book(session: Session, choice: Choice, now: datetime) -> Booking | None:
    occupation.lock(session, [choice.instrument_id])
    entry = waitlist.locked(session, entry_id=choice.entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return None
    person = acting.actor_of(session, entry.person_id)
    if person is None:
        return None
    try:
        with session.begin_nested():
            booking = bookings.place(
                session,
                actor=person,
                items=[Item(choice.instrument_id, choice.span, entry.quantity)],
                purpose=entry.purpose,
                project_id=entry.project_id,
                why=WHY,
                now=now,
            )
    except (Refused, NotFound, Forbidden, Invalid):
        return None
    waitlist.serve(session, entry=entry, booking=booking, now=now)
    return booking
