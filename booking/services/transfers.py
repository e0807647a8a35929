"""Transfers: a booking handed to a colleague without its time ever being free, or two that change hands."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, require
from booking.domain.lifecycle import Action, State, after
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import acting, bookings, events, gates, occupation
from booking.services.bookings import Stale
from booking.services.gates import Wish
from models import (
    Booking,
    BookingItem,
    Instrument,
    Organisation,
    OrganisationKind,
    ProjectMember,
    Transfer,
    TransferState,
)

LONGEST_NOTE = 500

AHEAD = frozenset({State.REQUESTED, State.CONFIRMED})
"""The states in which a booking can change hands, as long as it has not begun."""


# --- asking ---------------------------------------------------------------------------------------


def offer(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    to: UUID,
    for_booking_id: UUID | None = None,
    note: str = "",
    now: datetime,
) -> Transfer:
    """Offer a booking to a colleague of its person; the facility's managers offer it to anybody.

    With `for_booking_id`, a booking of theirs that the actor may see, it is a swap. Nothing changes until they
    accept.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not hand it over
    :raises Invalid: for `to`, if there is nobody of that name whom it may be offered to
    :raises WrongMove: if a booking's state does not allow it
    :raises Refused: if one has begun, or is offered to somebody already
    """
    booking, other = lock_both(session, booking_id, for_booking_id)
    booking = bookings.get(session, actor=actor, booking_id=booking_id)
    if not bookings.may_on(actor, "booking.hand_over", booking):
        raise Forbidden("booking.hand_over")
    if to == booking.person_id:
        raise Invalid({"to": "oneself"})
    _require_colleague(session, actor, booking, to)
    if other is not None:
        other = bookings.get(session, actor=actor, booking_id=other.id)
        if other.person_id != to or other.id == booking.id:
            raise NotFound("booking", other.id)
    return _open(session, actor, booking, other, to, note, now)


def exchange(
    session: Session, *, actor: Actor, transfer_id: UUID, booking_id: UUID, note: str = "", now: datetime
) -> Transfer:
    """Answer an offer with a booking of one's own: a swap, if the other agrees.

    :raises NotFound: if there is no such offer to this actor, or no such booking of theirs
    :raises WrongMove: if a booking's state does not allow it
    :raises Refused: if the offer is over, or a booking has begun or is offered to somebody already
    """
    require(actor, "transfer.answer")
    asked = of_mine(session, actor, transfer_id)
    if asked.blind:
        raise NotFound("transfer", transfer_id)
    booking, other = lock_both(session, booking_id, asked.booking_id)
    asked = take_up(session, asked.id)
    if other is None or booking.person_id != actor.person_id or booking.id == other.id:
        raise NotFound("booking", booking_id)
    made = _open(session, actor, booking, other, asked.from_id, note, now)
    asked.state, asked.answered_at = TransferState.DECLINED, now
    note_of(session, actor, "transfer.countered", asked, other, now, person_id=None)
    session.flush()
    return made


def _require_colleague(session: Session, actor: Actor, booking: Booking, to: UUID) -> None:
    """Let it be offered to colleagues, and by managers to anybody; others are as unknown as those who are not."""
    if acting.actor_of(session, to) is None:
        raise Invalid({"to": "nobody"})
    if bookings.may_on(actor, "booking.approve", booking):
        return
    if not acting.are_colleagues(session, booking.person_id, to):
        raise Invalid({"to": "nobody"})


def _open(
    session: Session,
    actor: Actor,
    booking: Booking,
    other: Booking | None,
    to: UUID,
    note: str,
    now: datetime,
) -> Transfer:
    given = [booking, *([other] if other is not None else [])]
    for one in given:
        require_ahead(one, now)
    require_unasked(session, booking)
    made = Transfer(
        booking_id=booking.id,
        for_booking_id=other.id if other is not None else None,
        from_id=booking.person_id,
        to_id=to,
        note=note.strip()[:LONGEST_NOTE],
        terms={str(one.id): _terms(one) for one in given},
        state=TransferState.OPEN,
        asked_at=now,
    )
    session.add(made)
    session.flush()
    note_of(session, actor, "transfer.asked", made, booking, now, person_id=to, note=made.note)
    session.flush()
    return get(session, actor=actor, transfer_id=made.id)


def require_unasked(session: Session, booking: Booking) -> None:
    """Let a booking be offered once at a time.

    :raises Refused: if it is offered already
    """
    known = select(Transfer.id).where(Transfer.state == TransferState.OPEN, Transfer.booking_id == booking.id)
    if session.scalar(known) is not None:
        raise Refused([Reason("transfer_open")])


def require_ahead(booking: Booking, now: datetime) -> None:
    """Let a booking change hands as long as it has not begun.

    :raises WrongMove: if its state allows no change
    :raises Refused: if it has begun
    """
    after(booking.state, Action.CHANGE)
    if booking.state not in AHEAD or booking.starts_at <= now:
        raise Refused([Reason("already_started", {"start": booking.starts_at})])


def _terms(booking: Booking) -> list[list[Any]]:
    return [
        [row.instrument_id, row.starts_at.isoformat(), row.ends_at.isoformat(), row.quantity]
        for row in booking.items
    ]


# --- answering ------------------------------------------------------------------------------------


def accept(session: Session, *, actor: Actor, transfer_id: UUID, now: datetime) -> Transfer:
    """Take a booking over, or swap two: state and approvals stay, the time is never free in between.

    Who takes a booking must pass everything that is asked of a person; in a swap both must.

    :raises NotFound: if there is no such offer to this actor
    :raises WrongMove: if the state of a booking no longer allows it
    :raises Refused: if the offer is over, a booking was moved or has begun, or the rules stand against a person
    """
    require(actor, "transfer.answer")
    seen = of_mine(session, actor, transfer_id)
    if seen.blind:  # who swaps times gets nobody's booking
        raise NotFound("transfer", transfer_id)
    booking, other = lock_both(session, seen.booking_id, seen.for_booking_id)
    transfer = take_up(session, transfer_id)
    given = [(booking, transfer.from_id, transfer.to_id)]
    if other is not None:
        given.append((other, transfer.to_id, transfer.from_id))
    for one, owner, _new in given:
        if one.person_id != owner:
            raise Refused([Reason("transfer_over", {"state": TransferState.LAPSED.value})])
        require_ahead(one, now)
        if _terms(one) != transfer.terms.get(str(one.id)):
            raise Refused([Reason("transfer_moved")])
    names = {transfer.from_id: booking.person.name, transfer.to_id: actor.name}
    for one, _owner, new in given:
        _give(session, one, new, now)
    session.flush()
    _judge(session, actor, given, now)
    for one, owner, new in given:
        events.record(
            session,
            actor=actor,
            kind="booking.handed_over",
            now=now,
            booking=one,
            facility_id=one.items[0].instrument.facility_id,
            version=one.version,
            comment=f"{names[owner]} → {names[new]}",
            person_id=str(new),
            from_id=str(owner),
            from_name=names[owner],
            to_name=names[new],
        )
    transfer.state, transfer.answered_at = TransferState.ACCEPTED, now
    note_of(session, actor, "transfer.accepted", transfer, booking, now, person_id=transfer.from_id)
    drop_others(session, actor, transfer, [one for one, _, _ in given], now)
    session.flush()
    return get(session, actor=actor, transfer_id=transfer.id)


def _give(session: Session, booking: Booking, new: UUID, now: datetime) -> None:
    """Make it the other person's, who pays with a project only if they work for it."""
    person = acting.actor_of(session, new)
    if person is None:
        raise Refused([Reason("transfer_over", {"state": TransferState.LAPSED.value})])
    if booking.project_id is not None and session.get(ProjectMember, (booking.project_id, new)) is None:
        booking.project_id = None
    if booking.project_id is None and booking.organisation_id not in person.organisations:
        booking.organisation_id = min(person.organisations, default=None)
        if booking.organisation_id is not None:
            kind = session.get_one(Organisation, booking.organisation_id).kind
            booking.confidential = booking.confidential or kind is OrganisationKind.ENTERPRISE
    booking.person_id, booking.booked_by_id = new, None
    booking.version += 1
    booking.sequence += 1
    booking.updated_at = now


def _judge(
    session: Session, actor: Actor, given: Sequence[tuple[Booking, UUID, UUID]], now: datetime
) -> None:
    """Ask of each new owner what is asked of a person; of the other's lacks the actor hears no more than that.

    :raises Refused: with every reason
    """
    reasons: list[Reason] = []
    for booking, _owner, new in given:
        items = [
            Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items
        ]
        held = {row.instrument_id: row.instrument for row in booking.items}
        wish = Wish(new, booking.organisation_id, booking.project_id, items, held, now, booking.id)
        stand = gates.reasons(session, wish)
        if stand and new != actor.person_id:
            stand = [Reason("other_person_refused")]
        reasons += stand
    if reasons:
        raise Refused(reasons)


def drop_others(
    session: Session, actor: Actor, done: Transfer, given: Iterable[Booking], now: datetime
) -> None:
    """End every other offer of these bookings: they are no longer whose they were."""
    known = {booking.id: booking for booking in given}
    others = session.scalars(
        select(Transfer)
        .where(
            Transfer.state == TransferState.OPEN,
            Transfer.id != done.id,
            or_(Transfer.booking_id.in_(known), Transfer.for_booking_id.in_(known)),
        )
        .order_by(Transfer.id)
        .with_for_update()
    )
    for one in others.all():
        one.state, one.answered_at = TransferState.WITHDRAWN, now
        booking = known.get(one.booking_id)
        note_of(session, actor, "transfer.withdrawn", one, booking, now, person_id=one.to_id)


def decline(session: Session, *, actor: Actor, transfer_id: UUID, note: str = "", now: datetime) -> Transfer:
    """Say no to an offer.

    :raises NotFound: if there is no such offer to this actor
    :raises Refused: if it is over
    """
    require(actor, "transfer.answer")
    transfer = take_up(session, of_mine(session, actor, transfer_id).id)
    transfer.state, transfer.answered_at = TransferState.DECLINED, now
    reason = note.strip()[:LONGEST_NOTE]
    booking = session.get_one(Booking, transfer.booking_id)
    note_of(
        session, actor, "transfer.declined", transfer, booking, now, person_id=transfer.from_id, note=reason
    )
    session.flush()
    return get(session, actor=actor, transfer_id=transfer.id)


def withdraw(session: Session, *, actor: Actor, transfer_id: UUID, now: datetime) -> Transfer:
    """Take an offer back; for its person, and for whoever may hand the booking over.

    :raises NotFound: if there is no such offer that this actor may see
    :raises Forbidden: if it is not theirs to take back
    :raises Refused: if it is over
    """
    seen = get(session, actor=actor, transfer_id=transfer_id)
    booking = seen.booking
    if seen.from_id != actor.person_id and not bookings.may_on(actor, "booking.hand_over", booking):
        raise Forbidden("booking.hand_over")
    require(actor, "transfer.answer")
    transfer = take_up(session, transfer_id)
    transfer.state, transfer.answered_at = TransferState.WITHDRAWN, now
    note_of(session, actor, "transfer.withdrawn", transfer, booking, now, person_id=transfer.to_id)
    session.flush()
    return get(session, actor=actor, transfer_id=transfer_id)


def of_mine(session: Session, actor: Actor, transfer_id: UUID) -> Transfer:
    """Give an offer to the actor."""
    found = session.get(Transfer, transfer_id)
    if found is None or found.to_id != actor.person_id:
        raise NotFound("transfer", transfer_id)
    return found


def take_up(session: Session, transfer_id: UUID) -> Transfer:
    """Lock an offer that is open, after the instruments: of two answers the second finds it answered.

    :raises Refused: if it is over
    """
    found = session.scalars(
        select(Transfer)
        .where(Transfer.id == transfer_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if found.state is not TransferState.OPEN:
        raise Refused([Reason("transfer_over", {"state": found.state.value})])
    return found


def lock_both(
    session: Session, booking_id: UUID, for_booking_id: UUID | None
) -> tuple[Booking, Booking | None]:
    """Lock the instruments of one booking or two, in id order, then read them.

    :raises NotFound: if there is no such booking
    :raises Stale: if one was moved to another instrument while this command waited
    """
    wanted = {booking_id, *([for_booking_id] if for_booking_id else [])}
    places = session.execute(
        select(BookingItem.booking_id, BookingItem.instrument_id).where(BookingItem.booking_id.in_(wanted))
    ).all()
    for lost in wanted - {place.booking_id for place in places}:
        raise NotFound("booking", lost)
    locked = occupation.lock(session, {place.instrument_id for place in places})
    found = {booking.id: booking for booking in bookings.by_ids(session, ids=wanted)}
    if any(row.instrument_id not in locked.instruments for one in found.values() for row in one.items):
        raise Stale
    return found[booking_id], found[for_booking_id] if for_booking_id else None


def note_of(
    session: Session,
    actor: Actor,
    kind: str,
    transfer: Transfer,
    booking: Booking | None,
    now: datetime,
    *,
    person_id: UUID | None,
    note: str = "",
) -> None:
    """Record what became of an offer; `person_id` hears of it."""
    if transfer.blind:
        # Of a swap of times each hears by their own booking, and of nobody.
        actor = SYSTEM
        mine = transfer.for_booking_id if person_id == transfer.to_id else transfer.booking_id
        booking = session.get_one(Booking, mine)
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        subject=str(transfer.id),
        transfer_id=str(transfer.id),
        person_id=str(person_id) if person_id else None,
        swap=transfer.for_booking_id is not None,
        blind=transfer.blind,
        note=note,
    )


# --- what is read ---------------------------------------------------------------------------------


def get(session: Session, *, actor: Actor, transfer_id: UUID) -> Transfer:
    """Give an offer with its bookings and people, for both of them and for those who may see its booking.

    :raises NotFound: if there is none that this actor may see
    """
    found = session.scalars(_whole().where(Transfer.id == transfer_id)).one_or_none()
    if found is None or not (
        actor.person_id in {found.from_id, found.to_id}
        or bookings.may_on(actor, "booking.see", found.booking)
    ):
        raise NotFound("transfer", transfer_id)
    return found


def listing(
    session: Session,
    *,
    actor: Actor,
    states: Iterable[TransferState] = (),
    page: int = 1,
    page_size: int = 50,
) -> tuple[list[Transfer], int]:
    """Give what is asked of the actor and by them, open ones first, then the newest; and how many there are."""
    require(actor, "transfer.list")
    mine = or_(Transfer.to_id == actor.person_id, Transfer.from_id == actor.person_id)
    chosen = _whole().where(mine)
    wanted = list(states)
    if wanted:
        chosen = chosen.where(Transfer.state.in_(wanted))
    total = session.scalar(chosen.with_only_columns(func.count()).order_by(None)) or 0
    rows = session.scalars(
        chosen.order_by(Transfer.state != TransferState.OPEN, Transfer.asked_at.desc(), Transfer.id)
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    return list(rows), total


def waiting(session: Session, *, actor: Actor) -> int:
    """Count the offers that wait for the actor's answer; one statement."""
    query = (
        select(func.count())
        .select_from(Transfer)
        .where(Transfer.to_id == actor.person_id, Transfer.state == TransferState.OPEN)
    )
    return session.scalar(query) or 0


def open_for(session: Session, *, booking_id: UUID) -> Transfer | None:
    """Give the open offer of a booking with its taker, for readers who may see the booking."""
    query = select(Transfer).where(Transfer.booking_id == booking_id, Transfer.state == TransferState.OPEN)
    return session.scalars(query.options(joinedload(Transfer.taker))).one_or_none()


def exchangeable(session: Session, *, actor: Actor, now: datetime) -> list[Booking]:
    """Give the actor's own bookings that could be given in exchange, the next first."""
    ids = session.scalars(
        select(Booking.id)
        .where(Booking.person_id == actor.person_id, Booking.state.in_(AHEAD), Booking.starts_at > now)
        .order_by(Booking.starts_at)
        .limit(100)
    ).all()
    return bookings.by_ids(session, ids=ids)


def _whole() -> Select[Transfer]:
    ways = (
        selectinload(way).options(
            joinedload(Booking.person),
            selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility),
        )
        for way in (Transfer.booking, Transfer.for_booking)
    )
    query = select(Transfer).options(*ways, joinedload(Transfer.giver), joinedload(Transfer.taker))
    return query.execution_options(populate_existing=True)


# --- what is over ---------------------------------------------------------------------------------


def anything_lapsed(session: Session, *, now: datetime) -> bool:
    """Tell whether `lapse` would find anything."""
    return session.scalar(_over(now).limit(1)) is not None


def lapse(session: Session, *, now: datetime, limit: int = 100) -> int:
    """End the offers of bookings that have begun or were given up; give their number."""
    ids = session.scalars(_over(now).limit(limit)).all()
    found = session.scalars(
        select(Transfer)
        .where(Transfer.id.in_(ids), Transfer.state == TransferState.OPEN)
        .order_by(Transfer.id)
        .with_for_update(skip_locked=True)
    ).all()
    for transfer in found:
        transfer.state, transfer.answered_at = TransferState.LAPSED, now
        booking = session.get_one(Booking, transfer.booking_id)
        note_of(session, SYSTEM, "transfer.lapsed", transfer, booking, now, person_id=transfer.from_id)
    session.flush()
    return len(found)


def _over(now: datetime) -> Select[UUID]:
    gone = or_(Booking.state.not_in(AHEAD), Booking.starts_at <= now)
    return (
        select(Transfer.id)
        .join(Booking, or_(Booking.id == Transfer.booking_id, Booking.id == Transfer.for_booking_id))
        .where(Transfer.state == TransferState.OPEN, gone)
        .order_by(Transfer.id)
    )
