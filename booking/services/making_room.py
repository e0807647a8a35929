"""Making room: bookings whose owners agreed to it are moved a little, so that somebody who waits finds a place.

Only on their own instrument, by a day at most, only once, and never within a day of their start. All of it is judged
again and written in one transaction with what it is for, or none of it is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from booking.domain import rounds as figures
from booking.domain.access import SYSTEM, Forbidden, NotFound
from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.replanning import FLEX
from booking.domain.resolution.check import feasible
from booking.domain.resolution.problem import SLOT, SLOTS_AN_HOUR, Place, Plan, Pool, Step, Wish
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.domain.waitlist import Waiting
from booking.services import acting, bookings, events, lanes, occupation, offers, policies, turns, waitlist
from booking.services.lanes import Draws, Grid, Lanes
from booking.services.turns import Choice, Work
from models import Booking, BookingItem, EntryState, Event, Instrument, WaitlistOffer

if TYPE_CHECKING:
    from booking.domain.resolution.refill import Grant

AHEAD = timedelta(days=60)
"""Room is made no further ahead."""

NOTICE = timedelta(days=1)
"""Nobody is moved whose booking begins sooner than this, nor to a time that does."""

MOST = 20
"""For so many of those who wait room is looked for, the first in line."""

WHY = "made_room"
MADE_ROOM = "booking.made_room"


@dataclass(frozen=True, slots=True)
class Shift:
    """A booking that makes room: where it goes, and the sequence that it had when this was found."""

    booking_id: UUID
    sequence: int
    span: Span


@dataclass(frozen=True, slots=True)
class Room:
    """A place for one who waits, and the bookings that make room for it."""

    choice: Choice
    shifts: tuple[Shift, ...]


class _Gone(Exception):
    """What was found can no longer be had."""


def find(session: Session, *, freed: Work, skip: Collection[UUID] = (), now: datetime) -> Room | None:
    """Give the first in line for whom bookings that may be moved can make room on an instrument; nothing is written."""
    instrument = session.get(Instrument, freed.instrument_id)
    if instrument is None or not instrument.bookable:
        return None
    holders = _holders(session, instrument, now)
    if not holders:
        return None
    turn = turns.in_turn(session, freed=freed, skip=skip, now=now)
    asking = [
        one
        for one in turn.ranked
        if instrument.id in turn.wanted[one.entry_id]
        and one.quantity == 1
        and not one.at_once
        and one.entry_id not in turn.processes
    ][:MOST]
    if not asking:
        return None
    posed = _pose(session, instrument, holders, asking, now)
    for number, grant in posed.grants():
        one, place = posed.asked[number], grant.places[0]
        span = posed.span(place, one.length)
        passed = turn.passed.get((one.entry_id, instrument.id), ())
        if grant.shifts and not any(span.overlaps(other) for other in passed):
            return Room(Choice(one.entry_id, instrument.id, span), posed.shifts(grant))
    return None


def make(session: Session, *, room: Room, key: str, now: datetime) -> Booking | WaitlistOffer | None:
    """Move those who make room and book or offer what comes free, all or nothing; None if it can no longer be had."""
    occupation.lock(session, [room.choice.instrument_id])
    entry = waitlist.locked(session, entry_id=room.choice.entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return None
    try:
        with session.begin_nested():
            _move(session, room, now)
            return _serve(session, room, key, now)
    except (_Gone, Refused, NotFound, Forbidden, Invalid):
        return None


def _serve(session: Session, room: Room, key: str, now: datetime) -> Booking | WaitlistOffer:
    served = offers.serve(session, choice=room.choice, key=key, now=now)
    if served is None:
        raise _Gone
    return served


def _move(session: Session, room: Room, now: datetime) -> None:
    """Move all, in an order in which each finds its place free."""
    left = list(room.shifts)
    while left:
        stuck = [one for one in left if not _moved(session, one, room, now)]
        if len(stuck) == len(left):
            raise _Gone
        left = stuck


def _moved(session: Session, shift: Shift, room: Room, now: datetime) -> bool:
    booking = bookings.get(session, actor=SYSTEM, booking_id=shift.booking_id)
    agreed = booking.makes_room and booking.state is State.CONFIRMED and booking.sequence == shift.sequence
    owner = acting.actor_of(session, booking.person_id)
    if not agreed or owner is None or booking.starts_at < now + NOTICE:
        raise _Gone
    items = [Item(room.choice.instrument_id, shift.span, booking.items[0].quantity)]
    verdict = bookings.dry_run(session, actor=owner, items=items, booking_id=booking.id, now=now)
    if not verdict.allowed:
        return False
    if verdict.needs_approval:
        raise _Gone
    bookings.change(session, actor=SYSTEM, booking_id=booking.id, version=None, items=items, why=WHY, now=now)
    events.record(
        session,
        actor=SYSTEM,
        kind=MADE_ROOM,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        entry=str(room.choice.entry_id),
    )
    session.flush()
    return True


# --- in numbers -----------------------------------------------------------------------------------


def _holders(session: Session, instrument: Instrument, now: datetime) -> list[Booking]:
    """Give the bookings there whose owners let them be moved, and that have not been moved for anybody yet."""
    there = select(BookingItem.booking_id).where(
        BookingItem.instrument_id == instrument.id, BookingItem.quantity == 1
    )
    alone = (
        select(func.count()).where(BookingItem.booking_id == Booking.id).correlate(Booking).scalar_subquery()
    )
    moved = select(Event.id).where(Event.booking_id == Booking.id, Event.kind == MADE_ROOM).exists()
    query = (
        select(Booking)
        .where(
            Booking.id.in_(there),
            Booking.makes_room,
            Booking.state == State.CONFIRMED,
            Booking.starts_at >= now + NOTICE,
            Booking.ends_at <= now + AHEAD,
            ~moved,
            alone == 1,
        )
        .options(selectinload(Booking.items))
        .order_by(Booking.starts_at, Booking.id)
    )
    return list(session.scalars(query))


@dataclass(frozen=True, slots=True)
class _Posed:
    """Who may be moved and who waits, in numbers, with what these mean."""

    pool: Pool
    plan: Plan
    holders: Sequence[Booking]
    asked: Mapping[int, Waiting]
    over: Grid
    now: int

    def grants(self) -> Iterator[tuple[int, "Grant"]]:
        """Give the first place for each who waits, in their turn, as if nobody before them had got one."""
        # It loads numpy, which the jobs' process needs only when somebody might make room.
        from booking.domain.resolution.refill import Waitlist  # noqa: PLC0415

        for number in self.asked:
            line = Waitlist(self.pool, self.plan, self.asked)
            for grant in line.fill([number], self.now):
                yield grant.wish, grant

    def span(self, place: Place, length: timedelta) -> Span:
        """Give the time of a place."""
        start = self.over.time(place[1])
        return Span(start, start + length)

    def shifts(self, grant: "Grant") -> tuple[Shift, ...]:
        """Give what a grant asks of the bookings there."""
        found = []
        for number, places in sorted(grant.shifts.items()):
            booking = self.holders[number]
            span = self.span(places[0], booking.ends_at - booking.starts_at)
            found.append(Shift(booking.id, booking.sequence, span))
        return tuple(found)


def _pose(
    session: Session,
    instrument: Instrument,
    holders: Sequence[Booking],
    asking: Sequence[Waiting],
    now: datetime,
) -> _Posed:
    place = policies.facilities_of(session, {instrument.facility_id})[instrument.facility_id]
    last = min(max(*(one.window.end for one in asking), holders[-1].ends_at) + FLEX, now + AHEAD)
    tz = zone(place.zone)
    over = lanes.grid(now.astimezone(tz).date(), last.astimezone(tz).date(), place.zone)
    draws = lanes.draws(session, {instrument.id: instrument})
    kept, places = [one for one in holders if _on_grid(one, over)], dict[UUID, Place]()
    while True:
        read = lanes.lanes(session, [instrument], over=over, without=[one.id for one in kept], now=now)
        places = _lanes_of(kept, read, instrument, over, draws, now)
        if len(places) == len(kept):
            break
        # What fits nowhere as it stands, as the rules are by now, is not moved either: it stands in the calendar.
        kept = [one for one in kept if one.id in places]
    asked = {len(kept) + number: pair for number, pair in enumerate(_parts(asking, over, now))}
    wishes_ = [
        *(_holding(one, read, instrument, over, draws, now) for one in kept),
        *(_asking(one, window, turn, read, instrument, draws) for turn, (one, window) in asked.items()),
    ]
    pool = Pool(
        name=instrument.code,
        start=over.start.astimezone(tz).date(),
        horizon=over.horizon,
        instruments=read.instruments,
        wishes=tuple(wishes_),
        utilities=draws.utilities,
    )
    plan: Plan = {number: (places[one.id],) for number, one in enumerate(kept)}
    waiting = {number: one for number, (one, _) in asked.items()}
    return _Posed(pool, plan, kept, waiting, over, max(0, over.after(now)))


def _on_grid(booking: Booking, over: Grid) -> bool:
    return over.span.contains(Span(booking.starts_at, booking.ends_at)) and all(
        (at - over.start) % SLOT == timedelta(0) for at in (booking.starts_at, booking.ends_at)
    )


def _parts(asking: Sequence[Waiting], over: Grid, now: datetime) -> Iterator[tuple[Waiting, tuple[int, int]]]:
    """Give each part of each window in slots, in the order of the line."""
    for one in asking:
        for part in one.parts:
            window = over.inside(Span(max(part.start, now), part.end)) if part.end > now else None
            if window is not None:
                yield one, window


def _holding(
    booking: Booking, read: Lanes, instrument: Instrument, over: Grid, draws: Draws, now: datetime
) -> Wish:
    """Say where a booking may go: a little to and fro, on its own instrument."""
    start, end = over.around(Span(booking.starts_at, booking.ends_at))
    flex = int(FLEX / SLOT)
    window = max(start - flex, over.after(now + NOTICE), 0), min(end + flex, over.horizon)
    step = Step(end - start, _choices(read, instrument), draws=draws.of_any([instrument.id]))
    return Wish(steps=(step,), window=window, value=100 * SLOTS_AN_HOUR, priority=2, consents=True)


def _asking(
    one: Waiting, window: tuple[int, int], turn: int, read: Lanes, instrument: Instrument, draws: Draws
) -> Wish:
    slots = -(-one.length // SLOT)
    return Wish(
        steps=(Step(slots, _choices(read, instrument), draws=draws.of_any([instrument.id])),),
        window=window,
        value=figures.worth(slots=slots, priority=2, fair=1.0),
        priority=-one.priority,
        submitted=turn,
    )


def _choices(read: Lanes, instrument: Instrument) -> tuple[tuple[int, int], ...]:
    return tuple((lane, 0) for lane in read.by_instrument.get(instrument.id, ()))


def _lanes_of(
    holders: Sequence[Booking],
    read: Lanes,
    instrument: Instrument,
    over: Grid,
    draws: Draws,
    now: datetime,
) -> dict[UUID, Place]:
    """Put each booking on the first unit where it fits as it stands; one that fits nowhere is left out."""
    found: dict[UUID, Place] = {}
    taken: dict[int, int] = {}
    for one in holders:
        wish = _holding(one, read, instrument, over, draws, now)
        start = over.before(one.starts_at)
        for lane, _ in wish.steps[0].choices:
            unit = read.instruments[lane]
            if taken.get(lane, 0) <= start and feasible(unit, wish.steps[0], start, wish.window):
                found[one.id] = lane, start
                taken[lane] = start + wish.steps[0].duration + unit.clean
                break
    return found
