"""Invitations: whose calendar is to be told of a booking by mail, what of, and what it was told before.

A message is made of things as they are when it leaves, and what left last is kept for each event and person. So an
older message that comes late finds nothing left to say, and no calendar is told less than it knows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.calendars import Status, event_uid
from booking.domain.invitations import WHOLE, Answer, Method
from booking.domain.lifecycle import State
from booking.domain.spans import Span
from booking.services.feeds import CALLED_OFF
from models import (
    Booking,
    BookingItem,
    Delivery,
    Event,
    Instrument,
    Invitation,
    Meeting,
    Person,
    PersonState,
)

ON_CALENDAR = frozenset(
    {
        *("booking.placed", "booking.changed", "booking.approved", "booking.handed_over"),
        *("booking.cancelled", "booking.withdrawn", "booking.rejected", "booking.expired"),
    }
)
"""Events by which a calendar may have to change."""

ANSWERED = "invitation.answered"
"""An instrument was invited to a meeting, and answers."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """Somebody whose calendar an event may change; `known` if it was told of the booking before."""

    event: Event
    booking: Booking | None
    person_id: UUID
    known: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """One event as one person's calendar is to know it from now on."""

    person: Person
    booking: Booking
    position: int
    uid: str
    method: Method
    status: Status
    sequence: int
    span: Span
    items: Sequence[BookingItem]
    first: bool = False
    """Whether the calendar knows nothing of it yet."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an instrument answers to somebody's meeting; `data` is as the event keeps it, or made of the booking now.

    Of meetings that are answered later, since their booking changed, `told` are the rows to be marked.
    """

    person: Person
    instrument: Instrument
    data: Mapping[str, Any]
    told: Sequence[tuple[UUID, int]] = ()


def concerned(
    session: Session, *, fresh: Sequence[Event], bookings: Mapping[UUID, Booking]
) -> list[Concerned]:
    """Give whose calendars these events may change."""
    ids = {event.booking_id for event in fresh if event.booking_id and event.kind in ON_CALENDAR}
    known: dict[UUID, set[UUID]] = {}
    if ids:
        told = select(Invitation.booking_id, Invitation.person_id).where(
            Invitation.booking_id.in_(ids), Invitation.cancelled.is_(False)
        )
        met = select(Meeting.booking_id, Meeting.person_id).where(Meeting.booking_id.in_(ids))
        for booking_id, person_id in [*session.execute(told), *session.execute(met)]:
            known.setdefault(booking_id, set()).add(person_id)
    found = []
    for event in fresh:
        booking = bookings.get(event.booking_id) if event.booking_id else None
        if event.kind == ANSWERED:
            found.append(Concerned(event, None, UUID(str(event.data["person_id"])), known=True))
        elif booking is not None and event.kind in ON_CALENDAR:
            before = known.get(booking.id, set())
            found += [Concerned(event, booking, who, known=True) for who in sorted(before)]
            if booking.person_id not in before:
                found.append(Concerned(event, booking, booking.person_id, known=False))
    return found


# --- what is to be said -------------------------------------------------------------------------------------


def parcels(session: Session, *, delivery_id: UUID, host: str) -> list[Parcel | Answered]:
    """Give what must be mailed so that the person's calendar is as things are; nothing where it is already."""
    delivery = session.get_one(Delivery, delivery_id)
    event = session.get_one(Event, delivery.event_id)
    person = session.get_one(Person, delivery.person_id)
    if person.state is not PersonState.ACTIVE:
        return []
    if event.kind == ANSWERED:
        named = select(Instrument).where(Instrument.code == str(event.data["instrument"]))
        place = session.scalar(named.options(joinedload(Instrument.facility)))
        return [] if place is None else [Answered(person, place, event.data)]
    if event.booking_id is None:
        return []
    booking = session.scalars(_loaded().where(Booking.id == event.booking_id)).one()
    meetings = list(
        session.scalars(
            select(Meeting)
            .where(Meeting.booking_id == booking.id, Meeting.person_id == person.id)
            .options(joinedload(Meeting.instrument).joinedload(Instrument.facility))
        )
    )
    if meetings:
        return [_later(person, booking, row) for row in meetings if row.told < booking.version]
    return list(_invites(session, person, booking, host))


def _invites(session: Session, person: Person, booking: Booking, host: str) -> Iterable[Parcel]:
    rows = {
        row.position: row
        for row in session.scalars(
            select(Invitation).where(Invitation.booking_id == booking.id, Invitation.person_id == person.id)
        )
    }
    theirs = booking.person_id == person.id and booking.state not in CALLED_OFF
    wanted = _events(booking) if theirs else {}
    for position, items in wanted.items():
        row = rows.get(position)
        if row is None and booking.state is State.REQUESTED:
            continue  # nobody is invited to what may never be
        if row is not None and not row.cancelled and row.sequence >= booking.sequence:
            continue
        status = Status.TENTATIVE if booking.state is State.REQUESTED else Status.CONFIRMED
        span = Span(items[0].starts_at, items[0].ends_at)
        sequence = _next(booking, row)
        uid = _uid(booking, position, host)
        first = row is None or row.cancelled
        yield Parcel(person, booking, position, uid, Method.REQUEST, status, sequence, span, items, first)
    for position, row in rows.items():
        if position in wanted or row.cancelled:
            continue
        span, sequence, uid = (
            Span(row.starts_at, row.ends_at),
            _next(booking, row),
            _uid(booking, position, host),
        )
        items = tuple(booking.items)
        yield Parcel(person, booking, position, uid, Method.CANCEL, Status.CANCELLED, sequence, span, items)


def _events(booking: Booking) -> dict[int, Sequence[BookingItem]]:
    """Give the events of a booking as the feed has them: one, or one for each item where their times differ."""
    if len({(item.starts_at, item.ends_at) for item in booking.items}) == 1:
        return {WHOLE: booking.items}
    return {item.position: (item,) for item in booking.items}


def _uid(booking: Booking, position: int, host: str) -> str:
    return event_uid(str(booking.id), host, None if position == WHOLE else position)


def _next(booking: Booking, row: Invitation | None) -> int:
    """Give the booking's SEQUENCE, or the next after what this calendar knows; it never falls."""
    return booking.sequence if row is None else max(booking.sequence, row.sequence + 1)


def sent(session: Session, *, parcel: Parcel | Answered, now: datetime) -> None:
    """Keep what a person's calendar knows now."""
    if isinstance(parcel, Answered):
        for meeting_id, version in parcel.told:
            session.get_one(Meeting, meeting_id).told = version
        return
    key = parcel.booking.id, parcel.person.id, parcel.position
    row = session.get(Invitation, key)
    if row is None:
        row = Invitation(booking_id=key[0], person_id=key[1], position=key[2], sequence=0)
        session.add(row)
    row.sequence = max(row.sequence or 0, parcel.sequence)
    row.cancelled = parcel.method is Method.CANCEL
    row.starts_at, row.ends_at = parcel.span
    row.sent_at = now
    if parcel.method is Method.REQUEST:
        row.answer = ""  # what was said of another time says nothing of this one
    session.flush()


def told_of(session: Session, *, booking_id: UUID, person_id: UUID) -> list[Invitation]:
    """Give what somebody's calendar was told of a booking, and answered."""
    query = select(Invitation).where(Invitation.booking_id == booking_id, Invitation.person_id == person_id)
    return list(session.scalars(query.order_by(Invitation.position)))


# --- meetings whose booking changed later -------------------------------------------------------------------


def _later(person: Person, booking: Booking, row: Meeting) -> Answered:
    item = next((one for one in booking.items if one.instrument_id == row.instrument_id), booking.items[0])
    moved = (item.starts_at, item.ends_at) != (row.starts_at, row.ends_at)
    gone = booking.state in CALLED_OFF or booking.person_id != person.id
    answer = Answer.ACCEPTED
    if gone:
        answer = Answer.DECLINED
    elif moved or booking.state is State.REQUESTED:
        answer = Answer.TENTATIVE
    why = "gone" if gone else "moved" if moved else "waits" if answer is Answer.TENTATIVE else "booked"
    return Answered(
        person,
        row.instrument,
        {
            "instrument": row.instrument.code,
            "person_id": str(person.id),
            "uid": row.uid,
            "sequence": row.sequence,
            "organizer": row.organizer,
            "attendee": row.attendee,
            "summary": row.summary,
            "dates": [
                {
                    "recurrence": row.recurrence,
                    "start": row.starts_at.isoformat(),
                    "end": row.ends_at.isoformat(),
                    "answer": answer.value,
                    "why": why,
                    "now": [item.starts_at.isoformat(), item.ends_at.isoformat()]
                    if moved and not gone
                    else None,
                    "booking_id": str(booking.id),
                    "reasons": [],
                    "instead": [],
                }
            ],
        },
        [(row.id, booking.version)],
    )


def _loaded() -> Any:
    places = selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility)
    return select(Booking).options(joinedload(Booking.person), places)
