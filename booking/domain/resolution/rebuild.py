"""The best repair of one group: nearest places first, then a bound, then the exact solver on it or on parts of it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from booking.domain.resolution.effort import Effort
from booking.domain.resolution.field import Field, Placing, Standing, cheapest_chain, total_of
from booking.domain.resolution.moves import Group, Mover
from booking.domain.resolution.nearest import by_weight, exchange, settle
from booking.domain.resolution.problem import Place, Pool
from booking.domain.resolution.repair_bound import ROUNDS, Relaxed, relaxed
from booking.domain.resolution.starts import Slots

if TYPE_CHECKING:
    from booking.domain.resolution.exact.repair import Answer

GROUP_WORK = 1.0
"""The solver's own measure of work for a group: some seconds."""
FIRST_WORK = 0.06
"""The first part of it."""
SECONDS_A_ROUND = 1e-8
"""What a round of prices takes, for each candidate and slot."""
PART_WORK = 0.1
WHOLE = 20_000
"""The most candidates of a group that is given to the solver at once before it is improved in parts."""
LARGE_ROUNDS = 150
"""Rounds of prices for such a group: with fewer its bound lies twice as far from the repair."""
FEWEST_ROUNDS = 10
LARGE_WORK = 0.5
"""The solver's work for its bound: nearly all that it finds comes within this."""
PART = 40
"""Bookings that are free at once when a group is too large for that."""
SECONDS_OF_WORK = 7.0
"""Seconds of the processor to one of the solver's measure of work, by experience."""
SECONDS_A_MOVER = 3e-4
"""What it takes to build a model, for each booking in it."""


@dataclass(slots=True, eq=False)
class Rebuilt:
    """A group with its best repair so far, and a bound below every repair of it."""

    group: Group
    standing: Standing
    placing: Placing
    cost: int
    bound: int
    left: list[Slots]
    relaxed: Relaxed | None = None

    @property
    def proven(self) -> bool:
        """Whether nothing is better."""
        return self.cost <= self.bound


def solver() -> ModuleType | None:
    """The exact solver, None where it is not installed or cannot be loaded."""
    try:
        return import_module("booking.domain.resolution.exact.repair")
    except (ImportError, OSError):
        return None


def settled(group: Group, pool: Pool, left: list[Slots]) -> Rebuilt:
    """A group by nearest places alone: a repair in milliseconds."""
    standing = Standing(Field(group, pool), left)
    settle(standing)
    placing = dict(standing.placing)
    cost = total_of(group.movers, placing)
    return Rebuilt(
        group, standing, placing, cost, sum(_least(mover) for mover in group.movers if mover.hit), left
    )


def resettle(rebuilt: Rebuilt, known: Mapping[int, tuple[Place, ...] | None]) -> None:
    """Begin with what is known of the bookings of a group, where that is better; who is not known stays."""
    if not known:
        return
    other = Standing(rebuilt.standing.field, rebuilt.left)
    for mover in rebuilt.group.movers:
        other.lift(mover)
    for mover in rebuilt.group.movers:
        other.put(mover, known.get(mover.number, None if mover.hit else mover.before))
    _take_if_better(rebuilt, other)


def _least(mover: Mover) -> int:
    """What a booking would cost if it were alone."""
    if not all(len(moves) for moves in mover.moves):
        return mover.cancelling
    total, _chosen = cheapest_chain(mover, [moves.costs.astype(np.float64) for moves in mover.moves])
    return min(mover.cancelling, int(total) + mover.moving if total < np.inf else mover.cancelling)


def sharpen(rebuilt: Rebuilt, effort: Effort, rounds: int = ROUNDS) -> None:
    """Bound a group, and try once more by nearest places at the prices of the bound."""
    field = rebuilt.standing.field
    round_of_prices = (field.size + field.candidates) * SECONDS_A_ROUND
    if effort.left < rounds * round_of_prices:
        rounds = max(FEWEST_ROUNDS, int(effort.left / round_of_prices))
    effort.add(rounds * round_of_prices)
    start = rebuilt.relaxed.prices if rebuilt.relaxed else None
    found = relaxed(field, rebuilt.cost, rounds, start)
    if rebuilt.relaxed is None or found.bound > rebuilt.relaxed.bound:
        rebuilt.relaxed = found
    rebuilt.bound = max(rebuilt.bound, math.ceil(rebuilt.relaxed.bound - 1e-6))
    if not rebuilt.proven:
        again = Standing(field, rebuilt.left)
        settle(again, by_weight, rebuilt.relaxed.prices)
        exchange(again)
        _take_if_better(rebuilt, again)


def prove(
    rebuilt: Rebuilt, effort: Effort, seed: int, most: float = GROUP_WORK, first: float = FIRST_WORK
) -> None:
    """Give a whole group to the solver, but for candidates that no better repair has.

    Again with twice the work while it is not proven: a better repair leaves fewer candidates, and another start often
    proves sooner.
    """
    movers, work, turn = list(rebuilt.group.movers), first, 0
    while most > 0 and not rebuilt.proven and not effort.over:
        answer = _solved(rebuilt, movers, _kept(rebuilt, movers), effort, min(work, most), seed + turn)
        if answer is None:
            return
        rebuilt.bound = max(rebuilt.bound, min(answer.bound, rebuilt.cost))
        if answer.placing:
            _place(rebuilt, answer.placing, answer.cost)
        most, work, turn = most - work, 2 * work, turn + 1


def improve(rebuilt: Rebuilt, effort: Effort, seed: int, rounds: int) -> None:
    """Free a few bookings that stand in each other's way and place them anew, again and again."""
    rng = random.Random(seed)  # noqa: S311 - a search, not a secret
    homes = [mover for mover in rebuilt.group.movers if mover.hit]
    for _ in range(rounds):
        if effort.over or rebuilt.proven:
            return
        worth = [1 + cost_now(rebuilt, mover) for mover in homes]
        movers = _neighbourhood(rebuilt, rng.choices(homes, worth)[0], rng)
        before = total_of(movers, rebuilt.placing)
        answer = _solved(rebuilt, movers, _kept(rebuilt, movers), effort, PART_WORK, seed)
        if answer is None:
            return
        if answer.placing and answer.cost < before:
            _place(rebuilt, answer.placing, rebuilt.cost - before + answer.cost)


def _solved(
    rebuilt: Rebuilt,
    movers: list[Mover],
    kept: dict[int, list[Slots]],
    effort: Effort,
    most: float,
    seed: int,
) -> Answer | None:
    """What the solver makes of some movers; nothing where there is no solver, or where it fails."""
    exact = solver()
    if exact is None:
        return None
    work = min(most, effort.left / SECONDS_OF_WORK)
    effort.add(len(movers) * SECONDS_A_MOVER)
    try:
        answer: Answer = exact.repaired(rebuilt.standing, movers, kept, work=work, seed=seed)
    except (MemoryError, RuntimeError, ValueError):
        return None
    effort.add(answer.work * SECONDS_OF_WORK)
    return answer


def cost_now(rebuilt: Rebuilt, mover: Mover) -> int:
    """What one booking of a group costs now."""
    return total_of([mover], rebuilt.placing)


def _neighbourhood(rebuilt: Rebuilt, seed: Mover, rng: random.Random) -> list[Mover]:
    """A booking with those who stand where it would like to go, then with those who stand where they would."""
    index = rebuilt.standing.field.index
    found, waiting = {seed.number: seed}, [seed]
    while waiting and len(found) < PART:
        mover = waiting.pop(0)
        owners = [
            number
            for step in range(len(mover.steps))
            for number in _standing_in_the_way(rebuilt, mover, step)
            if number not in found
        ]
        rng.shuffle(owners)
        for number in owners[: max(4, PART // 3)]:
            found[number] = index[number]
            waiting.append(index[number])
    chosen = list(found.values())[:PART]
    homeless = [
        m for m in rebuilt.group.movers if rebuilt.placing[m.number] is None and m.number not in found
    ]
    chosen += rng.sample(homeless, min(4, len(homeless)))
    return sorted(chosen, key=lambda mover: mover.number)


def _standing_in_the_way(rebuilt: Rebuilt, mover: Mover, step: int) -> list[int]:
    starts, ends = rebuilt.standing.field.spans[mover.number][step]
    if rebuilt.relaxed is None or mover.number not in rebuilt.relaxed.slack:
        return []
    near = np.argsort(rebuilt.relaxed.slack[mover.number][step], kind="stable")[:60]
    owner = rebuilt.standing.owner
    slots = np.concatenate([owner[a:b] for a, b in zip(starts[near], ends[near], strict=True)])
    return [number for number in np.unique(slots).tolist() if number not in {-1, mover.number}]


def _kept(rebuilt: Rebuilt, movers: list[Mover]) -> dict[int, list[Slots]]:
    """The candidates that may belong to a better repair: free of those who stay, and not too far above the bound."""
    standing, slack = rebuilt.standing, rebuilt.relaxed.slack if rebuilt.relaxed else {}
    room = rebuilt.cost - (rebuilt.relaxed.bound if rebuilt.relaxed else 0) + 1e-6
    lifted = {mover.number: standing.lift(mover) for mover in movers}
    kept: dict[int, list[Slots]] = {}
    for mover in movers:
        parts = []
        for step, moves in enumerate(mover.moves):
            above = slack[mover.number][step] if mover.number in slack else np.zeros(len(moves))
            parts.append(np.flatnonzero(standing.free(mover, step) & (above <= room)))
        kept[mover.number] = parts
    for mover in movers:
        standing.put(mover, lifted[mover.number])
        _keep_own(mover, lifted[mover.number], kept[mover.number])
    return kept


def _keep_own(mover: Mover, places: tuple[Place, ...] | None, kept: list[Slots]) -> None:
    """Where a booking stands is always among its candidates."""
    for step, (instrument, start) in enumerate(places or ()):
        moves = mover.moves[step]
        own = np.flatnonzero((moves.instruments == instrument) & (moves.starts == start))
        kept[step] = np.union1d(kept[step], own)


def _take_if_better(rebuilt: Rebuilt, other: Standing) -> None:
    cost = other.cost()
    if cost < rebuilt.cost:
        rebuilt.standing, rebuilt.placing, rebuilt.cost = other, dict(other.placing), cost


def _place(rebuilt: Rebuilt, placing: Placing, cost: int) -> None:
    if cost >= rebuilt.cost:
        return
    standing = rebuilt.standing
    for number in placing:
        standing.lift(standing.field.index[number])
    for number, places in placing.items():
        standing.put(standing.field.index[number], places)
    rebuilt.placing, rebuilt.cost = dict(standing.placing), cost
