"""Notifications: who hears of an event, what is due to be sent, and what became of it.

An event is dispatched once: in one transaction it is marked and its deliveries are written. A delivery is
claimed by moving its next try on, so that it comes up again should the sender die between sending and
marking; the second message then bears the same Message-ID. Nothing here sends anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import SYSTEM, Role
from booking.domain.lifecycle import State
from booking.domain.notices import Channel
from booking.services import events
from models import (
    Base,
    Booking,
    BookingItem,
    Delivery,
    Event,
    Instrument,
    Membership,
    OneTimeLink,
    Person,
    PersonState,
    Reminder,
)

TO_OWNER = frozenset(
    {
        "booking.placed",
        "booking.requested",
        "booking.changed",
        "booking.cancelled",
        "booking.withdrawn",
        "booking.approved",
        "booking.rejected",
        "booking.expired",
        "booking.displaced",
        "booking.reminded",
    }
)
"""Of these the booking's owner hears."""

TO_MANAGERS = frozenset({"booking.requested", "booking.changed"})
"""Of these the managers of its facilities hear, if the booking waits for them."""

TO_PERSON = frozenset({"person.signed_up", "person.password_reset_asked"})
"""Of these the person hears to whom the event's one-time link belongs."""

WAITING = "booking.waiting"
"""How a manager is told of a request; the owner is told in other words."""

TEMPLATES = TO_OWNER | TO_PERSON | {WAITING}
"""Every form of message that there is."""

REMINDED_AFTER = frozenset({"booking.placed", "booking.approved", "booking.changed"})

CLAIM = timedelta(minutes=5)
"""A claim that is neither marked nor given back in this time belonged to somebody who died."""

MOST_TRIES = 10
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
OUTAGE_PAUSE = timedelta(minutes=1)
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """All that a message is made of. `items` are those that the person may know of."""

    delivery_id: UUID
    template: str
    person: Person
    event: Event
    actor_name: str | None
    booking: Booking | None
    items: Sequence[BookingItem]
    link: OneTimeLink | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent: how many, and since when the oldest has been due."""

    waiting: int
    since: datetime | None


def anything_to_do(session: Session, *, now: datetime) -> bool:
    """Tell whether there is an event to dispatch or a delivery that is due."""
    return bool(
        session.scalar(select(exists().where(Event.dispatched_at.is_(None)) | exists().where(*_due(now))))
    )


def dispatch(session: Session, *, remind: Sequence[int], now: datetime, limit: int = 200) -> int:
    """Write the deliveries and reminders of the oldest events that have none yet; give their number.

    `remind` holds how many minutes before its start a confirmed booking is called to mind.
    """
    fresh = session.scalars(
        select(Event)
        .where(Event.dispatched_at.is_(None))
        .order_by(Event.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for event in fresh:
        event.dispatched_at = now
    bookings = _bookings(session, {event.booking_id for event in fresh if event.booking_id})
    _add_new(session, Delivery, _deliveries(session, fresh, bookings, now))
    _add_new(session, Reminder, _reminders(fresh, bookings, remind))
    return len(fresh)


def claim_due(session: Session, *, now: datetime, limit: int = 20) -> list[UUID]:
    """Claim the deliveries that have been due longest, for as long as `CLAIM`, and give their ids."""
    due = session.scalars(
        select(Delivery)
        .where(*_due(now))
        .order_by(Delivery.next_at, Delivery.event_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for delivery in due:
        delivery.claimed_at = now
        delivery.next_at = now + CLAIM
    return [delivery.id for delivery in due]


def give_back(session: Session, *, now: datetime, delivery_ids: Iterable[UUID] | None = None) -> None:
    """Make claims due again at once; without ids all of them: whoever made them is known to be dead."""
    claims = update(Delivery).where(
        Delivery.claimed_at.is_not(None), Delivery.sent_at.is_(None), Delivery.given_up_at.is_(None)
    )
    if delivery_ids is not None:
        claims = claims.where(Delivery.id.in_(list(delivery_ids)))
    session.execute(claims.values(claimed_at=None, next_at=now))


def notice(session: Session, *, delivery_id: UUID, now: datetime) -> Notice | None:
    """Give what the message is made of, or None when it would no longer be true."""
    delivery = session.get_one(Delivery, delivery_id)
    event = session.get_one(Event, delivery.event_id)
    person = session.get_one(Person, delivery.person_id)
    if person.state is not PersonState.ACTIVE:
        return None
    actor = session.get(Person, event.actor_id) if event.actor_id else None
    booking = _bookings(session, {event.booking_id})[event.booking_id] if event.booking_id else None
    link = _link(session, event)
    if booking is None and (link is None or link.used_at is not None or link.expires_at <= now):
        return None
    template, items = event.kind, list(booking.items) if booking else []
    if booking is not None and booking.person_id != person.id:
        template = WAITING
        places = _managed(session, person.id)
        items = [item for item in items if item.instrument.facility_id in places]
    if booking is not None and _obsolete(template, event, booking, items, now):
        return None
    return Notice(delivery_id, template, person, event, actor.name if actor else None, booking, items, link)


def sent(session: Session, *, delivery_id: UUID, now: datetime) -> None:
    """Mark that the message left; it is never sent again."""
    _set(session, delivery_id, sent_at=now, claimed_at=None, error="")


def give_up(session: Session, *, delivery_id: UUID, why: str, now: datetime) -> None:
    """Mark that the message will never leave, and why."""
    _set(session, delivery_id, given_up_at=now, claimed_at=None, error=why[:LONGEST_ERROR])


def put_off(session: Session, *, delivery_id: UUID, why: str, now: datetime) -> None:
    """Try this message again after a pause that doubles with every failure, and give up in the end."""
    delivery = session.get_one(Delivery, delivery_id)
    delivery.attempts += 1
    if delivery.attempts >= MOST_TRIES:
        give_up(session, delivery_id=delivery_id, why=why, now=now)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (delivery.attempts - 1))
    delivery.next_at = now + pause
    delivery.claimed_at = None
    delivery.error = why[:LONGEST_ERROR]


def wait_out(session: Session, *, delivery_ids: Iterable[UUID], why: str, now: datetime) -> None:
    """Try these again in a minute: the way out is blocked, which is no fault of theirs and is not counted."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(list(delivery_ids)), Delivery.sent_at.is_(None))
        .values(next_at=now + OUTAGE_PAUSE, claimed_at=None, error=why[:LONGEST_ERROR])
    )


def reminders_due(session: Session, *, now: datetime) -> bool:
    """Tell whether `remind` would find anything."""
    return bool(session.scalar(select(exists().where(Reminder.done_at.is_(None), Reminder.due_at <= now))))


def remind(session: Session, *, now: datetime, limit: int = 200) -> int:
    """Record the reminders that are due as events, each once; give the number of those taken up.

    A booking that was moved, given up or has begun is not called to mind; of several reminders that are due
    at once, after a pause of the jobs, only the last is said.
    """
    due = session.scalars(
        select(Reminder)
        .where(Reminder.done_at.is_(None), Reminder.due_at <= now)
        .order_by(Reminder.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    last: dict[tuple[UUID, datetime], int] = {}
    for reminder in due:
        reminder.done_at = now
        key = reminder.booking_id, reminder.starts_at
        last[key] = min(reminder.minutes, last.get(key, reminder.minutes))
    bookings = _bookings(session, {booking_id for booking_id, _ in last})
    for (booking_id, starts_at), minutes in last.items():
        booking = bookings[booking_id]
        if booking.state is State.CONFIRMED and booking.starts_at == starts_at and starts_at > now:
            events.record(
                session,
                actor=SYSTEM,
                kind="booking.reminded",
                now=now,
                booking=booking,
                facility_id=booking.items[0].instrument.facility_id,
                minutes=minutes,
                start=starts_at.isoformat(),
            )
    return len(due)


def backlog(session: Session) -> Backlog:
    """Give what has not left: events not dispatched, and messages that nobody could try to send yet.

    A message that its receiver's server refuses is not counted: it says nothing of our own way out.
    """
    fresh = select(func.count(), func.min(Event.at)).where(Event.dispatched_at.is_(None))
    unsent = (
        select(func.count(), func.min(Event.at))
        .select_from(Delivery)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.sent_at.is_(None), Delivery.given_up_at.is_(None), Delivery.attempts == 0)
    )
    (events_waiting, first), (letters_waiting, second) = (
        session.execute(fresh).one(),
        session.execute(unsent).one(),
    )
    since = min((at for at in (first, second) if at is not None), default=None)
    return Backlog(events_waiting + letters_waiting, since)


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Delivery.sent_at.is_(None), Delivery.given_up_at.is_(None), Delivery.next_at <= now


def _bookings(session: Session, ids: set[UUID]) -> dict[UUID, Booking]:
    if not ids:
        return {}
    return {booking.id: booking for booking in session.scalars(_loaded().where(Booking.id.in_(ids)))}


def _loaded() -> Select[Booking]:
    places = selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility)
    return select(Booking).options(joinedload(Booking.person), places)


def _deliveries(
    session: Session, fresh: Sequence[Event], bookings: Mapping[UUID, Booking], now: datetime
) -> list[dict[str, Any]]:
    managers = _managers(session, _facilities(bookings.values()))
    rows = []
    for event in fresh:
        hearers = set()
        booking = bookings.get(event.booking_id) if event.booking_id else None
        if booking is not None and event.kind in TO_OWNER:
            hearers.add(booking.person_id)
        if booking is not None and event.kind in TO_MANAGERS and booking.state is State.REQUESTED:
            hearers |= {person for place in _facilities([booking]) for person in managers.get(place, ())}
        if event.kind in TO_PERSON and (link := _link(session, event)) is not None:
            hearers.add(link.person_id)
        rows += [
            {
                "id": uuid4(),
                "event_id": event.id,
                "person_id": person_id,
                "channel": Channel.MAIL,
                "next_at": now,
                "attempts": 0,
                "error": "",
            }
            for person_id in sorted(hearers)
        ]
    return rows


def _reminders(
    fresh: Sequence[Event], bookings: Mapping[UUID, Booking], remind: Sequence[int]
) -> list[dict[str, Any]]:
    """Give a row for each time before the start that had not yet come when the event told of the booking."""
    rows = []
    for event in fresh:
        booking = bookings.get(event.booking_id) if event.booking_id else None
        if booking is None or event.kind not in REMINDED_AFTER or booking.state is not State.CONFIRMED:
            continue
        for minutes in remind:
            due_at = booking.starts_at - timedelta(minutes=minutes)
            if due_at > event.at:
                rows.append(
                    {
                        "booking_id": booking.id,
                        "starts_at": booking.starts_at,
                        "minutes": minutes,
                        "due_at": due_at,
                    }
                )
    return rows


def _add_new(session: Session, table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert the rows that are not there yet."""
    if rows:
        make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
        session.execute(make(table).on_conflict_do_nothing(), rows)


def _facilities(bookings: Iterable[Booking]) -> set[int]:
    return {item.instrument.facility_id for booking in bookings for item in booking.items}


def _managers(session: Session, facility_ids: set[int]) -> dict[int, set[UUID]]:
    query = (
        select(Membership.facility_id, Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(
            Membership.role == Role.MANAGER,
            Membership.facility_id.in_(facility_ids),
            Person.state == PersonState.ACTIVE,
        )
    )
    found: dict[int, set[UUID]] = {}
    for facility_id, person_id in session.execute(query):
        if facility_id is not None:
            found.setdefault(facility_id, set()).add(person_id)
    return found


def _managed(session: Session, person_id: UUID) -> set[int]:
    """Give the facilities of which the person is a manager now, which may differ from when the event was."""
    query = select(Membership.facility_id).where(
        Membership.role == Role.MANAGER, Membership.person_id == person_id
    )
    return {place for place in session.scalars(query) if place is not None}


def _link(session: Session, event: Event) -> OneTimeLink | None:
    found = event.data.get("link_id")
    return session.get(OneTimeLink, UUID(found)) if event.kind in TO_PERSON and found else None


def _obsolete(
    template: str, event: Event, booking: Booking, items: Sequence[BookingItem], now: datetime
) -> bool:
    """Tell whether the message would say what is no longer so, or to somebody it no longer concerns."""
    if template == WAITING:
        return booking.state is not State.REQUESTED or not items
    if event.kind == "booking.reminded":
        moved = event.data.get("start") != booking.starts_at.isoformat()
        return moved or booking.state is not State.CONFIRMED or booking.starts_at <= now
    return False


def _set(session: Session, delivery_id: UUID, **values: Any) -> None:
    session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))
