"""Calendar feeds: secret addresses made and revoked, and what each of them shows to its owner now."""

import enum
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    Uuid,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from booking.domain import calendars
from booking.domain.access import Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.calendars import FeedRules
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import HOLDS, State
from booking.domain.occupation import Kind
from booking.domain.rules import LONGEST, Invalid
from booking.domain.spans import Span
from booking.services import availability, events, policies
from booking.services.sign_in import PERSON_COLUMNS, actor_of_rows, hashed
from models import (
    Booking,
    BookingItem,
    CalendarLink,
    CalendarScope,
    Closure,
    Facility,
    Instrument,
    Membership,
    NetworkFacility,
    Occupation,
    Part,
    Person,
    PersonState,
    Privacy,
    Project,
    ProjectMember,
    Transfer,
    TransferState,
)

MOST = 50
"""Nobody has more living addresses."""

CALLED_OFF = frozenset({State.CANCELLED, State.WITHDRAWN, State.REJECTED, State.EXPIRED})
"""What a feed shows as cancelled, if it is asked to show that at all."""


class Gone(Exception):
    """The address was revoked, or its owner may not sign in any more."""


# --- addresses --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A living address and the thing that it shows; None for one's own bookings."""

    link: CalendarLink
    subject: Instrument | Facility | Project | None


def make(
    session: Session,
    *,
    actor: Actor,
    scope: CalendarScope,
    subject: str = "",
    privacy: Privacy = Privacy.SUMMARY,
    locale: str,
    now: datetime,
) -> tuple[CalendarLink, str]:
    """Make an address and give it with its secret, which is not kept.

    `subject` is the instrument's or facility's code or the project's id; one's own bookings have none.

    :raises Invalid: if the subject does not go with the scope, or there are too many addresses already
    :raises NotFound: if there is no such subject for this actor
    :raises Forbidden: if the actor may not have a feed of it
    """
    require(actor, "calendar.make")
    if bool(subject) is (scope is CalendarScope.ME):
        raise Invalid({"id": "unknown" if subject else "required"})
    link = CalendarLink(
        scope=scope, privacy=privacy, locale=locale, created_at=now, person_id=actor.person_id
    )
    if scope in {CalendarScope.INSTRUMENT, CalendarScope.FREE}:
        link.instrument_id = _instrument(session, actor, Instrument.code == subject, subject).id
    elif scope is CalendarScope.FACILITY:
        link.facility_id = _facility(session, actor, Facility.code == subject, subject).id
    elif scope is CalendarScope.PROJECT:
        link.project_id = _project(session, actor, subject).id
    return _issue(session, actor, link, now)


def rotate(
    session: Session, *, actor: Actor, link_id: UUID, now: datetime
) -> tuple[CalendarLink, str, bytes]:
    """Replace the secret of one of the actor's own addresses; the old one is revoked.

    Gives the new address, its secret and the hash of the old one.

    :raises NotFound: if the actor has no such living address
    """
    old = _own(session, actor, link_id)
    if old.revoked_at is not None:
        raise NotFound("calendar", link_id)
    old_hash = _revoke(session, actor, old, now)
    link = CalendarLink(
        scope=old.scope,
        privacy=old.privacy,
        locale=old.locale,
        created_at=now,
        person_id=old.person_id,
        instrument_id=old.instrument_id,
        facility_id=old.facility_id,
        project_id=old.project_id,
    )
    link, secret = _issue(session, actor, link, now)
    return link, secret, old_hash


def revoke(session: Session, *, actor: Actor, link_id: UUID, now: datetime) -> bytes:
    """Make one of the actor's own addresses useless for good; doing it again changes nothing.

    The row stays, so that subscribers are told that it is gone. Gives the hash of its secret.

    :raises NotFound: if the actor has no such address
    """
    return _revoke(session, actor, _own(session, actor, link_id), now)


def listing(session: Session, *, actor: Actor) -> list[Listed]:
    """Give the actor's living addresses, the newest first."""
    require(actor, "calendar.make")
    rows = session.execute(
        select(CalendarLink, Instrument, Facility, Project)
        .outerjoin(Instrument, Instrument.id == CalendarLink.instrument_id)
        .outerjoin(Facility, Facility.id == CalendarLink.facility_id)
        .outerjoin(Project, Project.id == CalendarLink.project_id)
        .where(CalendarLink.person_id == actor.person_id, CalendarLink.revoked_at.is_(None))
        .order_by(CalendarLink.created_at.desc(), CalendarLink.id)
    )
    return [Listed(link, instrument or facility or project) for link, instrument, facility, project in rows]


def subjects(session: Session, *, actor: Actor) -> tuple[list[Facility], list[Project]]:
    """Give the facilities and projects of which the actor may make a feed."""
    require(actor, "calendar.make")
    facilities = select(Facility).order_by(Facility.code)
    if not actor.administrator:
        facilities = facilities.where(Facility.id.in_(actor.operates | actor.manages))
    return (
        list(session.scalars(facilities)),
        list(session.scalars(select(Project).where(_in_project(actor)).order_by(Project.code))),
    )


def subject_named(session: Session, *, actor: Actor, scope: CalendarScope, subject: str) -> Any:
    """Give the thing of which a feed is wished, None for one's own bookings.

    :raises NotFound: if there is no such thing for this actor
    :raises Forbidden: if the actor may not have a feed of it
    """
    if scope in {CalendarScope.INSTRUMENT, CalendarScope.FREE}:
        return _instrument(session, actor, Instrument.code == subject, subject)
    if scope is CalendarScope.FACILITY:
        return _facility(session, actor, Facility.code == subject, subject)
    if scope is CalendarScope.PROJECT:
        return _project(session, actor, subject)
    return None


def note_fetch(session: Session, *, link_id: UUID, agent: str, address: str, now: datetime) -> None:
    """Note who last asked, for the owner to see; never back in time."""
    session.execute(
        update(CalendarLink)
        .where(
            CalendarLink.id == link_id, or_(CalendarLink.fetched_at.is_(None), CalendarLink.fetched_at < now)
        )
        .values(fetched_at=now, agent=agent[:300], address=address[:64])
    )


def _issue(session: Session, actor: Actor, link: CalendarLink, now: datetime) -> tuple[CalendarLink, str]:
    living = select(func.count()).where(
        CalendarLink.person_id == actor.person_id, CalendarLink.revoked_at.is_(None)
    )
    if (session.scalar(living) or 0) >= MOST:
        raise Invalid({"scope": "too_many"}, most=MOST)
    secret = secrets.token_urlsafe(24)
    link.secret_hash = hashed(secret)
    session.add(link)
    session.flush()
    _record(session, actor, "calendar.made", link, now)
    return link, secret


def _revoke(session: Session, actor: Actor, link: CalendarLink, now: datetime) -> bytes:
    if link.revoked_at is None:
        link.revoked_at = now
        _record(session, actor, "calendar.revoked", link, now)
    return link.secret_hash


def _record(session: Session, actor: Actor, kind: str, link: CalendarLink, now: datetime) -> None:
    events.record(
        session, actor=actor, kind=kind, now=now, subject=f"calendar:{link.id}", scope=link.scope.value
    )


def _own(session: Session, actor: Actor, link_id: UUID) -> CalendarLink:
    require(actor, "calendar.make")
    link = session.get(CalendarLink, link_id)
    if link is None or link.person_id != actor.person_id:
        raise NotFound("calendar", link_id)
    return link


# --- what may be shown ------------------------------------------------------------------------------------


def _instrument(session: Session, actor: Actor, wanted: ColumnElement[bool], key: object) -> Instrument:
    found = session.scalar(select(Instrument).where(wanted))
    if found is None or not (
        found.published or may(actor, "instrument.see_unpublished", _place(session, found.facility_id))
    ):
        raise NotFound("instrument", key)
    return found


def _place(session: Session, facility_id: int) -> Subject:
    networks = session.scalars(
        select(NetworkFacility.network_id).where(NetworkFacility.facility_id == facility_id)
    )
    return Subject(facility_id=facility_id, network_ids=frozenset(networks))


def _facility(session: Session, actor: Actor, wanted: ColumnElement[bool], key: object) -> Facility:
    found = session.scalar(select(Facility).where(wanted))
    if found is None:
        raise NotFound("facility", key)
    require(actor, "calendar.staff", Subject(facility_id=found.id))
    return found


def _project(session: Session, actor: Actor, key: str) -> Project:
    try:
        wanted = UUID(key)
    except ValueError:
        raise NotFound("project", key) from None
    found = session.scalar(select(Project).where(Project.id == wanted, _in_project(actor)))
    if found is None:
        raise NotFound("project", key)
    return found


def _in_project(actor: Actor) -> ColumnElement[bool]:
    member = select(ProjectMember.project_id).where(ProjectMember.person_id == actor.person_id)
    return or_(
        Project.leader_id == actor.person_id,
        Project.organisation_id.in_(actor.leads),
        Project.id.in_(member),
    )


# --- the feed ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Feed:
    """An address as it stands now: whose, of what, and a version that decides what it shows.

    `subject` is None for one's own bookings, and where the owner may no longer see the thing: then
    `readable` is false and the feed is empty. `context` is the part of the version that decides, with a
    booking's own version, how this booking is shown. `zone` is by whose days free time changes of itself.
    """

    link_id: UUID
    scope: CalendarScope
    privacy: Privacy
    locale: str
    actor: Actor
    subject: Instrument | Facility | Project | None
    readable: bool
    fetched_at: datetime | None
    context: tuple[object, ...]
    version: tuple[object, ...]
    zone: str = "UTC"


class Level(enum.IntEnum):
    """How much of an event this reader is told."""

    MASKED = 0  # somebody else's, of which the reader may know the time alone
    BUSY = 1
    SUMMARY = 2
    FULL = 3


class Name(NamedTuple):
    """What a facility is called in either language."""

    name_zh: str
    name_en: str


class Place(NamedTuple):
    """An instrument as an event prints it."""

    id: int
    code: str
    name_zh: str
    name_en: str
    location: str
    facility: Name
    address: str
    facility_id: int
    updated_at: datetime


class Entry(NamedTuple):
    """One event of a feed, not yet in words; `kind` is None for free time.

    `updated_at` is the last change of anything that the event prints. `state` is None where it is no booking,
    or nobody's business.
    """

    uid: str
    kind: Kind | None
    key: str
    version: int
    sequence: int
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    updated_at: datetime
    level: Level
    state: State | None = None
    places: tuple[Place, ...] = ()
    units: tuple[int, ...] = ()
    mine: bool = False
    person: str = ""
    purpose: str = ""
    project: str = ""


def feed(session: Session, *, secret_hash: bytes) -> Feed:
    """Give what an address stands for at this moment, in a constant number of small statements.

    :raises NotFound: if there never was such an address
    :raises Gone: if it was revoked or its owner's account is closed
    """
    rows = session.execute(
        select(CalendarLink, Person.state, *PERSON_COLUMNS)
        .join(Person, Person.id == CalendarLink.person_id)
        .outerjoin(Membership, Membership.person_id == Person.id)
        .where(CalendarLink.secret_hash == secret_hash)
    ).all()
    if not rows:
        raise NotFound("calendar")
    link: CalendarLink = rows[0][0]
    if link.revoked_at is not None or rows[0].state is not PersonState.ACTIVE:
        raise Gone
    return of_link(session, link=link, actor=actor_of_rows(rows))


def of_link(session: Session, *, link: CalendarLink, actor: Actor) -> Feed:
    """Give what a link of the actor's own stands for at this moment; programs that sign in need no address."""
    try:
        subject = _subject_of(session, actor, link)
        counts = _counts(session, actor, link, subject)
    except (NotFound, Forbidden):
        subject, counts = None, ()  # rights may come back: the address stays alive, and shows nothing
    readable = link.scope is CalendarScope.ME or subject is not None
    context = (
        link.person_id, link.scope, link.instrument_id, link.facility_id, link.project_id,
        link.locale, link.privacy, readable, _rights(actor), _names(session, subject),
    )  # fmt: skip
    return Feed(
        link_id=link.id,
        scope=link.scope,
        privacy=link.privacy,
        locale=link.locale,
        actor=actor,
        subject=subject,
        readable=readable,
        fetched_at=link.fetched_at,
        context=context,
        version=(*context, *counts),
        zone=_zone(session, link.scope, subject),
    )


def _zone(session: Session, scope: CalendarScope, subject: Instrument | Facility | Project | None) -> str:
    if scope is not CalendarScope.FREE or not isinstance(subject, Instrument):
        return "UTC"
    return session.get_one(Facility, subject.facility_id).zone


def _subject_of(session: Session, actor: Actor, link: CalendarLink) -> Instrument | Facility | Project | None:
    if link.instrument_id is not None:
        return _instrument(session, actor, Instrument.id == link.instrument_id, link.instrument_id)
    if link.facility_id is not None:
        return _facility(session, actor, Facility.id == link.facility_id, link.facility_id)
    if link.project_id is not None:
        return _project(session, actor, str(link.project_id))
    return None


def _rights(actor: Actor) -> tuple[object, ...]:
    return (
        actor.administrator,
        sorted(actor.leads),
        sorted(actor.operates),
        sorted(actor.manages),
        sorted(actor.organisations),
    )


def _counts(
    session: Session, actor: Actor, link: CalendarLink, subject: Instrument | Facility | Project | None
) -> tuple[object, ...]:
    """Give figures of which at least one moves with whatever is booked, changed or given up.

    A booking's version only grows and its row stays for ever, so that the sum tells every change but that of
    bookings which go to another person or leave a project: of those the transfers, and the time, tell.
    """
    if isinstance(subject, Instrument):
        stations = select(func.sum(Instrument.revision)).where(
            Instrument.id.in_(select(Part.station_id).where(Part.line_id == subject.id))
        )
        return (subject.revision, session.scalar(stations) if link.scope is CalendarScope.FREE else 0)
    if isinstance(subject, Facility):
        figures = select(func.count(), func.sum(Instrument.revision), func.max(Instrument.id))
        return tuple(session.execute(figures.where(Instrument.facility_id == subject.id)).one())
    sums: Any = select(func.count(), func.sum(Booking.version))
    if subject is not None:
        sums = sums.add_columns(func.max(Booking.updated_at)).where(Booking.project_id == subject.id)
        return tuple(session.execute(sums).one())
    given = select(func.count()).where(
        Transfer.state == TransferState.ACCEPTED,
        or_(Transfer.from_id == actor.person_id, Transfer.to_id == actor.person_id),
    )
    sums = sums.add_columns(given.scalar_subquery()).where(Booking.person_id == actor.person_id)
    return tuple(session.execute(sums).one())


def _names(session: Session, subject: Instrument | Facility | Project | None) -> tuple[object, ...]:
    """Give what moves when the names and places of instruments do, or those of the subject itself."""
    changed = session.scalar(select(func.max(Instrument.updated_at)))
    if isinstance(subject, Instrument):
        place = session.get_one(Facility, subject.facility_id)
        return (changed, subject.name_zh, subject.name_en, place.name_zh, place.name_en, place.address)
    if isinstance(subject, Facility):
        return (changed, subject.name_zh, subject.name_en, subject.address)
    return (changed, subject.name if subject is not None else "")


def outline(
    session: Session, found: Feed, *, rules: FeedRules, now: datetime, cancelled: bool = False
) -> list[tuple[str, int]]:
    """Give the key and the version of each booking in a feed; one statement, with the past two.

    There may be more than the cap, never fewer than it asks for. `cancelled` shows what was called off, too.
    """
    if not found.readable or found.scope is CalendarScope.FREE:
        return []
    window = Span(*calendars.window(now, rules))
    today = calendars.midnight(now)
    keys = _keys(session, found, Span(today, window.end), HOLDS, rules.cap)
    keys += _keys(session, found, Span(window.start, today), HOLDS, rules.cap - len(keys), over=True)
    if cancelled:
        keys += _keys(session, found, window, CALLED_OFF, rules.cap)
    return keys


def _keys(
    session: Session, found: Feed, within: Span, states: frozenset[State], most: int, *, over: bool = False
) -> list[tuple[str, int]]:
    """Give at most so many bookings that touch the span, the first to start first.

    Of those that are `over` when it ends, the last to start come first.
    """
    if most <= 0:
        return []
    subject = found.subject
    starts, ends = Booking.starts_at, Booking.ends_at
    query: Any = select(_KEY, Booking.version)
    if isinstance(subject, (Instrument, Facility)):
        # What was called off is no longer in the ledger of time.
        rows = Occupation if states <= HOLDS else BookingItem
        starts, ends = rows.starts_at, rows.ends_at
        query = query.join(rows, rows.booking_id == Booking.id).where(_of(subject, rows.instrument_id))
        if isinstance(subject, Facility):
            query = query.add_columns(starts).distinct()
    elif subject is not None:
        query = query.where(Booking.project_id == subject.id)
    else:
        query = query.where(Booking.person_id == found.actor.person_id)
    query = query.where(Booking.state.in_(states), starts < within.end, ends > within.start)
    # No use is longer: without this bound an index would be read from its very beginning.
    query = query.where(starts > within.start - LONGEST)
    if over:
        query = query.where(ends <= within.end)
    rows_ = session.execute(query.order_by(starts.desc() if over else starts).limit(most))
    return list({key: version for key, version, *_ in rows_}.items())


_KEY = cast_to(Booking.id, Text).label("key")
"""A booking's id as the database writes it: to make ten thousand UUIDs costs more than the query."""


def _of(subject: Instrument | Facility, column: Any) -> ColumnElement[bool]:
    if isinstance(subject, Instrument):
        return cast("ColumnElement[bool]", column == subject.id)
    there = select(Instrument.id).where(Instrument.facility_id == subject.id)
    return cast("ColumnElement[bool]", column.in_(there))


def entries(
    session: Session, found: Feed, *, keys: Sequence[str], host: str, secret: bytes
) -> dict[str, list[Entry]]:
    """Give the events of bookings by the bookings' keys, what the feed's owner may not know masked.

    `host` and `secret` make the UIDs, see `domain.calendars`. A booking that shows nothing here has no event.
    """
    rows: list[_Item] = []
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        query = _details(found).where(type_coerce(Booking.id, Uuid(as_uuid=False)).in_(some))
        rows += cast("Iterable[_Item]", session.execute(query))
    places = _places(session, {row.instrument_id for row in rows})
    shown = _shown(session, found.subject, places)
    uids = _Uids(found, host, secret)
    level = _Levels(found)
    return {
        key: _events(list(items), level, shown=shown, places=places, uids=uids)
        for key, items in groupby(rows, key=itemgetter(0))
    }


_AT_ONCE = 1000


def others(
    session: Session, found: Feed, *, rules: FeedRules, host: str, secret: bytes, now: datetime
) -> list[Entry]:
    """Give the events of a feed that are no bookings: closures, or free time."""
    subject = found.subject
    uids = _Uids(found, host, secret)
    if found.scope is CalendarScope.FREE and isinstance(subject, Instrument):
        return _free(session, found, subject, uids, rules=rules, now=now)
    if isinstance(subject, (Instrument, Facility)):
        within = Span(*calendars.window(now, rules))
        return _closures(session, found, subject, within, uids=uids, most=rules.cap)
    return []


class _Uids:
    """The UIDs of a feed: a booking's own, or, where it shall not be told, one that hides it."""

    def __init__(self, found: Feed, host: str, key: bytes) -> None:
        self.host = host
        self.key = key
        self.busy = found.privacy is Privacy.BUSY

    def of(self, thing: str, item: int | None = None, *, masked: bool = False) -> str:
        uid = calendars.event_uid(thing, self.host, item)
        return calendars.busy_uid(uid, self.host, self.key) if masked or self.busy else uid


def _details(found: Feed) -> Any:
    """Say how to read bookings with a row for each item, one booking after the other; `_Item` names the columns."""
    query: Any = (
        select(
            _KEY,
            Booking.version,
            Booking.sequence,
            Booking.created_at,
            Booking.updated_at,
            Booking.state,
            Booking.purpose,
            Booking.confidential,
            (Booking.person_id == found.actor.person_id).label("mine"),
            Booking.organisation_id,
            BookingItem.position,
            BookingItem.instrument_id,
            BookingItem.starts_at,
            BookingItem.ends_at,
            BookingItem.quantity,
            (literal("") if found.scope is CalendarScope.ME else Person.name).label("person"),
            (Project.name if found.privacy is Privacy.FULL else literal("")).label("project"),
        )
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .order_by(Booking.id, BookingItem.position)
    )
    if found.scope is not CalendarScope.ME:
        query = query.join(Person, Person.id == Booking.person_id)
    if found.privacy is Privacy.FULL:
        query = query.outerjoin(Project, Project.id == Booking.project_id)
    return query


class _Item(NamedTuple):
    """A row of `_details`: a booking with one of its items."""

    key: str
    version: int
    sequence: int
    created_at: datetime
    updated_at: datetime
    state: State
    purpose: str
    confidential: bool
    mine: bool
    organisation_id: int | None
    position: int
    instrument_id: int
    starts_at: datetime
    ends_at: datetime
    quantity: int
    person: str
    project: str | None


def _events(
    items: Sequence[_Item], level: "_Levels", *, shown: set[int], places: Mapping[int, Place], uids: _Uids
) -> list[Entry]:
    first = items[0]
    kept = [item for item in items if item.instrument_id in shown]
    seen = level.of(first, places[kept[0].instrument_id].facility_id) if kept else None
    if seen is None:
        return []
    if len(items) == 1 or len({(item.starts_at, item.ends_at) for item in items}) == 1:
        return [_entry(kept, seen, places=places, uids=uids, position=None)]
    return [_entry([item], seen, places=places, uids=uids, position=item.position) for item in kept]


def _entry(
    items: Sequence[_Item],
    level: Level,
    *,
    places: Mapping[int, Place],
    uids: _Uids,
    position: int | None,
) -> Entry:
    (
        key, version, sequence, created_at, updated_at, state, purpose, _confidential, mine,
        _organisation, _position, instrument_id, starts_at, ends_at, quantity, person, project,
    ) = items[0]  # fmt: skip
    booking_id = _dashed(key)
    if level is Level.MASKED:
        # How often it moved and whether it is approved is not for others to know.
        return Entry(
            uids.of(booking_id, position, masked=True), Kind.BOOKING, booking_id, version, 0,
            starts_at, ends_at, updated_at, updated_at, level,
        )  # fmt: skip
    at: tuple[Place, ...] = (places[instrument_id],)
    units: tuple[int, ...] = (quantity,)
    for item in items[1:]:
        at = (*at, places[item.instrument_id])
        units = (*units, item.quantity)
    for place in at:
        updated_at = max(updated_at, place.updated_at)
    return Entry(
        uids.of(booking_id, position), Kind.BOOKING, booking_id, version, sequence,
        starts_at, ends_at, created_at, updated_at, level, state, at, units, mine,
        person, purpose, project or "",
    )  # fmt: skip


def _dashed(key: str) -> str:
    """Give a booking's id as everybody writes it; SQLite keeps it without the dashes."""
    if len(key) > 32:
        return key
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def _places(session: Session, instrument_ids: Iterable[int]) -> dict[int, Place]:
    rows = session.execute(
        select(
            Instrument.id,
            Instrument.code,
            Instrument.name_zh,
            Instrument.name_en,
            Instrument.location,
            Instrument.facility_id,
            Instrument.updated_at,
            Facility.name_zh.label("facility_zh"),
            Facility.name_en.label("facility_en"),
            Facility.address,
        )
        .join(Facility, Facility.id == Instrument.facility_id)
        .where(Instrument.id.in_(set(instrument_ids)))
    )
    return {
        row.id: Place(
            id=row.id,
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            location=row.location,
            facility=Name(row.facility_zh, row.facility_en),
            address=row.address,
            facility_id=row.facility_id,
            updated_at=row.updated_at,
        )
        for row in rows
    }


def _shown(
    session: Session, subject: Instrument | Facility | Project | None, places: Mapping[int, Place]
) -> set[int]:
    """Give the instruments whose items belong in the feed; of a station also the lines that it is part of."""
    if isinstance(subject, Instrument):
        lines = session.scalars(select(Part.line_id).where(Part.station_id == subject.id))
        return {subject.id, *lines}
    if isinstance(subject, Facility):
        return {place for place, row in places.items() if row.facility_id == subject.id}
    return set(places)


class _Levels:
    """How much the owner of a feed is told of each booking in it; asked once for each kind of stranger."""

    def __init__(self, found: Feed) -> None:
        self.actor = found.actor
        self.privacy = {
            Privacy.BUSY: Level.BUSY, Privacy.SUMMARY: Level.SUMMARY, Privacy.FULL: Level.FULL
        }[found.privacy]  # fmt: skip
        self.in_project = found.scope is CalendarScope.PROJECT
        self.known: dict[tuple[int | None, int], bool] = {}

    def of(self, row: _Item, facility_id: int) -> Level | None:
        """Give the level; None where a booking that was called off is nobody else's business."""
        if row.mine:
            return self.privacy
        if row.confidential or not self._may_see(row, facility_id):
            return None if row.state in CALLED_OFF else Level.MASKED
        return self.privacy

    def _may_see(self, row: _Item, facility_id: int) -> bool:
        if self.in_project:
            return True
        key = (row.organisation_id, facility_id)
        if key not in self.known:
            subject = Subject(organisation_id=row.organisation_id, facility_id=facility_id)
            self.known[key] = may(self.actor, "booking.see", subject)
        return self.known[key]


def _closures(
    session: Session, found: Feed, subject: Instrument | Facility, within: Span, *, uids: _Uids, most: int
) -> list[Entry]:
    rows = session.execute(
        select(
            Occupation.kind,
            Occupation.closure_id,
            Occupation.id,
            Occupation.instrument_id,
            Occupation.use_starts_at,
            Occupation.use_ends_at,
            Closure.created_at,
            Closure.reason,
            Closure.instrument_id.label("only"),
        )
        .outerjoin(Closure, Closure.id == Occupation.closure_id)
        .where(
            _of(subject, Occupation.instrument_id),
            Occupation.starts_at < within.end,
            Occupation.ends_at > within.start,
            Occupation.kind.in_((Kind.MAINTENANCE, Kind.CLOSURE, Kind.EXTERNAL)),
        )
        .order_by(Occupation.starts_at.desc(), Occupation.id)
        .limit(most)
    ).all()
    places = _places(session, {row.instrument_id for row in rows})
    level = Level.BUSY if found.privacy is Privacy.BUSY else Level.SUMMARY
    made: dict[str, Entry] = {}
    for row in rows:
        place = places[row.instrument_id]
        key = str(row.closure_id or f"occupation-{row.id}")
        since = row.created_at or place.updated_at
        whole = row.closure_id is not None and row.only is None and isinstance(subject, Facility)
        made[key] = Entry(
            uids.of(key), row.kind, key, 1, 0,
            row.use_starts_at, row.use_ends_at,
            since, max(since, place.updated_at), level,
            places=() if whole else (place,), purpose=row.reason or "",
        )  # fmt: skip
    return list(made.values())


def _free(
    session: Session, found: Feed, subject: Instrument, uids: _Uids, *, rules: FeedRules, now: datetime
) -> list[Entry]:
    # From midnight on, not from now: what a feed shows changes of itself once a day at most.
    today = calendars.midnight(now)
    end = min(calendars.window(now, rules)[1], today + availability.WINDOW)
    start = instant(calendars.day_in(found.zone, now), 0, zone(found.zone))
    policy = policies.in_force(session, subject, person_id=found.actor.person_id, start=start)
    if policy.horizon is not None:
        end = min(end, today + timedelta(minutes=policy.horizon))
    if not subject.bookable or end <= today:
        return []
    within = Span(today, end)
    spans = availability.free(session, actor=found.actor, code=subject.code, within=within, now=today)
    place = _places(session, [subject.id])[subject.id]
    # Whatever changes in a free span makes another one of it, since there is no telling when it changed.
    return [
        Entry(
            uids.of(f"free-{subject.id}-{span.start:%Y%m%dT%H%M}-{span.end:%Y%m%dT%H%M}-{span.free}"),
            None, subject.code, 1, 0, span.start, span.end, place.updated_at, place.updated_at,
            Level.SUMMARY, places=(place,), units=(span.free,),
        )
        for span in spans
    ]  # fmt: skip
