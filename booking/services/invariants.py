"""Invariants: what must be true of a live database whatever happened to it, checked from its rows alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, exists, func, or_, select, text, union_all
from sqlalchemy.orm import Session

from booking.domain.lifecycle import HOLDS, State
from booking.domain.occupation import Kind
from booking.domain.rules import LONGEST
from booking.domain.spans import Span, peak
from booking.services import processes
from models import Booking, BookingItem, Closure, Event, Instrument, Occupation, Part, Usage, Utility, guards
from models.base import UtcDateTime

SHOWN = 20
"""Of each kind of fault so many are named; the rest are counted."""

_WITNESSES = {
    State.REQUESTED: ("booking.requested", "booking.changed"),
    State.CONFIRMED: ("booking.placed", "booking.approved"),
    State.CHECKED_IN: ("booking.checked_in",),
    State.ENDED: ("booking.ended",),
    State.REJECTED: ("booking.rejected",),
    State.WITHDRAWN: ("booking.withdrawn",),
    State.CANCELLED: ("booking.cancelled",),
    State.EXPIRED: ("booking.expired",),
    State.NO_SHOW: ("booking.missed", "booking.no_show"),
}
"""A booking in this state must have one of these events."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. A doubtful one may have a lawful cause, which its text names."""

    code: str
    detail: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: the first faults, how many there are, and how many of them are certain."""

    check: str
    faults: tuple[Fault, ...]
    count: int
    wrong: int


def check(session: Session, *, now: datetime) -> Iterator[Finding]:
    """Make every check in turn, and give what each found."""
    checks: dict[str, Callable[[Session, datetime], Iterator[Fault]]] = {
        "guards": _guards,
        "storage": _storage,
        "overbooking": _overbooked,
        "time without a booking that holds it": _stray_time,
        "bookings without their time": _missing_time,
        "bookings with other time than theirs": _other_time,
        "closures": _closures,
        "shared utilities": _overdrawn,
        "spans of bookings": _envelopes,
        "events": _events,
    }
    for name, run in checks.items():
        shown: list[Fault] = []
        count = wrong = 0
        for fault in run(session, now):
            count += 1
            wrong += not fault.doubtful
            if count <= SHOWN:
                shown.append(fault)
        yield Finding(name, tuple(shown), count, wrong)


def _overdrawn(session: Session, now: datetime) -> Iterator[Fault]:
    """Find utilities of which bookings ahead draw more than there is: a manager may have excepted one."""
    known = session.scalars(select(Utility)).all()
    ahead = Span(now, now + LONGEST)
    loads = processes.drawn(session, facility_ids={one.facility_id for one in known}, within=ahead)
    for one in known:
        most = peak(loads.get(one.id, ()), ahead)
        if most > one.capacity:
            words = f"{most} of {one.capacity} of utility {one.code} of facility {one.facility_id} are drawn"
            yield Fault("overdrawn", words, doubtful=True)


def _guards(session: Session, _now: datetime) -> Iterator[Fault]:
    for name in guards.missing(session.connection()):
        yield Fault("guard_missing", f"the database lacks its guard {name}")


def _storage(session: Session, _now: datetime) -> Iterator[Fault]:
    """Let SQLite examine its own file; PostgreSQL checks what it reads."""
    if session.get_bind().dialect.name != "sqlite":
        return
    for (said,) in session.execute(text("PRAGMA quick_check")):
        if said != "ok":
            yield Fault("storage", str(said))
    for table, row, parent, _ in session.execute(text("PRAGMA foreign_key_check")):
        yield Fault("storage", f"row {row} of {table} points at no {parent}")


def _overbooked(session: Session, now: datetime) -> Iterator[Fault]:
    """Walk through each instrument's time and find where claims take more units than there are.

    Facts, such as a breakdown, may lie over claims; and the units may have been lowered since.
    """
    starts = select(
        Occupation.instrument_id,
        Occupation.starts_at.label("at"),
        Occupation.quantity.label("change"),
        case((Occupation.exclusive, 1), else_=0).label("alone"),
    ).where(~Occupation.imposed)
    ends = select(
        Occupation.instrument_id,
        Occupation.ends_at,
        -Occupation.quantity,
        case((Occupation.exclusive, -1), else_=0),
    ).where(~Occupation.imposed)
    step = union_all(starts, ends).subquery()
    # At one instant those who leave leave first: spans do not hold their ends.
    window: dict[str, Any] = {"partition_by": step.c.instrument_id, "order_by": (step.c.at, step.c.change)}
    level = select(
        step.c.instrument_id,
        step.c.at,
        func.sum(step.c.change).over(**window, rows=(None, 0)).label("taken"),
        func.sum(step.c.alone).over(**window, rows=(None, 0)).label("alone"),
        func.lead(step.c.at, type_=UtcDateTime).over(**window).label("until"),
    ).subquery()
    query = (
        select(Instrument.code, Instrument.units, level.c.at, level.c.until, level.c.taken, level.c.alone)
        .join(Instrument, Instrument.id == level.c.instrument_id)
        .where(or_(level.c.taken > Instrument.units, and_(level.c.alone > 0, level.c.taken > 1)))
        .order_by(Instrument.code, level.c.at)
    )
    for row in session.execute(query.execution_options(yield_per=1000)):
        span = f"{_said(row.at)} to {_said(row.until)}"
        if row.at == row.until:
            continue
        if row.alone == 0 and row.until <= now:
            detail = (
                f"{row.code}: {row.taken} of {row.units} units taken from {span}; it may have had more then"
            )
            yield Fault("overbooked_past", detail, doubtful=True)
        else:
            yield Fault("overbooked", f"{row.code}: {row.taken} of {row.units} units taken from {span}")


def _stray_time(session: Session, _now: datetime) -> Iterator[Fault]:
    own = exists().where(
        BookingItem.booking_id == Occupation.booking_id, BookingItem.starts_at == Occupation.use_starts_at
    )
    query = (
        select(Occupation.id, Instrument.code, Occupation.booking_id, Booking.state)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .join(Booking, Booking.id == Occupation.booking_id)
        .where(Occupation.kind == Kind.BOOKING, or_(Booking.state.not_in(HOLDS), ~own))
    )
    for row in _rows(session, query):
        yield Fault(
            "stray_time", f"{row.code}: taken for booking {row.booking_id}, which is {row.state.value}"
        )


def _missing_time(session: Session, _now: datetime) -> Iterator[Fault]:
    until = case(
        (Booking.state == State.ENDED, Occupation.use_ends_at <= BookingItem.ends_at),
        else_=Occupation.use_ends_at == BookingItem.ends_at,
    )
    held = exists().where(
        Occupation.booking_id == BookingItem.booking_id,
        Occupation.instrument_id == BookingItem.instrument_id,
        Occupation.quantity == BookingItem.quantity,
        Occupation.use_starts_at == BookingItem.starts_at,
        Occupation.starts_at <= Occupation.use_starts_at,
        Occupation.ends_at >= Occupation.use_ends_at,
        until,
    )
    query = (
        select(Booking.id, Booking.state, Instrument.code, BookingItem.starts_at)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(Booking.state.in_(HOLDS), ~held, ~_never_begun())
    )
    for row in _rows(session, query):
        at = _said(row.starts_at)
        yield Fault("missing_time", f"booking {row.id} ({row.state.value}) holds no {row.code} from {at}")


def _never_begun() -> Any:
    """Tell an item whose time was given back since its person had gone before it began."""
    return exists().where(
        Usage.booking_id == BookingItem.booking_id,
        Booking.state == State.ENDED,
        Usage.checked_out_at <= BookingItem.starts_at,
    )


def _other_time(session: Session, _now: datetime) -> Iterator[Fault]:
    """Compare numbers: a row for each item, and one for each station of a line."""
    stations = select(Part.line_id, func.count().label("n")).group_by(Part.line_id).subquery()
    wanted = (
        select(
            BookingItem.booking_id,
            func.sum(1 + func.coalesce(stations.c.n, 0)).label("n"),
            func.count(stations.c.n).label("lines"),
        )
        .join(Booking, Booking.id == BookingItem.booking_id)
        .outerjoin(stations, stations.c.line_id == BookingItem.instrument_id)
        .where(~_never_begun())
        .group_by(BookingItem.booking_id)
        .subquery()
    )
    taken = (
        select(Occupation.booking_id, func.count().label("n"))
        .where(Occupation.booking_id.is_not(None))
        .group_by(Occupation.booking_id)
        .subquery()
    )
    query = (
        select(Booking.id, taken.c.n, wanted.c.n.label("wanted"), wanted.c.lines)
        .join(wanted, wanted.c.booking_id == Booking.id)
        .join(taken, taken.c.booking_id == Booking.id)
        .where(Booking.state.in_(HOLDS), taken.c.n != wanted.c.n)
    )
    for row in _rows(session, query):
        detail = f"booking {row.id} takes time {row.n} times instead of {row.wanted}"
        if row.lines:
            detail += "; its line may have had other stations when it was booked"
        yield Fault("other_time", detail, doubtful=bool(row.lines))
    bare = select(Booking.id).where(~exists().where(BookingItem.booking_id == Booking.id))
    for row in _rows(session, bare):
        yield Fault("no_items", f"booking {row.id} is for no instrument")


def _closures(session: Session, _now: datetime) -> Iterator[Fault]:
    lifted = (
        select(Closure.id, Instrument.code)
        .join(Occupation, Occupation.closure_id == Closure.id)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .where(Closure.lifted_at.is_not(None))
    )
    for row in _rows(session, lifted):
        yield Fault("stray_time", f"{row.code}: still taken for closure {row.id}, which was lifted")
    unheld = select(Closure.id).where(
        Closure.lifted_at.is_(None),
        exists().where(
            Instrument.facility_id == Closure.facility_id,
            or_(Closure.instrument_id.is_(None), Closure.instrument_id == Instrument.id),
        ),
        ~exists().where(Occupation.closure_id == Closure.id),
    )
    for row in _rows(session, unheld):
        yield Fault("missing_time", f"closure {row.id} takes no time")


def _envelopes(session: Session, _now: datetime) -> Iterator[Fault]:
    around = (
        select(
            BookingItem.booking_id,
            func.min(BookingItem.starts_at).label("first"),
            func.max(BookingItem.ends_at).label("last"),
        )
        .group_by(BookingItem.booking_id)
        .subquery()
    )
    query = (
        select(Booking.id)
        .join(around, around.c.booking_id == Booking.id)
        .where(or_(Booking.starts_at != around.c.first, Booking.ends_at != around.c.last))
    )
    for row in _rows(session, query):
        yield Fault("span", f"booking {row.id} does not span its items")


def _events(session: Session, _now: datetime) -> Iterator[Fault]:
    told = or_(*(and_(Booking.state == state, Event.kind.in_(kinds)) for state, kinds in _WITNESSES.items()))
    query = select(Booking.id, Booking.state).where(
        ~exists().where(Event.booking_id == Booking.id, told).correlate(Booking)
    )
    for row in _rows(session, query):
        yield Fault("no_event", f"booking {row.id} is {row.state.value}, and no event says how it came so")


def _rows(session: Session, query: Any) -> Iterator[Any]:
    yield from session.execute(query.execution_options(yield_per=1000))


def _said(at: datetime) -> str:
    return at.isoformat(timespec="minutes").replace("+00:00", "Z")
