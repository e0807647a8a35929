"""What is needed, whether it is held, when it runs out and when that is said."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.policy import Moment, Place, PlaceKind, Rule, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.qualifications import (
    WARNINGS,
    Mode,
    Paper,
    Standing,
    Step,
    expiry,
    needs,
    standing,
    warning,
)

DAY = date(2026, 11, 2)
DAYS = st.dates(date(2020, 1, 1), date(2090, 1, 1))


def rule(place: PlaceKind, mode: str, *, number: int = 1, name: str = "LASER", **data: str) -> Rule:
    return Rule(
        number, Place(place, "01"), RuleKind.QUALIFICATION, name, None, {"mode": mode, **data}, valid_from=DAY
    )


def needed(*rules: Rule, category: str | None = "0101", day: date = DAY) -> dict[str, Mode]:
    return needs(rules, Moment(CustomerClass.EXTERNAL, day, 600), category)


def test_the_nearest_rule_says_when_it_must_be_held():
    far, near = rule(PlaceKind.FACILITY, "before_booking"), rule(PlaceKind.INSTRUMENT, "before_start")
    assert needed(far) == {"LASER": Mode.BEFORE_BOOKING}
    assert needed(far, near) == {"LASER": Mode.BEFORE_START}
    assert needed(far, rule(PlaceKind.INSTRUMENT, "waived")) == {}
    assert needed(far, day=DAY - timedelta(days=1)) == {}


def test_a_rule_of_a_facility_may_be_for_one_category():
    some = rule(PlaceKind.FACILITY, "before_booking", category="01")
    assert needed(some) == {"LASER": Mode.BEFORE_BOOKING}
    assert needed(some, category="02") == {}
    assert needed(some, category=None) == {}


def test_how_somebody_stands():
    tomorrow, ended = DAY + timedelta(days=1), DAY - timedelta(days=1)
    for papers, said in (
        ([], Standing.NONE),
        ([Paper(Step.REQUESTED)], Standing.REQUESTED),
        ([Paper(Step.REFUSED)], Standing.NONE),
        ([Paper(Step.WITHDRAWN)], Standing.NONE),
        ([Paper(Step.REVOKED)], Standing.REVOKED),
        ([Paper(Step.GRANTED)], Standing.HELD),
        ([Paper(Step.GRANTED, tomorrow)], Standing.HELD),
        ([Paper(Step.GRANTED, DAY)], Standing.EXPIRED),
        ([Paper(Step.GRANTED, ended), Paper(Step.SCHEDULED)], Standing.SCHEDULED),
        ([Paper(Step.REVOKED), Paper(Step.GRANTED)], Standing.HELD),
    ):
        assert standing(papers, DAY, DAY)[0] is said, papers
    later = DAY + timedelta(days=9)
    assert standing([Paper(Step.GRANTED, tomorrow)], later, DAY) == (Standing.ENDS_BEFORE, tomorrow)


def test_a_year_from_the_last_of_february_is_no_later():
    assert expiry(date(2028, 2, 29), 12) == date(2029, 2, 28)
    assert expiry(date(2026, 12, 31), 2) == date(2027, 2, 28)
    assert expiry(DAY, None) is None


@given(DAYS, st.integers(1, 240))
def test_it_lasts_as_many_months_as_it_says(day, months):
    end = expiry(day, months)
    assert (end.year * 12 + end.month) - (day.year * 12 + day.month) == months
    assert end.day <= day.day


@given(DAYS, st.lists(st.integers(-40, 60), min_size=1, max_size=40))
def test_each_warning_is_said_once_and_never_after_the_end(expires_on, visits):
    """Whenever the jobs look, in whatever steps."""
    said: list[int] = []
    warned = None
    for left in sorted(visits, reverse=True):
        due = warning(expires_on, expires_on - timedelta(days=left), warned)
        if due is not None:
            assert 0 < left <= due
            said.append(due)
            warned = due
    assert said == sorted(set(said), reverse=True)
    assert set(said) <= set(WARNINGS)
    assert bool(said) is any(0 < left <= max(WARNINGS) for left in visits)
