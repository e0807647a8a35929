"""Rules of repetition, their dates, and wall-clock times across the changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import recurrence
from booking.domain.recurrence import (
    LONGEST_SERIES,
    MOST_DATES,
    Clock,
    Frequency,
    Pattern,
    Rule,
    days,
    occurrence,
    occurrences,
    parse,
    split,
    written,
)
from booking.domain.rules import Invalid

NEW_YORK = ZoneInfo("America/New_York")
SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 11, 2)


def at(text: str, first: date = MONDAY) -> list[str]:
    return [day.isoformat() for day in days(parse(text, first), first)]


def wrong(text: str, first: date = MONDAY) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        days(parse(text, first), first)
    return error.value.errors


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", ["2026-11-02", "2026-11-03", "2026-11-04"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20261125", ["2026-11-02", "2026-11-12", "2026-11-22"]),
        ("FREQ=WEEKLY;COUNT=2", ["2026-11-02", "2026-11-09"]),
        ("FREQ=WEEKLY;BYDAY=WE,MO;COUNT=3", ["2026-11-02", "2026-11-04", "2026-11-09"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;UNTIL=20261201T000000Z",
            ["2026-11-02", "2026-11-16", "2026-11-30"],
        ),
        ("FREQ=MONTHLY;COUNT=2", ["2026-11-02", "2026-12-02"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", ["2026-12-31", "2027-01-31", "2027-03-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=4", ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]),
        ("FREQ=MONTHLY;BYDAY=1MO;COUNT=2", ["2026-11-02", "2026-12-07"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1;COUNT=2", ["2026-11-27", "2026-12-25"]),
        ("RRULE:FREQ=WEEKLY;WKST=MO;BYDAY=SU;COUNT=1", ["2026-11-08"]),
    ],
)
def test_the_dates_of_a_rule(text, expected):
    assert at(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("FREQ=DAILY", "endless"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20261225", "malformed"),
        ("FREQ=DAILY;COUNT=0", "malformed"),
        ("FREQ=DAILY;COUNT=367", "too_large"),
        ("FREQ=DAILY;UNTIL=20271105", "too_large"),
        ("FREQ=WEEKLY;UNTIL=20291130", "too_large"),
        ("FREQ=MONTHLY;INTERVAL=12;COUNT=5", "too_large"),
        ("FREQ=DAILY;UNTIL=20261101", "inverted"),
        ("FREQ=MONTHLY;BYMONTHDAY=31;INTERVAL=12;UNTIL=20291101", "no_dates"),
        ("FREQ=YEARLY;COUNT=3", "malformed"),
        ("FREQ=SECONDLY;COUNT=3", "malformed"),
        ("FREQ=DAILY;BYHOUR=9;COUNT=3", "unknown"),
        ("FREQ=DAILY;BYDAY=MO;COUNT=3", "unknown"),
        ("FREQ=WEEKLY;BYDAY=1MO;COUNT=3", "unknown"),
        ("FREQ=WEEKLY;BYDAY=XX;COUNT=3", "malformed"),
        ("FREQ=MONTHLY;BYDAY=5MO;COUNT=3", "malformed"),
        ("FREQ=MONTHLY;BYDAY=MO;COUNT=3", "malformed"),
        ("FREQ=MONTHLY;BYDAY=1MO,1TU;COUNT=3", "unknown"),
        ("FREQ=MONTHLY;BYMONTHDAY=32;COUNT=3", "too_large"),
        ("FREQ=DAILY;INTERVAL=100;COUNT=3", "too_large"),
        ("FREQ=DAILY;INTERVAL=0;COUNT=3", "malformed"),
        ("FREQ=DAILY;COUNT=3;COUNT=4", "malformed"),
        ("FREQ=DAILY;UNTIL=20261332", "malformed"),
        ("FREQ=DAILY;COUNT=" + "9" * 400, "malformed"),
    ],
)
def test_a_rule_that_nobody_could_follow_is_refused(text, code):
    assert wrong(text) == {"rule": code}


def rules() -> st.SearchStrategy[Rule]:
    ends = st.one_of(
        st.integers(1, 40).map(lambda n: {"count": n}),
        st.integers(0, 400).map(lambda n: {"until": MONDAY + timedelta(days=n)}),
    )
    weekdays = st.sets(st.integers(0, 6), min_size=1).map(lambda found: tuple(sorted(found)))
    position = st.sampled_from([-1, 1, 2, 3, 4])
    shapes = st.one_of(
        st.just({"frequency": Frequency.DAILY}),
        weekdays.map(lambda w: {"frequency": Frequency.WEEKLY, "weekdays": w}),
        st.one_of(st.just(-1), st.integers(1, 31)).map(
            lambda n: {"frequency": Frequency.MONTHLY, "month_day": n}
        ),
        st.tuples(st.integers(0, 6), position).map(
            lambda found: {
                "frequency": Frequency.MONTHLY,
                "weekdays": (found[0],),
                "position": found[1],
            }
        ),
    )
    return st.builds(
        lambda shape, end, interval: Rule(**shape, **end, interval=interval), shapes, ends, st.integers(1, 6)
    )


def known_days(rule: Rule) -> list[date] | None:
    """The rule's days, None where it has none or too many."""
    try:
        return days(rule, MONDAY)
    except Invalid:
        return None


@given(rules())
def test_a_rule_is_read_back_as_it_was_written(rule):
    assert parse(written(rule), MONDAY) == rule


@given(rules())
def test_dates_rise_within_the_limits_and_end(rule):
    found = known_days(rule)
    if found is None:
        return
    assert found == sorted(set(found))
    assert found[0] >= MONDAY
    assert len(found) <= MOST_DATES
    assert found[-1] - MONDAY <= LONGEST_SERIES
    if rule.count is not None:
        assert len(found) == rule.count
    if rule.until is not None:
        assert found[-1] <= rule.until
    if rule.frequency is Frequency.WEEKLY:
        assert {day.weekday() for day in found} <= set(rule.weekdays)


@given(rules(), st.data())
def test_the_two_parts_of_a_split_rule_are_the_whole(rule, data):
    whole = known_days(rule)
    if whole is None or len(whole) < 2:
        return
    cut = data.draw(st.sampled_from(whole[1:]))
    before, rest = split(rule, MONDAY, cut)
    assert days(before, MONDAY) + days(rest, cut) == whole


def test_a_rule_is_split_at_one_of_its_later_dates_only():
    rule = parse("FREQ=WEEKLY;COUNT=3", MONDAY)
    for day in (MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=21)):
        with pytest.raises(Invalid):
            split(rule, MONDAY, day)


# --- the wall clock -------------------------------------------------------------------------------


@given(rules(), st.integers(0, 1439), st.sampled_from([NEW_YORK, SHANGHAI]))
def test_a_use_begins_at_its_time_of_the_wall_clock_whatever_the_season(rule, minute, tz):
    try:
        found = occurrences(Pattern(rule, MONDAY, minute, 90), tz)
    except Invalid:
        return
    for one in found:
        local = one.span.start.astimezone(tz)
        assert one.span.minutes == 90
        if one.clock is Clock.MISSING:
            assert tz is NEW_YORK
            assert local.date() == one.day
            assert local.hour * 60 + local.minute == minute + 60
        else:
            assert (local.date(), local.hour * 60 + local.minute) == (one.day, minute)


def test_a_time_that_the_clock_skips_is_an_hour_later():
    one = occurrence(date(2027, 3, 14), 150, 60, NEW_YORK)
    assert one.clock is Clock.MISSING
    assert one.span.start == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)  # 03:30 of the new time


def test_of_a_time_that_comes_twice_the_first_is_meant():
    one = occurrence(date(2026, 11, 1), 90, 60, NEW_YORK)
    assert one.clock is Clock.TWICE
    assert one.span.start == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # still summer time


def test_a_use_over_the_change_keeps_its_length():
    one = occurrence(date(2026, 10, 31), 22 * 60, 8 * 60, NEW_YORK)
    assert one.clock is Clock.SHIFTED
    assert one.span.minutes == 480
    assert one.span.end.astimezone(NEW_YORK).hour == 5


def test_nine_o_clock_stays_nine_o_clock():
    rule = parse("FREQ=WEEKLY;COUNT=3", date(2026, 10, 26))
    found = occurrences(Pattern(rule, date(2026, 10, 26), 540, 60), NEW_YORK)
    assert [one.span.start.hour for one in found] == [13, 14, 14]
    assert {one.clock for one in found} == {Clock.PLAIN}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start_minute": 1440}, "start"),
        ({"start_minute": -1}, "start"),
        ({"minutes": 0}, "length"),
        ({"minutes": 600_000}, "length"),
        ({"excluded": frozenset({MONDAY + timedelta(days=1)})}, "excluded"),
        ({"first_day": date(1999, 1, 1)}, "first_day"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused(change, field):
    rule = parse("FREQ=WEEKLY;COUNT=3", MONDAY)
    values = {"rule": rule, "first_day": MONDAY, "start_minute": 540, "minutes": 60} | change
    with pytest.raises(Invalid) as error:
        recurrence.occurrences(Pattern(**values), SHANGHAI)
    assert list(error.value.errors) == [field]
