"""Instruments as the resolver sees them: one lane for each unit, its calendar in slots of a quarter of an hour."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.hours import instant, open_spans, zone
from booking.domain.policy import Timetable
from booking.domain.resolution import problem
from booking.domain.resolution.problem import SLOT
from booking.domain.spans import Load, Span, busy, intersect
from booking.services import availability, occupation, permit_needs, policies
from models import Instrument, Part

_SLOT_MINUTES = int(SLOT.total_seconds() // 60)


@dataclass(frozen=True, slots=True)
class Grid:
    """Slots from the local midnight of a day to that of another, which is not in it."""

    start: datetime
    horizon: int

    @property
    def span(self) -> Span:
        """All of it."""
        return Span(self.start, self.time(self.horizon))

    def time(self, slot: int) -> datetime:
        """Give the instant at which a slot begins."""
        return self.start + slot * SLOT

    def before(self, at: datetime) -> int:
        """Give the last slot that begins no later."""
        return math.floor((at - self.start) / SLOT)

    def after(self, at: datetime) -> int:
        """Give the first slot that begins no earlier."""
        return math.ceil((at - self.start) / SLOT)

    def inside(self, span: Span) -> problem.Span | None:
        """Give the whole slots of a span that lie in the grid, None if there are none."""
        start, end = max(0, self.after(span.start)), min(self.horizon, self.before(span.end))
        return (start, end) if start < end else None

    def around(self, span: Span, later: int = 0) -> problem.Span:
        """Give the slots that a span touches, moved later by some."""
        return self.before(span.start) + later, self.after(span.end) + later


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of some instruments: which instrument each is of, its set-up in slots, and an instrument's lanes.

    A run takes its set-up before and its clean-up after. The resolver knows only what follows a run, so calendars are
    moved later by the set-up, and both together follow.
    """

    grid: Grid
    instruments: tuple[problem.Instrument, ...]
    of_lane: tuple[int, ...]
    setup: tuple[int, ...]
    by_instrument: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Draws:
    """Stations that wishes compete for through their lines: the units of each, and what each run takes."""

    units: tuple[int, ...]
    of: Mapping[int, tuple[tuple[int, int], ...]]

    def of_any(self, places: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """Give what any of some instruments would take: none is promised twice, whichever is chosen."""
        most: dict[int, int] = {}
        for place in places:
            for utility, amount in self.of.get(place, ()):
                most[utility] = max(most.get(utility, 0), amount)
        return tuple(sorted(most.items()))

    @property
    def utilities(self) -> tuple[problem.Utility, ...]:
        """The stations as what is shared; what stands in the ledger is in the calendars already."""
        return tuple(problem.Utility(units) for units in self.units)


def grid(first: date, last: date, zone_name: str) -> Grid:
    """Give the grid over local days, both in it."""
    tz = zone(zone_name)
    start, end = instant(first, 0, tz), instant(last + timedelta(days=1), 0, tz)
    return Grid(start, int((end - start) / SLOT))


def lanes(
    session: Session,
    instruments: Sequence[Instrument],
    *,
    over: Grid,
    groups: Mapping[int, str] | None = None,
    taken: Sequence[tuple[int, Span]] = (),
    kept_free: Callable[[Sequence[problem.Span]], Sequence[problem.Span]] | None = None,
    without: Collection[UUID] = (),
    at_once: bool = False,
    now: datetime,
) -> Lanes:
    """Read the calendars of instruments: opening hours, the ledger without some bookings, their own rules.

    `taken` are uses of a unit that count besides the ledger; `kept_free` gives the part of a lane's staffed time that
    nobody gets; `groups` names the group of each instrument; `at_once` sets the notice aside. What the rules say for
    anybody from outside counts; whoever is better off asks at the ledger. The number of statements does not depend on
    the number of instruments.
    """
    timetables = policies.timetables(session, instruments, person_id=None)
    parts = occupation.parts_of(session, [row.id for row in instruments])
    stations = {part.station_id for found in parts.values() for part in found}
    margin = _margin(timetables, over)
    wide = over.span.padded(margin, margin)
    places = {row.id for row in instruments} | stations
    view = occupation.look(session, places, wide, now=now, without=without)
    sizes = {
        row.id: row.units for row in session.scalars(select(Instrument).where(Instrument.id.in_(stations)))
    }
    hours = availability.hours_of(session, instruments)
    permits = permit_needs.of(session, [row.id for row in instruments])
    found: list[problem.Instrument] = []
    of_lane: list[int] = []
    setup: list[int] = []
    for row in instruments:
        settings = _Settings.of(timetables[row.id], over)
        future = Span(max(over.start, now if at_once else now + settings.notice), over.span.end)
        opened = (
            open_spans(hours[row.id][1], future, zone(hours[row.id][0])) if future.start < future.end else []
        )
        staffed = _inside(permit_needs.only_valid(permits, row.id, opened), over)
        kept = kept_free(staffed) if kept_free else ()
        loads = [*view.loads[row.id], *(_use(span, settings) for place, span in taken if place == row.id)]
        closed = [
            over.around(span, settings.setup) for span in _stations_taken(parts.get(row.id, ()), view, sizes)
        ]
        for unit in range(row.units):
            blocked = [over.around(span, settings.setup) for span in busy(loads, row.units - 1 - unit)]
            found.append(
                _lane(row, over, settings, staffed, [*blocked, *closed, *kept], (groups or {}).get(row.id))
            )
            of_lane.append(row.id)
            setup.append(settings.setup)
    by_instrument: dict[int, tuple[int, ...]] = {}
    for lane, place in enumerate(of_lane):
        by_instrument[place] = (*by_instrument.get(place, ()), lane)
    return Lanes(over, tuple(found), tuple(of_lane), tuple(setup), by_instrument)


def draws(session: Session, instruments: Mapping[int, Instrument]) -> Draws:
    """Give the stations that a line shares with another line, or that stand among the instruments themselves."""
    parts = occupation.parts_of(session, instruments)
    users: dict[int, set[int]] = {}
    for line, found in parts.items():
        for part in found:
            users.setdefault(part.station_id, {part.station_id} & instruments.keys()).add(line)
    shared = sorted(station for station, who in users.items() if len(who) > 1)
    sizes = (
        {one.id: one.units for one in session.scalars(select(Instrument).where(Instrument.id.in_(shared)))}
        if shared
        else {}
    )
    number = {station: index for index, station in enumerate(shared)}
    of = {
        line: tuple(
            (number[part.station_id], part.units or sizes[part.station_id])
            for part in found
            if part.station_id in number
        )
        for line, found in parts.items()
    }
    of |= {
        station: (*of.get(station, ()), (number[station], 1)) for station in shared if station in instruments
    }
    return Draws(tuple(sizes[station] for station in shared), of)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What an instrument asks over the whole grid: of settings that change within it the strictest."""

    setup: int
    cleanup: int
    every: int
    notice: timedelta

    @classmethod
    def of(cls, timetable: Timetable, over: Grid) -> "_Settings":
        known = [policy for _, policy in timetable.segments(over.span)]
        steps = (math.lcm(_SLOT_MINUTES, min(policy.step, 60)) // _SLOT_MINUTES for policy in known)
        return cls(
            setup=_slots(max(policy.setup for policy in known)),
            cleanup=_slots(max(policy.cleanup for policy in known)),
            every=math.lcm(*steps),
            notice=timedelta(minutes=max(policy.notice for policy in known)),
        )


def _margin(timetables: Mapping[int, Timetable], over: Grid) -> timedelta:
    minutes = (
        policy.setup + policy.cleanup
        for timetable in timetables.values()
        for _, policy in timetable.segments(over.span)
    )
    return timedelta(minutes=max(minutes, default=0))


def _stations_taken(parts: Sequence[Part], view: occupation.View, sizes: Mapping[int, int]) -> list[Span]:
    return [
        span
        for part in parts
        for span in busy(
            view.loads[part.station_id], sizes[part.station_id] - (part.units or sizes[part.station_id])
        )
    ]


def _inside(opened: Sequence[Span], over: Grid) -> tuple[problem.Span, ...]:
    found = (over.inside(span) for span in intersect(opened, [over.span]))
    return tuple(span for span in found if span is not None)


def _use(span: Span, settings: "_Settings") -> Load:
    return Load(*span.padded(settings.setup * SLOT, settings.cleanup * SLOT), 1)


def _lane(
    row: Instrument,
    over: Grid,
    settings: _Settings,
    staffed: tuple[problem.Span, ...],
    blocked: Sequence[problem.Span],
    group: str | None,
) -> problem.Instrument:
    clean = settings.setup + settings.cleanup
    met = (span for span in blocked if span[1] > 0 and span[0] < over.horizon + clean)
    return problem.Instrument(
        staffed=staffed,
        blocked=tuple(sorted((max(start, 0), end) for start, end in met)),
        clean=clean,
        kind=row.category_code or "",
        group=group or "",
        site=row.facility_id,
        region=row.facility_id,
        every=settings.every,
    )


def _slots(minutes: int) -> int:
    return math.ceil(minutes / _SLOT_MINUTES)
