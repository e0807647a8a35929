"""Explanations: each code with its figures, helps that truly help, nobody named."""

import datetime as dt
from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from booking.domain.resolution.board import Prices
from booking.domain.resolution.check import judged
from booking.domain.resolution.explain import Explainer, moved, relaxed_wishes
from booking.domain.resolution.outage import Disturbance, Outage
from booking.domain.resolution.problem import DAY, Floor, Instrument, Pool, Step, Wish
from booking.domain.resolution.refill import Waitlist
from booking.domain.resolution.repair import repairs
from tests.domain.resolution.test_refill import pools

HORIZON = 4 * DAY
OPEN = Instrument(staffed=((0, HORIZON),), kind="oven", group="dry", rate=100)


def wish(duration, window, *places, **also):
    choices = tuple((n, at) for at, n in enumerate(places or (0,)))
    return Wish((Step(duration, choices, attended=False),), window, also.pop("value", 500), **also)


def pool_of(*wishes, instruments=(OPEN,), **also):
    return Pool(dt.date(2026, 9, 21), HORIZON, instruments, wishes, **also)


def codes(explanation):
    return [reason.code for reason in explanation.reasons]


def test_full_counts_what_blocks_by_class():
    pool = pool_of(
        wish(8, (0, 8), priority=3),
        wish(8, (8, 16), priority=3),
        wish(8, (16, 24), priority=1),
        wish(8, (60, 68), priority=4),
        wish(8, (4, 22)),
    )
    explained = Explainer(pool, {0: ((0, 0),), 1: ((0, 8),), 2: ((0, 16),), 3: ((0, 60),)}).unserved(4)
    assert codes(explained) == ["full"]
    assert explained.reasons[0].params == {"classes": {3: 2, 1: 1}, "starts": 11}
    assert [(one.code, one.places) for one in explained.helps] == [("later", ((0, 24),))]


def test_a_calendar_that_leaves_no_start_is_said_to_be_so():
    closed = replace(OPEN, blocked=((0, 20),))
    explained = Explainer(pool_of(wish(8, (0, 20)), instruments=(closed,)), {}).unserved(0)
    assert codes(explained) == ["never_free"]


def test_rules_say_by_how_much_they_are_exceeded():
    pool = pool_of(
        wish(8, (0, 90), organisation=1, subsidy=70),
        wish(8, (0, 90), organisation=1, subsidy=60),
        caps={1: 10},
        budget=100,
    )
    explained = Explainer(pool, {0: ((0, 0),)}).unserved(1)
    assert [(one.code, one.params) for one in explained.reasons] == [
        ("cap", {"over": 1.5, "cap": 2.5}),
        ("budget", {"over": 30, "budget": 100}),
    ]
    assert explained.helps == ()


def prices(pool, slot_price, **also):
    stride = pool.horizon + 1
    sums = np.tile(np.arange(stride) * float(slot_price), len(pool.instruments))
    return Prices(
        **{
            "slots": sums,
            "floors": np.zeros(len(pool.floors)),
            "budget": 0.0,
            "caps": {},
            "utilities": np.zeros((0, stride)),
        }
        | also
    )


def test_outbid_gives_the_price_of_the_cheapest_place_and_the_value():
    pool = pool_of(wish(8, (0, 8), value=90), wish(8, (0, 8), value=50), budget=100)
    dear = Explainer(pool, {0: ((0, 0),)}, prices(pool, 10)).unserved(1)
    assert dear.reasons[-1].code == "outbid"
    assert dear.reasons[-1].params == {"price": 80, "value": 50, "places": ((0, 0),)}
    cheap = Explainer(pool, {0: ((0, 0),)}, prices(pool, 5)).unserved(1)
    assert codes(cheap) == ["full"]
    rule = Explainer(pool, {0: ((0, 0),)}, prices(pool, 5, caps={0: 2.0})).unserved(1)
    assert rule.reasons[-1].params["price"] == 56


def test_hours_promised_to_others_are_a_reason_and_those_promised_to_oneself_lower_the_price():
    floors = (Floor("sme", None, 40), Floor("sme", "beam", 4))
    pool = pool_of(
        wish(8, (0, 8), quota_class="sme"), wish(8, (0, 8), quota_class="university"), floors=floors
    )
    explained = Explainer(pool, {0: ((0, 0),)}).unserved(1)
    assert explained.reasons[-1].params == {"quota_class": "sme", "hours": 10.0, "missing": 8.0}
    paid = prices(pool, 100, floors=np.array([50.0, 0.0]))
    own = Explainer(pool, {}, paid).unserved(0)
    assert codes(own) == []
    assert codes(Explainer(pool, {}, paid).unserved(1)) == ["floor", "outbid"]


def test_each_help_is_a_place_that_is_free():
    attended = Instrument(staffed=((0, 16), (20, 36)), kind="oven")
    other = replace(attended, site=1)
    step = Step(12, ((0, 0),))
    pool = pool_of(
        wish(8, (0, 8)),
        Wish((step,), (4, 34), 500),
        wish(10, (24, 34)),
        instruments=(attended, other),
    )
    explained = Explainer(pool, {0: ((0, 0),), 2: ((0, 24),)}).unserved(1)
    assert [(one.code, one.places) for one in explained.helps] == [
        ("instrument", ((1, 4),)),
        ("unattended", ((0, 9),)),
    ]
    assert explained.helps[0].params == {"instrument": 1, "step": 0}


@settings(max_examples=60, deadline=None)
@given(pools())
def test_helps_pass_the_referee(pool):
    line = Waitlist(pool, {}, range(len(pool.wishes)), shifts=False)
    line.fill(list(line.waiting), 0)
    explainer = Explainer(pool, line.plan)
    for number in line.waiting:
        explained = explainer.unserved(number)
        assert explained.reasons
        ways = list(relaxed_wishes(pool, pool.wishes[number]))
        for one in explained.helps:
            other = next(w for code, w, params in ways if (code, params) == (one.code, dict(one.params)))
            wishes = (*pool.wishes[:number], other, *pool.wishes[number + 1 :])
            judged(replace(pool, wishes=wishes), line.plan | {number: one.places})


def test_served_elsewhere_says_what_it_costs_more():
    dear = replace(OPEN, rate=160)
    pool = pool_of(wish(8, (0, 8), 0, 1), instruments=(OPEN, dear))
    found = Explainer(pool, {0: ((1, 0),)}).elsewhere(0)
    assert [(one.wished, one.served, one.yuan) for one in found] == [(0, 1, 120)]
    assert Explainer(pool, {0: ((0, 0),)}).elsewhere(0) == []


def test_who_is_moved_is_told_for_whom_and_what_else_would_cost():
    pool = pool_of(wish(6, (0, 12)), wish(6, (0, 40), consents=True))
    weights = Disturbance(grace=0)
    found = repairs(pool, {0: ((0, 0),), 1: ((0, 6),)}, Outage(((0, 0, 6),)), weights=weights)
    neighbour, hit = moved(found, 1), moved(found, 0)
    assert (neighbour.hit, neighbour.makes_room_for, neighbour.cost) == (False, (0,), 300 + 6)
    assert (hit.hit, hit.chain, hit.cost) == (True, (1,), 100 + 6)
    # The next best leaves the neighbour alone and cancels the booking that is hit.
    assert hit.next_best == 4000 - hit.cost - neighbour.cost
    assert moved(found, 7) is None
