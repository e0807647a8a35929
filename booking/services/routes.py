"""Routes: a process in ordered steps on several instruments, found at the earliest, booked and moved as one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import gcd
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import availability as free_time
from booking.domain.access import Actor, require
from booking.domain.hours import zone
from booking.domain.occupation import Item, Process
from booking.domain.resolution import bits, routes
from booking.domain.resolution.problem import Utility as Shared
from booking.domain.resolution.routes import Fixed, Option, Stage
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Load, Span, merge
from booking.services import availability, bookings, catalogue, instruments, policies, processes
from booking.services.availability import Alternative, Room
from booking.services.bookings import Verdict
from booking.services.catalogue import Filters
from booking.services.processes import Matrix, Neighbour
from models import Booking, Instrument, Utility

REACH = timedelta(days=30)
MOST_REACH = timedelta(days=92)
"""No route is looked for over more time than this."""

MOST_STEPS = 12
MOST_OPTIONS = 20
"""A step may be done on so many instruments at most."""

LONGEST_STEP = 60 * 24 * 60
LONGEST_LAG = 60 * 24 * 60
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Step:
    """A step as somebody asks for it: on one instrument, or on any that words, class and abilities name.

    Of the codes `any_of` each would do. It starts between `lag[0]` and `lag[1]` minutes after the end of the step
    before. `draws` are amounts of shared utilities by their codes.
    """

    minutes: int
    code: str = ""
    filters: Filters = field(default_factory=Filters)
    lag: tuple[int, int] = (0, 24 * 60)
    family: str = ""
    draws: Mapping[str, int] = field(default_factory=dict)
    quantity: int = 1
    any_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """The earliest route with what the rules say of it; without items none is free, for the reasons given."""

    items: tuple[Item, ...]
    instruments: tuple[Instrument, ...]
    reasons: tuple[Reason, ...]
    verdict: Verdict | None = None

    @property
    def allowed(self) -> bool:
        """Tell whether it can be booked as it is."""
        return bool(self.items) and not self.reasons


def find(
    session: Session,
    *,
    actor: Actor,
    steps: Sequence[Step],
    within: Span,
    project_id: UUID | None = None,
    now: datetime,
) -> Route:
    """Give the route that is done first, and what the rules say of it; nothing is written.

    As many statements for one instrument as for many.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: naming what makes no sense
    """
    require(actor, "booking.place")
    check(steps, within)
    options = options_of(session, actor, steps)
    found = _earliest(session, steps, options, within, actor.person_id, now)
    if isinstance(found, Reason):
        return Route((), (), (found,))
    return _judged(session, actor, found, options, project_id, now)


def book(
    session: Session,
    *,
    actor: Actor,
    steps: Sequence[Step],
    within: Span,
    places: Sequence[tuple[str, datetime]] = (),
    purpose: str = "",
    project_id: UUID | None = None,
    confidential: bool | None = None,
    key: str | None = None,
    fingerprint: str = "",
    now: datetime,
) -> Booking:
    """Book a route as one booking, all or nothing: where and when `places` says, or else the earliest.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: with every reason, if no route is free or any rule stands against it
    :raises Invalid: naming what makes no sense
    """
    require(actor, "booking.place")
    check(steps, within)
    known = bookings.by_key(session, actor=actor, key=key, fingerprint=fingerprint, now=now) if key else None
    if known is not None:
        return known
    options = options_of(session, actor, steps)
    if places:
        items = _placed(session, steps, options, places, actor.person_id)
    else:
        found = _earliest(session, steps, options, within, actor.person_id, now)
        if isinstance(found, Reason):
            raise Refused([found])
        items = found
    return bookings.place(
        session,
        actor=actor,
        items=items,
        purpose=purpose,
        project_id=project_id,
        confidential=confidential,
        key=key,
        fingerprint=fingerprint,
        now=now,
    )


def at(
    session: Session, *, actor: Actor, steps: Sequence[Step], places: Sequence[tuple[str, datetime]]
) -> list[Item]:
    """Give the items of a route whose places are known, as they would be booked.

    :raises NotFound: if there is no such instrument for this actor
    :raises Invalid: naming what makes no sense
    """
    return _placed(session, steps, options_of(session, actor, steps), places, actor.person_id)


def instead(
    session: Session,
    *,
    actor: Actor,
    steps: Sequence[Step],
    within: Span,
    project_id: UUID | None = None,
    now: datetime,
) -> tuple[Alternative, ...]:
    """Give the earliest route by now as what can be had instead of one that is refused, if any can."""
    route = find(session, actor=actor, steps=steps, within=within, project_id=project_id, now=now)
    if not route.allowed or route.verdict is None:
        return ()
    first, last = route.items[0].span, route.items[-1].span
    return (
        Alternative(
            route.items[0].instrument_id,
            route.instruments[0].code,
            first.start,
            last.end,
            "route",
            parts=tuple(item.span for item in route.items),
            estimate=route.verdict.estimate.total,
            needs_approval=route.verdict.needs_approval,
            codes=tuple(row.code for row in route.instruments),
        ),
    )


def later(session: Session, *, actor: Actor, booking_id: UUID, within: Span, now: datetime) -> Route:
    """Give the earliest route within a span for a booking of several steps: on its instruments, with its lags.

    Where a step has no lags, it keeps its distance from the one before.

    :raises NotFound: if there is no such booking for this actor
    :raises Invalid: if the booking has one step only, or the span makes no sense
    """
    booking = bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    steps, rows = steps_of(session, booking)
    check(steps, within)
    options = [[row] for row in rows]
    found = _earliest(session, steps, options, within, booking.person_id, now, without=booking.id)
    if isinstance(found, Reason):
        return Route((), (), (found,))
    # A booking of several times that was never a process does not become one.
    found = [replace(item, process=processes.of(row)) for item, row in zip(found, booking.items, strict=True)]
    verdict = bookings.dry_run(session, actor=actor, items=found, booking_id=booking.id, now=now)
    return Route(tuple(found), tuple(rows), verdict.reasons, verdict)


def move(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    within: Span,
    version: int | None,
    now: datetime,
) -> Booking:
    """Move a booking of several steps as one to the earliest time in a span, all or nothing.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Stale: if the version is not the booking's
    :raises Refused: with every reason, if no route is free or any rule stands against it
    """
    route = later(session, actor=actor, booking_id=booking_id, within=within, now=now)
    if not route.items:
        raise Refused(route.reasons)
    return bookings.change(
        session, actor=actor, booking_id=booking_id, version=version, items=route.items, now=now
    )


# --- what is asked --------------------------------------------------------------------------------


def check(steps: Sequence[Step], within: Span) -> None:
    """Tell whether steps and the time for them make sense.

    :raises Invalid: naming what does not
    """
    errors = {}
    if not steps:
        errors["steps"] = "required"
    if len(steps) > MOST_STEPS:
        errors["steps"] = "too_large"
    if within.start >= within.end:
        errors["before"] = "inverted"
    elif within.duration > MOST_REACH:
        errors["before"] = "out_of_range"
    for number, step in enumerate(steps):
        here = f"steps.{number}"
        if not 1 <= step.minutes <= LONGEST_STEP:
            errors[f"{here}.minutes"] = "out_of_range"
        if not 0 <= step.lag[0] <= step.lag[1] <= LONGEST_LAG:
            errors[f"{here}.lag"] = "out_of_range"
        if len(step.family) > processes.LONGEST_FAMILY:
            errors[f"{here}.family"] = "too_long_text"
        if not step.code and not step.any_of and step.filters == Filters():
            errors[f"{here}.instrument_id"] = "required"
    if errors:
        raise Invalid(errors)


def options_of(session: Session, actor: Actor, steps: Sequence[Step]) -> list[list[Instrument]]:
    """Give the instruments on which each step may be done; a statement for each way of asking."""
    codes = {step.code for step in steps if step.code}
    ids = instruments.by_codes(session, actor=actor, codes=sorted(codes)) if codes else {}
    named = {row.id: row for row in _rows(session, ids.values())}
    known: dict[tuple[Filters, tuple[str, ...], int], list[Instrument]] = {}
    found = []
    for step in steps:
        if step.code:
            found.append([named[ids[step.code]]])
            continue
        key = step.filters, step.any_of, step.quantity
        if key not in known:
            known[key] = _matching(session, actor, *key)
        found.append(known[key])
    return found


def _rows(session: Session, ids: Iterable[int]) -> Sequence[Instrument]:
    wanted = set(ids)
    return session.scalars(select(Instrument).where(Instrument.id.in_(wanted))).all() if wanted else []


def _matching(
    session: Session, actor: Actor, filters: Filters, any_of: Sequence[str], quantity: int
) -> list[Instrument]:
    query = select(Instrument).where(
        Instrument.id.in_(catalogue.matching(filters, actor)),
        Instrument.bookable,
        Instrument.units >= quantity,
    )
    if any_of:
        query = query.where(Instrument.code.in_(any_of))
    return list(session.scalars(query.order_by(Instrument.id).limit(MOST_OPTIONS)))


def steps_of(session: Session, booking: Booking) -> tuple[list[Step], list[Instrument]]:
    """Give the steps of a booking as somebody would ask for them."""
    if len(booking.items) < 2:
        raise Invalid({"booking_id": "out_of_range"})
    rows = [row.instrument for row in booking.items]
    names = {
        one.id: one.code
        for one in processes.utilities(session, facility_ids={row.facility_id for row in rows})
    }
    steps: list[Step] = []
    for before, row in zip([None, *booking.items], booking.items, strict=False):
        process = processes.of(row) or Process()
        gap = int((row.starts_at - before.ends_at) / _MINUTE) if before else 0
        if gap < 0:
            raise Invalid({"booking_id": "out_of_range"})
        steps.append(
            Step(
                minutes=int((row.ends_at - row.starts_at) / _MINUTE),
                code=row.instrument.code,
                lag=process.lag or (gap, gap),
                family=process.family,
                draws={names[one]: amount for one, amount in process.draws if one in names},
                quantity=row.quantity,
            )
        )
    return steps, rows


def _placed(
    session: Session,
    steps: Sequence[Step],
    options: Sequence[Sequence[Instrument]],
    places: Sequence[tuple[str, datetime]],
    person_id: UUID | None,
) -> list[Item]:
    """Give the items of a route whose places somebody chose."""
    if len(places) != len(steps):
        raise Invalid({"places": "out_of_range"})
    rows = {row.code: row for some in options for row in some}
    known = utilities_of(session, steps, options)
    timetables = policies.timetables(session, rows.values(), person_id=person_id)
    items = []
    for number, (step, some, (code, start)) in enumerate(zip(steps, options, places, strict=True)):
        row = rows.get(code)
        if row is None or row not in some:
            raise Invalid({f"places.{number}.instrument_id": "unknown"})
        policy = timetables[row.id].at(start)
        length = free_time.nearest_length(timedelta(minutes=step.minutes), policy)
        items.append(
            Item(row.id, Span(start, start + length), step.quantity, _process(step, number, row, known))
        )
    return items


def _process(step: Step, number: int, row: Instrument, known: Mapping[tuple[int, str], Utility]) -> Process:
    draws = tuple(
        sorted((known[row.facility_id, code].id, amount) for code, amount in step.draws.items() if amount)
    )
    return Process(step.family, step.lag if number else None, draws)


def utilities_of(
    session: Session, steps: Sequence[Step], options: Sequence[Sequence[Instrument]]
) -> dict[tuple[int, str], Utility]:
    """Give the utilities that the steps draw, by facility and code.

    :raises Invalid: if a facility on which a step may be done has none of this code
    """
    if not any(step.draws for step in steps):
        return {}
    places = {row.facility_id for some in options for row in some}
    known = {(one.facility_id, one.code): one for one in processes.utilities(session, facility_ids=places)}
    for number, (step, some) in enumerate(zip(steps, options, strict=True)):
        if any((row.facility_id, code) not in known for row in some for code in step.draws):
            raise Invalid({f"steps.{number}.draws": "unknown"})
    return known


# --- the earliest ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Grid:
    """Slots of so many minutes from an instant on."""

    origin: datetime
    minutes: int
    slots: int

    def inner(self, span: Span) -> tuple[int, int]:
        """Give the slots that lie wholly in a span."""
        return -((self.origin - span.start) // self._slot), (span.end - self.origin) // self._slot

    def outer(self, span: Span) -> tuple[int, int]:
        """Give all slots that touch a span."""
        return (span.start - self.origin) // self._slot, -((self.origin - span.end) // self._slot)

    def beginning(self, span: Span) -> tuple[int, int]:
        """Give the slots that begin in a span."""
        return -((self.origin - span.start) // self._slot), -((self.origin - span.end) // self._slot)

    def at(self, slot: int) -> datetime:
        """Give the instant at which a slot begins."""
        return self.origin + slot * self._slot

    def length(self, minutes: int) -> int:
        """Give the slots that a length fills or begins."""
        return -(-minutes // self.minutes)

    @property
    def _slot(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class _World:
    """All that was read once for a route."""

    grid: _Grid
    rooms: Mapping[int, Sequence[Room]]
    zones: Mapping[int, str]
    matrices: Mapping[int, Matrix]
    neighbours: Mapping[int, Sequence[Neighbour]]
    utilities: Mapping[tuple[int, str], Utility]
    drawn: Mapping[int, Sequence[Load]]
    now: datetime


def _earliest(
    session: Session,
    steps: Sequence[Step],
    options: Sequence[Sequence[Instrument]],
    within: Span,
    person_id: UUID | None,
    now: datetime,
    *,
    without: UUID | None = None,
) -> list[Item] | Reason:
    """Give the items of the route that is done first, or why there is none."""
    rows = list({row.id: row for some in options for row in some if row.bookable}.values())
    within = Span(max(within.start, now), within.end)
    if not rows or within.start >= within.end:
        return _none(session, options, within, 1)
    world = _read(session, steps, options, rows, within, person_id, now, without)
    stages = [_stage(world, step, some) for step, some in zip(steps, options, strict=True)]
    found = routes.earliest(stages, apart=_apart(world))
    if found is None:
        parts = (stages[:number] for number in range(1, len(stages)))
        reached = sum(routes.earliest(part, apart=_apart(world)) is not None for part in parts)
        return _none(session, options, within, reached + 1)
    by_id = {row.id: row for row in rows}
    items = []
    for number, (step, stage, (place, slot)) in enumerate(zip(steps, stages, found, strict=True)):
        length = next(one.duration for one in stage.options if one.instrument == place)
        span = Span(world.grid.at(slot), world.grid.at(slot + length))
        process = _process(step, number, by_id[place], world.utilities)
        items.append(Item(place, span, step.quantity, process))
    return items


def _none(session: Session, options: Sequence[Sequence[Instrument]], within: Span, step: int) -> Reason:
    """Say which step is not reached, by the clock of the first instrument that might have been taken."""
    first = next((row for some in options for row in some), None)
    clock = {"zone": availability.zones(session, [first])[first.facility_id]} if first else {}
    return Reason("no_route", {"start": within.start, "end": within.end, "step": step, **clock})


def _read(
    session: Session,
    steps: Sequence[Step],
    options: Sequence[Sequence[Instrument]],
    rows: Sequence[Instrument],
    within: Span,
    person_id: UUID | None,
    now: datetime,
    without: UUID | None,
) -> _World:
    rooms = availability.rooms_of(session, rows, within, now, person_id=person_id, without=without)
    zones = availability.zones(session, rows)
    families = {row.id for step, some in zip(steps, options, strict=True) if step.family for row in some}
    lined = [row for row in rows if row.id in families and row.units == 1]
    matrices = processes.matrices(session, lined) if lined else {}
    most = timedelta(minutes=max((one for each in matrices.values() for one in each.values()), default=0))
    near = {}
    if most:
        around = within.padded(most, most)
        near = processes.neighbours(session, instrument_ids=families, within=around, without=without)
    utilities = utilities_of(session, steps, options)
    drawn = {}
    if utilities:
        places = {facility for facility, _ in utilities}
        drawn = processes.drawn(
            session, facility_ids=places, within=within, without=without, at=now, person_id=person_id
        )
    grid = _grid(steps, rooms, zones, within)
    by_row = {row.id: zones[row.facility_id] for row in rows}
    return _World(grid, rooms, by_row, matrices, near, utilities, drawn, now)


def _grid(
    steps: Sequence[Step],
    rooms: Mapping[int, Sequence[Room]],
    zones: Mapping[int, str],
    within: Span,
) -> _Grid:
    """Choose slots into which all steps, lags and clocks divide; on an hour they begin at the hour in UTC."""
    figures = [60, *(figure for step in steps for figure in step.lag)]
    figures += [room.policy.step for some in rooms.values() for room in some]
    figures += [
        int(free_time.nearest_length(timedelta(minutes=step.minutes), room.policy) / _MINUTE)
        for step in steps
        for some in rooms.values()
        for room in some
    ]
    for name in set(zones.values()):
        figures.append(within.start.astimezone(zone(name)).minute - within.start.minute)
    minutes = gcd(*figures)
    origin = within.start.replace(minute=0, second=0, microsecond=0)
    return _Grid(origin, minutes, int((within.end - origin) / timedelta(minutes=minutes)) + 1)


def _stage(world: _World, step: Step, some: Sequence[Instrument]) -> Stage:
    grid = world.grid
    options = [_option(world, step, row) for row in some if row.bookable]
    return Stage(
        tuple(one for one in options if one is not None and one.starts),
        (grid.length(step.lag[0]), step.lag[1] // grid.minutes),
        step.family,
    )


def _option(world: _World, step: Step, row: Instrument) -> Option | None:
    """Give the starts of a step on an instrument: under its rules, its changeovers, and what is left to draw."""
    grid, starts = world.grid, 0
    rooms = world.rooms[row.id]
    if not rooms:
        return None
    length = free_time.nearest_length(timedelta(minutes=step.minutes), rooms[0].policy)
    slots = int(length / timedelta(minutes=grid.minutes))
    barred = _barred(world, step, row)
    for room in rooms:
        if free_time.nearest_length(timedelta(minutes=step.minutes), room.policy) != length:
            continue
        spans = merge(span for span, level in room.levels if level >= step.quantity)
        allowed = free_time.allowed(spans, room.policy, world.now)
        free = bits.of_spans(grid.inner(span) for span in allowed) & ~barred
        begins = bits.of_spans(grid.beginning(span) for span in room.starting)
        starts |= bits.runs(free, slots) & begins & _on_step(world, room.policy.step, world.zones[row.id])
    return Option(row.id, starts, slots)


def _on_step(world: _World, step: int, zone_name: str) -> int:
    """Give the slots that stand on an instrument's step on its clock; steps over an hour count whole hours."""
    size = min(step, 60)
    first = free_time.on_step(world.grid.origin, step, zone_name)
    every = size // world.grid.minutes
    found = 1 << int((first - world.grid.origin) / timedelta(minutes=world.grid.minutes))
    while found.bit_length() <= world.grid.slots:
        found |= found << every
        every *= 2
    return found


def _barred(world: _World, step: Step, row: Instrument) -> int:
    """Give the slots that changeovers and shared utilities keep from a step on an instrument."""
    grid, barred = world.grid, 0
    matrix = world.matrices.get(row.id)
    if step.family and matrix:
        fixed = [Fixed(*grid.outer(one.span), one.family) for one in world.neighbours.get(row.id, ())]
        slots = {pair: grid.length(minutes) for pair, minutes in matrix.items()}
        barred |= routes.apart_from(fixed, step.family, slots)
    for code, amount in step.draws.items():
        utility = world.utilities[row.facility_id, code]
        taken = tuple(
            (*grid.outer(Span(*load[:2])), load.quantity) for load in world.drawn.get(utility.id, ())
        )
        barred |= routes.too_full(Shared(utility.capacity, taken), amount, grid.slots)
    return barred


def _apart(world: _World) -> routes.Apart:
    """Say how far apart two steps of the route itself lie on one instrument: clean-up and set-up, or more to change."""
    around = {
        place: max((room.policy.setup + room.policy.cleanup for room in rooms), default=0)
        for place, rooms in world.rooms.items()
    }

    def apart(place: int, before: str, after: str) -> int:
        minutes = max(around[place], world.matrices.get(place, {}).get((before, after), 0))
        return world.grid.length(minutes)

    return apart


def _judged(
    session: Session,
    actor: Actor,
    items: Sequence[Item],
    options: Sequence[Sequence[Instrument]],
    project_id: UUID | None,
    now: datetime,
) -> Route:
    """Ask the rules of a booking about the route as a whole."""
    verdict = bookings.dry_run(session, actor=actor, items=items, project_id=project_id, now=now)
    rows = {row.id: row for some in options for row in some}
    return Route(tuple(items), tuple(rows[item.instrument_id] for item in items), verdict.reasons, verdict)
