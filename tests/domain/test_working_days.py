"""Working days of China, with the weekends that are worked instead."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import sheets
from booking.domain.hours import zone
from booking.domain.working_days import (
    Announced,
    BrokenSheet,
    DayKind,
    Unreadable,
    WorkingDays,
    published_days,
    read,
    read_sheet,
    written,
)

SHANGHAI = zone("Asia/Shanghai")


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 10, 1), DayKind.HOLIDAY),
        (date(2026, 10, 10), DayKind.WORKING),  # a Saturday that is worked instead
        (date(2026, 10, 11), DayKind.REST),
        (date(2026, 10, 12), DayKind.WORKING),
        (date(2027, 10, 1), DayKind.WORKING),  # nobody announced it yet: a Friday
    ],
)
def test_what_sort_of_day_it_is(day, kind):
    assert WorkingDays().kind(day) is kind


def test_years_are_flagged_until_they_are_announced():
    days = WorkingDays({date(2028, 1, 3): DayKind.HOLIDAY}, frozenset({2028}))
    assert days.unannounced([date(2026, 5, 1), date(2027, 5, 1), date(2028, 5, 1)]) == [2027]


def test_2025_and_2026_have_248_working_days():
    known = WorkingDays()
    for year in (2025, 2026):
        days = [
            date.fromordinal(n) for n in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())
        ]
        assert sum(known.works(day) for day in days) == 248
        assert set(published_days(year)) <= set(days)


def test_a_deadline_keeps_the_time_of_the_clock_over_the_holiday():
    wednesday = datetime(2026, 9, 30, 8, 30, tzinfo=UTC)
    known = WorkingDays()
    assert known.due(wednesday, 2, SHANGHAI) == datetime(2026, 10, 9, 8, 30, tzinfo=UTC)
    assert known.due(wednesday, -1, SHANGHAI) == datetime(2026, 9, 29, 8, 30, tzinfo=UTC)
    # Late in Greenwich is the next day in Guangdong: a Saturday that counts from Monday.
    friday = datetime(2026, 11, 6, 23, 0, tzinfo=UTC)
    assert known.due(friday, 1, SHANGHAI) == datetime(2026, 11, 8, 23, 0, tzinfo=UTC)


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.integers(1, 60))
def test_so_many_working_days_lie_between(day, count):
    known = WorkingDays()
    after = known.shifted(day, count)
    passed = [date.fromordinal(n) for n in range(day.toordinal() + 1, after.toordinal() + 1)]
    assert sum(known.works(one) for one in passed) == count
    assert known.works(after)


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("", 1, "required"),
        ("2027-02-05,holiday\n2027-02-30,rest", 2, "not_a_date"),
        ("0001-01-01,rest", 1, "not_a_date"),
        ("2027-02-05,feast", 1, "unknown"),
        ("2027-02-05,rest\n2027/02/05,holiday", 2, "duplicate"),
        ("2027-02-05", 1, "malformed"),
        ('[{"date": "2027-02-05", "kind": "holiday"}, {"date": 5}]', 2, "malformed"),
        ('{"date": "2027-02-05"}', 1, "malformed"),
        ("[", 1, "malformed"),
    ],
)
def test_a_table_of_days_that_makes_no_sense_is_refused_at_its_line(text, line, code):
    with pytest.raises(Unreadable) as error:
        read(text)
    assert (error.value.line, error.value.code) == (line, code)


def test_a_table_of_days_is_read_in_either_form():
    day = Announced(date(2027, 2, 5), DayKind.HOLIDAY, "春节")
    assert read("\ufeff日期,类别,名称\n2027-02-05,放假,春节\n") == [day]
    assert read('[{"date": "2027-02-05", "kind": "holiday", "name": "春节"}]') == [day]


# --- sheets ---------------------------------------------------------------------------------------

ROWS = [
    ("2027-02-05", "放假", "春节"),
    (date(2027, 2, 6), "Holiday", ""),
    ("2027/02/07", "补班", None),
    (date(2027, 2, 8), "ordinary", ""),
]
DAYS = [
    Announced(date(2027, 2, 5), DayKind.HOLIDAY, "春节"),
    Announced(date(2027, 2, 6), DayKind.HOLIDAY),
    Announced(date(2027, 2, 7), DayKind.WORKING),
    Announced(date(2027, 2, 8), None),
]


@pytest.mark.parametrize("heading", [("day", "kind", "name"), ("日期", "类别", "名称")])
def test_a_sheet_of_days_is_read_in_either_format_and_can_be_typed_again(heading):
    workbook = sheets.write_xlsx(heading, ROWS, title="2027")
    text = sheets.write_csv(
        heading, [tuple("" if cell is None else str(cell) for cell in row) for row in ROWS]
    )
    assert read_sheet(workbook, "2027.xlsx") == read_sheet(text, "2027.csv") == DAYS
    assert read_sheet(text.decode("utf-8-sig").encode("gb18030"), "2027.csv") == DAYS
    assert read(written(DAYS)) == DAYS


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (
            "day,kind,name\n2027-02-30,rest,\n2027-02-05,feast,x\n,rest,",
            [(2, "day", "not_a_date"), (3, "kind", "unknown"), (4, "day", "required")],
        ),
        ("日期,类别\n2027-02-05,放假\n2027-02-05,放假", [(3, "day", "duplicate")]),
        ("day,kind\n0001-01-01,rest", [(2, "day", "not_a_date")]),
        ("day,kind\n2027-02-05,", [(2, "kind", "required")]),
        ("day,name\n2027-02-05,x", [(1, "kind", "required")]),
        ("day,date,kind\n2027-02-05,2027-02-05,rest", [(1, "day", "duplicate_column")]),
        ("day,kind,holiday\n2027-02-05,rest,x", [(1, "holiday", "unknown_column")]),
        (
            "2027-02-05,holiday",
            [
                (1, "2027-02-05", "unknown_column"),
                (1, "holiday", "unknown_column"),
                (1, "day", "required"),
                (1, "kind", "required"),
                (None, "day", "required"),
            ],
        ),
        ("day,kind,name\n2027-02-05,rest," + "x" * 101, [(2, "name", "too_long_text")]),
    ],
)
def test_what_is_wrong_in_a_sheet_is_told_cell_by_cell(text, errors):
    with pytest.raises(BrokenSheet) as broken:
        read_sheet(text.encode(), "days.csv")
    assert [(one.row, one.column, one.code) for one in broken.value.errors] == errors
    with pytest.raises(sheets.Unreadable):
        read_sheet(b"PK\x03\x04", "days.xlsx")
