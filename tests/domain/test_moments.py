"""Times as databases write them, told in other ways: the same as of the time itself."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from booking.api.schemas import fields
from booking.domain import calendars, moments

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - as databases keep them


def of_postgresql(at: datetime) -> str:
    text = at.isoformat(sep=" ")
    return text.rstrip("0") if at.microsecond else text


def of_sqlite(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="microseconds")


@given(TIMES | TIMES.map(lambda at: at.replace(microsecond=0)))
def test_whatever_database_wrote_it_a_time_is_told_as_ever(at: datetime):
    aware = at.replace(tzinfo=UTC)
    for text in (of_postgresql(at), of_sqlite(at)):
        assert moments.moment(text) == aware
        assert moments.stamp(text) == fields.stamp(aware)
        assert moments.compact(text) == calendars._utc(aware)


@given(st.lists(TIMES))
def test_times_as_text_are_in_order(times: list[datetime]):
    for written in (of_postgresql, of_sqlite):
        assert sorted(map(written, times)) == list(map(written, sorted(times)))
