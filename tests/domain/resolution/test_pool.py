"""A round: tiny pools with their best plan known, and what every plan of the engine must keep."""

import datetime as dt
import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain.resolution import (
    board,
    bound,
    check,
    documents,
    effort,
    greedy,
    relaxation,
    solve,
    tables,
)
from booking.domain.resolution.exact.choices import Choices
from booking.domain.resolution.neighbourhoods import Neighbourhoods, Part
from booking.domain.resolution.problem import Floor, Instrument, Plan, Pool, Step, Utility, Wish
from booking.domain.resolution.search import Search
from tests import pools

HORIZON = 12


@st.composite
def tiny_pools(draw):
    """Two instruments, three wishes, every rule that there is."""
    few = st.integers(0, 2)
    instruments = tuple(
        Instrument(
            staffed=((0, 5), (6, HORIZON)),
            blocked=((3, 4),) if draw(st.booleans()) else (),
            clean=draw(st.integers(0, 1)),
            group=group,
        )
        for group in ("beam", "oven")
    )
    wishes = tuple(draw(wish(few)) for _ in range(3))
    return Pool(
        start=dt.date(2026, 9, 21),
        horizon=HORIZON,
        instruments=instruments,
        wishes=wishes,
        floors=(Floor("sme", draw(st.sampled_from([None, "beam"])), draw(st.integers(0, 8))),),
        caps={0: draw(st.integers(1, 8))},
        budget=draw(st.integers(0, 6)),
        short=draw(st.integers(0, 9)),
        utilities=(Utility(2, ((2, 5, draw(few)),)),),
    )


@st.composite
def wish(draw, few):
    steps = []
    for index in range(draw(st.sampled_from([1, 1, 2]))):
        least = draw(few) if index else 0
        steps.append(
            Step(
                duration=draw(st.integers(1, 4)),
                choices=draw(st.sampled_from([((0, 0),), ((1, 0),), ((0, 0), (1, 3)), ((1, 1), (0, 2))])),
                attended=draw(st.booleans()),
                lag=(least, least + draw(few)),
                draws=draw(st.sampled_from([(), ((0, 1),), ((0, 2),)])),
            )
        )
    open_ = draw(st.integers(0, 6))
    return Wish(
        steps=tuple(steps),
        window=(open_, draw(st.integers(open_ + 1, HORIZON))),
        value=draw(st.integers(1, 60)),
        late=draw(few),
        organisation=draw(st.integers(0, 1)),
        quota_class=draw(st.sampled_from(["sme", "university"])),
        subsidy=draw(st.integers(0, 4)),
        submitted=draw(few),
    )


def best_by_force(pool: Pool) -> int:
    """The points of the best plan, all plans tried."""
    return max(check.judged(pool, plan).objective for plan in every_plan(pool))


def every_plan(pool: Pool) -> list[Plan]:
    """All plans; rules that are broken stay broken as a plan grows."""
    options = [
        [
            places
            for places in itertools.product(
                *([(i, s) for i, _ in step.choices for s in range(HORIZON)] for step in one.steps)
            )
            if fine(pool, {number: places})
        ]
        for number, one in enumerate(pool.wishes)
    ]
    plans: list[Plan] = [{}]
    for number, places in enumerate(options):
        plans += [
            {**plan, number: place}
            for plan in plans
            for place in places
            if fine(pool, {**plan, number: place})
        ]
    return plans


def fine(pool, plan) -> bool:
    try:
        check.judged(pool, plan)
    except check.BrokenRule:
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(tiny_pools())
def test_tiny_pools_are_solved_to_their_known_optimum(pool):
    best = best_by_force(pool)
    found = solve.solve(pool, work=20.0)
    assert found.objective == best
    assert found.optimal
    assert check.judged(pool, found.plan).objective == found.objective


@settings(max_examples=25, deadline=None)
@given(tiny_pools())
def test_where_a_missed_hour_costs_more_than_all_wishes_bring_no_hour_is_missed_that_any_plan_meets(pool):
    strict = replace(pool, short=1 + sum(one.value for one in pool.wishes))
    least = min(sum(check.judged(strict, plan).missing) for plan in every_plan(strict))
    assert sum(solve.solve(strict, work=20.0).missing) == least


@settings(max_examples=30, deadline=None)
@given(tiny_pools())
def test_no_plan_has_more_points_than_the_bound_and_greedy_keeps_every_rule(pool):
    candidates = tables.tables(pool)
    made = greedy.best_greedy(candidates)
    assert check.judged(pool, made.plan()).objective == made.objective
    if len(candidates.address):
        proven = bound.bound(candidates, made.objective, effort.Effort(work=0.3))
        assert proven.points >= best_by_force(pool)
        led = greedy.guided(candidates, proven)
        assert check.judged(pool, led.plan()).objective == led.objective


@settings(max_examples=40, deadline=None)
@given(tiny_pools())
def test_choices_alone_prove_the_known_optimum(pool):
    candidates = tables.tables(pool)
    if not len(candidates.address):
        return
    best, made = best_by_force(pool), greedy.greedy(candidates, "first_come")
    prices = bound.bound(candidates, made.objective, effort.Effort(work=0.01)).prices
    program = Choices(candidates, prices, seed=1)
    spots = program.improved(made, effort.Effort(work=60.0))
    assert program.bound == best
    better = board.Board(candidates)
    for number, where in (spots or made.spots).items():
        better.put(number, where)
    assert check.judged(pool, better.plan()).objective == best


@pytest.mark.parametrize("seed", [206, 324])
def test_small_pools_with_scarce_caps_and_budgets_are_proven_soon(seed):
    found, again = (solve.solve(pools.pool("S", seed), work=2.0, seed=seed) for _ in range(2))
    assert found.optimal
    assert found.plan == again.plan


def test_of_two_who_want_the_same_hours_the_worthier_is_served_and_the_bound_says_so():
    step = Step(duration=4, choices=((0, 0),))
    wishes = (Wish((step,), (0, 6), value=10), Wish((step,), (0, 6), value=30, late=2))
    pool = Pool(dt.date(2026, 9, 21), HORIZON, (Instrument(((0, HORIZON),)),), wishes)
    found = solve.solve(pool, work=5.0)
    assert found.plan == {1: ((0, 0),)}
    assert (found.objective, found.bound, found.gap) == (30, 30, 0.0)


def test_a_floor_is_met_before_worth_and_what_it_misses_is_told():
    step = Step(duration=4, choices=((0, 0),))
    wishes = (
        Wish((step,), (0, 6), value=10, quota_class="sme"),
        Wish((step,), (0, 6), value=300, quota_class="commercial"),
    )
    instruments = (Instrument(((0, HORIZON),), group="beam"),)
    pool = Pool(
        dt.date(2026, 9, 21), HORIZON, instruments, wishes, floors=(Floor("sme", "beam", 6),), short=100
    )
    found = solve.solve(pool, work=5.0)
    assert set(found.plan) == {0}
    assert found.missing == (2,)
    assert found.objective == 10 - 200


def test_caps_and_budget_that_kept_somebody_out_are_named():
    step = Step(duration=4, choices=((0, 0),))
    wishes = tuple(Wish((step,), (0, 12), value=10 + n, organisation=7, subsidy=5) for n in range(2))
    instruments = (Instrument(((0, HORIZON),)),)
    pool = Pool(dt.date(2026, 9, 21), HORIZON, instruments, wishes, caps={7: 6}, budget=8)
    found = solve.solve(pool, work=5.0)
    assert set(found.plan) == {1}
    assert found.caps_bound == (7,)
    assert found.budget_bound
    free = solve.solve(replace(pool, caps={}, budget=None), work=5.0)
    assert set(free.plan) == {0, 1}
    assert free.caps_bound == ()
    assert not free.budget_bound


@pytest.mark.parametrize("seed", [1, 2])
def test_the_engine_is_never_worse_than_greedy_and_gives_the_same_plan_again(seed):
    pool = pools.pool("S", seed)
    first = greedy.best_greedy(tables.tables(pool)).objective
    found, again = (solve.solve(pool, work=3.0, seed=seed) for _ in range(2))
    assert found.objective >= first
    assert found.bound >= found.objective
    assert found.plan == again.plan
    assert (found.seed, found.fingerprint) == (seed, documents.fingerprint(pool))


def test_a_search_gains_on_a_larger_pool_and_is_the_same_again():
    pool = pools.pool("M", 1)
    candidates = tables.tables(pool)
    proven = bound.bound(candidates, 0, effort.Effort(work=0.2))
    plans = []
    for _ in range(2):
        made = greedy.guided(candidates, proven)
        before = made.objective
        Search(Neighbourhoods(candidates, proven), 5).improve(
            made, whole(candidates), effort.Effort(work=1.0)
        )
        assert made.objective > before
        assert check.judged(pool, made.plan()).objective == made.objective
        plans.append(made.plan())
    assert plans[0] == plans[1]


def whole(candidates) -> Part:
    return Part(np.ones(len(candidates.pool.instruments), dtype=bool), np.ones(candidates.wishes, dtype=bool))


def test_a_part_of_a_pool_changes_nothing_but_its_own():
    pool = pools.pool("M", 2)
    candidates = tables.tables(pool)
    proven = bound.bound(candidates, 0, effort.Effort(work=0.2))
    made = greedy.guided(candidates, proven)
    before = dict(made.spots)
    part = whole(candidates)
    part.wishes[::2] = False
    part.instruments[:10] = False
    part.wishes[[n for n, spots in before.items() if any(made.place(spot)[0] < 10 for spot in spots)]] = False
    Search(Neighbourhoods(candidates, proven), 5).improve(made, part, effort.Effort(work=0.2))
    changed = {n for n in range(candidates.wishes) if before.get(n) != made.spots.get(n)}
    assert changed
    assert all(part.wishes[number] for number in changed)
    assert all(made.place(spot)[0] >= 10 for number in changed for spot in made.spots.get(number, ()))


def test_without_the_solver_prices_and_greedy_make_the_plan(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("ortools")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ortools", None)
    for name in ("exact.pool", "exact.choices", "search"):
        monkeypatch.delitem(sys.modules, f"booking.domain.resolution.{name}", raising=False)
    monkeypatch.delattr("booking.domain.resolution.search", raising=False)
    monkeypatch.delattr("booking.domain.resolution.exact.pool", raising=False)
    monkeypatch.delattr("booking.domain.resolution.exact.choices", raising=False)
    pool = pools.pool("S", 3)
    found = solve.solve(pool, work=3.0)
    assert found.method in {"greedy", "prices"}
    assert found.plan
    assert found.bound >= found.objective


def test_a_solver_that_fails_costs_nobody_the_plan(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("no memory")

    monkeypatch.setattr("booking.domain.resolution.exact.pool.improved", broken)
    found = solve.solve(pools.pool("S", 3), work=3.0)
    assert found.method in {"greedy", "prices"}
    assert found.plan


def test_no_time_at_all_or_a_stop_gives_the_greedy_plan_with_its_distance():
    pool = pools.pool("S", 4)
    for found in (solve.solve(pool, seconds=0), solve.solve(pool, work=5.0, stopped=lambda: True)):
        assert found.method == "greedy"
        assert found.plan
        assert found.bound >= found.objective


def test_progress_is_told_with_phase_points_bound_and_share():
    heard: list[solve.Progress] = []
    found = solve.solve(pools.pool("S", 5), work=3.0, on_progress=heard.append)
    assert [heard[0].phase, heard[0].bound] == ["greedy", None]
    assert {"bound", "prices"} <= {one.phase for one in heard}
    assert all(0 <= one.share <= 1 for one in heard)
    points = [one.objective for one in heard]
    assert points == sorted(points)
    assert points[-1] <= found.objective


def test_a_pool_without_wishes_or_places_has_an_empty_plan():
    empty = Pool(dt.date(2026, 9, 21), HORIZON, (Instrument(()),), ())
    assert solve.solve(empty, work=1.0).plan == {}
    shut = replace(empty, wishes=(Wish((Step(2, ((0, 0),)),), (0, 6), value=5),))
    found = solve.solve(shut, work=1.0)
    assert (found.plan, found.objective, found.bound) == ({}, 0, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), max_size=7), st.integers(0, 25))
def test_the_knapsack_is_exact(items, cap):
    profits = np.array([profit for profit, _ in items], dtype=np.float64)
    weights = np.array([weight for _, weight in items], dtype=np.int64)
    picked, worth, _price = relaxation.knapsack(profits, weights, cap)
    best = max(
        sum(items[n][0] for n in chosen)
        for size in range(len(items) + 1)
        for chosen in itertools.combinations(range(len(items)), size)
        if sum(items[n][1] for n in chosen) <= cap
    )
    assert worth == best == profits[picked].sum()
    assert weights[picked].sum() <= cap


@given(st.lists(st.integers(0, 99), min_size=1, max_size=30), st.integers(1, 12))
def test_the_least_ahead_is_the_least_of_as_many_as_asked(numbers, width):
    found = board.least_ahead(np.array(numbers, dtype=np.float64), width)
    assert found.tolist() == [min(numbers[at : at + width]) for at in range(len(numbers))]
