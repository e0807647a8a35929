"""A person's calendars in programs that speak CalDAV: which there are, what changed in them, booking through them.

A person has a calendar of their own bookings, and one for each instrument, facility and project of which they keep a
calendar's address. What changed is found by comparing with what was there before, as this person sees it: rights that
go, time that passes and names that change are changes like any other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound, may, require
from booking.domain.calendars import event_uid
from booking.domain.dav import Sent, Unfit
from booking.domain.lifecycle import HOLDS
from booking.domain.occupation import Item
from booking.services import bookings, feeds
from booking.services.feeds import Feed
from models import (
    Booking,
    BookingItem,
    CalendarLink,
    CalendarScope,
    DavCollection,
    DavObject,
    Facility,
    Instrument,
    Privacy,
)

ME = "me"
"""The name of one's own bookings in their address."""

REMEMBERED = timedelta(days=90)
"""How long it is known what is gone; a program that was away for longer reads all anew."""

_KEYS = {
    CalendarScope.INSTRUMENT: "instrument_id",
    CalendarScope.FACILITY: "facility_id",
    CalendarScope.PROJECT: "project_id",
}


@dataclass(frozen=True, slots=True)
class Collection:
    """A calendar of the actor as it stands now; `kept` is what programs have made of it, if any has."""

    name: str
    found: Feed
    kept: DavCollection | None
    writable: bool = False


class Change(NamedTuple):
    """An object that changed, or that is gone."""

    name: str
    etag: str
    gone: bool


class Target(NamedTuple):
    """The booking that an object of a calendar stands for; `position` is its item, where times differ."""

    booking_id: UUID
    position: int | None
    version: int
    uid: str


class Known(NamedTuple):
    """An object that a program put there: what it calls it, and our own UID of the event."""

    name: str
    event_uid: str
    client_uid: str


# --- which there are --------------------------------------------------------------------------------------


def listing(session: Session, *, actor: Actor, locale: str) -> list[Collection]:
    """Give the actor's calendars: their own bookings first, then whatever else they keep an address of."""
    require(actor, "calendar.sync")
    kept = {
        row.name: row
        for row in session.scalars(select(DavCollection).where(DavCollection.person_id == actor.person_id))
    }
    links = [_link(actor, CalendarScope.ME, locale), *_chosen(session, actor, locale)]
    found = [_collection(session, actor, link, kept) for link in links]
    return [one for one in found if one.found.readable]


def one(session: Session, *, actor: Actor, name: str, locale: str) -> Collection:
    """Give one of the actor's calendars by its name.

    :raises NotFound: if they have none of that name, or may not see what it shows
    """
    require(actor, "calendar.sync")
    mine = _link(actor, CalendarScope.ME, locale)
    links = [mine] if name == ME else _chosen(session, actor, locale)
    link = next((link for link in links if _name(link) == name), None)
    if link is None:
        raise NotFound("calendar", name)
    query = select(DavCollection).where(
        DavCollection.person_id == actor.person_id, DavCollection.name == name
    )
    kept = session.scalars(query).one_or_none()
    found = _collection(session, actor, link, {name: kept} if kept else {})
    if not found.found.readable:
        raise NotFound("calendar", name)
    return found


def _chosen(session: Session, actor: Actor, locale: str) -> list[CalendarLink]:
    rows = session.scalars(
        select(CalendarLink)
        .where(
            CalendarLink.person_id == actor.person_id,
            CalendarLink.revoked_at.is_(None),
            CalendarLink.scope.in_(_KEYS),
        )
        .order_by(CalendarLink.created_at, CalendarLink.id)
    )
    chosen = {_name(row): row for row in rows}
    return [
        _link(actor, row.scope, locale, **{_KEYS[row.scope]: getattr(row, _KEYS[row.scope])})
        for row in chosen.values()
    ]


def _link(actor: Actor, scope: CalendarScope, locale: str, **subject: object) -> CalendarLink:
    """Give what an address of that thing would be that tells all that its owner may know; it is not kept."""
    return CalendarLink(
        id=UUID(int=0),
        person_id=actor.person_id,
        scope=scope,
        privacy=Privacy.FULL,
        locale=locale,
        pending=True,
        cancelled=False,
        name="",
        **subject,
    )


def _name(link: CalendarLink) -> str:
    return ME if link.scope is CalendarScope.ME else f"{link.scope.value}-{getattr(link, _KEYS[link.scope])}"


def _collection(
    session: Session, actor: Actor, link: CalendarLink, kept: Mapping[str, DavCollection]
) -> Collection:
    found, name = feeds.of_link(session, link=link, actor=actor), _name(link)
    subject = found.subject
    writable = isinstance(subject, Instrument) and subject.bookable and may(actor, "booking.place")
    return Collection(name, found, kept.get(name), writable)


# --- what programs make of them ---------------------------------------------------------------------------


def lock(session: Session, *, actor: Actor, name: str) -> DavCollection:
    """Give what is kept of a calendar of the actor, which nobody else changes until the transaction ends."""
    require(actor, "calendar.sync")
    values = {"id": _new_id(actor, name), "person_id": actor.person_id, "name": name}
    texts = {"display_name": "", "colour": "", "tag": "", "revision": 0, "oldest": 0}
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    session.execute(make(DavCollection).values(**values, **texts).on_conflict_do_nothing())
    query = select(DavCollection).where(
        DavCollection.person_id == actor.person_id, DavCollection.name == name
    )
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def _new_id(actor: Actor, name: str) -> UUID:
    """Give an id that two programs which come first at once would both give."""
    return uuid5(actor.person_id or UUID(int=0), name)


def call(
    session: Session,
    *,
    actor: Actor,
    name: str,
    display_name: str | None = None,
    colour: str | None = None,
    position: int | None = None,
) -> None:
    """Keep how the actor calls and colours one of their calendars; None leaves it as it is."""
    row = lock(session, actor=actor, name=name)
    if display_name is not None:
        row.display_name = display_name
    if colour is not None:
        row.colour = colour
    if position is not None:
        row.position = position


def known(session: Session, *, kept: DavCollection | None) -> list[Known]:
    """Give the objects of a calendar that have a name of their own since a program put them there."""
    if kept is None:
        return []
    query = select(DavObject.name, DavObject.event_uid, DavObject.client_uid).where(
        DavObject.collection_id == kept.id, DavObject.client_uid != ""
    )
    return [Known(*row) for row in session.execute(query)]


def refresh(
    session: Session, *, row: DavCollection, tag: str, objects: Mapping[str, tuple[str, str]], now: datetime
) -> None:
    """Note what is in a locked calendar now: by the event's UID the object's name and its entity tag.

    Each change gets a revision of its own, so that a program may take some of them and ask for the others later.
    """
    before = {one.event_uid: one for one in session.scalars(_objects(row))}
    for uid, (name, etag) in objects.items():
        was = before.get(uid)
        if was is None:
            row.revision += 1
            session.add(
                DavObject(collection_id=row.id, name=name, event_uid=uid, etag=etag, revision=row.revision)
            )
        elif was.etag != etag or was.gone_at is not None:
            row.revision += 1
            was.etag, was.revision, was.gone_at = etag, row.revision, None
    for uid, was in before.items():
        if uid not in objects and was.gone_at is None:
            row.revision += 1
            was.revision, was.gone_at = row.revision, now
    row.tag = tag
    _forget(session, row, now)
    session.flush()


def _forget(session: Session, row: DavCollection, now: datetime) -> None:
    session.flush()
    old = (DavObject.collection_id == row.id, DavObject.gone_at < now - REMEMBERED)
    last = session.scalar(select(func.max(DavObject.revision)).where(*old))
    if last is not None:
        row.oldest = max(row.oldest, last)
        session.execute(delete(DavObject).where(*old))


def changes(
    session: Session, *, row: DavCollection, since: int, most: int | None = None
) -> tuple[list[Change], int]:
    """Give what changed after a revision, the first to change first, and the revision to which that leads."""
    query = _objects(row).where(DavObject.revision > since).order_by(DavObject.revision)
    if not since:
        query = query.where(DavObject.gone_at.is_(None))
    rows = list(session.scalars(query if most is None else query.limit(most + 1)))
    found = [Change(one.name, one.etag, one.gone_at is not None) for one in rows[:most]]
    return found, rows[most - 1].revision if most is not None and len(rows) > most else row.revision


def _objects(row: DavCollection) -> Select[DavObject]:
    return select(DavObject).where(DavObject.collection_id == row.id)


# --- booking ----------------------------------------------------------------------------------------------


def target(
    session: Session, *, collection: Collection, kept: DavCollection | None, name: str, host: str
) -> Target | None:
    """Give which booking that still stands is meant by an object's name, None if there is none."""
    given = {one.name: one.event_uid for one in known(session, kept=kept)}
    uid = given.get(name) or f"{name.removesuffix('.ics')}@{host}"
    return _target(session, collection, uid, host)


def _target(session: Session, collection: Collection, uid: str, host: str) -> Target | None:
    found = _OURS.fullmatch(uid.removesuffix(f"@{host}"))
    instrument = collection.found.subject
    if found is None or not isinstance(instrument, Instrument):
        return None
    version = session.scalar(
        select(Booking.version)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .where(
            Booking.id == UUID(found[1]),
            BookingItem.instrument_id == instrument.id,
            Booking.state.in_(HOLDS),
        )
    )
    position = int(found[2]) if found[2] else None
    return None if version is None else Target(UUID(found[1]), position, version, uid)


_OURS = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-(\d{1,4}))?")


def put(
    session: Session,
    *,
    actor: Actor,
    collection: Collection,
    row: DavCollection,
    name: str,
    sent: Sent,
    meant: Target | None,
    keep_purpose: bool = False,
    version: int | None = None,
    host: str,
    now: datetime,
) -> bool:
    """Book an instrument as a program asks, or move and amend the booking it means; tell whether it is a new one.

    The calendar is locked. An event is known by its name and by the UID that its program gave it, so that sending it
    again books nothing twice.

    :raises NotFound: if the booking is none of the actor's
    :raises Forbidden: if they may not change it
    :raises Stale: if it changed after `version`
    :raises Refused: with every reason, if any rule stands against it
    :raises Unfit: if the name or the UID is that of another event
    """
    instrument = _instrument_of(collection)
    mine = known(session, kept=row)
    if meant is not None:
        if sent.uid not in {meant.uid, *(one.client_uid for one in mine if one.event_uid == meant.uid)}:
            raise Unfit("uid_conflict")
        _move(session, actor, meant, sent, keep_purpose=keep_purpose, version=version, now=now)
        return False
    for other in mine:
        if other.client_uid == sent.uid and _target(session, collection, other.event_uid, host):
            raise Unfit("uid_conflict")
    if _target(session, collection, sent.uid, host):
        raise Unfit("uid_conflict")
    item = Item(instrument.id, sent.span)
    booking = bookings.place(session, actor=actor, items=[item], purpose=sent.purpose, now=now)
    _remember(session, row, name, event_uid(str(booking.id), host), sent.uid)
    return True


def zone(session: Session, *, collection: Collection) -> str:
    """Give the zone in which times without one are meant.

    :raises Forbidden: if nothing can be booked there by the actor
    """
    return session.get_one(Facility, _instrument_of(collection).facility_id).zone


def _instrument_of(collection: Collection) -> Instrument:
    """Give the instrument whose calendar it is.

    :raises Forbidden: if nothing can be booked there by the actor
    """
    if not collection.writable or not isinstance(collection.found.subject, Instrument):
        raise Forbidden("booking.place")
    return collection.found.subject


def _move(
    session: Session,
    actor: Actor,
    meant: Target,
    sent: Sent,
    *,
    keep_purpose: bool,
    version: int | None,
    now: datetime,
) -> None:
    booking = bookings.get(session, actor=actor, booking_id=meant.booking_id)
    items = [
        replace(item, span=sent.span) if meant.position in {None, row.position} else item
        for item, row in zip(bookings.items_of(booking), booking.items, strict=True)
    ]
    bookings.change(
        session,
        actor=actor,
        booking_id=booking.id,
        version=version,
        items=items,
        purpose=None if keep_purpose else sent.purpose,
        now=now,
    )


def _remember(session: Session, row: DavCollection, name: str, uid: str, client_uid: str) -> None:
    known = session.get(DavObject, (row.id, name))
    if known is None:
        known = DavObject(collection_id=row.id, name=name, revision=0)
        session.add(known)
    known.event_uid, known.client_uid, known.etag = uid, client_uid, ""
    session.flush()


def drop(
    session: Session,
    *,
    actor: Actor,
    collection: Collection,
    meant: Target,
    version: int | None = None,
    now: datetime,
) -> None:
    """Cancel the booking that a program wants to be gone; of one with several times, only the one that is meant.

    :raises NotFound: if the booking is none of the actor's
    :raises Forbidden: if they may not cancel it
    :raises Stale: if it changed after `version`
    :raises Refused: if a rule stands against it
    """
    _instrument_of(collection)
    if meant.position is None:
        bookings.cancel(session, actor=actor, booking_id=meant.booking_id, version=version, now=now)
        return
    booking = bookings.get(session, actor=actor, booking_id=meant.booking_id)
    rest = [
        item
        for item, row in zip(bookings.items_of(booking), booking.items, strict=True)
        if row.position != meant.position
    ]
    bookings.change(session, actor=actor, booking_id=booking.id, version=version, items=rest, now=now)
