"""Closures: planned ones respect bookings, imposed ones displace and say whom."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking.domain.access import Forbidden, Role
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, closures
from models import ClosureKind, Event, Membership, Occupation
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def facility(session):
    return make_facility(session)


@pytest.fixture
def pool(session, facility):
    return make_instrument(session, facility=facility, units=4)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, facility):
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=facility.id))
    session.flush()
    return cast.actor_of(session, person)


def make(session, actor, facility, instrument=None, start=1, end=3, **more):
    return closures.make(
        session,
        actor=actor,
        facility_id=facility.id,
        instrument_id=instrument.id if instrument else None,
        span=span(start, end),
        **{"kind": ClosureKind.MAINTENANCE, "reason": "pump", "imposed": False, "now": NOW} | more,
    )


def place(session, actor, instrument, start=1, end=2):
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span(start, end))], now=NOW)


def test_a_closure_takes_every_unit_of_every_instrument(session, tam, ada, facility, pool):
    other = make_instrument(session, facility=facility)
    make(session, tam, facility)
    for instrument in (pool, other):
        with pytest.raises(Refused):
            place(session, ada, instrument)
    place(session, ada, pool, 3, 4)


def test_a_planned_closure_that_meets_bookings_is_refused_and_they_are_counted(
    session, tam, ada, facility, pool
):
    place(session, ada, pool)
    affected = closures.affected(
        session, actor=tam, facility_id=facility.id, instrument_id=pool.id, span=span(1, 3)
    )
    assert len(affected) == 1
    with pytest.raises(Refused) as refused:
        make(session, tam, facility, pool)
    assert [(r.code, r.params["bookings"]) for r in refused.value.reasons] == [("meets_bookings", 1)]


def test_a_breakdown_stands_and_tells_whom_it_displaces(session, tam, ada, facility, pool):
    booking = place(session, ada, pool)
    closure, displaced = make(session, tam, facility, pool, kind=ClosureKind.BREAKDOWN, imposed=True)
    assert [b.id for b in displaced] == [booking.id]
    kinds = session.scalars(select(Event.kind).where(Event.booking_id == booking.id)).all()
    assert "booking.displaced" in kinds
    assert closure.imposed
    with pytest.raises(Refused):
        place(session, ada, pool, 2, 3)
    shorter = [Item(pool.id, span(1, 1.5))]
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    assert shorter


def test_bookings_ahead_that_a_closure_meets_are_found(session, tam, ada, facility, pool):
    met, before = place(session, ada, pool), place(session, ada, pool, start=4, end=5)
    called_off = place(session, ada, pool)
    closure, _met = make(session, tam, facility, pool, imposed=True, kind=ClosureKind.BREAKDOWN)
    bookings.cancel(session, actor=ada, booking_id=called_off.id, now=NOW)
    rows = [met, before, called_off]
    assert closures.struck(session, found=rows, now=NOW) == {met.id}
    assert closures.struck(session, found=rows, now=NOW + timedelta(hours=2)) == set()
    assert closures.struck(session, found=[], now=NOW) == set()
    closures.lift(session, actor=tam, closure_id=closure.id, now=NOW + timedelta(minutes=1))
    assert closures.struck(session, found=rows, now=NOW + timedelta(minutes=1)) == set()


def test_a_lifted_closure_gives_the_time_back(session, tam, ada, facility, pool):
    closure, _ = make(session, tam, facility)
    within = span(0, 9)
    assert [c.id for c in closures.listing(session, actor=tam, facility_id=facility.id, within=within)] == [
        closure.id
    ]
    closures.lift(session, actor=tam, closure_id=closure.id, now=NOW)
    closures.lift(session, actor=tam, closure_id=closure.id, now=NOW)
    assert closures.listing(session, actor=tam, facility_id=facility.id, within=within) == []
    assert session.scalar(select(func.count()).select_from(Occupation)) == 0
    place(session, ada, pool)


def test_only_the_facilitys_manager_closes_it(session, ada, facility, pool):
    with pytest.raises(Forbidden):
        make(session, ada, facility)
    with pytest.raises(Forbidden):
        closures.listing(session, actor=ada, facility_id=facility.id, within=span(0, 9))


def test_spans_without_sense(session, tam, facility):
    with pytest.raises(Invalid):
        make(session, tam, facility, start=3, end=1)
    with pytest.raises(Invalid):
        make(session, tam, facility, start=1, end=24 * 500)
    with pytest.raises(Refused):
        make(session, tam, facility, start=-5, end=-1)


def test_a_closed_span_is_not_free(session, tam, ada, facility, pool):
    make(session, tam, facility)
    free = availability.free(session, actor=ada, code=pool.code, within=span(0, 6), now=NOW)
    assert [(f.start, f.end, f.free) for f in free] == [(*span(0, 1), 4), (*span(3, 6), 4)]
