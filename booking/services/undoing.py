"""Taking back: for ten minutes what somebody did to a booking can be as if it had not been done."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import chemicals
from booking.domain.access import SYSTEM, Actor, Forbidden
from booking.domain.credit import Deed as Noted
from booking.domain.lifecycle import Action, State
from booking.domain.occupation import Item
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import approval_steps, attendance, bookings, credit, instruments, papers
from models import Booking, Event

WITHIN = timedelta(minutes=10)


class Deed(enum.StrEnum):
    """What can be taken back."""

    PLACED = "placed"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    MISSED = "missed"


DEEDS = {
    "booking.placed": Deed.PLACED,
    "booking.requested": Deed.PLACED,
    "booking.changed": Deed.CHANGED,
    "booking.cancelled": Deed.CANCELLED,
    "booking.withdrawn": Deed.CANCELLED,
    "booking.no_show": Deed.MISSED,
}

ACTIONS = {
    Deed.PLACED: "booking.cancel",
    Deed.CHANGED: "booking.change",
    Deed.CANCELLED: "booking.change",
    Deed.MISSED: "booking.miss",
}
"""What one must be allowed to do to a booking to take the deed back."""

TOGETHER = frozenset({"series", "swap", "undo"})
"""Marks of deeds that cannot be taken back alone: of a whole series, of two people, and what took something back."""


@dataclass(frozen=True, slots=True)
class Undoable:
    """What the actor did last to a booking, and until when they can take it back; `data` is what the event keeps."""

    deed: Deed
    until: datetime
    data: Mapping[str, Any]


def open_for(
    session: Session, *, actor: Actor, found: Iterable[Booking], now: datetime
) -> dict[UUID, Undoable]:
    """Give what the actor can still take back of these bookings; one statement, none if nothing is that fresh."""
    fresh = {row.id: row for row in found if row.updated_at > now - WITHIN}
    if not fresh or actor.person_id is None:
        return {}
    query = (
        select(Event)
        .where(Event.booking_id.in_(fresh), Event.kind.in_(DEEDS), Event.at > now - WITHIN)
        .order_by(Event.id)
    )
    last = {event.booking_id: event for event in session.scalars(query) if event.booking_id}
    return {
        key: Undoable(deed, event.at + WITHIN, event.data)
        for key, event in last.items()
        if (deed := _own(actor, fresh[key], event, now)) is not None
    }


def _own(actor: Actor, booking: Booking, event: Event, now: datetime) -> Deed | None:
    """Give the deed of an event, None where it was another's, is not the last, or comes too late to be undone."""
    deed = DEEDS[event.kind]
    mine = event.actor_id == actor.person_id and bookings.may_on(actor, ACTIONS[deed], booking)
    last = event.data.get("version") == booking.version and not TOGETHER & event.data.keys()
    ahead = (booking.ends_at if deed is Deed.MISSED else booking.starts_at) > now
    return deed if mine and last and ahead else None


def undo(
    session: Session, *, actor: Actor, booking_id: UUID, version: int | None = None, now: datetime
) -> Booking:
    """Take back what the actor did last to a booking, and give what there is now.

    What was placed is given up, whatever notice that usually wants and without a point of credit. What was changed is
    as it was. What was cancelled is placed again with all that it had, as another booking; points that it cost are
    given back. Whom one noted as not having come is expected again, or has come if the grace is over. Time that is to
    be had back must still be free, and limits must allow it; how soon or how far ahead one books is not asked again.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Stale: if the version is not the booking's
    :raises Refused: if there is nothing to take back, or with every reason against what there was
    """
    booking = bookings.lock_for(
        session, actor=actor, booking_id=booking_id, action="booking.see", version=version
    )
    action = "booking.miss" if booking.state is State.NO_SHOW else "booking.change"
    if not bookings.may_on(actor, action, booking):
        raise Forbidden(action)
    known = open_for(session, actor=actor, found=[booking], now=now).get(booking.id)
    if known is None:
        minutes = int(WITHIN.total_seconds() // 60)
        raise Refused([Reason("nothing_to_undo", {"minutes": minutes})])
    if known.deed is Deed.PLACED:
        return bookings.finish(
            session, actor=actor, booking=booking, action=Action.CANCEL, now=now, undo=str(booking.id)
        )
    if known.deed is Deed.MISSED:
        return attendance.take_back(session, actor=actor, booking=booking, now=now, undo=booking.id)
    if known.deed is Deed.CHANGED:
        return _change_back(session, actor, booking, known.data, now)
    return _place_again(session, actor, booking, now)


def _change_back(
    session: Session, actor: Actor, booking: Booking, data: Mapping[str, Any], now: datetime
) -> Booking:
    before: dict[str, Any] = {name: old for name, (old, _new) in data["changes"].items()}
    return bookings.change(
        session,
        actor=actor,
        booking_id=booking.id,
        version=booking.version,
        items=_items(session, before["items"]) if "items" in before else None,
        purpose=before.get("purpose"),
        confidential=before.get("confidential"),
        chemicals=[chemicals.kept(one) for one in before["chemicals"]] if "chemicals" in before else None,
        undo=State.CONFIRMED if data.get("asks_again") else booking.state,
        now=now,
    )


def _items(session: Session, kept: Sequence[Sequence[Any]]) -> list[Item]:
    """Read the items as an event keeps them."""
    ids = instruments.by_codes(session, actor=SYSTEM, codes=[code for code, *_rest in kept])
    return [
        Item(ids[code], Span(datetime.fromisoformat(start), datetime.fromisoformat(end)), quantity)
        for code, start, end, quantity in kept
    ]


def _place_again(session: Session, actor: Actor, old: Booking, now: datetime) -> Booking:
    # Before the rules are asked: a ban that came of it does not stand in the way.
    credit.give_back(session, actor=actor, booking_id=old.id, deed=Noted.LATE_CANCELLATION, now=now)
    series = (old.series_id, old.series_day) if old.series_id and old.series_day else None
    again = bookings.place(
        session,
        actor=actor,
        items=bookings.items_of(old),
        purpose=old.purpose,
        project_id=old.project_id,
        confidential=old.confidential,
        booked_for=old.person_id,
        chemicals=approval_steps.declared(session, booking_id=old.id),
        series=series,
        at_once=True,
        needed_by=old.needed_by,
        undo=old.id,
        now=now,
    )
    again.booked_by_id = old.booked_by_id
    again.may_move, again.makes_room, again.if_silent = old.may_move, old.makes_room, old.if_silent
    again.created_at = old.created_at  # what is given up late is so, however often it is taken back
    papers.carry(session, from_id=old.id, to_id=again.id)
    session.flush()
    return bookings.by_ids(session, ids=[again.id])[0]
