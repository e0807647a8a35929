"""Holds: time that is kept for a few minutes, for who fills a form or was offered it from the waitlist."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from booking.domain import waitlist
from booking.domain.access import Actor, Forbidden, NotFound, require
from booking.domain.occupation import Claim, Item
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import bookings, occupation, policies, processes
from booking.services.rate_limits import Limit
from models import Booking, Hold, Occupation

LIFE = timedelta(minutes=5)
MOST_RENEWALS = 1
TAKINGS = Limit("holds", 120, 3600)
"""So often in an hour may one person take a hold; a form takes one for each time that is tried in it."""


def take(
    session: Session,
    *,
    actor: Actor,
    items: Sequence[Item],
    project_id: UUID | None = None,
    booking_id: UUID | None = None,
    booked_for: UUID | None = None,
    now: datetime,
) -> Hold:
    """Keep time for the actor while they decide, in place of what was kept for them before.

    It is judged as a booking of it would be; or, with a booking's id, as that change of it, of which only what the
    booking does not have yet is held.

    :raises NotFound: if there is no such instrument, project or booking for this actor
    :raises Forbidden: if the actor may not change the booking
    :raises Refused: with every reason, if any rule stands against it
    :raises Invalid: if the items make no sense
    """
    require(actor, "hold.take")
    if actor.person_id is None:
        raise Forbidden("hold.take", sign_in=True)
    places = {item.instrument_id for item in items}
    known = _booking(session, actor, booking_id)
    if known is not None:
        places |= {item.instrument_id for item in known.items}
    old = session.scalars(select(Hold.id).where(Hold.person_id == actor.person_id, ~Hold.offered)).all()
    locked = occupation.lock(session, places | occupation.held_places(session, hold_ids=old))
    known = _booking(session, actor, booking_id)
    occupation.drop(session, hold_ids=old, now=now)
    session.execute(delete(Hold).where(Hold.id.in_(old)))
    if known is not None:
        items = processes.inherited(items, known.items)
    claims = bookings.cleared(
        session,
        actor=actor,
        items=items,
        locked=locked,
        project_id=project_id,
        booking=known,
        booked_for=booked_for,
        now=now,
    )
    if known is not None:
        claims = _beyond(session, claims, known.id)
    hold = _only(session, actor.person_id, now)
    hold.draws = processes.held_draws(items, known.items if known is not None else ())
    occupation.hold(
        session,
        claims=claims,
        instruments=locked.instruments,
        hold_id=hold.id,
        person_id=actor.person_id,
        expires_at=hold.expires_at,
    )
    return hold


def renew(session: Session, *, actor: Actor, hold_id: UUID, now: datetime) -> Hold:
    """Keep the time for another while; once.

    :raises NotFound: if the actor has no such hold
    :raises Refused: if it has run out or was renewed before
    """
    _own(session, actor, hold_id)
    occupation.lock(session, occupation.held_places(session, hold_ids=[hold_id]))
    hold = _own(session, actor, hold_id)
    if hold.expires_at <= now:
        raise Refused([Reason("hold_over")])
    if hold.renewed >= MOST_RENEWALS:
        raise Refused([Reason("hold_renewed", {"minutes": int(LIFE.total_seconds() // 60)})])
    hold.renewed += 1
    hold.expires_at = now + LIFE
    occupation.prolong(session, hold_id=hold_id, expires_at=hold.expires_at)
    session.flush()
    return hold


def release(session: Session, *, actor: Actor, hold_id: UUID, now: datetime) -> None:
    """Give the time back before it runs out.

    :raises NotFound: if the actor has no such hold
    """
    hold = _own(session, actor, hold_id)
    occupation.lock(session, occupation.held_places(session, hold_ids=[hold_id]))
    occupation.drop(session, hold_ids=[hold_id], now=now)
    session.delete(hold)
    session.flush()


def current(session: Session, *, actor: Actor, now: datetime) -> Hold | None:
    """Give the hold that counts for the actor at present, if it still keeps any time."""
    if actor.person_id is None:
        return None
    still = select(Occupation.hold_id).where(
        Occupation.person_id == actor.person_id, Occupation.expires_at > now
    )
    return session.scalar(
        select(Hold).where(
            Hold.person_id == actor.person_id, ~Hold.offered, Hold.expires_at > now, Hold.id.in_(still)
        )
    )


def renewable(hold: Hold) -> bool:
    """Tell whether it may be renewed."""
    return hold.renewed < MOST_RENEWALS


def keep_offered(
    session: Session,
    *,
    actor: Actor,
    items: Sequence[Item],
    locked: occupation.Locked,
    project_id: UUID | None,
    until: datetime,
    at_once: bool = False,
    now: datetime,
) -> Hold:
    """Keep time for somebody to whom the waitlist offers it; the instruments are locked.

    :raises Refused: if a booking of it would be refused
    """
    if actor.person_id is None:
        raise Forbidden("hold.take", sign_in=True)
    claims = bookings.cleared(
        session, actor=actor, items=items, locked=locked, project_id=project_id, at_once=at_once, now=now
    )
    hold = Hold(
        id=uuid4(),
        person_id=actor.person_id,
        offered=True,
        created_at=now,
        expires_at=until,
        renewed=0,
        draws=processes.held_draws(items, ()),
    )
    session.add(hold)
    session.flush()
    # No person in the ledger: only who takes the offer names the hold.
    occupation.hold(
        session,
        claims=claims,
        instruments=locked.instruments,
        hold_id=hold.id,
        person_id=None,
        expires_at=until,
    )
    return hold


def keep_place(
    session: Session,
    *,
    booking: Booking,
    items: Sequence[Item],
    locked: occupation.Locked,
    until: datetime,
    for_owner: bool = False,
    now: datetime,
) -> Hold:
    """Keep another place for a booking until its owner has answered, beyond the time that it has; rules are not asked.

    Instruments are locked, and rid of holds that have run out. With `for_owner` the place is free for them, whatever
    they book in it; else whoever moves the booking there drops the hold first.

    :raises Refused: if the database's own guard says that the place is taken
    """
    hold = Hold(
        id=uuid4(),
        person_id=booking.person_id,
        offered=True,
        created_at=now,
        expires_at=until,
    )
    session.add(hold)
    session.flush()
    timetables = policies.timetables(session, locked.instruments.values(), person_id=booking.person_id)
    claims = occupation.claims(items, locked.instruments, locked.parts, timetables)
    occupation.hold(
        session,
        claims=_beyond(session, claims, booking.id),
        instruments=locked.instruments,
        hold_id=hold.id,
        person_id=booking.person_id if for_owner else None,
        expires_at=until,
    )
    return hold


def drop(session: Session, *, hold_id: UUID, now: datetime) -> None:
    """Give back what was kept for a booking; its instruments are locked here, if they are not yet."""
    occupation.lock(session, occupation.held_places(session, hold_ids=[hold_id]))
    occupation.drop(session, hold_ids=[hold_id], now=now)


def prune(session: Session, *, now: datetime) -> None:
    """Drop the holds that have run out and keep no time any more."""
    kept = select(Occupation.hold_id).where(Occupation.hold_id.is_not(None))
    session.execute(delete(Hold).where(Hold.expires_at <= now, Hold.id.not_in(kept)))


def _booking(session: Session, actor: Actor, booking_id: UUID | None) -> Booking | None:
    if booking_id is None:
        return None
    booking = bookings.get(session, actor=actor, booking_id=booking_id)
    if not bookings.may_on(actor, "booking.change", booking):
        raise Forbidden("booking.change")
    return booking


def _own(session: Session, actor: Actor, hold_id: UUID) -> Hold:
    require(actor, "hold.take")
    hold = session.get(Hold, hold_id, populate_existing=True)
    if hold is None or hold.offered or hold.person_id != actor.person_id:
        raise NotFound("hold", hold_id)
    return hold


def _only(session: Session, person_id: UUID, now: datetime) -> Hold:
    """Write the one hold of a person; of two commands at once the second is refused."""
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    values = {
        "id": uuid4(),
        "person_id": person_id,
        "offered": False,
        "created_at": now,
        "expires_at": now + LIFE,
        "renewed": 0,
    }
    made = session.execute(
        make(Hold).values(values).on_conflict_do_nothing().returning(Hold.id)
    ).scalar_one_or_none()
    if made is None:
        raise Refused([Reason("hold_elsewhere")])
    return session.get_one(Hold, made)


def _beyond(session: Session, claims: Sequence[Claim], booking_id: UUID) -> list[Claim]:
    """Give what the claims take beyond what the booking has already."""
    own: dict[int, list[tuple[Span, int]]] = {}
    for row in session.scalars(select(Occupation).where(Occupation.booking_id == booking_id)):
        own.setdefault(row.instrument_id, []).append((Span(row.starts_at, row.ends_at), row.quantity))
    return [
        Claim(claim.instrument_id, span, span, lacking)
        for claim in claims
        for span, lacking in waitlist.pieces(claim.span, own.get(claim.instrument_id, ()), claim.quantity)
    ]
