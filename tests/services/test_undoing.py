"""Taking back what one did, on both engines: as if it had not been, and only while that is true for everybody."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.chemicals import Hazard, Substance
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import approval_steps, approvals, bookings, undoing
from booking.services.bookings import Stale
from models import Booking, CreditEntry, Event, Instrument, Membership
from tests import cast
from tests.factories import make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
SOON = NOW + timedelta(minutes=9)
LATER = NOW + timedelta(minutes=10)


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    session.flush()
    return cast.actor_of(session, person)


def place(session, actor, instrument, start=24, end=25, *, now=NOW, **more) -> Booking:
    item = Item(instrument.id, span(start, end), 1)
    return bookings.place(session, actor=actor, items=[item], now=now, **more)


def undo(session, actor, booking, now=SOON, **more) -> Booking:
    return undoing.undo(session, actor=actor, booking_id=booking.id, now=now, **more)


def codes(refused) -> list[str]:
    return [reason.code for reason in refused.value.reasons]


def test_a_booking_is_given_up_without_notice_or_penalty(session, ada, cleo, sem):
    booking = place(session, ada, sem, 0.5, 1)
    gone = undo(session, ada, booking)
    assert gone.state is State.CANCELLED
    assert session.scalar(select(CreditEntry.id)) is None
    place(session, cleo, sem, 0.5, 1, now=SOON)
    last = session.scalars(select(Event).where(Event.booking_id == booking.id).order_by(Event.id)).all()[-1]
    assert (last.kind, last.data["undo"]) == ("booking.cancelled", str(booking.id))


def test_a_request_is_withdrawn(session, ada):
    booking = place(session, ada, make_instrument(session, approval_required=True))
    assert undo(session, ada, booking).state is State.WITHDRAWN


def test_after_ten_minutes_or_once_it_has_begun_there_is_nothing_to_take_back(session, ada, sem):
    late, begun = place(session, ada, sem), place(session, ada, sem, 0.25, 1, now=SOON)
    assert undoing.open_for(session, actor=ada, found=[late, begun], now=SOON).keys() == {late.id, begun.id}
    for booking, now in ((late, LATER), (begun, NOW + timedelta(minutes=15))):
        with pytest.raises(Refused) as refused:
            undo(session, ada, booking, now)
        assert codes(refused) == ["nothing_to_undo"]
        assert undoing.open_for(session, actor=ada, found=[booking], now=now) == {}


def test_what_another_did_since_is_not_taken_back(session, ada, tam):
    instrument = make_instrument(session, approval_required=True)
    session.add(Membership(person_id=tam.person_id, role=Role.MANAGER, facility_id=instrument.facility_id))
    session.flush()
    tam = cast.actor_of(session, session.get_one(type(cast.tam(session)), tam.person_id))
    booking = place(session, ada, instrument)
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    with pytest.raises(Refused) as refused:
        undo(session, ada, booking)
    assert codes(refused) == ["nothing_to_undo"]


def test_only_who_did_it_takes_it_back(session, ada, cleo, tam, sem):
    booking = place(session, ada, sem)
    with pytest.raises(NotFound):
        undo(session, cleo, booking)
    with pytest.raises(Refused):
        undo(session, tam, booking)
    ben = cast.actor_of(session, cast.ben(session))
    with pytest.raises((NotFound, Forbidden)):
        undo(session, ben, booking)


def test_what_was_taken_back_stays_so_and_an_old_version_takes_nothing_back(session, ada, sem):
    booking = place(session, ada, sem)
    undo(session, ada, booking, version=1)
    with pytest.raises(Stale):
        undo(session, ada, booking, version=1)
    with pytest.raises(Refused):
        undo(session, ada, booking)


def test_a_change_goes_back_to_what_it_was_with_words_and_chemicals(session, ada, sem):
    acetone = Substance("Acetone", hazards=frozenset({Hazard.PRESSURE}))
    booking = place(session, ada, sem, purpose="films", chemicals=[acetone])
    bookings.change(
        session,
        actor=ada,
        booking_id=booking.id,
        version=1,
        items=[Item(sem.id, span(30, 32))],
        purpose="powder",
        chemicals=[],
        now=NOW,
    )
    back = undo(session, ada, booking)
    assert (back.starts_at, back.ends_at) == tuple(span(24, 25))
    assert (back.purpose, back.version, back.state) == ("films", 3, State.CONFIRMED)
    assert approval_steps.declared(session, booking_id=back.id) == [acetone]


def test_a_change_goes_back_only_to_time_that_is_free_still(session, ada, cleo, sem):
    booking = place(session, ada, sem)
    bookings.change(
        session, actor=ada, booking_id=booking.id, version=1, items=[Item(sem.id, span(30, 31))], now=NOW
    )
    place(session, cleo, sem)
    with pytest.raises(Refused) as refused:
        undo(session, ada, booking)
    assert codes(refused) == ["taken"]


def test_how_soon_one_books_is_not_asked_again(session, ada, sem):
    sem.notice_minutes = 24 * 60
    session.flush()
    booking = place(session, ada, sem, 24, 25)
    bookings.change(
        session, actor=ada, booking_id=booking.id, version=1, items=[Item(sem.id, span(48, 49))], now=NOW
    )
    assert undo(session, ada, booking).starts_at == span(24, 25).start


def test_what_was_approved_is_so_again_without_another_word(session, ada, tam, sem):
    sem.approval_required = True
    session.flush()
    booking = place(session, ada, sem)
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    moved = bookings.change(
        session, actor=ada, booking_id=booking.id, version=None, items=[Item(sem.id, span(30, 31))], now=NOW
    )
    assert moved.state is State.REQUESTED
    assert undo(session, ada, booking).state is State.CONFIRMED
    shorter = [Item(sem.id, span(24, 24.5))]
    assert (
        bookings.change(
            session, actor=ada, booking_id=booking.id, version=None, items=shorter, now=SOON
        ).state
        is State.CONFIRMED
    )
    back = undo(session, ada, booking)
    assert (back.state, back.ends_at) == (State.CONFIRMED, span(24, 25).end)


def test_a_cancelled_booking_is_placed_again_with_all_that_it_had(session, ada, sem):
    acetone = Substance("Acetone")
    booking = place(session, ada, sem, purpose="films", confidential=True, chemicals=[acetone])
    booking.makes_room = True
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    again = undo(session, ada, booking)
    assert again.id != booking.id
    assert again.state is State.CONFIRMED
    assert (again.starts_at, again.ends_at) == (booking.starts_at, booking.ends_at)
    assert (again.purpose, again.confidential, again.makes_room) == ("films", True, True)
    assert again.created_at == booking.created_at
    assert approval_steps.declared(session, booking_id=again.id) == [acetone]
    with pytest.raises(Refused) as refused:
        undo(session, ada, booking)
    assert codes(refused) == ["taken"]


def test_time_that_somebody_took_meanwhile_is_not_had_back(session, ada, cleo, sem):
    booking = place(session, ada, sem)
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    place(session, cleo, sem)
    with pytest.raises(Refused) as refused:
        undo(session, ada, booking)
    assert codes(refused) == ["taken"]


def test_points_of_a_late_cancellation_are_given_back_but_it_stays_late(session, ada, sem):
    booking = place(session, ada, sem, 0.75, 1, now=NOW - timedelta(hours=2))
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    entry = session.scalars(select(CreditEntry)).one()
    again = undo(session, ada, booking)
    session.refresh(entry)
    assert entry.appeal.value == "granted"
    bookings.cancel(session, actor=ada, booking_id=again.id, now=SOON)
    assert {row.booking_id for row in session.scalars(select(CreditEntry))} == {booking.id, again.id}


def test_a_manager_takes_back_what_they_gave_up_for_another(session, ada, tam, sem):
    booking = place(session, ada, sem)
    bookings.cancel(session, actor=tam, booking_id=booking.id, reason="wrong one", now=NOW)
    again = undo(session, tam, booking)
    assert (again.person_id, again.booked_by_id) == (ada.person_id, None)
