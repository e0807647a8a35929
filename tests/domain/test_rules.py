"""Every rule of a booking at its edge, and all reasons at once."""

from datetime import UTC, datetime, timedelta

import pytest

from booking.domain.hours import ALWAYS, WeeklyHours
from booking.domain.occupation import Claim, Item, padded
from booking.domain.rules import LONGEST, Facts, Policy, refusals
from booking.domain.spans import Load, Span

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
POLICY = Policy(step=30, shortest=60, longest=240, notice=120, horizon=10 * 1440, setup=30, cleanup=15)


def codes(start: datetime, minutes: float, *, quantity: int = 1, before=None, now: datetime = NOW, **facts):
    known = Facts(
        **{"code": "DG-1", "units": 2, "zone": "Asia/Shanghai", "policy": POLICY, "hours": ALWAYS} | facts
    )
    span = Span(start, start + timedelta(minutes=minutes))
    around = padded(span, known.policy.setup, known.policy.cleanup)
    item = Item(7, span, quantity)
    return [
        reason.code
        for reason in refusals([item], [Claim(7, around, span, quantity)], {7: known}, now, before=before)
    ]


def later(**delta) -> datetime:
    return NOW + timedelta(**delta)


def test_a_good_booking_has_no_reason_against_it():
    assert codes(later(hours=2), 60) == []


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        (later(hours=2), 30, ["too_short"]),
        (later(hours=2), 240, []),
        (later(hours=2), 270, ["too_long"]),
        (later(hours=2), 75, ["off_step"]),
        (later(hours=2, minutes=10), 60, ["off_step"]),
        (later(hours=2, seconds=30), 60, ["off_step"]),
        (later(hours=1, minutes=30), 60, ["notice"]),
        (later(minutes=-30), 60, ["past"]),
        (later(days=10, hours=-1), 60, []),
        (later(days=10, minutes=-30), 60, ["horizon"]),
    ],
)
def test_each_limit_at_its_edge(start, minutes, expected):
    assert codes(start, minutes) == expected


def test_quantity_against_units_and_what_is_taken():
    load = Load(later(hours=2), later(hours=3), 1)
    assert codes(later(hours=2), 60, quantity=3) == ["too_many_units", "taken"]
    assert codes(later(hours=2), 60, quantity=2, loads=(load,)) == ["taken"]
    assert codes(later(hours=2), 60, quantity=1, loads=(load,)) == []


def test_set_up_and_clean_up_must_be_free_as_well():
    before = Load(later(hours=1), later(hours=1, minutes=31), 2)
    after = Load(later(hours=3, minutes=14), later(hours=4), 2)
    touching = (
        Load(later(hours=1), later(hours=1, minutes=30), 2),
        Load(later(hours=3, minutes=15), later(hours=4), 2),
    )
    assert codes(later(hours=2), 60, loads=(before,)) == ["taken"]
    assert codes(later(hours=2), 60, loads=(after,)) == ["taken"]
    assert codes(later(hours=2), 60, loads=touching) == []


def test_closed_time_is_told():
    monday = (WeeklyHours(0, 0, 12 * 60),)
    assert codes(later(hours=2), 60, hours=monday) == ["closed"]
    assert codes(later(hours=2), 60, hours=()) == ["closed"]


def test_all_reasons_come_at_once():
    load = Load(later(minutes=-60), later(hours=9), 2)
    found = codes(later(minutes=20), 20, loads=(load,), hours=(), bookable=False)
    assert found == ["not_bookable", "too_short", "off_step", "notice", "closed", "taken"]


def test_a_start_that_was_legal_is_not_judged_again():
    old = Span(later(hours=-1), later(hours=1))
    assert codes(old.start, 180, before={7: old}) == []
    assert codes(old.start, 60, before={7: old}) == ["past"]
    assert codes(later(hours=-2), 180, before={7: old}) == ["past"]


def test_years_are_refused_at_once():
    assert codes(later(hours=2), LONGEST.total_seconds() / 60 + 30)[0] == "too_long"


def test_two_items_on_one_instrument_are_counted_together():
    known = Facts("DG-1", 1, "Asia/Shanghai", Policy(), ALWAYS)
    spans = [Span(later(hours=2), later(hours=4)), Span(later(hours=3), later(hours=5))]
    items = [Item(7, span) for span in spans]
    claims = [Claim(7, span, span, 1) for span in spans]
    assert [r.code for r in refusals(items, claims, {7: known}, NOW)] == ["taken"]


def test_a_taken_station_refuses_the_line():
    line = Facts("L", 1, "Asia/Shanghai", Policy(), ALWAYS)
    station = Facts("S", 1, "Asia/Shanghai", Policy(), ALWAYS, (Load(later(hours=3), later(hours=4), 1),))
    span = Span(later(hours=2), later(hours=5))
    reasons = refusals(
        [Item(1, span)], [Claim(1, span, span, 1), Claim(2, span, span, 1)], {1: line, 2: station}, NOW
    )
    assert [(reason.code, reason.params["instrument"]) for reason in reasons] == [("taken", "S")]
