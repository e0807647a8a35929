"""Adaptive large-neighbourhood search: free some wishes, place them exactly, keep what is not worse, learn where.

After Shaw (1998) and Ropke and Pisinger (2006): neighbourhoods that gain are drawn more often; those that are solved
to the end without gain grow, those that are not solved in their time shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from booking.domain.resolution.board import Board, Spots
from booking.domain.resolution.effort import SECONDS_OF_WORK, Effort
from booking.domain.resolution.exact import pool as exact
from booking.domain.resolution.neighbourhoods import Neighbourhoods, Part

FIRST_SIZE = 40
LEAST_SIZE, MOST_SIZE = 12, 400
FIRST_WORK, MOST_WORK = 0.25, 4.0
"""Deterministic seconds of the solver for one neighbourhood."""
SECONDS_PER_WISH = 4e-4
"""Processor seconds to build the model of one free wish, measured."""
PATIENCE = 10


@dataclass(slots=True)
class _Kind:
    """What was learnt of one kind of neighbourhood."""

    size: float = FIRST_SIZE
    work: float = FIRST_WORK
    luck: float = 1.0
    failures: int = 0

    def learn(self, *, gained: bool, optimal: bool) -> None:
        self.luck = 0.9 * self.luck + (0.1 if gained else 0.0)
        self.failures = 0 if gained else self.failures + 1
        if not optimal:
            self.size = max(LEAST_SIZE, self.size * 0.93)
            self.work = min(MOST_WORK, self.work * 1.05)
        elif self.failures >= PATIENCE:
            self.size = min(MOST_SIZE, self.size * 1.2)
            self.failures = 0


class Search:
    """A search that may go on in several turns and keeps what it learnt."""

    def __init__(self, known: Neighbourhoods, seed: int) -> None:
        self.known = known
        self.random = np.random.default_rng(seed)
        self.kinds: dict[str, _Kind] = {}
        self.turns = 0

    def improve(
        self,
        board: Board,
        part: Part,
        effort: Effort,
        *,
        enough: float = float("inf"),
        told: Callable[[int], None] | None = None,
    ) -> None:
        """Improve a plan until the effort is spent or the plan has `enough` points; it never gets worse."""
        while not effort.over and board.objective < enough:
            name = self._choose(board)
            kind = self.kinds[name]
            free = self.known.drawn(name, board, part, max(LEAST_SIZE, int(kind.size)), self.random)
            self.turns += 1
            if not free:
                effort.add(SECONDS_PER_WISH)
                continue
            before = board.objective
            optimal, work = self._replace(board, free, part, kind.work, effort)
            effort.add(SECONDS_OF_WORK * work + SECONDS_PER_WISH * len(free))
            kind.learn(gained=board.objective > before, optimal=optimal)
            if told is not None and (board.objective > before or self.turns % 20 == 0):
                told(board.objective)

    def _choose(self, board: Board) -> str:
        names = self.known.kinds(board)
        for name in names:
            self.kinds.setdefault(name, _Kind())
        sums = np.cumsum([0.08 + self.kinds[name].luck for name in names])
        return names[int(np.searchsorted(sums, self.random.random() * sums[-1], side="right"))]

    def _replace(
        self, board: Board, free: list[int], part: Part, work: float, effort: Effort
    ) -> tuple[bool, float]:
        """Place the free wishes anew; whether that was solved to the end, and the solver's work."""
        before = board.objective
        old = {number: board.drop(number) for number in free if number in board.spots}
        try:
            found = exact.improved(
                board,
                free,
                old,
                work=min(work, max(0.01, effort.left)),
                seed=self.turns,
                seconds=None if effort.seconds is None else effort.left + 0.05,
                instruments=part.instruments,
            )
        except Exception:
            _put(board, old)
            raise
        _put(board, old if found.spots is None else found.spots)
        if board.objective < before:
            for number in found.spots or {}:
                board.drop(number)
            _put(board, old)
        return found.optimal, found.work


def _put(board: Board, spots: dict[int, Spots]) -> None:
    for number in sorted(spots):
        board.put(number, spots[number])
