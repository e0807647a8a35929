"""Sets of slots against plain sets."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.resolution import bits

SLOTS = st.sets(st.integers(0, 60))


def word(slots):
    return sum(1 << slot for slot in slots)


def members(slots):
    return set(bits.ascending(slots))


@given(SLOTS, st.integers(1, 12))
def test_runs(slots, length):
    wanted = {slot for slot in slots if all(slot + n in slots for n in range(length))}
    assert members(bits.runs(word(slots), length)) == wanted


@given(SLOTS, st.integers(0, 9), st.integers(0, 9))
def test_within(slots, least, most):
    wanted = {slot + later for slot in slots for later in range(least, most + 1)}
    assert members(bits.within(word(slots), least, most)) == wanted


@given(SLOTS, st.integers(0, 60), st.integers(0, 5))
def test_the_nearest_are_found_the_earlier_first(slots, slot, count):
    wanted = sorted(slots, key=lambda one: (abs(one - slot), one))[:count]
    assert bits.around(word(slots), slot, count) == wanted


@given(SLOTS)
def test_stretches_are_the_set_again(slots):
    found = list(bits.stretches(word(slots)))
    assert {slot for start, end in found for slot in range(start, end)} == slots
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(found))
    assert bits.of_spans(found) == word(slots)


@given(SLOTS)
def test_first_and_last(slots):
    assert bits.first(word(slots)) == min(slots, default=None)
    assert bits.last(word(slots)) == max(slots, default=None)


def test_spans_before_the_first_slot_are_cut():
    assert members(bits.of_span(-3, 2)) == {0, 1}
    assert bits.of_span(4, 4) == 0
