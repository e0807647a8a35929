"""Standby on both engines: who is called for what others leave, what they get of it, and how honest the odds are."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import attendance, bookings, offers, standby, standing_by, waitlist
from models import (
    Booking,
    EntryState,
    Event,
    Instrument,
    Membership,
    OfferState,
    WaitlistEntry,
)
from tests import cast
from tests.factories import make_instrument
from tests.services.test_availability import Statements
from tests.services.test_policies import make_rule
from tests.services.test_waitlist import codes, serve

NINE = datetime(2026, 11, 2, 1, tzinfo=UTC)
"""Nine in the morning of a Monday in Dongguan."""
TODAY = date(2026, 11, 2)


def at(minutes: float) -> datetime:
    """Minutes after nine."""
    return NINE + timedelta(minutes=minutes)


@pytest.fixture
def sem(session) -> Instrument:
    row = make_instrument(session)
    make_rule(session, "standby", 1, facility_id=row.facility_id)
    return row


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    return cast.actor_of(session, person)


def place(session, actor, instrument, start=0, end=120, now=None) -> Booking:
    items = [Item(instrument.id, Span(at(start), at(end)))]
    return bookings.place(session, actor=actor, items=items, now=now or at(-60 * 24))


def stand_by(session, actor, instrument, now=None, **more) -> WaitlistEntry:
    wish = {"day": TODAY, "least": 30, "most": 480, "lead": 0} | more
    return standing_by.stand_by(session, actor=actor, instrument_id=instrument.id, now=now or at(-30), **wish)


def here(session, actor, entry, now) -> None:
    standing_by.say_here(session, actor=actor, entry_id=entry.id, now=now)


def full(session, actor, instrument) -> list[Booking]:
    """Book all of the day, two hours each, before nine and after."""
    return [
        place(session, actor, instrument, start, start + 120) for start in range(-9 * 60, 15 * 60 - 1, 120)
    ]


def current(found: list[Booking], minutes: float = 0) -> Booking:
    return next(one for one in found if one.starts_at <= at(minutes) < one.ends_at)


def test_what_nobody_came_for_is_used_by_who_is_there(session, ada, ben, cleo, sem):
    missed = current(full(session, ada, sem), 60)
    begins = (missed.starts_at - NINE) / timedelta(minutes=1)
    away = stand_by(session, ben, sem)
    ready = stand_by(session, cleo, sem, at(-20))
    here(session, cleo, ready, at(-10))
    assert serve(session, at(-10)) == []
    late = at(begins + 31)
    assert attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=late)
    (offer,) = serve(session, late)
    assert offer.entry_id == ready.id
    # The rest of the slot, from the next full five minutes after the time to answer, up to the next booking.
    assert Span(offer.starts_at, offer.ends_at) == Span(at(begins + 40), missed.ends_at)
    assert offer.deadline == offer.starts_at
    booking = offers.accept(session, actor=cleo, offer_id=offer.id, now=late + timedelta(minutes=3))
    assert (booking.state, booking.starts_at) == (State.CONFIRMED, at(begins + 40))
    assert (ready.state, away.state) == (EntryState.SERVED, EntryState.WAITING)
    figures = standby.figures(session, actor=SYSTEM, facility_id=sem.facility_id, now=at(begins + 200))
    assert (figures.missed, figures.refilled, figures.called, figures.served) == (2, 80 / 60, 1, 1)


def test_who_comes_back_too_late_for_their_own_booking_is_never_bumped_before(session, ada, cleo, sem):
    booked = full(session, ada, sem)
    entry = stand_by(session, cleo, sem)
    here(session, cleo, entry, at(0))
    assert serve(session, at(29)) == []
    for one in booked:
        assert session.get(Booking, one.id).state is State.CONFIRMED


def test_time_given_back_early_or_cancelled_today_is_called_out_too(session, ada, cleo, sem, tam):
    first = current(full(session, ada, sem))
    bookings.check_in(session, actor=ada, booking_id=first.id, now=first.starts_at)
    entry = stand_by(session, cleo, sem, least=20, most=30)
    here(session, cleo, entry, at(0))
    left = first.ends_at - timedelta(minutes=60)
    bookings.check_out(session, actor=ada, booking_id=first.id, now=left)
    (offer,) = serve(session, left)
    assert Span(offer.starts_at, offer.ends_at).duration == timedelta(minutes=30)  # no more than wanted


def test_only_where_a_facility_keeps_the_list(session, cleo):
    plain = make_instrument(session)
    with pytest.raises(Refused) as refused:
        stand_by(session, cleo, plain)
    assert codes(refused) == ["no_standby"]
    hidden = make_instrument(session, published=False)
    with pytest.raises(NotFound):
        stand_by(session, cleo, hidden)


def test_one_place_for_a_person_and_a_day(session, cleo, sem):
    first = stand_by(session, cleo, sem)
    again = stand_by(session, cleo, sem, at(0), least=60, lead=20)
    assert (again.id, again.minutes, again.lead_minutes) == (first.id, 60, 20)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"day": TODAY - timedelta(days=1)}, "day"),
        ({"day": TODAY + timedelta(days=15)}, "day"),
        ({"least": 0}, "least"),
        ({"least": 60, "most": 30}, "most"),
        ({"lead": 241}, "lead"),
    ],
)
def test_figures_that_make_no_sense(session, cleo, sem, wrong, field):
    with pytest.raises(Invalid) as invalid:
        stand_by(session, cleo, sem, **wrong)
    assert field in invalid.value.errors


def test_who_is_near_is_called_without_being_there_and_gets_what_is_left_then(session, ada, cleo, sem):
    missed = current(full(session, ada, sem))
    stand_by(session, cleo, sem, lead=20)
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=missed.starts_at + timedelta(minutes=30))
    (offer,) = serve(session, missed.starts_at + timedelta(minutes=30))
    assert offer.starts_at == missed.starts_at + timedelta(minutes=50)
    assert offer.deadline == missed.starts_at + timedelta(minutes=45)


def test_silence_calls_the_next_and_ends_being_there(session, ada, ben, cleo, sem, tam):
    missed = current(full(session, ada, sem))
    first, second = stand_by(session, cleo, sem), stand_by(session, ben, sem, at(-20))
    here(session, cleo, first, at(0))
    here(session, ben, second, at(0))
    released = missed.starts_at + timedelta(minutes=30)
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=released)
    (offer,) = serve(session, released)
    assert offer.entry_id == first.id
    with pytest.raises(NotFound):
        standing_by.call_next(session, actor=ben, offer_id=offer.id, now=released)
    with pytest.raises(Forbidden):
        standing_by.call_next(session, actor=cleo, offer_id=offer.id, now=released)
    standing_by.call_next(session, actor=tam, offer_id=offer.id, now=released + timedelta(minutes=1))
    assert (offer.state, first.here_at) == (OfferState.SILENT, None)
    (following,) = serve(session, released + timedelta(minutes=1))
    assert following.entry_id == second.id


def test_staff_says_that_somebody_is_there_and_nobody_else_does(session, ben, cleo, sem, tam):
    entry = stand_by(session, cleo, sem)
    with pytest.raises(NotFound):
        here(session, ben, entry, at(0))
    here(session, tam, entry, at(0))
    assert entry.here_at == at(0)
    standing_by.say_here(session, actor=cleo, entry_id=entry.id, here=False, now=at(5))
    assert entry.here_at is None


def test_nobody_is_there_before_their_day(session, ada, cleo, sem):
    entry = stand_by(session, cleo, sem, day=TODAY + timedelta(days=1))
    with pytest.raises(Refused) as refused:
        here(session, cleo, entry, at(0))
    assert codes(refused) == ["standby_not_yet"]
    # Until then it is a place in the line: what is cancelled in time is offered like to anybody.
    (offer,) = serve(session, at(0))
    assert offer.ends_at - offer.starts_at == timedelta(minutes=30)


def test_who_stands_by_comes_before_who_waits_but_not_before_a_higher_class(
    session, ada, ben, cleo, sem, tam
):
    missed = current(full(session, ada, sem))
    released = missed.starts_at + timedelta(minutes=30)
    ordinary = waitlist.join(
        session,
        actor=ben,
        instrument_ids=[sem.id],
        window=Span(at(-30), at(600)),
        minutes=30,
        now=at(-60),
    )
    entry = stand_by(session, cleo, sem)
    here(session, cleo, entry, at(0))
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=released)
    with session.begin_nested() as trial:
        assert serve(session, released)[0].entry_id == entry.id
        trial.rollback()
    waitlist.rank(session, actor=tam, entry_id=ordinary.id, priority=1, reason="a trial", now=at(0))
    assert serve(session, released)[0].entry_id == ordinary.id


def test_notice_and_step_do_not_stand_against_who_is_called_and_all_else_does(session, ada, cleo, sem):
    make_rule(session, "notice", 24 * 60, instrument_id=sem.id)
    make_rule(session, "step", 60, instrument_id=sem.id)
    make_rule(session, "shortest", 60, instrument_id=sem.id)
    items = [Item(sem.id, Span(at(-60), at(120)))]
    missed = bookings.place(session, actor=ada, items=items, now=at(-60 * 48))
    after = [Item(sem.id, Span(at(120), at(180)))]
    bookings.place(session, actor=ada, items=after, now=at(-60 * 48))
    entry = stand_by(session, cleo, sem, least=15, most=600)
    here(session, cleo, entry, at(-29))
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=at(-27))
    (offer,) = serve(session, at(-27))
    assert (offer.starts_at, offer.ends_at) == (at(-20), at(120))
    booking = offers.accept(session, actor=cleo, offer_id=offer.id, now=at(-22))
    assert booking.state is State.CONFIRMED
    # Forty minutes are less than the shortest use.
    bookings.cancel(session, actor=SYSTEM, booking_id=booking.id, reason="a trial", now=at(80))
    other = stand_by(session, cleo, sem, at(80))
    here(session, cleo, other, at(80))
    assert serve(session, at(80)) == []


def test_switched_off_again_nobody_is_called(session, ada, cleo, sem):
    missed = current(full(session, ada, sem))
    entry = stand_by(session, cleo, sem)
    here(session, cleo, entry, at(0))
    make_rule(session, "standby", 0, instrument_id=sem.id)
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=missed.starts_at + timedelta(minutes=30))
    assert serve(session, missed.starts_at + timedelta(minutes=30)) == []


def happened(session, actor, instrument, states: str) -> None:
    """Put bookings into the past: used, missed, cancelled on the day, given back early."""
    for number, how in enumerate(states):
        start = 60 * -24 * (number + 1)
        one = place(session, actor, instrument, start, start + 120, at(start - 600))
        if how == "m":
            attendance.miss(session, actor=SYSTEM, booking_id=one.id, now=at(start + 30))
            continue
        if how == "c":
            bookings.cancel(session, actor=actor, booking_id=one.id, now=at(start - 30))
            continue
        bookings.check_in(session, actor=actor, booking_id=one.id, now=at(start))
        end = start + (30 if how == "e" else 120)
        bookings.check_out(session, actor=actor, booking_id=one.id, now=at(end))


def test_odds_are_told_from_what_happened_or_not_at_all(session, ada, ben, cleo, sem):
    happened(session, ada, sem, "m" * 3 + "c" * 2 + "e" + "u" * 13)
    full(session, ada, sem)
    few = standby.outlook(session, actor=cleo, code=sem.code, day=TODAY, now=at(-30))
    assert (few.seen.history.bookings, few.odds, few.seen.days) == (19, None, 180)
    happened(session, ada, make_instrument(session, facility=sem.facility), "u" * 21)
    seen = standby.outlook(session, actor=cleo, code=sem.code, day=TODAY, now=at(-30))
    found = seen.seen.history
    assert (found.bookings, found.missed, found.cancelled, found.early) == (40, 3, 2, 1)
    assert (seen.seen.days, seen.seen.whole_facility) == (90, True)
    assert 0 < seen.odds.low < seen.odds.likely < seen.odds.high < 1
    assert not seen.free
    stand_by(session, ben, sem)
    behind = standby.outlook(session, actor=cleo, code=sem.code, day=TODAY, now=at(-30))
    assert behind.ahead == 1
    assert behind.odds.likely < seen.odds.likely
    stand_by(session, cleo, sem, at(-20))
    own = standby.outlook(session, actor=cleo, code=sem.code, day=TODAY, now=at(-10))
    assert (own.ahead, own.mine is not None) == (1, True)


def test_the_list_of_today_is_for_the_staff_and_reads_as_much_for_two_as_for_one(
    session, ben, cleo, sem, tam
):
    stand_by(session, cleo, sem)
    stand_by(session, ben, sem, day=TODAY + timedelta(days=1))
    with Statements(session) as one:
        found = standby.today(session, actor=tam, facility_id=sem.facility_id, now=at(0))
    assert [place.entry.person.name for place in found] == ["Cleo"]
    stand_by(session, ben, sem)
    with Statements(session) as two:
        standby.today(session, actor=tam, facility_id=sem.facility_id, now=at(0))
    assert two.count == one.count
    for ask in (standby.today, standby.figures):
        with pytest.raises(Forbidden):
            ask(session, actor=cleo, facility_id=sem.facility_id, now=at(0))


def test_only_the_owner_hears_of_it(session, ada, cleo, sem):
    missed = current(full(session, ada, sem))
    entry = stand_by(session, cleo, sem)
    here(session, cleo, entry, at(0))
    attendance.miss(session, actor=SYSTEM, booking_id=missed.id, now=missed.starts_at + timedelta(minutes=30))
    serve(session, missed.starts_at + timedelta(minutes=30))
    told = session.scalars(select(Event).where(Event.kind == "waitlist.offered")).one()
    assert told.data["person_id"] == str(cleo.person_id)
