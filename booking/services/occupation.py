"""The ledger of time: lock, look, write. The only writer of the central table."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Insert,
    Integer,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased, class_mapper, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from booking.domain.access import NotFound
from booking.domain.occupation import Claim, Item, Kind, padded
from booking.domain.policy import Timetable
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Load, Span
from booking.services import kept
from models import (
    CameFree,
    Closure,
    Freed,
    Instrument,
    Occupation,
    Part,
    WaitlistEntry,
    WaitlistInstrument,
    guards,
)
from models.base import UtcDateTime

_row = Occupation.__table__.c

# Asked with every booking: made once, see services.sign_in.
_of_instrument = Instrument.__table__.c
_LOCK = (
    update(Instrument.metadata.tables["instrument"])
    .where(_of_instrument.id == bindparam("place"))
    .values(revision=_of_instrument.revision + 1)
    .returning(*_of_instrument)
)
_SEEN = select(Instrument).where(Instrument.id.in_(bindparam("places", expanding=True)))
_PARTS = (
    select(Part)
    .where(Part.line_id.in_(bindparam("lines", expanding=True)))
    .order_by(Part.line_id, Part.position)
)
_TABLE = Occupation.metadata.tables["occupation"]
_SEEN_OF_A_ROW = (
    _row.instrument_id,
    _row.starts_at,
    _row.ends_at,
    _row.quantity,
    _row.expires_at,
    _row.booking_id,
    _row.hold_id,
    _row.person_id,
)
_WITHIN = (_row.starts_at < bindparam("until"), _row.ends_at > bindparam("since"))
_TAKEN = select(*_SEEN_OF_A_ROW).where(_row.instrument_id.in_(bindparam("places", expanding=True)), *_WITHIN)


@dataclass(frozen=True, slots=True)
class Locked:
    """Instruments that this transaction has locked, with the stations of those that are lines."""

    instruments: dict[int, Instrument]
    parts: dict[int, list[Part]]


class View(NamedTuple):
    """What is taken by instrument, whether holds that have run out still lie about, and the reader's own holds."""

    loads: dict[int, tuple[Load, ...]]
    expired: bool
    own: frozenset[UUID] = frozenset()


def lock(session: Session, instrument_ids: Iterable[int]) -> Locked:
    """Lock the instruments and all stations of their lines, in id order, and advance their revisions.

    The order keeps two commands from waiting for each other; the update (not SELECT FOR UPDATE) lets the
    second see what the first wrote under every isolation level.

    :raises NotFound: if an instrument does not exist
    """
    wanted = set(instrument_ids)
    parts = parts_of(session, wanted)
    wanted |= {part.station_id for stations in parts.values() for part in stations}
    return Locked({place: _lock_one(session, place) for place in sorted(wanted)}, parts)


def unlocked(session: Session, instrument_ids: Iterable[int]) -> Locked:
    """Read what `lock` would lock, without locking; two statements.

    :raises NotFound: if an instrument does not exist
    """
    ids = set(instrument_ids)
    parts = parts_of(session, ids)
    wanted = ids | {part.station_id for stations in parts.values() for part in stations}
    rows = {row.id: row for row in session.scalars(_SEEN, {"places": list(wanted)})}
    for place in ids - rows.keys():
        raise NotFound("instrument", place)
    return Locked(rows, parts)


def _lock_one(session: Session, instrument_id: int) -> Instrument:
    session.flush()
    row = session.connection().execute(_LOCK, {"place": instrument_id}).one_or_none()
    if row is None:
        raise NotFound("instrument", instrument_id)
    return _instrument(session, row)


def _instrument(session: Session, row: Row[Any]) -> Instrument:
    """Give the object of a row, which the session has or gets; a third of what a query of objects costs."""
    known = session.identity_map.get(identity_key(Instrument, row.id))
    if known is not None:
        for name, value in zip(_of_instrument.keys(), row, strict=True):
            set_committed_value(known, name, value)
        found: Instrument = known
        return found
    made: Instrument = class_mapper(Instrument).class_manager.new_instance()
    vars(made).update(zip(_of_instrument.keys(), row, strict=True))
    make_transient_to_detached(made)
    session.add(made)
    return made


def advance(session: Session, which: ColumnElement[bool]) -> None:
    """Advance the revisions of many instruments whose free time changes though nobody books; one statement.

    They are locked in id order, as by every command.
    """
    ids = select(Instrument.id).where(which).order_by(Instrument.id).with_for_update()
    session.execute(
        update(Instrument)
        .where(Instrument.id.in_(ids))
        .values(revision=Instrument.revision + 1)
        .execution_options(synchronize_session=False)
    )


def parts_of(session: Session, instrument_ids: Iterable[int]) -> dict[int, list[Part]]:
    """Give the stations of those instruments that are lines."""
    wanted = set(instrument_ids)
    known = kept.table(session, "parts")
    if known is None:
        return _read_parts(session, wanted)
    missing = wanted - known.keys()
    if missing:
        read = _read_parts(session, missing)
        known.update({place: [_copy(part) for part in read.get(place, ())] for place in missing})
    return {place: known[place] for place in wanted if known[place]}


def _read_parts(session: Session, line_ids: Iterable[int]) -> dict[int, list[Part]]:
    found: dict[int, list[Part]] = {}
    for part in session.scalars(_PARTS, {"lines": list(line_ids)}):
        found.setdefault(part.line_id, []).append(part)
    return found


def _copy(part: Part) -> Part:
    """Give a row that belongs to no session, for others to read."""
    return Part(line_id=part.line_id, station_id=part.station_id, position=part.position, units=part.units)


def claims(
    items: Iterable[Item],
    instruments: Mapping[int, Instrument],
    parts: Mapping[int, list[Part]],
    timetables: Mapping[int, Timetable],
) -> list[Claim]:
    """Give all that the items take: each instrument with its set-up and clean-up, and every station of a line.

    A station is taken for as long as its line, whole unless the line says how many units.
    """
    taken = []
    for item in items:
        policy = timetables[item.instrument_id].at(item.span.start)
        around = padded(item.span, policy.setup, policy.cleanup)
        taken.append(Claim(item.instrument_id, around, item.span, item.quantity))
        for part in parts.get(item.instrument_id, ()):
            whole = instruments[part.station_id].units
            taken.append(Claim(part.station_id, around, item.span, part.units or whole))
    return taken


def look(
    session: Session,
    instrument_ids: Iterable[int],
    within: Span,
    *,
    now: datetime,
    without: UUID | Collection[UUID] | None = None,
    person_id: UUID | None = None,
    hold_id: UUID | None = None,
) -> View:
    """Give what is taken on each instrument in the span.

    Holds that have run out and some bookings are left out, and so is what is held for `person_id` while they fill
    a form, and the one hold that is named.
    """
    places = list(instrument_ids)
    where = {"places": places, "since": within.start, "until": within.end}
    rows = session.execute(_TAKEN, where)
    return _view(places, rows, now, without, person_id, hold_id)


def telling(*more: ColumnElement[Any]) -> tuple[Select[Any], Select[Any]]:
    """Make the statements of `look_and_ask`, for one instrument and for several, that ask something more."""
    asked = select(*more).subquery("asked")

    def query(which: ColumnElement[bool]) -> Select[Any]:
        rows = asked.outerjoin(_TABLE, and_(which, *_WITHIN))
        return select(*asked.c, *_SEEN_OF_A_ROW).select_from(rows)

    one = query(_row.instrument_id == bindparam("place"))
    return one, query(_row.instrument_id.in_(bindparam("places", expanding=True)))


def look_and_ask(
    session: Session,
    queries: tuple[Select[Any], Select[Any]],
    instrument_ids: Iterable[int],
    within: Span,
    *,
    asked: Mapping[str, object],
    now: datetime,
    without: UUID | None = None,
    person_id: UUID | None = None,
    hold_id: UUID | None = None,
) -> tuple[View, Row[Any]]:
    """Look as `look` does, and give with it what the same statement was made to ask by `telling`."""
    places = list(instrument_ids)
    where = {**asked, "since": within.start, "until": within.end}
    where |= {"place": places[0]} if len(places) == 1 else {"places": places}
    rows = session.connection().execute(queries[len(places) > 1], where).all()
    width = len(_SEEN_OF_A_ROW)
    taken = (row[-width:] for row in rows if row[-width] is not None)
    return _view(places, taken, now, without, person_id, hold_id), rows[0]


def _view(
    places: Iterable[int],
    rows: Iterable[Sequence[Any]],
    now: datetime,
    without: UUID | Collection[UUID] | None,
    person_id: UUID | None,
    hold_id: UUID | None,
) -> View:
    left_out = {without} if isinstance(without, UUID) else set(without or ())
    found: dict[int, list[Load]] = {place: [] for place in places}
    expired = False
    own: set[UUID] = set()
    for place, start, end, quantity, expires_at, booking_id, held, holder in rows:
        if expires_at is not None and expires_at <= now:
            expired = True
        elif held is not None and (held == hold_id or (holder is not None and holder == person_id)):
            own.add(held)
        elif booking_id not in left_out:
            found[place].append(Load(start, end, quantity))
    return View({place: tuple(rows) for place, rows in found.items()}, expired, frozenset(own))


Written = tuple[Table, Mapping[str, Any]]
"""A row that is to be written, and into which table."""


def take(
    session: Session,
    *,
    claims: Sequence[Claim],
    instruments: Mapping[int, Instrument],
    booking_id: UUID,
    along: Sequence[Written] = (),
) -> None:
    """Write the rows of a booking; the instruments must be locked.

    `along` are rows of other tables, written before them or in one statement with them.

    :raises Refused: if the database's own guard says that they do not fit
    """
    rows = [
        {
            "instrument_id": claim.instrument_id,
            "starts_at": claim.span.start,
            "ends_at": claim.span.end,
            "use_starts_at": claim.use.start,
            "use_ends_at": claim.use.end,
            "quantity": claim.quantity,
            "exclusive": instruments[claim.instrument_id].units == 1,
            "imposed": False,
            "kind": Kind.BOOKING,
            "booking_id": booking_id,
        }
        for claim in claims
    ]
    _write(session, rows, instruments, along)


def hold(
    session: Session,
    *,
    claims: Iterable[Claim],
    instruments: Mapping[int, Instrument],
    hold_id: UUID,
    person_id: UUID | None,
    expires_at: datetime,
) -> None:
    """Write the rows of a hold; the instruments must be locked.

    With a person the time is free for them, whatever they book in it; without one only for who names the hold.

    :raises Refused: if the database's own guard says that they do not fit
    """
    rows = [
        {
            "instrument_id": claim.instrument_id,
            "starts_at": claim.span.start,
            "ends_at": claim.span.end,
            "use_starts_at": claim.use.start,
            "use_ends_at": claim.use.end,
            "quantity": claim.quantity,
            "exclusive": instruments[claim.instrument_id].units == 1,
            "imposed": False,
            "kind": Kind.HOLD,
            "hold_id": hold_id,
            "person_id": person_id,
            "expires_at": expires_at,
        }
        for claim in claims
    ]
    if rows:
        _write(session, rows, instruments)


def held_places(session: Session, *, hold_ids: Collection[UUID]) -> set[int]:
    """Give the instruments on which holds have rows."""
    if not hold_ids:
        return set()
    query = select(Occupation.instrument_id).where(Occupation.hold_id.in_(hold_ids))
    return set(session.scalars(query.distinct()))


def prolong(session: Session, *, hold_id: UUID, expires_at: datetime) -> None:
    """Let a hold count for longer; its instruments must be locked."""
    session.execute(
        update(Occupation).where(Occupation.hold_id == hold_id).values(expires_at=expires_at),
        execution_options={"synchronize_session": False},
    )


def drop(
    session: Session,
    *,
    hold_ids: Collection[UUID],
    now: datetime,
    instrument_ids: Iterable[int] | None = None,
) -> None:
    """Give back what holds keep on instruments that are locked: on all of theirs, or on some."""
    if hold_ids:
        gone = [Occupation.hold_id.in_(hold_ids)]
        if instrument_ids is not None:
            gone.append(Occupation.instrument_id.in_(set(instrument_ids)))
        _give_back(session, gone, now)


BULK = (
    "instrument_id",
    "starts_at",
    "ends_at",
    "use_starts_at",
    "use_ends_at",
    "quantity",
    "exclusive",
    "booking_id",
)
"""What is said of a row of a booking in a bulk load, in this order."""


def take_many(session: Session, rows: Select[Any]) -> None:
    """Write the rows of many bookings at once. No rule is asked; the database's guards check every row.

    The select gives the columns of `BULK`. Rows of one instrument should stand together, instruments by id: in that
    order the guards lock them.
    """
    query = rows.add_columns(literal(False).label("imposed"), literal(Kind.BOOKING, Occupation.kind.type))
    session.execute(insert(Occupation).from_select([*BULK, "imposed", "kind"], query))


def overfull(session: Session) -> bool:
    """Tell whether claims on any instrument of several units take more than it has; one statement over the ledger."""
    shared = (Instrument.units > 1, ~Occupation.imposed)
    starts = select(
        Occupation.instrument_id, Occupation.starts_at.label("at"), Occupation.quantity.label("change")
    ).join(Instrument, Instrument.id == Occupation.instrument_id)
    ends = select(Occupation.instrument_id, Occupation.ends_at, -Occupation.quantity).join(
        Instrument, Instrument.id == Occupation.instrument_id
    )
    step = union_all(starts.where(*shared), ends.where(*shared)).subquery()
    # At one instant those who leave leave first: spans do not hold their ends.
    taken = func.sum(step.c.change).over(
        partition_by=step.c.instrument_id, order_by=(step.c.at, step.c.change), rows=(None, 0)
    )
    level = select(step.c.instrument_id, taken.label("taken")).subquery()
    query = select(level).join(Instrument, Instrument.id == level.c.instrument_id)
    return session.execute(query.where(level.c.taken > Instrument.units).limit(1)).first() is not None


def close(session: Session, *, closure: Closure, instruments: Mapping[int, Instrument], kind: Kind) -> None:
    """Take every unit of the locked instruments for a closure.

    :raises Refused: if a planned closure does not fit
    """
    rows = [
        {
            "instrument_id": place,
            "starts_at": closure.starts_at,
            "ends_at": closure.ends_at,
            "use_starts_at": closure.starts_at,
            "use_ends_at": closure.ends_at,
            "quantity": instrument.units,
            "exclusive": instrument.units == 1 and not closure.imposed,
            "imposed": closure.imposed,
            "kind": kind,
            "closure_id": closure.id,
        }
        for place, instrument in sorted(instruments.items())
    ]
    _write(session, rows, instruments)


def release(session: Session, *, booking_id: UUID, now: datetime) -> None:
    """Give back all the time of a booking; its instruments must be locked."""
    _give_back_for_good(session, Occupation.booking_id == booking_id, now)


def release_closure(session: Session, *, closure_id: UUID, now: datetime) -> None:
    """Give back all the time of a closure; its instruments must be locked."""
    _give_back_for_good(session, Occupation.closure_id == closure_id, now)


class Imposed(NamedTuple):
    """Time of an instrument that a calendar elsewhere takes, by its row."""

    id: int
    instrument_id: int
    span: Span


def imposed(session: Session, *, source_id: UUID, since: datetime) -> list[Imposed]:
    """Give the time that a calendar elsewhere takes from an instant on."""
    query = select(Occupation.id, Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at)
    rows = session.execute(query.where(Occupation.source_id == source_id, Occupation.ends_at > since))
    return [Imposed(row_id, place, Span(start, end)) for row_id, place, start, end in rows]


def impose(
    session: Session,
    *,
    source_id: UUID,
    spans: Sequence[tuple[int, Span]],
    instead_of: Collection[int],
    instruments: Mapping[int, Instrument],
    now: datetime,
) -> None:
    """Take every unit for what a calendar elsewhere says, whatever is booked; give back some of its rows.

    The instruments must be locked.
    """
    left = sorted(instead_of)
    for first in range(0, len(left), _CHUNK):
        _give_back_for_good(session, Occupation.id.in_(left[first : first + _CHUNK]), now)
    rows = [
        {
            "instrument_id": place,
            "starts_at": span.start,
            "ends_at": span.end,
            "use_starts_at": span.start,
            "use_ends_at": span.end,
            "quantity": instruments[place].units,
            "exclusive": False,
            "imposed": True,
            "kind": Kind.EXTERNAL,
            "source_id": source_id,
        }
        for place, span in sorted(spans)
    ]
    if rows:
        _write(session, rows, instruments)


_CHUNK = 500
"""So many rows are named in one statement."""


def end_early(session: Session, *, booking_id: UUID, at: datetime) -> None:
    """Give back what a booking no longer uses from `at` on; the clean-up follows at once. Instruments are locked.

    What had not begun by then is given back whole.
    """
    for row in session.scalars(select(Occupation).where(Occupation.booking_id == booking_id)):
        if row.use_starts_at >= at:
            session.add(_came_free(row.instrument_id, Span(row.starts_at, row.ends_at), at))
            session.delete(row)
        elif at < row.use_ends_at:
            until = row.ends_at
            row.ends_at = at + (row.ends_at - row.use_ends_at)
            row.use_ends_at = at
            session.add(_came_free(row.instrument_id, Span(row.ends_at, until), at))
            _note_freed(session, row.instrument_id, Span(row.ends_at, until), at)
    session.flush()


def fits(session: Session, *, instrument_id: int, units: int, now: datetime) -> bool:
    """Tell whether so many units are enough for every claim that is not over.

    Counted as the database's own guard does, at the start of each claim; closures take as many as there are.
    """
    claim, other = aliased(Occupation), aliased(Occupation)
    taken = (
        select(func.sum(case((_whole(other), units), else_=other.quantity)))
        .where(
            other.instrument_id == claim.instrument_id,
            other.starts_at <= claim.starts_at,
            other.ends_at > claim.starts_at,
        )
        .scalar_subquery()
    )
    query = select(func.max(taken)).where(
        claim.instrument_id == instrument_id, claim.imposed.is_(False), claim.ends_at > now
    )
    return int(session.scalar(query) or 0) <= units


def resize(session: Session, *, instrument: Instrument, units: int, now: datetime) -> None:
    """Change the units of a locked instrument; closures go on taking every unit.

    A claim on the only unit is exclusive; once there are more units it no longer is.

    :raises Refused: if more is booked than the new number of units
    """
    drop_expired(session, [instrument.id], now=now)
    if units < instrument.units and not fits(session, instrument_id=instrument.id, units=units, now=now):
        raise Refused([Reason("taken", {"instrument": instrument.code})])
    ahead = (Occupation.instrument_id == instrument.id, Occupation.ends_at > now)
    closures = update(Occupation).where(*ahead, _whole(Occupation))
    if units < instrument.units:
        session.execute(closures.values(quantity=units))
    instrument.units = units
    session.flush()
    claims_ahead = update(Occupation).where(*ahead, Occupation.imposed.is_(False))
    session.execute(claims_ahead.values(exclusive=units == 1))
    session.execute(closures.where(or_(Occupation.imposed, _alone())).values(quantity=units))


def _whole(row: Any) -> ColumnElement[bool]:
    """Tell what takes an instrument with all its units, however many they are: closures, busy time from elsewhere."""
    return or_(row.closure_id.is_not(None), row.source_id.is_not(None))


def _alone() -> ColumnElement[bool]:
    """Tell a claim that nothing else overlaps; another would not let it grow."""
    other = aliased(Occupation)
    return ~exists().where(
        other.instrument_id == Occupation.instrument_id,
        other.id != Occupation.id,
        other.starts_at < Occupation.ends_at,
        other.ends_at > Occupation.starts_at,
    )


def release_expired(session: Session, *, now: datetime) -> int:
    """Delete the holds that have run out and give their number."""
    places = set(
        session.scalars(select(Occupation.instrument_id).where(Occupation.expires_at <= now).distinct())
    )
    if not places:
        return 0
    for place in sorted(places):
        _lock_one(session, place)
    return _give_back(session, [Occupation.expires_at <= now, Occupation.instrument_id.in_(places)], now)


def drop_expired(session: Session, instrument_ids: Iterable[int], *, now: datetime) -> None:
    """Delete the holds of locked instruments that have run out, so that the guards no longer count them."""
    _give_back(
        session, [Occupation.instrument_id.in_(set(instrument_ids)), Occupation.expires_at <= now], now
    )


def _give_back_for_good(session: Session, gone: ColumnElement[bool], now: datetime) -> None:
    """Delete rows that were no mere holds: that their time came free is news, besides what `_give_back` notes."""
    came_free = select(
        Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at, literal(now, UtcDateTime)
    ).where(gone, Occupation.ends_at > now)
    session.execute(insert(CameFree).from_select(_FREED, came_free))
    _give_back(session, [gone], now)


def _came_free(instrument_id: int, span: Span, now: datetime) -> CameFree:
    return CameFree(instrument_id=instrument_id, starts_at=span.start, ends_at=span.end, freed_at=now)


def _give_back(session: Session, gone: Sequence[ColumnElement[bool]], now: datetime) -> int:
    """Delete rows and give their number; what somebody in the line could use is noted for the waitlist first."""
    could_use = _could_use(Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at)
    came_free = select(
        Occupation.instrument_id, Occupation.starts_at, Occupation.ends_at, literal(now, UtcDateTime)
    ).where(*gone, Occupation.ends_at > now, could_use)
    session.execute(insert(Freed).from_select(_FREED, came_free))
    deleted = session.execute(delete(Occupation).where(*gone))
    return int(getattr(deleted, "rowcount", 0))


def _note_freed(session: Session, instrument_id: int, span: Span, now: datetime) -> None:
    """Note time of which a row gave back a part, if somebody in the line could use it."""
    start, end = (literal(at, UtcDateTime) for at in span)
    place = literal(instrument_id, Integer)
    came_free = select(place, start, end, literal(now, UtcDateTime)).where(_could_use(place, start, end))
    session.execute(insert(Freed).from_select(_FREED, came_free))


_FREED = ("instrument_id", "starts_at", "ends_at", "freed_at")


def _could_use(place: Any, start: Any, end: Any) -> ColumnElement[bool]:
    """Tell whether anybody waits for such time on the instrument, or on a line of which it is a station."""
    lines = select(Part.line_id).where(Part.station_id == place)
    return exists(
        select(1)
        .select_from(WaitlistEntry)
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            # The state stands in the text, since SQLite uses a partial index only where it sees its condition.
            text("waitlist_entry.state = 'waiting'"),
            WaitlistEntry.reach_starts_at < end,
            WaitlistEntry.reach_ends_at > start,
            or_(WaitlistInstrument.instrument_id == place, WaitlistInstrument.instrument_id.in_(lines)),
        )
    )


def _write(
    session: Session,
    rows: list[dict[str, Any]],
    instruments: Mapping[int, Instrument],
    along: Sequence[Written] = (),
) -> None:
    try:
        if along and len(rows) == 1 and session.get_bind().dialect.name == "postgresql":
            _write_at_once(session, [*along, (_TABLE, rows[0])])
            return
        connection = session.connection()
        for table, values in along:
            connection.execute(_plainly(table), values)
        connection.execute(_plainly(_TABLE), rows[0] if len(rows) == 1 else rows)
    except IntegrityError as error:
        if guards.overbooked(error) is None:
            raise
        codes = sorted({instruments[row["instrument_id"]].code for row in rows})
        raise Refused([Reason("taken", {"instrument": code}) for code in codes]) from error


@lru_cache
def _plainly(table: Table) -> Insert:
    return insert(table).inline()


def _write_at_once(session: Session, rows: Sequence[Written]) -> None:
    """Write rows of several tables in one statement; foreign keys are looked at when all are there."""
    query = _together(tuple((table, tuple(values)) for table, values in rows))
    params = {f"{table.name}_{column}": value for table, values in rows for column, value in values.items()}
    session.connection().execute(query, params)


@lru_cache(maxsize=64)
def _together(shapes: tuple[tuple[Table, tuple[str, ...]], ...]) -> Insert:
    *first, last = (
        insert(table)
        .values({name: bindparam(f"{table.name}_{name}", type_=table.c[name].type) for name in columns})
        .inline()
        for table, columns in shapes
    )
    return last.add_cte(*(query.cte(f"new_{n}") for n, query in enumerate(first)))
