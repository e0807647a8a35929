"""Repair after an outage: against brute force, its promises to those who are not hit, and without a solver."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain.resolution import rebuild, repair, solve
from booking.domain.resolution.check import BrokenRule, judged
from booking.domain.resolution.effort import Effort
from booking.domain.resolution.field import total_of
from booking.domain.resolution.moves import Ground, groups_of
from booking.domain.resolution.outage import Disturbance, Outage, case_of, read_outage, refereed
from booking.domain.resolution.problem import DAY, Instrument, Pool, Step, Utility, Wish
from tests import pools as seeded
from tests.bench import resolver_repair

SLOTS = 20
WEIGHTS = Disturbance(cancelled=60, moved=5, bystander=9, slot=1, instrument=3, grace=4)


def place_all(pool):
    """Give the wishes places one after the other, where there is one."""
    plan = {}
    for number, wish in enumerate(pool.wishes):
        for places in options(wish):
            try:
                judged(pool, plan | {number: places})
            except BrokenRule:
                continue
            plan[number] = places
            break
    return plan


def options(wish):
    """Give every way to place a wish, allowed or not."""
    start, end = wish.window
    return product(
        *(
            [(instrument, slot) for instrument, _ in step.choices for slot in range(start, end)]
            for step in wish.steps
        )
    )


@st.composite
def pools(draw):
    instruments = tuple(
        Instrument(staffed=((0, 9), (11, SLOTS)), clean=draw(st.integers(0, 2)), blocked=((18, 20),))
        for _ in range(2)
    )
    shared = draw(st.booleans())
    wishes = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.sampled_from([1, 1, 1, 2]))
        steps = tuple(
            Step(
                duration=draw(st.integers(2, 5)),
                choices=tuple((n, 0) for n in draw(st.sampled_from([(0,), (1,), (0, 1)]))),
                attended=draw(st.booleans()),
                lag=(0, draw(st.integers(0, 5))),
                draws=((0, 1),) if shared else (),
            )
            for _ in range(length)
        )
        start = draw(st.integers(0, 8))
        window = (start, min(SLOTS, start + sum(step.duration for step in steps) + draw(st.integers(0, 8))))
        wishes.append(
            Wish(
                steps,
                window,
                100,
                due=draw(st.none() | st.integers(8, SLOTS)),
                priority=draw(st.integers(1, 4)),
                consents=draw(st.booleans()) and not shared,
            )
        )
    utilities = (Utility(1, ((0, 2, 1),)),) if shared else ()
    return Pool(dt.date(2026, 9, 21), SLOTS, instruments, tuple(wishes), utilities=utilities)


@st.composite
def outages(draw):
    start = draw(st.integers(0, 12))
    return Outage(
        ((draw(st.integers(0, 1)), start, start + draw(st.integers(1, 8))),), now=draw(st.integers(0, 3))
    )


def cheapest(case):
    """Try everything: the least disturbance that the referee lets pass."""
    least = None
    ways = []
    for number, places in case.plan.items():
        wish = case.pool.wishes[number]
        free = number in case.hit or wish.consents
        ways.append([places, *([None] if free else []), *(options(wish) if free else ())])
    for chosen in product(*ways):
        plan = {n: places for n, places in zip(case.plan, chosen, strict=True) if places}
        try:
            cost = sum(change.cost for change in refereed(case, plan))
        except BrokenRule:
            continue
        least = cost if least is None else min(least, cost)
    return least


@settings(max_examples=80, deadline=None)
@given(pools(), outages())
def test_the_first_repair_disturbs_as_little_as_the_best_of_all(pool, outage):
    plan = place_all(pool)
    sizes = [len(pool.wishes[number].steps) for number in plan]
    if sum(sizes) > 3:
        plan = dict(list(plan.items())[:2])
    case = case_of(pool, plan, outage, WEIGHTS)
    found = repair.repairs(pool, plan, outage, weights=WEIGHTS)
    assert found.ranked[0].cost == found.bound == cheapest(case)
    assert found.ranked[0].cost <= found.nearest
    plans = [sorted(one.plan.items()) for one in found.ranked]
    assert all(one not in plans[:at] for at, one in enumerate(plans))
    for one in found.ranked:
        refereed(case, one.plan)


@settings(max_examples=60, deadline=None)
@given(pools(), outages())
def test_the_solver_proves_the_best_repair_of_each_group_by_itself(pool, outage):
    plan = dict(list(place_all(pool).items())[:2])
    case = case_of(pool, plan, outage, WEIGHTS)
    ground = Ground(case, others=True)
    least = 0
    for group in groups_of(ground):
        rebuilt = rebuild.settled(group, case.pool, ground.left)
        rebuilt.bound = 0
        rebuild.prove(rebuilt, Effort(), 1)
        assert rebuilt.cost == rebuilt.bound == total_of(group.movers, rebuilt.placing)
        least += rebuilt.cost
    assert least == cheapest(case)


def test_where_cancelling_costs_less_than_moving_all_may_be_cancelled():
    weights = Disturbance(cancelled=60, moved=100, grace=0)
    pool = pool_of(wish(4, (0, 60)), wish(4, (0, 60)))
    found = repair.repairs(pool, {0: ((0, 0),), 1: ((0, 4),)}, Outage(((0, 0, 8),)), weights=weights)
    assert (found.ranked[0].cancelled, found.ranked[0].cost, found.bound) == (2, 120, 120)


def test_a_repair_that_has_to_cancel_somebody_is_proven_soon():
    pool = seeded.pool("S", 1)
    plan = solve.solve(pool, work=2.0, seed=1).plan
    part_of_kinds = resolver_repair.outages(pool, plan, 1)[-1]
    found = repair.repairs(pool, plan, part_of_kinds, work=3.0, seed=1)
    assert found.ranked[0].cancelled
    assert found.ranked[0].cost == found.bound


def pool_of(*wishes, instruments=1, horizon=4 * DAY, **also):
    machine = Instrument(staffed=((0, horizon),))
    return Pool(dt.date(2026, 9, 21), horizon, (machine,) * instruments, wishes, **also)


def wish(duration, window, *places, consents=False, priority=1):
    return Wish(
        (Step(duration, tuple((n, 0) for n in places or (0,))),),
        window,
        100,
        consents=consents,
        priority=priority,
    )


def test_a_neighbour_makes_room_only_where_the_holder_consents():
    tight = (0, 12)
    for consents, cancelled in ((True, 0), (False, 1)):
        # The hit booking fits only where its neighbour stands; the neighbour fits anywhere.
        pool = pool_of(wish(6, tight), wish(6, (0, 40), consents=consents))
        plan = {0: ((0, 0),), 1: ((0, 6),)}
        found = repair.repairs(pool, plan, Outage(((0, 0, 6),)), weights=Disturbance(grace=0))
        best = found.ranked[0]
        assert (best.cancelled, best.bystanders) == (cancelled, int(consents))
        assert best.chains == ({0: (1,)} if consents else {})
        if not consents:
            assert best.plan[1] == plan[1]


def test_the_costs_are_those_that_are_promised():
    pool = pool_of(wish(4, (0, 8), 0, 1, priority=3), instruments=2)
    case = case_of(pool, {0: ((0, 0),)}, Outage(((0, 0, 96),)), Disturbance())
    assert [change.cost for change in refereed(case, {0: ((1, 2),)})] == [100 + 2 + 32]
    assert [change.cost for change in refereed(case, {})] == [4000 * 4]
    found = repair.repairs(pool, {0: ((0, 0),)}, Outage(((0, 0, 96),)))
    assert {(one.emphasis, one.cost) for one in found.ranked} >= {("least", 132), ("keep_instrument", 196)}


def test_the_referee_passes_no_plan_that_takes_from_the_unaffected():
    pool = pool_of(wish(4, (0, 8)), wish(4, (0, 40)), wish(4, (0, 40), consents=True))
    plan = {0: ((0, 4),), 1: ((0, 10),), 2: ((0, 20),)}
    case = case_of(pool, plan, Outage(((0, 4, 8),), now=6), Disturbance())
    for broken, rule in (
        ({0: plan[0], 1: plan[1], 2: plan[2]}, "not_free"),
        ({2: plan[2]}, "cancelled_unaffected"),
        ({1: ((0, 30),), 2: plan[2]}, "moved_without_consent"),
        ({1: plan[1], 2: ((0, 2),)}, "past"),
    ):
        with pytest.raises(BrokenRule) as caught:
            refereed(case, broken)
        assert caught.value.rule == rule
    with pytest.raises(BrokenRule, match="not_booked"):
        refereed(replace(case, plan={0: plan[0]}), {1: plan[1]})


def test_a_closed_day_takes_its_windows_but_not_what_never_closes():
    day = Instrument(staffed=((32, 88), (DAY + 32, DAY + 88)))
    never = Instrument(staffed=((0, 2 * DAY),))
    pool = Pool(dt.date(2026, 9, 21), 2 * DAY, (day, never), (wish(4, (0, DAY)), wish(4, (0, DAY), 1)))
    case = case_of(
        pool, {0: ((0, 40),), 1: ((1, 40),)}, read_outage({"closed_day": 0, "down": []}), Disturbance()
    )
    assert case.hit == {0}
    assert case.pool.instruments[0].staffed == ((DAY + 32, DAY + 88),)


def crowd():
    """Twelve bookings on two instruments, one of which falls out for a day; some consent."""
    wishes = [wish(16, (0, 2 * DAY), 0, 1, consents=n % 3 == 0, priority=1 + n % 4) for n in range(12)]
    plan = {n: ((n % 2, n // 2 * 16),) for n in range(12)}
    return pool_of(*wishes, instruments=2), plan, Outage(((0, 10, 100),))


def test_the_same_input_and_work_give_the_same_repairs():
    pool, plan, outage = crowd()
    one, other = (repair.repairs(pool, plan, outage, work=2.0) for _ in range(2))
    assert [r.plan for r in one.ranked] == [r.plan for r in other.ranked]
    assert one.fingerprint == other.fingerprint
    assert len(one.ranked) == 3


@pytest.mark.parametrize("limits", [{"seconds": 0.0}, {"stopped": lambda: True}])
def test_without_time_the_nearest_places_are_given_with_their_distance_to_the_bound(limits):
    pool, plan, outage = crowd()
    found = repair.repairs(pool, plan, outage, **limits)
    assert found.bound <= found.ranked[0].cost <= found.nearest
    assert 0 <= found.gap < 1


def broken(*_args, **_kwargs):
    raise RuntimeError("the solver fails")


@pytest.mark.parametrize("fault", [ImportError, RuntimeError])
def test_without_a_solver_the_nearest_places_are_given(monkeypatch, fault):
    def missing(name):
        if fault is ImportError:
            raise ImportError(name)
        return SimpleNamespace(repaired=broken)

    pool, plan, outage = crowd()
    exact = repair.repairs(pool, plan, outage)
    monkeypatch.setattr(rebuild, "import_module", missing)
    found = repair.repairs(pool, plan, outage)
    assert found.nearest >= found.ranked[0].cost >= exact.ranked[0].cost
    assert found.bound <= exact.ranked[0].cost


def test_large_groups_are_improved_in_parts(monkeypatch):
    pool, plan, outage = crowd()
    exact = repair.repairs(pool, plan, outage)
    monkeypatch.setattr(rebuild, "WHOLE", 0)
    monkeypatch.setattr(rebuild, "PART", 6)
    found = repair.repairs(pool, plan, outage, work=3.0)
    assert exact.ranked[0].cost <= found.ranked[0].cost <= found.nearest


def test_the_quietest_window_hits_nobody_where_there_is_one():
    pool = pool_of(wish(8, (0, 40)), wish(8, (0, 60), priority=4), wish(8, (0, 90)))
    plan = {0: ((0, 4),), 1: ((0, 20),), 2: ((0, 40),)}
    windows = repair.quietest(pool, plan, [0], 8, (0, 60))
    assert windows[0].start == 12
    assert windows[0].hit == ()
    assert windows[0].repair.cost == 0
    assert all(one.repair.cost <= two.repair.cost for one, two in pairwise(windows))
    assert len({one.hit for one in windows}) == len(windows)
    only = repair.quietest(pool, plan, [0], 16, (0, 28))
    assert (only[0].start, only[0].hit, only[0].repair.cost) == (12, (1,), 100 + 8)
    closed = replace(pool, instruments=(replace(pool.instruments[0], blocked=((0, 100),)),))
    assert repair.quietest(closed, {}, [0], 8, (0, 60)) == []


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=5, unique=True),
    length=st.integers(1, 12),
    inside=st.none() | st.just([(2, 20), (24, 44)]),
)
def test_quietest_windows_are_among_those_that_trying_every_start_finds(runs, length, inside):
    late = {0: 0, 1: 2}
    pool = pool_of(*(wish(3, (0, 90), lane) for lane, _ in runs))
    pool = replace(pool, instruments=(pool.instruments[0],) * 2)
    plan = {number: ((lane, 4 * slot),) for number, (lane, slot) in enumerate(runs)}
    windows = repair.quietest(pool, plan, [0, 1], length, (0, 44), later=late, inside=inside, most=20)
    hits = {
        start: frozenset(
            number
            for number, (lane, slot) in enumerate(runs)
            if 4 * slot - late[lane] < start + length and start < 4 * slot - late[lane] + 3
        )
        for start in range(44 - length + 1)
        if inside is None or any(a <= start and start + length <= b for a, b in inside)
    }
    assert all(hits[window.start] == set(window.hit) for window in windows)
    assert min(map(len, hits.values()), default=None) == min(
        (len(window.hit) for window in windows), default=None
    )


def test_what_is_needed_by_a_day_goes_before_it_and_after_it_only_where_nothing_else_is_left():
    weights, soon = Disturbance(), wish(8, (0, 60), priority=2)
    for due, start, more in ((None, 12, 2), (18, 2, 8)):
        pool = pool_of(replace(soon, due=due))
        change = repair.repairs(pool, {0: ((0, 10),)}, Outage(((0, 10, 12),))).ranked[0].changes[0]
        assert (change.after, change.cost) == (((0, start),), weights.moved + more)
    pool = pool_of(replace(soon, due=8))
    change = repair.repairs(pool, {0: ((0, 0),)}, Outage(((0, 0, 8),))).ranked[0].changes[0]
    assert change.after == ((0, 8),)
    assert change.cost == weights.moved + 8 + weights.of_lateness(pool.wishes[0])
    assert 0.8 * weights.of_cancelling(soon) < change.cost < weights.of_cancelling(soon)


def test_a_booking_may_be_hit_by_what_no_calendar_shows():
    pool = pool_of(wish(8, (0, 60)), wish(8, (0, 60)))
    plan = {0: ((0, 0),), 1: ((0, 20),)}
    outage = read_outage({"hit": [1], "down": [[0, 20, 28]]})
    assert repair.repairs(pool, plan, outage).hit == (1,)
    assert repair.repairs(pool, plan, Outage(hit=(0,))).hit == (0,)
