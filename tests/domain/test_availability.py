"""Free levels and starts, against placing a use by brute force."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.availability import begins, free_levels, nearest_length, nearest_starts, on_step, starts
from booking.domain.occupation import padded
from booking.domain.rules import Policy
from booking.domain.spans import Load, Span, merge, peak

ZERO = datetime(2026, 11, 2, tzinfo=UTC)
DAY = Span(ZERO, ZERO + timedelta(days=1))


def at(quarter: int) -> datetime:
    return ZERO + timedelta(minutes=15 * quarter)


loads = st.lists(
    st.builds(
        lambda a, n, q: Load(at(a), at(a + n), q), st.integers(0, 90), st.integers(1, 12), st.integers(1, 3)
    ),
    max_size=8,
)
policies = st.builds(
    lambda setup, cleanup: Policy(step=15, shortest=15, setup=15 * setup, cleanup=15 * cleanup),
    st.integers(0, 3),
    st.integers(0, 3),
)


def fits(start: datetime, length: timedelta, some, units: int, policy: Policy, quantity: int) -> bool:
    around = padded(Span(start, start + length), policy.setup, policy.cleanup)
    return peak(some, around) + quantity <= units


@given(loads, policies, st.integers(1, 3), st.integers(1, 3), st.integers(1, 8))
def test_a_use_inside_the_free_levels_fits_and_one_outside_does_not(some, policy, units, quantity, quarters):
    length = timedelta(minutes=15 * quarters)
    free = merge(s for s, level in free_levels([DAY], some, units, policy) if level >= quantity)
    for quarter in range(96):
        use = Span(at(quarter), at(quarter) + length)
        if DAY.contains(use):
            inside = any(span.contains(use) for span in free)
            assert inside == fits(use.start, length, some, units, policy, quantity)


def first_start(spans, length, policy):
    return next(starts(spans, length, policy, ZERO, "UTC", starting=[DAY]), None)


@given(loads, policies, st.integers(1, 8))
def test_the_first_start_is_the_earliest_that_fits(some, policy, quarters):
    length = timedelta(minutes=15 * quarters)
    free = [s for s, _ in free_levels([DAY], some, 1, policy)]
    found = first_start(free, length, policy)
    fitting = [
        at(q) for q in range(96) if at(q) + length <= DAY.end and fits(at(q), length, some, 1, policy, 1)
    ]
    assert found == (fitting[0] if fitting else None)


@given(loads, policies, st.integers(1, 8), st.lists(st.integers(0, 96), min_size=4, max_size=4, unique=True))
def test_the_starts_within_stretches_are_those_that_fit_one_after_another(some, policy, quarters, edges):
    length = timedelta(minutes=15 * quarters)
    free = [s for s, _ in free_levels([DAY], some, 1, policy)]
    a, b, c, d = sorted(edges)
    within = [Span(at(a), at(b)), Span(at(c), at(d))]
    expected, end = [], ZERO
    for q in range(96):
        inside = any(span.start <= at(q) < span.end for span in within) and at(q) + length <= DAY.end
        if inside and at(q) >= end and fits(at(q), length, some, 1, policy, 1):
            expected.append(at(q))
            end = at(q) + length
    assert list(starts(free, length, policy, ZERO, "UTC", starting=within)) == expected


def test_parts_of_the_day_and_weekdays_follow_the_facilitys_clock_over_a_change_of_clocks():
    friday = datetime(2026, 10, 23, tzinfo=UTC)  # clocks go back in the night to Sunday
    week = Span(friday, friday + timedelta(days=7))
    mornings = begins(week, "Europe/Berlin", part="morning", days="weekends")
    assert mornings == [
        Span(datetime(2026, 10, 24, 4, tzinfo=UTC), datetime(2026, 10, 24, 10, tzinfo=UTC)),
        Span(datetime(2026, 10, 25, 5, tzinfo=UTC), datetime(2026, 10, 25, 11, tzinfo=UTC)),
    ]
    nights = begins(week, "Europe/Berlin", part="night", days="weekends")
    assert [span.duration for span in nights] == [timedelta(hours=13), timedelta(hours=12)]
    assert begins(week, "Europe/Berlin")[0].start == friday
    assert sum((span.duration for span in begins(week, "Asia/Shanghai")), timedelta()) == week.duration


@given(loads, st.integers(0, 90), st.integers(1, 8))
def test_the_nearest_starts_fit_and_none_is_nearer(some, wish_at, quarters):
    policy = Policy(step=15, shortest=15)
    wish = Span(at(wish_at), at(wish_at + quarters))
    free = [s for s, _ in free_levels([DAY], some, 1, policy)]
    found = nearest_starts(free, wish, policy, ZERO, "UTC", count=3)
    fitting = [
        at(q)
        for q in range(96)
        if at(q) + wish.duration <= DAY.end and fits(at(q), wish.duration, some, 1, policy, 1)
    ]
    assert set(found) <= set(fitting)
    if fitting:
        nearest = min(abs(start - wish.start) for start in fitting)
        assert abs(found[0] - wish.start) == nearest
    else:
        assert found == []


def test_policy_narrows_what_is_offered():
    policy = Policy(step=30, shortest=60, longest=120, notice=90, horizon=600)
    assert first_start([DAY], timedelta(minutes=60), policy) == at(6)
    assert first_start([DAY], timedelta(minutes=45), policy) is None
    assert first_start([DAY], timedelta(minutes=180), policy) is None
    late = Span(ZERO + timedelta(minutes=590), DAY.end)
    assert first_start([late], timedelta(minutes=60), policy) is None


def test_steps_follow_the_facilitys_clock():
    assert on_step(ZERO + timedelta(minutes=1), 30, "Asia/Kolkata") == ZERO + timedelta(minutes=30)
    assert on_step(ZERO + timedelta(minutes=1), 60, "Asia/Kolkata") == ZERO + timedelta(minutes=30)
    assert on_step(ZERO, 60, "UTC") == ZERO


@given(
    st.integers(1, 4), st.integers(1, 90), st.one_of(st.none(), st.integers(90, 400)), st.integers(1, 1000)
)
def test_the_nearest_length_is_allowed_and_what_is_allowed_stays(quarters, shortest, longest, minutes):
    policy = Policy(step=15 * quarters, shortest=shortest, longest=longest)
    length = nearest_length(timedelta(minutes=minutes), policy)
    found = length.total_seconds() / 60
    if -(-shortest // policy.step) * policy.step <= (longest or found):
        assert found % policy.step == 0
        assert shortest <= found <= (longest or found)
        assert nearest_length(length, policy) == length
