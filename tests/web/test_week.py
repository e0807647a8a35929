"""A week as it is drawn: every stretch said once, and no begin offered that the rules would refuse."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.availability import free_levels
from booking.domain.hours import ALWAYS, WeeklyHours, open_spans
from booking.domain.lifecycle import State
from booking.domain.occupation import Claim, Item, Kind, padded
from booking.domain.rules import Facts, Policy, refusals
from booking.domain.spans import Load, Span
from booking.services.availability import Bar, FreeSpan
from booking.web import week
from booking.web.week import Sort, Week, Why

SHANGHAI = "Asia/Shanghai"
MONDAY = date(2026, 11, 2)
NOW = datetime(2026, 10, 30, 4, 0, tzinfo=UTC)
HALF_HOURS = Policy(step=30, shortest=30)
DAYTIME = tuple(WeeklyHours(day, 8 * 60, 18 * 60) for day in range(5))


def at(day: int, hour: int, minute: int = 0, zone: str = SHANGHAI, monday: date = MONDAY) -> datetime:
    local = datetime.combine(monday + timedelta(days=day), datetime.min.time(), tzinfo=ZoneInfo(zone))
    return (local + timedelta(hours=hour, minutes=minute)).astimezone(UTC)


def bar(use: Span, policy: Policy, **given) -> Bar:
    whole = padded(use, policy.setup, policy.cleanup)
    known = {
        "quantity": 1,
        "kind": Kind.BOOKING,
        "booking_id": None,
        "title": None,
        "state": None,
        "mine": False,
    }
    return Bar(1, *whole, *use, **known | given)


def drawn(
    *bars: Bar,
    policy: Policy = HALF_HOURS,
    hours: tuple[WeeklyHours, ...] = DAYTIME,
    units: int = 1,
    now: datetime = NOW,
    zone: str = SHANGHAI,
    monday: date = MONDAY,
) -> Week:
    """Draw a week with the same free time as the service would give."""
    span = week.span_of(monday, zone)
    wide = Span(span.start, span.end + timedelta(minutes=policy.shortest))
    loads = [Load(one.start, one.end, one.quantity) for one in bars]
    future = Span(max(wide.start, now), wide.end)
    opened = open_spans(hours, future, ZoneInfo(zone)) if future.start < future.end else []
    free = [FreeSpan(*one, level) for one, level in free_levels(opened, loads, units, policy)]
    return week.draw(
        monday,
        zone,
        policy=policy,
        units=units,
        opened=open_spans(hours, span, ZoneInfo(zone)),
        free=free,
        bars=list(bars),
        now=now,
    )


def sorts(found: Week, day: int) -> list[tuple[Sort, str, str]]:
    tz = ZoneInfo(found.zone)
    return [
        (block.sort, f"{block.start.astimezone(tz):%H:%M}", f"{block.end.astimezone(tz):%H:%M}")
        for block in found.days[day].blocks
    ]


def test_a_day_without_bookings_is_free_while_it_is_open():
    found = drawn()
    assert (found.first_hour, found.last_hour) == (8, 18)
    assert sorts(found, 0) == [(Sort.FREE, "08:00", "18:00")]
    assert sorts(found, 5) == [(Sort.CLOSED, "08:00", "18:00")]
    assert len(found.days[0].begins) == 20
    assert found.days[5].begins == []


def test_a_use_of_others_is_taken_and_its_set_up_is_kept():
    policy = Policy(step=30, shortest=30, setup=30, cleanup=15)
    found = drawn(bar(Span(at(0, 10), at(0, 12)), policy), policy=policy)
    # Whoever comes before needs 15 minutes of clean-up beside the 30 of set-up; after it is the same.
    assert sorts(found, 0) == [
        (Sort.FREE, "08:00", "09:15"),
        (Sort.BUFFER, "09:15", "10:00"),
        (Sort.TAKEN, "10:00", "12:00"),
        (Sort.BUFFER, "12:00", "12:45"),
        (Sort.FREE, "12:45", "18:00"),
    ]


def test_what_is_mine_and_what_waits_are_told_apart():
    policy = HALF_HOURS
    known = {"booking_id": UUID(int=1), "title": "Layers", "mine": True}
    found = drawn(
        bar(Span(at(0, 9), at(0, 10)), policy, **known, state=State.CONFIRMED),
        bar(Span(at(0, 11), at(0, 12)), policy, **known, state=State.REQUESTED),
        bar(Span(at(0, 14), at(0, 15)), policy, kind=Kind.MAINTENANCE),
        policy=policy,
    )
    assert [sort for sort, _, _ in sorts(found, 0)] == [
        Sort.FREE,
        Sort.MINE,
        Sort.FREE,
        Sort.PENDING,
        Sort.FREE,
        Sort.MAINTENANCE,
        Sort.FREE,
    ]
    assert found.sorts == [Sort.FREE, Sort.MINE, Sort.PENDING, Sort.MAINTENANCE, Sort.CLOSED]


def test_a_request_of_somebody_behind_the_mask_is_only_taken():
    policy = HALF_HOURS
    found = drawn(bar(Span(at(0, 9), at(0, 10)), policy), policy=policy)
    assert [sort for sort, _, _ in sorts(found, 0)] == [Sort.FREE, Sort.TAKEN, Sort.FREE]


def test_notice_and_horizon_bar_free_time_and_say_why():
    policy = Policy(step=30, shortest=30, notice=24 * 60, horizon=4 * 24 * 60)
    found = drawn(policy=policy, now=at(0, 10))
    assert sorts(found, 0) == [(Sort.PAST, "08:00", "10:00"), (Sort.BARRED, "10:00", "18:00")]
    assert sorts(found, 1) == [(Sort.BARRED, "08:00", "10:00"), (Sort.FREE, "10:00", "18:00")]
    assert sorts(found, 4) == [(Sort.FREE, "08:00", "10:00"), (Sort.BARRED, "10:00", "18:00")]
    whys = {block.why for day in found.days for block in day.blocks} - {None}
    assert whys == {Why.NOTICE, Why.HORIZON}
    assert found.days[0].begins == []


def test_a_gap_too_short_for_any_use_is_barred():
    policy = Policy(step=30, shortest=120)
    found = drawn(
        bar(Span(at(0, 8), at(0, 12)), policy), bar(Span(at(0, 13), at(0, 18)), policy), policy=policy
    )
    (gap,) = [block for block in found.days[0].blocks if block.sort is not Sort.TAKEN]
    assert (gap.sort, gap.why) == (Sort.BARRED, Why.SHORT)


def test_begins_end_where_the_shortest_use_would_not_fit():
    policy = Policy(step=60, shortest=180)
    begins = drawn(policy=policy).days[0].begins
    assert begins[-1].start == at(0, 15)
    assert begins[-1].row + begins[-1].rows == 40  # the last one leads over what is left of the day


def test_a_use_may_run_over_midnight_and_out_of_the_week():
    policy = Policy(step=60, shortest=24 * 60)
    found = drawn(policy=policy, hours=ALWAYS)
    assert found.long
    assert found.days[6].begins[-1].start == at(6, 23)


def test_units_that_are_left_are_said_and_ones_own_lie_on_top():
    policy = HALF_HOURS
    found = drawn(
        bar(Span(at(0, 9), at(0, 12)), policy, quantity=3, mine=True, state=State.CONFIRMED),
        bar(Span(at(0, 10), at(0, 11)), policy, quantity=5),
        policy=policy,
        units=8,
    )
    levels = [(sort, start) for sort, start, _ in sorts(found, 0)]
    assert levels == [
        (Sort.FREE, "08:00"),
        (Sort.FREE, "09:00"),
        (Sort.TAKEN, "10:00"),
        (Sort.FREE, "11:00"),
        (Sort.FREE, "12:00"),
    ]
    assert [block.units for block in found.days[0].blocks] == [8, 5, None, 5, 8]
    assert [block.sort for block in found.days[0].own] == [Sort.MINE]


def test_in_a_week_without_any_time_the_day_is_shown():
    found = drawn(hours=())
    assert (found.first_hour, found.last_hour) == week.DAYTIME
    assert {block.sort for day in found.days for block in day.blocks} == {Sort.CLOSED}


@pytest.mark.parametrize("monday", [date(2026, 3, 23), date(2026, 10, 19)])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])
def test_days_on_which_the_clock_changes_stay_on_the_paper(monday, zone):
    for start in (monday, monday + timedelta(days=7)):
        found = drawn(hours=ALWAYS, zone=zone, monday=start, now=at(-30, 0, zone=zone, monday=start))
        for day in found.days:
            for piece in [*day.blocks, *day.begins]:
                assert 0 <= piece.row < 96
                assert 1 <= piece.rows <= 96


POLICIES = st.builds(
    Policy,
    step=st.sampled_from([15, 20, 30, 60]),
    shortest=st.sampled_from([60, 120, 240, 1440]),
    notice=st.sampled_from([0, 90, 2880]),
    horizon=st.sampled_from([None, 7200]),
    setup=st.sampled_from([0, 10, 45]),
    cleanup=st.sampled_from([0, 20]),
)
USES = st.lists(st.tuples(st.integers(0, 167), st.integers(1, 30)), max_size=8)
HOURS = st.sampled_from([ALWAYS, DAYTIME, tuple(WeeklyHours(day, 510, 1050) for day in range(7))])


@given(POLICIES, USES, HOURS, st.integers(-48, 200))
def test_every_stretch_is_said_once_and_every_begin_may_be_booked(policy, uses, hours, hour):
    now = at(0, 0) + timedelta(hours=hour)
    bars: list[Bar] = []
    for start, length in sorted(uses):
        use = Span(at(0, start), at(0, start + length))
        whole = padded(use, policy.setup, policy.cleanup)
        if not bars or whole.start >= bars[-1].end:
            bars.append(bar(use, policy))
    found = drawn(*bars, policy=policy, hours=hours, now=now)
    for day in found.days:
        for one, other in pairwise(day.blocks):
            assert one.end <= other.start
        shown = sum((block.end - block.start for block in day.blocks), timedelta())
        assert shown == timedelta(hours=found.last_hour - found.first_hour)
    loads = tuple(Load(one.start, one.end, 1) for one in bars)
    facts = {1: Facts("X", 1, SHANGHAI, policy, hours, loads)}
    offers = [Span(begin.start, begin.end) for day in found.days for begin in day.begins]
    offers += [block.use for day in found.days for block in day.free]
    for offer in offers:
        claim = Claim(1, padded(offer, policy.setup, policy.cleanup), offer, 1)
        assert refusals([Item(1, offer)], [claim], facts, now) == []
