"""Swaps of time: two people give each other their times, and neither learns whose the other one was.

Whoever asks sees of others only that a time is taken, as on every timeline, and chooses by the time. Both bookings
stay whose they are, with all that was said for them; they move into each other's place at once, if the other agrees
and the rules let both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload

from booking.domain.access import Actor, Forbidden, require
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, instruments, transfers
from models import Booking, BookingItem, Instrument, Person, Transfer, TransferState

AHEAD = timedelta(days=28)
"""So far on, times are looked for."""

MOST = 30
"""So many times are shown at once."""

LOOKED_AT = 60
"""So many times of others are put before the rules at once, the next first: each costs what a verdict does."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that somebody else has."""

    span: Span
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class Found:
    """Times that others have, and from when on there may be more."""

    slots: list[Slot]
    later: datetime | None


def own(session: Session, *, actor: Actor, booking_id: UUID, now: datetime) -> Booking:
    """Give a booking of the actor's that could be swapped.

    :raises NotFound: if there is none that the actor may see
    :raises Forbidden: if it is not theirs: nobody else agrees to another time for them
    :raises Refused: if it is for several instruments, or has begun or is over
    """
    booking = bookings.get(session, actor=actor, booking_id=booking_id)
    if booking.person_id != actor.person_id:
        raise Forbidden("booking.swap")
    if len(booking.items) != 1:
        raise Refused([Reason("swap_several")])
    transfers.require_ahead(booking, now)
    return booking


def slots(
    session: Session, *, actor: Actor, booking: Booking, since: datetime | None = None, now: datetime
) -> Found:
    """Give the times of others on the same instrument, or an equal one, that the rules let the actor have.

    The next first, or the next from an instant on.
    """
    quantity = booking.items[0].quantity
    found: list[Slot] = []
    for number, slot in enumerate(_taken(session, booking, since, now)):
        if number == LOOKED_AT or len(found) == MOST:
            return Found(found, slot.span.start)
        theirs = [Item(slot.instrument.id, slot.span, quantity)]
        if not bookings.stand_against(session, actor=actor, booking=booking, items=theirs, now=now):
            found.append(slot)
    return Found(found, None)


def _taken(session: Session, booking: Booking, since: datetime | None, now: datetime) -> Iterator[Slot]:
    places = _places(session, booking)
    query = (
        select(BookingItem.instrument_id, BookingItem.starts_at, BookingItem.ends_at)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(
            *_swappable(booking, now),
            BookingItem.instrument_id.in_(places),
            BookingItem.starts_at >= max(since or now, now),
            BookingItem.starts_at < now + AHEAD,
        )
        .distinct()
        .order_by(BookingItem.starts_at, BookingItem.ends_at, BookingItem.instrument_id)
        .limit(LOOKED_AT + 1)
    )
    rows = session.execute(query).all()
    return (Slot(Span(start, end), places[place]) for place, start, end in rows)


def _places(session: Session, booking: Booking) -> dict[int, Instrument]:
    item = booking.items[0]
    equal = availability.equals(session, instrument=item.instrument, quantity=item.quantity)
    return {row.id: row for row in (item.instrument, *equal)}


def _swappable(booking: Booking, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Booking.person_id != booking.person_id,
        Booking.state.in_(transfers.AHEAD),
        Booking.starts_at > now,
        BookingItem.quantity == booking.items[0].quantity,
    )


def propose(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    instrument: str,
    span: Span,
    note: str = "",
    now: datetime,
) -> Transfer:
    """Ask whoever has a time to swap it for that of one's own booking; nothing changes until they agree.

    :raises NotFound: if there is no such booking or instrument for this actor
    :raises Forbidden: if the booking is somebody else's
    :raises WrongMove: if a booking's state does not allow it
    :raises Refused: if nobody has this time any more, the rules stand against the actor, or one is asked already
    """
    booking = own(session, actor=actor, booking_id=booking_id, now=now)
    place = instruments.by_code(session, actor=actor, code=instrument)
    other_id = None
    if place.id in _places(session, booking):
        other_id = session.scalar(
            select(Booking.id)
            .join(BookingItem, BookingItem.booking_id == Booking.id)
            .where(
                *_swappable(booking, now),
                BookingItem.instrument_id == place.id,
                BookingItem.starts_at == span.start,
                BookingItem.ends_at == span.end,
            )
            .order_by(Booking.created_at, Booking.id)
            .limit(1)
        )
    if other_id is None:
        raise Refused([Reason("swap_gone")])
    booking, other = transfers.lock_both(session, booking_id, other_id)
    mine = Item(booking.items[0].instrument_id, _span(booking.items[0]), booking.items[0].quantity)
    theirs = Item(place.id, span, mine.quantity)
    if other is None or theirs not in bookings.items_of(other):
        raise Refused([Reason("swap_gone")])
    transfers.require_ahead(other, now)
    transfers.require_unasked(session, booking)
    _refuse(bookings.stand_against(session, actor=actor, booking=booking, items=[theirs], now=now))
    made = Transfer(
        booking_id=booking.id,
        for_booking_id=other.id,
        from_id=booking.person_id,
        to_id=other.person_id,
        note=note.strip()[: transfers.LONGEST_NOTE],
        terms={str(booking.id): _terms(mine), str(other.id): _terms(theirs), "blind": True},
        state=TransferState.OPEN,
        asked_at=now,
    )
    session.add(made)
    session.flush()
    transfers.note_of(
        session, actor, "transfer.asked", made, other, now, person_id=made.to_id, note=made.note
    )
    session.flush()
    return transfers.get(session, actor=actor, transfer_id=made.id)


def accept(session: Session, *, actor: Actor, transfer: Transfer, now: datetime) -> Transfer:
    """Let two bookings move into each other's place, both or neither.

    :raises WrongMove: if the state of a booking no longer allows it
    :raises Refused: if the offer is over, a booking was moved or has begun, or the rules stand against either
    """
    booking, other = transfers.lock_both(session, transfer.booking_id, transfer.for_booking_id)
    transfer = transfers.take_up(session, transfer.id)
    if other is None:
        raise Refused([Reason("swap_gone")])
    mine, theirs = terms_of(transfer, booking.id), terms_of(transfer, other.id)
    for one, owner, item in ((booking, transfer.from_id, mine), (other, transfer.to_id, theirs)):
        if one.person_id != owner:
            raise Refused([Reason("transfer_over", {"state": TransferState.LAPSED.value})])
        transfers.require_ahead(one, now)
        if item not in bookings.items_of(one):
            raise Refused([Reason("transfer_moved")])
    moves = [(booking, _with(booking, mine, theirs)), (other, _with(other, theirs, mine))]
    bookings.trade(session, actor=actor, moves=moves, now=now, swap=transfer.id)
    transfer.state, transfer.answered_at = TransferState.ACCEPTED, now
    transfers.note_of(session, actor, "transfer.accepted", transfer, booking, now, person_id=transfer.from_id)
    transfers.drop_others(session, actor, transfer, [booking, other], now)
    session.flush()
    return transfers.get(session, actor=actor, transfer_id=transfer.id)


def _with(booking: Booking, old: Item, new: Item) -> list[Item]:
    return [new if item == old else item for item in bookings.items_of(booking)]


def _refuse(reasons: Sequence[Reason]) -> None:
    if reasons:
        raise Refused(reasons)


def _span(row: BookingItem) -> Span:
    return Span(row.starts_at, row.ends_at)


def _terms(item: Item) -> list[list[object]]:
    return [[item.instrument_id, item.span.start.isoformat(), item.span.end.isoformat(), item.quantity]]


def terms_of(transfer: Transfer, booking_id: UUID) -> Item:
    """Give the time of one of the bookings that was to be swapped."""
    ((place, start, end, quantity),) = transfer.terms[str(booking_id)]
    return Item(place, Span(datetime.fromisoformat(start), datetime.fromisoformat(end)), quantity)


# --- what each of them may know -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A time on one instrument."""

    instrument: Instrument
    starts_at: datetime
    ends_at: datetime
    quantity: int


@dataclass(frozen=True, slots=True)
class Side:
    """One of the times of a swap; id, state and purpose are those of a booking that the reader may see."""

    id: UUID | None
    items: list[Place]
    starts_at: datetime
    ends_at: datetime
    state: State | None
    purpose: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A swap as one of those concerned may see it; the other person is nobody."""

    id: UUID
    from_id: UUID
    to_id: UUID
    booking: Side
    for_booking: Side | None
    giver: Person | None
    taker: Person | None
    note: str
    state: TransferState
    asked_at: datetime
    answered_at: datetime | None
    blind: bool = True


def answer(session: Session, *, actor: Actor, transfer_id: UUID, now: datetime) -> Transfer:
    """Say yes to an offer: take a booking over, swap two, or two times.

    :raises NotFound: if there is no such offer to this actor
    :raises WrongMove: if the state of a booking no longer allows it
    :raises Refused: if it is over, a booking was moved or has begun, or the rules stand against somebody
    """
    require(actor, "transfer.answer")
    found = transfers.of_mine(session, actor, transfer_id)
    if found.blind:
        return accept(session, actor=actor, transfer=found, now=now)
    return transfers.accept(session, actor=actor, transfer_id=transfer_id, now=now)


def seen(session: Session, *, actor: Actor, found: Iterable[Transfer]) -> list[Transfer | Seen]:
    """Give offers as the actor may see them: of a swap of times the other's booking is a time and no more."""
    rows = list(found)
    terms = [terms_of(row, key) for row in rows if row.blind for key in _keys(row)]
    query = select(Instrument).where(Instrument.id.in_({item.instrument_id for item in terms}))
    places = (
        {row.id: row for row in session.scalars(query.options(joinedload(Instrument.facility)))}
        if terms
        else {}
    )
    return [_seen(actor, row, places) if row.blind else row for row in rows]


def _keys(row: Transfer) -> list[UUID]:
    return [key for key in (row.booking_id, row.for_booking_id) if key is not None]


def _seen(actor: Actor, row: Transfer, places: Mapping[int, Instrument]) -> Seen:
    other = row.for_booking
    return Seen(
        row.id,
        row.from_id,
        row.to_id,
        _side(actor, row, row.booking, places),
        _side(actor, row, other, places) if other is not None else None,
        row.giver if bookings.may_on(actor, "booking.see", row.booking) else None,
        row.taker if other is not None and bookings.may_on(actor, "booking.see", other) else None,
        row.note,
        row.state,
        row.asked_at,
        row.answered_at,
    )


def _side(actor: Actor, row: Transfer, booking: Booking, places: Mapping[int, Instrument]) -> Side:
    item = terms_of(row, booking.id)
    known = bookings.may_on(actor, "booking.see", booking)
    return Side(
        booking.id if known else None,
        [Place(places[item.instrument_id], item.span.start, item.span.end, item.quantity)],
        item.span.start,
        item.span.end,
        booking.state if known else None,
        booking.purpose if known else "",
    )
