"""What an outage asks of the resolver: the bookings that it hits, neighbours who agreed to make room, calendars."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from booking.services import availability, bookings, lanes
from booking.services.lanes import Draws, Grid, Lanes
from models import Booking, BookingItem, Facility, Instrument

AHEAD = timedelta(days=7)
"""So far behind the end of an outage, and of what it hits, other times are looked for."""

LONGEST = timedelta(days=60)
MOST_INSTRUMENTS = 200
MOVABLE = (State.REQUESTED, State.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Posed:
    """A repair in numbers with what they mean, how many bookings are hit, and those that only a person can move."""

    pool: Pool
    plan: Plan
    outage: Outage
    names: dict[str, Any]
    hit: int
    by_hand: tuple[Booking, ...]


def pose(
    session: Session, *, facility: Facility, instrument_ids: Sequence[int], span: Span, now: datetime
) -> Posed:
    """Put what an outage of some instruments displaces into numbers.

    A booking of several items, of several units or off the quarters of an hour is left to people, and so is one that
    has begun. All bookings that are neither hit nor agreed to make room stand in the calendars and cannot move.
    """
    met = bookings.displaced(session, instrument_ids=instrument_ids, span=span)
    rows, equals = _instruments(session, instrument_ids, met)
    over = _grid(facility, span, met, now)
    hit = [booking for booking in met if _simple(booking, over, now)]
    neighbours = _neighbours(session, rows, over, {booking.id for booking in met}, now)
    asked = [*hit, *neighbours]
    read = lanes.lanes(
        session,
        list(rows.values()),
        over=over,
        without=[booking.id for booking in asked],
        at_once=True,
        now=now,
    )
    draws = lanes.draws(session, rows)
    wishes = [_wish(booking, over, read, equals if booking in hit else {}, draws) for booking in asked]
    places = _lanes_of(asked, wishes, len(hit), over, read)
    kept = [number for number in range(len(asked)) if number in places]
    pool = Pool(
        name=facility.code,
        start=over.start.astimezone(zone(facility.zone)).date(),
        horizon=over.horizon,
        instruments=read.instruments,
        wishes=tuple(wishes[number] for number in kept),
        utilities=draws.utilities,
    )
    names = {
        "bookings": [str(asked[number].id) for number in kept],
        "sequences": [asked[number].sequence for number in kept],
        "lanes": list(read.of_lane),
        "start": over.start.isoformat(),
    }
    outage = Outage(
        down=tuple(
            (lane, *over.around(span, read.setup[lane]))
            for place in instrument_ids
            for lane in read.by_instrument.get(place, ())
        ),
        now=max(0, over.after(now)),
        kind="closure",
    )
    plan: Plan = {index: (places[number],) for index, number in enumerate(kept)}
    left = {asked[number].id for number in kept}
    by_hand = tuple(one for one in met if one.id not in left)
    return Posed(pool, plan, outage, names, len(met) - len(by_hand), by_hand)


def _instruments(
    session: Session, instrument_ids: Sequence[int], met: Iterable[Booking]
) -> tuple[dict[int, Instrument], dict[int, tuple[int, ...]]]:
    """Give the instruments that are struck and all that would do for what is booked on them, and which do for which."""
    query = select(Instrument).where(Instrument.id.in_(instrument_ids)).order_by(Instrument.id)
    rows = {row.id: row for row in session.scalars(query)}
    equals: dict[int, tuple[int, ...]] = {}
    for place in sorted({item.instrument_id for booking in met for item in booking.items} & rows.keys()):
        others = availability.equals(session, instrument=rows[place], quantity=1)
        rows |= {other.id: other for other in others if len(rows) < MOST_INSTRUMENTS}
        equals[place] = (place, *(other.id for other in others if other.id in rows))
    return rows, equals


def _grid(facility: Facility, span: Span, met: Sequence[Booking], now: datetime) -> Grid:
    tz = zone(facility.zone)
    first = max(span.start - timedelta(days=1), now)
    last = min(max([span.end, *(booking.ends_at for booking in met)]) + AHEAD, first + LONGEST)
    return lanes.grid(first.astimezone(tz).date(), last.astimezone(tz).date(), facility.zone)


def _simple(booking: Booking, over: Grid, now: datetime) -> bool:
    if len(booking.items) != 1 or booking.state not in MOVABLE:
        return False
    item = booking.items[0]
    quarter = all((at - over.start) % SLOT == timedelta(0) for at in (item.starts_at, item.ends_at))
    return quarter and item.quantity == 1 and item.starts_at > now and over.span.contains(_span(item))


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
    window = (0, end) if equals else (max(0, start - flex), min(over.horizon, end + flex))
    return Wish(
        steps=(step,), window=window, value=100 * SLOTS_AN_HOUR, priority=2, consents=booking.may_move
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
