"""Calendars kept elsewhere: what counts, when nobody is there, when to doubt, when to ask again, what to show."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from booking.domain.calendar_sources import (
    LONGEST_PAUSE,
    Entry,
    Means,
    busy,
    counting,
    masked,
    pause,
    shrunk,
    window,
)
from booking.domain.spans import Span

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
WITHIN = window(NOW)


def entry(start: float, end: float, uid="1", **more) -> Entry:
    span = Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))
    return Entry(**{"uid": uid, "recurrence": "", "span": span, "all_day": False, "title": ""} | more)


_ENTRIES = st.lists(
    st.tuples(st.integers(-80, 9000), st.integers(0, 400)).map(
        lambda pair: entry(pair[0], pair[0] + pair[1], f"{pair}")
    ),
    max_size=12,
)


@given(_ENTRIES)
def test_of_a_roster_all_the_rest_is_taken(entries):
    found = counting(entries, WITHIN, transparent=False)
    there, away = busy(found, Means.BOOKINGS, WITHIN), busy(found, Means.ROSTER, WITHIN)
    edges = [
        WITHIN.start,
        *(edge for span in (*there, *away) for edge in span if WITHIN.start <= edge < WITHIN.end),
    ]
    for at in edges:
        assert any(span.start <= at < span.end for span in there) is not any(
            span.start <= at < span.end for span in away
        )


@given(_ENTRIES)
def test_spans_are_in_order_apart_and_end_with_the_year(entries):
    for means in Means:
        spans = busy(counting(entries, WITHIN, transparent=False), means, WITHIN)
        assert all(span.start < span.end <= WITHIN.end for span in spans)
        assert all(one.end < other.start for one, other in itertools.pairwise(spans))


def test_what_is_free_or_cancelled_counts_only_as_far_as_it_is_meant():
    entries = [
        entry(1, 2, "a", transparent=True),
        entry(3, 4, "b", transparent=True, all_day=True),
        entry(5, 6, "c", status="CANCELLED"),
        entry(7, 7, "d"),
        entry(9, 10, "e"),
        entry(9, 10, "e"),
        entry(-100, -90, "f"),
    ]
    assert [one.uid for one in counting(entries, WITHIN, transparent=False)] == ["e"]
    assert [one.uid for one in counting(entries, WITHIN, transparent=True)] == ["a", "e"]


def test_most_of_it_gone_is_doubted_unless_there_was_little():
    assert [shrunk(8, 1), shrunk(8, 0), shrunk(4, 0)] == [True, True, True]
    assert [shrunk(8, 2), shrunk(3, 0), shrunk(0, 0), shrunk(8, 80)] == [False, False, False, False]


@given(st.integers(0, 10**6), st.text(max_size=40))
def test_a_pause_is_long_enough_and_never_much_more_than_a_day(failures, seed):
    found = pause(failures, seed)
    assert timedelta(minutes=4) < found <= LONGEST_PAUSE * 1.1
    assert found == pause(failures, seed)


def test_two_calendars_keep_no_step():
    assert len({pause(0, str(n)) for n in range(20)}) == 20


def test_an_address_is_shown_without_its_secret():
    secret = "https://calendar.google.com/calendar/ical/abc%40group/private-9f2c81/basic.ics"
    assert masked(secret) == "https://calendar.google.com/….ics"
    assert masked("https://example.org/a?key=9f2c") == "https://example.org/…9f2c"
    assert masked("https://example.org/9f2c") == "https://example.org/…"
    assert masked("") == "://" + "/…"
