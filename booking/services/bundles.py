"""Bundles: displaced bookings of several items or units, which move as one; parts of one that fits nowhere whole."""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from booking.domain.hours import instant, zone
from booking.domain.occupation import Item
from booking.domain.resolution.outage import Disturbance
from booking.domain.resolution.problem import SLOT, Wish
from booking.domain.spans import Span, merge, subtract
from booking.services import alternatives, availability
from booking.services.availability import Room
from models import Booking, Instrument

MOST = 20
"""So many bookings of several items are placed; the others are left to people."""

EQUALS = 10
"""So many equal instruments are looked at for an item that is hit."""

PRIORITY = 2
WEIGHTS = Disturbance()
_LIKE_ALL = Wish(steps=(), window=(0, 0), value=0, priority=PRIORITY)

Taken = dict[int, list[Span]]


@dataclass(slots=True)
class Free:
    """Where uses may be, by instrument, without what is taken besides the ledger; looked at often, so kept."""

    rooms: Mapping[int, Sequence[Room]]
    known: dict[tuple[int, int], list[tuple[list[Span], list[Span]]]] = field(default_factory=dict)

    def has(self, item: Item, units: int) -> bool:
        """Tell whether so many units are free for a use."""
        return any(
            _holding(starting, item.span.start) is not None
            and (room := _holding(free, item.span.start)) is not None
            and item.span.end <= room.end
            for starting, free in self._of(item.instrument_id, units)
        )

    def _of(self, place: int, units: int) -> list[tuple[list[Span], list[Span]]]:
        if (place, units) not in self.known:
            self.known[place, units] = [
                (merge(room.starting), merge(span for span, level in room.levels if level >= units))
                for room in self.rooms[place]
            ]
        return self.known[place, units]


def _holding(spans: Sequence[Span], at: datetime) -> Span | None:
    """Give the one of some sorted spans that holds an instant."""
    number = bisect_right(spans, at, key=lambda span: span.start) - 1
    return spans[number] if number >= 0 and at < spans[number].end else None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A booking with the items that it could have instead, none where it fits nowhere, and what that disturbs."""

    booking: Booking
    items: tuple[Item, ...]
    cost: int
    slots: int

    def told(self) -> dict[str, Any]:
        """Give it in a form that a run can keep."""
        return {
            "booking": str(self.booking.id),
            "sequence": self.booking.sequence,
            "parts": [written(item) for item in self.items],
            "cost": self.cost,
            "slots": self.slots,
        }


def written(item: Item) -> dict[str, Any]:
    """Give an item in a form that a row can keep."""
    start, end = item.span
    return {
        "instrument": item.instrument_id,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "quantity": item.quantity,
    }


def read(parts: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Give the items that a row keeps."""
    return [
        Item(
            one["instrument"],
            Span(datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"])),
            one["quantity"],
        )
        for one in parts
    ]


def items_of(booking: Booking) -> list[Item]:
    """Give what a booking has as it stands."""
    return [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items]


def place(
    session: Session,
    found: Sequence[Booking],
    *,
    down: Mapping[int, Sequence[Span]],
    within: Span,
    now: datetime,
) -> list[Bundle]:
    """Give each booking its nearest place as a whole, one after the other, the earliest first; no two get the same.

    All its items move by the same time, so that they stand to one another as before; or, where one of them alone cannot
    stay, that one goes to an equal instrument at the same time, if this disturbs less.
    """
    taken: Taken = {place: list(spans) for place, spans in down.items()}
    bundles = []
    for booking in found[:MOST]:
        items = items_of(booking)
        own = {row.instrument_id: row.instrument for row in booking.items}
        equals = _equals(session, own, items, down)
        rows = {row.id: row for row in (*own.values(), *(one for some in equals.values() for one in some))}
        rooms = availability.rooms_of(
            session, list(rows.values()), within, now, person_id=booking.person_id, without=booking.id
        )
        free = Free(
            {row: [_without(room, taken.get(row, ())) for room in some] for row, some in rooms.items()}
        )
        bundle = _best(booking, items, free, equals, within, now)
        for item in bundle.items:
            taken.setdefault(item.instrument_id, []).append(_around(item, rooms[item.instrument_id]))
        bundles.append(bundle)
    return bundles


def parts(
    session: Session,
    found: Sequence[Booking],
    *,
    down: Mapping[int, Sequence[Span]],
    within: Span,
    near: timedelta,
    now: datetime,
) -> Iterator[tuple[Booking, list[Item]]]:
    """Give parts on its own instrument to each booking of one item that could be divided; no two get the same time."""
    rows = {booking.items[0].instrument_id: booking.items[0].instrument for booking in found}
    if not rows:
        return
    rooms = availability.rooms_of(session, list(rows.values()), within, now, person_id=None)
    taken: Taken = {place: list(spans) for place, spans in down.items()}
    for booking in found:
        [item] = items_of(booking)
        tz = booking.items[0].instrument.facility.zone
        left = [_without(room, taken.get(item.instrument_id, ())) for room in rooms[item.instrument_id]]
        for spans in alternatives.split(left, item, now, tz, near=near):
            divided = [replace(item, span=span) for span in spans]
            taken.setdefault(item.instrument_id, []).extend(
                _around(part, rooms[item.instrument_id]) for part in divided
            )
            yield booking, divided


def _equals(
    session: Session,
    own: Mapping[int, Instrument],
    items: Sequence[Item],
    down: Mapping[int, Sequence[Span]],
) -> dict[int, Sequence[Instrument]]:
    most = {place: max(one.quantity for one in items if one.instrument_id == place) for place in own}
    return {
        place: availability.equals(session, instrument=own[place], quantity=most[place], limit=EQUALS)
        for place in own.keys() & down.keys()
    }


def _without(room: Room, taken: Collection[Span]) -> Room:
    """Give a room without what is not to be had in it; what is taken needs set-up and clean-up between."""
    levels = [(part, level) for span, level in room.levels for part in subtract([span], taken)]
    return replace(room, levels=levels)


def _around(item: Item, rooms: Sequence[Room]) -> Span:
    between = max(
        (timedelta(minutes=room.policy.setup + room.policy.cleanup) for room in rooms), default=SLOT
    )
    return item.span.padded(between, between)


def _best(
    booking: Booking,
    items: Sequence[Item],
    free: Free,
    equals: Mapping[int, Sequence[Instrument]],
    within: Span,
    now: datetime,
) -> Bundle:
    ways = [way for way in (_shifted(items, free, within, now), _swapped(items, free, equals)) if way]
    weighed = [_weighed(booking, items, way) for way in ways]
    none = Bundle(booking, (), WEIGHTS.of_cancelling(_LIKE_ALL), 0)
    return min(weighed, key=lambda one: one.cost, default=none)


def _shifted(items: Sequence[Item], free: Free, within: Span, now: datetime) -> list[Item]:
    """Move all items by the smallest time by which they fit; nothing where they never do."""
    steps = [min(room.policy.step, 60) for item in items for room in free.rooms[item.instrument_id]]
    step = timedelta(minutes=math.lcm(*steps))
    first, last = min(item.span.start for item in items), max(item.span.end for item in items)
    earliest, latest = -((first - max(within.start, now)) // step), (within.end - last) // step
    for count in sorted(range(earliest, latest + 1), key=lambda by: (abs(by), by)):
        moved = [replace(one, span=Span(*(at + count * step for at in one.span))) for one in items]
        if count and _fits(moved, free):
            return moved
    return []


def _swapped(items: Sequence[Item], free: Free, equals: Mapping[int, Sequence[Instrument]]) -> list[Item]:
    """Put the one item that cannot stay on an equal instrument; nothing where several cannot, or none is free."""
    hit = [number for number, item in enumerate(items) if not _fits([item], free)]
    if len(hit) != 1:
        return []
    others = equals.get(items[hit[0]].instrument_id, ())
    for other in others:
        moved = [
            replace(one, instrument_id=other.id) if at == hit[0] else one for at, one in enumerate(items)
        ]
        if other.id not in {one.instrument_id for one in items} and _fits(moved, free):
            return moved
    return []


def _fits(items: Sequence[Item], free: Free) -> bool:
    """Tell whether each item is free, together with those of the same booking on the same instrument."""
    return all(
        free.has(
            item,
            sum(
                one.quantity
                for one in items
                if one.instrument_id == item.instrument_id and one.span.overlaps(item.span)
            ),
        )
        for item in items
    )


def _weighed(booking: Booking, items: Sequence[Item], moved: Sequence[Item]) -> Bundle:
    pairs = list(zip(items, moved, strict=True))
    slots = sum(abs(b.span.start - a.span.start) // SLOT for a, b in pairs)
    cost = WEIGHTS.moved + WEIGHTS.slot * slots
    cost += WEIGHTS.instrument * sum(a.instrument_id != b.instrument_id for a, b in pairs)
    last = max(item.span.end for item in moved)
    if (due := due_at(booking)) is not None and booking.ends_at <= due < last:
        cost += WEIGHTS.of_lateness(_LIKE_ALL)
    return Bundle(booking, tuple(moved), cost, slots)


def due_at(booking: Booking) -> datetime | None:
    """Give the end of the day by which a booking is needed, on the clock of its facility."""
    if booking.needed_by is None:
        return None
    tz = zone(booking.items[0].instrument.facility.zone)
    return instant(booking.needed_by + timedelta(days=1), 0, tz)
