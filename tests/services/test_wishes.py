"""Wishes beside rounds on both engines: several windows, booked at once, why nothing came, and who makes room."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking import plan_words
from booking.domain.access import Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import agreements, bookings, making_room, offers, turns, waitlist
from booking.services.catalogue import Filters
from models import (
    Booking,
    Capability,
    EntryState,
    Event,
    IfSilent,
    Instrument,
    Membership,
    Person,
    PersonState,
    Project,
    ProjectMember,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
KEY = "a key for tests"
DAY = 24


def span(start: float, end: float) -> Span:
    """Hours after NOW."""
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session):
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session):
    return cast.actor_of(session, cast.cleo(session))


def place(session, actor, instrument, start, end, *, makes_room=False) -> Booking:
    items = [Item(instrument.id, span(start, end))]
    booking = bookings.place(session, actor=actor, items=items, now=NOW)
    booking.makes_room = makes_room
    session.flush()
    return booking


def wish(session, actor, *instruments, start=DAY, end=DAY + 8, minutes=120, now=NOW, **more):
    return waitlist.join(
        session,
        actor=actor,
        instrument_ids=[one.id for one in instruments],
        window=span(start, end),
        minutes=minutes,
        now=now,
        **more,
    )


def serve(session, now=NOW) -> list[Booking | WaitlistOffer | None]:
    """Do what the job does, in one transaction."""
    made: list[Booking | WaitlistOffer | None] = []
    for freed in turns.work(session):
        tried = set()
        while (choice := turns.choose(session, freed=freed, skip=tried, now=now)) is not None:
            tried.add(choice.entry_id)
            made.append(offers.serve(session, choice=choice, key=KEY, now=now))
        tried = set()
        while (room := making_room.find(session, freed=freed, skip=tried, now=now)) is not None:
            tried.add(room.choice.entry_id)
            made.append(making_room.make(session, room=room, key=KEY, now=now))
        turns.done(session, freed=freed)
    return made


def use(booking: Booking) -> Span:
    return Span(booking.starts_at, booking.ends_at)


# --- a wish that is booked at once ----------------------------------------------------------------


def test_three_days_in_march_on_a_reactor_of_500_litres_is_booked_where_one_is_free(session, ada, cleo):
    lab = make_facility(session)
    small, large, larger = (make_instrument(session, lab, code=code) for code in ("R-200", "R-500", "R-800"))
    for row, litres in ((small, 200), (large, 500), (larger, 800)):
        session.add(Capability(instrument_id=row.id, tag="volume_l", value=litres, unit="L"))
    session.flush()
    found = waitlist.instruments_for(session, actor=cleo, filters=Filters(capability="volume_l>=500"))
    assert set(found) == {large.id, larger.id}
    place(session, ada, large, DAY, DAY * 9)
    entry = waitlist.join(
        session,
        actor=cleo,
        instrument_ids=found,
        window=span(DAY, DAY * 10),
        minutes=3 * 24 * 60,
        at_once=True,
        may_move=True,
        purpose="A trial of 200 kg",
        now=NOW,
    )
    (booking,) = serve(session)
    assert isinstance(booking, Booking)
    assert (booking.person_id, booking.items[0].instrument_id) == (cleo.person_id, larger.id)
    assert (use(booking), booking.state) == (span(DAY, DAY * 4), State.CONFIRMED)
    assert (booking.may_move, booking.makes_room, booking.purpose) == (True, True, "A trial of 200 kg")
    assert (entry.state, entry.booking_id) == (EntryState.SERVED, booking.id)
    told = session.scalars(select(Event).where(Event.kind == "booking.placed")).all()
    news = [event for event in told if event.booking_id == booking.id]
    assert [(event.data.get("why"), event.actor_id) for event in news] == [("wish_found", None)]
    assert serve(session) == []


def test_what_is_booked_at_once_passes_the_gates_of_a_booking_by_hand(session, ada, cleo, sem):
    sem.approval_required = True
    session.flush()
    wish(session, cleo, sem, at_once=True)
    (booking,) = serve(session)
    assert booking.state is State.REQUESTED


def test_nobody_of_a_lower_class_gets_what_a_waiting_higher_class_could_use(session, ada, ben, cleo, sem):
    tam = cast.tam(session)
    session.add(Membership(person_id=tam.id, role=Role.MANAGER, facility_id=sem.facility_id))
    booking = place(session, ada, sem, DAY, DAY + 2)
    first = wish(session, cleo, sem, end=DAY + 2, at_once=True)
    second = wish(session, ben, sem, end=DAY + 2, at_once=True, now=NOW + timedelta(minutes=5))
    assert serve(session) == []
    waitlist.rank(
        session,
        actor=cast.actor_of(session, tam),
        entry_id=second.id,
        priority=50,
        reason="A promised date",
        now=NOW,
    )
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    (made,) = serve(session)
    assert made.person_id == ben.person_id
    assert (first.state, second.state) == (EntryState.WAITING, EntryState.SERVED)


# --- several windows ------------------------------------------------------------------------------


def test_a_wish_lies_in_one_of_its_windows_only(session, ada, cleo, sem):
    windows = [span(DAY * 2, DAY * 2 + 3), span(DAY * 4, DAY * 4 + 3)]
    entry = wish(session, cleo, sem, end=DAY * 5, windows=windows, at_once=True)
    place(session, ada, sem, DAY * 2 + 1, DAY * 2 + 2)
    (booking,) = serve(session)
    assert use(booking) == span(DAY * 4, DAY * 4 + 2)
    assert entry.state is EntryState.SERVED


@pytest.mark.parametrize(
    ("windows", "code"),
    [
        ([(DAY, DAY + 3), (DAY * 9, DAY * 9 + 3)], "outside_window"),
        ([(DAY, DAY + 1)], "too_small"),
    ],
)
def test_windows_that_make_no_sense_are_refused(session, cleo, sem, windows, code):
    with pytest.raises(Invalid) as error:
        wish(session, cleo, sem, windows=[span(*one) for one in windows])
    assert error.value.errors == {"windows": code}


def make_project(session, leader, member) -> Project:
    project = Project(
        id=uuid4(),
        code="P-1",
        name="Films",
        organisation_id=min(leader.organisations),
        leader_id=leader.person_id,
    )
    session.add(project)
    session.flush()
    session.add(ProjectMember(project_id=project.id, person_id=member.person_id))
    session.flush()
    return project


# --- why nothing came -----------------------------------------------------------------------------


def test_a_wish_whose_window_is_over_ends_with_what_blocked_it_and_what_is_next_best(session, ada, cleo, sem):
    place(session, ada, sem, DAY, DAY + 4)
    place(session, ada, sem, DAY + 4, DAY + 9)
    entry = wish(session, cleo, sem)
    over = NOW + timedelta(hours=DAY + 7)
    assert waitlist.too_late(session, now=over) == [entry.id]
    assert waitlist.lapse(session, entry_id=entry.id, now=over)
    taken, best = entry.reasons
    assert taken == {"code": "taken_by", "kinds": {"university": 2}, "closures": 0}
    assert (best["code"], best["instrument"], best["start"]) == (
        "next_best",
        sem.code,
        (NOW + timedelta(hours=DAY + 9)).isoformat(),
    )
    assert plan_words.why(taken) == "Every start in your window is taken (universities: 2)."
    assert plan_words.why(best) == f"The next time that you could have: {sem.code}, Wed 4 Nov 2026, 01:00."
    told = session.scalars(select(Event).where(Event.kind == "waitlist.lapsed")).one()
    assert told.data["reasons"] == entry.reasons


def test_a_wish_of_somebody_who_left_its_project_ends_all_the_same(session, ada, ben, sem):
    place(session, ada, sem, DAY, DAY + 9)
    project = make_project(session, ada, ben)
    entry = wish(session, ben, sem, project_id=project.id)
    session.delete(session.get_one(ProjectMember, (project.id, ben.person_id)))
    session.flush()
    assert waitlist.lapse(session, entry_id=entry.id, now=NOW + timedelta(hours=DAY + 7))
    assert [reason["code"] for reason in entry.reasons] == ["taken_by"]


# --- making room ----------------------------------------------------------------------------------


def test_who_agreed_makes_room_and_hears_why(session, ada, cleo, sem):
    willing = place(session, ada, sem, DAY + 2, DAY + 4, makes_room=True)
    place(session, ada, sem, DAY + 6, DAY * 3)
    wish(session, cleo, sem, end=DAY + 6, minutes=240, at_once=True)
    (booking,) = serve(session)
    assert use(booking).duration == timedelta(hours=4)
    assert span(DAY, DAY + 6).contains(use(booking))
    moved = use(willing)
    assert moved.duration == timedelta(hours=2)
    assert not moved.overlaps(use(booking))
    assert abs(moved.start - span(DAY + 2, DAY + 4).start) <= timedelta(days=1)
    assert (willing.state, willing.sequence) == (State.CONFIRMED, 1)
    events = session.scalars(select(Event).where(Event.booking_id == willing.id).order_by(Event.id)).all()
    assert [event.kind for event in events] == ["booking.placed", "booking.changed", "booking.made_room"]
    assert events[1].data["why"] == "made_room"
    assert events[1].actor_id is None


def test_nobody_is_moved_who_did_not_agree_nor_for_an_outage_only(session, ada, cleo, sem):
    booking = place(session, ada, sem, DAY + 2, DAY + 4)
    booking.may_move = True
    place(session, ada, sem, DAY + 6, DAY * 3)
    entry = wish(session, cleo, sem, end=DAY + 6, minutes=240, at_once=True)
    assert serve(session) == []
    assert (use(booking), entry.state) == (span(DAY + 2, DAY + 4), EntryState.WAITING)
    agreements.agree(
        session,
        actor=ada,
        booking_id=booking.id,
        may_move=True,
        makes_room=True,
        if_silent=IfSilent.STAY,
        now=NOW,
    )
    turns.look_at_all(session, now=NOW)
    assert [one.person_id for one in serve(session)] == [cleo.person_id]


def test_nobody_makes_room_twice_or_within_a_day_of_the_start(session, ada, ben, cleo, sem):
    soon = place(session, ada, sem, DAY - 1, DAY + 1, makes_room=True)
    once = place(session, ada, sem, DAY * 2 + 2, DAY * 2 + 4, makes_room=True)
    wish(session, cleo, sem, start=DAY - 2, end=DAY + 1, minutes=180, at_once=True)
    assert serve(session) == []
    assert use(soon) == span(DAY - 1, DAY + 1)
    wish(session, ben, sem, start=DAY * 2 + 1, end=DAY * 2 + 4, minutes=180, at_once=True)
    assert len(serve(session)) == 1
    after = use(once)
    assert after != span(DAY * 2 + 2, DAY * 2 + 4)
    hours = (after.start - NOW) / timedelta(hours=1)
    wish(session, cleo, sem, start=hours, end=hours + 2, at_once=True)
    assert serve(session) == []
    assert use(once) == after


def test_a_booking_that_would_need_approval_anew_stays(session, ada, cleo, sem):
    willing = place(session, ada, sem, DAY + 2, DAY + 4, makes_room=True)
    place(session, ada, sem, DAY + 6, DAY * 3)
    sem.approval_required = True
    session.flush()
    entry = wish(session, cleo, sem, end=DAY + 6, minutes=240, at_once=True)
    assert [one for one in serve(session) if one is not None] == []
    assert (use(willing), willing.state) == (span(DAY + 2, DAY + 4), State.CONFIRMED)
    assert entry.state is EntryState.WAITING


def test_room_that_was_found_is_not_made_once_the_booking_has_changed(session, ada, cleo, sem):
    willing = place(session, ada, sem, DAY + 2, DAY + 4, makes_room=True)
    place(session, ada, sem, DAY + 6, DAY * 3)
    entry = wish(session, cleo, sem, end=DAY + 6, minutes=240)
    (freed,) = turns.work(session)
    room = making_room.find(session, freed=freed, now=NOW)
    assert [shift.booking_id for shift in room.shifts] == [willing.id]
    items = [Item(sem.id, span(DAY + 1, DAY + 3))]
    bookings.change(session, actor=ada, booking_id=willing.id, version=None, items=items, now=NOW)
    assert making_room.make(session, room=room, key=KEY, now=NOW) is None
    assert (use(willing), entry.state) == (span(DAY + 1, DAY + 3), EntryState.WAITING)


def test_room_is_made_with_the_offer_in_one_transaction_or_not_at_all(session, ada, cleo, sem):
    willing = place(session, ada, sem, DAY + 2, DAY + 4, makes_room=True)
    blocker = place(session, ada, sem, DAY + 6, DAY * 3)
    entry = wish(session, cleo, sem, end=DAY + 6, minutes=240)
    (freed,) = turns.work(session)
    room = making_room.find(session, freed=freed, now=NOW)
    person = session.get_one(Person, cleo.person_id)
    person.state = PersonState.DISABLED
    session.flush()
    assert making_room.make(session, room=room, key=KEY, now=NOW) is None
    assert (use(willing), willing.sequence) == (span(DAY + 2, DAY + 4), 0)
    person.state = PersonState.ACTIVE
    session.flush()
    offer = making_room.make(session, room=room, key=KEY, now=NOW)
    assert isinstance(offer, WaitlistOffer)
    assert (entry.state, blocker.sequence, willing.sequence) == (EntryState.OFFERED, 0, 1)
