"""Limits over time: what counts, in which window, and which of several rules."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.hours import zone
from booking.domain.policy import Place, PlaceKind, Rule, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import Measure, Party, Period, Use, counting, full, name_of, quota_of
from booking.domain.spans import Span, intersect
from booking.domain.working_days import DayKind, WorkingDays

SHANGHAI = zone("Asia/Shanghai")
MONDAY = datetime(2026, 11, 1, 16, 0, tzinfo=UTC)  # midnight in Guangdong
FACILITY = Place(PlaceKind.FACILITY, 1)


def rule(value, *, party="person", measure="hours", period="week", days=None, **given):
    name = name_of(Party(party), Measure(measure), Period(period))
    data = {"party": party, "measure": measure, "period": period, "days": days}
    return Rule(1, given.pop("place", FACILITY), RuleKind.QUOTA, name, value, data, **given)


def quota(value, **given):
    made = rule(value, **given)
    return quota_of(made, value)


def use(start, hours, booking=None):
    span = Span(MONDAY + timedelta(hours=start), MONDAY + timedelta(hours=start + hours))
    return Use(booking or start, span)


def figures(found):
    return found and (found.used, found.asked)


def test_the_hours_of_a_week_are_counted_on_the_facilitys_clock():
    week = quota(16 * 60)
    uses = [use(9, 8), use(33, 6.5), use(-1, 1), use(7 * 24, 5)]  # the last two are of other weeks
    assert figures(full(week, uses=uses, wish=[use(57, 2)], tz=SHANGHAI)) == (870, 120)
    assert full(week, uses=uses, wish=[use(57, 1.5)], tz=SHANGHAI) is None


def test_a_use_over_midnight_counts_in_both_days():
    day = quota(4 * 60, period="day")
    wish = [use(22, 4)]
    assert full(day, uses=[use(9, 2)], wish=wish, tz=SHANGHAI) is None
    over = full(day, uses=[use(33, 3)], wish=wish, tz=SHANGHAI)
    assert figures(over) == (180, 120)
    assert over.window.start == MONDAY + timedelta(days=1)


def test_bookings_of_a_month_are_counted_once_each():
    month = quota(2, measure="bookings", period="month")
    uses = [use(9, 1, "a"), use(10, 1, "a"), use(33, 1, "b")]
    assert figures(full(month, uses=uses, wish=[use(57, 1)], tz=SHANGHAI)) == (2, 1)
    assert full(month, uses=uses, wish=[use(30 * 24, 1)], tz=SHANGHAI) is None


def test_off_peak_is_free():
    peak = quota(60, period="day", opens=8 * 60, closes=18 * 60, day_kind=DayKind.WORKING)
    kinds = WorkingDays().kind
    assert full(peak, uses=[use(9, 1)], wish=[use(18, 5)], tz=SHANGHAI, day_kind=kinds) is None
    assert full(peak, uses=[], wish=[use(5 * 24 + 9, 5)], tz=SHANGHAI, day_kind=kinds) is None  # a Saturday
    found = full(peak, uses=[], wish=[use(6, 4)], tz=SHANGHAI, day_kind=kinds)
    assert figures(found) == (0, 120)


def test_who_asks_for_no_more_than_they_have_may_stay():
    week = quota(60)
    had = [use(9, 4)]
    assert full(week, uses=[use(33, 2)], wish=[use(9, 3)], had=had, tz=SHANGHAI) is None
    assert full(week, uses=[use(33, 2)], wish=[use(9, 5)], had=had, tz=SHANGHAI)


def test_limits_of_all_places_count_and_one_variant_at_each():
    rules = [
        rule(600),
        rule(300, customer_class=CustomerClass.EXTERNAL),
        rule(200, valid_from=date(2027, 1, 1)),
        rule(900, place=Place(PlaceKind.NETWORK, 1)),
        rule(100, opens=480, closes=1080),
        rule(None, place=Place(PlaceKind.INSTRUMENT, 1)),
    ]
    day = date(2026, 11, 2)
    assert [q.limit for q in counting(rules, day, CustomerClass.EXTERNAL)] == [300, 100, 900]
    assert [q.limit for q in counting(rules, day, CustomerClass.INTERNAL)] == [100, 600, 900]


@st.composite
def quarters(draw, most=24 * 4):
    start = draw(st.integers(-200, 200))
    return use(start / 4, draw(st.integers(1, most)) / 4)


@given(st.lists(quarters(), max_size=6), quarters(), st.integers(1, 4), st.integers(0, 200))
def test_no_rolling_window_is_fuller_than_the_one_found(uses, wish, days, limit):
    rolling = quota(limit * 15, period="rolling", days=days)
    found = full(rolling, uses=uses, wish=[wish], tz=SHANGHAI)
    spans = [one.span for one in (*uses, wish)]
    length = timedelta(days=days)
    worst = 0
    quarters_around = range(-24 * 4 * days - 8, 24 * 4 * days + 24 * 4)
    starts = [wish.span.start + timedelta(minutes=15 * quarter) for quarter in quarters_around]
    minute = timedelta(minutes=1)
    for start in (*starts, wish.span.start - length + minute, wish.span.end - minute):
        window = Span(start, start + length)
        if wish.span.overlaps(window):
            worst = max(worst, sum(part.minutes for span in spans for part in intersect([span], [window])))
    assert (found is not None) == (worst > rolling.limit)
    if found:
        assert found.used + found.asked == worst


@pytest.mark.parametrize("period", list(Period))
@given(st.lists(quarters(), max_size=5), quarters(12))
def test_what_fits_stays_under_the_limit_and_what_does_not_is_over(period, uses, wish):
    for limit in (0, 60, 600, 6000):
        found = full(quota(limit, period=period, days=2), uses=uses, wish=[wish], tz=SHANGHAI)
        assert found is None or (found.used + found.asked > limit and found.asked > 0)
