"""Repair without a solver: each booking to the place nearest to its own, with consenting neighbours making room."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from booking.domain.resolution.field import Points, Standing, cheapest_chain, place_of
from booking.domain.resolution.moves import Mover
from booking.domain.resolution.problem import Place
from booking.domain.resolution.starts import Bits

Order: TypeAlias = Callable[[Mover], tuple[float, ...]]
DEPTH = 1
"""How far a chain goes beyond the neighbour: one who makes room for the one who makes room."""
TRIES = 8
"""How many neighbours may turn out not to fit elsewhere before a booking is given up."""


def by_weight(mover: Mover) -> tuple[float, ...]:
    """The costly ones first, then the long ones, which fit in the fewest places."""
    return (-mover.cancelling, -sum(step.duration for step in mover.steps), mover.number)


def settle(standing: Standing, order: Order = by_weight, prices: Points | None = None) -> None:
    """Give every hit booking of a group the cheapest place that is free, then ask neighbours to make room."""
    hit = sorted((mover for mover in standing.field.group.movers if mover.hit), key=order)
    for mover in hit:
        seen = None if prices is None else standing.field.seen(mover, prices)
        _cost, places = cheapest(standing, mover, prices=seen)
        standing.put(mover, places)
    make_room(standing, [mover for mover in hit if standing.placing[mover.number] is None])


def make_room(standing: Standing, homeless: Iterable[Mover]) -> None:
    """Find places for bookings that have none, where consenting neighbours stand who fit elsewhere."""
    if not any(not mover.hit for mover in standing.field.group.movers):
        return
    for mover in homeless:
        squeeze(standing, mover)


def cheapest(
    standing: Standing, mover: Mover, *, prices: Points | None = None, taken: Bits | None = None
) -> tuple[float, tuple[Place, ...] | None]:
    """The cheapest free places of a mover; the slots in its sight may have prices beside what the places cost."""
    if not all(len(moves) for moves in mover.moves):
        return np.inf, None
    points: list[Points] = [moves.costs.astype(np.float64) for moves in mover.moves]
    if prices is not None:
        sums = np.concatenate(([0.0], np.cumsum(prices)))
        spans = standing.field.sight(mover)[1]
        points = [own + sums[end] - sums[start] for own, (start, end) in zip(points, spans, strict=True)]
    if taken is None:
        taken = standing.field.seen(mover, standing.owner) >= 0
    usable = [standing.free(mover, step, taken) for step in range(len(mover.steps))]
    for _ in mover.steps:
        total, chosen = cheapest_chain(mover, points, usable)
        if not chosen:
            break
        places = tuple(place_of(mover, step, candidate) for step, candidate in enumerate(chosen))
        clash = _own_clash(standing, mover, places)
        if clash is None:
            return total, places
        # The cleaning after one step meets another: that one goes to other instruments.
        usable[clash] &= mover.moves[clash].instruments != places[clash][0]
    return np.inf, None


def _own_clash(standing: Standing, mover: Mover, places: tuple[Place, ...]) -> int | None:
    spans = standing.field.spans_of(mover, places)
    for step in range(1, len(spans)):
        start, end = spans[step]
        if any(a < end and start < b for a, b in spans[:step]):
            return step
    return None


def exchange(standing: Standing, rounds: int = 3) -> None:
    """Give homeless bookings the places of others who are hit, where those go elsewhere or matter less."""
    hit = sorted((mover for mover in standing.field.group.movers if mover.hit), key=by_weight)
    for _ in range(rounds):
        homeless = [mover for mover in hit if standing.placing[mover.number] is None]
        placed = sum(squeeze(standing, mover, all_yield=True) for mover in homeless)
        if not placed:
            return


def squeeze(
    standing: Standing,
    mover: Mover,
    depth: int = DEPTH,
    fixed: frozenset[int] = frozenset(),
    *,
    all_yield: bool = False,
) -> bool:
    """Put a mover that has no place where only consenting neighbours stand who fit elsewhere, if that is worth it.

    A slot of a neighbour costs its share of moving it; a neighbour that fits nowhere else, not even by making others
    move in turn, becomes an obstacle. Others who are hit are obstacles from the beginning, unless all shall yield: then
    they go elsewhere too, or are cancelled.
    """
    index = standing.field.index
    saved = standing.saved()
    obstacles = fixed
    if not all_yield:
        obstacles |= {n for n, places in standing.placing.items() if places is not None and index[n].hit}
    for _ in range(TRIES):
        _cost, places = cheapest_over(standing, mover, obstacles)
        if places is None:
            break
        guests = standing.guests(mover, places)
        stuck = _displace(standing, mover, places, depth, obstacles)
        if stuck is None and standing.spent_since(saved) < mover.cancelling:
            return True
        obstacles |= {stuck} if stuck is not None else set(guests)
        standing.restore(saved)
    return False


def cheapest_over(
    standing: Standing, mover: Mover, obstacles: frozenset[int]
) -> tuple[float, tuple[Place, ...] | None]:
    """The cheapest places where nobody but neighbours stands who might make room, each slot at its share of that."""
    if not all(len(moves) for moves in mover.moves):
        return np.inf, None
    owner = standing.field.seen(mover, standing.owner)
    in_the_way = np.zeros(len(standing.field.shares), dtype=bool)
    in_the_way[list(obstacles)] = True
    # Nobody is -1, the last of each table: free, and without a price.
    return cheapest(standing, mover, prices=standing.field.shares[owner], taken=in_the_way[owner])


def _displace(
    standing: Standing, mover: Mover, places: tuple[Place, ...], depth: int, obstacles: frozenset[int]
) -> int | None:
    """Move neighbours away and the mover in; one who does not fit elsewhere, if there is one."""
    guests = [standing.field.index[number] for number in standing.guests(mover, places)]
    for guest in guests:
        standing.lift(guest)
    standing.put(mover, places)
    settled = obstacles | {mover.number}
    for guest in guests:
        _cost, elsewhere = cheapest(standing, guest)
        if elsewhere is not None:
            standing.put(guest, elsewhere)
        elif not guest.hit and (not depth or not squeeze(standing, guest, depth - 1, settled)):
            return guest.number
        settled |= {guest.number}
    return None
