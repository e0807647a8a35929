"""The exact repair of one group, or of a part of it: a literal for each candidate in CP-SAT."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from ortools.sat.python import cp_model

from booking.domain.resolution.field import Placing, Standing, cost_of, lags
from booking.domain.resolution.moves import Mover
from booking.domain.resolution.problem import Place
from booking.domain.resolution.starts import Slots

Run: TypeAlias = tuple[int, int, tuple[int, int], cp_model.IntVar]
"""A candidate: its span, its mover and step, whether it is taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The places of the movers that were free to go, what they cost, a bound below every such cost, the work spent.

    Empty, it found nothing.
    """

    placing: Placing
    cost: int
    bound: int
    work: float


def repaired(
    standing: Standing,
    movers: Sequence[Mover],
    kept: dict[int, list[Slots]],
    *,
    work: float,
    seed: int = 0,
    core: bool = False,
) -> Answer:
    """The best places of some movers while the others stay, among the candidates that are kept.

    All stand as the solver should begin, and stay so; `kept` must hold where the movers stand. `work` is a limit in the
    solver's own measure, which is the same on every machine; with `core` it comes from the bound, not from the plan.
    """
    model = _Model(standing, movers, kept)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    # Presolve takes the cliques apart that make the relaxation tight, and uses up the limit before the search begins.
    solver.parameters.cp_model_presolve = False
    # The relaxation with all cliques is tight: many groups are proven at its root.
    solver.parameters.linearization_level = 2
    solver.parameters.optimize_with_core = core
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    status = solver.solve(model.model)
    spent = solver.response_proto.deterministic_time
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return Answer({}, 0, 0, spent)
    placing = model.placing(solver)
    cost = sum(cost_of(mover, placing[mover.number]) for mover in movers)
    return Answer(placing, cost, math.ceil(solver.best_objective_bound - 1e-6), spent)


@dataclass(frozen=True, slots=True)
class Least:
    """What some movers cost at least, infinity where not all can be served; how they might stand; the work spent."""

    points: float
    placing: Placing
    work: float


def least(movers: Sequence[Mover], *, work: float, seed: int = 0) -> Least:
    """What movers cost at least if all are served: an interval for each instrument, displacement as a distance.

    Utilities are left out, and what a place costs beside its distance counts as little as on any of the instrument.
    """
    if not all(len(moves) for mover in movers for moves in mover.moves):
        return Least(math.inf, {}, 0.0)
    model = _Intervals(movers)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.linearization_level = 2
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    solver.parameters.max_presolve_iterations = 1
    solver.parameters.use_strong_propagation_in_disjunctive = True
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    status = solver.solve(model.model)
    spent = solver.response_proto.deterministic_time
    if status == cp_model.INFEASIBLE:
        return Least(math.inf, {}, spent)
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return Least(0.0, {}, spent)
    return Least(math.ceil(solver.best_objective_bound - 1e-6), model.placing(solver), spent)


class _Intervals:
    """Every mover is served somewhere; a neighbour may stay where it is."""

    def __init__(self, movers: Sequence[Mover]) -> None:
        self.model = cp_model.CpModel()
        self.runs: defaultdict[int, list[cp_model.IntervalVar]] = defaultdict(list)
        self.points: list[cp_model.LinearExprT] = [0]
        self.steps: defaultdict[int, list[tuple[cp_model.IntVar, dict[int, cp_model.IntVar]]]] = defaultdict(
            list
        )
        for mover in movers:
            self._add(mover)
        for runs in self.runs.values():
            self.model.add_no_overlap(runs)
        self.model.minimize(sum(self.points))

    def placing(self, solver: cp_model.CpSolver) -> Placing:
        """Where the solver put each mover."""
        return {
            number: tuple(
                (
                    next(one for one, here in choices.items() if solver.boolean_value(here)),
                    solver.value(start),
                )
                for start, choices in steps
            )
            for number, steps in self.steps.items()
        }

    def _add(self, mover: Mover) -> None:
        moved = self.model.new_bool_var("")
        self.points.append(mover.moving * moved)
        if mover.hit:
            self.model.add(moved == 1)
        before: cp_model.IntVar | None = None
        for step in range(len(mover.steps)):
            start = self._step(mover, step, moved)
            if before is not None:
                low, high = lags(mover, step)
                self.model.add_linear_constraint(start - before, low, high)
            before = start

    def _step(self, mover: Mover, step: int, moved: cp_model.IntVar) -> cp_model.IntVar:
        model, moves, (place, before) = self.model, mover.moves[step], mover.before[step]
        away = np.abs(moves.starts - before)
        each = int((moves.costs[away > 0] // away[away > 0]).min(initial=2**31)) if (away > 0).any() else 0
        rest = moves.costs - each * away
        start = model.new_int_var_from_domain(cp_model.Domain.from_values(moves.starts.tolist()), "")
        choices: dict[int, cp_model.IntVar] = {}
        for instrument in np.unique(moves.instruments).tolist():
            own = moves.instruments == instrument
            here = model.new_bool_var("")
            places = cp_model.Domain.from_values(moves.starts[own].tolist())
            model.add_linear_expression_in_domain(start, places).only_enforce_if(here)
            length = int((moves.ends[own] - moves.starts[own])[0])
            self.runs[instrument].append(model.new_optional_fixed_size_interval_var(start, length, here, ""))
            self.points.append(int(rest[own].min()) * here)
            if instrument != place:
                model.add_implication(here, moved)
            choices[instrument] = here
        model.add_exactly_one(choices.values())
        self.steps[mover.number].append((start, choices))
        distance = model.new_int_var(0, int(away.max()), "")
        model.add_abs_equality(distance, start - before)
        model.add(distance == 0).only_enforce_if(moved.negated())
        self.points.append(each * distance)
        return start


class _Model:
    """Each mover is cancelled, stays, or has one candidate for each step; nobody meets anybody."""

    def __init__(self, standing: Standing, movers: Sequence[Mover], kept: dict[int, list[Slots]]) -> None:
        self.standing = standing
        self.movers = movers
        self.kept = kept
        self.model = cp_model.CpModel()
        self.taken: dict[tuple[int, int], list[cp_model.IntVar]] = {}
        self.runs: list[Run] = []
        self.draws: defaultdict[int, list[tuple[int, int, int, cp_model.IntVar]]] = defaultdict(list)
        self.points: list[cp_model.LinearExprT] = []
        for mover in movers:
            self._add(mover)
        for clique in cliques(self.runs):
            self.model.add_at_most_one(clique)
        for utility, drawn in self.draws.items():
            self._limit(utility, drawn)
        self.model.minimize(sum(self.points))

    def placing(self, solver: cp_model.CpSolver) -> Placing:
        """Where the solver put each mover."""
        return {mover.number: self._places(mover, solver) for mover in self.movers}

    def _add(self, mover: Mover) -> None:
        """Served or cancelled when it is hit; moved or where it was when it is not."""
        model, number = self.model, mover.number
        now = self.standing.placing[number]
        served = model.new_bool_var("")
        model.add_hint(served, now is not None)
        if mover.hit:
            self.points.append(mover.cancelling - (mover.cancelling - mover.moving) * served)
        else:
            model.add(served == 1)
            moved = model.new_bool_var("")
            model.add_hint(moved, now != mover.before)
            self.points.append(mover.moving * moved)
        for step in range(len(mover.steps)):
            self._step(mover, step, served, None if mover.hit else moved)
        for step in range(1, len(mover.steps)):
            self._lag(mover, step, served)

    def _step(self, mover: Mover, step: int, served: cp_model.IntVar, moved: cp_model.IntVar | None) -> None:
        model, moves, kept = self.model, mover.moves[step], self.kept[mover.number][step]
        now = self.standing.placing[mover.number]
        literals = self.taken[mover.number, step] = [model.new_bool_var("") for _ in kept]
        model.add_exactly_one([*literals, served.negated()])
        starts, ends = self.standing.field.spans[mover.number][step]
        for at, literal in zip(kept.tolist(), literals, strict=True):
            place = int(moves.instruments[at]), int(moves.starts[at])
            self.points.append(int(moves.costs[at]) * literal)
            self.runs.append((int(starts[at]), int(ends[at]), (mover.number, step), literal))
            model.add_hint(literal, now is not None and now[step] == place)
            if moved is not None and place != mover.before[step]:
                model.add_implication(literal, moved)
            for utility, amount in mover.steps[step].draws:
                self.draws[utility].append((place[1], place[1] + mover.steps[step].duration, amount, literal))

    def _lag(self, mover: Mover, step: int, served: cp_model.IntVar) -> None:
        low, high = mover.steps[step].lag
        duration = mover.steps[step - 1].duration
        between = self._start(mover, step, 1) + self._start(mover, step - 1, -1)
        self.model.add_linear_constraint(between, duration + low, duration + high).only_enforce_if(served)

    def _start(self, mover: Mover, step: int, sign: int) -> cp_model.LinearExpr:
        starts = (sign * mover.moves[step].starts[self.kept[mover.number][step]]).tolist()
        return cp_model.LinearExpr.weighted_sum(self.taken[mover.number, step], starts)

    def _limit(self, utility: int, drawn: Sequence[tuple[int, int, int, cp_model.IntVar]]) -> None:
        left = self.standing.left[utility].copy()
        for mover in self.movers:
            for step, (_instrument, start) in zip(
                mover.steps, self.standing.placing[mover.number] or (), strict=False
            ):
                left[start : start + step.duration] += dict(step.draws).get(utility, 0)
        events = sorted({start for start, *_ in drawn} | {end for _, end, *_ in drawn})
        for begin, end in pairwise(events):
            over = [(amount, literal) for a, b, amount, literal in drawn if a <= begin and end <= b]
            least = int(left[begin:end].min())
            if sum(amount for amount, _ in over) > least:
                self.model.add(sum(amount * literal for amount, literal in over) <= least)

    def _places(self, mover: Mover, solver: cp_model.CpSolver) -> tuple[Place, ...] | None:
        places = []
        for step, moves in enumerate(mover.moves):
            literals = self.taken[mover.number, step]
            chosen = next((n for n, literal in enumerate(literals) if solver.boolean_value(literal)), None)
            if chosen is None:
                return None
            at = int(self.kept[mover.number][step][chosen])
            places.append((int(moves.instruments[at]), int(moves.starts[at])))
        return tuple(places)


def cliques(runs: Sequence[Run]) -> Iterator[list[cp_model.IntVar]]:
    """The largest sets of candidates that share a slot, where more than one step of somebody is in it.

    In an interval graph they are found at starts after which an end comes before the next start.
    """
    ordered = sorted(runs, key=lambda run: (run[0], run[1]))
    active: list[Run] = []
    for at, run in enumerate(ordered):
        active = [other for other in active if other[1] > run[0]]
        active.append(run)
        following = ordered[at + 1][0] if at + 1 < len(ordered) else np.inf
        if following == run[0] or min(other[1] for other in active) > following:
            continue
        if any(other[2] != run[2] for other in active):
            yield [other[3] for other in active]
