"""The timetable: every job does its work, and its failures are told."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from booking import db
from booking.domain.lifecycle import State
from booking.domain.occupation import Item, Kind
from booking.domain.spans import Span
from booking.jobs import prune, release_holds, reminders, timetable
from booking.jobs.timetable import TIMETABLE, Job, Process
from booking.services import accounts, bookings, expiry, jobs, notifications
from models import Booking, Event, JobRun, Occupation, OneTimeLink, RateLimit, Reminder, RequestKey, SignIn
from tests import cast
from tests.factories import make_instrument

HOUR = timedelta(hours=1)


def never() -> bool:
    return False


def count(table, *where) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where))


class Leads:
    """A leader who leads."""

    def still_leads(self) -> bool:
        return True


class Deposed:
    def still_leads(self) -> bool:
        return False


@pytest.fixture
def process(settings) -> Process:
    return Process(settings)


@pytest.mark.parametrize("job", TIMETABLE, ids=lambda job: job.name)
def test_every_job_runs_with_nothing_to_do_and_says_that_it_did(process, job):
    process._tick(job, Leads(), process.stopping)
    with db.reading() as session:
        (run,) = jobs.runs(session)
        assert (run.job, run.error) == (job.name, "")
        assert run.succeeded_at is not None


def test_a_job_that_fails_is_told_and_cured_by_the_next_that_does_not(process):
    def broken(_settings, _halted):
        raise ZeroDivisionError("half a tick")

    process._tick(Job("odd", 1, broken), Leads(), process.stopping)
    with db.reading() as session:
        assert jobs.runs(session)[0].error == "ZeroDivisionError: half a tick"
    process._tick(Job("odd", 1, lambda _settings, _halted: None), Leads(), process.stopping)
    with db.reading() as session:
        assert jobs.runs(session)[0].error == ""


def test_who_was_deposed_begins_no_job(process):
    done = []
    job = Job("odd", 1, lambda _settings, _halted: done.append(1))
    process._tick(job, Deposed(), process.stopping)
    assert done == []
    process._tick(job, Leads(), process.stopping)
    assert done == [1]


def test_who_was_told_to_stop_begins_no_job(process):
    done = []
    process.stopping.set()
    process._tick(Job("odd", 1, lambda _settings, _halted: done.append(1)), Leads(), process.stopping)
    assert done == []


def test_that_all_is_well_is_noted_once_a_minute(process, monkeypatch):
    clock = datetime(2026, 11, 2, 8, tzinfo=UTC)
    noted = []
    monkeypatch.setattr(timetable, "utc_now", lambda: clock)
    monkeypatch.setattr(jobs, "succeeded", lambda _session, **told: noted.append(told["now"]))
    job = Job("odd", 2, lambda _settings, _halted: None)
    for _ in range(61):
        process._tick(job, Leads(), process.stopping)
        clock += timedelta(seconds=2)
    assert len(noted) == 3


# --- the jobs -------------------------------------------------------------------------------------


def test_reminders_are_recorded(settings, book):
    (booking,) = book(1)
    with db.transaction() as session:
        notifications.dispatch(session, remind=(60,), now=datetime.now(UTC))
        session.execute(update(Reminder).values(due_at=datetime.now(UTC) - timedelta(minutes=1)))
    reminders.run(settings, never)
    reminders.run(settings, never)
    assert count(Event, Event.kind == "booking.reminded", Event.booking_id == booking.id) == 1


@pytest.fixture
def requests(settings):
    """Two requests whose start has passed, and one that has time."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with db.transaction() as session:
        furnace = make_instrument(session, approval_required=True)
        ada = cast.actor_of(session, cast.ada(session))
        return [
            bookings.place(
                session,
                actor=ada,
                items=[Item(furnace.id, Span(now + n * HOUR, now + (n + 1) * HOUR))],
                now=now - 5 * HOUR,
            ).id
            for n in (-3, -2, 5)
        ]


def states() -> list[State]:
    with db.reading() as session:
        return list(session.scalars(select(Booking.state).order_by(Booking.starts_at)))


def test_requests_that_nobody_decided_expire_and_give_their_time_back(settings, requests):
    release_holds.run(settings, never)
    assert states() == [State.EXPIRED, State.EXPIRED, State.REQUESTED]
    assert count(Occupation) == 1
    assert count(Event, Event.kind == "booking.expired") == 2


def test_one_request_that_cannot_expire_keeps_no_other(settings, requests, monkeypatch):
    expire = expiry.expire

    def broken(session, *, booking_id, **more):
        if booking_id == requests[0]:
            raise ZeroDivisionError
        return expire(session, booking_id=booking_id, **more)

    monkeypatch.setattr(expiry, "expire", broken)
    release_holds.run(settings, never)
    assert states() == [State.REQUESTED, State.EXPIRED, State.REQUESTED]


def test_holds_that_ran_out_are_released(settings):
    now = datetime.now(UTC)
    with db.transaction() as session:
        instrument = make_instrument(session)
        for n, expires_at in enumerate((now - HOUR, now + HOUR)):
            session.add(hold(instrument.id, now + n * HOUR, expires_at))
    release_holds.run(settings, never)
    assert count(Occupation) == 1
    assert count(Occupation, Occupation.expires_at > now) == 1


def hold(instrument_id, at, expires_at) -> Occupation:
    return Occupation(
        instrument_id=instrument_id,
        starts_at=at,
        ends_at=at + HOUR,
        use_starts_at=at,
        use_ends_at=at + HOUR,
        kind=Kind.HOLD,
        expires_at=expires_at,
    )


def test_what_has_served_its_purpose_is_dropped_and_nothing_else(settings, book):
    now = datetime.now(UTC)
    (booking,) = book(1)
    with db.transaction() as session:
        ada = cast.ada(session)
        for age in (timedelta(hours=1), timedelta(hours=25)):
            session.add(
                RequestKey(
                    person_id=ada.id,
                    key=str(age),
                    fingerprint="",
                    booking_id=booking.id,
                    created_at=now - age,
                )
            )
        for n, age in enumerate((timedelta(days=1), timedelta(days=40))):
            session.add(
                SignIn(
                    person_id=ada.id,
                    secret_hash=bytes([n]) * 32,
                    created_at=now - age,
                    seen_at=now - age,
                    expires_at=now - age,
                )
            )
            accounts.ask_reset(session, email=ada.email, key="k", now=now - age)
            session.add(
                Reminder(
                    booking_id=booking.id,
                    starts_at=now - age,
                    minutes=60,
                    due_at=now - age,
                    done_at=now - age,
                )
            )
        session.add(Reminder(booking_id=booking.id, starts_at=booking.starts_at, minutes=1, due_at=now))
        session.add(RateLimit(key="old", n=1, until=now.timestamp() - 1))
        session.add(RateLimit(key="new", n=1, until=now.timestamp() + 60))
    prune.run(settings, never)
    left = {table: count(table) for table in (RequestKey, SignIn, OneTimeLink, Reminder, RateLimit, Booking)}
    assert left == {RequestKey: 1, SignIn: 1, OneTimeLink: 1, Reminder: 2, RateLimit: 1, Booking: 1}
    assert count(JobRun) == 0
