"""The certified bound of a pool, and the prices that come with it.

Polyak's subgradient steps with a deflected direction (Polyak 1969; Camerini, Fratta and Maffioli 1975) on the
Lagrangian dual of `relaxation`; how often the wishes are taken on the way approaches the solution of the linear
relaxation (Barahona and Anbil 2000, the volume algorithm) and orders the greedy that follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from booking.domain.resolution.board import Prices
from booking.domain.resolution.effort import Effort
from booking.domain.resolution.relaxation import Answer, Multipliers, Relaxation
from booking.domain.resolution.tables import Real, Tables

STEPS = 300
"""The most steps; most runs stop before, when they gain no more."""
DEFLECTION = 0.7
FIRST_PACE, LAST_PACE = 0.5, 0.004
SLOWER = 0.7
PATIENCE = 8
FLOOR_SHARE = 0.6
"""A floor counts its slots together where an instrument counts each: its steps are shorter by this share of them."""
BUDGET_WISHES = 400.0
"""The budget counts in mean subsidies; in pools of more wishes than this its steps are as much shorter."""
MOST_SHARE = 0.4
"""The share of the time after which the rest belongs to the plan."""
SECONDS_PER_CANDIDATE = 2.5e-8
"""The work of one step, measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """No plan has more than `points`; `prices` prove it."""

    points: int
    prices: Prices
    profit: Real
    """For each wish what its best place leaves over at these prices."""
    frequency: Real
    """How often the relaxed solution takes each wish: 0 to 1."""


class Ascent:
    """The way down to the least bound, step by step, so that it can be stopped and continued."""

    def __init__(self, tables: Tables, lower: int) -> None:
        pool = tables.pool
        self.tables = tables
        self.relaxation = Relaxation(tables)
        self.lower = lower
        self.at = Multipliers(
            np.zeros((len(pool.instruments), tables.stride - 1)),
            np.zeros(len(pool.floors)),
            0.0,
            np.zeros((len(pool.utilities), pool.horizon)),
        )
        self.best = self.at
        self.least = math.inf
        self.pace = FIRST_PACE
        self.bad = 0
        self.direction: Multipliers | None = None
        self.floors = np.array([floor.slots for floor in pool.floors], dtype=np.float64)
        self.floor_scale = np.maximum(100.0, FLOOR_SHARE * self.floors)
        crowd = math.sqrt(max(1.0, tables.wishes / BUDGET_WISHES))
        self.budget_scale = 1.0 / (crowd * max(1.0, float(np.abs(self.relaxation.subsidies).mean())))
        self.counted = 0
        self.times = np.zeros(tables.wishes)

    def step(self) -> None:
        """Evaluate here, then go on against the shortages that showed."""
        answer = self.relaxation.evaluate(self.at)
        self._note(answer)
        self._count(answer)
        self._turn(answer)
        self._move(answer.bound)

    @property
    def settled(self) -> bool:
        """Whether further steps would gain next to nothing."""
        return self.pace < LAST_PACE

    def bound(self) -> Bound:
        """Certify the best prices: rounded so that all sums are exact."""
        best = self.best.dyadic()
        answer = self.relaxation.evaluate(best)
        best.caps = answer.cap_prices
        return Bound(
            points=math.floor(answer.bound),
            prices=best.prices(),
            profit=answer.profit,
            frequency=self.times / max(1, self.counted),
        )

    def _note(self, answer: Answer) -> None:
        self.bad = 0 if answer.bound < self.least * (1 - 1e-4) else self.bad + 1
        if answer.bound < self.least:
            self.least = answer.bound
            self.best = Multipliers(
                self.at.slots, self.at.floors, self.at.budget, self.at.utilities, answer.cap_prices
            )
        if self.bad >= PATIENCE:
            self.pace *= SLOWER
            self.bad = 0

    def _count(self, answer: Answer) -> None:
        """Remember what is taken once the prices are of the right size."""
        if self.pace >= FIRST_PACE:
            return
        self.counted += 1
        self.times[np.unique(answer.wishes)] += 1

    def _turn(self, answer: Answer) -> None:
        """Deflect the direction towards this place's subgradient."""
        fresh, pool = self._shortage(answer), self.tables.pool
        old = self.direction
        if old is None:
            self.direction = fresh
            return
        for new, kept in (
            (fresh.slots, old.slots),
            (fresh.floors, old.floors),
            (fresh.utilities, old.utilities),
        ):
            np.multiply(kept, DEFLECTION, out=kept)
            np.add(kept, (1 - DEFLECTION) * new, out=kept)
        if pool.budget is not None:
            old.budget = DEFLECTION * old.budget + (1 - DEFLECTION) * fresh.budget

    def _shortage(self, answer: Answer) -> Multipliers:
        """How much more is taken than there is, and how much less than floors ask."""
        pool, relaxation = self.tables.pool, self.relaxation
        spent = float(relaxation.subsidies[np.unique(answer.wishes)].sum())
        return Multipliers(
            np.subtract(relaxation.usage(answer), 1.0, dtype=np.float64),
            self.floors - np.asarray(self.tables.block_floors[answer.blocks].sum(axis=0), dtype=np.float64),
            0.0 if pool.budget is None else spent - pool.budget,
            relaxation.drawn(answer) - relaxation.capacities,
        )

    def _move(self, here: float) -> None:
        way, at = self.direction, self.at
        if way is None:
            return
        scale = self.budget_scale
        norm = _active(at.slots, way.slots) + _active(at.utilities, way.utilities)
        norm += float((way.floors**2 / self.floor_scale).sum())
        norm += (way.budget * scale) ** 2 if at.budget > 0 or way.budget > 0 else 0.0
        hoped = max(here - self.lower - 0.05 * abs(self.lower), 0.005 * abs(here), 1.0)
        step = self.pace * hoped / max(norm, 1e-9)
        self.at = Multipliers(
            np.maximum(at.slots + step * way.slots, 0.0),
            np.clip(at.floors + step * way.floors / self.floor_scale, 0.0, self.tables.pool.short),
            max(0.0, at.budget + step * way.budget * scale * scale),
            np.maximum(at.utilities + step * way.utilities, 0.0),
        )


def bound(
    tables: Tables, lower: int, effort: Effort, told: Callable[[float, int], None] | None = None
) -> Bound:
    """Bound a pool from above, given a plan's points; `told` hears the bound and the number of steps."""
    ascent = Ascent(tables, lower)
    for number in range(STEPS):
        ascent.step()
        effort.add(SECONDS_PER_CANDIDATE * len(tables.address))
        if told is not None and number % 10 == 9:
            told(ascent.least, number + 1)
        if ascent.settled or effort.over or effort.share > MOST_SHARE:
            break
    return ascent.bound()


def _active(prices: Real, way: Real) -> float:
    """The squared length of a direction where prices can follow it."""
    held = np.where((prices > 0) | (way > 0), way, 0.0)
    return float(np.square(held, out=held).sum())
