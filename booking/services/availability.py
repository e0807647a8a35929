"""What is free and what is taken: facts for the rules, free spans, the timeline, next uses, equal instruments."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import merge as merged
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, exists, or_, select
from sqlalchemy.orm import Session, aliased

from booking.domain import availability, pricing
from booking.domain.access import Actor, NotFound, Subject, may
from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind, padded
from booking.domain.policy import Timetable
from booking.domain.pricing import CustomerClass, Price
from booking.domain.rules import LONGEST, Facts, Invalid, Policy
from booking.domain.spans import Load, Span, busy, intersect, merge
from booking.services import catalogue, instruments, kept, occupation, permit_needs, policies
from models import (
    Booking,
    Capability,
    Facility,
    Instrument,
    InstrumentPrice,
    NetworkFacility,
    Occupation,
    OpeningRule,
    Part,
    Person,
)

WINDOW = LONGEST
"""No question looks at more time than this."""

# Asked with every booking: made once, see services.sign_in.
_opening = OpeningRule.__table__.c
_OPENING = select(
    _opening.facility_id,
    _opening.instrument_id,
    _opening.weekday,
    _opening.opens,
    _opening.closes,
    _opening.valid_from,
    _opening.valid_to,
).where(
    or_(
        _opening.facility_id.in_(bindparam("facilities", expanding=True)),
        _opening.instrument_id.in_(bindparam("instruments", expanding=True)),
    )
)


_taken, _booking = Occupation.__table__.c, Booking.__table__.c
_BARS = (
    select(
        _taken.instrument_id,
        _taken.starts_at,
        _taken.ends_at,
        _taken.use_starts_at,
        _taken.use_ends_at,
        _taken.quantity,
        _taken.kind,
        _taken.booking_id,
        _taken.person_id,
        _booking.purpose,
        _booking.state,
        _booking.person_id.label("whose"),
        _booking.booked_by_id,
        _booking.organisation_id,
        Instrument.__table__.c.facility_id,
        Person.__table__.c.name,
    )
    .join_from(Occupation.__table__, Instrument.__table__, Instrument.__table__.c.id == _taken.instrument_id)
    .outerjoin(Booking.__table__, _booking.id == _taken.booking_id)
    .outerjoin(Person.__table__, Person.__table__.c.id == _booking.person_id)
    .where(
        _taken.instrument_id.in_(bindparam("places", expanding=True)),
        _taken.starts_at < bindparam("until"),
        _taken.ends_at > bindparam("since"),
        or_(_taken.expires_at.is_(None), _taken.expires_at > bindparam("now")),
    )
    .order_by(_taken.starts_at, _taken.id)
)


@dataclass(frozen=True, slots=True)
class FreeSpan:
    """Open time in which this many units are free throughout."""

    start: datetime
    end: datetime
    free: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of the ledger as this reader may see it; behind the mask id, title, state and person are None."""

    instrument_id: int
    start: datetime
    end: datetime
    use_start: datetime
    use_end: datetime
    quantity: int
    kind: Kind
    booking_id: UUID | None
    title: str | None
    state: State | None
    mine: bool
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A time at which an instrument can be had, with what it would cost (None: negotiated), and how far away."""

    instrument_id: int
    code: str
    start: datetime
    end: datetime
    estimate: Decimal | None
    km: float | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """What could be taken instead, and why it is offered: `nearest` time, `equal` instrument, and so on.

    `minutes` later it begins than what was asked (negative: earlier), so many are `lost` of the use; `difference` is
    how many yuan more it costs (None: negotiated), `km` how far away it is, 0 in the same facility, None if unknown.
    """

    instrument_id: int
    code: str
    start: datetime
    end: datetime
    why: str
    parts: tuple[Span, ...] = ()
    minutes: int = 0
    lost: int = 0
    estimate: Decimal | None = None
    difference: Decimal | None = None
    facility: str = ""
    km: float | None = None
    needs_approval: bool = False
    codes: tuple[str, ...] = ()
    """Of a route: the instrument of each part."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Give the uses that it consists of."""
        return self.parts or (Span(self.start, self.end),)


def hours_of(
    session: Session, instruments: Iterable[Instrument]
) -> dict[int, tuple[str, tuple[WeeklyHours, ...]]]:
    """Give each instrument's zone and weekly hours: its own, or its facility's when it has none; two statements."""
    rows = list(instruments)
    known = kept.table(session, "hours")
    if known is None:
        return _read_hours(session, rows)
    missing = [row for row in rows if row.id not in known]
    if missing:
        known.update(_read_hours(session, missing))
    return {row.id: known[row.id] for row in rows}


def _read_hours(
    session: Session, rows: Sequence[Instrument]
) -> dict[int, tuple[str, tuple[WeeklyHours, ...]]]:
    facilities = {row.facility_id for row in rows}
    zones = {row.id: row.zone for row in policies.facilities_of(session, facilities).values()}
    of_instrument: dict[int, list[WeeklyHours]] = {}
    of_facility: dict[int, list[WeeklyHours]] = {}
    where = {"facilities": list(facilities), "instruments": [row.id for row in rows]}
    for rule in session.execute(_OPENING, where):
        hours = WeeklyHours(rule.weekday, rule.opens, rule.closes, rule.valid_from, rule.valid_to)
        if rule.instrument_id is not None:
            of_instrument.setdefault(rule.instrument_id, []).append(hours)
        elif rule.facility_id is not None:
            of_facility.setdefault(rule.facility_id, []).append(hours)
    shared = {place: (name, tuple(of_facility.get(place, ()))) for place, name in zones.items()}
    return {
        row.id: (zones[row.facility_id], tuple(of_instrument[row.id]))
        if row.id in of_instrument
        else shared[row.facility_id]
        for row in rows
    }


def facts(
    session: Session,
    instruments: Iterable[Instrument],
    loads: Mapping[int, tuple[Load, ...]],
    *,
    timetables: Mapping[int, Timetable],
    hours: Mapping[int, tuple[str, tuple[WeeklyHours, ...]]] | None = None,
) -> dict[int, Facts]:
    """Give all that the rules must know about the instruments; a station that comes with its line has no timetable.

    `hours` are those of `hours_of`, where they are known.
    """
    rows = list(instruments)
    hours = hours_of(session, rows) if hours is None else hours
    return {
        row.id: Facts(
            code=row.code,
            units=row.units,
            zone=hours[row.id][0],
            timetable=timetables.get(row.id),
            hours=hours[row.id][1],
            loads=loads.get(row.id, ()),
            bookable=row.bookable and row.published,
        )
        for row in rows
    }


def check_window(within: Span) -> None:
    """Refuse a window that is inverted or too long to answer.

    :raises Invalid: if it is
    """
    if within.start >= within.end:
        raise Invalid({"to": "inverted"})
    if within.duration > WINDOW:
        raise Invalid({"to": "out_of_range"})


def free(session: Session, *, actor: Actor, code: str, within: Span, now: datetime) -> list[FreeSpan]:
    """Give the open time of an instrument with at least one free unit, set-up and clean-up kept out of it.

    A use that fits into a span keeps its distance from what is around it. Past time is not free.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: if the window is inverted or too long
    """
    check_window(within)
    query = select(Instrument).where(Instrument.code == code, instruments.visible(actor))
    instrument = session.scalars(query).one_or_none()
    if instrument is None:
        raise NotFound("instrument", code)
    found = free_of(session, [instrument], within, now=now, person_id=actor.person_id)
    return [FreeSpan(*span, units) for span, units in found[instrument.id]]


def free_of(
    session: Session,
    rows: Sequence[Instrument],
    within: Span,
    *,
    now: datetime,
    person_id: UUID | None,
) -> dict[int, list[tuple[Span, int]]]:
    """Give what `free` gives, for several instruments at once: spans with the units free throughout, in order."""
    found = rooms_of(session, rows, within, now, person_id=person_id)
    return {
        key: sorted(
            (shared, level)
            for room in rooms
            for span, level in room.levels
            for shared in intersect([span], room.starting)
        )
        for key, rooms in found.items()
    }


@dataclass(frozen=True, slots=True)
class Room:
    """Settings, the stretches in which they count for a use that starts there, and the units free under them."""

    policy: Policy
    starting: list[Span]
    levels: list[tuple[Span, int]]


def rooms_of(
    session: Session,
    rows: Sequence[Instrument],
    within: Span,
    now: datetime,
    *,
    person_id: UUID | None,
    without: UUID | None = None,
) -> dict[int, list[Room]]:
    """Give open, future time and the units free in it, for each instrument under the settings of each stretch."""
    grounds = grounds_of(session, rows, person_id=person_id)
    return rooms_on(session, grounds, within, now, without=without)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What decides of the time of instruments besides the ledger: read once, however often that is looked into."""

    rows: Mapping[int, Instrument]
    person_id: UUID | None
    timetables: Mapping[int, Timetable]
    hours: Mapping[int, tuple[str, tuple[WeeklyHours, ...]]]
    permits: permit_needs.Needs
    parts: Mapping[int, Sequence[Part]]
    sizes: Mapping[int, int]
    """Units of the stations of lines."""


def grounds_of(session: Session, rows: Sequence[Instrument], *, person_id: UUID | None) -> Grounds:
    """Read the settings, opening hours, permits and stations of instruments."""
    ids = [row.id for row in rows]
    timetables = policies.timetables(session, rows, person_id=person_id)
    parts = occupation.parts_of(session, ids)
    stations = {part.station_id for found in parts.values() for part in found}
    sizes = select(Instrument.id, Instrument.units).where(Instrument.id.in_(stations))
    return Grounds(
        rows={row.id: row for row in rows},
        person_id=person_id,
        timetables=timetables,
        hours=hours_of(session, rows),
        permits=permit_needs.of(session, ids),
        parts=parts,
        sizes=dict(session.execute(sizes).all()) if stations else {},
    )


def rooms_on(
    session: Session,
    grounds: Grounds,
    within: Span,
    now: datetime,
    *,
    only: Collection[int] | None = None,
    without: UUID | None = None,
) -> dict[int, list[Room]]:
    """Give the rooms of instruments, or only of some, whose grounds are known; one statement."""
    places = list(grounds.rows) if only is None else list(only)
    segments = _segments(grounds, places, within)
    widest = max(
        (policy.setup + policy.cleanup for found in segments.values() for _, policy in found), default=0
    )
    stations = {part.station_id for place in places for part in grounds.parts.get(place, ())}
    view = occupation.look(
        session,
        {*places, *stations},
        padded(within, widest, widest),
        now=now,
        without=without,
        person_id=grounds.person_id,
    )
    opened = _opened(grounds, places, Span(max(within.start, now), within.end))
    result = {}
    for place in places:
        blocked = [
            span
            for part in grounds.parts.get(place, ())
            for span in busy(
                view.loads[part.station_id],
                grounds.sizes[part.station_id] - (part.units or grounds.sizes[part.station_id]),
            )
        ]
        starting: dict[Policy, list[Span]] = {}
        for span, policy in segments[place]:
            starting.setdefault(policy, []).append(span)
        units, loads, blocked = grounds.rows[place].units, view.loads[place], merge(blocked)
        result[place] = [
            Room(
                policy, spans, availability.free_levels(opened[place], loads, units, policy, blocked=blocked)
            )
            for policy, spans in starting.items()
        ]
    return result


def _segments(grounds: Grounds, places: Iterable[int], within: Span) -> dict[int, list[tuple[Span, Policy]]]:
    """Give the stretches of each instrument's settings; most share theirs."""
    known: dict[int, list[tuple[Span, Policy]]] = {}
    found = {}
    for place in places:
        timetable = grounds.timetables[place]
        if id(timetable) not in known:
            known[id(timetable)] = timetable.segments(within)
        found[place] = known[id(timetable)]
    return found


def _opened(grounds: Grounds, places: Iterable[int], future: Span) -> dict[int, Sequence[Span]]:
    """Give the open time of each instrument that its permits leave; most share their facility's."""
    known: dict[tuple[str, tuple[WeeklyHours, ...]], list[Span]] = {}
    found: dict[int, Sequence[Span]] = {}
    for place in places:
        hours = grounds.hours[place]
        if (opened := known.get(hours)) is None:
            name, rules = hours
            opened = open_spans(rules, future, zone(name)) if future.start < future.end else []
            known[hours] = opened
        found[place] = permit_needs.only_valid(grounds.permits, place, opened)
    return found


def occupations(
    session: Session, *, actor: Actor, instrument_ids: Sequence[int], within: Span, now: datetime
) -> list[Bar]:
    """Give what stands in the ledger for these instruments, masked for the reader; one statement.

    :raises Invalid: if the window is inverted or too long
    """
    check_window(within)
    where = {"places": instrument_ids, "since": within.start, "until": within.end, "now": now}
    bars, seen_of = [], dict[tuple[Any, ...], bool]()
    for row in session.execute(_BARS, where):
        whose = row.whose, row.organisation_id, row.facility_id, row.booked_by_id
        if whose not in seen_of:
            subject = Subject(*whose[:3], agent_id=row.booked_by_id)
            seen_of[whose] = may(actor, "booking.see", subject)
        seen = row.booking_id is not None and seen_of[whose]
        bars.append(
            Bar(
                instrument_id=row.instrument_id,
                start=row.starts_at,
                end=row.ends_at,
                use_start=row.use_starts_at,
                use_end=row.use_ends_at,
                quantity=row.quantity,
                kind=row.kind,
                booking_id=row.booking_id if seen else None,
                title=row.purpose if seen else None,
                state=row.state if seen else None,
                mine=actor.person_id is not None and actor.person_id in (row.whose, row.person_id),
                person=row.name if seen else None,
            )
        )
    return bars


def opening(session: Session, *, instrument_ids: Sequence[int], within: Span) -> dict[int, list[Span]]:
    """Give the open spans of each instrument in the window."""
    check_window(within)
    rows = session.scalars(select(Instrument).where(Instrument.id.in_(instrument_ids))).all()
    return {
        place: open_spans(rules, within, zone(name))
        for place, (name, rules) in hours_of(session, rows).items()
    }


def customer_class(actor: Actor, organisation_id: int) -> CustomerClass:
    """Tell the operator's own people from everybody else."""
    return CustomerClass.INTERNAL if organisation_id in actor.organisations else CustomerClass.EXTERNAL


_price = InstrumentPrice.__table__.c
_PRICES = (
    select(
        Instrument.__table__.c.id,
        Facility.__table__.c.organisation_id,
        Facility.__table__.c.zone,
        _price.customer_class,
        _price.unit,
        _price.amount,
        _price.valid_from,
        _price.valid_to,
    )
    .join_from(Instrument.__table__, Facility.__table__)
    .outerjoin(InstrumentPrice.__table__)
    .where(Instrument.__table__.c.id.in_(bindparam("places", expanding=True)))
)


def estimates(session: Session, *, actor: Actor, items: Sequence[Item]) -> list[pricing.Charge | None]:
    """Give what each item will cost this actor by the prices in force on its first day; None is negotiated."""
    places: dict[int, tuple[int, str]] = {}
    prices: dict[int, list[Price]] = {}
    for row in session.execute(_PRICES, {"places": list({item.instrument_id for item in items})}):
        places[row.id] = row.organisation_id, row.zone
        if row.unit is not None:
            price = Price(row.customer_class, row.unit, row.amount, row.valid_from, row.valid_to)
            prices.setdefault(row.id, []).append(price)
    charges = []
    for item in items:
        organisation, name = places[item.instrument_id]
        charges.append(
            pricing.estimate(
                prices.get(item.instrument_id, ()),
                span=item.span,
                quantity=item.quantity,
                customer_class=customer_class(actor, organisation),
                day=item.span.start.astimezone(zone(name)).date(),
            )
        )
    return charges


def next_free(
    session: Session,
    *,
    instrument_ids: Sequence[int],
    now: datetime,
    days: int = 30,
    person_id: UUID | None = None,
) -> dict[int, Span | None]:
    """Give the next time at which one unit can be had for the instrument's shortest use, within so many days.

    For this person: some may wait for less notice, or use it longer, than others.
    """
    rows = session.scalars(
        select(Instrument).where(Instrument.id.in_(instrument_ids), Instrument.bookable, Instrument.published)
    ).all()
    result: dict[int, Span | None] = dict.fromkeys(instrument_ids)
    within = Span(now, now + timedelta(days=days))
    for row, span in _earliest(session, rows, None, within, 1, now, person_id):
        result[row.id] = span
    return result


def first_use(
    session: Session,
    *,
    instrument: Instrument,
    length: timedelta,
    within: Span,
    quantity: int,
    person_id: UUID | None,
    now: datetime,
) -> Span | None:
    """Give the earliest use of this length in the span that the instrument's rules let this person have."""
    found = _earliest(session, [instrument], length, within, quantity, now, person_id)
    return found[0][1] if found else None


def first_uses(
    session: Session,
    *,
    rows: Sequence[Instrument],
    length: timedelta,
    within: Span,
    quantity: int,
    person_id: UUID | None,
    now: datetime,
) -> list[tuple[Instrument, Span]]:
    """Give the earliest use of this length on each of some instruments that has any in the span."""
    return _earliest(session, rows, length, within, quantity, now, person_id)


def _earliest(
    session: Session,
    rows: Sequence[Instrument],
    duration: timedelta | None,
    within: Span,
    quantity: int,
    now: datetime,
    person_id: UUID | None,
) -> list[tuple[Instrument, Span]]:
    if not rows:
        return []
    found = rooms_of(session, rows, within, now, person_id=person_id)
    places = zones(session, rows)
    result = []
    for row in rows:
        first = next(uses(found[row.id], duration, quantity, now, places[row.facility_id]), None)
        if first:
            result.append((row, first))
    return result


def uses(
    rooms: Iterable[Room],
    duration: timedelta | None,
    quantity: int,
    now: datetime,
    zone_name: str,
    begins: Sequence[Span] | None = None,
) -> Iterator[Span]:
    """Walk through the uses of a length, or of the shortest one, that can be had: no two at one time, in order.

    `begins` are the stretches in which they may begin, where that matters.
    """
    end: datetime | None = None
    for span in merged(*(_uses(room, duration, quantity, now, zone_name, begins) for room in rooms)):
        if end is None or span.start >= end:
            yield span
            end = span.end


def _uses(
    room: Room,
    duration: timedelta | None,
    quantity: int,
    now: datetime,
    zone_name: str,
    begins: Sequence[Span] | None,
) -> Iterator[Span]:
    length = duration or timedelta(minutes=room.policy.shortest)
    spans = [span for span, level in room.levels if level >= quantity]
    starting = room.starting if begins is None else intersect(room.starting, begins)
    for start in availability.starts(spans, length, room.policy, now, zone_name, starting=starting):
        yield Span(start, start + length)


def zones(session: Session, rows: Iterable[Instrument]) -> dict[int, str]:
    """Give the zones of the instruments' facilities, by facility."""
    found = policies.facilities_of(session, {row.facility_id for row in rows})
    return {row.id: row.zone for row in found.values()}


def equals(
    session: Session, *, instrument: Instrument, quantity: int, needs: str = "", limit: int = 20
) -> Sequence[Instrument]:
    """Give some instruments that do as well: of the same kind and category, with as many units.

    They can do all that is needed (`volume_l>=50`, several with commas between), or all that the instrument can when
    nothing is said, with figures at least as large. Those of the same facility come first, then those that share a
    network with it, then those of its region.
    """
    if instrument.category_code is None:
        return []
    own = select(NetworkFacility.network_id).where(NetworkFacility.facility_id == instrument.facility_id)
    shared = exists().where(
        NetworkFacility.facility_id == Instrument.facility_id, NetworkFacility.network_id.in_(own)
    )
    region = select(Facility.region_code).where(Facility.id == instrument.facility_id).scalar_subquery()
    return session.scalars(
        select(Instrument)
        .join(Facility, Facility.id == Instrument.facility_id)
        .where(
            Instrument.category_code == instrument.category_code,
            Instrument.kind == instrument.kind,
            Instrument.id != instrument.id,
            Instrument.published,
            Instrument.bookable,
            Instrument.units >= quantity,
            catalogue.able(Instrument.id, needs) if needs else _as_able_as(instrument.id),
        )
        .order_by(
            Instrument.facility_id != instrument.facility_id,
            ~shared,
            Facility.region_code != region,
            Instrument.id,
        )
        .limit(limit)
    ).all()


def _as_able_as(instrument_id: int) -> ColumnElement[bool]:
    """Say that an instrument has every ability of another one, with a figure at least as large where it has one."""
    mine, theirs = aliased(Capability), aliased(Capability)
    has = (
        select(theirs.tag)
        .where(
            theirs.instrument_id == Instrument.id,
            theirs.tag == mine.tag,
            or_(mine.value.is_(None), theirs.value >= mine.value),
        )
        .correlate(Instrument, mine)
    )
    lacks = select(mine.tag).where(mine.instrument_id == instrument_id, ~has.exists()).correlate(Instrument)
    return ~lacks.exists()
