"""A plan in milliseconds: wishes in some order, each at its cheapest free place. The fallback and the yardstick."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from booking.domain.resolution.board import FAR, Board, Prices, no_prices
from booking.domain.resolution.bound import Bound
from booking.domain.resolution.problem import Pool, Wish
from booking.domain.resolution.tables import Tables

ORDERS: dict[str, Callable[[Wish], float]] = {
    "first_come": lambda wish: wish.submitted,
    "density": lambda wish: -wish.value / wish.slots,
    "value": lambda wish: -wish.value,
}
"""What the named orders sort by."""


def greedy(tables: Tables, order: str) -> Board:
    """Make a plan in a named order."""
    board = Board(tables)
    insert(board, ordered(tables.pool, order), no_prices(tables))
    return board


def best_greedy(tables: Tables) -> Board:
    """Make the best plan of all named orders, and of the one that serves floors first."""
    boards = [greedy(tables, order) for order in ORDERS]
    if tables.pool.floors:
        boards.append(floors_first(tables))
    return max(boards, key=lambda board: board.objective)


def floors_first(tables: Tables) -> Board:
    """Make a plan that serves the classes of floors by value until their floors are met, then everybody."""
    board, pool = Board(tables), tables.pool
    order = ordered(pool, "value")
    paid = no_prices(tables, floors=float(pool.short))
    for index, floor in enumerate(pool.floors):
        for number in order:
            if board.floor_use[index] >= floor.slots:
                break
            if number not in board.spots and pool.wishes[number].quota_class == floor.quota_class:
                _insert_for(board, number, index, paid)
    insert(board, [number for number in order if number not in board.spots], no_prices(tables))
    return board


def guided(tables: Tables, bound: Bound) -> Board:
    """Make the best plan that prices lead to: first those that the relaxed solution takes most often.

    Ties fall to what a wish leaves over its price, in one order after rounding the frequencies to tenths.
    """
    scale = float(np.abs(bound.profit[np.isfinite(bound.profit)]).max(initial=1.0)) * 1e3
    boards = []
    for keys in (-bound.frequency, -np.round(bound.frequency, 1) - bound.profit / scale):
        board = Board(tables)
        order = np.argsort(keys, kind="stable").tolist()
        insert(board, order, bound.prices, least=-FAR)
        boards.append(board)
    return max(boards, key=lambda board: board.objective)


def ordered(pool: Pool, order: str) -> list[int]:
    """The wishes of a pool in a named order."""
    key = ORDERS[order]
    return sorted(range(len(pool.wishes)), key=lambda number: (key(pool.wishes[number]), number))


def insert(board: Board, order: Iterable[int], prices: Prices, least: float = 0.0) -> None:
    """Serve each wish in turn at its cheapest free place, where its value less its price is more than `least`."""
    wishes = board.tables.pool.wishes
    for number in order:
        wish = wishes[number]
        if not board.allows(wish):
            continue
        found = board.best(number, prices)
        if found is not None and wish.value - found[0] - prices.rule_cost(wish) > least:
            board.put(number, found[1])


def _insert_for(board: Board, number: int, floor: int, prices: Prices) -> None:
    if not board.allows(board.tables.pool.wishes[number]):
        return
    found = board.best(number, prices)
    if found is not None and any(board.tables.block_floors[block, floor] for block, _ in found[1]):
        board.put(number, found[1])
