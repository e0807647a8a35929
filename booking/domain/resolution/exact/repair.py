"""The exact repair of one group, or of a part of it, by CP-SAT.

An optional interval for each step and instrument, its start ranging over the candidates that are kept; intervals of one
instrument do not overlap, utilities are cumulative. Points are those of the distance from where a booking stood and of
the instrument; what a place costs beside these makes it a choice of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ortools.sat.python import cp_model

from booking.domain.resolution.exact.pool import domain_of, total
from booking.domain.resolution.field import Placing, Standing, cost_of, lags
from booking.domain.resolution.moves import Mover
from booking.domain.resolution.problem import Place
from booking.domain.resolution.starts import Slots


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
) -> Answer:
    """The best places of some movers while the others stay, among the candidates that are kept.

    All stand as the solver should begin, and stay so; `kept` must hold where the movers stand. `work` is a limit in the
    solver's own measure, which is the same on every machine.
    """
    model = _Model(standing, movers, kept)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = work
    # The linear relaxation proves most.
    solver.parameters.linearization_level = 2
    # From a good repair probing and symmetry cost more than they find.
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    solver.parameters.max_presolve_iterations = 1
    solver.parameters.use_strong_propagation_in_disjunctive = True
    status = solver.solve(model.model)
    spent = solver.response_proto.deterministic_time
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return Answer({}, 0, 0, spent)
    placing = model.placing(solver)
    cost = sum(cost_of(mover, placing[mover.number]) for mover in movers)
    return Answer(placing, cost, math.ceil(solver.best_objective_bound - 1e-6), spent)


@dataclass(frozen=True, slots=True)
class _Served:
    """A mover in the model: whether it has a place, whether another one than before; where it should begin."""

    mover: Mover
    here: cp_model.IntVar
    moved: cp_model.IntVar
    now: tuple[Place, ...] | None


class _Model:
    """Each mover is cancelled, stays, or has one candidate for each step; nobody meets anybody."""

    def __init__(self, standing: Standing, movers: Sequence[Mover], kept: dict[int, list[Slots]]) -> None:
        self.standing = standing
        self.movers = movers
        self.kept = kept
        self.model = cp_model.CpModel()
        self.never = 0
        self.points: list[tuple[cp_model.IntVar, int]] = []
        self.runs: defaultdict[int, list[cp_model.IntervalVar]] = defaultdict(list)
        self.draws: defaultdict[int, list[tuple[cp_model.IntervalVar, int]]] = defaultdict(list)
        self.places: dict[int, list[tuple[cp_model.IntVar, list[tuple[int, cp_model.IntVar]]]]] = {}
        for mover in movers:
            self._add(mover)
        for runs in self.runs.values():
            self.model.add_no_overlap(runs)
        for utility, drawn in self.draws.items():
            self._limit(utility, drawn)
        self.model.minimize(total(self.points) + self.never)

    def placing(self, solver: cp_model.CpSolver) -> Placing:
        """Where the solver put each mover."""
        return {number: self._places(number, solver) for number in self.places}

    def _add(self, mover: Mover) -> None:
        """Served, and so moved, or cancelled when it is hit; moved or where it was when it is not."""
        model, now = self.model, self.standing.placing[mover.number]
        moved = model.new_bool_var("")
        if mover.hit:
            model.add_hint(moved, now is not None)
            self.never += mover.cancelling
            self.points.append((moved, mover.moving - mover.cancelling))
        else:
            model.add_hint(moved, now != mover.before)
            self.points.append((moved, mover.moving))
        served = _Served(mover, moved if mover.hit else model.new_constant(1), moved, now)
        steps = self.places[mover.number] = [self._step(served, step) for step in range(len(mover.steps))]
        for step in range(1, len(steps)):
            between = steps[step][0] - steps[step - 1][0]
            model.add_linear_constraint(between, *lags(mover, step)).only_enforce_if(served.here)

    def _step(self, served: _Served, step: int) -> tuple[cp_model.IntVar, list[tuple[int, cp_model.IntVar]]]:
        """The start of a step, and its instruments with whether it is there; without a place it stands as before."""
        model, mover = self.model, served.mover
        kept, moves, (place, before) = self.kept[mover.number][step], mover.moves[step], mover.before[step]
        starts, costs = moves.starts[kept], moves.costs[kept]
        away = np.abs(starts - before)
        far = away > 0
        each = int((costs[far] // away[far]).min(initial=costs.max(initial=0)))
        rest = costs - each * away
        start = model.new_int_var_from_domain(domain_of(np.union1d(starts, [before])), "")
        at = served.now[step] if served.now else (place, before)
        model.add_hint(start, at[1])
        choices = []
        for instrument, beside in np.unique(
            np.stack((moves.instruments[kept], rest), axis=1), axis=0
        ).tolist():
            own = (moves.instruments[kept] == instrument) & (rest == beside)
            here = model.new_bool_var("")
            model.add_linear_expression_in_domain(start, domain_of(np.sort(starts[own]))).only_enforce_if(
                here
            )
            model.add_hint(here, served.now is not None and at[0] == instrument and at[1] in starts[own])
            length = int((moves.ends[kept] - starts)[own][0])
            self.runs[instrument].append(model.new_optional_fixed_size_interval_var(start, length, here, ""))
            self.points.append((here, beside))
            if instrument != place:
                model.add_implication(here, served.moved)
            choices.append((instrument, here))
        model.add(sum(here for _, here in choices) == served.here)
        self._distance(served, start, before, int(away.max(initial=0)), each)
        for utility, amount in mover.steps[step].draws:
            duration = mover.steps[step].duration
            drawing = model.new_optional_fixed_size_interval_var(start, duration, served.here, "")
            self.draws[utility].append((drawing, amount))
        return start, choices

    def _distance(self, served: _Served, start: cp_model.IntVar, before: int, most: int, each: int) -> None:
        model = self.model
        distance = model.new_int_var(0, most, "")
        model.add_abs_equality(distance, start - before)
        model.add(distance == 0).only_enforce_if(served.moved.negated())
        self.points.append((distance, each))

    def _limit(self, utility: int, drawn: Sequence[tuple[cp_model.IntervalVar, int]]) -> None:
        """What those who stay leave of a utility, as a capacity from which runs that are fixed take the rest."""
        left = self.standing.left[utility].copy()
        for mover in self.movers:
            places = self.standing.placing[mover.number]
            for step, (_instrument, start) in zip(mover.steps, places or (), strict=bool(places)):
                left[start : start + step.duration] += dict(step.draws).get(utility, 0)
        left = np.maximum(left, 0)
        most = int(left.max())
        edges = [0, *(np.flatnonzero(np.diff(left)) + 1).tolist(), len(left)]
        fixed = [
            (self.model.new_fixed_size_interval_var(start, end - start, ""), most - int(left[start]))
            for start, end in pairwise(edges)
        ]
        runs, amounts = zip(*drawn, *fixed, strict=True)
        self.model.add_cumulative(runs, amounts, most)

    def _places(self, number: int, solver: cp_model.CpSolver) -> tuple[Place, ...] | None:
        places = []
        for start, choices in self.places[number]:
            instrument = next((one for one, here in choices if solver.boolean_value(here)), None)
            if instrument is None:
                return None
            places.append((instrument, int(solver.value(start))))
        return tuple(places)
