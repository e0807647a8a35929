"""A part of a round solved exactly: some wishes free, all others where they are.

One optional interval for each wish and instrument, its start ranging over what the others leave free; intervals of one
instrument do not overlap; caps, budget, floors and utilities hold what remains of them. Starts of places not
taken fall to their least, so that lateness needs no condition.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from booking.domain.resolution.board import FAR, Board, Spot, Spots
from booking.domain.resolution.problem import Wish
from booking.domain.resolution.starts import Bits
from booking.domain.resolution.tables import Whole


@dataclass(frozen=True, slots=True)
class Found:
    """What the solver answers: where the free wishes go, whether nothing is better, and its work."""

    spots: dict[int, Spots] | None
    """None where it found nothing in its time."""
    optimal: bool
    bound: float
    """No plan that keeps the others in place has more points."""
    work: float


def improved(
    board: Board,
    free: Iterable[int],
    old: Mapping[int, Spots],
    *,
    work: float,
    seed: int,
    seconds: float | None = None,
    instruments: Bits | None = None,
    blocks: Collection[int] | None = None,
    every: bool = False,
    presolve: bool = True,
    stopped: Callable[[], bool] | None = None,
) -> Found:
    """Place the free wishes, which the board does not hold, as well as can be; `old` is where they were before.

    With `instruments` or `blocks` only these may be used. With `every` all free wishes are served, or nothing is found:
    then the bound is minus infinity if that cannot be. Some pools are proven much sooner without `presolve`.
    """
    solver = _solver(work, seed, seconds)
    solver.parameters.cp_model_presolve = presolve
    numbers = list(free)
    model = _Model(board, old, numbers, instruments, blocks)
    if every:
        model.serve(numbers)
    return model.solved(solver, stopped)


class _Model:
    def __init__(
        self,
        board: Board,
        old: Mapping[int, Spots],
        free: Iterable[int],
        instruments: Bits | None = None,
        blocks: Collection[int] | None = None,
    ) -> None:
        self.board = board
        self.allowed = instruments
        self.blocks = blocks
        self.tables = board.tables
        self.old = old
        self.model = cp_model.CpModel()
        self.gains: list[tuple[Any, int]] = []
        self.offset = 0
        self.served: dict[int, tuple[Any, list[tuple[Any, list[tuple[Any, int]]]]]] = {}
        self.intervals: defaultdict[int, list[Any]] = defaultdict(list)
        self.caps: defaultdict[int, list[tuple[Any, int]]] = defaultdict(list)
        self.subsidies: list[tuple[Any, int]] = []
        self.floors: list[list[tuple[Any, int]]] = [[] for _ in self.tables.pool.floors]
        self.drawn: defaultdict[int, list[tuple[Any, int]]] = defaultdict(list)
        for number in free:
            self._add(number)
        self._bind()

    def serve(self, numbers: Iterable[int]) -> None:
        """Ask that all these wishes are served."""
        for number in numbers:
            # A wish that has no free place is not in the model: nothing satisfies an empty clause.
            self.model.add_bool_or([self.served[number][0]] if number in self.served else [])

    def solved(self, solver: cp_model.CpSolver, stopped: Callable[[], bool] | None) -> Found:
        status = solver.solve(self.model, _Stop(stopped) if stopped is not None else None)
        known = status in {cp_model.OPTIMAL, cp_model.FEASIBLE}
        constant = self.board.worth
        none = -FAR if status == cp_model.INFEASIBLE else FAR
        return Found(
            spots=self._spots(solver) if known else None,
            optimal=status == cp_model.OPTIMAL,
            bound=constant + solver.best_objective_bound if known else none,
            work=float(solver.response_proto.deterministic_time),
        )

    def _add(self, number: int) -> None:
        steps = self.tables.steps(number)
        alternatives = [self._alternatives(step) for step in steps]
        if steps and all(alternatives):
            self._add_wish(number, self.tables.pool.wishes[number], alternatives)

    def _alternatives(self, step: int) -> list[tuple[int, Whole, int]]:
        """For each block with free places: the starts, and what the earliest costs."""
        found = []
        for block in self.tables.blocks(step):
            if self.blocks is not None and block not in self.blocks:
                continue
            if self.allowed is not None and not self.allowed[self.tables.block_instrument[block]]:
                continue
            addresses, costs = self.board.free(block, None)
            if len(addresses):
                offset = int(self.tables.block_instrument[block]) * self.tables.stride
                found.append((block, addresses - offset, int(costs[0])))
        return found

    def _add_wish(self, number: int, wish: Wish, steps: list[list[tuple[int, Whole, int]]]) -> None:
        model, before = self.model, self.old.get(number)
        served = model.new_bool_var("")
        model.add_hint(served, before is not None)
        self.gains.append((served, wish.value))
        self._charge(wish, served)
        placed: list[tuple[Any, list[tuple[Any, int]]]] = []
        for index, alternatives in enumerate(steps):
            spot = None if before is None else before[index]
            placed.append(self._add_step(wish, index, alternatives, served, spot))
            if index:
                low, high = wish.steps[index].lag
                end = placed[index - 1][0] + wish.steps[index - 1].duration
                model.add(placed[index][0] >= end + low).only_enforce_if(served)
                model.add(placed[index][0] <= end + high).only_enforce_if(served)
        self.served[number] = served, placed

    def _add_step(
        self,
        wish: Wish,
        index: int,
        alternatives: list[tuple[int, Whole, int]],
        served: Any,
        spot: Spot | None,
    ) -> tuple[Any, list[tuple[Any, int]]]:
        model = self.model
        every = np.unique(np.concatenate([starts for _, starts, _ in alternatives]))
        start = model.new_int_var_from_domain(domain_of(every), "")
        model.add_hint(start, int(every[0]) if spot is None else self.board.place(spot)[1])
        earliest = int(every[0])
        if index == 0 and wish.late:
            self.gains.append((start, -wish.late))
            self.offset += wish.late * earliest
        choices = []
        for block, starts, cost in alternatives:
            here = model.new_bool_var("")
            model.add_hint(here, spot is not None and spot[0] == block)
            if len(starts) < len(every):
                model.add_linear_expression_in_domain(start, domain_of(starts)).only_enforce_if(here)
            self._occupy(block, start, here)
            # The cost of the earliest start of this block, less the lateness that `start` pays anyway.
            late = wish.late * (int(starts[0]) - earliest) if index == 0 else 0
            if cost - late:
                self.gains.append((here, late - cost))
            choices.append((here, block))
        model.add(sum(here for here, _ in choices) == served)
        return start, choices

    def _occupy(self, block: int, start: Any, here: Any) -> None:
        tables = self.tables
        length = int(tables.block_length[block])
        interval = self.model.new_optional_fixed_size_interval_var(start, length, here, "")
        self.intervals[int(tables.block_instrument[block])].append(interval)
        for index, slots in enumerate(tables.block_floors[block].tolist()):
            if slots:
                self.floors[index].append((here, int(slots)))
        for utility, amount in tables.block_draws[block]:
            run = self.model.new_optional_fixed_size_interval_var(
                start, int(tables.block_duration[block]), here, ""
            )
            self.drawn[utility].append((run, amount))

    def _charge(self, wish: Wish, here: Any) -> None:
        if wish.organisation in self.board.caps_left:
            self.caps[wish.organisation].append((here, wish.slots))
        if wish.subsidy and self.board.budget_left != FAR:
            self.subsidies.append((here, wish.subsidy))

    def _bind(self) -> None:
        """Add the rules that bind all wishes together, where they can bind at all, and the objective."""
        model = self.model
        for intervals in self.intervals.values():
            if len(intervals) > 1:
                model.add_no_overlap(intervals)
        for organisation, charged in self.caps.items():
            self._limit(charged, self.board.caps_left[organisation])
        if self.subsidies:
            self._limit(self.subsidies, int(self.board.budget_left))
        for index, floor in enumerate(self.tables.pool.floors):
            need = floor.slots - int(self.board.floor_use[index])
            if need > 0:
                self._promise(self.floors[index], need)
        for utility, draws in self.drawn.items():
            self._share(utility, draws)
        model.maximize(total(self.gains) + self.offset)

    def _limit(self, charged: list[tuple[Any, int]], room: int) -> None:
        if sum(amount for _, amount in charged) > room:
            self.model.add(total(charged) <= room)

    def _promise(self, given: list[tuple[Any, int]], need: int) -> None:
        missing = self.model.new_int_var(0, need, "")
        self.model.add(total(given) + missing >= need)
        self.gains.append((missing, -self.tables.pool.short))

    def _share(self, utility: int, draws: list[tuple[Any, int]]) -> None:
        """Draw no more of a utility than is left in each slot."""
        left = np.maximum(self.board.utilities_left[utility], 0)
        most = int(left.max(initial=0))
        edges = [0, *(np.flatnonzero(np.diff(left)) + 1).tolist(), len(left)]
        runs = [run for run, _ in draws]
        amounts = [amount for _, amount in draws]
        for start, end in pairwise(edges):
            if left[start] < most:
                runs.append(self.model.new_fixed_size_interval_var(start, end - start, ""))
                amounts.append(most - int(left[start]))
        self.model.add_cumulative(runs, amounts, most)

    def _spots(self, solver: cp_model.CpSolver) -> dict[int, Spots]:
        found: dict[int, Spots] = {}
        for number, (served, placed) in self.served.items():
            if solver.boolean_value(served):
                found[number] = tuple(
                    self._spot(solver, start, block)
                    for start, choices in placed
                    for here, block in choices
                    if solver.boolean_value(here)
                )
        return found

    def _spot(self, solver: cp_model.CpSolver, start: Any, block: int) -> Spot:
        return block, int(self.tables.block_instrument[block]) * self.tables.stride + int(solver.value(start))


def _solver(work: float, seed: int, seconds: float | None) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = 1
    parameters.random_seed = seed % 2**31
    parameters.max_deterministic_time = work
    # The linear relaxation proves most.
    parameters.linearization_level = 2
    if seconds is not None:
        parameters.max_time_in_seconds = max(0.01, seconds)
    # From a good plan probing and symmetry cost more than they find.
    parameters.cp_model_probing_level = 0
    parameters.symmetry_level = 0
    parameters.max_presolve_iterations = 1
    # What comes before what on an instrument: more thought for it proves many pools ten times sooner.
    parameters.use_strong_propagation_in_disjunctive = True
    return solver


class _Stop(cp_model.CpSolverSolutionCallback):
    """Stop at the next solution after a word from outside."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self.stopped = stopped

    def on_solution_callback(self) -> None:
        if self.stopped():
            self.stop_search()


def total(terms: list[tuple[Any, int]]) -> Any:
    """The sum of variables with their factors."""
    return cp_model.LinearExpr.weighted_sum([term for term, _ in terms], [factor for _, factor in terms])


def domain_of(starts: Whole) -> cp_model.Domain:
    """The domain of sorted starts, in runs of neighbours."""
    breaks = np.flatnonzero(np.diff(starts) != 1)
    firsts = starts[np.concatenate(([0], breaks + 1))].tolist()
    lasts = starts[np.concatenate((breaks, [len(starts) - 1]))].tolist()
    return cp_model.Domain.from_intervals([list(pair) for pair in zip(firsts, lasts, strict=True)])
