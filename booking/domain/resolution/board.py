"""A plan in the making: who has which slots, what is left of the rules, and the cheapest free place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from typing import TypeAlias

import numpy as np

from booking.domain.resolution.problem import Place, Plan, Wish
from booking.domain.resolution.tables import Real, Tables, Whole

Spot: TypeAlias = tuple[int, int]
"""A block and the address at which a step starts there."""
Spots: TypeAlias = tuple[Spot, ...]

NOBODY = -1
FAR = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What scarce things cost: the multipliers of a Lagrangian bound.

    `slots` and `utilities` are sums up to each address, so that a run costs one difference; `floors` is what a floor
    pays for each slot, `budget` the price of a yuan, `caps` that of a slot of a capped organisation.
    """

    slots: Real
    floors: Real
    budget: float
    caps: dict[int, float]
    utilities: Real
    """Utilities × (horizon + 1)."""

    def rule_cost(self, wish: Wish) -> float:
        """What a wish pays for the budget and the cap of its organisation."""
        return self.budget * wish.subsidy + self.caps.get(wish.organisation, 0.0) * wish.slots


def no_prices(tables: Tables, floors: float = 0.0) -> Prices:
    """Everything free; each floor pays the same for a slot."""
    pool = tables.pool
    return Prices(
        slots=np.zeros(tables.addresses),
        floors=np.full(len(pool.floors), floors),
        budget=0.0,
        caps={},
        utilities=np.zeros((len(pool.utilities), pool.horizon + 1)),
    )


class Board:
    """A plan that grows and shrinks, one wish at a time, and always keeps every rule."""

    def __init__(self, tables: Tables) -> None:
        pool = tables.pool
        self.tables = tables
        self.owner = np.full(tables.addresses, NOBODY, dtype=np.int32)
        self.spots: dict[int, Spots] = {}
        self.budget_left = FAR if pool.budget is None else pool.budget
        self.caps_left = dict(pool.caps)
        self.floor_use = np.zeros(len(pool.floors))
        self.worth = 0
        self.utilities_left = np.array(
            [[one.capacity] * pool.horizon for one in pool.utilities], dtype=np.int64
        ).reshape(len(pool.utilities), pool.horizon)
        for index, utility in enumerate(pool.utilities):
            for start, end, amount in utility.taken:
                self.utilities_left[index, max(start, 0) : end] -= amount

    def copy(self) -> Board:
        """Give a second board with the same plan."""
        other = Board.__new__(Board)
        other.tables = self.tables
        other.owner = self.owner.copy()
        other.spots = dict(self.spots)
        other.budget_left = self.budget_left
        other.caps_left = dict(self.caps_left)
        other.floor_use = self.floor_use.copy()
        other.worth = self.worth
        other.utilities_left = self.utilities_left.copy()
        return other

    @property
    def missing(self) -> float:
        """The slots that the floors miss, together."""
        return float(
            sum(
                max(0.0, floor.slots - use)
                for floor, use in zip(self.tables.pool.floors, self.floor_use, strict=True)
            )
        )

    @property
    def objective(self) -> int:
        """The points of the plan as the referee counts them."""
        return self.worth - self.tables.pool.short * round(self.missing)

    def allows(self, wish: Wish) -> bool:
        """Whether budget and cap have room for a wish."""
        return (
            wish.subsidy <= self.budget_left
            and self.caps_left.get(wish.organisation, wish.slots) >= wish.slots
        )

    def put(self, number: int, spots: Spots) -> None:
        """Serve a wish there; the spots must be free and the rules allow it."""
        self._mark(number, spots, number)
        self._count(number, spots, 1)
        self.spots[number] = spots

    def drop(self, number: int) -> Spots:
        """Serve a wish no more; gives where it was."""
        spots = self.spots.pop(number)
        self._mark(number, spots, NOBODY)
        self._count(number, spots, -1)
        return spots

    def place(self, spot: Spot) -> Place:
        """The instrument and the slot of a spot."""
        instrument = int(self.tables.block_instrument[spot[0]])
        return instrument, spot[1] - instrument * self.tables.stride

    def plan(self) -> Plan:
        """The plan as the world knows it."""
        return {
            number: tuple(self.place(spot) for spot in self.spots[number]) for number in sorted(self.spots)
        }

    def spots_of(self, number: int, places: Iterable[Place]) -> Spots:
        """The spots of places that a plan gives to a wish.

        Raises:
            KeyError: a place is no candidate of the wish.
        """
        spots = []
        for step, (instrument, start) in zip(self.tables.steps(number), places, strict=True):
            blocks = {int(self.tables.block_instrument[block]): block for block in self.tables.blocks(step)}
            block, address = blocks[instrument], instrument * self.tables.stride + start
            if address not in self.tables.address[self.tables.candidates(block)]:
                raise KeyError(start)
            spots.append((block, address))
        return tuple(spots)

    def worth_of(self, number: int, spots: Spots) -> int:
        """The points of a wish served there, floors not counted."""
        wish, tables = self.tables.pool.wishes[number], self.tables
        points = wish.value
        for block, address in spots:
            at = tables.candidates(block)
            points -= int(tables.cost[at.start + np.searchsorted(tables.address[at], address)])
        return points

    def best(self, number: int, prices: Prices | None) -> tuple[float, Spots] | None:
        """The cheapest free place of a wish: what it costs with prices, less what floors pay; caps not looked at."""
        steps = self.tables.steps(number)
        if not steps:
            return None
        if len(steps) == 1:
            return self._best_single(steps[0], prices)
        return self._best_route(number, steps, prices)

    def _best_single(self, step: int, prices: Prices | None) -> tuple[float, Spots] | None:
        least, spot = FAR, (0, 0)
        for block in self.tables.blocks(step):
            addresses, costs = self.free(block, prices)
            if len(addresses):
                index = int(costs.argmin())
                if costs[index] < least:
                    least, spot = float(costs[index]), (block, int(addresses[index]))
        return None if least == FAR else (least, (spot,))

    def free(self, block: int, prices: Prices | None) -> tuple[Whole, Real]:
        """The addresses of a block that are free now, and what each costs, with prices or without."""
        tables = self.tables
        at = tables.candidates(block)
        addresses, length = tables.address[at], int(tables.block_length[block])
        costs = tables.cost[at].astype(np.float64)
        if prices is not None:
            costs += prices.slots[addresses + length] - prices.slots[addresses]
            costs -= sum(map(mul, tables.block_floors[block].tolist(), prices.floors.tolist()))
        first, last = int(addresses[0]), int(addresses[-1])
        busy = self.owner[first : last + length] >= 0
        if busy.any():
            sums = np.concatenate(([0], busy.cumsum()))
            offsets = addresses - first
            free = sums[offsets + length] == sums[offsets]
            addresses, costs = addresses[free], costs[free]
        for utility, amount in tables.block_draws[block]:
            addresses, costs = self._drawn(block, addresses, costs, utility, amount, prices)
        return addresses, costs

    def _drawn(
        self, block: int, addresses: Whole, costs: Real, utility: int, amount: int, prices: Prices | None
    ) -> tuple[Whole, Real]:
        starts = addresses - self.tables.block_instrument[block] * self.tables.stride
        ends = starts + self.tables.block_duration[block]
        lacking = np.concatenate(([0], (self.utilities_left[utility] < amount).cumsum()))
        enough = lacking[ends] == lacking[starts]
        if prices is not None:
            costs = costs + amount * (prices.utilities[utility][ends] - prices.utilities[utility][starts])
        return addresses[enough], costs[enough]

    def _best_route(self, number: int, steps: range, prices: Prices | None) -> tuple[float, Spots] | None:
        wish = self.tables.pool.wishes[number]
        open_, close = wish.window
        costs, blocks = [], []
        for step in steps:
            least, which = self._dense(step, prices, open_, close - open_)
            if not np.isfinite(least).any():
                return None
            costs.append(least)
            blocks.append(which)
        gaps = lags(self.tables, wish)
        tails = route_costs(costs, [step.duration for step in wish.steps], gaps)
        return self._traced(wish, tails, blocks, gaps)

    def _dense(self, step: int, prices: Prices | None, first: int, span: int) -> tuple[Real, Whole]:
        """The least cost of a step by its start in the window, and the block that gives it."""
        least, which = np.full(span, FAR), np.zeros(span, dtype=np.int64)
        for block in self.tables.blocks(step):
            addresses, costs = self.free(block, prices)
            starts = addresses - (self.tables.block_instrument[block] * self.tables.stride + first)
            better = costs < least[starts]
            least[starts[better]] = costs[better]
            which[starts[better]] = block
        return least, which

    def _traced(
        self, wish: Wish, tails: list[Real], blocks: list[Whole], gaps: list[tuple[int, int]]
    ) -> tuple[float, Spots] | None:
        at = int(tails[0].argmin())
        least = float(tails[0][at])
        if least == FAR:
            return None
        spots = []
        for index, (tail, which) in enumerate(zip(tails, blocks, strict=True)):
            if index:
                low = at + wish.steps[index - 1].duration + gaps[index][0]
                high = at + wish.steps[index - 1].duration + gaps[index][1]
                at = low + int(tail[low : high + 1].argmin())
            block = int(which[at])
            instrument = int(self.tables.block_instrument[block])
            spots.append((block, instrument * self.tables.stride + wish.window[0] + at))
        if self._collides(spots):
            return None
        return least, tuple(spots)

    def _collides(self, spots: list[Spot]) -> bool:
        """Whether steps of one wish meet on one instrument."""
        tables = self.tables
        runs = sorted((address, address + int(tables.block_length[block])) for block, address in spots)
        return any(end > start for (_, end), (start, _) in pairwise(runs))

    def _mark(self, number: int, spots: Spots, owner: int) -> None:
        tables = self.tables
        for block, address in spots:
            self.owner[address : address + int(tables.block_length[block])] = owner
            for utility, amount in tables.block_draws[block]:
                start = address - int(tables.block_instrument[block]) * tables.stride
                draw = amount if owner == number else -amount
                self.utilities_left[utility, start : start + int(tables.block_duration[block])] -= draw

    def _count(self, number: int, spots: Spots, sign: int) -> None:
        wish = self.tables.pool.wishes[number]
        self.worth += sign * self.worth_of(number, spots)
        self.budget_left -= sign * wish.subsidy
        if wish.organisation in self.caps_left:
            self.caps_left[wish.organisation] -= sign * wish.slots
        for block, _address in spots:
            self.floor_use += sign * self.tables.block_floors[block]


def lags(tables: Tables, wish: Wish) -> list[tuple[int, int]]:
    """The lags of a wish's steps; where two neighbours may share an instrument, its cleaning fits between them."""
    found = []
    for index, step in enumerate(wish.steps):
        least, most = step.lag
        if index:
            shared = {i for i, _ in step.choices} & {i for i, _ in wish.steps[index - 1].choices}
            cleans = [tables.pool.instruments[instrument].clean for instrument in shared]
            least = min(most, max(least, max(cleans, default=0)))
        found.append((least, most))
    return found


def route_costs(costs: list[Real], durations: list[int], gaps: list[tuple[int, int]]) -> list[Real]:
    """The least cost of a route from each step on, by the start of that step: dynamic programming over lags."""
    tails = [costs[-1]]
    for index in range(len(costs) - 2, -1, -1):
        low, high = gaps[index + 1]
        tail = np.full(len(costs[index]), FAR)
        ahead = least_ahead(tails[0], high - low + 1)[durations[index] + low :]
        tail[: len(ahead)] = costs[index][: len(ahead)] + ahead
        tails.insert(0, tail)
    return tails


def least_ahead(numbers: Real, width: int) -> Real:
    """The least of `width` numbers from each on: minima over spans that double."""
    least, reach = numbers.copy(), 1
    while reach < width:
        shift = min(reach, width - reach)
        if shift < len(least):
            least[:-shift] = np.minimum(least[:-shift], least[shift:])
        reach += shift
    return least
