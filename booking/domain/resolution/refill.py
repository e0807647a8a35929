"""A cancellation frees time: who of those waiting gets it, and which holders agreed to shift so that more fits.

Strictly by priority class, then first come: nobody of a lower class gets what a waiting higher class could have used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np

from booking.domain.resolution.check import worth_of
from booking.domain.resolution.field import Field, Standing, cheapest_chain, place_of
from booking.domain.resolution.moves import STAY_PUT, Group, Mover, Moves
from booking.domain.resolution.nearest import cheapest, squeeze
from booking.domain.resolution.problem import Place, Plan, Pool, Step, Wish
from booking.domain.resolution.starts import Calendar, Slots

SHIFT = 300
"""Points that a consenting holder's shift costs; a wish that is worth less is not served at this price."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A place for somebody who waited, the holders who shift for it, and what it is worth after that."""

    wish: int
    places: tuple[Place, ...]
    shifts: Mapping[int, tuple[Place, ...]]
    worth: int


@dataclass(frozen=True, slots=True)
class Envy:
    """Somebody of a lower class got a place that somebody of a higher class, who waits on, could have used."""

    waiting: int
    holder: int


class Waitlist:
    """A plan with those who wait for a place in it; every cancellation is filled again at once."""

    def __init__(
        self, pool: Pool, plan: Mapping[int, Sequence[Place]], waiting: Iterable[int], *, shifts: bool = True
    ) -> None:
        self.pool = pool
        self.shifts = shifts
        self.plan: Plan = {number: tuple(places) for number, places in plan.items()}
        self.waiting = sorted(waiting, key=partial(turn, pool))
        self._calendars: dict[int, Calendar] = {}
        self._holders: defaultdict[int, set[int]] = defaultdict(set)
        self._fixed: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._use = Counter[int]()
        self._subsidy = 0
        self._known: dict[int, Moves] = {}
        self._left = [_left(pool, utility) for utility in range(len(pool.utilities))]
        for number, places in self.plan.items():
            self._enter(number, places)

    def cancel(self, number: int, now: int) -> list[Grant]:
        """Free the time of a booking and give it to those who wait, from `now` on."""
        touched = {instrument for instrument, _start in self.plan[number]}
        ruled_out = {one for one in self.waiting if not self._allowed(self.pool.wishes[one])}
        self._leave(number)
        near = self._near(touched)
        drawn = _drawn(self.pool.wishes[number])
        # A cap, the budget or a utility may have kept somebody out who waits for quite other instruments.
        concerned = [
            one
            for one in self.waiting
            if one in ruled_out or self._wants(one, near) or drawn & _drawn(self.pool.wishes[one])
        ]
        return self.fill(concerned, now)

    def fill(self, numbers: Iterable[int], now: int) -> list[Grant]:
        """Serve some of those who wait, in their turn; what holders leave who shift may serve others, in theirs."""
        grants: list[Grant] = []
        self._known.clear()
        asked = [turn(self.pool, number) for number in numbers]
        heapify(asked)
        while asked:
            number = heappop(asked)[-1]
            grant = self._grant(number, now) if number in self.waiting else None
            if grant is None:
                continue
            grant = self._claimed(grant, now)
            left = {instrument for one in grant.shifts for instrument, _start in self.plan[one]}
            self._apply(grant)
            grants.append(grant)
            self._known.clear()
            again = [one for one in self.waiting if one == number or (left and self._wants(one, left))]
            for one in again:
                heappush(asked, turn(self.pool, one))
        return grants

    def _claimed(self, grant: Grant, now: int) -> Grant:
        """Give a place to a higher class that could not have it before, but can now that holders shift for it."""
        if not grant.shifts:
            return grant
        before = {number: self.plan[number] for number in grant.shifts}
        self._shift(grant.shifts)
        claim = next((claim for number in self._higher(grant) if (claim := self._direct(number, now))), None)
        self._shift(before)
        if claim is None:
            return grant
        return replace(claim, shifts=grant.shifts, worth=claim.worth - SHIFT * len(grant.shifts))

    def _higher(self, grant: Grant) -> list[int]:
        wishes, places = self.pool.wishes, {instrument for instrument, _ in grant.places}
        return [
            number
            for number in self.waiting
            if wishes[number].priority > wishes[grant.wish].priority and self._wants(number, places)
        ]

    def _wants(self, number: int, instruments: set[int]) -> bool:
        steps = self.pool.wishes[number].steps
        return any(instrument in instruments for step in steps for instrument, _ in step.choices)

    def _direct(self, number: int, now: int) -> Grant | None:
        """A place for one who waits that nobody has to shift for."""
        self._known.clear()
        mover = self.asking(number, self.pool.wishes[number], now)
        if not self._allowed(self.pool.wishes[number]) or not all(len(moves) for moves in mover.moves):
            return None
        standing = Standing(Field(Group((mover, *self._around(mover, now))), self.pool), self._left)
        _cost, places = cheapest(standing, mover)
        return Grant(number, places, {}, worth_of(self.pool.wishes[number], places)) if places else None

    def could_serve(self, number: int, now: int) -> bool:
        """Whether there is a free place for a wish, nobody shifting."""
        return self._direct(number, now) is not None

    def offer(self, wish: Wish, now: int) -> tuple[Place, ...] | None:
        """The best free place for any wish, no rule of the pool looked at; nobody may shift on such a list."""
        mover = self.asking(-2, wish, now)
        if not all(len(moves) for moves in mover.moves):
            return None
        _total, chosen = cheapest_chain(mover, [moves.costs.astype(np.float64) for moves in mover.moves])
        places = tuple(place_of(mover, step, at) for step, at in enumerate(chosen))
        return places if places and not self._meets_itself(wish, places) else None

    def _meets_itself(self, wish: Wish, places: Sequence[Place]) -> bool:
        runs = sorted(
            (instrument, start, start + step.duration + self.pool.instruments[instrument].clean)
            for step, (instrument, start) in zip(wish.steps, places, strict=True)
        )
        return any(one[0] == two[0] and two[1] < one[2] for one, two in pairwise(runs))

    def candidates(self, wish: Wish, now: int) -> tuple[Moves, ...]:
        """Where each step of a wish could begin; empty if one of them nowhere."""
        moves = self.asking(-2, wish, now).moves
        return moves if all(len(one) for one in moves) else ()

    def over_cap(self, wish: Wish) -> int:
        """The slots by which its organisation would be over its cap with this wish; below zero: what is left."""
        cap = self.pool.caps.get(wish.organisation)
        return -1 if cap is None else self._use[wish.organisation] + wish.slots - cap

    def over_budget(self, wish: Wish) -> int:
        """The yuan by which the budget would be overdrawn with this wish; below zero: what is left."""
        return -1 if self.pool.budget is None else self._subsidy + wish.subsidy - self.pool.budget

    def _near(self, touched: set[int]) -> set[int]:
        """The instruments where a cancellation might help: its own, and those of holders who could shift to them."""
        near = set(touched)
        if self.shifts:
            for instrument, holders in self._holders.items():
                if any(
                    place in touched
                    for number in holders
                    for place, _ in self.pool.wishes[number].steps[0].choices
                ):
                    near.add(instrument)
        return near

    def _grant(self, number: int, now: int) -> Grant | None:
        wish = self.pool.wishes[number]
        if not self._allowed(wish) or wish.window[1] <= now:
            return None
        mover = self.asking(number, wish, now)
        if not all(len(moves) for moves in mover.moves):
            return None
        holders = self._around(mover, now)
        standing = Standing(Field(Group((mover, *holders)), self.pool), self._left)
        _cost, places = cheapest(standing, mover)
        if places is not None:
            standing.put(mover, places)
        elif not self.shifts or not holders or not squeeze(standing, mover):
            return None
        return self._granted(mover, holders, standing)

    def _granted(self, mover: Mover, holders: Sequence[Mover], standing: Standing) -> Grant | None:
        places = standing.placing[mover.number]
        if places is None:
            return None
        shifts = {
            holder.number: where
            for holder in holders
            if (where := standing.placing[holder.number]) is not None and where != holder.before
        }
        worth = worth_of(self.pool.wishes[mover.number], places) - SHIFT * len(shifts)
        for number, where in shifts.items():
            wish = self.pool.wishes[number]
            worth += worth_of(wish, where) - worth_of(wish, self.plan[number])
        return Grant(mover.number, places, shifts, worth) if worth > 0 else None

    def _allowed(self, wish: Wish) -> bool:
        return self.over_cap(wish) <= 0 and self.over_budget(wish) <= 0

    def asking(self, number: int, wish: Wish, now: int) -> Mover:
        """One who waits: its candidates cost what they take from its value."""
        moves = []
        for index, step in enumerate(wish.steps):
            late = wish.late if index == 0 else 0
            moves.append(self._moves(wish, step, late, now, choices=step.choices))
        return Mover(number, True, wish.steps, (), tuple(moves), 0, wish.value)

    def _around(self, mover: Mover, now: int) -> list[Mover]:
        """The holders on the instruments of one who waits, and those on the instruments to which these could shift."""
        near = {place for moves in mover.moves for place in np.unique(moves.instruments).tolist()}
        first = {number for instrument in near for number in self._shiftable(instrument, now)}
        near |= {place for number in first for place, _ in self.pool.wishes[number].steps[0].choices}
        second = {number for instrument in near for number in self._shiftable(instrument, now)}
        return [self._holding(number, near, now) for number in sorted(second)]

    def _holding(self, number: int, near: set[int], now: int) -> Mover:
        wish, places = self.pool.wishes[number], self.plan[number]
        if number not in self._known:
            choices = [(instrument, 0) for instrument, _ in wish.steps[0].choices]
            self._known[number] = self._moves(wish, wish.steps[0], 0, now, choices=choices)
        moves = self._known[number]
        if not all(instrument in near for instrument, _ in wish.steps[0].choices):
            keep = np.isin(moves.instruments, list(near))
            moves = Moves(moves.instruments[keep], moves.starts[keep], moves.ends[keep], moves.costs[keep])
        return Mover(number, False, wish.steps, places, (moves,), SHIFT, STAY_PUT)

    def _moves(
        self, wish: Wish, step: Step, late: int, now: int, *, choices: Iterable[tuple[int, int]]
    ) -> Moves:
        parts = []
        for instrument, penalty in choices:
            calendar = self._calendar(instrument, now)
            starts = self._drawable(step, calendar.starts(step, (max(now, wish.window[0]), wish.window[1])))
            costs = penalty + late * (starts - wish.window[0])
            parts.append(
                (np.full(len(starts), instrument), starts, starts + step.duration + calendar.clean, costs)
            )
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.lexsort((columns[0], columns[1], columns[3]))
        return Moves(*(column[order] for column in columns))

    def _drawable(self, step: Step, starts: Slots) -> Slots:
        for utility, amount in step.draws:
            lacks = np.concatenate(([0], np.cumsum(self._left[utility] < amount)))
            starts = starts[lacks[starts + step.duration] == lacks[starts]]
        return starts

    def _shiftable(self, instrument: int, now: int) -> list[int]:
        """The holders there who consent and have not begun; those who have begun are fixed from now on."""
        begun = [number for number in self._holders[instrument] if self.plan[number][0][1] < now]
        for number in begun:
            self._holders[instrument].discard(number)
            start, duration = self.plan[number][0][1], self.pool.wishes[number].steps[0].duration
            self._fixed[instrument].append((start, duration))
            if instrument in self._calendars:
                self._calendars[instrument].take(start, duration)
        return sorted(self._holders[instrument])

    def _calendar(self, instrument: int, now: int) -> Calendar:
        """The calendar of an instrument without the holders who may shift."""
        self._shiftable(instrument, now)
        found = self._calendars.get(instrument)
        if found is None:
            found = self._calendars[instrument] = Calendar(
                self.pool.instruments[instrument], self.pool.horizon
            )
            for start, duration in self._fixed[instrument]:
                found.take(start, duration)
        return found

    def _may_shift(self, wish: Wish) -> bool:
        return self.shifts and wish.consents and len(wish.steps) == 1 and not wish.steps[0].draws

    def _shift(self, places: Mapping[int, tuple[Place, ...]]) -> None:
        for number in places:
            self._leave(number)
        for number, where in places.items():
            self.plan[number] = where
            self._enter(number, where)

    def _apply(self, grant: Grant) -> None:
        self._shift(grant.shifts)
        self.plan[grant.wish] = grant.places
        self._enter(grant.wish, grant.places)
        self.waiting.remove(grant.wish)

    def _enter(self, number: int, places: Sequence[Place]) -> None:
        wish = self.pool.wishes[number]
        self._use[wish.organisation] += wish.slots
        self._subsidy += wish.subsidy
        for step, (instrument, start) in zip(wish.steps, places, strict=True):
            if self._may_shift(wish):
                self._holders[instrument].add(number)
                continue
            self._fixed[instrument].append((start, step.duration))
            if instrument in self._calendars:
                self._calendars[instrument].take(start, step.duration)
            for utility, amount in step.draws:
                self._left[utility][start : start + step.duration] -= amount

    def _leave(self, number: int) -> None:
        wish, places = self.pool.wishes[number], self.plan.pop(number)
        self._use[wish.organisation] -= wish.slots
        self._subsidy -= wish.subsidy
        for step, (instrument, start) in zip(wish.steps, places, strict=True):
            if number in self._holders[instrument]:
                self._holders[instrument].discard(number)
                continue
            self._fixed[instrument].remove((start, step.duration))
            if instrument in self._calendars:
                self._calendars[instrument].give_back(start, step.duration)
            for utility, amount in step.draws:
                self._left[utility][start : start + step.duration] += amount


def envies(
    pool: Pool, plan: Mapping[int, Sequence[Place]], grants: Sequence[Grant], waiting: Iterable[int], now: int
) -> list[Envy]:
    """Who waits on, of a higher class, and could have had the place of one who got one.

    `plan` is that after all grants; told anew from it alone, by taking each who got a place out of it again.
    """
    found = []
    for grant in grants:
        without = {number: places for number, places in plan.items() if number != grant.wish}
        left = Waitlist(pool, without, (), shifts=False)
        for number in sorted(waiting):
            higher = pool.wishes[number].priority > pool.wishes[grant.wish].priority
            if higher and left.could_serve(number, now):
                found.append(Envy(number, grant.wish))
    return found


def turn(pool: Pool, number: int) -> tuple[int, int, int]:
    """When it is somebody's turn: the higher class first, then first come."""
    wish = pool.wishes[number]
    return -wish.priority, wish.submitted, number


def _drawn(wish: Wish) -> set[int]:
    return {utility for step in wish.steps for utility, _amount in step.draws}


def _left(pool: Pool, utility: int) -> Slots:
    left = np.full(pool.horizon, pool.utilities[utility].capacity, dtype=np.int64)
    for start, end, amount in pool.utilities[utility].taken:
        left[max(0, start) : end] -= amount
    return left
