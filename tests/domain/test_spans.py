"""Arithmetic of spans, against the slow and obvious way: minute by minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.spans import Load, Span, busy, intersect, levels, merge, peak, subtract

ZERO = datetime(2026, 11, 2, tzinfo=UTC)


def at(minute: int) -> datetime:
    return ZERO + timedelta(minutes=minute)


minutes = st.integers(0, 60)
spans = st.builds(lambda a, b: Span(at(a), at(b)), minutes, minutes)
loads = st.builds(lambda a, b, n: Load(at(a), at(b), n), minutes, minutes, st.integers(1, 4))


def covered(some) -> set[int]:
    return {m for m in range(61) for span in some if span.start <= at(m) < span.end}


def tidy(some) -> bool:
    return all(s.start < s.end for s in some) and all(a.end < b.start for a, b in pairwise(some))


@given(st.lists(spans))
def test_merge_keeps_the_time_and_is_tidy(some):
    merged = merge(some)
    assert covered(merged) == covered(some)
    assert tidy(merged)


@given(st.lists(spans), st.lists(spans))
def test_intersect_is_what_lies_in_both(left, right):
    common = intersect(left, right)
    assert covered(common) == covered(left) & covered(right)
    assert all(s.start < s.end for s in common)


@given(st.lists(spans), st.lists(spans))
def test_subtract_is_what_lies_in_the_first_alone(left, right):
    rest = subtract(left, right)
    assert covered(rest) == covered(left) - covered(right)
    assert tidy(rest)


def load_at(some, minute: int) -> int:
    return sum(x.quantity for x in some if x.start <= at(minute) < x.end)


@given(st.lists(loads))
def test_levels_give_the_sum_at_every_minute(some):
    found = dict.fromkeys(range(61), 0)
    for span, level in levels(some):
        assert level > 0
        for minute in range(61):
            if span.start <= at(minute) < span.end:
                found[minute] += level
    assert found == {minute: load_at(some, minute) for minute in range(61)}


@given(st.lists(loads), spans)
def test_peak_is_the_highest_minute(some, within):
    inside = [m for m in range(61) if within.start <= at(m) < within.end]
    assert peak(some, within) == max((load_at(some, m) for m in inside), default=peak(some, within))
    if within.start >= within.end:
        assert peak(some, within) >= 0


@given(st.lists(loads), st.integers(0, 8))
def test_busy_is_where_more_than_the_room_is_taken(some, room):
    assert covered(busy(some, room)) == {m for m in range(61) if load_at(some, m) > room}


def test_spans_that_touch_do_not_overlap():
    assert not Span(at(0), at(5)).overlaps(Span(at(5), at(9)))
    assert Span(at(0), at(6)).overlaps(Span(at(5), at(9)))
