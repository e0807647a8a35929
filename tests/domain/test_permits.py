"""When all permits of an instrument are valid, what a use lacks, and when that is said."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.hours import zone
from booking.domain.permits import OVER, WARNINGS, Lack, Term, lacks, valid, warning
from booking.domain.spans import Span

TZ = zone("Asia/Shanghai")
DAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 4, tzinfo=UTC)

days = st.integers(0, 20).map(lambda number: DAY + timedelta(days=number))
terms = st.lists(
    st.builds(lambda name, a, b: Term(name, min(a, b), max(a, b)), st.sampled_from("XY"), days, days),
    max_size=6,
)
hours = st.integers(0, 24 * 22).map(lambda number: NOON + timedelta(hours=number))


@given(terms, hours, st.integers(1, 60))
def test_a_use_lacks_nothing_exactly_where_it_lies_in_valid_time(some, start, length):
    use = Span(start, start + timedelta(hours=length))
    covered = any(span.contains(use) for span in valid(some, use.padded(timedelta(9), timedelta(9)), TZ))
    assert (not lacks(some, use, TZ)) == covered


def test_a_lack_names_the_last_day_of_what_follows_without_a_gap_or_the_first_day():
    some = [Term("X", DAY, DAY), Term("X", DAY + timedelta(1), DAY + timedelta(3)), Term("Y", DAY, DAY)]
    use = Span(NOON, NOON + timedelta(days=5))
    assert lacks(some, use, TZ) == [Lack("X", DAY + timedelta(3), None), Lack("Y", DAY, None)]
    before = Span(NOON - timedelta(days=2), NOON - timedelta(days=1))
    assert lacks(some[:1], before, TZ) == [Lack("X", None, DAY)]
    # The last day counts whole, on the facility's clock.
    assert lacks(some[2:], Span(NOON, datetime(2026, 11, 2, 16, tzinfo=UTC)), TZ) == []
    assert lacks([], use, TZ) == []


def test_each_warning_is_given_once_and_after_a_pause_only_the_last():
    def said(*every: int) -> list[int | None]:
        warned, told = None, []
        for left in every:
            due = warning(DAY, DAY - timedelta(days=left), warned)
            warned = warned if due is None else due
            told.append(due)
        return told

    assert said(61, 60, 59, 30, 7, 1, 0, -1, -5) == [None, 60, None, 30, 7, None, None, OVER, None]
    assert said(40, 3, -100) == [60, 7, OVER]
    assert tuple(sorted(WARNINGS, reverse=True)) == WARNINGS
