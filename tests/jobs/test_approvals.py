"""The job that looks after requests: it may come hours late, twice, or be stopped in between."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.spans import Span
from booking.jobs import approvals as job
from booking.services import approvals_due, bookings
from models import ApprovalStep, Booking, Event, Occupation, Rule
from tests import cast
from tests.factories import LONG_AGO, make_facility, make_instrument


@pytest.fixture
def requests(database_url, now):
    """Three requests under a rule of two working days, in a database of their own."""
    db.init(database_url)
    with db.transaction() as session:
        lab = make_facility(session)
        row = make_instrument(session, lab)
        cast.tam(session, lab)
        data = {"approvers": {"role": "manager"}, "deadline_days": 2}
        rule = {"kind": RuleKind.APPROVAL, "name": "Review", "valid_from": LONG_AGO.date()}
        session.add(Rule(facility_id=lab.id, data=data, created_at=LONG_AGO, **rule))
        session.flush()
        ben = cast.actor_of(session, cast.ben(session))
        made = []
        for hour in range(3):
            start = now + timedelta(days=20, hours=2 * hour)
            item = Item(row.id, Span(start, start + timedelta(hours=1)))
            made.append(bookings.place(session, actor=ben, items=[item], now=now).id)
    yield made
    db.dispose()


def look(kind):
    with db.reading() as session:
        told = session.scalar(select(func.count()).where(Event.kind == kind))
        states = session.scalars(select(Booking.state).order_by(Booking.starts_at)).all()
        held = session.scalar(select(func.count()).select_from(Occupation))
        return told, list(states), held


def never():
    return False


def test_reminders_and_ends_come_once_however_often_and_late_the_job_does(requests, now):
    with db.reading() as session:
        due = session.scalars(select(ApprovalStep.due_at)).first()
    for at in (due - timedelta(hours=20), due - timedelta(hours=20), due - timedelta(hours=1)):
        job.each(approvals_due.to_remind, job._remind, at, never)
    assert look("approval.reminded") == (3, [State.REQUESTED] * 3, 3)
    for _ in range(2):
        job.each(approvals_due.due, job._settle, due + timedelta(days=9), never)
    assert look("approval.expired") == (3, [State.EXPIRED] * 3, 0)
    assert look("booking.expired")[0] == 3


def test_one_that_fails_keeps_no_other_and_who_is_stopped_stops(requests, now, monkeypatch, caplog):
    with db.reading() as session:
        due = session.scalars(select(ApprovalStep.due_at)).first()
    settle = approvals_due.settle
    seen = []

    def fails_once(session, *, step_id, now):
        seen.append(step_id)
        if len(seen) == 1:
            raise RuntimeError("broken")
        return settle(session, step_id=step_id, now=now)

    monkeypatch.setattr(approvals_due, "settle", fails_once)
    answers = iter([False, False, True])
    job.each(approvals_due.due, job._settle, due, lambda: next(answers))
    assert sorted(look("approval.expired")[1]) == [State.EXPIRED, State.REQUESTED, State.REQUESTED]
    assert "could not be seen to" in caplog.text
    job.each(approvals_due.due, job._settle, due, never)
    assert look("approval.expired") == (3, [State.EXPIRED] * 3, 0)
