"""The engine of a round: the best plan that the time allows, with its distance to a certified bound."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from booking.domain.resolution import bound as bounds
from booking.domain.resolution import check, greedy, neighbourhoods
from booking.domain.resolution.board import FAR, Board, Prices, Spots
from booking.domain.resolution.documents import fingerprint
from booking.domain.resolution.effort import SECONDS_OF_WORK, Effort
from booking.domain.resolution.problem import Plan, Pool
from booking.domain.resolution.tables import Tables, tables

if TYPE_CHECKING:
    from booking.domain.resolution.exact.choices import Choices

LOG = logging.getLogger(__name__)

WHOLE = 80_000
"""Up to so many candidates the pool is solved as a whole, at once and then after a short search."""
FIRST_WORK = 0.08
"""The solver's deterministic seconds for that at once: most pools need less than half of them."""
WHOLE_WORK = ((True, 0.24), (False, 0.24))
"""And then, with presolve and without: one of them is often many times faster."""
CHOICE_WORK = 0.2
"""The work for a proof by choices after each."""
GROWTH = 4
"""How many times longer each turn of all these is than the one before: another start often proves sooner."""
WARM_WORK = 0.1
"""The search before each: from a plan that is nearly the best a proof takes tenths of a second, from others seconds."""
WARM_SHARE = 0.2
"""The most of the seconds that are left for it, and for a proof by choices."""
FAR_POINTS = 2**62
CHOICES = ((100, 5.0), (1000, 30.0), (5000, 60.0))
LONGEST = 300.0
"""Up to so many wishes, seconds of the wall; and for more."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the engine is: its phase, the best plan's points, the bound so far, the share of its time that is used."""

    phase: str
    objective: int
    bound: int | None
    share: float


@dataclass(frozen=True, slots=True)
class Result:
    """A plan that the referee has passed, and what a round publishes with it."""

    plan: Plan
    objective: int
    bound: int
    """No plan at all has more points."""
    missing: tuple[int, ...]
    """What each floor misses, in slots."""
    served: int
    slots: int
    subsidy: int
    caps_bound: tuple[int, ...]
    """Organisations whose cap kept out a wish that nothing else kept out by its size."""
    budget_bound: bool
    method: str
    seed: int
    fingerprint: str
    seconds: float
    prices: Prices | None
    """What scarce slots and rules cost at the bound; they explain refusals."""

    @property
    def gap(self) -> float:
        """The share of the bound that the plan has not reached."""
        return (self.bound - self.objective) / abs(self.bound) if self.bound else 0.0

    @property
    def optimal(self) -> bool:
        """Whether no plan can be better."""
        return self.objective >= self.bound


Listener = Callable[[Progress], None]


def solve(
    pool: Pool,
    *,
    seconds: float | None = None,
    seed: int = 0,
    work: float | None = None,
    on_progress: Listener | None = None,
    stopped: Callable[[], bool] | None = None,
) -> Result:
    """Allocate a pool within wall `seconds` or counted `work`, or until `stopped` says so; greedy is always ready.

    Without a limit the engine takes what a pool of this size is worth. The same pool, seed and `work` give the same
    plan.
    """
    if seconds is None and work is None:
        seconds = own_choice(pool)
    effort = Effort(seconds, work, stopped)
    return _Run(pool, seed, effort, on_progress).result()


def own_choice(pool: Pool) -> float:
    """The seconds that a pool of this size is worth; most gain is made in the first third."""
    return next((seconds for most, seconds in CHOICES if len(pool.wishes) <= most), LONGEST)


class _Run:
    def __init__(self, pool: Pool, seed: int, effort: Effort, on_progress: Listener | None) -> None:
        self.pool = pool
        self.seed = seed
        self.effort = effort
        self.on_progress = on_progress
        self.bound: int | None = None
        self.prices: Prices | None = None
        self.method = "greedy"

    def result(self) -> Result:
        candidates = tables(self.pool)
        board = greedy.best_greedy(candidates)
        self._tell("greedy", board)
        if not self.effort.over and len(candidates.address):
            board = self._bounded(board, candidates)
        return self._judged(board, candidates)

    def _bounded(self, board: Board, candidates: Tables) -> Board:
        """Bound the pool, let its prices guide a second greedy, and search on from the better plan."""

        def told(least: float, _steps: int) -> None:
            self.bound = int(least)
            self._tell("bound", board)

        found = bounds.bound(candidates, board.objective, self.effort, told)
        self.bound, self.prices = found.points, found.prices
        led = greedy.guided(candidates, found)
        if led.objective > board.objective:
            board, self.method = led, "prices"
        self._tell("prices", board)
        try:
            return self._searched(board, candidates, found)
        except (ImportError, RuntimeError, ValueError, MemoryError):
            # A solver that is missing or fails must not cost the round its plan: prices and greedy made one.
            LOG.exception("the exact solver did not work; the plan of %s stands", self.method)
            return board

    def _searched(self, board: Board, candidates: Tables, found: bounds.Bound) -> Board:
        """Search for a better plan; a small pool is proven in between, as a whole and by its choices, in turn."""
        from booking.domain.resolution import search  # noqa: PLC0415 - loads OR-Tools, which may be missing
        from booking.domain.resolution.exact.choices import Choices  # noqa: PLC0415

        searching = search.Search(neighbourhoods.Neighbourhoods(candidates, found), self.seed)
        everything = neighbourhoods.everything(candidates)

        def improve(effort: Effort) -> None:
            searching.improve(
                board, everything, effort, enough=self._enough(), told=lambda _: self._tell("search", board)
            )
            self.method = "search"

        if len(candidates.address) > WHOLE:
            improve(self.effort)
            return board
        if not self._done(board):
            board = self._whole(board, candidates, FIRST_WORK, 0, presolve=True)
        choices = Choices(candidates, found.prices, self.seed) if not self._done(board) else None
        turn = 0
        while choices is not None and not self._done(board):
            warm = self._part(WARM_WORK)
            improve(warm)
            self.effort.add(warm.done)
            for presolve, work in WHOLE_WORK:
                if not self._done(board):
                    board = self._whole(board, candidates, work * GROWTH**turn, turn, presolve=presolve)
            if not self._done(board):
                board = self._chosen(board, choices, CHOICE_WORK * GROWTH**turn)
            turn += 1
        return board

    def _done(self, board: Board) -> bool:
        return self.effort.over or board.objective >= self._enough()

    def _enough(self) -> float:
        return FAR if self.bound is None else self.bound

    def _part(self, work: float) -> Effort:
        """A limit for the first part of what is left."""
        seconds = None if self.effort.seconds is None else WARM_SHARE * self.effort.left
        return Effort(seconds, min(work, self.effort.left), self.effort.stopped)

    def _chosen(self, board: Board, choices: Choices, work: float) -> Board:
        """Let the program of choices prove a plan, or find a better one."""
        part = self._part(work)
        spots = choices.improved(board, part)
        self.effort.add(part.done)
        return self._taken(board, spots, choices.bound)

    def _whole(self, board: Board, candidates: Tables, work: float, turn: int, *, presolve: bool) -> Board:
        """Solve the whole pool exactly from a plan; its bound may be better than the prices'."""
        from booking.domain.resolution.exact import pool as exact  # noqa: PLC0415

        found = exact.improved(
            Board(candidates),
            [number for number in range(candidates.wishes) if candidates.steps(number)],
            board.spots,
            work=min(work, max(0.01, self.effort.left / SECONDS_OF_WORK)),
            seed=self.seed + turn,
            seconds=None if self.effort.seconds is None else self.effort.left,
            presolve=presolve,
            stopped=self.effort.stopped,
        )
        self.effort.add(SECONDS_OF_WORK * found.work)
        return self._taken(board, found.spots, found.bound)

    def _taken(self, board: Board, spots: Mapping[int, Spots] | None, bound: float) -> Board:
        """What an exact method gave: a bound that may be better than the prices', and perhaps a plan."""
        self.bound = math.floor(min(self._enough(), bound + 1e-6, FAR_POINTS))
        board = self._better(board, spots or {})
        self._tell("exact", board)
        return board

    def _better(self, board: Board, spots: Mapping[int, Spots]) -> Board:
        """The plan of these spots where it is not worse than the one at hand."""
        other = Board(board.tables)
        for number in sorted(spots):
            other.put(number, spots[number])
        if other.objective < board.objective:
            return board
        self.method = "exact"
        return other

    def _tell(self, phase: str, board: Board) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress(phase, board.objective, self.bound, self.effort.share))

    def _judged(self, board: Board, candidates: Tables) -> Result:
        plan = board.plan()
        verdict = check.judged(self.pool, plan)
        wishes = [wish for number, wish in enumerate(self.pool.wishes) if number not in plan]
        bound = self.bound if self.bound is not None else simple_bound(candidates)
        return Result(
            plan=plan,
            objective=verdict.objective,
            bound=max(bound, verdict.objective),
            missing=verdict.missing,
            served=verdict.served,
            slots=verdict.slots,
            subsidy=verdict.subsidy,
            caps_bound=tuple(
                sorted(
                    {
                        wish.organisation
                        for wish in wishes
                        if board.caps_left.get(wish.organisation, wish.slots) < wish.slots
                    }
                )
            ),
            budget_bound=any(wish.subsidy > board.budget_left for wish in wishes),
            method=self.method,
            seed=self.seed,
            fingerprint=fingerprint(self.pool),
            seconds=self.effort.elapsed,
            prices=self.prices,
        )


def simple_bound(candidates: Tables) -> int:
    """The points of a plan in which every wish that anything could serve had a place to itself."""
    pool = candidates.pool
    total = sum(max(0, wish.value) for number, wish in enumerate(pool.wishes) if candidates.steps(number))
    steps = candidates.block_of_step[:-1]
    for index, floor in enumerate(pool.floors):
        given = candidates.block_floors[:, index]
        reach = int(np.maximum.reduceat(given, steps).sum()) if len(steps) else 0
        total -= pool.short * max(0, floor.slots - reach)
    return total
