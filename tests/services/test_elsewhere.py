"""A first look at where displaced bookings could go, on both engines: near, apart from each other, never closed too."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from booking.domain.access import Actor
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, elsewhere
from models import Booking, Category, Instrument
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(start: float, end: float) -> Span:
    """Hours after NOW."""
    return Span(NOW + start * HOUR, NOW + end * HOUR)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


def twin_of(session, row: Instrument) -> Instrument:
    session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
    session.flush()
    row.category_code = "0101"
    return make_instrument(session, facility=row.facility, category_code="0101")


def place(session, actor, *items: tuple[Instrument, float, float]) -> Booking:
    wanted = [Item(row.id, span(start, end)) for row, start, end in items]
    return bookings.place(session, actor=actor, items=wanted, now=NOW)


def look(session, row, start, end, *, whole=False):
    places = [row.id]
    met = bookings.displaced(session, instrument_ids=places, span=span(start, end))
    found = elsewhere.look(
        session,
        met=met,
        facility_id=row.facility_id,
        instrument_id=None if whole else row.id,
        span=span(start, end),
        now=NOW,
    )
    return {key: one and (one.instrument.id, one.span) for key, one in found.items()}


def test_each_goes_to_the_nearest_free_time_and_no_two_to_the_same(session, ada, sem):
    sem.setup_minutes = 30
    first = place(session, ada, (sem, 24, 26))
    second = place(session, ada, (sem, 28, 30))
    place(session, ada, (sem, 18, 20))
    found = look(session, sem, 24, 30)
    # Before the closure there is room for one; after it one must wait for its set-up, the other for the first.
    assert found[first.id] == (sem.id, span(21.5, 23.5))
    assert found[second.id] == (sem.id, span(30.5, 32.5))


def test_an_equal_instrument_then_is_nearer_than_much_later_here(session, ada, sem):
    twin = twin_of(session, sem)
    booking = place(session, ada, (sem, 24, 26))
    assert look(session, sem, 12, 72)[booking.id] == (twin.id, span(24, 26))
    short = place(session, ada, (sem, 80, 80.5))
    assert look(session, sem, 80, 80.5)[short.id] == (sem.id, span(79.5, 80))


def test_what_is_closed_too_is_no_way_out(session, ada, sem):
    twin = twin_of(session, sem)
    booking = place(session, ada, (sem, 24, 26))
    found = look(session, sem, 12, 72, whole=True)
    assert found[booking.id] in {(sem.id, span(10, 12)), (twin.id, span(10, 12))}


def test_where_there_is_no_place_it_is_said_and_several_instruments_are_left_to_people(session, ada, sem):
    other = make_instrument(session, facility=sem.facility)
    booking = place(session, ada, (sem, 24, 26))
    place(session, ada, (sem, 30, 32), (other, 30, 32))
    sem.horizon_minutes = 60
    session.flush()
    assert look(session, sem, 0, 40) == {booking.id: None}


def test_many_cost_as_many_statements_as_one(session, ada, sem):
    twin_of(session, sem)
    connection = session.connection()

    def statements(end: float) -> int:
        seen: list[str] = []
        note = lambda *arguments: seen.append(arguments[2])  # noqa: E731 - removed again below
        event.listen(connection, "before_cursor_execute", note)
        assert len(look(session, sem, 24, end)) == (end - 24) // 2
        event.remove(connection, "before_cursor_execute", note)
        return len(seen)

    for hour in range(24, 44, 2):
        place(session, ada, (sem, hour, hour + 1))
    statements(26)  # once, so that what is kept in memory is the same for both
    assert statements(26) == statements(44) <= 10
