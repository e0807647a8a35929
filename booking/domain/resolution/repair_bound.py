"""How good a repair can be at best: a Lagrangian bound over the slots of a group, and the prices that reach it.

Every slot of an instrument serves one run. Let each slot have a price and every mover choose for itself; what they pay,
less the prices of all slots, is below the cost of every repair (Geoffrion, "Lagrangean relaxation for integer
programming", 1974). Prices follow the volume algorithm (Barahona and Anbil, "The volume algorithm: producing primal
solutions with a subgradient method", 2000): each step goes from the best prices along a mean of what the movers chose
so far, which nears the best prices in a third of the rounds that the last choice alone takes. A route chooses all its
steps together, with their lags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from booking.domain.resolution.field import Field, Points, backward, cheapest_chain, forward
from booking.domain.resolution.moves import Mover, covered
from booking.domain.resolution.starts import Bits, Slots

ROUNDS = 120
PATIENCE = 10
"""Rounds without a better bound after which steps become shorter."""
FIRST_PACE, LAST_PACE = 1.0, 0.003
SLOWER, FASTER = 0.66, 1.1
SHARE = 0.1
"""Of what was chosen last in the mean of the choices, at most."""
NEARER, NEAR = 0.05, 0.05
"""How far from the best bound, of the way to the known repair and of itself, the target of a step lies."""


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
    prices = _priced(choices, first, upper, rounds)
    answer = _answer(choices, prices)
    full = np.zeros(field.size)
    full[choices.contested] = prices
    margins = (answer.moved - answer.unmoved).tolist()
    hit = {m.number: margin for m, margin in zip(choices.live, margins, strict=True) if m.hit}
    return Relaxed(answer.value, full, _slack(choices, answer), hit)


def _priced(choices: Choices, prices: Points, upper: int, rounds: int) -> Points:
    """The best prices of so many rounds: each is a step from the best ones along the mean use of the slots."""
    answer = _answer(choices, prices)
    best, excess = answer.value, _excess(choices, answer)
    pace, idle, share = FIRST_PACE, 0, SHARE
    target = min(upper, best + NEARER * abs(upper - best))
    for turn in range(1, rounds):
        slope = np.where((prices <= 0) & (excess < 0), 0.0, excess)
        length = _product(slope, slope)
        if best > upper - 1 or pace < LAST_PACE or not length:
            break
        slope *= pace * (target - best) / length
        tried = prices + slope
        np.maximum(tried, 0, out=tried)
        answer = _answer(choices, tried)
        way = _excess(choices, answer)
        ahead = _product(excess, way) >= 0
        way -= excess
        excess += _weight(excess, way, share) * way
        if answer.value > best:
            best, prices, idle = answer.value, tried, 0
            pace = min(2.0, pace * FASTER) if ahead else pace
        else:
            idle += 1
        if idle >= PATIENCE:
            pace, idle = pace * SLOWER, 0
        if target - best < NEAR * abs(target):
            target = min(float(upper), best + NEAR * abs(best))
        if turn % 100 == 0:
            share = max(share * SLOWER, SHARE / 10)
    return prices


def _weight(mean: Points, way: Points, share: float) -> float:
    """How far to go from the mean on the way to what was found last, so that it gets as small as may be."""
    length = _product(way, way)
    return min(share, max(share / 10, -_product(mean, way) / length)) if length else share


def _product(one: Points, other: Points) -> float:
    """The scalar product by one thread: `@` takes all processors, and on a busy machine waits for them."""
    return float(np.einsum("i,i", one, other))


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


def _excess(choices: Choices, answer: _Answer) -> Points:
    """How many of the movers, beyond one, would have each slot."""
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
    use -= 1
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
