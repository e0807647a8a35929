"""A small round proven on two floors: who is served on which instruments, and only then when.

Logic-based Benders decomposition (Hooker and Ottosson, "Logic-based Benders decomposition", 2003). A program of choices
alone keeps caps, the budget and floors exactly; calendars speak to it through cuts. Prices of slots give one for each
instrument (Benders 1962): what its runs cost at best with their slots paid, less the prices of all slots, is no more
than what they cost. Wishes that do not fit together, or cost more together than was thought, give another: those that
share a cluster of instruments, each step of a route by itself, and all together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from booking.domain.resolution.board import FAR, Board, Prices, Spots, least_ahead
from booking.domain.resolution.effort import SECONDS_OF_WORK, Effort
from booking.domain.resolution.exact.pool import Found, improved, total
from booking.domain.resolution.problem import Span, Step, Wish
from booking.domain.resolution.tables import Real, Tables, windows
from booking.domain.resolution.tables import tables as tables_of

PARTS = 256
"""Prices are whole numbers of so many parts of a point."""
WORK = 1.0
"""Deterministic seconds for one question: far more than nearly all of them take."""
STEPS = 60
"""Steps towards the prices at which a choice costs most."""
PACE, SLOWER, PATIENCE, DEFLECTION = 0.5, 0.6, 5, 0.7
SECONDS_PER_CANDIDATE = 2.5e-8
"""The work of one such step, measured."""
SECONDS_PER_QUESTION = 0.02
"""What it takes to hand the program to its solver, measured."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the program chose: blocks, what they bring before their costs, and what it believes these to be at least."""

    blocks: list[int]
    gains: int
    costs: list[int]
    """Of each instrument, and last of all routes."""


class Choices:
    """The program of choices of a pool; it goes on in turns and keeps its cuts."""

    def __init__(self, tables: Tables, prices: Prices, seed: int) -> None:
        self.tables = tables
        self.seed = seed
        self.bound = FAR
        """No plan has more points, so far."""
        self.asked = -FAR
        counts = np.diff(tables.step_of_wish)
        self.lengths = np.repeat(tables.block_length, np.diff(tables.candidate_of_block))
        self.wish = np.repeat(np.repeat(np.arange(tables.wishes), counts), np.diff(tables.block_of_step))
        self.single = (counts == 1)[self.wish]
        self.routes: list[int] = np.flatnonzero(counts > 1).tolist()
        self.on: list[list[int]] = [
            np.flatnonzero(tables.block_instrument == number).tolist()
            for number in range(len(tables.pool.instruments))
        ]
        # The same without values, and without the rules of which the program of choices takes care.
        wishes = tuple(replace(wish, value=0) for wish in tables.pool.wishes)
        rules = replace(tables.pool, wishes=wishes, floors=(), caps={}, budget=None)
        self.plain = replace(tables, pool=rules, block_floors=tables.block_floors[:, :0])
        self._take_apart()
        self.known: dict[tuple[int, ...], int | None] = {}
        self.slots = np.diff(prices.slots.reshape(-1, tables.stride), axis=1)
        self.model = cp_model.CpModel()
        self.taken = [self.model.new_bool_var("") for _ in self.wish]
        most = int(np.maximum.reduceat(np.maximum(tables.cost, 0), tables.candidate_of_block[:-1]).sum())
        self.costs = [self.model.new_int_var(0, most, "") for _ in range(len(self.on) + 1)]
        self.served: dict[int, Any] = {}
        self.gains: list[tuple[Any, int]] = []
        self._bind()
        self.points = total(self.gains) - sum(self.costs)
        self.model.maximize(self.points)
        self._price(self.slots)

    def improved(self, board: Board, effort: Effort) -> dict[int, Spots] | None:
        """Choose, look when, learn a cut, and again, until nothing is better than a plan; a better one, if found."""
        best, found = board.objective, None
        while not effort.over:
            choice = self._chosen(best, effort)
            if choice is None:
                break
            fits = self._fits(choice, effort)
            for look in (self._for_all, self._placed):
                spots, most = look(choice, board, effort)
                points = _points(self.tables, spots)
                if points > best:
                    best, found = points, spots
                if not fits or most <= best:
                    break
            else:
                break
            self._price(self._dearest(choice, effort))
        return found

    def _bind(self) -> None:
        """Add the rules that bind all wishes together; what serving them brings, less what floors miss."""
        model, tables, pool = self.model, self.tables, self.tables.pool
        caps: defaultdict[int, list[tuple[Any, int]]] = defaultdict(list)
        subsidies: list[tuple[Any, int]] = []
        for number, wish in enumerate(pool.wishes):
            steps = tables.steps(number)
            if not steps:
                continue
            served = self.served[number] = model.new_bool_var("")
            for step in steps:
                model.add(sum(self.taken[block] for block in tables.blocks(step)) == served)
            self.gains.append((served, wish.value))
            subsidies.append((served, wish.subsidy))
            if wish.organisation in pool.caps:
                caps[wish.organisation].append((served, wish.slots))
        for organisation, charged in caps.items():
            model.add(total(charged) <= pool.caps[organisation])
        if pool.budget is not None:
            model.add(total(subsidies) <= pool.budget)
        for index, floor in enumerate(pool.floors):
            missing = model.new_int_var(0, floor.slots, "")
            given = tables.block_floors[:, index].astype(np.int64)
            model.add(self._sum(range(len(self.taken)), given) + missing >= floor.slots)
            self.gains.append((missing, -pool.short))

    def _take_apart(self) -> None:
        """Make each step of a route a wish that costs nothing, and find which instruments such wishes join."""
        pool = self.plain.pool
        parts: list[Wish] = []
        self.parts_of: dict[int, list[int]] = {}
        self.wish_of: list[int] = []
        for number in np.unique(self.wish).tolist():
            wish, first = pool.wishes[number], len(parts)
            if len(wish.steps) == 1:
                parts.append(wish)
            else:
                parts += [
                    _alone(step, window) for step, window in zip(wish.steps, windows(wish), strict=True)
                ]
            self.parts_of[number] = list(range(first, len(parts)))
            self.wish_of += [number] * (len(parts) - first)
        self.apart = tables_of(replace(pool, wishes=tuple(parts)))
        cluster = list(range(len(pool.instruments)))
        for part in parts:
            joined = {cluster[instrument] for instrument, _ in part.steps[0].choices}
            cluster = [min(joined) if one in joined else one for one in cluster]
        self.clusters = [
            [instrument for instrument, one in enumerate(cluster) if one == root]
            for root in sorted(set(cluster))
        ]
        of = {root: index for index, root in enumerate(sorted(set(cluster)))}
        self.cluster_of = [of[cluster[part.steps[0].choices[0][0]]] for part in parts]

    def _sum(self, blocks: Sequence[int], factors: Any) -> Any:
        return total([(self.taken[block], int(factors[block])) for block in blocks if factors[block]])

    def _price(self, slots: Real) -> None:
        """Learn what runs cost at least, given prices of slots, which are rounded so that all sums are exact."""
        tables = self.tables
        parts = np.rint(slots * PARTS).astype(np.int64)
        paid = parts.sum(axis=1)
        sums = np.zeros((len(parts), tables.stride), dtype=np.int64)
        np.cumsum(parts, axis=1, out=sums[:, 1:])
        rent = sums.ravel()[tables.address + self.lengths] - sums.ravel()[tables.address]
        whole = rent + PARTS * tables.cost.astype(np.int64)
        heads = tables.candidate_of_block[:-1]
        alone = np.minimum.reduceat(whole, heads)
        # The points of a route are those of all its steps: an instrument knows only what their slots cost.
        least = np.where(self.single, alone, np.minimum.reduceat(rent, heads))
        for number, blocks in enumerate(self.on):
            self.model.add(self._sum(blocks, least) - PARTS * self.costs[number] <= int(paid[number]))
        if self.routes:
            for number in self.routes:
                self._through(number, whole, alone)
            terms = self._sum(range(len(alone)), alone) - PARTS * sum(self.costs)
            self.model.add(terms <= int(paid.sum()))

    def _through(self, number: int, costs: Real, least: Real) -> None:
        """Give each block of a route its part of the least that the route costs through it."""
        tables, wish = self.tables, self.tables.pool.wishes[number]
        open_, span = wish.window[0], wish.window[1] - wish.window[0]
        steps = tables.steps(number)
        dense = [self._dense(step, costs, open_, span) for step in steps]
        before, after = [np.zeros(span)], [np.zeros(span)]
        for index in range(1, len(steps)):
            lag, duration = wish.steps[index].lag, wish.steps[index - 1].duration
            before.append(_least_behind(before[-1] + dense[index - 1], duration, lag))
        for index in range(len(steps) - 1, 0, -1):
            lag, duration = wish.steps[index].lag, wish.steps[index - 1].duration
            after.insert(0, _least_behind((after[0] + dense[index])[::-1], duration, lag)[::-1])
        for index, step in enumerate(steps):
            for block in tables.blocks(step):
                at = tables.candidates(block)
                starts = tables.address[at] - tables.block_instrument[block] * tables.stride - open_
                through = (before[index][starts] + costs[at] + after[index][starts]).min()
                if through == FAR:
                    self.model.add(self.taken[block] == 0)
                least[block] = 0 if through == FAR else through // len(steps)

    def _dense(self, step: int, costs: Real, first: int, span: int) -> Real:
        """The least cost of a step by its start in the window."""
        tables, least = self.tables, np.full(span, FAR)
        for block in tables.blocks(step):
            at = tables.candidates(block)
            starts = tables.address[at] - tables.block_instrument[block] * tables.stride - first
            least[starts] = np.minimum(least[starts], costs[at])
        return least

    def _chosen(self, best: int, effort: Effort) -> _Choice | None:
        """The choice that promises most, if it is more than a plan has."""
        if best > self.asked:
            self.asked = best
            self.model.add(self.points >= best + 1)
        solver = _solver(min(WORK, effort.left / SECONDS_OF_WORK), self.seed, effort)
        status = solver.solve(self.model)
        effort.add(SECONDS_PER_QUESTION + SECONDS_OF_WORK * solver.response_proto.deterministic_time)
        if status == cp_model.INFEASIBLE:
            self.bound = best
        if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
            return None
        self.bound = min(self.bound, solver.best_objective_bound)
        blocks = [block for block, here in enumerate(self.taken) if solver.boolean_value(here)]
        gains = sum(int(solver.value(one)) * factor for one, factor in self.gains)
        return _Choice(blocks, gains, [int(solver.value(cost)) for cost in self.costs])

    def _fits(self, choice: _Choice, effort: Effort) -> bool:
        """Whether the runs of each cluster of instruments cost no more than was believed; else it becomes a cut."""
        fits = True
        chosen: list[list[int]] = [[] for _ in self.clusters]
        for number in np.unique(self.wish[choice.blocks]).tolist():
            for part in self.parts_of[number]:
                chosen[self.cluster_of[part]].append(part)
        for cluster, parts in zip(self.clusters, chosen, strict=True):
            least = self._least(tuple(parts), effort)
            believed = sum(choice.costs[instrument] for instrument in cluster)
            if least is None:
                few = self._clashing(parts, effort)
                self.model.add(self._away(few) >= 1)
            elif least > believed:
                costs = sum(self.costs[instrument] for instrument in cluster)
                self.model.add(costs >= least - least * self._away(parts))
            fits &= least is not None and least <= believed
        return fits

    def _away(self, parts: Sequence[int]) -> Any:
        """How many of the wishes of these runs are not served."""
        return sum(1 - self.served[number] for number in sorted({self.wish_of[part] for part in parts}))

    def _clashing(self, parts: list[int], effort: Effort) -> list[int]:
        """As few of these runs as do not fit together."""
        few = list(parts)
        for part in parts:
            fewer = [one for one in few if one != part]
            if self._least(tuple(fewer), effort) is None:
                few = fewer
        return few

    def _least(self, parts: tuple[int, ...], effort: Effort) -> int | None:
        """The least that runs of a cluster cost, each a wish by itself; None where they do not fit."""
        if parts not in self.known:
            found = self._solved(Board(self.apart), parts, {}, effort, every=True)
            self.known[parts] = None if found.bound == -FAR else -math.floor(min(0.0, found.bound) + 1e-6)
        return self.known[parts]

    def _for_all(
        self, choice: _Choice, board: Board, effort: Effort
    ) -> tuple[dict[int, Spots] | None, float]:
        """A plan that serves the same wishes at the least cost, on whichever instruments; what the choice is worth."""
        wishes = np.unique(self.wish[choice.blocks]).tolist()
        found = self._solved(Board(self.plain), wishes, board.spots, effort, every=True)
        away = sum(1 - self.served[number] for number in wishes)
        if found.bound == -FAR:
            self.model.add(away >= 1)
            return None, -FAR
        least = -math.floor(min(0.0, found.bound) + 1e-6)
        self.model.add(sum(self.costs) >= least - least * away)
        return found.spots, choice.gains - least

    def _placed(self, choice: _Choice, board: Board, effort: Effort) -> tuple[dict[int, Spots] | None, float]:
        """The best plan of the chosen blocks; the choice is worth no more, which becomes a cut."""
        wishes = np.unique(self.wish[choice.blocks]).tolist()
        found = self._solved(Board(self.tables), wishes, board.spots, effort, blocks=frozenset(choice.blocks))
        if found.bound == FAR:
            return None, FAR
        most = math.floor(found.bound + 1e-6)
        least = max(0, choice.gains - most)
        away = sum(1 - self.taken[block] for block in choice.blocks)
        self.model.add(sum(self.costs) >= least - least * away)
        return found.spots, most

    def _solved(
        self, empty: Board, wishes: Iterable[int], old: Mapping[int, Spots], effort: Effort, **how: Any
    ) -> Found:
        found = improved(
            empty,
            wishes,
            old,
            work=min(WORK, max(0.01, effort.left / SECONDS_OF_WORK)),
            seed=self.seed,
            seconds=None if effort.seconds is None else effort.left,
            **how,
        )
        effort.add(SECONDS_OF_WORK * found.work)
        return found

    def _dearest(self, choice: _Choice, effort: Effort) -> Real:
        """The prices of slots at which a choice costs most: deflected subgradient steps from the first prices on."""
        tables = self.tables
        at = [np.arange(*tables.candidate_of_block[[block, block + 1]]) for block in choice.blocks]
        candidates, counts = np.concatenate(at), [len(one) for one in at]
        heads = np.cumsum([0, *counts[:-1]])
        starts = tables.address[candidates]
        ends = starts + self.lengths[candidates]
        costs = tables.cost[candidates].astype(np.float64)
        effort.add(STEPS * SECONDS_PER_CANDIDATE * (len(candidates) + tables.addresses))
        slots, best, dearest, idle, pace = self.slots, -FAR, self.slots, 0, PACE
        direction = np.zeros_like(slots)
        hoped = sum(choice.costs) + 0.05 * abs(choice.gains)
        for _ in range(STEPS):
            sums = np.zeros((len(slots), tables.stride))
            np.cumsum(slots, axis=1, out=sums[:, 1:])
            paid = costs + sums.ravel()[ends] - sums.ravel()[starts]
            value = float(np.minimum.reduceat(paid, heads).sum() - slots.sum())
            idle = 0 if value > best else idle + 1
            if value > best:
                best, dearest = value, slots
            if idle >= PATIENCE:
                pace, idle = pace * SLOWER, 0
            use = np.zeros(tables.addresses)
            for head, count in zip(heads.tolist(), counts, strict=True):
                first = head + int(paid[head : head + count].argmin())
                use[starts[first]] += 1
                use[ends[first]] -= 1
            direction *= DEFLECTION
            direction += (1 - DEFLECTION) * (use.cumsum().reshape(-1, tables.stride)[:, :-1] - 1)
            way = np.where((slots > 0) | (direction > 0), direction, 0.0)
            length = float(np.square(way).sum())
            if not length or value >= hoped:
                break
            slots = np.maximum(slots + pace * max(1.0, hoped - value) / length * way, 0.0)
        return dearest


def _alone(step: Step, window: Span) -> Wish:
    """A step of a route as a wish that costs nothing."""
    choices = tuple((instrument, 0) for instrument, _ in step.choices)
    return Wish((replace(step, choices=choices, lag=(0, 0)),), window, 0)


def _least_behind(costs: Real, duration: int, lag: tuple[int, int]) -> Real:
    """For each start of a step the least cost of a start of the step before it."""
    low, high = lag
    padded = np.concatenate((np.full(duration + high, FAR), costs))
    return least_ahead(padded, high - low + 1)[: len(costs)]


def _points(tables: Tables, spots: dict[int, Spots] | None) -> int:
    board = Board(tables)
    for number in sorted(spots or {}):
        board.put(number, (spots or {})[number])
    return board.objective


def _solver(work: float, seed: int, effort: Effort) -> cp_model.CpSolver:
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers = 1
    parameters.random_seed = seed % 2**31
    parameters.max_deterministic_time = max(0.01, work)
    parameters.linearization_level = 2
    parameters.cp_model_probing_level = 0
    parameters.symmetry_level = 0
    parameters.max_presolve_iterations = 1
    if effort.seconds is not None:
        parameters.max_time_in_seconds = max(0.01, effort.left)
    return solver
