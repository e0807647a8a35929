from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

import booking
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.domain.lifecycle import State
from booking.services import (
    accounts,
    approvals,
    bookings,
    bulk,
    imports,
    invariants,
    occupation,
    scale,
    seeds,
)
from booking.services.accounts import PasswordHash
from models import Booking, Closure, Event, Facility, Instrument, Membership, Occupation, Person
from tests.cast import actor_of, password_hash

DEMO = Path(booking.__file__).parent / "demo" / "inventory.yaml"


@pytest.fixture(scope="module")
def demo():
    return inventory.read(DEMO.read_bytes(), DEMO.name)


def seed(session, demo, now):
    imports.apply(session, actor=SYSTEM, inventory=demo, now=now)
    made = seeds.demo(session, password_hash=PasswordHash(password_hash()), now=now)
    session.flush()
    return made


def actor(session, email):
    return actor_of(session, accounts.by_email(session, email=email))


def faults(session, now):
    return [fault for finding in invariants.check(session, now=now) for fault in finding.faults]


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 6, 15, 59, 59, tzinfo=UTC),  # Friday in Guangdong, one second before midnight
        datetime(2027, 1, 3, 1, 7, 3, 999, tzinfo=UTC),  # a Sunday morning there
    ],
)
def test_the_demo_tells_a_story_whenever_it_is_made(session, demo, now):
    assert seed(session, demo, now)
    states = dict(session.execute(select(Booking.state, func.count()).group_by(Booking.state)).all())
    assert states[State.CONFIRMED] > 40
    assert states[State.ENDED] > 30
    assert states[State.NO_SHOW] > 0
    assert session.scalar(select(func.count(func.distinct(Occupation.instrument_id)))) > 40
    inbox = approvals.inbox(session, actor=actor(session, "tam@example.org"))
    assert {row.items[0].instrument.code for row in inbox} >= {"DG-SLAB-03", "DG-SLAB-04"}
    cleo = bookings.listing(session, actor=actor(session, "cleo@example.org"), mine=True, page_size=500)[0]
    assert cleo
    assert all(row.confidential for row in cleo)
    assert session.scalar(select(func.count()).select_from(Closure).where(Closure.starts_at > now)) == 1
    assert session.scalar(select(func.max(Booking.created_at))) <= now
    assert session.scalar(select(func.max(Event.at))) <= now
    assert (
        session.scalars(
            select(Event).where(Event.dispatched_at.is_(None), Event.booking_id.is_not(None))
        ).all()
        == []
    )
    assert faults(session, now) == []
    assert roles(session) == {
        "Ada": ["leader"],
        "Ben": ["member"],
        "Cleo": ["member"],
        "Nora": ["officer"],
        "Root": ["administrator"],
        "Tam": ["manager", "member", "operator"],
    }
    slab = session.scalar(select(Facility.id).where(Facility.code == "DG-SLAB"))
    assert actor(session, "tam@example.org").manages == {slab}
    assert not seed(session, demo, now + timedelta(days=1))
    assert sum(states.values()) == session.scalar(select(func.count()).select_from(Booking))


def roles(session):
    """The roles of each of the demo people."""
    found = {}
    query = select(Person.name, Membership.role).join(Membership).where(Person.email.in_(dict(seeds.PEOPLE)))
    for name, role in session.execute(query):
        found.setdefault(name, []).append(role.value)
    return {name: sorted(given) for name, given in sorted(found.items())}


# --- many rows ---


def many(session, demo, now, instruments=450, count=3000):
    places = scale.places(session, inventory=demo, count=instruments, now=now)
    people = scale.people(session, count=10, now=now)
    for rows in scale.batches(places=places, people=people, count=count, now=now, size=500):
        scale.write(session, rows, now)
    session.execute(text("ANALYZE"))  # as the command does before it checks
    return places


def test_many_rows_are_valid(session, demo, now):
    many(session, demo, now)
    assert session.scalar(select(func.count()).select_from(Instrument)) == 450
    assert session.scalar(select(func.count()).select_from(Booking)) == 3000
    assert session.scalar(select(func.count()).select_from(Facility)) == 3
    states = dict(session.execute(select(Booking.state, func.count()).group_by(Booking.state)).all())
    assert states[State.ENDED] > states[State.CONFIRMED] > states[State.CANCELLED] > 0
    assert faults(session, now) == []
    assert session.scalars(select(Event).where(Event.dispatched_at.is_(None))).all() == []


def test_many_rows_come_again_beside_the_first(session, demo, now):
    many(session, demo, now, instruments=10, count=100)
    many(session, demo, now, instruments=10, count=100)
    assert session.scalar(select(func.count()).select_from(Booking)) == 200
    assert faults(session, now) == []


def test_the_guards_check_rows_in_bulk(session, demo, now):
    """The same rows once more are refused by the database itself."""
    places = scale.places(session, inventory=demo, count=1, now=now)
    people = scale.people(session, count=1, now=now)
    for number in range(2):
        (rows,) = scale.batches(places=places, people=people, count=20, now=now)
        if number == 0:
            scale.write(session, rows, now)
            continue
        with pytest.raises(Exception, match=r"occupation_(capacity|exclusion)"):
            scale.write(session, rows, now)
    session.rollback()


def test_more_than_a_century_is_refused(session, demo, now):
    places = scale.places(session, inventory=demo, count=1, now=now)
    people = scale.people(session, count=1, now=now)
    with pytest.raises(ValueError, match="hundred years"):
        list(scale.batches(places=places, people=people, count=1_000_000, now=now))


def test_many_rows_written_without_indexes_leave_the_tables_as_they_were(session, demo, now):
    before = shape(session)
    places, people = crowd(session, demo, now)
    with bulk.bare(session, scale.TABLES):
        if session.get_bind().dialect.name == "postgresql":
            assert len(shape(session)) < len(before) - 30
        fill(session, places, people, now)
    assert shape(session) == before
    assert session.scalar(select(func.count()).select_from(Occupation)) > 400
    assert not occupation.overfull(session)
    assert faults(session, now) == []


def test_what_is_taken_twice_without_the_guards_is_found_when_they_come_back(session, demo, now):
    if session.get_bind().dialect.name == "sqlite":
        return  # there the guards stay
    places, people = crowd(session, demo, now)
    shared = [place for place in places if place.units > 1]
    with session.begin_nested() as undone:
        twice(session, shared, people, now)
        assert occupation.overfull(session)
        undone.rollback()
    alone = [place for place in places if place.units == 1]
    with pytest.raises(IntegrityError, match="occupation_exclusion"):
        twice(session, alone, people, now)


def twice(session, places, people, now):
    with bulk.bare(session, scale.TABLES):
        for _ in range(2):
            fill(session, places, people, now)


def test_a_database_in_which_people_work_is_known(session, demo, now):
    seed(session, demo, now)
    crowd(session, demo, now)
    assert not scale.inhabited(session)
    session.add(Person(email="somebody@company.example", name="Somebody", created_at=now))
    session.flush()
    assert scale.inhabited(session)


def crowd(session, demo, now):
    places = scale.places(session, inventory=demo, count=20, now=now)
    return places, scale.people(session, count=10, now=now)


def fill(session, places, people, now):
    batches = scale.batches(places=places, people=people, count=500, now=now, size=200)
    for rows in batches:
        scale.write(session, rows, now)


def shape(session):
    """Every key, constraint, index and trigger of the database, by its own words."""
    if session.get_bind().dialect.name == "sqlite":
        return sorted(session.scalars(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")))
    asked = (
        "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT concat_ws(' ', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal",
    )
    return sorted(row for query in asked for row in session.scalars(text(query)))
