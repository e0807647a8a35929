"""Alternatives: what can be had instead of a wish that is refused, each of it judged by the same rules and gates.

As many statements for one candidate as for a hundred: calendars are read together, and no more than a few offers of
each sort are put before the gates.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain import availability as free_time
from booking.domain.access import Actor
from booking.domain.occupation import Item
from booking.domain.resolution.alternatives import MOST_PARTS, Why, divided, trouble
from booking.domain.spans import Span, merge
from booking.services import approval_steps, availability, distances, gates, policies
from booking.services.availability import WINDOW, Alternative, Room
from booking.services.crowd import Crowd
from booking.services.gates import Look, Wish
from models import Facility, Instrument

REACH = timedelta(days=14)
"""How far around the wish the nearest free times of the same instrument are looked for."""

NEAR = timedelta(days=2)
"""How far around it equal instruments are looked for, and how far after it the parts of a split use."""

CANDIDATES = 60
"""So many equal instruments are looked at, the nearest."""

SHOWN = {Why.NEAREST: 3, Why.EQUAL: 3, Why.CHEAPER: 3, Why.SHORTER: 1, Why.SPLIT: 1}
"""So many offers of each sort are told."""

MORE = 2
"""For each that is told one more is judged, in case the gates refuse some."""

LEAST_PART = timedelta(minutes=30)
SAME_AREA = 30.0
"""Kilometres within which a place counts as near."""

_MINUTE = timedelta(minutes=1)
_SLOT = 15


@dataclass(frozen=True, slots=True)
class _Asked:
    """The wish with what all offers are compared with."""

    row: Instrument
    place: Facility
    item: Item
    price: Decimal | None
    zone: str


@dataclass(frozen=True, slots=True)
class _Outline:
    """What could be had as far as calendars and prices go: the same for all people of the same of its operators."""

    offers: Sequence[Alternative]
    known: Mapping[int, Instrument]
    operators: frozenset[int]
    read: dict[Hashable, Any] = field(default_factory=dict)
    """What gates read for it that is the same for everybody."""


def find(
    session: Session, *, actor: Actor, wish: Wish, needs: str = "", crowd: Crowd | None = None
) -> list[Alternative]:
    """Give what could be had instead of a wish of one item, the least troublesome first; nothing is written.

    Nearest times on the same instrument, equal instruments then or soon, what of the use fits there, and two or
    three parts. `needs` are the abilities that an equal instrument must have, such as `volume_l>=50`; without any,
    it has all of this one's. Every offer keeps the rules of its instrument and passes every gate. The time of the
    booking that is being changed counts as free. In a `crowd` what stands free is looked up once for all.
    """
    if len(wish.items) != 1 or wish.items[0].span.duration > WINDOW - 2 * REACH:
        return []
    item = wish.items[0]
    if session.get(Instrument, item.instrument_id) is None:
        return []
    payer = actor
    if wish.person_id != actor.person_id:
        payer = Actor(organisations=policies.organisations_of(session, wish.person_id))
    if crowd is None or wish.booking_id is not None or wish.held:
        outline = _outline(session, payer, wish, needs)
    else:
        outline = _of_crowd(session, crowd, payer, wish, needs)
    policies.rules_for(session, outline.known.values())
    return _judged(session, actor, wish, outline)


def _of_crowd(session: Session, crowd: Crowd, payer: Actor, wish: Wish, needs: str) -> _Outline:
    item = wish.items[0]
    place = "operators", item.instrument_id, needs
    operators = crowd.peek(place)
    theirs = payer.organisations if operators is None else payer.organisations & operators

    def read() -> tuple[_Outline, Mapping[int, Instrument]]:
        found = _outline(session, payer, wish, needs)
        crowd.put(place, found.operators, wish.now)
        return found, found.known

    return crowd.once(session, ("instead", item, needs, frozenset(theirs)), wish.now, read)


def _outline(session: Session, payer: Actor, wish: Wish, needs: str) -> _Outline:
    item = wish.items[0]
    row = session.get_one(Instrument, item.instrument_id)
    others = availability.equals(
        session, instrument=row, quantity=item.quantity, needs=needs, limit=CANDIDATES
    )
    known = {one.id: one for one in (row, *others)}
    policies.rules_for(session, known.values())  # read once for all that follows
    here = _here(session, row, wish)
    elsewhere = _elsewhere(session, others, wish)
    offers = _told(session, payer, row, item, [*here, *elsewhere], known)
    places = policies.facilities_of(session, {one.facility_id for one in known.values()})
    return _Outline(offers, known, frozenset(place.organisation_id for place in places.values()))


# --- what fits ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Use:
    """Parts of a use on one instrument, and why they are offered."""

    why: Why
    row: Instrument
    parts: tuple[Span, ...]


def _here(session: Session, row: Instrument, wish: Wish) -> list[_Use]:
    if not (row.bookable and row.published):
        return []
    item, now = wish.items[0], wish.now
    wide = Span(max(item.span.start - REACH, now), max(item.span.end, now) + REACH)
    rooms = _rooms(session, [row], wide, wish)[row.id]
    zone = availability.zones(session, [row])[row.facility_id]
    nearest = _nearest(rooms, item, now, zone, count=SHOWN[Why.NEAREST] * MORE)
    shorter = _shorter(rooms, item, now, zone)
    # A booking that is changed keeps its number of items.
    divided = [] if wish.booking_id is not None else split(rooms, item, now, zone)
    return [
        *(_Use(Why.NEAREST, row, (span,)) for span in nearest),
        *(_Use(Why.SHORTER, row, (span,)) for span in shorter),
        *(_Use(Why.SPLIT, row, parts) for parts in divided),
    ]


def _elsewhere(session: Session, rows: Sequence[Instrument], wish: Wish) -> list[_Use]:
    item, now = wish.items[0], wish.now
    near = Span(max(item.span.start - NEAR, now), max(item.span.end + NEAR, now))
    if not rows or near.start >= near.end:
        return []
    rooms, zones = _rooms(session, rows, near, wish), availability.zones(session, rows)
    found = []
    for row in rows:
        same = _nearest(rooms[row.id], item, now, zones[row.facility_id], count=1)
        found += [
            _Use(Why.EQUAL if span == item.span else Why.CHEAPER, row, (span,))
            for span in same
            if span.duration == item.span.duration
        ]
    return found


def _rooms(
    session: Session, rows: Sequence[Instrument], within: Span, wish: Wish
) -> Mapping[int, Sequence[Room]]:
    return availability.rooms_of(
        session, rows, within, wish.now, person_id=wish.person_id, without=wish.booking_id
    )


def _free(room: Room, quantity: int) -> list[Span]:
    return merge(span for span, level in room.levels if level >= quantity)


def _nearest(rooms: Iterable[Room], item: Item, now: datetime, zone: str, *, count: int) -> list[Span]:
    """Give the nearest uses of the wished length, or of the one closest to it that the settings allow."""
    uses: set[Span] = set()
    for room in rooms:
        free = _free(room, item.quantity)
        length = free_time.nearest_length(item.span.duration, room.policy)
        wish = Span(item.span.start, item.span.start + length)
        for starting in room.starting:
            starts = free_time.nearest_starts(
                free, wish, room.policy, now, zone, count=count, starting=starting
            )
            uses |= {Span(start, start + length) for start in starts}
    return sorted(uses, key=lambda use: (abs(use.start - item.span.start), use))[:count]


def _longest(rooms: Iterable[Room], item: Item, within: Span, now: datetime, zone: str) -> Iterator[Span]:
    for room in rooms:
        free = _free(room, item.quantity)
        for starting in room.starting:
            yield from free_time.longest_uses(free, within, room.policy, now, zone, starting=starting)


def _shorter(rooms: Iterable[Room], item: Item, now: datetime, zone: str) -> list[Span]:
    """Give the longest use that fits into the wished span."""
    fitting = [
        use for use in _longest(rooms, item, item.span, now, zone) if use.duration < item.span.duration
    ]
    return sorted(fitting, key=lambda use: (-use.duration, use))[:1]


def split(
    rooms: Sequence[Room], item: Item, now: datetime, zone: str, *, near: timedelta = NEAR
) -> list[tuple[Span, ...]]:
    """Give the fewest parts that fit from the wished start on, the earliest to be done."""
    start, length = item.span.start, item.span.duration
    within = Span(max(start, now), max(start + length, now) + near)
    around = max((room.policy.setup + room.policy.cleanup for room in rooms), default=0)
    step = max((room.policy.step for room in rooms), default=_SLOT)
    minutes, least = int(length / _MINUTE), -(-int(LEAST_PART / _MINUTE) // step) * step
    least = max([least, *(-(-room.policy.shortest // step) * step for room in rooms)])
    uses = [
        (int((use.start - start) / _MINUTE), int((use.end - start) / _MINUTE))
        for use in sorted(_longest(rooms, item, within, now, zone))
    ]
    if minutes % step or minutes < 2 * least or any(b > c for (_, b), (c, _) in pairwise(uses)):
        return []
    ends = [*(following - around for following, _ in uses[1:]), *([uses[-1][1]] if uses else [])]
    trimmed = [(a, a + (min(b, end) - a) // step * step) for (a, b), end in zip(uses, ends, strict=True)]
    windows = [(a, b) for a, b in trimmed if b - a >= least]
    for count in range(2, MOST_PARTS + 1):
        parts = divided(windows, minutes, count, least=least)
        if parts:
            return [tuple(Span(start + a * _MINUTE, start + b * _MINUTE) for a, b in parts)]
    return []


# --- what each is compared with the wish ----------------------------------------------------------


def _told(
    session: Session,
    payer: Actor,
    row: Instrument,
    item: Item,
    uses: Sequence[_Use],
    known: Mapping[int, Instrument],
) -> list[Alternative]:
    """Give prices and distances of all uses, in a few statements."""
    places = policies.facilities_of(session, {one.facility_id for one in known.values()})
    items = [Item(use.row.id, part, item.quantity) for use in uses for part in use.parts]
    charges = availability.estimates(session, actor=payer, items=[item, *items])
    asked = _Asked(
        row,
        places[row.facility_id],
        item,
        charges[0].amount if charges[0] else None,
        places[row.facility_id].zone,
    )
    prices = iter(charges[1:])
    found = []
    for use in uses:
        lines = [next(prices) for _ in use.parts]
        total = None if None in lines else sum((line.amount for line in lines if line), Decimal(0))
        found.append(_alternative(asked, use, places[use.row.facility_id], total))
    return found


def _alternative(asked: _Asked, use: _Use, place: Facility, price: Decimal | None) -> Alternative:
    length = sum((part.duration for part in use.parts), timedelta())
    difference = None if price is None or asked.price is None else price - asked.price
    return Alternative(
        use.row.id,
        use.row.code,
        use.parts[0].start,
        use.parts[-1].end,
        use.why.value,
        parts=use.parts if len(use.parts) > 1 else (),
        minutes=int((use.parts[0].start - asked.item.span.start) / _MINUTE),
        lost=max(0, int((asked.item.span.duration - length) / _MINUTE)),
        estimate=price,
        difference=difference,
        facility=place.code,
        km=distances.between(asked.place, place),
    )


# --- what passes ----------------------------------------------------------------------------------


def _judged(
    session: Session,
    actor: Actor,
    wish: Wish,
    outline: _Outline,
) -> list[Alternative]:
    """Give the best of each sort that pass every gate, the least troublesome first."""
    known, asked = outline.known, outline.known[wish.items[0].instrument_id]
    ranked = sorted(outline.offers, key=lambda one: (_trouble(one, asked.id), one.start, one.code))
    look = Look([span for one in ranked for span in one.spans], dict(outline.read))
    found: list[Alternative] = []
    for why, most in SHOWN.items():
        tried = [one for one in ranked if one.why == why.value]
        if why is Why.CHEAPER:  # the cheapest come first; what has no price comes last
            tried.sort(key=lambda one: (one.difference is None, one.difference or 0, abs(one.minutes)))
        passed = (_passed(session, actor, wish, one, known, look) for one in tried[: most * MORE])
        found += islice((one for one in passed if one is not None), most)
    outline.read.update(
        {key: read for key, read in look.known.items() if isinstance(key, tuple) and key[0] == "permits"}
    )
    return sorted(found, key=lambda one: (_trouble(one, asked.id), one.start, one.code))


def _for_all(key: Hashable) -> bool:
    """Tell whether what a gate read is the same for everybody."""
    return isinstance(key, tuple) and key[0] == "permits"


def _passed(
    session: Session,
    actor: Actor,
    wish: Wish,
    one: Alternative,
    known: Mapping[int, Instrument],
    look: Look,
) -> Alternative | None:
    quantity = wish.items[0].quantity
    items = [Item(one.instrument_id, span, quantity) for span in one.spans]
    tried = replace(wish, items=items, instruments=known, look=look)
    if gates.reasons(session, tried):
        return None
    return replace(one, needs_approval=bool(approval_steps.planned(session, actor=actor, wish=tried)))


def _trouble(one: Alternative, asked: int) -> float:
    near = one.km is not None and one.km <= SAME_AREA
    distance = 0 if one.instrument_id == asked else 1 if one.km == 0 else 2 if near else 3
    return trouble(
        shift=one.minutes / _SLOT,
        distance=distance,
        lost=one.lost / _SLOT,
        price=float(one.difference or 0),
        parts=len(one.spans),
    )


def wish_of(actor: Actor, items: Sequence[Item], now: datetime, *, booking_id: UUID | None = None) -> Wish:
    """Give a plain wish of the actor's own for what was refused without more being known."""
    person = actor.person_id or UUID(int=0)
    return Wish(
        person, min(actor.organisations, default=None), None, items, {}, now, booking_id, chemicals=()
    )
