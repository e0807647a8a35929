"""Desks: how instruments were used, for one, a facility or a network; sums by the database, not row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from booking.domain import utilisation
from booking.domain.access import Actor, Subject, require
from booking.domain.hours import WeeklyHours, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Invalid
from booking.domain.spans import Span, merge
from booking.domain.utilisation import Hours, Target
from booking.services import instruments, networks
from models import (
    Booking,
    BookingItem,
    Facility,
    Instrument,
    NetworkFacility,
    Occupation,
    OpeningRule,
    Usage,
    UtilisationTarget,
)
from models.base import UtcDateTime

READ = "utilisation.read"
MOST_DAYS = 366
COUNTED = (State.CONFIRMED, State.CHECKED_IN, State.ENDED)
"""Bookings whose time in the ledger is booked time; a request that waits is none yet."""


class Place(NamedTuple):
    """An instrument whose use is counted."""

    id: int
    code: str
    name_zh: str
    name_en: str
    facility_id: int
    category_code: str | None
    kind: str
    units: int
    zone: str


@dataclass(frozen=True, slots=True)
class Used:
    """What one instrument did in each stretch, and how many seconds its target asks of each, None where none does."""

    place: Place
    stretches: tuple[Hours, ...]
    wanted: tuple[float | None, ...]

    @property
    def whole(self) -> Hours:
        """Give the sum of all stretches."""
        return utilisation.total(self.stretches)

    @property
    def target(self) -> float | None:
        """Give the share of the open time that its target asks for."""
        asked = [one for one in self.wanted if one is not None]
        opened = self.whole.open
        return sum(asked) / opened if asked and opened else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Instruments over some days, in stretches of a few days that begin on these dates."""

    first: date
    days: int
    starts: tuple[date, ...]
    rows: tuple[Used, ...]

    @property
    def whole(self) -> Hours:
        """Give the sum of all instruments."""
        return utilisation.total(row.whole for row in self.rows)

    @property
    def trend(self) -> list[Hours]:
        """Give the sum of all instruments in each stretch."""
        return [utilisation.total(row.stretches[n] for row in self.rows) for n in range(len(self.starts))]

    @property
    def aim(self) -> list[float | None]:
        """Give the share of the open time that targets ask for in each stretch, of those instruments that have one."""
        return [self._aim(n) for n in range(len(self.starts))]

    @property
    def target(self) -> float | None:
        """Give the share of the open time that targets ask for over all days, of those instruments that have one."""
        aimed = [row for row in self.rows if row.target is not None]
        opened = sum(row.whole.open for row in aimed)
        return sum((row.target or 0) * row.whole.open for row in aimed) / opened if opened else None

    def _aim(self, n: int) -> float | None:
        asked = [
            (row.wanted[n] or 0, row.stretches[n].open) for row in self.rows if row.wanted[n] is not None
        ]
        opened = sum(seconds for _, seconds in asked)
        return sum(wanted for wanted, _ in asked) / opened if opened else None


def of_facility(
    session: Session, *, actor: Actor, facility_id: int, first: date, days: int, step: int = 7, now: datetime
) -> Figures:
    """Give how the instruments of a facility were used.

    :raises Forbidden: if the actor neither works there nor is an officer of a network that it is in
    :raises Invalid: if there are too many days, or none
    """
    nets = networks.of_facilities(session, [facility_id])[facility_id]
    require(actor, READ, Subject(facility_id=facility_id, network_ids=nets))
    return figures(session, Instrument.facility_id == facility_id, first=first, days=days, step=step, now=now)


def of_instrument(
    session: Session, *, actor: Actor, code: str, first: date, days: int, step: int = 7, now: datetime
) -> Figures:
    """Give how one instrument was used.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor neither works at its facility nor is an officer of a network that it is in
    :raises Invalid: if there are too many days, or none
    """
    row = instruments.by_code(session, actor=actor, code=code)
    nets = networks.of_facilities(session, [row.facility_id])[row.facility_id]
    require(actor, READ, Subject(facility_id=row.facility_id, network_ids=nets))
    return figures(session, Instrument.id == row.id, first=first, days=days, step=step, now=now)


def of_network(
    session: Session, *, actor: Actor, network_id: int, first: date, days: int, step: int = 7, now: datetime
) -> Figures:
    """Give how the published instruments of a network were used.

    :raises Forbidden: if the actor is no officer of it
    :raises Invalid: if there are too many days, or none
    """
    require(actor, READ, Subject(network_ids=frozenset({network_id})))
    members = select(NetworkFacility.facility_id).where(NetworkFacility.network_id == network_id)
    which = and_(Instrument.facility_id.in_(members), Instrument.published)
    return figures(session, which, first=first, days=days, step=step, now=now)


def figures(
    session: Session, which: ColumnElement[bool], *, first: date, days: int, step: int, now: datetime
) -> Figures:
    """Count what `of_facility` and the others give; five statements, however many instruments and days.

    :raises Invalid: if there are too many days, or none
    """
    if not 1 <= days <= MOST_DAYS or step < 1:
        raise Invalid({"to": "out_of_range"})
    places = [Place(*row) for row in session.execute(_places(which))]
    zones = {place.zone for place in places}
    within = {name: utilisation.stretches(first, days, step, zone(name)) for name in sorted(zones)}
    starts = tuple(first + timedelta(days=n) for n in range(0, days, step))
    if not places:
        return Figures(first, days, starts, ())
    whole = Span(min(one[0].start for one in within.values()), max(one[-1].end for one in within.values()))
    periods = _periods(within)
    booked = {
        (row[0], row[1]): row[2:] for row in session.execute(_booked(session, which, periods, whole, now))
    }
    missed = {
        (row[0], row[1]): (row[2], row[3]) for row in session.execute(_missed(session, which, periods, whole))
    }
    opened = _opened(session, which, places, within)
    shut = _shut(session, which, whole)
    targets = _targets(session, which)
    rows = []
    for place in places:
        spans, down = utilisation.opened_and_down(
            opened[place.id], shut.get((place.id, False), ()), shut.get((place.id, True), ())
        )
        stretches = within[place.zone]
        sums = [
            _sum(place, opens, downs, booked.get((place.id, n)), missed.get((place.id, n)))
            for n, (opens, downs) in enumerate(
                zip(
                    utilisation.seconds_in(spans, stretches),
                    utilisation.seconds_in(down, stretches),
                    strict=True,
                )
            )
        ]
        rows.append(
            Used(place, tuple(sums), _wanted(place, targets, starts, first + timedelta(days=days), sums))
        )
    return Figures(first, days, starts, tuple(rows))


def _sum(
    place: Place, opens: int, downs: int, booked: tuple[int, int] | None, missed: tuple[int, int] | None
) -> Hours:
    """Give an instrument's hours: of several units, an hour of one counts as its part of the instrument's hour."""
    taken, used = booked or (0, 0)
    lost, times = missed or (0, 0)

    def part(seconds: int) -> int:
        return round(seconds / place.units)

    return Hours(opens, part(taken), part(used), downs, part(lost), times)


def _places(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Instrument.id,
            Instrument.code,
            Instrument.name_zh,
            Instrument.name_en,
            Instrument.facility_id,
            Instrument.category_code,
            Instrument.kind,
            Instrument.units,
            Facility.zone,
        )
        .join(Facility, Facility.id == Instrument.facility_id)
        .where(which)
        .order_by(Instrument.code)
    )


def _periods(within: Mapping[str, Sequence[Span]]) -> CTE:
    """Give the stretches of every zone as rows."""
    return union_all(
        *(
            select(
                literal(name).label("zone"),
                literal(n).label("n"),
                literal(span.start, UtcDateTime).label("starts_at"),
                literal(span.end, UtcDateTime).label("ends_at"),
            )
            for name, spans in within.items()
            for n, span in enumerate(spans)
        )
    ).cte("period")


def _booked(
    session: Session, which: ColumnElement[bool], periods: CTE, whole: Span, now: datetime
) -> Select[Any]:
    """Sum the ledger's time of bookings, and the time between coming and going, by instrument and stretch.

    Of a booking with several uses, whoever came before the first or left after the last used those.
    """
    came = case(
        (Occupation.use_starts_at == Booking.starts_at, Usage.checked_in_at),
        else_=_later(session, Usage.checked_in_at, Occupation.use_starts_at),
    )
    out = func.coalesce(Usage.checked_out_at, literal(now, UtcDateTime))
    went = case(
        (Occupation.use_ends_at == Booking.ends_at, out), else_=_earlier(session, out, Occupation.use_ends_at)
    )
    taken = _inside(session, periods, Occupation.use_starts_at, Occupation.use_ends_at)
    used = case((Usage.checked_in_at.is_not(None), _inside(session, periods, came, went)), else_=0)
    return (
        select(
            Occupation.instrument_id,
            periods.c.n,
            cast(func.sum(taken * Occupation.quantity), Integer),
            cast(func.sum(used * Occupation.quantity), Integer),
        )
        .select_from(Occupation)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .join(Facility, Facility.id == Instrument.facility_id)
        .join(Booking, Booking.id == Occupation.booking_id)
        .outerjoin(Usage, Usage.booking_id == Booking.id)
        .join(periods, periods.c.zone == Facility.zone)
        .where(
            which,
            Occupation.kind == Kind.BOOKING,
            Booking.state.in_(COUNTED),
            *_meets(Occupation.starts_at, Occupation.ends_at, whole),
            # Whoever stays beyond the end still uses it in the next stretch.
            Occupation.use_starts_at < periods.c.ends_at,
            or_(
                Occupation.use_ends_at > periods.c.starts_at,
                and_(Usage.checked_in_at.is_not(None), out > periods.c.starts_at),
            ),
        )
        .group_by(Occupation.instrument_id, periods.c.n)
    )


def _missed(session: Session, which: ColumnElement[bool], periods: CTE, whole: Span) -> Select[Any]:
    """Sum the time for which nobody came, by instrument and stretch, and count how often it began there."""
    lost = _inside(session, periods, BookingItem.starts_at, BookingItem.ends_at) * BookingItem.quantity
    began = case((BookingItem.starts_at >= periods.c.starts_at, 1), else_=0)
    return (
        select(
            BookingItem.instrument_id,
            periods.c.n,
            cast(func.sum(lost), Integer),
            cast(func.sum(began), Integer),
        )
        .select_from(BookingItem)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .join(Facility, Facility.id == Instrument.facility_id)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(periods, periods.c.zone == Facility.zone)
        .where(
            which,
            Booking.state == State.NO_SHOW,
            *_meets(BookingItem.starts_at, BookingItem.ends_at, whole),
            *(BookingItem.starts_at < periods.c.ends_at, BookingItem.ends_at > periods.c.starts_at),
        )
        .group_by(BookingItem.instrument_id, periods.c.n)
    )


def _opened(
    session: Session,
    which: ColumnElement[bool],
    places: Sequence[Place],
    within: Mapping[str, Sequence[Span]],
) -> dict[int, list[Span]]:
    """Give the opening hours of each instrument as spans; those of most are their facility's, and made once."""
    chosen = select(Instrument.id).where(which)
    houses = select(Instrument.facility_id).where(which)
    query = select(OpeningRule).where(
        or_(OpeningRule.instrument_id.in_(chosen), OpeningRule.facility_id.in_(houses))
    )
    own: dict[int, list[WeeklyHours]] = {}
    house: dict[int, list[WeeklyHours]] = {}
    for rule in session.scalars(query):
        found = WeeklyHours(rule.weekday, rule.opens, rule.closes, rule.valid_from, rule.valid_to)
        of, key = (own, rule.instrument_id) if rule.instrument_id is not None else (house, rule.facility_id)
        if key is not None:
            of.setdefault(key, []).append(found)
    made: dict[tuple[str, tuple[WeeklyHours, ...]], list[Span]] = {}
    result = {}
    for place in places:
        rules = tuple(own.get(place.id) or house.get(place.facility_id) or ())
        if (place.zone, rules) not in made:
            made[place.zone, rules] = utilisation.open_time(rules, within[place.zone], zone(place.zone))
        result[place.id] = made[place.zone, rules]
    return result


def _shut(session: Session, which: ColumnElement[bool], whole: Span) -> dict[tuple[int, bool], list[Span]]:
    """Give when each instrument was closed (False) and when it was maintained or broken (True), merged."""
    query = (
        select(Occupation.instrument_id, Occupation.kind, Occupation.starts_at, Occupation.ends_at)
        .join(Instrument, Instrument.id == Occupation.instrument_id)
        .where(
            which,
            Occupation.kind.in_([Kind.MAINTENANCE, Kind.CLOSURE]),
            *_meets(Occupation.starts_at, Occupation.ends_at, whole),
        )
    )
    found: dict[tuple[int, bool], list[Span]] = {}
    for place, kind, start, end in session.execute(query):
        found.setdefault((place, kind is Kind.MAINTENANCE), []).append(Span(start, end))
    return {key: merge(spans) for key, spans in found.items()}


def _targets(session: Session, which: ColumnElement[bool]) -> dict[tuple[str, int], list[Target]]:
    chosen = select(Instrument.id).where(which)
    houses = select(Instrument.facility_id).where(which)
    query = select(UtilisationTarget).where(
        or_(UtilisationTarget.instrument_id.in_(chosen), UtilisationTarget.facility_id.in_(houses))
    )
    found: dict[tuple[str, int], list[Target]] = {}
    for row in session.scalars(query):
        key = ("own", row.instrument_id) if row.instrument_id is not None else ("house", row.facility_id or 0)
        found.setdefault(key, []).append(Target(row.measure, row.value, row.valid_from))
    return found


def _wanted(
    place: Place,
    targets: Mapping[tuple[str, int], Sequence[Target]],
    starts: Sequence[date],
    end: date,
    sums: Sequence[Hours],
) -> tuple[float | None, ...]:
    own, house = targets.get(("own", place.id), ()), targets.get(("house", place.facility_id), ())
    if not own and not house:
        return (None,) * len(starts)
    return tuple(
        utilisation.wanted(own, house, start, (until - start).days, hours.open)
        for start, until, hours in zip(starts, (*starts[1:], end), sums, strict=True)
    )


def _meets(starts_at: Any, ends_at: Any, span: Span) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return starts_at < span.end, ends_at > span.start


def _inside(session: Session, periods: CTE, start: Any, end: Any) -> ColumnElement[int]:
    """Give the seconds from start to end that lie in a stretch."""
    return _between(
        session, _later(session, start, periods.c.starts_at), _earlier(session, end, periods.c.ends_at)
    )


def seconds_between(session: Session, start: Any, end: Any, within: Span) -> ColumnElement[int]:
    """Give, as a column, the seconds from one column of times to another that lie in a span."""
    first, last = literal(within.start, UtcDateTime), literal(within.end, UtcDateTime)
    return _between(session, _later(session, start, first), _earlier(session, end, last))


def _between(session: Session, first: ColumnElement[Any], last: ColumnElement[Any]) -> ColumnElement[int]:
    if session.get_bind().dialect.name == "postgresql":
        return case((last > first, extract("epoch", last - first)), else_=0)
    seconds = cast(func.strftime("%s", last), Integer) - cast(func.strftime("%s", first), Integer)
    return case((last > first, seconds), else_=0)


def _later(session: Session, one: Any, other: Any) -> ColumnElement[Any]:
    later = func.greatest if session.get_bind().dialect.name == "postgresql" else func.max
    return later(one, other, type_=UtcDateTime)


def _earlier(session: Session, one: Any, other: Any) -> ColumnElement[Any]:
    earlier = func.least if session.get_bind().dialect.name == "postgresql" else func.min
    return earlier(one, other, type_=UtcDateTime)
