"""Opening hours of the facility's wall clock, the days of summer time included."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.hours import (
    ALWAYS,
    DAY_MINUTES,
    WeeklyHours,
    changes_ahead,
    from_day,
    in_force,
    instant,
    is_open,
    open_spans,
    zone,
)
from booking.domain.spans import Span, merge

ZONES = ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]
OFFICE = tuple(WeeklyHours(day, 8 * 60 + 30, 17 * 60 + 30) for day in range(5))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_office_hours_of_a_week_in_shanghai():
    week = Span(utc(2026, 11, 1, 16), utc(2026, 11, 8, 16))
    spans = open_spans(OFFICE, week, zone("Asia/Shanghai"))
    assert len(spans) == 5
    assert spans[0] == Span(utc(2026, 11, 2, 0, 30), utc(2026, 11, 2, 9, 30))


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 1), 24)]
)
def test_a_day_in_new_york_has_as_many_hours_as_its_clock(day, hours):
    tz = zone("America/New_York")
    assert instant(day, DAY_MINUTES, tz) - instant(day, 0, tz) == timedelta(hours=hours)


def test_opening_at_a_time_that_the_clock_skips_begins_after_the_gap():
    tz = zone("America/New_York")
    assert instant(date(2026, 3, 8), 2 * 60 + 30, tz) == utc(2026, 3, 8, 7, 30)


def test_opening_at_a_time_that_comes_twice_begins_the_first_time():
    tz = zone("America/New_York")
    assert instant(date(2026, 11, 1), 60 + 30, tz) == utc(2026, 11, 1, 5, 30)


@pytest.mark.parametrize("name", ZONES)
@given(start=st.integers(0, 365 * 24 * 60), length=st.integers(1, 20 * 24 * 60))
def test_around_the_clock_is_open_over_every_change_of_clocks(name, start, length):
    begin = utc(2026, 1, 1) + timedelta(minutes=start)
    span = Span(begin, begin + timedelta(minutes=length))
    assert open_spans(ALWAYS, span, zone(name)) == [span]
    assert is_open(ALWAYS, span, zone(name))


@pytest.mark.parametrize("name", ZONES)
@given(start=st.integers(0, 365 * 24 * 4), length=st.integers(1, 96 * 10))
def test_open_spans_agree_with_the_wall_clock(name, start, length):
    tz = ZoneInfo(name)
    begin = utc(2026, 1, 1) + timedelta(minutes=15 * start)
    within = Span(begin, begin + timedelta(minutes=15 * length))
    spans = open_spans(OFFICE, within, tz)
    assert spans == merge(spans)
    quarter = begin
    while quarter < within.end:
        wall = quarter.astimezone(tz)
        minute = wall.hour * 60 + wall.minute
        expected = wall.weekday() < 5 and 8 * 60 + 30 <= minute < 17 * 60 + 30
        assert any(s.start <= quarter < s.end for s in spans) == expected
        quarter += timedelta(minutes=15)


def test_a_rule_is_in_force_between_its_dates():
    rule = WeeklyHours(0, 0, 60, date(2026, 11, 2), date(2026, 11, 9))
    assert rule.applies(date(2026, 11, 2))
    assert not rule.applies(date(2026, 11, 9))
    assert not rule.applies(date(2026, 10, 26))


def test_no_rules_are_never_open():
    assert not is_open((), Span(utc(2026, 1, 1), utc(2026, 1, 2)), zone("UTC"))


# --- weeks that follow each other -----------------------------------------------------------------

WEEKS = st.lists(
    st.builds(
        lambda day, opens, length: WeeklyHours(day, opens, opens + length),
        st.integers(0, 6),
        st.integers(0, 1300),
        st.integers(1, 140),
    ),
    max_size=5,
    unique=True,
)


@given(st.lists(st.tuples(st.integers(0, 60), WEEKS), max_size=5), st.integers(-5, 70))
def test_each_day_has_the_week_that_was_set_last_for_it(changes, asked):
    start = date(2026, 11, 1)
    rules: tuple[WeeklyHours, ...] = ()
    expected: dict[int, tuple[WeeklyHours, ...]] = {}
    for offset, week in changes:
        rules = from_day(rules, week, start + timedelta(days=offset))
        expected = {day: old for day, old in expected.items() if day < offset}
        expected[offset] = tuple(sorted(week, key=lambda rule: (rule.weekday, rule.opens, rule.closes)))
    known = [day for day in sorted(expected) if day <= asked]
    assert in_force(rules, start + timedelta(days=asked)) == (expected[known[-1]] if known else ())
    told = dict(changes_ahead(rules, start + timedelta(days=asked)))
    assert all(in_force(rules, day) == week for day, week in told.items())
    assert all(day > start + timedelta(days=asked) for day in told)
