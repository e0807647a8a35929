"""The database's last word: no SQL by hand, on either engine, can overbook an instrument."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from booking.db import make_engine
from booking.domain.occupation import Kind
from booking.domain.spans import Load, Span, peak
from models import (
    Closure,
    ClosureKind,
    Facility,
    Instrument,
    Occupation,
    OpeningRule,
    Organisation,
    guards,
    stamp,
)
from tests.factories import make_instrument

START = datetime(2030, 1, 7, 1, tzinfo=UTC)


def row(instrument: Instrument, start: float, end: float, closure_id, **changed) -> dict:
    """Hours after START; rows of maintenance need no booking."""
    begins, ends = START + timedelta(hours=start), START + timedelta(hours=end)
    return {
        "instrument_id": instrument.id,
        "starts_at": begins,
        "ends_at": ends,
        "use_starts_at": begins,
        "use_ends_at": ends,
        "quantity": 1,
        "exclusive": False,
        "imposed": False,
        "kind": Kind.MAINTENANCE,
        "closure_id": closure_id,
    } | changed


def make_closure(session: Session, instrument: Instrument):
    closure = Closure(
        facility_id=instrument.facility_id,
        kind=ClosureKind.MAINTENANCE,
        starts_at=START,
        ends_at=START + timedelta(hours=1),
        created_at=START,
    )
    session.add(closure)
    session.flush()
    return closure.id


def write(session: Session, *rows: dict) -> str | None:
    """Insert by hand; give the guard that refused, or None."""
    try:
        with session.begin_nested():
            session.execute(insert(Occupation), list(rows))
    except IntegrityError as error:
        return guards.overbooked(error)
    return None


@pytest.fixture
def pool(session):
    return make_instrument(session, units=3)


@pytest.fixture
def closure_id(session, pool):
    return make_closure(session, pool)


def test_the_peak_may_reach_the_units_and_no_more(session, pool, closure_id):
    assert write(session, row(pool, 0, 4, closure_id, quantity=2)) is None
    assert write(session, row(pool, 2, 6, closure_id)) is None
    assert write(session, row(pool, 3, 5, closure_id)) == guards.CAPACITY
    assert write(session, row(pool, 4, 6, closure_id, quantity=2)) is None


def test_a_pool_does_not_fragment(session, pool, closure_id):
    """Three staggered rows leave one unit free throughout, whatever lanes they would have been put in."""
    assert (
        write(session, row(pool, 0, 2, closure_id), row(pool, 1, 3, closure_id), row(pool, 2, 4, closure_id))
        is None
    )
    assert write(session, row(pool, 0, 4, closure_id)) is None
    assert write(session, row(pool, 1, 2, closure_id)) == guards.CAPACITY


def test_several_rows_in_one_statement_are_counted_together(session, pool, closure_id):
    assert write(session, *[row(pool, 0, 1, closure_id)] * 4) == guards.CAPACITY


def test_an_update_that_grows_is_checked_and_one_that_shrinks_is_not(session, pool, closure_id):
    write(session, row(pool, 0, 2, closure_id, quantity=3), row(pool, 2, 4, closure_id))
    late = select(Occupation.id).where(Occupation.starts_at == START + timedelta(hours=2)).scalar_subquery()
    for change in (
        {"starts_at": START + timedelta(hours=1)},
        {"quantity": 4},
    ):
        with pytest.raises(IntegrityError) as refused, session.begin_nested():
            session.execute(update(Occupation).where(Occupation.id == late).values(change))
        assert guards.overbooked(refused.value) == guards.CAPACITY
    session.execute(
        update(Occupation).where(Occupation.id == late).values(starts_at=START + timedelta(hours=3))
    )


def test_a_fact_stands_whatever_is_booked_and_counts_afterwards(session, pool, closure_id):
    assert write(session, row(pool, 0, 4, closure_id, quantity=2)) is None
    assert write(session, row(pool, 1, 3, closure_id, quantity=3, imposed=True)) is None
    assert write(session, row(pool, 2, 5, closure_id)) == guards.CAPACITY
    claim = select(Occupation.id).where(Occupation.imposed.is_(False)).scalar_subquery()
    session.execute(
        update(Occupation).where(Occupation.id == claim).values(ends_at=START + timedelta(hours=2))
    )
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Occupation).where(Occupation.imposed).values(imposed=False))


def test_units_cannot_fall_below_what_is_booked_ahead(session, pool, closure_id):
    write(session, row(pool, 0, 4, closure_id, quantity=2))
    with pytest.raises(IntegrityError) as refused, session.begin_nested():
        session.execute(update(Instrument).where(Instrument.id == pool.id).values(units=1))
    assert guards.overbooked(refused.value) == guards.UNITS
    session.execute(update(Instrument).where(Instrument.id == pool.id).values(units=2))


def test_what_is_past_does_not_hold_the_units_up(session, pool, closure_id):
    long_ago = {"starts_at": datetime(2020, 1, 1, tzinfo=UTC), "ends_at": datetime(2020, 1, 2, tzinfo=UTC)}
    write(session, row(pool, 0, 1, closure_id, quantity=3, **long_ago))
    session.execute(update(Instrument).where(Instrument.id == pool.id).values(units=1))


def test_another_fault_is_not_taken_for_overbooking(session, pool, closure_id):
    with pytest.raises(IntegrityError) as refused, session.begin_nested():
        session.execute(insert(Occupation), [row(pool, 2, 1, closure_id)])
    assert guards.overbooked(refused.value) is None


def test_every_guard_stands_after_migration(engine: Engine):
    with engine.connect() as connection:
        assert guards.missing(connection) == []
        assert set(guards.guards(connection.dialect.name)) >= {
            "occupation_capacity_insert",
            "instrument_units",
        }


def test_the_revision_moves_once_a_transaction_with_sql_by_hand(postgresql_url):
    """SQLite has one writer at a time and needs no lock; there the service alone advances the revision."""
    engine = make_engine(postgresql_url)
    with Session(engine, expire_on_commit=False) as session:
        instrument = make_instrument(session)
        closure_id = make_closure(session, instrument)
        session.commit()
    revisions = []
    for change in (
        insert(Occupation).values(row(instrument, 0, 1, closure_id)),
        update(Occupation).values(quantity=1),
        delete(Occupation),
    ):
        with Session(engine) as session:
            session.execute(change)
            session.commit()
            revisions.append(session.scalar(select(Instrument.revision)))
    assert revisions == [2, 3, 4]
    engine.dispose()


@pytest.mark.parametrize("units", [1, 3])
def test_a_storm_of_sql_by_hand_never_overbooks(database_url, units):
    """Thirty-two writers at once, without the service and without its lock."""
    engine = make_engine(database_url, pool_size=32)
    with Session(engine.execution_options(write=True), expire_on_commit=False) as session:
        instrument = make_instrument(session, units=units)
        closure_id = make_closure(session, instrument)
        session.commit()
    barrier = threading.Barrier(32)
    won: list[int] = []
    faults: list[DBAPIError] = []

    def attempt(number: int) -> None:
        barrier.wait()
        wish = row(instrument, number % 4 * 0.5, 3 + number % 3, closure_id, exclusive=units == 1)
        try:
            with engine.execution_options(write=True).begin() as connection:
                connection.execute(insert(Occupation), [wish])
            won.append(number)
        except DBAPIError as error:
            refused = isinstance(error, IntegrityError) and guards.overbooked(error)
            if not refused and getattr(error.orig, "sqlstate", None) not in {"40P01", "40001"}:
                faults.append(error)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with Session(engine) as session:
        rows = session.scalars(select(Occupation)).all()
        loads = [Load(r.starts_at, r.ends_at, r.quantity) for r in rows]
        assert len(rows) == len(won) == session.scalar(select(func.count()).select_from(Occupation))
        assert peak(loads, Span(START, START + timedelta(days=1))) == units
    engine.dispose()


def stamp_of(session: Session):
    return session.scalar(select(stamp.current()))


def test_every_change_of_what_is_watched_draws_another_stamp(database_url):
    engine = make_engine(database_url).execution_options(write=True)
    seen = []
    with Session(engine) as session:

        def look(change) -> None:
            session.execute(change)
            session.commit()
            seen.append(stamp_of(session))
            session.rollback()

        instrument = make_instrument(session)
        session.commit()
        place, facility = instrument.id, instrument.facility_id
        seen.append(stamp_of(session))
        session.rollback()
        hours = {"facility_id": facility, "weekday": 0, "opens": 0, "closes": 60}
        for change in (
            insert(OpeningRule).values(**hours),
            update(OpeningRule).values(closes=90),
            delete(OpeningRule),
            update(Instrument).values(code="ANOTHER"),
            update(Facility).values(zone="Asia/Hong_Kong"),
            update(Organisation).values(kind="enterprise"),
        ):
            look(change)
        assert len(set(seen)) == len(seen)
        look(
            update(Instrument).where(Instrument.id == place).values(revision=7, name_en="Nothing that counts")
        )
        session.execute(insert(OpeningRule).values(**hours))
        mine = stamp_of(session)
        session.rollback()
        assert seen[-1] == seen[-2] == stamp_of(session) != mine
    engine.dispose()


def test_two_changes_at_once_do_not_wait_for_each_other(postgresql_url):
    engine = make_engine(postgresql_url, statement_timeout_ms=2000)
    with Session(engine) as session:
        place = make_instrument(session).facility_id
        session.commit()
    hours = {"facility_id": place, "weekday": 0, "opens": 0, "closes": 60}
    with Session(engine) as one, Session(engine) as other, Session(engine) as third:
        one.execute(insert(OpeningRule).values(**hours))
        other.execute(insert(OpeningRule).values(**hours))
        seen = [stamp_of(third)]
        assert stamp_of(one) is stamp_of(other) is None
        for session in (one, other):
            session.commit()
            third.rollback()
            seen.append(stamp_of(third))
        assert len(set(seen)) == 3
    engine.dispose()
