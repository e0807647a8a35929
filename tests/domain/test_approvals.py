"""Steps, votes and deadlines of approval, and what rules may say of them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import approvals
from booking.domain.approvals import (
    Approvers,
    Condition,
    Facts,
    Need,
    Silence,
    Standing,
    StepRule,
    StepState,
    When,
    Who,
)
from booking.domain.chemicals import Hazard, Substance, grows, is_cas, mistakes, unpermitted
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.domain.working_days import DayKind, WorkingDays

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLAIN_WEEKS = WorkingDays({}, frozenset(range(2000, 2100)))
MONDAY = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)  # nine o'clock in Shanghai


def facts(start: datetime = MONDAY, hours: float = 2, **more: object) -> Facts:
    span = Span(start, start + timedelta(hours=hours))
    return Facts(spans=(span,), zone=SHANGHAI, days=PLAIN_WEEKS, **more)  # type: ignore[arg-type]


def holds(when: When, known: Facts, **figures: int) -> bool:
    return bool(approvals.holding(StepRule("x", when=(Condition(when, **figures),)), known))


# --- votes ----------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([True, False, None]), max_size=6))
def test_any_of_wants_one_yes_and_falls_with_the_last_no(votes):
    found = approvals.verdict(Need.ANY, votes)
    if True in votes:
        assert found is StepState.APPROVED
    elif votes and None not in votes:
        assert found is StepState.REJECTED
    else:
        assert found is StepState.OPEN


@given(st.lists(st.sampled_from([True, False, None]), max_size=6))
def test_all_of_wants_every_yes_and_falls_with_the_first_no(votes):
    found = approvals.verdict(Need.ALL, votes)
    if False in votes:
        assert found is StepState.REJECTED
    elif votes and None not in votes:
        assert found is StepState.APPROVED
    else:
        assert found is StepState.OPEN


@given(st.lists(st.none(), max_size=4), st.booleans(), st.sampled_from(Need))
def test_the_facilitys_own_step_is_decided_by_one_word(silent, word, need):
    votes = [*silent, word, *silent]
    assert approvals.verdict(need, votes, one_word=True) is (
        StepState.APPROVED if word else StepState.REJECTED
    )


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(StepState)), max_size=8))
def test_a_stage_opens_only_when_nothing_is_open_and_the_lowest_first(rows):
    steps = [Standing(*row) for row in rows]
    stage = approvals.next_stage(steps)
    waiting = {step.stage for step in steps if step.state is StepState.WAITING}
    if any(step.state is StepState.OPEN for step in steps):
        assert stage is None
    else:
        assert stage == min(waiting, default=None)
    if approvals.all_approved(steps):
        assert stage is None


# --- deadlines ------------------------------------------------------------------------------------


def test_a_deadline_ends_with_the_last_of_so_many_working_days():
    friday = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)
    late = friday + timedelta(days=60)
    due = approvals.due_at(friday, 2, days=PLAIN_WEEKS, zone=SHANGHAI, starts_at=late)
    assert due is not None
    assert due.astimezone(SHANGHAI) == datetime(2026, 11, 11, 0, 0, tzinfo=SHANGHAI)


def test_a_weekend_that_is_worked_counts_and_a_holiday_does_not():
    own = {date(2026, 11, 7): DayKind.WORKING, date(2026, 11, 9): DayKind.HOLIDAY}
    days = WorkingDays(own, frozenset({2026}))
    friday = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)
    due = approvals.due_at(friday, 2, days=days, zone=SHANGHAI, starts_at=friday + timedelta(days=60))
    assert due is not None
    assert due.astimezone(SHANGHAI).date() == date(2026, 11, 11)  # Saturday and Tuesday


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given its zone
    st.integers(1, 30),
    st.integers(1, 400),
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin"]),
)
def test_no_deadline_outlasts_the_start_and_a_reminder_lies_between(opened, count, hours, name):
    tz = ZoneInfo(name)
    starts = opened + timedelta(hours=hours)
    due = approvals.due_at(opened, count, days=PLAIN_WEEKS, zone=tz, starts_at=starts)
    assert due is not None
    assert opened < due <= starts
    assert opened <= approvals.remind_at(due, opened, days=PLAIN_WEEKS, zone=tz) <= due


def test_without_days_there_is_no_deadline():
    late = MONDAY + timedelta(days=9)
    assert approvals.due_at(MONDAY, None, days=PLAIN_WEEKS, zone=SHANGHAI, starts_at=late) is None


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "hours", "outside"),
    [
        (MONDAY, 9, False),  # 9 to 18
        (MONDAY, 9.25, True),
        (MONDAY - timedelta(hours=1, minutes=15), 2, True),  # from 7:45
        (MONDAY + timedelta(days=5), 2, True),  # on Saturday
        (MONDAY, 26, True),  # over night
        (MONDAY, 24 * 30, True),
    ],
)
def test_outside_hours_is_what_working_days_do_not_cover(start, hours, outside):
    assert holds(When.OUTSIDE_HOURS, facts(start, hours)) is outside


def test_the_hours_of_a_rule_may_be_others():
    late = facts(MONDAY + timedelta(hours=10), 2)  # 19 to 21
    assert holds(When.OUTSIDE_HOURS, late)
    assert not holds(When.OUTSIDE_HOURS, late, opens=6 * 60, closes=22 * 60)


def test_each_condition_looks_at_its_own_figure():
    assert holds(When.OVER_MINUTES, facts(hours=2), value=119)
    assert not holds(When.OVER_MINUTES, facts(hours=2), value=120)
    assert holds(When.OVER_COST, facts(cost=Decimal("100.01")), value=100)
    assert not holds(When.OVER_COST, facts(cost=Decimal(100)), value=100)
    assert holds(When.OVER_COST, facts(cost=None), value=100)  # by agreement: it may be more
    assert holds(When.HAZARDOUS, facts(hazards=frozenset({Hazard.BIOLOGICAL})))
    for when, name in (
        (When.EXTERNAL, "external"),
        (When.FIRST_USE, "first_use"),
        (When.PERMIT, "permits"),
    ):
        assert holds(when, facts(**{name: True}))
        assert not holds(when, facts())
    assert not holds(When.HAZARDOUS, facts())
    assert holds(When.ALWAYS, facts())


def test_one_step_of_two_instruments_is_asked_for_once_with_both_reasons():
    one = StepRule("Safety", when=(Condition(When.HAZARDOUS),))
    other = StepRule("Safety", when=(Condition(When.EXTERNAL), Condition(When.HAZARDOUS)))
    late = StepRule("Business", stage=2)
    found = approvals.merged([late, one, other])
    assert [rule.name for rule in found] == ["Safety", "Business"]
    assert set(found[0].when) == {Condition(When.HAZARDOUS), Condition(When.EXTERNAL)}


# --- what rules may say ---------------------------------------------------------------------------


def test_a_rule_is_read_whole():
    person = "00000000-0000-4000-8000-000000000001"
    found = approvals.read(
        "Safety",
        {
            "stage": 2,
            "need": "all",
            "approvers": {"people": [person]},
            "when": [{"condition": "over_minutes", "value": 480}, {"condition": "outside_hours"}],
            "deadline_days": 3,
            "on_silence": "escalate",
            "escalate_to": {"role": "leader"},
            "permit_for": ["highly_toxic"],
        },
    )
    assert (found.stage, found.need, found.deadline_days) == (2, Need.ALL, 3)
    assert found.on_silence is Silence.ESCALATE
    assert found.escalate_to == Approvers(Who.LEADER)
    assert found.when[0] == Condition(When.OVER_MINUTES, 480)
    assert found.plan["approvers"] == {"people": [person]}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "approvers"),
        ({"approvers": {"role": "janitor"}}, "approvers"),
        ({"approvers": {"people": []}}, "approvers"),
        ({"approvers": {"people": ["x"]}}, "approvers"),
        ({"approvers": {"role": "manager"}, "stage": 0}, "stage"),
        ({"approvers": {"role": "manager"}, "stage": True}, "stage"),
        ({"approvers": {"role": "manager"}, "need": "most"}, "need"),
        ({"approvers": {"role": "manager"}, "when": [{"condition": "full moon"}]}, "when"),
        ({"approvers": {"role": "manager"}, "when": [{"condition": "over_cost"}]}, "when"),
        ({"approvers": {"role": "manager"}, "on_silence": "escalate", "deadline_days": 1}, "escalate_to"),
        ({"approvers": {"role": "manager"}, "on_silence": "approve"}, "deadline_days"),
        ({"approvers": {"role": "manager"}, "permit_for": ["smell"]}, "permit_for"),
        ({"approvers": {"role": "manager"}, "colour": "red"}, "colour"),
    ],
)
def test_a_rule_that_makes_no_sense_is_told_at_its_part(data, field):
    with pytest.raises(Invalid) as caught:
        approvals.read("Safety", data)
    assert field in caught.value.errors


# --- chemicals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["67-64-1", "7732-18-5", "50-00-0", "1310-73-2", "10043-35-3"])
def test_cas_numbers_have_their_check_digit(number):
    assert is_cas(number)
    body, digit = number[:-1], int(number[-1])
    assert not any(is_cas(f"{body}{other}") for other in range(10) if other != digit)


@pytest.mark.parametrize("number", ["", "67641", "67-64", "067-64-1", "67-64-1 ", "六7-64-1", "6-64-1"])
def test_what_is_of_another_form_is_no_cas_number(number):
    assert not is_cas(number)


def test_every_wrong_field_of_every_substance_is_told():
    found = mistakes(
        [
            Substance("Acetone", "67-64-1", Decimal(2), "L"),
            Substance("", "67-64-2", Decimal(-1), ""),
            Substance("Salt\x00", quantity=Decimal("1.00001"), unit="kg"),
        ]
    )
    assert found == {
        "chemicals.1.name": "required",
        "chemicals.1.cas": "wrong_cas",
        "chemicals.1.quantity": "too_small",
        "chemicals.1.unit": "required",
        "chemicals.2.name": "control_characters",
        "chemicals.2.quantity": "malformed",
    }
    assert mistakes([Substance("x")] * 31) == {"chemicals": "too_many"}


def test_a_permit_is_missed_only_for_the_hazards_that_want_one():
    toxic = Substance("Arsenic", hazards=frozenset({Hazard.HIGHLY_TOXIC, Hazard.HAZARDOUS}))
    permitted = Substance("Toluene", hazards=frozenset({Hazard.DRUG_PRECURSOR_3}), permit_number="7")
    blank = Substance("Ether", hazards=frozenset({Hazard.DRUG_PRECURSOR_2}), permit_number=" ")
    wanting = [Hazard.HIGHLY_TOXIC, Hazard.DRUG_PRECURSOR_2, Hazard.DRUG_PRECURSOR_3]
    assert unpermitted([toxic, permitted, blank], wanting) == [toxic, blank]
    assert unpermitted([toxic], []) == []


def test_less_of_the_same_is_no_more_than_before_and_anything_else_is():
    before = [Substance("Acetone", quantity=Decimal(2), unit="L", hazards=frozenset({Hazard.HAZARDOUS}))]
    less = [Substance("Acetone", quantity=Decimal(1), unit="L", hazards=frozenset({Hazard.HAZARDOUS}))]
    assert not grows(before, less)
    assert not grows(before, [])
    assert grows(less, before)
    assert grows(before, [*before, Substance("Water")])
    assert grows(before, [Substance("Acetone", quantity=Decimal(2), unit="m3")])
