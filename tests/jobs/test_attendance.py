"""The job that keeps the day in order: small transactions, twice is once, and who comes meanwhile has come."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking import db
from booking.domain.access import SYSTEM
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.jobs import attendance as job
from booking.jobs.timetable import TIMETABLE
from booking.services import attendance, bookings
from models import Booking, CreditEntry, Event, Occupation
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def database(database_url):
    db.init(database_url)
    yield
    db.dispose()


def book(session: Session, count: int = 1) -> list[str]:
    ada = cast.actor_of(session, cast.ada(session))
    span = Span(NOW, NOW + HOUR)
    return [
        bookings.place(
            session, actor=ada, items=[Item(make_instrument(session).id, span)], now=NOW - 5 * HOUR
        ).id
        for _ in range(count)
    ]


def counts(session: Session, kind: str) -> int:
    return session.scalar(select(func.count()).where(Event.kind == kind))


@pytest.mark.usefixtures("database")
def test_looking_twice_and_hours_late_notes_everything_once():
    with db.transaction() as session:
        first, second, third = book(session, 3)
        ada = cast.actor_of(session, cast.ada(session))
        for booking_id in (second, third):
            bookings.check_in(session, actor=ada, booking_id=booking_id, now=NOW)
        bookings.check_out(session, actor=ada, booking_id=third, now=NOW + HOUR)
    for now in (NOW + 20 * HOUR, NOW + 20 * HOUR, NOW + 30 * HOUR):
        job.keep(now)
        job.keep_feedback(now)
    with db.reading() as session:
        states = dict(session.execute(select(Booking.id, Booking.state)).all())
        assert states == {first: State.NO_SHOW, second: State.ENDED, third: State.ENDED}
        assert (counts(session, "booking.no_show"), counts(session, "booking.overtime")) == (1, 1)
        entries = session.execute(select(CreditEntry.booking_id, CreditEntry.deed, CreditEntry.at)).all()
        assert set(entries) == {
            (first, "no_show", NOW + 30 * MINUTE),
            (second, "overtime", NOW + 3 * HOUR),
            (second, "no_feedback", NOW + 27 * HOUR),
            (third, "normal_use", NOW + HOUR),
            (third, "no_feedback", NOW + 25 * HOUR),
        }
        ahead = session.scalars(select(Occupation.booking_id)).all()
        assert set(ahead) == {second, third}


@pytest.mark.usefixtures("database")
def test_one_booking_that_cannot_be_noted_keeps_no_other(monkeypatch):
    with db.transaction() as session:
        broken, sound = book(session, 2)
    real = attendance.miss

    def miss(session, *, booking_id, **more):
        if booking_id == broken:
            raise RuntimeError("broken")
        return real(session, booking_id=booking_id, **more)

    monkeypatch.setattr(attendance, "miss", miss)
    job.keep(NOW + HOUR)
    with db.reading() as session:
        states = dict(session.execute(select(Booking.id, Booking.state)).all())
    assert states == {broken: State.CONFIRMED, sound: State.NO_SHOW}


@pytest.mark.usefixtures("database")
def test_a_halted_job_stops_between_two_bookings():
    with db.transaction() as session:
        book(session, 2)
    job.keep(NOW + HOUR, lambda: True)
    with db.reading() as session:
        assert set(session.scalars(select(Booking.state))) == {State.CONFIRMED}


@pytest.mark.usefixtures("database")
def test_of_one_who_comes_and_a_job_that_misses_them_one_wins():
    """Each round both act at once: the person just in time by their clock, the job by its own."""
    for _ in range(8):
        with db.transaction() as session:
            (booking_id,) = book(session)
            ada = cast.actor_of(session, cast.ada(session))
        start = threading.Barrier(2)
        told: list[str] = []

        def come(start=start, told=told, booking_id=booking_id, ada=ada) -> None:
            start.wait()
            try:
                with db.transaction() as session:
                    bookings.check_in(session, actor=ada, booking_id=booking_id, now=NOW + 29 * MINUTE)
                told.append("came")
            except (WrongMove, Refused):
                told.append("too late")

        def miss(start=start, told=told, booking_id=booking_id) -> None:
            start.wait()
            with db.transaction() as session:
                missed = attendance.miss(session, actor=SYSTEM, booking_id=booking_id, now=NOW + 30 * MINUTE)
            told.append("missed" if missed else "spared")

        threads = [threading.Thread(target=work) for work in (come, miss)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with db.reading() as session:
            booking = session.get_one(Booking, booking_id)
            held = session.scalar(select(func.count()).where(Occupation.booking_id == booking_id))
        outcome = {State.CHECKED_IN: ({"came", "spared"}, 1), State.NO_SHOW: ({"too late", "missed"}, 0)}
        assert (set(told), held) == outcome[booking.state]


def test_the_timetable_keeps_the_day():
    assert {"attendance", "feedback"} <= {entry.name for entry in TIMETABLE}
