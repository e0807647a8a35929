"""Which wishes to free together: those that compete for the same slots, or for what one rule leaves.

A neighbourhood grows from a seed by competition: who holds the slots that a wish could take, who else wants them, and,
where a cap or the budget stands against a wish, who of the same organisation or budget could make room. Seeds are
drawn where plan and relaxation disagree most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from booking.domain.resolution.board import Board
from booking.domain.resolution.bound import Bound
from booking.domain.resolution.starts import Bits
from booking.domain.resolution.tables import Real, Tables, Whole

KINDS = ("unserved", "organisation", "floor", "anywhere", "subsidy")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one worker may touch: its instruments, and the wishes that are its own."""

    instruments: Bits
    wishes: Bits


class Neighbourhoods:
    """The neighbourhoods of a pool; the same numbers drawn give the same wishes."""

    def __init__(self, tables: Tables, bound: Bound) -> None:
        pool = tables.pool
        self.tables = tables
        self.frequency = bound.frequency
        values = np.array([max(1, wish.value) for wish in pool.wishes], dtype=np.float64)
        profit = np.where(np.isfinite(bound.profit), bound.profit, 0.0)
        self.promise: Real = 0.05 + bound.frequency + 0.2 * np.clip(profit / values, 0.0, 1.0)
        self.opens = np.array([wish.window[0] for wish in pool.wishes], dtype=np.int64)
        self.closes = np.array([wish.window[1] for wish in pool.wishes], dtype=np.int64)
        self.possible = np.diff(tables.step_of_wish) > 0
        self.instruments = [_instruments(tables, number) for number in range(tables.wishes)]
        self.askers = self._askers()
        self.mates = {organisation: self._members(organisation) for organisation in sorted(pool.caps)}
        self.subsidised = np.array([n for n, wish in enumerate(pool.wishes) if wish.subsidy], dtype=np.int64)
        self.promised = [self._givers(index) for index in range(len(pool.floors))]

    def kinds(self, board: Board) -> tuple[str, ...]:
        """The kinds that make sense for a plan."""
        short = self._short(board)
        tight = board.budget_left < float("inf") and len(self.subsidised) > 0
        return tuple(
            kind
            for kind in KINDS
            if (kind != "organisation" or self.mates)
            and (kind != "floor" or short)
            and (kind != "subsidy" or tight)
        )

    def drawn(self, kind: str, board: Board, part: Part, size: int, random: np.random.Generator) -> list[int]:
        """Draw one neighbourhood of a kind: at most `size` wishes of a part."""
        served = np.zeros(self.tables.wishes, dtype=bool)
        served[list(board.spots)] = True
        growth = _Growth(self, board, part, served, size, random)
        if kind == "organisation":
            organisation = list(self.mates)[int(random.integers(len(self.mates)))]
            growth.add(growth.doubtful(self.mates[organisation], size // 2))
        elif kind == "floor":
            short = self._short(board)
            index = short[int(random.integers(len(short)))]
            growth.add(growth.doubtful(self.promised[index], max(4, size // 3)))
        elif kind == "subsidy":
            growth.add(growth.doubtful(self.subsidised, size // 2))
        else:
            growth.seed(unserved=kind == "unserved")
        growth.grow()
        return growth.wishes

    def _short(self, board: Board) -> list[int]:
        floors = self.tables.pool.floors
        return [index for index, floor in enumerate(floors) if board.floor_use[index] < floor.slots]

    def _askers(self) -> list[Whole]:
        asked: list[list[int]] = [[] for _ in self.tables.pool.instruments]
        for number, instruments in enumerate(self.instruments):
            for instrument in instruments:
                asked[instrument].append(number)
        return [np.array(numbers, dtype=np.int64) for numbers in asked]

    def _members(self, organisation: int) -> Whole:
        wishes = self.tables.pool.wishes
        return np.array(
            [n for n, wish in enumerate(wishes) if wish.organisation == organisation and self.possible[n]],
            dtype=np.int64,
        )

    def _givers(self, floor: int) -> Whole:
        """The wishes that could give slots to a floor."""
        tables = self.tables
        blocks = np.flatnonzero(tables.block_floors[:, floor] > 0)
        steps = np.searchsorted(tables.block_of_step, blocks, side="right") - 1
        return np.unique(np.searchsorted(tables.step_of_wish, steps, side="right") - 1)


class _Growth:
    """One neighbourhood while it grows."""

    def __init__(
        self,
        known: Neighbourhoods,
        board: Board,
        part: Part,
        served: Bits,
        size: int,
        random: np.random.Generator,
    ) -> None:
        self.known = known
        self.board = board
        self.part = part
        self.served = served
        self.size = size
        self.random = random
        self.wishes: list[int] = []
        self.outside = part.wishes & known.possible
        """Wishes that could still come in."""

    def add(self, numbers: Sequence[int]) -> None:
        """Take wishes in, as many as there is room for."""
        for number in numbers:
            if len(self.wishes) < self.size and self.outside[number]:
                self.outside[number] = False
                self.wishes.append(number)

    def seed(self, *, unserved: bool) -> None:
        """Begin with a wish that is not served though the relaxation likes it, or with any."""
        weights = np.where(self.outside & ~self.served, self.known.promise, 0.0)
        if not unserved or not weights.any():
            weights = np.where(self.outside, 1.0, 0.0)
        sums = weights.cumsum()
        if sums[-1] > 0:
            self.add([int(np.searchsorted(sums, self.random.random() * sums[-1], side="right"))])

    def doubtful(self, numbers: Whole, count: int) -> list[int]:
        """Some of these wishes, first those for which plan and relaxation disagree."""
        numbers = numbers[self.outside[numbers]]
        agree = 1.0 - np.abs(self.served[numbers] - self.known.frequency[numbers])
        keys = self.random.random(len(numbers)) * (0.3 + agree)
        chosen: list[int] = numbers[np.argsort(keys, kind="stable")[:count]].tolist()
        return chosen

    def grow(self) -> None:
        """Take in competitors of those inside, in their order, until the neighbourhood is full."""
        index = 0
        while index < len(self.wishes) and len(self.wishes) < self.size:
            number = self.wishes[index]
            if index == 0 or not self.served[number]:
                self._make_room(number, self.size // 5 if index == 0 else 3)
            self._compete(number)
            index += 1

    def _make_room(self, number: int, count: int) -> None:
        """Take in those who use up what a rule leaves to an unserved wish."""
        wish = self.board.tables.pool.wishes[number]
        if self.served[number]:
            return
        if self.board.caps_left.get(wish.organisation, wish.slots) < wish.slots:
            self.add(self.doubtful(self.known.mates[wish.organisation], count))
        if self.board.budget_left < wish.subsidy:
            self.add(self.doubtful(self.known.subsidised, count))

    def _compete(self, number: int) -> None:
        """Take in who holds the slots that a wish could take, and some who want them too."""
        known, stride = self.known, self.board.tables.stride
        open_, close = int(known.opens[number]), int(known.closes[number])
        holders: list[Whole] = []
        rivals: list[Whole] = []
        for instrument in known.instruments[number]:
            if not self.part.instruments[instrument]:
                continue
            owners = self.board.owner[instrument * stride + open_ : instrument * stride + close]
            holders.append(np.unique(owners[owners >= 0]))
            askers = known.askers[instrument]
            apart = (known.opens[askers] >= close) | (known.closes[askers] <= open_)
            rivals.append(askers[~apart & self.outside[askers] & ~self.served[askers]])
        if not holders:
            return
        holding = np.unique(np.concatenate(holders))
        holding = holding[self.outside[holding]]
        self.random.shuffle(holding)
        self.add(holding.tolist())
        asking = np.unique(np.concatenate(rivals))
        keys = -self.random.random(len(asking)) * (0.1 + known.frequency[asking])
        self.add(asking[np.argsort(keys, kind="stable")[: max(2, len(holding) // 2)]].tolist())


def everything(tables: Tables) -> Part:
    """The part that is the whole pool."""
    return Part(np.ones(len(tables.pool.instruments), dtype=bool), np.ones(tables.wishes, dtype=bool))


def _instruments(tables: Tables, number: int) -> tuple[int, ...]:
    steps = tables.steps(number)
    if not steps:
        return ()
    first, last = tables.block_of_step[steps[0]], tables.block_of_step[steps[-1] + 1]
    return tuple(dict.fromkeys(tables.block_instrument[first:last].tolist()))
