"""The pool without its shared rules: what every wish would take if slots, floors, budget and utilities had prices.

Lagrangian relaxation. With prices fixed each wish takes its best place by itself, routes by dynamic programming over
lags; the wishes of a capped organisation share an exact knapsack. Dyadic prices make every sum exact, so that
the bound is one, not nearly one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from booking.domain.resolution.board import FAR, Board, Prices
from booking.domain.resolution.starts import Bits
from booking.domain.resolution.tables import Real, Tables, Whole

EXACT_CELLS = 3_000_000
"""Above so many cells a knapsack is bounded by its fractional relaxation instead."""


@dataclass(slots=True, eq=False)
class Multipliers:
    """The prices themselves: of each slot, of what a floor pays, of the budget, of each utility's slots."""

    slots: Real
    """Instruments × (stride − 1)."""
    floors: Real
    budget: float
    utilities: Real
    caps: dict[int, float] = field(default_factory=dict)

    def prices(self) -> Prices:
        """Give them as sums up to each slot."""
        return Prices(_sums(self.slots).ravel(), self.floors, self.budget, self.caps, _sums(self.utilities))

    def dyadic(self) -> Multipliers:
        """Round them to fractions of which sums and products are exact."""
        return Multipliers(
            np.rint(self.slots * 256) / 256,
            np.rint(self.floors * 256) / 256,
            round(self.budget * 65536) / 65536,
            np.rint(self.utilities * 256) / 256,
            self.caps,
        )


@dataclass(slots=True, eq=False)
class Answer:
    """What the wishes take at given prices, and the bound that follows."""

    bound: float
    profit: Real
    """For each wish what its best place leaves over, minus infinity where it has none."""
    taken: Bits
    blocks: Whole
    """The blocks of the runs that are taken."""
    addresses: Whole
    wishes: Whole
    """The wish of each run."""
    cap_prices: dict[int, float]


class Relaxation:
    """The relaxed problem of a pool, laid out for evaluation at many prices."""

    def __init__(self, tables: Tables) -> None:
        pool = tables.pool
        self.tables = tables
        self.values = np.array([wish.value for wish in pool.wishes], dtype=np.float64)
        self.subsidies = np.array([wish.subsidy for wish in pool.wishes], dtype=np.float64)
        self.slots = np.array([wish.slots for wish in pool.wishes], dtype=np.int64)
        counts = np.diff(tables.step_of_wish)
        self.singles = np.flatnonzero(counts == 1)
        self.routes = _Routes(tables, np.flatnonzero(counts > 1))
        self.capped = _capped(tables)
        self.free = np.ones(len(pool.wishes), dtype=bool)
        for members, _cap in self.capped.values():
            self.free[members] = False
        lengths = np.repeat(tables.block_length, np.diff(tables.candidate_of_block))
        self.ends = tables.address + lengths
        self.base = tables.cost.astype(np.float64)
        self.heads = tables.candidate_of_block[:-1]
        self.work = np.empty(len(self.ends))
        self.other = np.empty(len(self.ends))
        self.draws = _draws(tables)
        self.capacities = np.maximum(Board(tables).utilities_left, 0)

    def evaluate(self, at: Multipliers) -> Answer:
        """Let every wish take its best place at these prices."""
        prices = at.prices()
        blocks = self._blocks(prices)
        least, chosen = self._singles(blocks)
        profit = np.full(len(self.values), -FAR)
        profit[self.singles] = self.values[self.singles] - least
        if len(self.routes.wishes):
            profit[self.routes.wishes] = self.values[self.routes.wishes] - self.routes.least(
                self.work, at.floors
            )
        profit -= at.budget * self.subsidies
        taken, total, cap_prices = self._taken(profit)
        total += float(at.slots.sum()) + float((at.utilities * self.capacities).sum())
        if self.tables.pool.budget is not None:
            total += at.budget * self.tables.pool.budget
        total -= sum(
            price * floor.slots for price, floor in zip(at.floors, self.tables.pool.floors, strict=True)
        )
        return Answer(total, profit, taken, *self._runs(taken, chosen), cap_prices)

    def usage(self, answer: Answer) -> Whole:
        """How many of the runs that are taken occupy each slot: instruments × (stride − 1)."""
        change = np.zeros(self.tables.addresses, dtype=np.int32)
        np.add.at(change, answer.addresses, 1)
        np.add.at(change, answer.addresses + self.tables.block_length[answer.blocks], -1)
        return change.cumsum(dtype=np.int32).reshape(-1, self.tables.stride)[:, :-1]

    def drawn(self, answer: Answer) -> Real:
        """How much of each utility the runs that are taken draw in each slot."""
        drawn = np.zeros(self.capacities.shape)
        if len(drawn):
            for block, address in zip(answer.blocks.tolist(), answer.addresses.tolist(), strict=True):
                start = address - int(self.tables.block_instrument[block]) * self.tables.stride
                for utility, amount in self.tables.block_draws[block]:
                    drawn[utility, start : start + int(self.tables.block_duration[block])] += amount
        return drawn

    def _blocks(self, prices: Prices) -> Real:
        """Fill the cost of every candidate, and give the least of every block."""
        np.take(prices.slots, self.ends, out=self.work, mode="clip")
        np.take(prices.slots, self.tables.address, out=self.other, mode="clip")
        self.work -= self.other
        self.work += self.base
        for candidates, starts, ends, utility, amount in self.draws:
            sums = prices.utilities[utility]
            self.work[candidates] += amount * (sums[ends] - sums[starts])
        least = np.minimum.reduceat(self.work, self.heads) if len(self.heads) else np.empty(0)
        if len(prices.floors):
            least -= floor_pay(self.tables, prices.floors)
        return least

    def _singles(self, blocks: Real) -> tuple[Real, Whole]:
        """For each wish of one step its least cost, and the block that gives it."""
        steps = self.tables.step_of_wish[self.singles]
        firsts, lasts = self.tables.block_of_step[steps], self.tables.block_of_step[steps + 1]
        least, chosen = blocks[firsts], firsts.copy()
        for index in range(1, int((lasts - firsts).max(initial=0))):
            block = np.minimum(firsts + index, lasts - 1)
            better = blocks[block] < least
            least = np.where(better, blocks[block], least)
            chosen = np.where(better, block, chosen)
        return least, chosen

    def _taken(self, profit: Real) -> tuple[Bits, float, dict[int, float]]:
        taken = self.free & (profit > 0)
        total, cap_prices = float(profit[taken].sum()), {}
        for organisation, (members, cap) in self.capped.items():
            willing = members[profit[members] > 0]
            picked, worth, price = knapsack(profit[willing], self.slots[willing], cap)
            taken[willing[picked]] = True
            total += worth
            cap_prices[organisation] = price
        return taken, total, cap_prices

    def _runs(self, taken: Bits, chosen: Whole) -> tuple[Whole, Whole, Whole]:
        wanted = taken[self.singles]
        blocks, wishes = chosen[wanted], self.singles[wanted]
        bounds = self.tables.candidate_of_block
        firsts, lasts = bounds[blocks].tolist(), bounds[blocks + 1].tolist()
        work = self.work
        best = [low + int(work[low:high].argmin()) for low, high in zip(firsts, lasts, strict=True)]
        addresses = self.tables.address[np.array(best, dtype=np.int64)]
        more_blocks, more_addresses, more_wishes = self.routes.runs(taken)
        return (
            np.concatenate((blocks, more_blocks)),
            np.concatenate((addresses, more_addresses)),
            np.concatenate((wishes, more_wishes)),
        )


def knapsack(profits: Real, weights: Whole, cap: int) -> tuple[Whole, float, float]:
    """The best choice under a cap: the items, what they are worth (or at most could be), the price of a slot."""
    if int(weights.sum()) <= cap:
        return np.arange(len(profits)), float(profits.sum()), 0.0
    order = np.argsort(-profits / weights, kind="stable")
    filled = weights[order].cumsum()
    broken = int(np.searchsorted(filled, cap, side="right"))
    price = float(profits[order[broken]] / weights[order[broken]])
    if len(profits) * cap > EXACT_CELLS:
        room = cap - (int(filled[broken - 1]) if broken else 0)
        whole = order[:broken]
        return whole, float(profits[whole].sum()) + max(0.0, room * price), price
    picked = _exact_knapsack(profits, weights, cap)
    return picked, float(profits[picked].sum()), price


def _exact_knapsack(profits: Real, weights: Whole, cap: int) -> Whole:
    """Dynamic programming over the cap."""
    best = np.zeros(cap + 1)
    kept = np.zeros((len(profits), cap + 1), dtype=bool)
    for index, (profit, weight) in enumerate(zip(profits.tolist(), weights.tolist(), strict=True)):
        if weight > cap:
            continue
        with_it = best[: cap + 1 - weight] + profit
        kept[index, weight:] = with_it > best[weight:]
        np.maximum(best[weight:], with_it, out=best[weight:])
    picked, room = [], cap
    for index in range(len(profits) - 1, -1, -1):
        if kept[index, room]:
            picked.append(index)
            room -= int(weights[index])
    return np.array(picked[::-1], dtype=np.int64)


class _Routes:
    """All wishes of several steps at once.

    Step k of a route is laid out by its start less the earliest that the steps before allow: u_k. Then lags read
    u_k ≤ u_{k+1} ≤ u_k + (most − least), and the least cost from step k on is a minimum over a sliding span.
    """

    def __init__(self, tables: Tables, wishes: Whole) -> None:
        self.tables = tables
        self.wishes = wishes
        self.row_of: list[list[int]] = []
        heads: list[int] = []
        rows = 0
        steps: list[int] = []
        width = 1
        for number in wishes.tolist():
            wish = tables.pool.wishes[number]
            self.row_of.append(list(range(rows, rows + len(wish.steps))))
            head = wish.window[0]
            for index, (step, own) in enumerate(zip(wish.steps, tables.steps(number), strict=True)):
                head += step.lag[0] if index else 0
                heads.append(head)
                steps.append(own)
                head += step.duration
            rows += len(wish.steps)
            width = max(width, wish.window[1] - head + 1)
        self.heads = np.array(heads, dtype=np.int64)
        self.width = width
        self.costs = np.full((rows, width), FAR)
        self.tails = np.full((rows, width), FAR)
        self._lay_out(np.array(steps, dtype=np.int64))
        self.levels = self._levels()

    def _lay_out(self, steps: Whole) -> None:
        """Find for every cell (step, start) the candidates that share it, sorted by cell."""
        tables = self.tables
        bounds = tables.candidate_of_block
        cells, members, owners = [], [], []
        for row, step in enumerate(steps.tolist()):
            for block in tables.blocks(step):
                at = np.arange(bounds[block], bounds[block + 1])
                starts = tables.address[at] - tables.block_instrument[block] * tables.stride
                cells.append(row * self.width + starts - self.heads[row])
                members.append(at)
                owners.append(np.full(len(at), block))
        if not cells:
            self.members = self.owners = self.cells = self.firsts = np.empty(0, dtype=np.int64)
            return
        cell = np.concatenate(cells)
        order = np.argsort(cell, kind="stable")
        self.members = np.concatenate(members)[order]
        self.owners = np.concatenate(owners)[order]
        self.cells, self.firsts = np.unique(cell[order], return_index=True)
        self.lasts = np.append(self.firsts[1:], len(order))

    def _levels(self) -> list[list[tuple[int, Whole]]]:
        """From the last transition to the first: (width of the lag, rows of the earlier step)."""
        levels: list[dict[int, list[int]]] = []
        for rows, number in zip(self.row_of, self.wishes.tolist(), strict=True):
            for index, row in enumerate(rows[:-1]):
                low, high = self.tables.pool.wishes[number].steps[index + 1].lag
                while len(levels) <= index:
                    levels.append({})
                levels[index].setdefault(high - low, []).append(row)
        return [
            [(width, np.array(rows, dtype=np.int64)) for width, rows in sorted(level.items())]
            for level in reversed(levels)
        ]

    def least(self, work: Real, floors: Real) -> Real:
        """The least cost of each route, from the costs of all candidates."""
        costs = work[self.members]
        if len(floors):
            costs -= floor_pay(self.tables, floors)[self.owners]
        self.member_costs = costs
        self.costs.ravel()[self.cells] = np.minimum.reduceat(costs, self.firsts)
        np.copyto(self.tails, self.costs)
        for level in self.levels:
            for width, rows in level:
                self.tails[rows] += _ahead(self.tails[rows + 1], width + 1)
        least: Real = self.tails[[rows[0] for rows in self.row_of]].min(axis=1)
        return least

    def runs(self, taken: Bits) -> tuple[Whole, Whole, Whole]:
        """The blocks, addresses and wishes of the runs of the routes that are taken."""
        blocks, addresses, wishes = [], [], []
        for rows, number in zip(self.row_of, self.wishes.tolist(), strict=True):
            if not taken[number]:
                continue
            at = int(self.tails[rows[0]].argmin())
            for index, row in enumerate(rows):
                if index:
                    low, high = self.tables.pool.wishes[number].steps[index].lag
                    at += int(self.tails[row, at : at + high - low + 1].argmin())
                block = self._block_at(row, at)
                blocks.append(block)
                addresses.append(
                    int(self.tables.block_instrument[block]) * self.tables.stride + int(self.heads[row]) + at
                )
                wishes.append(number)
        found = np.array([blocks, addresses, wishes], dtype=np.int64).reshape(3, -1)
        return found[0], found[1], found[2]

    def _block_at(self, row: int, at: int) -> int:
        cell = int(np.searchsorted(self.cells, row * self.width + at))
        low, high = int(self.firsts[cell]), int(self.lasts[cell])
        return int(self.owners[low + int(self.member_costs[low:high].argmin())])


def _ahead(numbers: Real, width: int) -> Real:
    """The least of `width` numbers from each on, in every row."""
    least, reach = numbers.copy(), 1
    while reach < width:
        shift = min(reach, width - reach)
        if shift < least.shape[1]:
            least[:, :-shift] = np.minimum(least[:, :-shift], least[:, shift:])
        reach += shift
    return least


def floor_pay(tables: Tables, floors: Real) -> Real:
    """What the floors pay for a run of each block; column by column, as a product of matrices would start threads."""
    pay = np.zeros(len(tables.block_length))
    for index, price in enumerate(floors.tolist()):
        if price:
            pay += tables.block_floors[:, index] * price
    return pay


def _sums(numbers: Real) -> Real:
    """Sums up to each column, and the whole."""
    sums = np.zeros((numbers.shape[0], numbers.shape[1] + 1))
    np.cumsum(numbers, axis=1, out=sums[:, 1:])
    return sums


def _capped(tables: Tables) -> dict[int, tuple[Whole, int]]:
    """The wishes of each organisation that asks for more than its cap."""
    members: dict[int, list[int]] = {}
    for number, wish in enumerate(tables.pool.wishes):
        if wish.organisation in tables.pool.caps and tables.steps(number):
            members.setdefault(wish.organisation, []).append(number)
    return {
        organisation: (np.array(numbers, dtype=np.int64), tables.pool.caps[organisation])
        for organisation, numbers in sorted(members.items())
    }


def _draws(tables: Tables) -> list[tuple[slice, Whole, Whole, int, int]]:
    """For each block and utility that its runs draw: candidates, start and end slots, utility, amount."""
    found = []
    for block, draws in enumerate(tables.block_draws):
        for utility, amount in draws:
            at = tables.candidates(block)
            starts = tables.address[at] - tables.block_instrument[block] * tables.stride
            found.append((at, starts, starts + int(tables.block_duration[block]), utility, amount))
    return found
