"""Standby in figures: intervals against known ones, what is left of a slot, and odds that fall with the line."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import standby
from booking.domain.spans import Span
from booking.domain.standby import History

NINE = datetime(2026, 11, 2, 1, tzinfo=UTC)


def span(start: float, end: float) -> Span:
    return Span(NINE + timedelta(minutes=start), NINE + timedelta(minutes=end))


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # The figures of Newcombe, "Two-sided confidence intervals for the single proportion", 1998, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(hits, of, low, high):
    found = standby.interval(hits, of)
    assert found == pytest.approx((low, high), abs=0.0001)


def test_nothing_known_is_everything_possible():
    assert standby.interval(0, 0) == (0.0, 1.0)
    assert not History(19, 10).enough


minutes = st.integers(0, 600)


@given(st.lists(st.tuples(minutes, minutes)), st.integers(1, 120), st.integers(0, 120), st.integers(0, 90))
def test_a_use_lies_in_free_time_is_as_long_as_wanted_and_can_be_reached(pairs, least, more, lead):
    free = [span(*sorted(pair)) for pair in pairs]
    found = standby.use(free, least=least, most=least + more, lead=lead, now=NINE)
    reach = NINE + timedelta(minutes=max(lead, 5))
    if found is None:
        late = reach + standby.GRID
        assert not any(one.start <= late and one.end >= late + timedelta(minutes=least) for one in free[:1])
        return
    assert any(one.contains(found) for one in free)
    assert timedelta(minutes=least) <= found.duration <= timedelta(minutes=least + more)
    assert found.start >= reach
    assert found.start.minute % 5 == found.start.second == 0
    assert standby.deadline(NINE, found.start) <= found.start


@given(st.integers(0, 4), st.integers(20, 300), st.data())
def test_the_longer_the_line_the_lower_the_odds_and_the_interval_holds_them(ahead, bookings, data):
    missed = data.draw(st.integers(0, bookings))
    booked = [span(start, start + 60) for start in range(0, 480, 60)]

    def odds(before: int) -> standby.Odds:
        found = standby.odds(
            [],
            booked,
            history=History(bookings, missed),
            units=1,
            opened=[span(0, 480)],
            minutes=30,
            lead=0,
            grace=15,
            ahead=before,
            now=NINE - timedelta(hours=1),
        )
        assert found is not None
        return found

    first, then = odds(ahead), odds(ahead + 1)
    assert 0.0 <= first.low <= first.likely <= first.high <= 1.0
    assert then.likely <= first.likely
    assert first.likely == pytest.approx(1.0 - _at_most(ahead, len(booked), missed / bookings))


def _at_most(number: int, of: int, share: float) -> float:
    """Add up the binomial distribution by its definition."""
    total, term = 0.0, (1.0 - share) ** of
    for hits in range(number + 1):
        if hits and share < 1.0:
            term *= (of - hits + 1) / hits * share / (1.0 - share)
        total += term
    return total


def test_time_that_stays_taken_gives_no_odds_and_a_gap_between_hours_is_no_place():
    known = {"history": History(100, 50), "units": 1, "minutes": 30, "lead": 0, "grace": 15, "ahead": 0}
    opened = [span(0, 120), span(240, 360)]
    taken = [span(0, 120), span(240, 360)]
    assert standby.odds(taken, [], opened=opened, now=NINE, **known).high == 0.0
    half = standby.odds(taken[:1], taken[1:], opened=opened, now=NINE, **known)
    assert half.likely == pytest.approx(0.5)


def test_what_was_refilled_counts_once():
    missed, used = [span(0, 120), span(60, 180)], [span(30, 90), span(60, 100), span(170, 300)]
    assert standby.refilled(missed, used) == timedelta(minutes=80)
