"""Free spans, find a time and next free times on both engines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import availability, bookings, finder, policies
from booking.services.catalogue import Filters
from booking.services.finder import Question
from models import InstrumentPrice, OpeningRule
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)  # Monday, 08:00 in Guangdong


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


def place(session, actor, instrument, start, end, quantity=1):
    items = [Item(instrument.id, span(start, end), quantity)]
    return bookings.place(session, actor=actor, items=items, now=NOW)


def free(session, actor, instrument, start, end):
    found = availability.free(session, actor=actor, code=instrument.code, within=span(start, end), now=NOW)
    return [(f.start, f.end, f.free) for f in found]


class Statements:
    """Counts what is sent to the database."""

    def __init__(self, session) -> None:
        self._engine = session.get_bind()
        self.count = 0

    def _note(self, *_) -> None:
        self.count += 1

    def __enter__(self):
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)


def test_levels_of_a_pool(session, ada):
    pool = make_instrument(session, units=3)
    place(session, ada, pool, 2, 4, 1)
    place(session, ada, pool, 3, 5, 2)
    assert free(session, ada, pool, 1, 6) == [
        (*span(1, 2), 3),
        (*span(2, 3), 2),
        (*span(4, 5), 1),
        (*span(5, 6), 3),
    ]


def test_opening_hours_bound_what_is_free_and_the_past_is_not(session, ada):
    facility = make_facility(session, always_open=False)
    session.add(OpeningRule(facility_id=facility.id, weekday=0, opens=540, closes=1020))
    session.flush()
    instrument = make_instrument(session, facility=facility)
    assert free(session, ada, instrument, -5, 48) == [(*span(1, 9), 1)]


def test_an_instruments_own_hours_replace_its_facilitys(session, ada):
    instrument = make_instrument(session)
    session.add(OpeningRule(instrument_id=instrument.id, weekday=1, opens=0, closes=60))
    session.flush()
    assert free(session, ada, instrument, 0, 100) == [(*span(16, 17), 1)]


def test_free_time_keeps_its_distance_by_set_up_and_clean_up(session, ada):
    instrument = make_instrument(session, setup_minutes=30, cleanup_minutes=60)
    place(session, ada, instrument, 4, 6)
    found = free(session, ada, instrument, 0, 12)
    assert found == [(*span(0, 2.5), 1), (*span(7.5, 12), 1)]
    place(session, ada, instrument, 1.5, 2.5)
    place(session, ada, instrument, 7.5, 8.5)


def test_find_a_time_gives_the_earliest_of_each(session, ada):
    facility = make_facility(session)
    busy, idle, pool = (make_instrument(session, facility=facility, units=u) for u in (1, 1, 4))
    session.add(
        InstrumentPrice(
            instrument_id=idle.id,
            customer_class="external",
            unit="hour",
            amount=Decimal(90),
            valid_from=NOW.date(),
        )
    )
    place(session, ada, busy, 0, 3)
    place(session, ada, pool, 0, 2, 3)
    filters = Filters(facility=facility.code)
    offers = finder.find(
        session,
        actor=ada,
        question=Question(duration=timedelta(hours=2), within=span(0, 24), filters=filters),
        now=NOW,
    ).offers
    assert [(o.code, o.start, o.estimate) for o in offers] == [
        *sorted([(idle.code, NOW, Decimal("180.00")), (pool.code, NOW, None)]),
        (busy.code, span(3, 5).start, None),
    ]
    offers = finder.find(
        session,
        actor=ada,
        question=Question(duration=timedelta(hours=2), within=span(0, 24), filters=filters, quantity=2),
        now=NOW,
    ).offers
    assert [(o.code, o.start) for o in offers] == [(pool.code, span(2, 4).start)]
    for offer in offers:
        items = [Item(offer.instrument_id, Span(offer.start, offer.end), 2)]
        bookings.place(session, actor=ada, items=items, now=NOW)


def test_find_a_time_costs_the_same_for_few_and_many(session, ada):
    facility = make_facility(session)

    def cost() -> int:
        policies.forget(session)  # what a transaction has read it reads no more
        with Statements(session) as sent:
            finder.find(
                session,
                actor=ada,
                question=Question(
                    duration=timedelta(hours=1), within=span(0, 24), filters=Filters(facility=facility.code)
                ),
                now=NOW,
            )
        return sent.count

    make_instrument(session, facility=facility)
    few = cost()
    for _ in range(12):
        make_instrument(session, facility=facility)
    assert cost() == few


def test_the_timeline_is_one_statement(session, ada):
    instruments = [make_instrument(session) for _ in range(3)]
    for instrument in instruments:
        place(session, ada, instrument, 1, 2)
    session.flush()
    with Statements(session) as sent:
        bars = availability.occupations(
            session, actor=ada, instrument_ids=[i.id for i in instruments], within=span(0, 9), now=NOW
        )
    assert len(bars) == 3
    assert sent.count == 1


@pytest.mark.parametrize(("start", "end"), [(3, 1), (1, 1), (0, 24 * 401)])
def test_windows_without_sense(session, ada, start, end):
    instrument = make_instrument(session)
    with pytest.raises(Invalid):
        free(session, ada, instrument, start, end)


def test_next_free_of_many(session, ada):
    busy, idle, hidden = (
        make_instrument(session),
        make_instrument(session),
        make_instrument(session, bookable=False),
    )
    place(session, ada, busy, 0, 5)
    found = availability.next_free(session, instrument_ids=[busy.id, idle.id, hidden.id], now=NOW)
    assert found[busy.id].start == span(5, 6).start
    assert found[idle.id].start == NOW
    assert found[hidden.id] is None
