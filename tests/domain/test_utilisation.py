"""Sums of hours: cut into stretches they lose nothing, days of a change of clocks included; targets by the day."""

import itertools
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from booking.domain import utilisation
from booking.domain.hours import ALWAYS, WeeklyHours, instant, zone
from booking.domain.spans import Span
from booking.domain.utilisation import HOUR, Hours, Measure, Target

BERLIN, SHANGHAI = zone("Europe/Berlin"), zone("Asia/Shanghai")
WORKDAYS = tuple(WeeklyHours(weekday, 9 * 60, 17 * 60) for weekday in range(5))
MONDAY = date(2026, 10, 19)
PLACES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
SUMS = st.builds(Hours, *[st.integers(0, 10**7)] * 6)


def test_a_week_in_which_the_clock_goes_back_has_an_hour_more():
    weeks = utilisation.stretches(MONDAY, 14, 7, BERLIN)
    opened = utilisation.open_time(ALWAYS, weeks, BERLIN)
    assert utilisation.seconds_in(opened, weeks) == [169 * HOUR, 168 * HOUR]
    opened = utilisation.open_time(WORKDAYS, weeks, BERLIN)
    assert utilisation.seconds_in(opened, weeks) == [40 * HOUR, 40 * HOUR]


@given(
    place=PLACES,
    first=st.dates(date(2025, 1, 1), date(2027, 1, 1)),
    days=st.integers(1, 100),
    step=st.integers(1, 31),
)
def test_stretches_follow_each_other_over_all_days(place, first, days, step):
    tz = zone(place)
    found = utilisation.stretches(first, days, step, tz)
    assert found[0].start == instant(first, 0, tz)
    assert found[-1].end == instant(first + timedelta(days=days), 0, tz)
    assert all(one.end == two.start for one, two in itertools.pairwise(found))
    opened = utilisation.open_time(WORKDAYS, found, tz)
    whole = utilisation.open_time(WORKDAYS, [Span(found[0].start, found[-1].end)], tz)
    assert sum(utilisation.seconds_in(opened, found)) == sum(span.duration.total_seconds() for span in whole)


@given(st.lists(SUMS), st.lists(SUMS))
def test_sums_of_parts_are_the_sum_of_all(some, others):
    both = utilisation.total([*some, *others])
    assert both == utilisation.total(some) + utilisation.total(others)
    assert both.open == sum(one.open for one in [*some, *others])


def test_shares_stand_on_what_their_names_say_and_nothing_is_divided_by_nothing():
    found = Hours(open=40, booked=20, used=15, down=4, lost=5, missed=2)
    assert (found.utilisation, found.use, found.downtime, found.no_show) == (0.5, 0.75, 0.1, 0.2)
    none = Hours()
    assert (none.utilisation, none.use, none.downtime, none.no_show) == (None, None, None, None)


def test_closed_days_are_not_open_and_what_is_down_counts_only_while_open():
    def span(first: int, last: int) -> Span:
        return Span(datetime(2026, 11, 2, first, tzinfo=UTC), datetime(2026, 11, 2, last, tzinfo=UTC))

    left, down = utilisation.opened_and_down([span(8, 18)], [span(8, 10)], [span(6, 12), span(17, 20)])
    assert left == [span(10, 18)]
    assert down == [span(10, 12), span(17, 18)]


def test_a_target_in_hours_is_shared_out_over_the_days_of_a_year():
    of_year = [Target(Measure.HOURS, 1400, MONDAY)]
    assert utilisation.wanted(of_year, (), MONDAY, 365, 0) == 1400 * HOUR
    assert utilisation.wanted(of_year, (), MONDAY, 73, 0) == 280 * HOUR


def test_the_instruments_own_target_counts_before_its_facilitys_and_from_its_day_on():
    house = [Target(Measure.PERCENT, 50, date(2026, 1, 1))]
    own = [Target(Measure.PERCENT, 80, MONDAY + timedelta(days=5))]
    assert utilisation.wanted((), house, MONDAY, 10, 1000) == 500
    assert utilisation.wanted(own, house, MONDAY, 10, 1000) == 650
    assert utilisation.wanted((), house, date(2025, 1, 1), 10, 1000) is None
    ended = [Target(Measure.PERCENT, None, MONDAY)]
    assert utilisation.wanted(ended, house, MONDAY, 10, 1000) is None
