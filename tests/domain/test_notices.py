"""When messages leave: paces, digests and quiet hours on the reader's clock, and what may not wait."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from booking.domain import notices
from booking.domain.notices import Channel, Pace, Quiet, Topic

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = st.sampled_from(
    [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Auckland",
        "UTC",
    ]
).map(ZoneInfo)
INSTANTS = st.datetimes(
    datetime(2024, 1, 1),  # noqa: DTZ001 - in UTC below
    datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
QUIET = st.builds(Quiet, st.integers(0, 1439), st.integers(0, 1439)).filter(lambda q: q.begins != q.ends)


def minute_of(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.hour * 60 + local.minute


@given(INSTANTS, QUIET, ZONES)
def test_quiet_hours_end_later_within_a_day_and_not_in_themselves(at, quiet, zone):
    until = notices.quiet_until(at, quiet, zone)
    assert (until is not None) == quiet.covers(minute_of(at, zone))
    if until is None:
        return
    assert at < until <= at + timedelta(hours=26)
    assert not quiet.covers(minute_of(until, zone)) or near_a_shift(until, zone)
    # All the while between it is quiet: nothing is kept longer than was asked.
    step = at
    while step < until - timedelta(hours=2):
        assert quiet.covers(minute_of(step, zone)) or near_a_shift(step, zone)
        step += timedelta(minutes=37)


def near_a_shift(at: datetime, zone: ZoneInfo) -> bool:
    offsets = {
        (at + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in (-26, -3, -1, 0, 1, 3, 26)
    }
    return len(offsets) > 1


@pytest.mark.parametrize(
    ("local", "quiet", "until"),
    [
        ("2026-11-02T23:30", Quiet(22 * 60, 7 * 60), "2026-11-03T07:00"),
        ("2026-11-03T06:59", Quiet(22 * 60, 7 * 60), "2026-11-03T07:00"),
        ("2026-11-03T07:00", Quiet(22 * 60, 7 * 60), None),
        ("2026-11-02T12:30", Quiet(12 * 60, 14 * 60), "2026-11-02T14:00"),
        ("2026-11-02T14:00", Quiet(12 * 60, 14 * 60), None),
        ("2026-11-02T00:00", Quiet(22 * 60, 0), None),
        ("2026-11-02T23:59", Quiet(22 * 60, 0), "2026-11-03T00:00"),
    ],
)
def test_quiet_hours_by_the_clock_over_midnight_and_not(local, quiet, until):
    at = datetime.fromisoformat(local).replace(tzinfo=SHANGHAI).astimezone(UTC)
    expected = until and datetime.fromisoformat(until).replace(tzinfo=SHANGHAI)
    assert notices.quiet_until(at, quiet, SHANGHAI) == expected


def test_in_the_hour_that_comes_twice_the_end_is_one_that_lies_ahead():
    berlin = ZoneInfo("Europe/Berlin")
    second_half_past_two = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    until = notices.quiet_until(second_half_past_two, Quiet(60, 2 * 60 + 45), berlin)
    assert until == datetime(2026, 10, 25, 1, 45, tzinfo=UTC)


@given(INSTANTS, ZONES, st.sampled_from([Pace.DAILY, Pace.WEEKLY]))
def test_a_digest_leaves_at_eight_on_the_readers_clock_the_next_time_that_it_is(at, zone, pace):
    leaves = notices.next_digest(at, pace, zone)
    days = 7 if pace is Pace.WEEKLY else 1
    assert at < leaves <= at + timedelta(days=days, hours=1)
    local = leaves.astimezone(zone)
    assert (local.hour, local.minute) == (8, 0)
    assert pace is Pace.DAILY or local.weekday() == 0
    assert notices.next_digest(leaves - timedelta(seconds=1), pace, zone) == leaves


@given(INSTANTS, ZONES, QUIET, st.sampled_from([Pace.AT_ONCE, Pace.DAILY, Pace.WEEKLY]))
def test_nothing_leaves_in_quiet_hours_but_what_cannot_wait(at, zone, quiet, pace):
    assert notices.leaves_at(at, pace, zone, quiet, urgent=True) == at
    leaves = notices.leaves_at(at, pace, zone, quiet, urgent=False)
    assume(not near_a_shift(leaves, zone))
    assert leaves >= at
    assert not quiet.covers(minute_of(leaves, zone))


def test_what_cannot_wait_is_an_offer_a_letter_that_signs_in_and_what_begins_soon():
    soon, later = NOW + timedelta(hours=2), NOW + timedelta(hours=2, minutes=1)
    assert notices.cannot_wait("waitlist.offered", None, NOW)
    assert notices.cannot_wait("person.password_reset_asked", None, NOW)
    assert notices.cannot_wait("booking.reminded", soon, NOW)
    assert not notices.cannot_wait("booking.reminded", later, NOW)
    assert not notices.cannot_wait("booking.cancelled", NOW - timedelta(minutes=1), NOW)
    assert not notices.cannot_wait("membership.requested", None, NOW)


def test_letters_about_the_account_are_no_matter_of_choice():
    chosen = {(Topic.ACCOUNT.value, Channel.MAIL): Pace.NEVER}
    assert notices.pace(Topic.ACCOUNT, Channel.MAIL, chosen) is Pace.AT_ONCE
    assert {notices.pace(Topic.ACCOUNT, channel, {}) for channel in Channel if channel != "mail"} == {
        Pace.NEVER
    }


def test_points_that_one_earns_are_worth_no_word():
    assert notices.worth_a_word("credit.changed", {"points": -2})
    assert not notices.worth_a_word("credit.changed", {"points": 1})
