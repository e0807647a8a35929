"""What an outage asks of the resolver: the bookings that it hits, neighbours who agreed to make room, calendars."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.replanning import FLEX
from booking.domain.resolution.check import feasible
from booking.domain.resolution.outage import Outage
from booking.domain.resolution.problem import SLOT, SLOTS_AN_HOUR, Place, Plan, Pool, Step, Wish
from booking.domain.spans import Span
from booking.services import availability, bookings, bundles, lanes
from booking.services.bundles import Bundle
from booking.services.lanes import Draws, Grid, Lanes
from models import Booking, BookingItem, Facility, Instrument

AHEAD = timedelta(days=7)
"""So far behind the end of an outage, and of what it hits, other times are looked for."""

LONGEST = timedelta(days=60)
MOST_INSTRUMENTS = 200
MOVABLE = (State.REQUESTED, State.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Struck:
    """What an outage strikes: instruments with the spans in which they are not to be had, and whom it displaces.

    The bookings cannot stay, whatever the calendars say of their places.
    """

    kind: str
    down: Mapping[int, tuple[Span, ...]]
    met: Sequence[Booking]


@dataclass(frozen=True, slots=True)
class Posed:
    """A repair in numbers with what they mean, how many bookings are hit, and those that only a person can move."""

    pool: Pool
    plan: Plan
    outage: Outage
    names: dict[str, Any]
    hit: int
    by_hand: tuple[Booking, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """Bookings in numbers on the calendars of their instruments and of all that would do as well."""

    over: Grid
    read: Lanes
    pool: Pool
    plan: Plan
    bookings: tuple[Booking, ...]
    """Those of the pool's wishes, in their order; the first `hit` of them are met, the others make room."""
    hit: int


def pose(session: Session, *, facility: Facility, struck: Struck, now: datetime) -> Posed:
    """Put what an outage displaces into numbers.

    A booking of several items, of several units or off the quarters of an hour is placed beforehand, as a whole; for
    one that might find no place parts are looked for. One that has begun is left to people. All bookings that are
    neither hit nor agreed to make room stand in the calendars and cannot move.
    """
    over = _grid(facility, struck, now)
    hit = [booking for booking in struck.met if _simple(booking, over, now)]
    others = [
        one
        for one in struck.met
        if one not in hit and _ahead(one, now) and over.span.contains(Span(one.starts_at, one.ends_at))
    ]
    wholes = bundles.place(session, others, down=struck.down, within=over.span, now=now)
    divided = bundles.parts(session, hit, down=struck.down, within=over.span, near=AHEAD, now=now)
    ground = _ground(session, facility, over, struck, hit, wholes, now)
    placed = {one.id for one in ground.bookings} | {one.booking.id for one in wholes}
    by_hand = tuple(one for one in struck.met if one.id not in placed)
    names = {
        "by_hand": [str(booking.id) for booking in by_hand],
        "bookings": [str(booking.id) for booking in ground.bookings],
        "sequences": [booking.sequence for booking in ground.bookings],
        "lanes": list(ground.read.of_lane),
        "start": over.start.isoformat(),
        "wholes": [one.told() for one in wholes],
        "parts": {str(booking.id): [bundles.written(item) for item in parts] for booking, parts in divided},
    }
    outage = Outage(
        down=tuple(
            (lane, *over.around(span, ground.read.setup[lane]))
            for place, spans in struck.down.items()
            for span in spans
            for lane in ground.read.by_instrument.get(place, ())
        ),
        now=max(0, over.after(now)),
        kind=struck.kind,
        hit=tuple(range(ground.hit)),
    )
    return Posed(ground.pool, ground.plan, outage, names, len(struck.met) - len(by_hand), by_hand)


def survey(
    session: Session, *, facility: Facility, instrument_ids: Sequence[int], span: Span, now: datetime
) -> Ground:
    """Put what stands on some instruments in a span into numbers, of which any may be displaced and none makes room.

    What could be placed only as a whole, what stands against the hours, and what has begun cannot be displaced.
    """
    met = bookings.displaced(session, instrument_ids=instrument_ids, span=span)
    struck = Struck("", dict.fromkeys(instrument_ids, (span,)), met)
    over = _grid(facility, struck, now)
    hit = [booking for booking in met if _simple(booking, over, now)]
    ground = _ground(session, facility, over, struck, hit, (), now, as_they_stand=True)
    if ground.hit < len(hit):  # what was left out must stand in the calendars
        hit = list(ground.bookings[: ground.hit])
        ground = _ground(session, facility, over, struck, hit, (), now, as_they_stand=True)
    wishes = tuple(
        replace(wish, consents=wish.consents and number >= ground.hit)
        for number, wish in enumerate(ground.pool.wishes)
    )
    return replace(ground, pool=replace(ground.pool, wishes=wishes))


def _ground(
    session: Session,
    facility: Facility,
    over: Grid,
    struck: Struck,
    hit: Sequence[Booking],
    wholes: Sequence[Bundle],
    now: datetime,
    *,
    as_they_stand: bool = False,
) -> Ground:
    rows, equals = _instruments(session, struck.down, struck.met)
    asked = [*hit, *_neighbours(session, rows, over, {booking.id for booking in struck.met}, now)]
    read = lanes.lanes(
        session,
        list(rows.values()),
        over=over,
        taken=[
            (item.instrument_id, item.span)
            for one in wholes
            for item in one.items
            for _ in range(item.quantity)
        ],
        without=[booking.id for booking in asked],
        at_once=True,
        now=now,
    )
    draws = lanes.draws(session, rows)
    wishes = [
        _wish(booking, over, read, equals if number < len(hit) else {}, draws)
        for number, booking in enumerate(asked)
    ]
    found = _lanes_of(asked, wishes, 0 if as_they_stand else len(hit), over, read)
    kept = [number for number in range(len(asked)) if number in found]
    pool = Pool(
        name=facility.code,
        start=over.start.astimezone(zone(facility.zone)).date(),
        horizon=over.horizon,
        instruments=read.instruments,
        wishes=tuple(wishes[number] for number in kept),
        utilities=draws.utilities,
    )
    plan: Plan = {index: (found[number],) for index, number in enumerate(kept)}
    return Ground(
        over, read, pool, plan, tuple(asked[number] for number in kept), sum(n < len(hit) for n in kept)
    )


def _instruments(
    session: Session, instrument_ids: Collection[int], met: Sequence[Booking]
) -> tuple[dict[int, Instrument], dict[int, tuple[int, ...]]]:
    """Give the instruments that are struck and all that would do for what is booked on them, and which do for which."""
    struck = {item.instrument_id for booking in met for item in booking.items}.union(instrument_ids)
    query = select(Instrument).where(Instrument.id.in_(struck)).order_by(Instrument.id)
    rows = {row.id: row for row in session.scalars(query)}
    equals: dict[int, tuple[int, ...]] = {}
    for place in sorted({item.instrument_id for booking in met for item in booking.items} & rows.keys()):
        others = availability.equals(session, instrument=rows[place], quantity=1)
        rows |= {other.id: other for other in others if len(rows) < MOST_INSTRUMENTS}
        equals[place] = (place, *(other.id for other in others if other.id in rows))
    return rows, equals


def _grid(facility: Facility, struck: Struck, now: datetime) -> Grid:
    tz = zone(facility.zone)
    spans = [span for some in struck.down.values() for span in some]
    begins = [*(span.start for span in spans), *(one.starts_at for one in struck.met)]
    first = max(min(begins, default=now) - timedelta(days=1), now)
    ends = max((one.ends_at for one in struck.met), default=first)
    # What is not to be had for ever is looked at no farther than those whom it meets might go.
    ends = max([ends, *(min(span.end, ends + AHEAD) for span in spans)])
    last = min(ends + AHEAD, first + LONGEST)
    return lanes.grid(first.astimezone(tz).date(), last.astimezone(tz).date(), facility.zone)


def _ahead(booking: Booking, now: datetime) -> bool:
    return booking.state in MOVABLE and all(item.starts_at > now for item in booking.items)


def _simple(booking: Booking, over: Grid, now: datetime) -> bool:
    if len(booking.items) != 1 or not _ahead(booking, now):
        return False
    item = booking.items[0]
    quarter = all((at - over.start) % SLOT == timedelta(0) for at in (item.starts_at, item.ends_at))
    return quarter and item.quantity == 1 and over.span.contains(_span(item))


def _span(item: BookingItem) -> Span:
    return Span(item.starts_at, item.ends_at)


def _neighbours(
    session: Session, rows: Mapping[int, Instrument], over: Grid, met: set[UUID], now: datetime
) -> list[Booking]:
    """Give the bookings nearby whose owners agreed that they may be moved a little."""
    there = (
        select(BookingItem.booking_id)
        .where(
            BookingItem.instrument_id.in_(rows),
            BookingItem.starts_at >= over.start,
            BookingItem.ends_at <= over.span.end,
        )
        .distinct()
    )
    query = (
        select(Booking)
        .where(Booking.id.in_(there), Booking.may_move, Booking.state == State.CONFIRMED)
        .options(selectinload(Booking.items).joinedload(BookingItem.instrument), joinedload(Booking.person))
        .order_by(Booking.starts_at, Booking.id)
    )
    return [one for one in session.scalars(query) if one.id not in met and _simple(one, over, now)]


def _wish(
    booking: Booking, over: Grid, read: Lanes, equals: Mapping[int, tuple[int, ...]], draws: Draws
) -> Wish:
    """Say where a booking may go: one that is hit anywhere where an equal is free, a neighbour a little to and fro."""
    item = booking.items[0]
    start, end = over.around(_span(item))
    flex = int(FLEX / SLOT)
    places = equals.get(item.instrument_id, (item.instrument_id,))
    step = Step(
        duration=end - start,
        choices=tuple(
            (lane, 0 if place == item.instrument_id else 1)
            for place in places
            for lane in read.by_instrument.get(place, ())
        ),
        draws=draws.of_any(places),
    )
    due = bundles.due_at(booking) if equals else None
    window = (0, end) if equals else (max(0, start - flex), min(over.horizon, end + flex))
    return Wish(
        steps=(step,),
        window=window,
        value=100 * SLOTS_AN_HOUR,
        priority=bundles.PRIORITY,
        consents=booking.may_move,
        due=None if due is None else over.before(due),
    )


def _lanes_of(
    asked: Sequence[Booking], wishes: Sequence[Wish], hit: int, over: Grid, read: Lanes
) -> dict[int, Place]:
    """Put each booking on the first lane of its instrument where it fits as it stands, first come first.

    The first `hit` of them cannot stay, so any lane will do. A neighbour that fits nowhere, since a rule was set aside
    for it, is left out.
    """
    found: dict[int, Place] = {}
    taken: dict[int, list[tuple[int, int]]] = {}
    for number in sorted(range(len(asked)), key=lambda one: (asked[one].starts_at, asked[one].id)):
        item, step = asked[number].items[0], wishes[number].steps[0]
        start = over.before(item.starts_at)
        lanes_here = read.by_instrument.get(item.instrument_id, ())
        for lane in lanes_here:
            end = start + step.duration + read.instruments[lane].clean
            free = all(b <= start or end <= a for a, b in taken.get(lane, ()))
            if free and (number < hit or feasible(read.instruments[lane], step, start, (0, over.horizon))):
                found[number] = lane, start
                taken.setdefault(lane, []).append((start, end))
                break
        if number < hit and lanes_here:
            found.setdefault(number, (lanes_here[0], start))
    return found
