"""Feeds: what each calendar address shows to its owner at this moment."""

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Text, Uuid, bindparam, func, literal, or_, select, type_coerce
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session, aliased

from booking.domain import calendars as ical
from booking.domain.access import Actor, Forbidden, NotFound, Subject, may
from booking.domain.calendars import FeedRules
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import HOLDS, State
from booking.domain.moments import moment, written
from booking.domain.occupation import Kind
from booking.domain.rules import LONGEST
from booking.domain.spans import Span
from booking.services import approvals, availability, calendars, policies
from booking.services.calendars import Thing
from booking.services.sign_in import PERSON_COLUMNS, actor_of_rows
from models import (
    Booking,
    BookingItem,
    CalendarLink,
    CalendarScope,
    Closure,
    Facility,
    Instrument,
    Membership,
    Network,
    NetworkFacility,
    Occupation,
    Part,
    Person,
    PersonState,
    Privacy,
    Project,
    Transfer,
    TransferState,
)
from models.as_text import utc_text

CALLED_OFF = frozenset({State.CANCELLED, State.WITHDRAWN, State.REJECTED, State.EXPIRED})
"""What a feed shows as cancelled, if it is asked to show that at all."""


WITH_NEWS = frozenset(
    {CalendarScope.INSTRUMENT, CalendarScope.FREE, CalendarScope.FACILITY, CalendarScope.NETWORK}
)
"""Feeds that are about instruments, of which there is news when time comes free."""

WITH_BUSY = frozenset({CalendarScope.ME, CalendarScope.PROJECT, CalendarScope.INSTRUMENT, CalendarScope.FREE})
"""Feeds of which there is busy time alone: of many instruments together nobody is busy."""


class Gone(Exception):
    """The address was revoked, or its owner may not sign in any more."""


@dataclass(frozen=True, slots=True)
class Feed:
    """An address as it stands now: whose, of what, and a version that decides what it shows.

    `subject` is None for one's own bookings and approvals, and where the owner may no longer see the thing: then
    `readable` is false and the feed is empty. `context` is the part of the version that decides, with a booking's
    own version, how this booking is shown. `zones` are those by whose days free time changes of itself. `past_days`
    and `future_days` are the owner's choice, None for as far as the server lets it.
    """

    link_id: UUID
    scope: CalendarScope
    privacy: Privacy
    locale: str
    actor: Actor
    subject: Thing | None
    readable: bool
    fetched_at: datetime | None
    context: tuple[object, ...]
    version: tuple[object, ...]
    zones: tuple[str, ...] = ()
    name: str = ""
    past_days: int | None = None
    future_days: int | None = None
    pending: bool = True
    cancelled: bool = False


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
    updated: str


class Entry(NamedTuple):
    """One event of a feed, not yet in words; `kind` is None for free time.

    A feed may have ten thousand, so that times stay the text that the database has (`domain.moments` reads it).
    `changed` is the last change of anything that the event prints. `state` is None where it is no booking, or nobody's
    business. What comes after `changed` decides the words of the event.
    """

    uid: str
    key: str
    version: int
    sequence: int
    starts: str
    ends: str
    created: str
    changed: str
    kind: Kind | None
    level: Level
    state: State | None = None
    places: tuple[Place, ...] = ()
    units: tuple[int, ...] = ()
    mine: bool = False
    person: str = ""
    purpose: str = ""
    project: str = ""

    @property
    def starts_at(self) -> datetime:
        """Give when it begins."""
        return moment(self.starts)

    @property
    def ends_at(self) -> datetime:
        """Give when it ends."""
        return moment(self.ends)

    @property
    def updated_at(self) -> datetime:
        """Give when anything that it prints changed last."""
        return moment(self.changed)


# Statements that every fetch asks are built once: to build one costs as much as to run it.
_LINK = (
    select(CalendarLink, Person.state, *PERSON_COLUMNS)
    .join(Person, Person.id == CalendarLink.person_id)
    .outerjoin(Membership, Membership.person_id == Person.id)
    .where(CalendarLink.secret_hash == bindparam("secret_hash"))
)
_CHANGED = select(func.max(Instrument.updated_at)).scalar_subquery()
_TRANSFERS = (
    select(func.count())
    .where(
        Transfer.state == TransferState.ACCEPTED,
        or_(Transfer.from_id == bindparam("person_id"), Transfer.to_id == bindparam("person_id")),
    )
    .scalar_subquery()
)
_MINE = select(_CHANGED, func.count(), func.sum(Booking.version), _TRANSFERS).where(
    Booking.person_id == bindparam("person_id")
)
_OF_PROJECT = select(_CHANGED, func.count(), func.sum(Booking.version), func.max(Booking.updated_at)).where(
    Booking.project_id == bindparam("project_id")
)
_THERE = Instrument.facility_id == bindparam("facility_id")
# The thing itself comes along, so that the session knows it and is not asked for it again.
_OF_FACILITY = select(
    Facility,
    _CHANGED,
    *(
        select(figure).where(_THERE).scalar_subquery()
        for figure in (func.count(), func.sum(Instrument.revision), func.max(Instrument.id))
    ),
).where(Facility.id == bindparam("facility_id"))
_station = aliased(Instrument)
_REVISIONS = select(func.sum(_station.revision)).where(
    _station.id.in_(
        select(Part.station_id).where(Part.line_id.in_(bindparam("instrument_ids", expanding=True)))
    )
)
_STATIONS = select(_CHANGED, _REVISIONS.scalar_subquery())
_OF_INSTRUMENT = (
    select(Instrument, Facility, _CHANGED, _REVISIONS.scalar_subquery())
    .join(Facility, Facility.id == Instrument.facility_id)
    .where(Instrument.id.in_(bindparam("instrument_ids", expanding=True)))
)


def feed(session: Session, *, secret_hash: bytes, now: datetime) -> Feed:
    """Give what an address stands for at this moment, in a constant number of small statements.

    :raises NotFound: if there never was such an address
    :raises Gone: if it was revoked or its owner's account is closed
    """
    rows = session.execute(_LINK, {"secret_hash": secret_hash}).all()
    if not rows:
        raise NotFound("calendar")
    link: CalendarLink = rows[0][0]
    if link.revoked_at is not None or rows[0].state is not PersonState.ACTIVE:
        raise Gone
    return of_link(session, link=link, actor=actor_of_rows(rows), now=now)


def of_link(session: Session, *, link: CalendarLink, actor: Actor, now: datetime | None = None) -> Feed:
    """Give what an address would show to this actor at this moment, kept or not.

    Without `now` requests are left out that wait for somebody who is away.
    """
    known = _read(session, link)
    try:
        subject = calendars.thing_of(session, actor=actor, link=link)
        counts = _counts(session, actor, link, subject, now, known)
    except (NotFound, Forbidden):
        subject, counts = None, ()  # rights may come back: the address stays alive, and shows nothing
    readable = subject is not None or link.scope in {CalendarScope.ME, CalendarScope.APPROVALS}
    context = (
        link.person_id, link.scope, link.instrument_id, link.facility_id, link.project_id, link.network_id,
        link.locale, link.privacy, link.pending, readable, _rights(actor), *counts[:1],
        *_names(session, subject),
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
        version=(*context, link.name, link.past_days, link.future_days, link.cancelled, *counts[1:]),
        zones=_zones(session, link.scope, subject),
        name=link.name,
        past_days=link.past_days,
        future_days=link.future_days,
        pending=link.pending,
        cancelled=link.cancelled,
    )


def _read(session: Session, link: CalendarLink) -> Any:
    """Read the instrument or facility that an address names, with what tells whether anything changed there.

    The session knows the thing for as long as somebody holds the row.
    """
    if link.instrument_id is not None:
        return session.execute(_OF_INSTRUMENT, {"instrument_ids": [link.instrument_id]}).one_or_none()
    if link.facility_id is not None:
        return session.execute(_OF_FACILITY, {"facility_id": link.facility_id}).one_or_none()
    return None


def _zones(session: Session, scope: CalendarScope, subject: Thing | None) -> tuple[str, ...]:
    if scope is not CalendarScope.FREE or subject is None:
        return ()
    places = {row.facility_id for row in instruments_of(subject)}
    query = select(Facility.zone).where(Facility.id.in_(places)).distinct()
    return tuple(session.scalars(query.order_by(Facility.zone)))


def instruments_of(subject: Thing | None) -> tuple[Instrument, ...]:
    """Give the instruments that a feed names one by one."""
    if isinstance(subject, Instrument):
        return (subject,)
    return subject if isinstance(subject, tuple) else ()


def _rights(actor: Actor) -> tuple[object, ...]:
    return (
        actor.administrator,
        sorted(actor.leads),
        sorted(actor.operates),
        sorted(actor.manages),
        sorted(actor.organisations),
    )


def _counts(
    session: Session,
    actor: Actor,
    link: CalendarLink,
    subject: Thing | None,
    now: datetime | None,
    known: Any,
) -> tuple[object, ...]:
    """Give when a name or a place of an instrument last changed, and figures of which at least one moves with
    whatever is booked, changed or given up.

    A booking's version only grows and its row stays for ever, so that the sum tells every change but that of
    bookings which go to another person or leave a project: of those the transfers, and the time, tell. What waits for
    somebody's word comes and goes, and is told one by one.
    """
    if isinstance(subject, Instrument):
        return (*known[2:], subject.revision)
    if isinstance(subject, tuple):
        where = {"instrument_ids": [row.id for row in subject]}
        return (*session.execute(_STATIONS, where).one(), *[row.revision for row in subject])
    if isinstance(subject, Facility):
        return tuple(known[1:])
    if isinstance(subject, Network):
        figures = select(_CHANGED, func.count(), func.sum(Instrument.revision), func.max(Instrument.id))
        return tuple(session.execute(figures.where(in_subject(subject, Instrument.id))).one())
    if isinstance(subject, Project):
        return tuple(session.execute(_OF_PROJECT, {"project_id": subject.id}).one())
    if link.scope is CalendarScope.APPROVALS:
        waiting = session.execute(_waiting(actor, now).order_by(Booking.id))
        return (session.scalar(select(_CHANGED)), tuple(map(tuple, waiting)))
    return tuple(session.execute(_MINE, {"person_id": actor.person_id}).one())


def _waiting(actor: Actor, now: datetime | None) -> Any:
    """Say how to read what waits for the actor's word."""
    return select(_KEY, Booking.version).where(Booking.id.in_(approvals.waiting_ids(actor, now)))


def _names(session: Session, subject: Thing | None) -> tuple[object, ...]:
    """Give what a feed says of its subject."""
    if isinstance(subject, Instrument):
        place = session.get_one(Facility, subject.facility_id)
        return (subject.name_zh, subject.name_en, place.name_zh, place.name_en, place.address)
    if isinstance(subject, tuple):
        return tuple(row.code for row in subject)
    if isinstance(subject, Facility):
        return (subject.name_zh, subject.name_en, subject.address)
    if isinstance(subject, Network):
        return (subject.name_zh, subject.name_en)
    return (subject.name if subject is not None else "",)


def outline(
    session: Session, found: Feed, *, rules: FeedRules, now: datetime, cancelled: bool = False
) -> list[tuple[str, int]]:
    """Give the key and the version of each booking in a feed; one statement, with the past two.

    There may be more than the cap, never fewer than it asks for. `cancelled` shows what was called off, too.
    """
    if not found.readable or found.scope is CalendarScope.FREE:
        return []
    window = Span(*ical.window(now, rules))
    today = ical.midnight(now)
    if found.scope is CalendarScope.APPROVALS:
        query = _waiting(found.actor, now).where(
            Booking.starts_at < window.end, Booking.ends_at > window.start
        )
        return [(key, version) for key, version in session.execute(query.limit(rules.cap))]
    # Of a stranger's booking nobody may tell whether it is approved: those are left to `entries`.
    own = found.scope in {CalendarScope.ME, CalendarScope.PROJECT}
    states = HOLDS if found.pending or not own else HOLDS - {State.REQUESTED}
    keys = _keys(session, found, Span(today, window.end), states, rules.cap)
    keys += _keys(session, found, Span(window.start, today), states, rules.cap - len(keys), over=True)
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
    if isinstance(subject, (Instrument, Facility, Network)):
        # What was called off is no longer in the ledger of time.
        rows = Occupation if states <= HOLDS else BookingItem
        starts, ends = rows.starts_at, rows.ends_at
        query = query.join(rows, rows.booking_id == Booking.id).where(in_subject(subject, rows.instrument_id))
    elif isinstance(subject, Project):
        query = query.where(Booking.project_id == subject.id)
    else:
        query = query.where(Booking.person_id == found.actor.person_id)
    query = query.where(Booking.state.in_(states), starts < within.end, ends > within.start)
    # No use is longer: without this bound an index would be read from its very beginning.
    query = query.where(starts > within.start - LONGEST)
    if over:
        query = query.where(ends <= within.end)
    query = query.order_by(starts.desc() if over else starts)
    asked = most
    while True:
        # A booking of several instruments comes several times; that is rare, and to sort it out in SQL is dear.
        rows_ = session.execute(query.limit(asked)).all()
        keys = dict(cast("Iterable[tuple[str, int]]", rows_))
        if len(rows_) < asked or len(keys) >= most:
            return list(keys.items())
        asked *= 2


_KEY = cast_to(Booking.id, Text).label("key")
"""A booking's id as the database writes it: to make ten thousand UUIDs costs more than the query."""


def in_subject(subject: Instrument | Facility | Network, column: Any) -> ColumnElement[bool]:
    """Say that a column holds an instrument of the subject, of a network one that is open to all."""
    if isinstance(subject, Instrument):
        return cast("ColumnElement[bool]", column == subject.id)
    there = select(Instrument.id)
    if isinstance(subject, Facility):
        there = there.where(Instrument.facility_id == subject.id)
    else:
        members = select(NetworkFacility.facility_id).where(NetworkFacility.network_id == subject.id)
        there = there.where(Instrument.facility_id.in_(members), Instrument.published)
    return cast("ColumnElement[bool]", column.in_(there))


def entries(
    session: Session, found: Feed, *, keys: Sequence[str], host: str, secret: bytes
) -> dict[str, list[Entry]]:
    """Give the events of bookings by the bookings' keys, what the feed's owner may not know masked.

    `host` and `secret` make the UIDs, see `domain.calendars`. A booking that shows nothing here has no event.
    """
    if not keys:
        return {}
    items: dict[str, list[_Item]] = {}
    query = _details(found).where(_among(session, Booking.id, keys))
    for row in map(_Item._make, session.execute(query)):
        items.setdefault(row.key, []).append(row)
    places = places_of(session, {row.instrument_id for rows in items.values() for row in rows})
    shown = _shown(session, found.subject, places)
    uids = _Uids(found, host, secret)
    level = _Levels(found)
    return {key: _events(rows, level, shown=shown, places=places, uids=uids) for key, rows in items.items()}


def _among(session: Session, column: Any, keys: Sequence[str]) -> ColumnElement[bool]:
    """Say that an id is one of these, as the database wrote them: one value for all, however many there are."""
    listed = bindparam("keys", json.dumps(keys), type_=Text())
    if session.get_bind().dialect.name == "sqlite":
        rows = func.json_each(listed).table_valued("value")
        return cast("ColumnElement[bool]", type_coerce(column, Text).in_(select(rows.c.value)))
    rows = func.json_array_elements_text(cast_to(listed, JSON)).table_valued("value")
    return cast("ColumnElement[bool]", column.in_(select(cast_to(rows.c.value, Uuid))))


def others(
    session: Session, found: Feed, *, rules: FeedRules, host: str, secret: bytes, now: datetime
) -> list[Entry]:
    """Give the events of a feed that are no bookings: closures, or free time."""
    subject = found.subject
    uids = _Uids(found, host, secret)
    if found.scope is CalendarScope.FREE:
        return _free(session, found, uids, rules=rules, now=now)
    if isinstance(subject, (Instrument, Facility, Network)):
        within = Span(*ical.window(now, rules))
        return _closures(session, found, subject, within, uids=uids, most=rules.cap)
    return []


class _Uids:
    """The UIDs of a feed: a booking's own, or, where it shall not be told, one that hides it."""

    def __init__(self, found: Feed, host: str, key: bytes) -> None:
        self.host = host
        self.key = key
        self.busy = found.privacy is Privacy.BUSY

    def of(self, thing: str, item: int | None = None, *, masked: bool = False) -> str:
        uid = ical.event_uid(thing, self.host, item)
        return ical.busy_uid(uid, self.host, self.key) if masked or self.busy else uid


def _details(found: Feed) -> Any:
    """Say how to read bookings with a row for each item; `_Item` names the columns."""
    query: Any = select(
        _KEY,
        Booking.version,
        Booking.sequence,
        utc_text(Booking.created_at),
        utc_text(Booking.updated_at),
        type_coerce(Booking.state, Text),
        Booking.purpose,
        Booking.confidential,
        (Booking.person_id == found.actor.person_id).label("mine"),
        Booking.organisation_id,
        BookingItem.position,
        BookingItem.instrument_id,
        utc_text(BookingItem.starts_at),
        utc_text(BookingItem.ends_at),
        BookingItem.quantity,
        (literal("") if found.scope is CalendarScope.ME else Person.name).label("person"),
        (Project.name if found.privacy is Privacy.FULL else literal("")).label("project"),
    ).join(BookingItem, BookingItem.booking_id == Booking.id)
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
    created: str
    updated: str
    state: str
    purpose: str
    confidential: bool
    mine: bool
    organisation_id: int | None
    position: int
    instrument_id: int
    starts: str
    ends: str
    quantity: int
    person: str
    project: str | None


def _events(
    items: list[_Item], level: "_Levels", *, shown: set[int], places: Mapping[int, Place], uids: _Uids
) -> list[Entry]:
    if len(items) > 1:
        items.sort(key=_position)
    first = items[0]
    kept = [item for item in items if item.instrument_id in shown]
    seen = level.of(first, places[kept[0].instrument_id].facility_id) if kept else None
    if seen is None:
        return []
    if seen is Level.MASKED and level.names_places:
        return [_masked(item, places[item.instrument_id], uids) for item in kept]
    if len(items) == 1 or len({(item.starts, item.ends) for item in items}) == 1:
        return [_entry(kept, seen, places=places, uids=uids, position=None)]
    return [_entry([item], seen, places=places, uids=uids, position=item.position) for item in kept]


def _position(item: _Item) -> int:
    return item.position


def _masked(item: _Item, place: Place, uids: _Uids) -> Entry:
    """Tell of a stranger's booking that an instrument is taken, and no more."""
    booking_id = _dashed(item.key)
    changed = max(item.updated, place.updated)
    return Entry(
        uids.of(booking_id, item.position, masked=True), booking_id, item.version, 0,
        item.starts, item.ends, item.updated, changed, Kind.BOOKING, Level.MASKED, places=(place,),
    )  # fmt: skip


def _entry(
    items: Sequence[_Item],
    level: Level,
    *,
    places: Mapping[int, Place],
    uids: _Uids,
    position: int | None,
) -> Entry:
    (
        key, version, sequence, created, updated, state, purpose, confidential, mine,
        _organisation, _position, instrument_id, starts, ends, quantity, person, project,
    ) = items[0]  # fmt: skip
    booking_id = _dashed(key)
    if level is Level.MASKED:
        # How often it moved and whether it is approved is not for others to know.
        return Entry(
            uids.of(booking_id, position, masked=True), booking_id, version, 0,
            starts, ends, updated, updated, Kind.BOOKING, level,
        )  # fmt: skip
    at: tuple[Place, ...] = (places[instrument_id],)
    units: tuple[int, ...] = (quantity,)
    for item in items[1:]:
        at = (*at, places[item.instrument_id])
        units = (*units, item.quantity)
    for place in at:
        updated = max(updated, place.updated)
    if confidential and not mine:  # of a request that waits for the reader
        person = purpose = ""
        project = None
    return Entry(
        uids.of(booking_id, position), booking_id, version, sequence,
        starts, ends, created, updated, Kind.BOOKING, level, _STATES[state], at, units, bool(mine),
        person, purpose, project or "",
    )  # fmt: skip


_STATES = {state.value: state for state in State}


def _dashed(key: str) -> str:
    """Give a booking's id as everybody writes it; SQLite keeps it without the dashes."""
    if len(key) > 32:
        return key
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"


def places_of(session: Session, instrument_ids: Iterable[int]) -> dict[int, Place]:
    """Give instruments by their ids as events print them."""
    rows = session.execute(
        select(
            Instrument.id,
            Instrument.code,
            Instrument.name_zh,
            Instrument.name_en,
            Instrument.location,
            Instrument.facility_id,
            utc_text(Instrument.updated_at).label("updated"),
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
            updated=row.updated,
        )
        for row in rows
    }


def _shown(session: Session, subject: Thing | None, places: Mapping[int, Place]) -> set[int]:
    """Give the instruments whose items belong in the feed; of a station also the lines that it is part of."""
    if isinstance(subject, Instrument):
        lines = session.scalars(select(Part.line_id).where(Part.station_id == subject.id))
        return {subject.id, *lines}
    if isinstance(subject, Facility):
        return {place for place, row in places.items() if row.facility_id == subject.id}
    if isinstance(subject, Network):
        mine = in_subject(subject, Instrument.id)
        return set(session.scalars(select(Instrument.id).where(Instrument.id.in_(set(places)), mine)))
    return set(places)


class _Levels:
    """How much the owner of a feed is told of each booking in it; asked once for each kind of stranger."""

    def __init__(self, found: Feed) -> None:
        self.actor = found.actor
        self.privacy = {
            Privacy.BUSY: Level.BUSY, Privacy.SUMMARY: Level.SUMMARY, Privacy.FULL: Level.FULL
        }[found.privacy]  # fmt: skip
        self.told_all = found.scope in {CalendarScope.PROJECT, CalendarScope.APPROVALS}
        self.asked = found.scope is CalendarScope.APPROVALS
        self.pending = found.pending
        # A network's feed says which instrument is taken, or it would say nothing.
        self.names_places = found.scope is CalendarScope.NETWORK and found.privacy is not Privacy.BUSY
        self.known: dict[tuple[int | None, int], bool] = {}

    def of(self, row: _Item, facility_id: int) -> Level | None:
        """Give the level; None where a booking that was called off is nobody else's business, or not wished for."""
        seen = row.mine or self.asked or not (row.confidential or not self._may_see(row, facility_id))
        if not seen:
            return None if row.state in CALLED_OFF else Level.MASKED
        wished = self.pending or self.asked or row.state != State.REQUESTED
        return self.privacy if wished else None

    def _may_see(self, row: _Item, facility_id: int) -> bool:
        if self.told_all:
            return True
        key = (row.organisation_id, facility_id)
        if key not in self.known:
            subject = Subject(organisation_id=row.organisation_id, facility_id=facility_id)
            self.known[key] = may(self.actor, "booking.see", subject)
        return self.known[key]


def _closures(
    session: Session,
    found: Feed,
    subject: Instrument | Facility | Network,
    within: Span,
    *,
    uids: _Uids,
    most: int,
) -> list[Entry]:
    rows = session.execute(
        select(
            Occupation.kind,
            Occupation.closure_id,
            Occupation.id,
            Occupation.instrument_id,
            utc_text(Occupation.use_starts_at).label("starts"),
            utc_text(Occupation.use_ends_at).label("ends"),
            utc_text(Closure.created_at).label("created"),
            Closure.reason,
            Closure.instrument_id.label("only"),
        )
        .outerjoin(Closure, Closure.id == Occupation.closure_id)
        .where(
            in_subject(subject, Occupation.instrument_id),
            Occupation.starts_at < within.end,
            Occupation.ends_at > within.start,
            Occupation.kind.in_((Kind.MAINTENANCE, Kind.CLOSURE, Kind.EXTERNAL)),
        )
        .order_by(Occupation.starts_at.desc(), Occupation.id)
        .limit(most)
    ).all()
    places = places_of(session, {row.instrument_id for row in rows})
    level = Level.BUSY if found.privacy is Privacy.BUSY else Level.SUMMARY
    made: dict[str, Entry] = {}
    for row in rows:
        place = places[row.instrument_id]
        whole = row.closure_id is not None and row.only is None and isinstance(subject, Facility)
        key = str(row.closure_id or f"occupation-{row.id}")
        if not whole and isinstance(subject, Network):
            key = f"occupation-{row.id}"  # a closed facility has an event for each of its instruments
        since = row.created or place.updated
        made[key] = Entry(
            uids.of(key), key, 1, 0,
            row.starts, row.ends, since, max(since, place.updated), row.kind, level,
            places=() if whole else (place,),
            purpose="" if isinstance(subject, Network) else row.reason or "",
        )  # fmt: skip
    return list(made.values())


def _free(session: Session, found: Feed, uids: _Uids, *, rules: FeedRules, now: datetime) -> list[Entry]:
    # From midnight on, not from now: what a feed shows changes of itself once a day at most.
    today = ical.midnight(now)
    subjects = {row.id: row for row in instruments_of(found.subject) if row.bookable}
    places = places_of(session, subjects)
    made: list[Entry] = []
    for key, spans in free_spans(session, found, list(subjects.values()), rules, now, today).items():
        place = places[key]
        # Whatever changes in a free span makes another one of it, since there is no telling when it changed.
        made += [
            Entry(
                uids.of(f"free-{key}-{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}-{units}"),
                place.code, 1, 0, written(start), written(end), place.updated, place.updated,
                None, Level.SUMMARY, places=(place,), units=(units,),
            )
            for (start, end), units in spans
        ]  # fmt: skip
    return made


def free_spans(
    session: Session,
    found: Feed,
    subjects: Sequence[Instrument],
    rules: FeedRules,
    now: datetime,
    today: datetime,
) -> dict[int, list[tuple[Span, int]]]:
    """Give for each instrument the spans in which so many units are free, as far ahead as it may be booked."""
    end = min(ical.window(now, rules)[1], today + availability.WINDOW)
    if not subjects or end <= today:
        return {}
    person_id = found.actor.person_id
    spans = availability.free_of(session, subjects, Span(today, end), now=today, person_id=person_id)
    timetables = policies.timetables(session, subjects, person_id=person_id)
    facilities = policies.facilities_of(session, {row.facility_id for row in subjects})
    for row in subjects:
        place = facilities[row.facility_id].zone
        start = instant(ical.day_in(place, now), 0, zone(place))
        policy = timetables[row.id].at(start)
        if policy.horizon is not None:
            last = today + timedelta(minutes=policy.horizon)
            spans[row.id] = [
                (Span(span.start, min(span.end, last)), units)
                for span, units in spans[row.id]
                if span.start < last
            ]
    return spans
