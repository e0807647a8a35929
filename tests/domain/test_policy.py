"""Dated rules at places: which of them counts, and when another takes over."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from booking.domain import availability
from booking.domain.hours import zone
from booking.domain.policy import SETTINGS, Place, PlaceKind, Rule, RuleKind, Timetable, settings_of
from booking.domain.pricing import CustomerClass
from booking.domain.rules import Policy
from booking.domain.spans import Span
from booking.domain.working_days import DayKind, WorkingDays

SHANGHAI = zone("Asia/Shanghai")
MONDAY = datetime(2026, 9, 27, 16, 0, tzinfo=UTC)  # midnight in Guangdong, three days before the holiday
HOUR = timedelta(hours=1)


def rule(value, kind=PlaceKind.FACILITY, key=1, name="longest", number=1, **given):
    return Rule(number, Place(kind, key), RuleKind.SETTING, name, value, **given)


def timetable(*rules, sheet=None, who=CustomerClass.EXTERNAL):
    return Timetable(rules, sheet or {}, tz=SHANGHAI, customer_class=who, day_kind=WorkingDays().kind)


def test_the_nearest_place_counts_and_says_no_limit_too():
    far = [rule(10, PlaceKind.NETWORK), rule(20, PlaceKind.FACILITY), rule(30, PlaceKind.CATEGORY, "03")]
    assert timetable(*far).at(MONDAY).longest == 30
    assert timetable(*far, rule(40, PlaceKind.CATEGORY, "0301")).at(MONDAY).longest == 40
    assert timetable(*far, sheet={"longest": 50}).at(MONDAY).longest == 50
    assert timetable(*far, rule(None, PlaceKind.INSTRUMENT), sheet={"longest": 50}).at(MONDAY).longest is None
    assert timetable(*far, sheet={"longest": None}).sources(MONDAY)["longest"].value == 30


def test_what_nobody_says_is_the_usual():
    assert timetable().at(MONDAY) == settings_of({})
    assert Policy(**{name: setting.default for name, setting in SETTINGS.items()}) == settings_of({})
    moved = timetable(rule(60, name="horizon"))
    assert (moved.at(MONDAY).horizon, moved.at(MONDAY).horizon_to_change) == (60, 60)


def test_rules_take_turns_on_the_clock_and_calendar_of_the_facility():
    found = timetable(
        rule(60),
        rule(120, opens=18 * 60, closes=24 * 60, number=2),
        rule(240, day_kind=DayKind.HOLIDAY, number=3),
        rule(480, valid_from=date(2026, 10, 12), number=4),
    )
    week = Span(MONDAY, MONDAY + timedelta(days=15))
    said = [(int((span.start - MONDAY) / HOUR), policy.longest) for span, policy in found.segments(week)]
    assert said == [
        *((day * 24 + hour, value) for day in (0, 1, 2) for hour, value in ((0, 60), (18, 120))),
        (72, 240),  # 1 to 7 October, the evening among them: of two as particular the newer counts
        *((day * 24 + hour, value) for day in range(10, 14) for hour, value in ((0, 60), (18, 120))),
        (336, 480),
        (354, 120),
    ]


BANDS = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda band: band[0] < band[1])


@st.composite
def some_rules(draw):
    found = []
    for number in range(draw(st.integers(0, 5))):
        given: dict = {"number": number}
        if draw(st.booleans()):
            opens, closes = draw(BANDS)
            given |= {"opens": opens * 60, "closes": closes * 60}
        if draw(st.booleans()):
            given["weekdays"] = draw(st.integers(1, 127))
        if draw(st.booleans()):
            given["day_kind"] = draw(st.sampled_from(DayKind))
        if draw(st.booleans()):
            given["valid_from"] = date(2026, 9, draw(st.integers(25, 30)))
        given["kind"] = draw(st.sampled_from([PlaceKind.INSTRUMENT, PlaceKind.FACILITY]))
        given["name"] = draw(st.sampled_from(["shortest", "notice", "step"]))
        found.append(rule(draw(st.sampled_from([15, 30, 60])), **given))
    return found


@given(some_rules(), st.integers(0, 7 * 96 - 1))
def test_stretches_say_what_each_moment_says(rules, quarter):
    found = timetable(*rules)
    within = Span(MONDAY, MONDAY + timedelta(days=7))
    segments = found.segments(within)
    assert segments[0][0].start == within.start
    assert segments[-1][0].end == within.end
    assert all(a.end == b.start for (a, _), (b, _) in pairwise(segments))
    at = MONDAY + quarter * HOUR / 4
    (policy,) = [policy for span, policy in segments if span.start <= at < span.end]
    assert policy == found.at(at)


@given(some_rules(), st.integers(1, 8))
def test_the_first_start_found_is_one_that_the_rules_allow(rules, quarters):
    found = timetable(*rules)
    within, length = Span(MONDAY, MONDAY + timedelta(days=7)), quarters * HOUR / 4
    starts = [
        start
        for span, policy in found.segments(within)
        for start in islice(
            availability.starts([within], length, policy, MONDAY, "Asia/Shanghai", starting=[span]), 1
        )
    ]
    for start in starts:
        policy = found.at(start)
        assert policy.shortest <= length / timedelta(minutes=1)
        assert start >= MONDAY + timedelta(minutes=policy.notice)
        assert not (start - MONDAY) % timedelta(minutes=min(policy.step, 60))
