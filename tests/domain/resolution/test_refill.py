"""Freed time: strict turns, no envy, shifts of consenting holders only, rules of the pool kept."""

import datetime as dt
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from booking.domain.resolution.check import judged
from booking.domain.resolution.problem import Instrument, Pool, Step, Utility, Wish
from booking.domain.resolution.refill import SHIFT, Waitlist, envies

SLOTS = 40
START = dt.date(2026, 9, 21)


def wish(duration, window, *places, **also):
    choices = tuple((n, 0) for n in places or (0,))
    return Wish(
        (Step(duration, choices, draws=also.pop("draws", ())),), window, also.pop("value", 5000), **also
    )


def pool_of(*wishes, instruments=1, **also):
    machines = (Instrument(staffed=((0, SLOTS),)),) * instruments
    return Pool(START, SLOTS, machines, wishes, **also)


def test_the_higher_class_is_served_first_then_who_came_first():
    pool = pool_of(
        wish(10, (0, 10)),
        wish(6, (0, 10), priority=1, submitted=1),
        wish(6, (0, 10), priority=3, submitted=9),
        wish(6, (0, 10), priority=3, submitted=8),
        wish(4, (0, 10), priority=1, submitted=0),
    )
    grants = Waitlist(pool, {0: ((0, 0),)}, [1, 2, 3, 4]).cancel(0, 0)
    assert [(one.wish, one.places) for one in grants] == [(3, ((0, 0),)), (4, ((0, 6),))]


def test_nothing_is_given_that_begins_before_now():
    pool = pool_of(wish(10, (0, 10)), wish(6, (0, 10)))
    assert Waitlist(pool, {0: ((0, 0),)}, [1]).cancel(0, 4)[0].places == ((0, 4),)
    assert Waitlist(pool, {0: ((0, 0),)}, [1]).cancel(0, 5) == []


def test_a_holder_shifts_only_with_consent_for_something_worth_it_and_before_it_begins():
    for consents, value, now, served in (
        (True, 5000, 0, True),
        (False, 5000, 0, False),
        (True, SHIFT, 0, False),
        (True, 5000, 7, False),
    ):
        # Cancelled: [0, 6) and [12, 18); a holder stands between; six and twelve slots are wanted together.
        pool = pool_of(
            wish(6, (0, 6)),
            wish(6, (0, 18), consents=consents),
            wish(12, (0, 18), value=value),
            wish(6, (12, 18)),
        )
        line = Waitlist(pool, {0: ((0, 0),), 1: ((0, 6),), 3: ((0, 12),)}, [2])
        grants = [*line.cancel(0, min(now, 0)), *line.cancel(3, now)]
        assert [one.wish for one in grants] == ([2] if served else []), (consents, value, now)
        if served:
            assert grants[0].shifts == {1: ((0, 0),)} or grants[0].shifts == {1: ((0, 12),)}
            assert grants[0].worth == 5000 - SHIFT


def test_a_chain_of_two_holders_makes_room():
    pool = pool_of(
        wish(10, (0, 10), 0),
        wish(10, (0, 20), 0, 1, consents=True),
        wish(10, (0, 20), 1, consents=True),
        wish(10, (10, 20), 0),
        instruments=2,
    )
    # 3 wants [10, 20) on the first instrument, where 1 stands; 0 is cancelled and leaves [0, 10) there.
    line = Waitlist(pool, {0: ((0, 0),), 1: ((0, 10),), 2: ((1, 0),)}, [3])
    assert line.cancel(0, 0)[0].shifts == {1: ((0, 0),)}
    judged(pool, line.plan)


def test_a_cap_that_is_freed_serves_somebody_on_quite_another_instrument():
    pool = pool_of(
        wish(10, (0, 10), 0, organisation=7),
        wish(10, (0, 10), 1, organisation=7),
        instruments=2,
        caps={7: 10},
    )
    assert [one.wish for one in Waitlist(pool, {0: ((0, 0),)}, [1]).cancel(0, 0)] == [1]


def test_a_shared_utility_is_not_overdrawn():
    pool = pool_of(
        wish(10, (0, 10), 0, draws=((0, 2),)),
        wish(10, (0, 10), 0, draws=((0, 2),)),
        wish(10, (0, 10), 1, draws=((0, 1),)),
        instruments=2,
        utilities=(Utility(2),),
    )
    line = Waitlist(pool, {0: ((0, 0),)}, [1, 2])
    assert [one.wish for one in line.cancel(0, 0)] == [1]
    assert [one.wish for one in line.cancel(1, 0)] == [2]


@st.composite
def pools(draw):
    wishes = tuple(
        wish(
            draw(st.integers(2, 9)),
            (start := draw(st.integers(0, 20)), draw(st.integers(start + 9, SLOTS))),
            *draw(st.sampled_from([(0,), (1,), (0, 1)])),
            priority=draw(st.integers(1, 4)),
            submitted=number,
            consents=draw(st.booleans()),
            organisation=draw(st.integers(0, 1)),
            late=draw(st.integers(0, 3)),
            subsidy=draw(st.integers(0, 3)),
        )
        for number in range(draw(st.integers(2, 9)))
    )
    machines = tuple(
        Instrument(staffed=((0, 18), (21, SLOTS)), clean=draw(st.integers(0, 2))) for _ in range(2)
    )
    return Pool(START, SLOTS, machines, wishes, caps={0: draw(st.integers(10, 40))}, budget=10)


@settings(max_examples=80, deadline=None)
@given(pools(), st.data())
def test_whatever_is_cancelled_nobody_is_envied_and_nobody_moves_without_consent(pool, data):
    start = Waitlist(pool, {}, range(len(pool.wishes)), shifts=False)
    start.fill(list(start.waiting), 0)
    line = Waitlist(pool, start.plan, start.waiting)
    now = 0
    for number in data.draw(st.permutations(sorted(start.plan)))[:3]:
        if number not in line.plan:
            continue
        now = data.draw(st.integers(now, 12))
        before = dict(line.plan)
        grants = line.cancel(number, now)
        judged(pool, line.plan)
        assert envies(pool, line.plan, grants, line.waiting, now) == []
        served = {one.wish for one in grants}
        for other, places in before.items():
            if other == number:
                assert other not in line.plan
            elif line.plan[other] != places:
                assert pool.wishes[other].consents
                assert min(places[0][1], line.plan[other][0][1]) >= now
        assert set(line.plan) == (set(before) - {number}) | served
        assert all(line.plan[one][0][1] >= now for one in served)
        assert all(one.worth > 0 for one in grants)


def test_envy_is_seen_where_turns_are_not_kept():
    pool = pool_of(wish(6, (0, 10), priority=3), wish(6, (0, 10), priority=1))
    line = Waitlist(pool, {}, [1])
    grants = line.fill([1], 0)
    assert [(one.waiting, one.holder) for one in envies(pool, line.plan, grants, [0], 0)] == [(0, 1)]
    alike = replace(pool, wishes=(replace(pool.wishes[0], priority=1), pool.wishes[1]))
    assert envies(alike, line.plan, grants, [0], 0) == []


def test_what_a_shifting_holder_leaves_elsewhere_goes_to_who_waits_for_it():
    pool = pool_of(
        wish(6, (0, 6)),
        wish(4, (0, 12), 0, 1, consents=True),
        wish(30, (10, SLOTS)),
        wish(12, (0, SLOTS), 1, consents=True),
        wish(8, (12, 20), 1),
        wish(10, (0, 10), 0, priority=1),
        wish(8, (0, 12), 1, priority=3),
        instruments=2,
    )
    plan = {0: ((0, 0),), 1: ((0, 6),), 2: ((0, 10),), 3: ((1, 0),), 4: ((1, 12),)}
    line = Waitlist(pool, plan, [5, 6])
    grants = line.cancel(0, 0)
    assert {one.wish for one in grants} == {5, 6}
    assert envies(pool, line.plan, grants, line.waiting, 0) == []
    judged(pool, line.plan)
