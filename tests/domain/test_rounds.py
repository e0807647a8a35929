"""What a wish is worth in a round, what is fair, what was promised, what stays free."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import rounds
from booking.domain.rounds import MOVES, RoundAction, RoundState

NOW = datetime(2026, 11, 2, tzinfo=UTC)
WEEK = 7 * 96


@given(st.integers(1, 480), st.sampled_from([1, 2, 3]), st.floats(0.25, 1.0))
def test_a_higher_priority_is_worth_more_and_a_longer_use_too(slots, priority, fair):
    here = rounds.worth(slots=slots, priority=priority, fair=fair)
    assert rounds.worth(slots=slots, priority=priority + 1, fair=fair) > here
    assert rounds.worth(slots=slots * 2, priority=priority, fair=fair) > here
    assert 2 * here >= rounds.worth(slots=slots * 2, priority=priority, fair=fair)


@given(st.integers(1, 480), st.integers(1, 5), st.integers(0, 100), st.integers(0, 20))
def test_weights_scale_what_they_name_and_the_usual_ones_are_those_of_old(slots, factor, late, rank):
    low = rounds.worth(slots=slots, priority=1, fair=1.0, factor=factor)
    assert rounds.worth(slots=slots, priority=4, fair=1.0, factor=factor) - 50 == pytest.approx(
        factor**3 * (low - 50), abs=factor**3
    )
    assert rounds.penalty(low, 3, rank) == round(low * 3 * rank / 100)
    assert 0 <= rounds.lateness(low, 96, late) * 96 <= low * late / 100
    assert rounds.worth(slots=16, priority=2, fair=1.0) == 3761
    assert rounds.fair_share(100, 100, 4, 100) == 1


def test_weights_out_of_their_limits_are_named():
    assert rounds.Weights().wrong == []
    assert rounds.Weights(floor_points=-1, priority_factor=6, fair_percent=101).wrong == [
        "floor_points",
        "priority_factor",
        "fair_percent",
    ]


def test_use_counts_half_after_four_weeks():
    assert rounds.decayed([(NOW - timedelta(days=28), 10.0)], NOW) == pytest.approx(5)
    assert rounds.decayed([(NOW, 10.0), (NOW - timedelta(days=56), 8.0)], NOW) == pytest.approx(12)


def test_who_used_their_equal_part_keeps_half_and_nobody_less_than_a_quarter():
    assert rounds.fair_share(0, 100, 4) == 1
    assert rounds.fair_share(25, 100, 4) == pytest.approx(0.5)
    assert rounds.fair_share(100, 100, 4) == 0.25
    assert rounds.fair_share(0, 0, 0) == 1


def test_an_annual_promise_is_shared_over_the_rounds_left():
    hour = 60
    assert rounds.promised(annual=700 * hour, delivered=0, rounds_left=13) == int(700 * hour / 13 * 1.1)
    assert rounds.promised(annual=700 * hour, delivered=650 * hour, rounds_left=1) == 50 * hour
    assert rounds.promised(annual=700 * hour, delivered=900 * hour, rounds_left=3) == 0


@given(
    st.sets(st.integers(0, 40), max_size=20),
    st.integers(0, 50),
)
def test_what_is_kept_free_is_the_end_of_each_weeks_staffed_time(days, percent):
    staffed = [(day * 96 + 34, day * 96 + 70) for day in sorted(days)]
    kept = rounds.kept_free(staffed, percent=percent, week=WEEK)
    for number in range(6):
        here = [span for span in staffed if span[0] // WEEK == number]
        free = [span for span in kept if span[0] // WEEK == number]
        assert sum(b - a for a, b in free) == sum(b - a for a, b in here) * percent // 100
        slots = [slot for a, b in here for slot in range(a, b)]
        left = {slot for a, b in free for slot in range(a, b)}
        assert left == set(slots[len(slots) - len(left) :])


def test_a_round_that_was_confirmed_or_cancelled_moves_no_more():
    assert not any(state in {RoundState.CONFIRMED, RoundState.CANCELLED} for state, _ in MOVES)
    assert {action for _, action in MOVES} == set(RoundAction)


def test_a_region_holds_what_lies_in_it_and_an_organisation_has_one_class():
    promised = ["450000", "440300"]
    for region, expected in (
        ("450100", "enterprise@450000"),
        ("450000", "enterprise@450000"),
        ("440300", "enterprise@440300"),
        ("440304", "enterprise@440300"),
        ("441900", "enterprise"),
        ("", "enterprise"),
    ):
        assert rounds.quota_class("enterprise", region, promised) == expected
    assert [rounds.prefix(code) for code in ("450000", "450100", "451000", "450203", "")] == [
        "45",
        "4501",
        "4510",
        "450203",
        "",
    ]
