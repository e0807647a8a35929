"""Where the bookings of a repair may go: candidate places with what each costs, in groups that do not touch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from booking.domain.resolution.outage import Case, due_of, movable, promised_end
from booking.domain.resolution.problem import Place, Step
from booking.domain.resolution.starts import Bits, Calendar, Slots

STAY_PUT = 1 << 40
"""More than any plan costs: what may not happen."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The candidates of one step: instrument, start, end with cleaning, points of displacement; ascending in points."""

    instruments: Slots
    starts: Slots
    ends: Slots
    costs: Slots

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Mover:
    """A booking that may move: at `moving` points and those of the places; hit, it may be cancelled, else stay free."""

    number: int
    hit: bool
    steps: tuple[Step, ...]
    before: tuple[Place, ...]
    moves: tuple[Moves, ...]
    moving: int
    cancelling: int


@dataclass(frozen=True)
class Group:
    """Bookings whose candidates touch one another, and nobody else's."""

    movers: tuple[Mover, ...]

    @cached_property
    def hit(self) -> int:
        """How many of them are hit."""
        return sum(mover.hit for mover in self.movers)


class Ground:
    """The calendars of a case with only those bookings in them that cannot move, and what they draw of utilities."""

    def __init__(self, case: Case, *, others: bool) -> None:
        self.case = case
        self.free = set(movable(case)) if others else set(case.hit)
        if case.pool.utilities:
            # Who draws on something shared makes room for nobody: a chain through utilities has no end.
            drawing = {
                n for n in self.free - case.hit if any(step.draws for step in case.pool.wishes[n].steps)
            }
            self.free -= drawing
        self._calendars: dict[int, Calendar] = {}
        self._standing: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number, places in case.plan.items():
            for step, (instrument, start) in zip(case.pool.wishes[number].steps, places, strict=True):
                self._standing[instrument].append((number, start, step.duration))
        self.left = [self._left(utility) for utility in range(len(case.pool.utilities))]

    def calendar(self, instrument: int) -> Calendar:
        """The calendar of an instrument with what cannot move."""
        found = self._calendars.get(instrument)
        if found is None:
            found = Calendar(self.case.pool.instruments[instrument], self.case.pool.horizon)
            for number, start, duration in self._standing[instrument]:
                if number not in self.free:
                    found.take(start, duration)
            self._calendars[instrument] = found
        return found

    def shifting(self, instrument: int) -> list[tuple[int, int, int]]:
        """The unaffected bookings there that may make room: number, start, end with cleaning."""
        clean = self.case.pool.instruments[instrument].clean
        return [
            (number, start, start + duration + clean)
            for number, start, duration in self._standing[instrument]
            if number in self.free and number not in self.case.hit
        ]

    def mover(self, number: int) -> Mover:
        """The candidates of a booking."""
        case, wish, hit = self.case, self.case.pool.wishes[number], number in self.case.hit
        moves = tuple(self._moves(number, index) for index in range(len(wish.steps)))
        weights = case.weights
        return Mover(
            number,
            hit,
            wish.steps,
            case.plan[number],
            moves,
            weights.moved if hit else weights.bystander,
            weights.of_cancelling(wish) if hit else STAY_PUT,
        )

    def _moves(self, number: int, index: int) -> Moves:
        case, wish = self.case, self.case.pool.wishes[number]
        step, (place, before) = wish.steps[index], case.plan[number][index]
        begun = before < case.now
        parts = []
        for instrument, _penalty in step.choices:
            starts = self._drawable(step, self.calendar(instrument).starts(step, wish.window))
            keep = starts >= case.now
            if begun and instrument == place:
                keep |= starts == before
            starts = starts[keep]
            costs = case.weights.slot * np.abs(starts - before)
            if instrument != place:
                costs += case.weights.instrument
            if case.weights.overdue and index == len(wish.steps) - 1:
                late = np.maximum(0, starts + step.duration - promised_end(case, number))
                costs += case.weights.overdue * late
            due = due_of(case, number) if index == len(wish.steps) - 1 else None
            if due is not None:
                costs += case.weights.of_lateness(wish) * (starts + step.duration > due)
            clean = case.pool.instruments[instrument].clean
            parts.append((np.full(len(starts), instrument), starts, starts + step.duration + clean, costs))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort((columns[0], columns[1], columns[3]))
        return Moves(*(column[order] for column in columns))

    def _left(self, utility: int) -> Slots:
        case = self.case
        left = np.full(case.pool.horizon, case.pool.utilities[utility].capacity, dtype=np.int64)
        for start, end, amount in case.pool.utilities[utility].taken:
            left[max(0, start) : end] -= amount
        for number, places in case.plan.items():
            if number in self.free:
                continue
            for step, (_instrument, start) in zip(case.pool.wishes[number].steps, places, strict=True):
                left[start : start + step.duration] -= dict(step.draws).get(utility, 0)
        return left

    def _drawable(self, step: Step, starts: Slots) -> Slots:
        for utility, amount in step.draws:
            lacks = np.concatenate(([0], np.cumsum(self.left[utility] < amount)))
            starts = starts[lacks[starts + step.duration] == lacks[starts]]
        return starts


def groups_of(ground: Ground) -> list[Group]:
    """Everybody whom the hit bookings might reach, directly or along a chain, in independent groups."""
    movers = _reached(ground)
    parents = {number: number for number in movers}
    for number, others in _touching(movers):
        _join(parents, number, others)
    _join_drawers(parents, movers.values())
    found: defaultdict[int, list[Mover]] = defaultdict(list)
    for number, mover in movers.items():
        found[_root(parents, number)].append(mover)
    return [Group(tuple(found[root])) for root in sorted(found)]


def _reached(ground: Ground) -> dict[int, Mover]:
    pool = ground.case.pool
    reach: dict[int, Bits] = {}
    movers: dict[int, Mover] = {}
    waiting = sorted(ground.case.hit)
    while waiting:
        touched: set[int] = set()
        for number in waiting:
            movers[number] = ground.mover(number)
            for moves in movers[number].moves:
                for instrument, start, end in covered(moves):
                    if instrument not in reach:
                        reach[instrument] = np.zeros(
                            pool.horizon + pool.instruments[instrument].clean, dtype=bool
                        )
                    reach[instrument][start:end] = True
                    touched.add(instrument)
        waiting = sorted(
            {
                number
                for instrument in touched
                for number, start, end in ground.shifting(instrument)
                if number not in movers and reach[instrument][start:end].any()
            }
        )
    return dict(sorted(movers.items()))


def covered(moves: Moves) -> list[tuple[int, int, int]]:
    """The spans that candidates cover: one for each unbroken run of starts on an instrument."""
    if not len(moves):
        return []
    order = np.lexsort((moves.starts, moves.instruments))
    instruments, starts, ends = moves.instruments[order], moves.starts[order], moves.ends[order]
    length = ends[0] - starts[0]
    breaks = (np.diff(instruments) != 0) | (np.diff(starts) > length)
    first = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    last = np.concatenate((first[1:] - 1, [len(starts) - 1]))
    return [(int(instruments[a]), int(starts[a]), int(ends[b])) for a, b in zip(first, last, strict=True)]


def _touching(movers: dict[int, Mover]) -> Iterable[tuple[int, int]]:
    spans: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, mover in movers.items():
        for moves in mover.moves:
            for instrument, start, end in covered(moves):
                spans[instrument].append((start, end, number))
    for of_one in spans.values():
        of_one.sort()
        until, holder = -1, -1
        for start, end, number in of_one:
            if start < until:
                yield holder, number
            if end > until:
                until, holder = end, number


def _join_drawers(parents: dict[int, int], movers: Iterable[Mover]) -> None:
    first: dict[int, int] = {}
    for mover in movers:
        for step in mover.steps:
            for utility, _amount in step.draws:
                _join(parents, first.setdefault(utility, mover.number), mover.number)


def _root(parents: dict[int, int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _join(parents: dict[int, int], one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)


def places_of(movers: Sequence[Mover]) -> dict[int, tuple[Place, ...]]:
    """Where the movers stand before anything moves; hit ones stand nowhere."""
    return {mover.number: mover.before for mover in movers if not mover.hit}
