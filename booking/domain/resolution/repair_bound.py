"""How good a repair can be at best: a Lagrangian bound over the slots of a group, and the prices that reach it.

Every slot of an instrument serves one run. Let each slot have a price and every mover choose for itself; what they pay,
less the prices of all slots, is below the cost of every repair (Geoffrion, "Lagrangean relaxation for integer
programming", 1974). Prices follow the subgradient, deflected by the steps before (Camerini, Fratta and Maffioli, "On
improving relaxation methods by modified gradient techniques", 1975), with Polyak's step (Held, Wolfe and Crowder,
"Validation of subgradient optimization", 1974). A route chooses all its steps together, with their lags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from booking.domain.resolution.field import Field, Points, backward, cheapest_chain, forward
from booking.domain.resolution.moves import Mover, covered
from booking.domain.resolution.starts import Bits, Slots

ROUNDS = 120
PATIENCE = 5
"""Rounds without a better bound after which steps become shorter, from the best prices on."""
FIRST_PACE, LATER_PACE, LAST_PACE = 1.0, 0.3, 0.003
SLOWER = 0.7
DEFLECTION = 0.7


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A bound below every repair of a group, the prices of its slots, and what each candidate adds to the bound.

    `slack[mover][step][candidate]` is the least by which a repair with this candidate lies above the bound.
    """

    bound: float
    prices: Points
    slack: dict[int, list[Points]]
    margins: dict[int, float]
    """By how much each hit booking would rather be cancelled than moved, at these prices."""


class Choices:
    """All candidates of a group in one array, cut into steps, the steps into movers.

    Only slots that more than one mover could use have a price; `starts` and `ends` count only these.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        movers = field.group.movers
        self.live = [mover for mover in movers if all(len(moves) for moves in mover.moves)]
        self.dead = sum(mover.cancelling for mover in movers if not all(len(moves) for moves in mover.moves))
        steps = [(mover, step) for mover in self.live for step in range(len(mover.steps))]
        self.lengths = np.array([len(mover.moves[step]) for mover, step in steps], dtype=np.int64)
        self.cuts = _cuts(self.lengths)
        self.step_counts = np.array([len(mover.steps) for mover in self.live], dtype=np.int64)
        self.firsts = _cuts(self.step_counts)
        self.routes = np.flatnonzero(self.step_counts > 1).tolist()
        self.contested = self._contested()
        rank = np.concatenate(([0], np.cumsum(self.contested)))
        self.size = int(rank[-1])
        spans = [field.spans[mover.number][step] for mover, step in steps]
        self.starts = rank[_joined([start for start, _ in spans])]
        self.ends = rank[_joined([end for _, end in spans])]
        self.costs = _joined([mover.moves[step].costs for mover, step in steps])
        self.moving = np.array([mover.moving for mover in self.live], dtype=np.float64)
        self.cancelling = np.array([mover.cancelling if mover.hit else 0.0 for mover in self.live])
        stays = [
            (index, *span)
            for index, mover in enumerate(self.live)
            if not mover.hit
            for span in field.spans_of(mover, mover.before)
        ]
        columns = np.array(stays, dtype=np.int64).reshape(len(stays), 3)
        self.stays, self.stay_starts, self.stay_ends = columns[:, 0], rank[columns[:, 1]], rank[columns[:, 2]]

    def part(self, mover: int, step: int) -> slice:
        """Where the candidates of a step stand in the long arrays."""
        at = int(self.firsts[mover]) + step
        return slice(int(self.cuts[at]), int(self.cuts[at] + self.lengths[at]))

    def _contested(self) -> Bits:
        users = np.zeros(self.field.size, dtype=np.int64)
        for mover in self.live:
            for moves in mover.moves:
                for instrument, start, end in covered(moves):
                    base = self.field.base(instrument)
                    users[base + start : base + end] += 1
        return users > 1


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the movers choose at given prices: the least of each step, of moving each, of not moving it."""

    value: float
    reduced: Points
    least: Points
    moved: Points
    unmoved: Points
    linked: dict[int, list[int]]


def relaxed(field: Field, upper: int, rounds: int = ROUNDS, start: Points | None = None) -> Relaxed:
    """The best bound that so many rounds of prices give; `upper` is the cost of a known repair.

    It may start from prices that were found before.
    """
    choices = Choices(field)
    if not choices.live:
        return Relaxed(float(choices.dead), np.zeros(field.size), {}, {})
    first = np.zeros(choices.size) if start is None else start[choices.contested]
    prices = _priced(choices, first, upper, rounds, FIRST_PACE if start is None else LATER_PACE)
    answer = _answer(choices, prices)
    full = np.zeros(field.size)
    full[choices.contested] = prices
    margins = (answer.moved - answer.unmoved).tolist()
    hit = {m.number: margin for m, margin in zip(choices.live, margins, strict=True) if m.hit}
    return Relaxed(answer.value, full, _slack(choices, answer), hit)


def _priced(choices: Choices, prices: Points, upper: int, rounds: int, pace: float) -> Points:
    best, best_prices, idle = -np.inf, prices, 0
    direction = np.zeros(choices.size)
    for _ in range(rounds):
        answer = _answer(choices, prices)
        idle = 0 if answer.value > best + 0.002 * abs(upper - best) else idle + 1
        if answer.value > best:
            best, best_prices = answer.value, prices
        if best > upper - 1 or pace < LAST_PACE:
            break
        if idle >= PATIENCE:
            pace, idle, prices = pace * SLOWER, 0, best_prices
            direction[:] = 0
            continue
        direction = _use(choices, answer) - 1.0 + DEFLECTION * direction
        slope = np.where((prices <= 0) & (direction < 0), 0.0, direction)
        length = float(slope @ slope)
        if not length:
            break
        prices = np.maximum(0, prices + pace * max(1.0, upper - answer.value) / length * slope)
    return best_prices


def _answer(choices: Choices, prices: Points) -> _Answer:
    sums = np.concatenate(([0.0], np.cumsum(prices)))
    reduced = choices.costs + (sums[choices.ends] - sums[choices.starts])
    least = np.minimum.reduceat(reduced, choices.cuts)
    moved = np.add.reduceat(least, choices.firsts) + choices.moving
    unmoved = choices.cancelling.copy()
    np.add.at(unmoved, choices.stays, sums[choices.stay_ends] - sums[choices.stay_starts])
    links: dict[int, list[int]] = {}
    for index in choices.routes:
        # A route that would not move even without its lags does not move with them.
        if moved[index] < unmoved[index]:
            total, links[index] = cheapest_chain(choices.live[index], _points(choices, index, reduced))
            moved[index] = total + choices.moving[index]
    value = float(np.minimum(moved, unmoved).sum() - sums[-1]) + choices.dead
    return _Answer(value, reduced, least, moved, unmoved, links)


def _points(choices: Choices, index: int, reduced: Points) -> list[Points]:
    return [reduced[choices.part(index, step)] for step in range(len(choices.live[index].steps))]


def _use(choices: Choices, answer: _Answer) -> Points:
    """How many of the movers would have each slot."""
    moving = answer.moved < answer.unmoved
    staying: Bits = ~moving[choices.stays]
    plain = moving.copy()
    plain[list(answer.linked)] = False
    where = np.flatnonzero(answer.reduced == np.repeat(answer.least, choices.lengths))
    step = np.searchsorted(choices.cuts, where, side="right") - 1
    _steps, first = np.unique(step, return_index=True)
    chosen = where[first][np.repeat(plain, choices.step_counts)]
    routed = [
        choices.part(index, step).start + candidate
        for index, candidates in answer.linked.items()
        if moving[index]
        for step, candidate in enumerate(candidates)
    ]
    chosen = np.concatenate((chosen, np.array(routed, dtype=np.int64)))
    edges = np.zeros(choices.size + 1)
    np.add.at(edges, choices.starts[chosen], 1)
    np.add.at(edges, choices.ends[chosen], -1)
    np.add.at(edges, choices.stay_starts[staying], 1)
    np.add.at(edges, choices.stay_ends[staying], -1)
    use: Points = np.cumsum(edges)[:-1]
    return use


def _slack(choices: Choices, answer: _Answer) -> dict[int, list[Points]]:
    """What a repair with a candidate costs at least, above the bound: its mover moves, and its step goes there."""
    best = np.minimum(answer.moved, answer.unmoved)
    found: dict[int, list[Points]] = {}
    for index, mover in enumerate(choices.live):
        points = _points(choices, index, answer.reduced)
        before, after = forward(mover, points), backward(mover, points)
        base = float(choices.moving[index] - best[index])
        found[mover.number] = [a + b + base for a, b in zip(before, after, strict=True)]
        if not mover.hit:
            _allow_staying(mover, found[mover.number], float(answer.unmoved[index] - best[index]))
    return found


def _allow_staying(mover: Mover, slack: list[Points], least: float) -> None:
    for moves, above, (instrument, start) in zip(mover.moves, slack, mover.before, strict=True):
        own = (moves.instruments == instrument) & (moves.starts == start)
        above[own] = np.minimum(above[own], least)


def _cuts(lengths: Slots) -> Slots:
    cuts: Slots = np.concatenate(([0], np.cumsum(lengths)))[:-1].astype(np.int64)
    return cuts


def _joined(parts: list[Slots]) -> Slots:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
