"""Handing a booking over and swapping two: who may offer to whom, what is asked of the taker, what stays."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking import wording
from booking.domain.access import Forbidden, NotFound, Role
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import approvals, bookings, calendars, feeds, qualifications, transfers
from booking.services.sign_in import hashed
from models import CalendarScope, Event, Membership, Occupation, Person, Project, ProjectMember, TransferState
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def lab(session):
    facility = make_facility(session)
    return SimpleNamespace(
        facility=facility,
        sem=make_instrument(session, facility),
        xrd=make_instrument(session, facility),
        asks=make_instrument(session, facility, approval_required=True),
        ada=cast.actor_of(session, cast.ada(session)),
        ben=cast.actor_of(session, cast.ben(session)),
        cleo=cast.actor_of(session, cast.cleo(session)),
        tam=cast.actor_of(session, cast.tam(session, facility)),
    )


def item(row, days=1.0):
    start = NOW + timedelta(days=days)
    return Item(row.id, Span(start, start + timedelta(hours=1)))


def place(session, actor, row, days=1.0, **more):
    return bookings.place(session, actor=actor, items=[item(row, days)], now=NOW, **more)


def offer(session, actor, booking, to, **more):
    return transfers.offer(session, actor=actor, booking_id=booking.id, to=to.person_id, now=NOW, **more)


def accept(session, actor, transfer, now=NOW):
    return transfers.accept(session, actor=actor, transfer_id=transfer.id, now=now)


def code(refused):
    (reason,) = refused.value.reasons
    return reason.code


def ledger(session, booking):
    rows = session.scalars(select(Occupation).where(Occupation.booking_id == booking.id))
    return [(row.id, row.starts_at, row.ends_at) for row in rows]


def told(session):
    rows = session.scalars(select(Event).where(Event.kind.like("transfer.%")).order_by(Event.id))
    return [(row.kind.partition(".")[2], row.data["person_id"]) for row in rows]


def test_a_booking_changes_hands_and_its_time_is_never_free(session, lab):
    booking = place(session, lab.ben, lab.sem)
    before = ledger(session, booking)
    transfer = offer(session, lab.ben, booking, lab.ada, note="I am ill")
    assert booking.person_id == lab.ben.person_id
    assert transfers.waiting(session, actor=lab.ada) == 1
    done = accept(session, lab.ada, transfer)
    assert (done.state, transfers.waiting(session, actor=lab.ada)) == (TransferState.ACCEPTED, 0)
    assert (booking.person_id, booking.state) == (lab.ada.person_id, State.CONFIRMED)
    assert (booking.version, booking.sequence) == (2, 1)
    assert ledger(session, booking) == before
    ada, ben = str(lab.ada.person_id), str(lab.ben.person_id)
    assert told(session) == [("asked", ada), ("accepted", ben)]
    last = bookings.history(session, actor=lab.ada, booking_id=booking.id)
    assert "Handed over: Ben → Ada" in [wording.event_sentence(line.kind, line.data) for line in last]
    with pytest.raises(NotFound):
        bookings.get(session, actor=lab.ben, booking_id=booking.id)


def test_a_request_that_waits_for_approval_goes_on_waiting(session, lab):
    booking = place(session, lab.ben, lab.asks)
    accept(session, lab.ada, offer(session, lab.ben, booking, lab.ada))
    assert booking.state is State.REQUESTED
    approved = place(session, lab.ben, lab.asks, days=2)
    approvals.approve(session, actor=lab.tam, booking_id=approved.id, now=NOW)
    accept(session, lab.ada, offer(session, lab.ben, approved, lab.ada))
    assert approved.state is State.CONFIRMED


def test_two_bookings_are_swapped_by_consent_of_both(session, lab):
    hers, his = place(session, lab.ada, lab.sem), place(session, lab.ben, lab.xrd, days=2)
    asked = offer(session, lab.ada, hers, lab.ben, for_booking_id=his.id)
    accept(session, lab.ben, asked)
    assert (hers.person_id, his.person_id) == (lab.ben.person_id, lab.ada.person_id)
    assert (hers.sequence, his.sequence) == (1, 1)


def test_an_offer_is_answered_with_a_booking_in_exchange(session, lab):
    his, hers = place(session, lab.ben, lab.sem), place(session, lab.ada, lab.xrd, days=2)
    asked = offer(session, lab.ben, his, lab.ada)
    with pytest.raises(NotFound):
        transfers.exchange(session, actor=lab.ada, transfer_id=asked.id, booking_id=his.id, now=NOW)
    back = transfers.exchange(session, actor=lab.ada, transfer_id=asked.id, booking_id=hers.id, now=NOW)
    assert asked.state is TransferState.DECLINED
    assert (back.to_id, back.for_booking_id) == (lab.ben.person_id, his.id)
    accept(session, lab.ben, back)
    assert (hers.person_id, his.person_id) == (lab.ben.person_id, lab.ada.person_id)


def test_it_is_offered_to_colleagues_and_by_managers_to_anybody(session, lab):
    booking = place(session, lab.ben, lab.sem)
    for to in (lab.cleo, SimpleNamespace(person_id=uuid4())):
        with pytest.raises(Invalid) as refused:
            offer(session, lab.ben, booking, to)
        assert refused.value.errors == {"to": "nobody"}
    with pytest.raises(Invalid) as refused:
        offer(session, lab.ben, booking, lab.ben)
    assert refused.value.errors == {"to": "oneself"}
    with pytest.raises(NotFound):
        offer(session, lab.cleo, booking, lab.ada)
    transfer = offer(session, lab.tam, booking, lab.cleo)
    assert transfer.from_id == lab.ben.person_id
    accept(session, lab.cleo, transfer)
    assert booking.organisation_id == cast.company(session).id
    assert booking.confidential, "what a company holds is masked"


def test_an_operator_hands_nothing_over(session, lab):
    person = cast.cleo(session)
    session.add(Membership(person_id=person.id, role=Role.OPERATOR, facility_id=lab.facility.id))
    booking = place(session, lab.ben, lab.sem)
    with pytest.raises(Forbidden):
        offer(session, cast.actor_of(session, person), booking, lab.ada)


def test_the_taker_must_pass_what_is_asked_of_a_person(session, lab):
    qualifications.define(
        session, actor=lab.tam, facility_id=lab.facility.id, code="LASER", name_en="Laser safety", now=NOW
    )
    booking, his = place(session, lab.ada, lab.sem), place(session, lab.ben, lab.xrd, days=2)
    qualifications.need(session, actor=lab.tam, code="LASER", instrument_id=lab.sem.id, now=NOW)
    transfer = offer(session, lab.ada, booking, lab.ben)
    savepoint = session.begin_nested()
    with pytest.raises(Refused) as refused:
        accept(session, lab.ben, transfer)
    assert code(refused) == "qualification_missing"
    savepoint.rollback()
    session.expire_all()
    swap = transfers.exchange(session, actor=lab.ben, transfer_id=transfer.id, booking_id=his.id, now=NOW)
    savepoint = session.begin_nested()
    with pytest.raises(Refused) as refused:
        accept(session, lab.ada, swap)
    assert wording.sentence(code(refused), {}) == (
        "The rules do not let the other person have your booking. Ask them."
    )
    savepoint.rollback()
    session.expire_all()
    qualifications.award(session, actor=lab.tam, code="LASER", person_id=lab.ben.person_id, now=NOW)
    accept(session, lab.ada, swap)


def test_a_project_pays_only_for_those_who_work_for_it(session, lab):
    project = Project(
        code="P-1", name="Films", organisation_id=cast.university(session).id, leader_id=lab.ada.person_id
    )
    session.add(project)
    session.flush()
    session.add_all(
        ProjectMember(project_id=project.id, person_id=one.person_id) for one in (lab.ada, lab.cleo)
    )
    session.flush()
    booking = place(session, lab.ada, lab.sem, project_id=project.id)
    accept(session, lab.cleo, offer(session, lab.ada, booking, lab.cleo))
    assert (booking.project_id, booking.organisation_id) == (project.id, cast.university(session).id)
    accept(session, lab.ada, offer(session, lab.cleo, booking, lab.ada))
    accept(session, lab.ben, offer(session, lab.ada, booking, lab.ben))
    assert (booking.project_id, booking.organisation_id) == (None, cast.university(session).id)


def test_an_offer_is_answered_once(session, lab):
    booking = place(session, lab.ben, lab.sem)
    transfer = offer(session, lab.ben, booking, lab.ada)
    with pytest.raises(Refused) as refused:
        offer(session, lab.ben, booking, lab.ada)
    assert code(refused) == "transfer_open"
    with pytest.raises(NotFound):
        transfers.decline(session, actor=lab.cleo, transfer_id=transfer.id, now=NOW)
    transfers.decline(session, actor=lab.ada, transfer_id=transfer.id, note="no time", now=NOW)
    for deed in (transfers.accept, transfers.decline):
        with pytest.raises(Refused) as refused:
            deed(session, actor=lab.ada, transfer_id=transfer.id, now=NOW)
        reason = refused.value.reasons[0]
        assert wording.sentence(reason.code, reason.params) == "This offer is over: “Declined”."
    again = offer(session, lab.ben, booking, lab.ada)
    session.query(Membership).filter_by(person_id=lab.ada.person_id).update({"role": Role.MEMBER})
    no_leader = cast.actor_of(session, session.get_one(Person, lab.ada.person_id))
    with pytest.raises(Forbidden):
        transfers.withdraw(session, actor=no_leader, transfer_id=again.id, now=NOW)
    transfers.withdraw(session, actor=lab.tam, transfer_id=again.id, now=NOW)
    assert again.state is TransferState.WITHDRAWN


def test_what_was_moved_cancelled_or_has_begun_is_not_taken_over(session, lab):
    moved = place(session, lab.ben, lab.sem)
    of_moved = offer(session, lab.ben, moved, lab.ada)
    bookings.change(
        session, actor=lab.ben, booking_id=moved.id, version=None, items=[item(lab.sem, 3)], now=NOW
    )
    with pytest.raises(Refused) as refused:
        accept(session, lab.ada, of_moved)
    assert code(refused) == "transfer_moved"
    given_up = place(session, lab.ben, lab.sem, days=5)
    of_given_up = offer(session, lab.ben, given_up, lab.ada)
    bookings.cancel(session, actor=lab.ben, booking_id=given_up.id, now=NOW)
    with pytest.raises(WrongMove):
        accept(session, lab.ada, of_given_up)
    begun = place(session, lab.ben, lab.sem, days=6)
    of_begun = offer(session, lab.ben, begun, lab.ada)
    with pytest.raises(Refused) as refused:
        accept(session, lab.ada, of_begun, now=begun.starts_at)
    assert code(refused) == "already_started"
    with pytest.raises(Refused):
        transfers.offer(
            session, actor=lab.ben, booking_id=begun.id, to=lab.ada.person_id, now=begun.starts_at
        )


def test_offers_lapse_when_the_booking_begins_or_is_given_up(session, lab):
    begun, kept = place(session, lab.ben, lab.sem), place(session, lab.ben, lab.sem, days=4)
    gone = place(session, lab.ben, lab.sem, days=5)
    found = [offer(session, lab.ben, one, lab.ada) for one in (begun, kept, gone)]
    assert not transfers.anything_lapsed(session, now=NOW)
    bookings.cancel(session, actor=lab.ben, booking_id=gone.id, now=NOW)
    later = begun.starts_at + timedelta(hours=30)
    assert transfers.lapse(session, now=later) == 2
    assert transfers.lapse(session, now=later) == 0
    states = [one.state for one in found]
    assert states == [TransferState.LAPSED, TransferState.OPEN, TransferState.LAPSED]
    assert told(session)[-1] == ("lapsed", str(lab.ben.person_id))


def test_other_offers_of_what_changed_hands_end(session, lab):
    hers, his = place(session, lab.ada, lab.sem), place(session, lab.ben, lab.xrd, days=2)
    whole = offer(session, lab.ben, his, lab.ada)
    swap = offer(session, lab.ada, hers, lab.ben, for_booking_id=his.id)
    accept(session, lab.ada, whole)
    assert swap.state is TransferState.WITHDRAWN
    with pytest.raises(Refused):
        accept(session, lab.ben, swap)


def test_feeds_see_every_change_of_hands(session, lab):
    """Also one after which there are as many bookings, with as many changes, as before."""
    link, secret = calendars.make(session, actor=lab.ada, scope=CalendarScope.ME, locale="en", now=NOW)
    seen = []

    def look():
        found = feeds.feed(session, secret_hash=hashed(secret), now=NOW)
        seen.append(repr(found.version))
        assert len(set(seen)) == len(seen)

    assert link.person_id == lab.ada.person_id
    hers, his = place(session, lab.ada, lab.sem), place(session, lab.ben, lab.xrd)
    bookings.change(session, actor=lab.ada, booking_id=hers.id, version=None, purpose="x", now=NOW)
    look()
    accept(session, lab.ben, offer(session, lab.ada, hers, lab.ben, for_booking_id=his.id))
    assert (his.person_id, his.version) == (lab.ada.person_id, 2)
    look()
    accept(session, lab.ben, offer(session, lab.ada, his, lab.ben))
    look()
    fresh = place(session, lab.ada, lab.sem, days=7)
    bookings.change(session, actor=lab.ada, booking_id=fresh.id, version=None, purpose="x", now=NOW)
    look()


def test_both_find_it_in_their_list_and_others_do_not(session, lab):
    transfer = offer(session, lab.ben, place(session, lab.ben, lab.sem), lab.ada)
    for somebody, count in ((lab.ada, 1), (lab.ben, 1), (lab.cleo, 0)):
        rows, total = transfers.listing(session, actor=somebody)
        assert (len(rows), total) == (count, count)
    assert transfers.get(session, actor=lab.tam, transfer_id=transfer.id).id == transfer.id
    with pytest.raises(NotFound):
        transfers.get(session, actor=lab.cleo, transfer_id=transfer.id)
    assert transfers.open_for(session, booking_id=transfer.booking_id).id == transfer.id
    assert [one.id for one in transfers.exchangeable(session, actor=lab.ben, now=NOW)] == [
        transfer.booking_id
    ]
