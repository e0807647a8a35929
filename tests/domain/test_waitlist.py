"""The order of the line, how long an offer stands, and what a hold of a change keeps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from booking.domain import waitlist
from booking.domain.spans import Load, Span, intersect, merge, peak
from booking.domain.waitlist import Waiting

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def span(start: int, end: int) -> Span:
    """Quarters of an hour after NOW."""
    return Span(NOW + timedelta(minutes=15 * start), NOW + timedelta(minutes=15 * end))


spans = st.builds(lambda start, length: span(start, start + length), st.integers(0, 60), st.integers(1, 20))
entries = st.builds(
    Waiting,
    entry_id=st.uuids(),
    person_id=st.integers(0, 4).map(lambda n: UUID(int=n)),
    project_id=st.none(),
    priority=st.sampled_from([1, 50, 100]),
    joined_at=st.integers(0, 300).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    window=spans,
    minutes=st.sampled_from([15, 60, 120]),
    quantity=st.integers(1, 4),
)


@given(
    line=st.lists(entries, max_size=12, unique_by=lambda one: one.entry_id),
    used=st.lists(st.floats(0, 600), min_size=5, max_size=5),
)
def test_class_comes_before_time_and_time_before_hours(line, used):
    minutes = {UUID(int=n): value for n, value in enumerate(used)}
    order = waitlist.ranked(line, minutes)
    assert sorted(one.entry_id for one in order) == sorted(one.entry_id for one in line)
    for first, second in pairwise(order):
        assert first.priority <= second.priority
        if first.priority == second.priority:
            assert first.joined_at.replace(second=0) <= second.joined_at.replace(second=0)
        if first.turn == second.turn:
            assert minutes[first.person_id] <= minutes[second.person_id]
    assert order == waitlist.ranked(reversed(line), minutes)


@given(line=st.lists(entries, max_size=12), used=st.lists(st.floats(0, 600), min_size=5, max_size=5))
def test_whose_hours_are_not_asked_for_changes_nothing(line, used):
    minutes = {UUID(int=n): value for n, value in enumerate(used)}
    asked = waitlist.level(line)
    known = {person: value for person, value in minutes.items() if person in asked}
    whole = [one.entry_id for one in waitlist.ranked(line, minutes)]
    assert [one.entry_id for one in waitlist.ranked(line, known)] == whole


@given(
    one=entries,
    parts=st.lists(spans, max_size=3),
    free=st.lists(spans),
    passed=st.lists(spans),
    ahead=st.integers(0, 80),
)
def test_rooms_are_free_to_come_inside_the_window_and_not_offered_before(one, parts, free, passed, ahead):
    now = NOW + timedelta(minutes=15 * ahead)
    one = replace(one, windows=tuple(intersect([one.window], parts)))
    for room in waitlist.rooms(one, free, passed, now):
        assert any(part.contains(room) for part in one.windows or (one.window,))
        assert one.window.contains(room)
        assert room.start >= now
        assert room.duration >= one.length
        assert any(span.contains(room) for span in merge(free))
        assert not any(span.overlaps(room) for span in passed)


@given(
    left=st.integers(-60, 10_000),
    notice=st.integers(0, 3000),
    minutes=st.integers(1, 3000),
)
def test_an_offer_ends_before_it_would_be_too_late_to_book(left, notice, minutes):
    start = NOW + timedelta(minutes=left)
    latest = start - timedelta(minutes=notice)
    until = waitlist.deadline(NOW, start, notice=notice, minutes=minutes)
    if until is None:
        assert latest - NOW < waitlist.SHORTEST_OFFER
        return
    assert NOW < until <= latest
    assert until - NOW <= timedelta(minutes=minutes)
    assert until - NOW >= min(waitlist.SHORTEST_OFFER, timedelta(minutes=minutes))


def test_an_offer_stands_an_hour_or_half_of_what_is_left():
    def stands(hours: float, notice: int = 0) -> float | None:
        until = waitlist.deadline(NOW, NOW + timedelta(hours=hours), notice=notice, minutes=60)
        return until and (until - NOW).total_seconds() / 60

    assert stands(24) == 60
    assert stands(1) == 30
    assert stands(24, notice=23 * 60) == 30
    assert stands(0.15) == 5
    assert stands(0.05) is None


@given(
    wanted=spans, own=st.lists(st.tuples(spans, st.integers(1, 3)), max_size=4), quantity=st.integers(1, 4)
)
def test_pieces_fill_up_what_is_one_s_own_and_no_more(wanted, own, quantity):
    found = waitlist.pieces(wanted, own, quantity)
    mine = [Load(*span, units) for span, units in own]
    for minute in range(int(wanted.minutes) // 15):
        at = Span(
            wanted.start + timedelta(minutes=15 * minute), wanted.start + timedelta(minutes=15 * (minute + 1))
        )
        had = peak(mine, at)
        added = peak([Load(*span, units) for span, units in found], at)
        assert had + added == max(had, quantity)
    assert all(wanted.contains(span) for span, _ in found)
