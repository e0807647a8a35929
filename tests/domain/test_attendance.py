"""Late, early, over time, missed: by the clock of the booking."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import attendance
from booking.domain.attendance import Manners
from booking.domain.spans import Span

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TWO_HOURS = Span(START, START + 2 * HOUR)

minutes = st.integers(0, 600)
known = st.builds(
    Manners,
    grace=st.none() | minutes,
    late_allowed=st.booleans(),
    tolerance=st.integers(0, 60),
    overtime_limit=minutes,
    late_cancellation=minutes,
)
lengths = st.integers(1, 2000).map(lambda n: Span(START, START + n * MINUTE))


@pytest.mark.parametrize(("came", "late"), [(-10, 0), (0, 0), (5, 0), (6, 6), (29, 29)])
def test_within_the_tolerance_nobody_is_late(came, late):
    assert attendance.late(TWO_HOURS, START + came * MINUTE, Manners()) == late


@pytest.mark.parametrize(
    ("went", "early", "over"), [(-60, 60, 0), (-5, 0, 0), (0, 0, 0), (5, 0, 0), (90, 0, 90)]
)
def test_who_leaves_is_early_on_time_or_late(went, early, over):
    at = TWO_HOURS.end + went * MINUTE
    assert attendance.early(TWO_HOURS, at, Manners()) == early
    assert attendance.overtime(TWO_HOURS, at, Manners()) == over


def test_who_leaves_before_the_start_leaves_the_whole_of_it():
    assert attendance.early(TWO_HOURS, START - 10 * MINUTE, Manners()) == 120


def test_a_short_booking_is_missed_at_its_end():
    short = Span(START, START + 15 * MINUTE)
    assert attendance.missed_at(short, Manners()) == short.end
    assert attendance.missed_at(TWO_HOURS, Manners()) == START + 30 * MINUTE
    assert attendance.missed_at(TWO_HOURS, Manners(grace=None)) is None


def test_where_late_people_are_turned_away_they_have_the_tolerance():
    strict = Manners(late_allowed=False)
    assert attendance.check_in_closes(TWO_HOURS, strict) == START + 6 * MINUTE
    assert attendance.check_in_closes(TWO_HOURS, Manners()) == START + 30 * MINUTE
    assert attendance.check_in_closes(TWO_HOURS, Manners(grace=None)) == TWO_HOURS.end


@given(lengths, st.none() | minutes, known)
def test_who_does_not_leave_is_gone_after_the_tolerance_and_before_patience_ends(span, follows, manners):
    follower = None if follows is None else span.end + follows * MINUTE
    gone = attendance.gone_at(span, follower, manners)
    soonest = span.end + (manners.tolerance + 1) * MINUTE
    assert soonest <= gone <= max(soonest, span.end + manners.overtime_limit * MINUTE)
    assert attendance.overtime(span, gone, manners) > 0
    if follower is not None:
        assert gone <= max(soonest, follower)


@given(lengths, known)
def test_check_in_closes_within_the_booking_and_never_after_it_is_missed(span, manners):
    closes = attendance.check_in_closes(span, manners)
    missed = attendance.missed_at(span, manners)
    assert span.start <= closes <= span.end
    assert missed is None or closes <= missed


def test_a_cancellation_is_late_near_the_start_but_not_just_after_the_booking():
    long_ago = START - 5 * HOUR
    manners = Manners()
    assert not attendance.cancels_late(TWO_HOURS, START - HOUR, placed=long_ago, known=manners)
    assert attendance.cancels_late(TWO_HOURS, START - 59 * MINUTE, placed=long_ago, known=manners)
    at = START - 30 * MINUTE
    assert not attendance.cancels_late(TWO_HOURS, at, placed=at - 5 * MINUTE, known=manners)


def test_rules_say_what_they_say_and_defaults_the_rest():
    assert attendance.manners({}) == Manners()
    found = attendance.manners({"grace": None, "late_allowed": 0, "tolerance": 0})
    assert found == Manners(grace=None, late_allowed=False, tolerance=0)
