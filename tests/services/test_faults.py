"""Reports of faults: who may send and settle them, and an instrument that is put down and opens again."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import VISITOR, Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, faults, repairs
from models import Event, FaultState
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def sem(session):
    return make_instrument(session)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem):
    return cast.actor_of(session, cast.tam(session, sem.facility))


def report(session, actor, sem, text="stage sticks", **more):
    return faults.report(session, actor=actor, code=sem.code, text=text, now=NOW, **more)


def kinds(session) -> list[str]:
    found = session.scalars(select(Event.kind).order_by(Event.id))
    return [kind for kind in found if kind.startswith(("fault", "closure"))]


def test_a_confirmed_fault_puts_the_instrument_down_and_its_mending_opens_it(session, ada, tam, sem):
    span = Span(NOW + 2 * HOUR, NOW + 3 * HOUR)
    booking = bookings.place(session, actor=ada, items=[Item(sem.id, span)], now=NOW)
    fault = report(session, ada, sem, stops_work=True)
    until = NOW + 5 * HOUR
    fault, met = repairs.confirm(
        session, actor=tam, fault_id=fault.id, down_until=until, answer="Yes", now=NOW
    )
    assert [one.id for one in met] == [booking.id]
    assert faults.down(session, instruments=[sem], now=NOW + HOUR) == {sem.id: until}
    with pytest.raises(Refused):
        bookings.place(
            session, actor=ada, items=[Item(sem.id, Span(NOW + 3 * HOUR, NOW + 4 * HOUR))], now=NOW
        )
    with pytest.raises(Refused):
        repairs.dismiss(session, actor=tam, fault_id=fault.id, answer="no", now=NOW)
    repairs.mend(session, actor=tam, fault_id=fault.id, answer="New stage", now=NOW + HOUR)
    assert faults.down(session, instruments=[sem], now=NOW + HOUR) == {}
    assert (fault.state, fault.answer) == (FaultState.MENDED, "New stage")
    assert kinds(session) == [
        "fault.reported",
        "closure.made",
        "fault.confirmed",
        "closure.lifted",
        "fault.mended",
    ]
    told = session.scalars(select(Event).where(Event.kind == "fault.mended")).one()
    assert told.data["person_id"] == str(ada.person_id)


def test_two_who_settle_it_one_is_told(session, ada, tam, sem):
    fault = report(session, ada, sem)
    repairs.dismiss(session, actor=tam, fault_id=fault.id, answer="It was unplugged", now=NOW)
    for again in (
        lambda: repairs.confirm(session, actor=tam, fault_id=fault.id, now=NOW),
        lambda: repairs.mend(session, actor=tam, fault_id=fault.id, now=NOW),
    ):
        with pytest.raises(Refused) as refused:
            again()
        assert refused.value.reasons[0].params == {"state": "dismissed"}


def test_what_makes_no_sense_is_refused(session, ada, tam, sem):
    with pytest.raises(Invalid):
        report(session, ada, sem, text="  ")
    fault = report(session, ada, sem)
    with pytest.raises(Invalid):
        repairs.dismiss(session, actor=tam, fault_id=fault.id, answer="", now=NOW)
    with pytest.raises(Invalid):
        repairs.confirm(session, actor=tam, fault_id=fault.id, down_until=NOW, now=NOW)
    for _ in range(faults.MOST_OPEN - 1):
        report(session, ada, sem)
    with pytest.raises(Invalid) as invalid:
        report(session, ada, sem)
    assert invalid.value.errors == {"text": "too_many"}


def test_visitors_report_nothing_and_nobody_what_is_hidden(session, ada, sem):
    with pytest.raises(Forbidden):
        report(session, VISITOR, sem)
    with pytest.raises(NotFound):
        report(session, ada, make_instrument(session, published=False))


def test_staff_alone_read_reports_and_managers_alone_settle_them(session, ada, tam, sem):
    fault = report(session, ada, sem)
    cleo = cast.actor_of(session, cast.cleo(session))
    for actor in (ada, cleo):
        with pytest.raises(Forbidden):
            faults.listing(session, actor=actor, facility_id=sem.facility_id)
        with pytest.raises(Forbidden):
            repairs.mend(session, actor=actor, fault_id=fault.id, now=NOW)
    assert [one.id for one in faults.listing(session, actor=tam, facility_id=sem.facility_id)] == [fault.id]
    assert [one.id for one in faults.own(session, actor=ada)] == [fault.id]
    assert faults.own(session, actor=cleo) == []
