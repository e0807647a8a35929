"""Elsewhere: a first look at where what a closure would displace could go, before anything is closed or asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import availability as free_time
from booking.domain.resolution.alternatives import trouble
from booking.domain.spans import Span, merge, subtract
from booking.services import availability
from booking.services.availability import Room
from booking.services.repair_pools import AHEAD, LONGEST, MOVABLE
from models import Booking, BookingItem, Instrument

MOST = 10
"""For so many bookings a place is looked for, the earliest."""

EQUALS = 5
"""So many equal instruments are looked at for each that would be closed."""

_SLOT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another place for a booking."""

    instrument: Instrument
    span: Span


def look(
    session: Session,
    *,
    met: Sequence[Booking],
    facility_id: int,
    instrument_id: int | None,
    span: Span,
    now: datetime,
) -> dict[UUID, Elsewhere | None]:
    """Give the nearest other place for each of the first bookings that a closure would displace; None where none is.

    No two get the same place. Nothing is held, and the rules for each person are looked at only when they are asked.
    Bookings of several instruments, and those that have begun, are left to people; the time of all of them counts as
    taken. As many statements for ten
    bookings as for one, but for one that finds the equals of each instrument.
    """
    moving = [one for one in met if len(one.items) == 1 and one.state in MOVABLE and one.starts_at > now]
    moving = moving[:MOST]
    if not moving:
        return {}
    equals = _equals(session, moving)
    rows = list({row.id: row for found in equals.values() for row in found}.values())
    rooms = availability.rooms_of(session, rows, _around(moving, span, now), now, person_id=None)
    zones = availability.zones(session, rows)
    taken = {place: [span] for place in _closed(session, facility_id, instrument_id)}
    found: dict[UUID, Elsewhere | None] = {}
    for one in moving:
        item = one.items[0]
        places = [
            Elsewhere(row, use)
            for row in equals[item.instrument_id]
            if (use := _nearest(rooms[row.id], taken.get(row.id, ()), item, now, zones[row.facility_id]))
        ]
        best = min(places, key=lambda place: (_trouble(place, item), place.instrument.id), default=None)
        found[one.id] = best
        if best is not None:
            taken.setdefault(best.instrument.id, []).append(best.span)
    return found


def _equals(session: Session, moving: Iterable[Booking]) -> dict[int, list[Instrument]]:
    struck = {one.items[0].instrument_id: one.items[0].instrument for one in moving}
    return {
        place: [row, *availability.equals(session, instrument=row, quantity=1, limit=EQUALS)]
        for place, row in struck.items()
    }


def _around(moving: Sequence[Booking], span: Span, now: datetime) -> Span:
    first = max(now, min(one.starts_at for one in moving) - AHEAD)
    return Span(first, min(max(span.end, *(one.ends_at for one in moving)) + AHEAD, first + LONGEST))


def _closed(session: Session, facility_id: int, instrument_id: int | None) -> set[int]:
    if instrument_id is not None:
        return {instrument_id}
    return set(session.scalars(select(Instrument.id).where(Instrument.facility_id == facility_id)))


def _nearest(
    rooms: Iterable[Room], taken: Iterable[Span], item: BookingItem, now: datetime, zone: str
) -> Span | None:
    wish = Span(item.starts_at, item.ends_at)
    starts = [
        start
        for room in rooms
        for starting in room.starting
        for start in free_time.nearest_starts(
            _free(room, taken, item.quantity), wish, room.policy, now, zone, count=1, starting=starting
        )
    ]
    if not starts:
        return None
    start = min(starts, key=lambda at: (abs(at - wish.start), at))
    return Span(start, start + wish.duration)


def _free(room: Room, taken: Iterable[Span], quantity: int) -> list[Span]:
    """Give where a use may be, as far from what is taken as set-up and clean-up need."""
    around = timedelta(minutes=room.policy.setup + room.policy.cleanup)
    whole = merge(span for span, level in room.levels if level >= quantity)
    return subtract(whole, [span.padded(around, around) for span in taken])


def _trouble(place: Elsewhere, item: BookingItem) -> float:
    near = place.instrument.facility_id == item.instrument.facility_id
    return trouble(
        shift=(place.span.start - item.starts_at) / _SLOT,
        distance=0 if place.instrument.id == item.instrument_id else 1 if near else 2,
        lost=0.0,
        price=0.0,
        parts=1,
    )
