"""Whose turn it is: what came free, who waits for it in their order, and the first of them whom the rules let have it.

Nothing is locked here and nobody is told: what was chosen is asked again when it is offered or booked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.orm import Session

from booking.domain import standby
from booking.domain import waitlist as line
from booking.domain.access import Actor
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.spans import Span, busy, intersect, merge, subtract
from booking.domain.waitlist import Waiting
from booking.services import (
    availability,
    line_routes,
    occupation,
    policies,
    prospects,
    waitlist,
    wish_matches,
)
from models import (
    Booking,
    BookingItem,
    EntryState,
    Freed,
    Instrument,
    OfferState,
    Part,
    WaitlistEntry,
    WaitlistInstrument,
    WaitlistOffer,
)

MOST_TRIES = 6
"""At so many times of a window somebody's wish is tried, before the next in line has their turn."""

PASSED = (OfferState.DECLINED, OfferState.SILENT)
_USED = (State.CONFIRMED, State.CHECKED_IN, State.ENDED, State.NO_SHOW)


@dataclass(frozen=True, slots=True)
class Work:
    """Time that came free on an instrument, as noted so far."""

    instrument_id: int
    notes: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Turn:
    """Who waits for some time in their order, on which instruments, and what they have let pass.

    Of some the instruments were found by `filters`, and some wait for all steps of a process.
    """

    ranked: list[Waiting]
    wanted: dict[UUID, list[int]]
    passed: dict[tuple[UUID, int], list[Span]]
    filters: dict[UUID, dict[str, str]]
    processes: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to be offered what, and whom the rules made pass over on the way to them.

    Of a process these are the place of its first step, and `route` are the items of all.
    """

    entry_id: UUID
    instrument_id: int
    span: Span
    passed_over: frozenset[UUID] = frozenset()
    route: tuple[Item, ...] = ()


def work(session: Session, *, limit: int = 5000) -> list[Work]:
    """Give what came free and was not looked at yet, by instrument, what came free first coming first."""
    rows = session.execute(
        select(
            Freed.instrument_id,
            Freed.id,
            Freed.starts_at,
            Freed.ends_at,
        )
        .order_by(Freed.id)
        .limit(limit)
    ).all()
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.instrument_id, []).append(row)
    return [
        Work(
            place,
            tuple(row.id for row in notes),
            Span(min(row.starts_at for row in notes), max(row.ends_at for row in notes)),
        )
        for place, notes in found.items()
    ]


def in_turn(session: Session, *, freed: Work, skip: Collection[UUID] = (), now: datetime) -> Turn:
    """Give who waits for some of the time, in the order of the line."""
    candidates, wanted, filters, processes = _candidates(session, freed, skip, now)
    ranked = line.ranked(candidates, _minutes_used(session, line.level(candidates), now))
    before = passed(session, [one.entry_id for one in candidates])
    return Turn(ranked, wanted, before, filters, frozenset(processes))


def choose(
    session: Session,
    *,
    freed: Work,
    skip: Collection[UUID] = (),
    hopeless: set[UUID] | None = None,
    now: datetime,
) -> Choice | None:
    """Give the first in line who could have some of the time, None if nobody could. Nothing is written.

    Processes that find no route are added to the `hopeless`, and not tried again: one trial looks at all instruments.
    """
    turn = in_turn(session, freed=freed, skip=skip, now=now)
    hopeless = set() if hopeless is None else hopeless
    candidates, wanted = [one for one in turn.ranked if one.entry_id not in hopeless], turn.wanted
    if not candidates:
        return None
    rows = {
        row.id: row
        for row in session.scalars(
            select(Instrument).where(
                Instrument.id.in_({place for found in wanted.values() for place in found})
            )
        )
    }
    whole = Span(now, max(one.window.end for one in candidates))
    free = _unclaimed(session, rows, whole, {one.quantity for one in candidates}, now)
    refused: set[UUID] = set()
    people = prospects.People(session, (one.person_id for one in candidates))
    known = _Known(session, whole, frozenset(one.person_id for one in candidates), now)
    for one in candidates:
        if one.entry_id in turn.processes:
            route = _route(session, people.get(one.person_id), one, now)
            if route:
                first = route[0]
                passed_over = frozenset(refused)
                return Choice(one.entry_id, first.instrument_id, first.span, passed_over, route)
            hopeless.add(one.entry_id)
            continue
        for place in _still(session, people, one, turn):
            stretches = line.rooms(
                one, free[place, one.quantity], turn.passed.get((one.entry_id, place), ()), now
            )
            if not stretches:
                continue
            person = people.get(one.person_id)
            if person is None:
                break
            span = _first_that_fits(session, known, person, one, rows[place], stretches, now)
            if span is not None:
                return Choice(one.entry_id, place, span, frozenset(refused))
            refused.add(one.entry_id)
    return None


def done(session: Session, *, freed: Work) -> None:
    """Note that everybody had their turn."""
    session.execute(delete(Freed).where(Freed.id.in_(freed.notes)))


def look_at_all(session: Session, *, now: datetime) -> None:
    """Note every instrument for which somebody waits as if it had come free.

    Time can also be had because rules, hours, limits or units changed, or a day came near enough to be booked.
    """
    starts, ends = func.min(WaitlistEntry.window_starts_at), func.max(WaitlistEntry.window_ends_at)
    query = (
        select(WaitlistInstrument.instrument_id, starts, ends)
        .join(WaitlistEntry, WaitlistEntry.id == WaitlistInstrument.entry_id)
        .where(WaitlistEntry.state == EntryState.WAITING, WaitlistEntry.window_ends_at > now)
        .group_by(WaitlistInstrument.instrument_id)
    )
    rows = [
        {"instrument_id": place, "starts_at": start, "ends_at": end, "freed_at": now}
        for place, start, end in session.execute(query)
    ]
    if rows:
        session.execute(insert(Freed), rows)


def deadline(
    session: Session,
    instrument: Instrument,
    person_id: UUID,
    start: datetime,
    now: datetime,
    *,
    at_once: bool = False,
) -> datetime | None:
    """Give until when an offer can be answered, None if there is no time left to; `at_once` for who is called."""
    if at_once:
        return standby.deadline(now, start)
    policy = policies.in_force(session, instrument, person_id=person_id, start=start)
    return line.deadline(now, start, notice=policy.notice, minutes=policy.offer_minutes)


def passed(session: Session, entry_ids: Sequence[UUID]) -> dict[tuple[UUID, int], list[Span]]:
    """Give what each place in the line was offered before and let pass; nobody is offered the same again."""
    query = select(
        WaitlistOffer.entry_id, WaitlistOffer.instrument_id, WaitlistOffer.starts_at, WaitlistOffer.ends_at
    ).where(WaitlistOffer.entry_id.in_(entry_ids), WaitlistOffer.state.in_(PASSED))
    found: dict[tuple[UUID, int], list[Span]] = {}
    for entry_id, place, start, end in session.execute(query):
        found.setdefault((entry_id, place), []).append(Span(start, end))
    return found


# --- how ------------------------------------------------------------------------------------------


def _route(session: Session, person: Actor | None, one: Waiting, now: datetime) -> tuple[Item, ...]:
    """Give the route that somebody could have who waits for a process, nothing if there is none."""
    entry = session.get(WaitlistEntry, one.entry_id)
    if entry is None or person is None:
        return ()

    def answerable(row: Instrument, start: datetime) -> bool:
        return deadline(session, row, one.person_id, start, now) is not None

    return line_routes.first_route(session, entry=entry, person=person, answerable=answerable, now=now)


def _still(session: Session, people: prospects.People, one: Waiting, turn: Turn) -> list[int]:
    """Give the instruments that would do: of those that were found by words and abilities the ones that match yet."""
    places, filters = turn.wanted[one.entry_id], turn.filters.get(one.entry_id)
    person = people.get(one.person_id) if filters else None
    if filters is None or person is None:
        return places
    return wish_matches.still(session, person=person, filters=filters, places=places)


def _candidates(
    session: Session, freed: Work, skip: Collection[UUID], now: datetime
) -> tuple[list[Waiting], dict[UUID, list[int]], dict[UUID, dict[str, str]], set[UUID]]:
    """Give who waits for the instrument, or for a line of which it is a station, and what they would take of these."""
    lines = select(Part.line_id).where(Part.station_id == freed.instrument_id)
    query = (
        select(
            WaitlistEntry.id,
            WaitlistEntry.person_id,
            WaitlistEntry.project_id,
            WaitlistEntry.priority,
            WaitlistEntry.joined_at,
            WaitlistEntry.window_starts_at,
            WaitlistEntry.window_ends_at,
            WaitlistEntry.minutes,
            WaitlistEntry.quantity,
            WaitlistEntry.windows,
            WaitlistEntry.at_once.label("books"),
            WaitlistEntry.lead_minutes,
            WaitlistEntry.most_minutes,
            WaitlistEntry.here_at,
            WaitlistEntry.filters,
            WaitlistEntry.steps,
            WaitlistInstrument.instrument_id,
        )
        .join(WaitlistInstrument, WaitlistInstrument.entry_id == WaitlistEntry.id)
        .where(
            WaitlistEntry.state == EntryState.WAITING,
            WaitlistEntry.window_ends_at > now,
            WaitlistEntry.reach_starts_at < freed.span.end,
            WaitlistEntry.reach_ends_at > freed.span.start,
            or_(
                WaitlistInstrument.instrument_id == freed.instrument_id,
                WaitlistInstrument.instrument_id.in_(lines),
            ),
        )
    )
    found: dict[UUID, Waiting] = {}
    wanted: dict[UUID, list[int]] = {}
    filters: dict[UUID, dict[str, str]] = {}
    processes: set[UUID] = set()
    for row in session.execute(query):
        begun = row.lead_minutes is not None and row.window_starts_at <= now
        if row.id in skip or (begun and not waitlist.ready(row, now)):
            continue
        found[row.id] = Waiting(
            row.id,
            row.person_id,
            row.project_id,
            row.priority,
            row.joined_at,
            Span(row.window_starts_at, row.window_ends_at),
            row.minutes,
            row.quantity,
            windows=line.read(row.windows),
            outright=row.books,
            at_once=begun,
            lead=0 if row.here_at is not None else row.lead_minutes or 0,
            most=row.most_minutes or row.minutes,
        )
        wanted.setdefault(row.id, []).append(row.instrument_id)
        if row.filters:
            filters[row.id] = row.filters
        if row.steps:
            processes.add(row.id)
    return list(found.values()), wanted, filters, processes


def _unclaimed(
    session: Session, rows: Mapping[int, Instrument], within: Span, quantities: set[int], now: datetime
) -> dict[tuple[int, int], list[Span]]:
    """Give where the ledger leaves so many units free, for each instrument and number; buffers are not asked here."""
    parts = occupation.parts_of(session, rows)
    stations = {part.station_id for found in parts.values() for part in found}
    sizes = {
        row.id: row.units
        for row in session.execute(select(Instrument.id, Instrument.units).where(Instrument.id.in_(stations)))
    }
    view = occupation.look(session, {*rows, *stations}, within, now=now)
    free = {}
    for place, row in rows.items():
        blocked = [
            span
            for part in parts.get(place, ())
            for span in busy(
                view.loads[part.station_id], sizes[part.station_id] - (part.units or sizes[part.station_id])
            )
        ]
        for quantity in quantities:
            taken = [*blocked, *busy(view.loads[place], row.units - quantity)]
            free[place, quantity] = subtract([within], taken) if quantity <= row.units else []
    return free


def _minutes_used(session: Session, people: set[UUID], now: datetime) -> dict[UUID, float]:
    """Give how long each person had instruments of late."""
    if not people:
        return {}
    query = (
        select(Booking.person_id, BookingItem.starts_at, BookingItem.ends_at, BookingItem.quantity)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .where(
            Booking.person_id.in_(people),
            Booking.starts_at > now - line.LATELY,
            Booking.starts_at <= now,
            Booking.state.in_(_USED),
        )
    )
    found: dict[UUID, float] = {}
    for person, start, end, quantity in session.execute(query):
        found[person] = found.get(person, 0) + Span(start, end).minutes * quantity
    return found


class _Known:
    """What was read of each instrument for all who wait."""

    def __init__(self, session: Session, whole: Span, people: frozenset[UUID], now: datetime) -> None:
        self._make = partial(prospects.Prospects, session, within=whole, people=people, now=now)
        self._of: dict[int, prospects.Prospects] = {}

    def of(self, instrument_id: int) -> prospects.Prospects:
        if instrument_id not in self._of:
            self._of[instrument_id] = self._make(instrument_id=instrument_id)
        return self._of[instrument_id]


def _first_that_fits(
    session: Session,
    known: _Known,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Span | None:
    """Give the first use in the stretches that every rule and gate lets this person book, and can still be answered."""
    for span in _uses(session, person, one, instrument, stretches, now):
        until = deadline(session, instrument, one.person_id, span.start, now, at_once=one.at_once)
        if until is None and not one.outright:
            continue
        item = Item(instrument.id, span, one.quantity)
        if known.of(instrument.id).could_book(person, item, one.project_id, at_once=one.at_once):
            return span
    return None


def _at_hand(
    session: Session,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Span | None:
    """Give what somebody on standby can have at once of the free stretches, where the facility calls them at all."""
    policy = policies.in_force(session, instrument, person_id=person.person_id, start=now)
    if not policy.standby:
        return None
    within = Span(now, one.window.end)
    rooms = availability.rooms_of(session, [instrument], within, now, person_id=person.person_id)
    free = merge(
        span for room in rooms[instrument.id] for span, level in room.levels if level >= one.quantity
    )
    return standby.use(
        intersect(free, stretches),
        least=max(one.minutes, policy.shortest),
        most=min(one.most, policy.longest or one.most),
        lead=one.lead,
        now=now,
    )


def _uses(
    session: Session,
    person: Actor,
    one: Waiting,
    instrument: Instrument,
    stretches: Sequence[Span],
    now: datetime,
) -> Iterator[Span]:
    if one.at_once:
        at_hand = _at_hand(session, person, one, instrument, stretches, now)
        yield from [at_hand] if at_hand else ()
        return
    if one.fixed:
        yield one.window
        return
    tries = 0
    for stretch in stretches:
        rest = stretch
        while rest.start < rest.end and tries < MOST_TRIES:
            tries += 1
            found = availability.first_use(
                session,
                instrument=instrument,
                length=one.length,
                within=rest,
                quantity=one.quantity,
                person_id=person.person_id,
                now=now,
            )
            if found is None:
                break
            yield found
            rest = Span(found.end, stretch.end)
