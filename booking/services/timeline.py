"""The resource timeline: which instruments have a row there, what takes their time, and whether any of it changed."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Select, String, and_, func, or_, select, true, type_coerce
from sqlalchemy.orm import Session

from booking.domain import policy, search
from booking.domain.access import Actor, Subject, may
from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.lifecycle import Action, State, possible
from booking.domain.moments import moment
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
from models.as_text import id_text, utc_text
from models.words import holding

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


class Row(NamedTuple):
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


_KINDS = {kind.value: kind for kind in Kind}
_NONE = (False, False)
_NOBODYS = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Index:
    """The rows in their order, how many instruments there are in all, and the hours in which any of them is open."""

    rows: list[Row]
    total: int
    hours: tuple[int, int] | None


class Bar(NamedTuple):
    """Something that takes time, as staff sees it; behind the mask `booking_id`, title and person are None.

    A timeline has thousands, so that times and ids stay the text that the database has. `movable` says that the reader
    may change it, `own` that it is theirs, `asks` that its owner has not agreed to be moved beforehand.
    """

    instrument_id: int
    starts: str
    ends: str
    use_starts: str
    use_ends: str
    expires: str | None
    quantity: int
    kind: Kind
    look: Look
    booking_id: str | None
    version: int | None
    title: str | None
    person: str | None
    movable: bool
    own: bool
    asks: bool
    confidential: bool

    @property
    def start(self) -> datetime:
        """Give when its time begins, set-up included."""
        return moment(self.starts)

    @property
    def use_start(self) -> datetime:
        """Give when the use begins."""
        return moment(self.use_starts)

    @property
    def use_end(self) -> datetime:
        """Give when the use ends."""
        return moment(self.use_ends)


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
        type_coerce(Instrument.kind, String),
        func.coalesce(Instrument.category_code, ""),
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
    rows = [Row._make(row[:-1]) for row in found]
    places = {place: number for number, place in enumerate(facility_ids)}
    return Index(
        _in_order(rows, places),
        found[0].total if found else 0,
        _hours(session, {row.facility_id for row in rows}),
    )


def _worded(words: str) -> list[ColumnElement[bool]]:
    return holding(search.words(words))


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

_SETTINGS = (
    Instrument.id,
    Instrument.facility_id,
    Instrument.category_code,
    Instrument.revision,
    *(getattr(Instrument, f"{name}_minutes") for name in policy.SHEET),
)
"""What decides of an instrument's settings and hours."""


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
    query = select(*_SETTINGS).where(Instrument.id.in_(instrument_ids), *_mine(actor))
    rows = cast("Sequence[Instrument]", session.execute(query).all())  # what is asked of them is there
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
    """Give what takes the time of the instruments that are chosen, by instrument and start; one statement."""
    # In the order of an index that begins with the instrument: SQLite would read all before the window otherwise.
    order = (Occupation.instrument_id, Occupation.starts_at, Occupation.id)
    query = _entries(actor, places, within, now).order_by(*order)
    return _bars(session.execute(query), actor)


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
    found = _bars(session.execute(ordered.limit(page_size).offset((page - 1) * page_size)), actor)
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
        Instrument.facility_id,
        own,
        Booking.organisation_id.in_(actor.leads),
        type_coerce(Booking.state, String),
        Booking.ends_at > now,
        Booking.may_move,
        type_coerce(Occupation.kind, String),
        id_text(Occupation.booking_id),
        Booking.version,
        Booking.purpose,
        Person.name,
        Booking.confidential,
        Occupation.instrument_id,
        utc_text(Occupation.starts_at),
        utc_text(Occupation.ends_at),
        utc_text(Occupation.use_starts_at),
        utc_text(Occupation.use_ends_at),
        utc_text(Occupation.expires_at),
        Occupation.quantity,
    )
    return (
        select(*columns)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .outerjoin(Booking, Booking.id == Occupation.booking_id)
        .outerjoin(Person, Person.id == Booking.person_id)
        .where(places, _stands(within, now))
    )


def _bars(rows: Iterable[Any], actor: Actor) -> list[Bar]:
    """Tell of each entry what the reader may know, which is asked once for each sort of owner."""
    known: dict[tuple[Any, ...], tuple[bool, bool]] = {}
    found = []
    for row in rows:
        facility, own, led, state, ahead, may_move, kind, *told, confidential = row[:12]
        whose = facility, own, led
        if whose not in known:
            known[whose] = _rights(actor, facility, own=bool(own), led=bool(led))
        seen, changes = known[whose] if told[0] is not None else _NONE
        movable = changes and state in MOVABLE and bool(ahead)
        found.append(
            Bar._make(
                (
                    *row[12:],
                    _KINDS[kind],
                    _OF_KIND[kind] if state is None else _OF_STATE[state],
                    *(told if seen else _NOBODYS),
                    movable,
                    bool(own),
                    movable and state != State.REQUESTED and not may_move and not own,
                    bool(confidential),
                )
            )
        )
    return found


def _rights(actor: Actor, facility: int, *, own: bool, led: bool) -> tuple[bool, bool]:
    """Tell whether the reader may see and change a booking: as staff of the facility, as owner, as leader."""
    subjects = [
        Subject(facility_id=facility),
        *([Subject(owner_id=actor.person_id)] if own else []),
        *([Subject(organisation_id=min(actor.leads))] if led else []),
    ]
    seen, changes = (
        any(may(actor, action, subject) for subject in subjects)
        for action in ("booking.see", "booking.change")
    )
    return seen, seen and changes


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
