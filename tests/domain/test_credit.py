"""Credit: sums with a floor and a cap, the rule in force on a day, bans, and the line of a score."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import credit
from booking.domain.credit import DEFAULTS, NAMES, Dated, Deed, Frame, Rule

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
TODAY = NOW.date()
changes = st.lists(st.tuples(st.integers(0, 1000), st.integers(-60, 60)), max_size=40)


def entries(drawn):
    return [(NOW + timedelta(hours=hours), points) for hours, points in drawn]


def test_every_name_has_its_default():
    assert set(DEFAULTS) == set(NAMES)


@given(changes)
def test_a_score_stays_between_nought_and_the_cap(drawn):
    found = credit.course(entries(drawn), DEFAULTS)
    assert all(0 <= point.score <= 120 for point in found)
    assert [point.at for point in found] == sorted(point.at for point in found)
    assert credit.score(entries(drawn), DEFAULTS) == (found[-1].score if found else 100)


def test_what_lies_above_the_cap_is_not_saved_up():
    many = [(NOW + timedelta(days=n), 1) for n in range(50)]
    assert credit.score(many, DEFAULTS) == 120
    assert credit.score([*many, (NOW + timedelta(days=60), -10)], DEFAULTS) == 110


@pytest.mark.parametrize(
    ("score", "before", "days"), [(59, 69, 30), (60, 70, None), (59, 58, None), (100, 110, None), (0, 10, 30)]
)
def test_who_falls_below_the_threshold_is_banned(score, before, days):
    assert credit.bans(score, before, DEFAULTS) == days


def test_without_a_threshold_nobody_is_banned():
    rules = DEFAULTS | {Frame.THRESHOLD: Rule(0)}
    assert credit.bans(0, 10, rules) is None


def test_of_several_rules_the_facilitys_newest_in_force_counts():
    def dated(points: int, own: bool, since: date, until: date | None = None) -> Dated:
        return Dated(Deed.LATE, Rule(points), own, since, until)

    yesterday, tomorrow = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
    rows = [dated(-9, True, tomorrow), dated(-7, False, TODAY), dated(-5, True, yesterday)]
    assert credit.in_force(rows, TODAY)[Deed.LATE].points == -5
    assert credit.in_force(rows, tomorrow)[Deed.LATE].points == -9
    assert credit.in_force(rows, yesterday - timedelta(days=1))[Deed.LATE].points == -2
    over = [dated(-5, True, yesterday, TODAY), dated(-7, False, yesterday)]
    assert credit.in_force(over, TODAY)[Deed.LATE].points == -7


@given(changes, st.integers(0, 1000))
def test_the_line_of_a_score_stays_in_its_box(drawn, hours):
    until = NOW + timedelta(hours=hours)
    found = credit.chart(credit.course(entries(drawn), DEFAULTS), DEFAULTS, since=NOW, until=until)
    assert re.fullmatch(r"M0 \d+(H\d+V\d+)*H600", found.path)
    across = [int(x) for x in re.findall(r"H(\d+)", found.path)]
    assert across == sorted(across)
    assert all(0 <= int(y) <= found.height for y in re.findall(r"V(\d+)", found.path))
    assert found.limit == 60
