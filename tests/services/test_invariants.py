"""Invariants: a sound database passes, and every sort of damage is named; the guards are dropped to make it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, text, update

from booking.domain.access import SYSTEM, Actor
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind
from booking.domain.spans import Span
from booking.services import approvals, bookings, closures, expiry, invariants
from models import Booking, BookingItem, Closure, ClosureKind, Event, Instrument, Occupation, Part, guards
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session, code="SEM", setup_minutes=15, cleanup_minutes=15)


@pytest.fixture
def pool(session, sem) -> Instrument:
    return make_instrument(session, facility=sem.facility, code="POOL", units=4)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    return cast.actor_of(session, cast.tam(session, sem.facility))


def place(session, actor, instrument, start=2, hours=1, quantity=1) -> Booking:
    span = Span(NOW + start * HOUR, NOW + (start + hours) * HOUR)
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span, quantity)], now=NOW)


def found(session, now=NOW) -> list[tuple[str, bool]]:
    """The codes of all faults, and whether they are certain."""
    session.flush()
    return [
        (fault.code, not fault.doubtful)
        for finding in invariants.check(session, now=now)
        for fault in finding.faults
    ]


@pytest.fixture
def unguarded(session):
    guards.drop(session.connection())
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ALTER TABLE occupation DROP CONSTRAINT {guards.EXCLUSION}"))


def certain(session) -> set[str]:
    return {code for code, sure in found(session) if sure} - {"guard_missing"}


# --- sound ----------------------------------------------------------------------------------------


def test_an_empty_database_is_sound(session):
    assert found(session) == []


def test_a_whole_life_is_sound(session, ada, tam, sem, pool):
    furnace = make_instrument(session, facility=sem.facility, approval_required=True)
    line = make_instrument(session, facility=sem.facility, stations=[sem, pool])
    place(session, ada, line, start=40)
    moved = place(session, ada, sem, start=10)
    bookings.change(
        session,
        actor=ada,
        booking_id=moved.id,
        version=None,
        items=[Item(pool.id, Span(NOW + 12 * HOUR, NOW + 13 * HOUR), 2)],
        now=NOW,
    )
    bookings.cancel(session, actor=ada, booking_id=place(session, ada, sem, start=20).id, now=NOW)
    approvals.approve(session, actor=tam, booking_id=place(session, ada, furnace).id, now=NOW)
    approvals.reject(session, actor=tam, booking_id=place(session, ada, furnace, start=4).id, now=NOW)
    bookings.cancel(session, actor=ada, booking_id=place(session, ada, furnace, start=6).id, now=NOW)
    late = place(session, ada, furnace, start=8)
    expiry.expire(session, actor=SYSTEM, booking_id=late.id, now=NOW + 9 * HOUR)
    place(session, ada, furnace, start=50)
    used = place(session, ada, pool, start=0, hours=5, quantity=4)
    bookings.check_in(session, actor=ada, booking_id=used.id, now=NOW)
    bookings.check_out(session, actor=ada, booking_id=used.id, now=NOW + HOUR)
    kept, _ = close(session, tam, sem, start=60)
    lifted, _ = close(session, tam, sem, start=70)
    closures.lift(session, actor=tam, closure_id=lifted.id, now=NOW)
    assert kept.lifted_at is None
    assert found(session) == []


def close(session, actor, instrument, start, *, imposed=False):
    return closures.make(
        session,
        actor=actor,
        facility_id=instrument.facility_id,
        instrument_id=instrument.id,
        span=Span(NOW + start * HOUR, NOW + (start + 1) * HOUR),
        kind=ClosureKind.BREAKDOWN,
        reason="",
        imposed=imposed,
        now=NOW,
    )


def test_a_breakdown_over_bookings_is_lawful(session, ada, tam, sem, pool):
    place(session, ada, sem)
    place(session, ada, pool, quantity=4)
    close(session, tam, sem, 2, imposed=True)
    close(session, tam, pool, 2, imposed=True)
    assert found(session) == []


def test_bookings_that_touch_are_no_overbooking(session, ada, pool):
    for start in range(5):
        place(session, ada, pool, start=start, quantity=4)
    assert found(session) == []


# --- damaged --------------------------------------------------------------------------------------


def test_missing_guards_are_named(session, unguarded):
    codes = found(session)
    assert set(codes) == {("guard_missing", True)}
    assert len(codes) == min(invariants.SHOWN, len(guards.guards(session.get_bind().dialect.name)))


def rows_of(session, booking) -> list[Occupation]:
    return list(session.scalars(select(Occupation).where(Occupation.booking_id == booking.id)))


def shift(session, booking, hours) -> None:
    """Move a booking with all that belongs to it, as no service would."""
    by = hours * HOUR
    for table in (booking, *booking.items):
        table.starts_at += by
        table.ends_at += by
    for row in rows_of(session, booking):
        row.starts_at += by
        row.ends_at += by
        row.use_starts_at += by
        row.use_ends_at += by
    session.flush()


@pytest.mark.usefixtures("unguarded")
def test_two_bookings_at_once_are_overbooking(session, ada, sem):
    place(session, ada, sem, start=2)
    other = place(session, ada, sem, start=4)
    assert certain(session) == set()
    shift(session, other, -2)
    assert certain(session) == {"overbooked"}


@pytest.mark.usefixtures("unguarded")
def test_set_up_and_clean_up_count(session, ada, sem):
    place(session, ada, sem, start=2)
    other = place(session, ada, sem, start=4)
    shift(session, other, -1)
    assert certain(session) == {"overbooked"}


@pytest.mark.usefixtures("unguarded")
def test_one_unit_too_many_is_overbooking(session, ada, pool):
    place(session, ada, pool, start=2, hours=4, quantity=3)
    other = place(session, ada, pool, start=8, quantity=2)
    shift(session, other, -3)
    assert certain(session) == {"overbooked"}


@pytest.mark.usefixtures("unguarded")
def test_time_past_of_a_pool_is_only_doubtful(session, ada, pool):
    """Its units may have been lowered since, as they lawfully can."""
    place(session, ada, pool, quantity=4)
    pool.units = 3
    assert ("overbooked", True) in found(session)
    assert found(session, now=NOW + 100 * HOUR).count(("overbooked_past", False)) == 1
    assert ("overbooked", True) not in found(session, now=NOW + 100 * HOUR)


@pytest.mark.usefixtures("unguarded")
def test_time_past_of_a_single_unit_is_certain(session, ada, sem):
    place(session, ada, sem, start=2)
    shift(session, place(session, ada, sem, start=4), -2)
    assert ("overbooked", True) in found(session, now=NOW + 100 * HOUR)


def test_time_of_a_cancelled_booking_is_stray(session, ada, sem):
    booking = place(session, ada, sem)
    session.execute(update(Booking).where(Booking.id == booking.id).values(state=State.CANCELLED))
    assert certain(session) == {"stray_time", "no_event"}


def test_a_booking_that_lost_its_time_is_named(session, ada, sem):
    booking = place(session, ada, sem)
    session.execute(delete(Occupation).where(Occupation.booking_id == booking.id))
    assert certain(session) == {"missing_time"}


def test_a_booking_that_holds_other_time_than_its_own_is_named(session, ada, sem):
    booking = place(session, ada, sem)
    for row in rows_of(session, booking):
        row.use_starts_at += HOUR / 4
    assert certain(session) == {"missing_time", "stray_time"}


def test_a_booking_that_holds_fewer_units_is_named(session, ada, pool):
    booking = place(session, ada, pool, quantity=3)
    rows_of(session, booking)[0].quantity = 2
    assert certain(session) == {"missing_time"}


def test_a_booking_that_holds_its_time_twice_is_named(session, ada, pool):
    booking = place(session, ada, pool)
    (row,) = rows_of(session, booking)
    session.add(
        Occupation(
            instrument_id=row.instrument_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            use_starts_at=row.use_starts_at,
            use_ends_at=row.use_ends_at,
            kind=Kind.BOOKING,
            booking_id=booking.id,
        )
    )
    assert certain(session) == {"other_time"}


def test_a_line_whose_stations_changed_is_doubtful(session, ada, sem, pool):
    line = make_instrument(session, facility=sem.facility, stations=[sem])
    place(session, ada, line)
    session.add(Part(line_id=line.id, station_id=pool.id, position=1))
    assert found(session) == [("other_time", False)]


def test_a_booking_without_items_is_named(session, ada, sem):
    booking = place(session, ada, sem)
    session.execute(delete(BookingItem).where(BookingItem.booking_id == booking.id))
    assert "no_items" in certain(session)


def test_a_booking_that_does_not_span_its_items_is_named(session, ada, sem):
    booking = place(session, ada, sem)
    booking.ends_at += HOUR
    assert certain(session) == {"span"}


@pytest.mark.parametrize("kind", ["booking.placed", None])
def test_a_state_that_no_event_tells_of_is_named(session, ada, sem, kind):
    booking = place(session, ada, sem)
    if kind is None:
        session.execute(update(Booking).values(state=State.CHECKED_IN))
    else:
        session.execute(delete(Event).where(Event.booking_id == booking.id))
    assert certain(session) == {"no_event"}


def test_a_lifted_closure_that_still_takes_time_is_named(session, tam, sem):
    closure, _ = close(session, tam, sem, 5)
    closure.lifted_at = NOW
    assert certain(session) == {"stray_time"}


def test_a_closure_that_takes_no_time_is_named(session, tam, sem):
    session.add(
        Closure(
            id=uuid4(),
            facility_id=sem.facility_id,
            kind=ClosureKind.CLOSURE,
            starts_at=NOW,
            ends_at=NOW + HOUR,
            created_at=NOW,
        )
    )
    assert certain(session) == {"missing_time"}


def test_of_many_faults_some_are_named_and_all_counted(session, ada, sem):
    for start in range(0, 100, 2):
        place(session, ada, sem, start=start)
    session.execute(delete(Event))
    session.flush()
    (finding,) = [one for one in invariants.check(session, now=NOW) if one.count]
    assert (len(finding.faults), finding.count, finding.wrong) == (invariants.SHOWN, 50, 50)
