"""The resource timeline: which instruments have a row there, what takes their time, and whether any of it changed."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session

from booking.domain import search
from booking.domain.access import Actor, Subject, may
from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.lifecycle import Action, State, possible
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.services import availability, policies
from booking.services.availability import check_window
from models import (
    Booking,
    Facility,
    Instrument,
    InstrumentText,
    Occupation,
    OpeningRule,
    Part,
    Person,
)

MOST_ROWS = 2000
"""So many instruments one timeline has; with more one chooses a facility or words."""

MOST_AT_ONCE = 120
"""So many rows are read at once, for those in sight."""

MOVABLE = frozenset(state for state in State if Action.CHANGE in possible(state))


class Only(enum.StrEnum):
    """Which instruments alone: those with something in the time shown, or those with nothing in it."""

    BOOKED = "booked"
    FREE = "free"


class Look(enum.StrEnum):
    """What a bar is, by which it is painted and chosen."""

    BOOKED = "booked"
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    CLOSED = "closed"
    HELD = "held"
    IMPORTED = "imported"


_OF_STATE = {
    State.REQUESTED: Look.PENDING,
    State.CONFIRMED: Look.BOOKED,
    State.CHECKED_IN: Look.RUNNING,
    State.ENDED: Look.ENDED,
}
_OF_KIND = {
    Kind.MAINTENANCE: Look.CLOSED,
    Kind.CLOSURE: Look.CLOSED,
    Kind.HOLD: Look.HELD,
    Kind.EXTERNAL: Look.IMPORTED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """An instrument with a row; `line` is the id of the line under which it stands as a station."""

    id: int
    code: str
    name_zh: str
    name_en: str
    facility_id: int
    kind: str
    category: str
    units: int
    unit_name: str
    published: bool
    revision: int
    line: int | None


@dataclass(frozen=True, slots=True)
class Index:
    """The rows in their order, how many instruments there are in all, and the hours in which any of them is open."""

    rows: list[Row]
    total: int
    hours: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that takes time, as staff sees it; behind the mask `booking_id`, title and person are None.

    `movable` says that the reader may change it, `own` that it is theirs, `asks` that its owner has not agreed to be
    moved beforehand.
    """

    instrument_id: int
    start: datetime
    end: datetime
    use_start: datetime
    use_end: datetime
    quantity: int
    look: Look
    kind: Kind
    booking_id: UUID | None
    version: int | None
    title: str | None
    person: str | None
    movable: bool
    own: bool
    asks: bool
    confidential: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row's time: the revision of its calendar, the step of its uses, where it is open and what takes it."""

    revision: int
    step: int
    opened: tuple[Span, ...]
    bars: list[Bar]


# --- rows -----------------------------------------------------------------------------------------


def index(
    session: Session,
    *,
    facility_ids: Sequence[int],
    within: Span,
    words: str = "",
    only: Only | None = None,
    now: datetime,
) -> Index:
    """Give the instruments of these facilities, by facility in this order, stations under their line; three statements.

    :raises Invalid: if the window is inverted or too long
    """
    check_window(within)
    conditions = [Instrument.facility_id.in_(facility_ids), *_worded(words)]
    if only is not None:
        taken = select(Occupation.instrument_id).where(_stands(within, now))
        chosen = Instrument.id.in_(taken)
        conditions.append(chosen if only is Only.BOOKED else ~chosen)
    under = select(Part.station_id, func.min(Part.line_id).label("line")).group_by(Part.station_id).subquery()
    columns = (
        Instrument.id,
        Instrument.code,
        Instrument.name_zh,
        Instrument.name_en,
        Instrument.facility_id,
        Instrument.kind,
        Instrument.category_code,
        Instrument.units,
        Instrument.unit_name,
        Instrument.published,
        Instrument.revision,
        under.c.line,
        func.count().over().label("total"),
    )
    query = (
        select(*columns)
        .join(Facility, Facility.id == Instrument.facility_id)
        .outerjoin(under, under.c.station_id == Instrument.id)
        .where(*conditions)
        .order_by(Facility.code, Instrument.code)
        .limit(MOST_ROWS)
    )
    if words:
        query = query.join(InstrumentText, InstrumentText.instrument_id == Instrument.id)
    found = session.execute(query).all()
    rows = [_row(row) for row in found]
    places = {place: number for number, place in enumerate(facility_ids)}
    return Index(
        _in_order(rows, places),
        found[0].total if found else 0,
        _hours(session, {row.facility_id for row in rows}),
    )


def _row(row: Any) -> Row:
    return Row(
        id=row.id,
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        facility_id=row.facility_id,
        kind=row.kind.value,
        category=row.category_code or "",
        units=row.units,
        unit_name=row.unit_name,
        published=row.published,
        revision=row.revision,
        line=row.line,
    )


def _worded(words: str) -> list[ColumnElement[bool]]:
    return [InstrumentText.search_text.contains(word, autoescape=True) for word in search.words(words)]


def _in_order(rows: Sequence[Row], places: Mapping[int, int]) -> list[Row]:
    """Put stations behind their line, where that has a row in the same facility; else a row stands for itself."""
    known = {row.id: row for row in rows}

    def key(row: Row) -> tuple[int, str, bool, str]:
        line = known.get(row.line) if row.line is not None else None
        under = line is not None and line.facility_id == row.facility_id
        return places[row.facility_id], line.code if line and under else row.code, under, row.code

    return sorted(rows, key=key)


def _hours(session: Session, facility_ids: Collection[int]) -> tuple[int, int] | None:
    """Give the first and the last hour of the day at which any of the facilities' instruments may be open."""
    places = select(Instrument.id).where(Instrument.facility_id.in_(facility_ids))
    query = select(func.min(OpeningRule.opens), func.max(OpeningRule.closes)).where(
        or_(OpeningRule.facility_id.in_(facility_ids), OpeningRule.instrument_id.in_(places))
    )
    opens, closes = session.execute(query).one()
    return None if opens is None else (opens // 60, -(-closes // 60))


# --- what takes time ------------------------------------------------------------------------------


def drawn(
    session: Session,
    *,
    actor: Actor,
    instrument_ids: Collection[int],
    within: Span,
    now: datetime,
) -> dict[int, Drawn]:
    """Give the time of those of some instruments that are of my facilities; a constant number of statements.

    :raises Invalid: if the window is inverted or too long
    """
    check_window(within)
    query = select(Instrument).where(Instrument.id.in_(instrument_ids), *_mine(actor))
    rows = session.scalars(query).all()
    timetables = policies.timetables(session, rows, person_id=actor.person_id)
    hours = availability.hours_of(session, rows)
    known: dict[tuple[str, tuple[WeeklyHours, ...]], tuple[Span, ...]] = {}
    for name, weekly in hours.values():
        if (name, weekly) not in known:
            known[name, weekly] = tuple(open_spans(weekly, within, zone(name)))
    of_row: dict[int, list[Bar]] = {row.id: [] for row in rows}
    steps: dict[int, int] = {}
    for row in rows:
        table = timetables[row.id]
        if id(table) not in steps:
            steps[id(table)] = table.at(within.start).step
    for bar in bars(
        session, actor=actor, places=Occupation.instrument_id.in_(of_row), within=within, now=now
    ):
        of_row[bar.instrument_id].append(bar)
    return {
        row.id: Drawn(row.revision, steps[id(timetables[row.id])], known[hours[row.id]], of_row[row.id])
        for row in rows
    }


def bars(
    session: Session, *, actor: Actor, places: ColumnElement[bool], within: Span, now: datetime
) -> list[Bar]:
    """Give what takes the time of the instruments that are chosen, by start; one statement."""
    query = _entries(actor, places, within, now).order_by(Occupation.starts_at, Occupation.id)
    rights = _Rights(actor)
    return [_bar(row, rights) for row in session.execute(query)]


def agenda(
    session: Session,
    *,
    actor: Actor,
    facility_ids: Sequence[int],
    within: Span,
    words: str = "",
    looks: Collection[Look] = frozenset(Look),
    page: int,
    page_size: int,
    now: datetime,
) -> tuple[list[tuple[Instrument, Bar]], int]:
    """Give a page of what takes time at these facilities, by start, and how much there is.

    :raises Invalid: if the window is inverted or too long
    """
    check_window(within)
    chosen = and_(Instrument.facility_id.in_(facility_ids), *_worded(words))
    query = _entries(actor, chosen, within, now).where(
        or_(*(_is(look) for look in looks)) if looks else ~true()
    )
    if words:
        query = query.join(InstrumentText, InstrumentText.instrument_id == Instrument.id)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    ordered = query.order_by(Occupation.starts_at, Instrument.code, Occupation.id)
    rights = _Rights(actor)
    rows = session.execute(ordered.limit(page_size).offset((page - 1) * page_size))
    found = [_bar(row, rights) for row in rows]
    wanted = select(Instrument).where(Instrument.id.in_({bar.instrument_id for bar in found}))
    known = {row.id: row for row in session.scalars(wanted)}
    return [(known[bar.instrument_id], bar) for bar in found], total


def _is(look: Look) -> ColumnElement[bool]:
    for state, of_state in _OF_STATE.items():
        if of_state is look:
            return Booking.state == state
    return Occupation.kind.in_([kind for kind, of_kind in _OF_KIND.items() if of_kind is look])


def _stands(within: Span, now: datetime) -> ColumnElement[bool]:
    return and_(
        Occupation.starts_at < within.end,
        Occupation.ends_at > within.start,
        or_(Occupation.expires_at.is_(None), Occupation.expires_at > now),
    )


def _entries(actor: Actor, places: ColumnElement[bool], within: Span, now: datetime) -> Select[Any]:
    """Ask for what takes time; whose it is the database tells, since so many rows are dear to build."""
    own = or_(Booking.person_id == actor.person_id, Booking.booked_by_id == actor.person_id)
    columns: tuple[Any, ...] = (
        Occupation.instrument_id,
        Occupation.starts_at,
        Occupation.ends_at,
        Occupation.use_starts_at,
        Occupation.use_ends_at,
        Occupation.quantity,
        Occupation.kind,
        Occupation.booking_id,
        Occupation.expires_at,
        Booking.version,
        Booking.state,
        Booking.purpose,
        own.label("own"),
        Booking.organisation_id.in_(actor.leads).label("led"),
        Booking.confidential,
        Booking.may_move,
        (Booking.ends_at > now).label("ahead"),
        Instrument.facility_id,
        Person.name,
    )
    return (
        select(*columns)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .outerjoin(Booking, Booking.id == Occupation.booking_id)
        .outerjoin(Person, Person.id == Booking.person_id)
        .where(places, _stands(within, now))
    )


class _Rights:
    """What the reader may see and change, asked once for each facility: as its staff, as owner, as leader."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._staff: dict[tuple[str, int], bool] = {}
        mine = Subject(owner_id=actor.person_id)
        led = Subject(organisation_id=min(actor.leads, default=None))
        self._own = {action: may(actor, action, mine) for action in ("booking.see", "booking.change")}
        self._led = {action: may(actor, action, led) for action in self._own}

    def allow(self, action: str, row: Any) -> bool:
        """Tell whether the reader may do this to the booking of a row."""
        key = action, row.facility_id
        if key not in self._staff:
            self._staff[key] = may(self._actor, action, Subject(facility_id=row.facility_id))
        if self._staff[key]:
            return True
        return bool((row.own and self._own[action]) or (row.led and self._led[action]))


def _bar(row: Any, rights: _Rights) -> Bar:
    seen = row.booking_id is not None and rights.allow("booking.see", row)
    movable = seen and row.state in MOVABLE and row.ahead and rights.allow("booking.change", row)
    return Bar(
        instrument_id=row.instrument_id,
        start=row.starts_at,
        end=row.ends_at,
        use_start=row.use_starts_at,
        use_end=row.use_ends_at,
        quantity=row.quantity,
        look=_OF_STATE[row.state] if row.state is not None else _OF_KIND[row.kind],
        kind=row.kind,
        booking_id=row.booking_id if seen else None,
        version=row.version if seen else None,
        title=row.purpose if seen else None,
        person=row.name if seen else None,
        movable=bool(movable),
        own=bool(row.own),
        asks=bool(movable) and row.state is not State.REQUESTED and not row.may_move and not row.own,
        confidential=bool(row.confidential),
        expires_at=row.expires_at,
    )


# --- whether anything changed ---------------------------------------------------------------------


def mark(session: Session, *, actor: Actor, facility: str = "") -> tuple[int, int]:
    """Give how many instruments there are at my facilities, or the one, and the sum of their revisions; one statement.

    Whatever changes the calendar of any of them makes the sum greater.
    """
    query = select(func.count(), func.coalesce(func.sum(Instrument.revision), 0))
    count, total = session.execute(query.where(*_mine(actor, facility))).one()
    return count, int(total)


def revisions(session: Session, *, actor: Actor, facility: str = "") -> dict[int, int]:
    """Give the revision of each instrument at my facilities, or the one."""
    query = select(Instrument.id, Instrument.revision).where(*_mine(actor, facility))
    return {row.id: row.revision for row in session.execute(query)}


def _mine(actor: Actor, facility: str = "") -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if not actor.administrator:
        found.append(Instrument.facility_id.in_(actor.operates | actor.manages))
    if facility:
        found.append(
            Instrument.facility_id == select(Facility.id).where(Facility.code == facility).scalar_subquery()
        )
    return found or [true()]
