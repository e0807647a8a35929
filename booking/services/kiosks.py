"""Kiosks: tablets at instruments, and the badges and PINs by which people act there."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, joinedload

from booking.domain import badges
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Scope, Subject, require
from booking.domain.lifecycle import State
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import bookings, credit, events, faults, labels, standby
from booking.services.accounts import PasswordHash
from booking.services.sign_in import PERSON_COLUMNS, actor_of_rows, hashed
from booking.services.standby import Called
from models import (
    Badge,
    Booking,
    BookingItem,
    Facility,
    Instrument,
    Kiosk,
    KioskKind,
    Look,
    Membership,
    Person,
    PersonState,
)

LONGEST_NAME = 100
MOST_PLACES = 24
"""A kiosk for a whole facility shows no more instruments."""

AHEAD = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Slot:
    """A booking as a tablet shows it: when, and of whom no more than initials; of a confidential one not even those."""

    booking_id: UUID
    start: datetime
    end: datetime
    state: State
    who: str | None
    may_do: Sequence[str]


@dataclass(frozen=True, slots=True)
class Place:
    """An instrument as a tablet shows it."""

    instrument: Instrument
    down_until: datetime | None
    slots: Sequence[Slot]
    standby: bool = False
    called: Called | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a number is said to belong to, and the PIN that would prove it is the person of the booking."""

    by_number: UUID | None
    by_pin: UUID | None
    pin_hash: str | None


# --- tablets --------------------------------------------------------------------------------------


def make(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_id: int | None,
    name: str,
    kind: KioskKind = KioskKind.TABLET,
    look: Look = Look.AUTO,
    now: datetime,
) -> tuple[Kiosk, str]:
    """Make a tablet or a screen for one instrument or all of a facility, and give its secret, told this once.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if the instrument is not the facility's
    :raises Invalid: if it has no name
    """
    require(actor, "kiosk.keep", Subject(facility_id=facility_id))
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Invalid({"name": "too_long_text" if name else "required"})
    if instrument_id is not None:
        place = session.get(Instrument, instrument_id)
        if place is None or place.facility_id != facility_id:
            raise NotFound("instrument", instrument_id)
    secret = secrets.token_urlsafe(32)
    kiosk = Kiosk(
        facility_id=facility_id,
        instrument_id=instrument_id,
        kind=kind,
        look=look,
        name=name,
        secret_hash=hashed(secret),
        created_by=actor.person_id,
        created_at=now,
    )
    session.add(kiosk)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="kiosk.made",
        now=now,
        facility_id=facility_id,
        subject=str(kiosk.id),
        name=name,
    )
    return kiosk, secret


def listing(session: Session, *, actor: Actor, facility_id: int) -> list[Kiosk]:
    """Give the kiosks of a facility that are not revoked, by name.

    :raises Forbidden: if the actor does not manage the facility
    """
    require(actor, "kiosk.keep", Subject(facility_id=facility_id))
    query = select(Kiosk).where(Kiosk.facility_id == facility_id, Kiosk.revoked_at.is_(None))
    return list(session.scalars(query.order_by(Kiosk.name, Kiosk.created_at)))


def revoke(session: Session, *, actor: Actor, kiosk_id: UUID, now: datetime) -> Kiosk:
    """Let an address open nothing any more; doing so again changes nothing.

    :raises NotFound: if there is no such kiosk
    :raises Forbidden: if the actor does not manage its facility
    """
    kiosk = session.get(Kiosk, kiosk_id)
    if kiosk is None:
        raise NotFound("kiosk", kiosk_id)
    require(actor, "kiosk.keep", Subject(facility_id=kiosk.facility_id))
    if kiosk.revoked_at is None:
        kiosk.revoked_at = now
        events.record(
            session,
            actor=actor,
            kind="kiosk.revoked",
            now=now,
            facility_id=kiosk.facility_id,
            subject=str(kiosk.id),
        )
    session.flush()
    return kiosk


def by_secret(session: Session, *, secret: str, kind: KioskKind = KioskKind.TABLET) -> Kiosk:
    """Give the tablet, or the screen, of an address.

    :raises NotFound: if there is none, or it was revoked
    """
    query = select(Kiosk).where(
        Kiosk.secret_hash == hashed(secret), Kiosk.kind == kind, Kiosk.revoked_at.is_(None)
    )
    kiosk = session.scalars(query).one_or_none()
    if kiosk is None:
        raise NotFound("kiosk")
    return kiosk


def note_seen(session: Session, *, kiosk_id: UUID, now: datetime) -> None:
    """Note that the tablet is alive, not more often than is of use."""
    session.execute(
        update(Kiosk)
        .where(Kiosk.id == kiosk_id, (Kiosk.seen_at.is_(None)) | (Kiosk.seen_at < now - SEEN_EVERY))
        .values(seen_at=now)
    )


def facility_of(session: Session, *, kiosk: Kiosk) -> Facility:
    """Give the facility that a kiosk stands at."""
    return session.get_one(Facility, kiosk.facility_id)


def places(session: Session, *, kiosk: Kiosk, now: datetime) -> list[Place]:
    """Give what a tablet shows: its instruments, who is there and who comes in the next hours."""
    query = select(Instrument).where(Instrument.facility_id == kiosk.facility_id, Instrument.published)
    if kiosk.instrument_id is not None:
        query = query.where(Instrument.id == kiosk.instrument_id)
    rows = session.scalars(
        query.options(joinedload(Instrument.facility)).order_by(Instrument.code).limit(MOST_PLACES)
    ).all()
    down = faults.down(session, instruments=rows, now=now)
    slots: dict[int, list[Slot]] = {row.id: [] for row in rows}
    for booking in _bookings(session, kiosk, now):
        for place in {item.instrument_id for item in booking.items} & slots.keys():
            slots[place].append(_slot(booking, now))
    kept = standby.kept_at(session, rows=rows, now=now)
    called = standby.called(session, instrument_ids=list(kept), now=now) if kept else {}
    return [Place(row, down.get(row.id), slots[row.id], row.id in kept, called.get(row.id)) for row in rows]


def _bookings(session: Session, kiosk: Kiosk, now: datetime) -> list[Booking]:
    rows, _ = bookings.listing(
        session,
        actor=SYSTEM,
        facility_id=kiosk.facility_id,
        instrument_id=kiosk.instrument_id,
        within=Span(now - labels.BEHIND, now + AHEAD),
        states=(State.CONFIRMED, State.CHECKED_IN),
        page_size=200,
    )
    return [row for row in rows if row.state is State.CHECKED_IN or row.ends_at > now]


def _slot(booking: Booking, now: datetime) -> Slot:
    if booking.state is State.CHECKED_IN:
        may_do = ["check_out"] + (["extend"] if booking.ends_at > now else [])
    else:
        may_do = ["check_in"] if (booking.opens_at or booking.starts_at) <= now else []
    who = None if booking.confidential else badges.initials(booking.person.name)
    return Slot(booking.id, booking.starts_at, booking.ends_at, booking.state, who, may_do)


# --- badges and PINs ------------------------------------------------------------------------------


def badge_of(session: Session, *, actor: Actor) -> Badge | None:
    """Give what the actor has set for tablets."""
    require(actor, "account.keep")
    return session.get(Badge, actor.person_id)


def set_own(
    session: Session,
    *,
    actor: Actor,
    number_hash: bytes | None = None,
    pin_hash: PasswordHash | None = None,
    forget: Sequence[str] = (),
    now: datetime,
) -> Badge:
    """Set or forget the actor's badge number and PIN; what is not named stays.

    :raises Invalid: if the number is another's
    """
    require(actor, "account.keep")
    if actor.person_id is None:
        raise Forbidden("account.keep", sign_in=True)
    badge = _badge(session, actor.person_id, now)
    if number_hash is not None:
        _claim_number(session, badge, number_hash)
    if pin_hash is not None:
        badge.pin_hash = pin_hash
    if "number" in forget:
        badge.number_hash = None
    if "pin" in forget:
        badge.pin_hash = None
    badge.changed_at = now
    _note_badge(session, actor, actor.person_id, None, now)
    return badge


def enrol(
    session: Session, *, actor: Actor, facility_id: int, email: str, number_hash: bytes, now: datetime
) -> Badge:
    """Give somebody who has booked at the facility a badge; their account shows it.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if nobody of this address has booked there, or the number is another's
    """
    require(actor, "kiosk.keep", Subject(facility_id=facility_id))
    person = credit.customer(session, facility_id=facility_id, email=email)
    if person is None:
        raise Invalid({"email": "unknown"})
    badge = _badge(session, person.id, now)
    _claim_number(session, badge, number_hash)
    badge.changed_at = now
    _note_badge(session, actor, person.id, facility_id, now)
    return badge


def _badge(session: Session, person_id: UUID, now: datetime) -> Badge:
    badge = session.get(Badge, person_id)
    if badge is None:
        badge = Badge(person_id=person_id, changed_at=now)
        session.add(badge)
    return badge


def _claim_number(session: Session, badge: Badge, number_hash: bytes) -> None:
    other = session.scalar(select(Badge.person_id).where(Badge.number_hash == number_hash))
    if other not in (None, badge.person_id):
        raise Invalid({"number": "taken"})
    badge.number_hash = number_hash


def _note_badge(
    session: Session, actor: Actor, person_id: UUID, facility_id: int | None, now: datetime
) -> None:
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="badge.changed",
        now=now,
        facility_id=facility_id,
        subject=str(person_id),
        person_id=str(person_id),
    )
    session.flush()


def claim(
    session: Session, *, kiosk: Kiosk, number_hashes: Sequence[bytes], booking_id: UUID | None
) -> Claim:
    """Give whose number it may be, and the PIN of the booking's person; the same two looks for everybody.

    Whether the PIN is right takes long to find out, and is done outside of a transaction.
    """
    by_number = session.scalar(select(Badge.person_id).where(Badge.number_hash.in_(number_hashes)))
    found = session.execute(
        select(Badge.person_id, Badge.pin_hash)
        .join(Booking, Booking.person_id == Badge.person_id)
        .where(Booking.id == booking_id, Booking.id.in_(_booked_at(kiosk)))
    ).one_or_none()
    return Claim(by_number, found.person_id if found else None, found.pin_hash if found else None)


def _booked_at(kiosk: Kiosk) -> Select[UUID]:
    query = select(BookingItem.booking_id).join(Instrument, Instrument.id == BookingItem.instrument_id)
    return query.where(Instrument.facility_id == kiosk.facility_id)


def actor_for(session: Session, *, person_id: UUID) -> Actor | None:
    """Give what somebody may do by their badge: book and come and go, nothing of a manager's; None if disabled."""
    rows = session.execute(
        select(*PERSON_COLUMNS)
        .select_from(Person)
        .outerjoin(Membership, Membership.person_id == Person.id)
        .where(Person.id == person_id, Person.state == PersonState.ACTIVE)
    ).all()
    return actor_of_rows(rows, (Scope.READ, Scope.BOOK)) if rows else None


def zone_of(session: Session, *, kiosk: Kiosk) -> str:
    """Give the zone on whose clock a tablet shows times."""
    return session.get_one(Facility, kiosk.facility_id).zone


def instrument_at(session: Session, *, kiosk: Kiosk, code: str) -> Instrument:
    """Give an instrument that a tablet serves.

    :raises NotFound: if it does not
    """
    row = session.scalars(
        select(Instrument)
        .where(Instrument.code == code, Instrument.facility_id == kiosk.facility_id, Instrument.published)
        .options(joinedload(Instrument.facility))
    ).one_or_none()
    if row is None or kiosk.instrument_id not in (None, row.id):
        raise NotFound("instrument", code)
    return row
