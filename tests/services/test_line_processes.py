"""Waiting for processes and by ability, on both engines: tried anew, offered or booked as one, and why not yet."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from booking import plan_words
from booking.domain.access import Actor, NotFound
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import (
    bookings,
    line_processes,
    line_routes,
    offers,
    processes,
    turns,
    waitlist,
    wish_matches,
    wish_reasons,
)
from booking.services.catalogue import Filters
from booking.services.routes import Step
from models import Booking, Capability, EntryState, Event, Instrument, Occupation, OfferState
from tests import cast
from tests.factories import make_instrument
from tests.services.test_waitlist import DAY, KEY, NOW, cancel, kinds, place, span

WEEK = span(DAY, DAY * 8)
TWO = (Step(120, "REACTOR"), Step(60, "DRYER", lag=(30, 120)))


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def ben(session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def reactor(session) -> Instrument:
    return make_instrument(session, code="REACTOR")


@pytest.fixture
def dryer(session, reactor) -> Instrument:
    return make_instrument(session, reactor.facility, code="DRYER")


def wait(session, actor, *steps, window=WEEK, now=NOW, **more):
    return line_processes.join(session, actor=actor, steps=steps or TWO, window=window, now=now, **more)


def serve(session, now=NOW):
    """Do what the job does, in one transaction."""
    for offer_id in offers.unanswered(session, now=now):
        offers.pass_on(session, offer_id=offer_id, now=now)
    made, hopeless = [], set()
    for freed in turns.work(session):
        tried = set()
        while choice := turns.choose(session, freed=freed, skip=tried, hopeless=hopeless, now=now):
            tried |= {choice.entry_id, *choice.passed_over}
            made.append(offers.serve(session, choice=choice, key=KEY, now=now))
        turns.done(session, freed=freed)
    return made


def hours(places) -> list[tuple[str, float, float]]:
    return [(row.code, *((at - NOW) / timedelta(hours=1) for at in when)) for row, when in places]


def taken_up(session, cleo, *rows) -> list[Booking]:
    """Take all of the week."""
    return [
        place(session, cleo, row, DAY * number, DAY * (number + 1)) for row in rows for number in range(1, 9)
    ]


# --- processes ------------------------------------------------------------------------------------


def test_a_process_is_offered_as_one_when_time_comes_free(session, ada, ben, cleo, reactor, dryer):
    first, second, *_ = taken_up(session, cleo, dryer)
    entry = wait(session, ada)
    assert (entry.minutes, {one.instrument_id for one in entry.places}) == (210, {reactor.id, dryer.id})
    assert serve(session) == []
    why, *_ = wish_reasons.so_far(session, entry=entry, now=NOW)
    assert (why["code"], why["step"]) == ("no_route", 2)
    cancel(session, cleo, second)
    (offer,) = serve(session)
    found = waitlist.get(session, actor=ada, entry_id=entry.id)
    assert hours(found.places(offer)) == [("REACTOR", 45.5, 47.5), ("DRYER", 48, 49)]
    assert (entry.state, offer.deadline) == (EntryState.OFFERED, NOW + timedelta(hours=1))
    kept = session.scalars(select(Occupation).where(Occupation.hold_id == offer.hold_id)).all()
    assert {one.instrument_id for one in kept} == {reactor.id, dryer.id}
    told = session.scalars(select(Event).where(Event.kind == "waitlist.offered")).one()
    assert [code for code, *_ in told.data["following"]] == ["DRYER"]
    with pytest.raises(Refused):
        place(session, ben, reactor, 46, 47)
    with pytest.raises(NotFound):
        offers.accept(session, actor=ben, offer_id=offer.id, now=NOW)
    booking = offers.accept(session, actor=ada, offer_id=offer.id, now=NOW)
    assert [item.instrument_id for item in booking.items] == [reactor.id, dryer.id]
    assert [processes.of(row).lag for row in booking.items] == [None, (30, 120)]
    assert (booking.state, entry.state, entry.booking_id) == (
        State.CONFIRMED,
        EntryState.SERVED,
        booking.id,
    )
    left = session.scalars(select(Occupation.kind).where(Occupation.instrument_id == reactor.id)).all()
    assert left == [Kind.BOOKING]
    assert first.state is State.CONFIRMED


def test_what_was_let_pass_is_not_offered_again_and_another_route_is_looked_for(
    session, ada, cleo, reactor, dryer
):
    _first, second, *_ = taken_up(session, cleo, dryer)
    entry = wait(session, ada)
    cancel(session, cleo, second)
    (offer,) = serve(session)
    offers.decline(session, actor=ada, offer_id=offer.id, now=NOW)
    (other,) = serve(session)
    found = waitlist.get(session, actor=ada, entry_id=entry.id)
    assert hours(found.places(other)) == [("REACTOR", 47.5, 49.5), ("DRYER", 50, 51)]
    assert [offer.state, other.state] == [OfferState.DECLINED, OfferState.OPEN]
    offers.pass_on(session, offer_id=other.id, now=other.deadline)
    assert session.scalars(select(Occupation).where(Occupation.hold_id.is_not(None))).all() == []
    assert kinds(session, entry) == ["joined", "offered", "declined", "offered", "silent"]


def test_a_process_is_booked_at_once_in_the_order_of_the_line(session, ada, ben, cleo, reactor, dryer):
    _first, second, *_ = taken_up(session, cleo, dryer)
    mine = wait(session, ada, at_once=True, purpose="Batch 7")
    other = waitlist.join(
        session,
        actor=ben,
        instrument_ids=[dryer.id],
        window=span(DAY * 2, DAY * 3),
        minutes=24 * 60,
        now=NOW + timedelta(minutes=1),
    )
    cancel(session, cleo, second)
    (booking,) = serve(session, now=NOW + timedelta(minutes=2))
    assert isinstance(booking, Booking)
    assert (booking.person_id, booking.purpose, len(booking.items)) == (ada.person_id, "Batch 7", 2)
    assert (mine.state, other.state) == (EntryState.SERVED, EntryState.WAITING)


def test_one_trial_looks_at_all_instruments_of_a_process(session, ada, cleo, reactor, dryer, monkeypatch):
    taken_up(session, cleo, dryer)
    wait(session, ada)
    tried = []
    find = line_routes.first_route
    monkeypatch.setattr(line_routes, "first_route", lambda *a, **k: tried.append(1) or find(*a, **k))
    turns.look_at_all(session, now=NOW)
    assert serve(session) == []
    assert len(tried) == 1


def test_the_same_process_is_one_place_and_nonsense_is_named(session, ada, reactor, dryer):
    one = wait(session, ada)
    assert wait(session, ada, at_once=True).id == one.id
    assert one.at_once is True
    assert wait(session, ada, TWO[0]).id != one.id
    for steps, window, field in (
        ((), WEEK, "steps"),
        ((Step(120, filters=Filters(category="99")),), WEEK, "steps.0.instrument_id"),
        ((Step(120, "REACTOR", draws={"STEAM": 1}),), WEEK, "steps.0.draws"),
        (TWO, span(DAY, DAY + 3), "duration"),
        (TWO, span(-DAY, -1), "end"),
        (TWO, span(DAY, DAY * 100), "before"),
    ):
        with pytest.raises(Invalid) as error:
            line_processes.join(session, actor=ada, steps=steps, window=window, now=NOW)
        assert list(error.value.errors) == [field]
    with pytest.raises(NotFound):
        wait(session, ada, Step(60, "NONE"))


def test_a_process_whose_window_is_over_ends_with_why_and_the_next_route(session, ada, cleo, reactor, dryer):
    taken_up(session, cleo, dryer)
    entry = wait(session, ada)
    late = WEEK.end - timedelta(minutes=entry.minutes)
    assert waitlist.too_late(session, now=late) == [entry.id]
    assert waitlist.lapse(session, entry_id=entry.id, now=late)
    assert [one["code"] for one in entry.reasons] == ["no_route", "next_best"]
    said = [plan_words.why(one) for one in entry.reasons]
    assert said[0].startswith("No way through all steps")
    assert entry.reasons[1]["instrument"] == "REACTOR"


# --- by ability -----------------------------------------------------------------------------------


def able(session, row, litres) -> Instrument:
    session.add(Capability(instrument_id=row.id, tag="volume_l", value=litres, unit="L"))
    session.flush()
    return row


@pytest.fixture
def tank(session) -> Instrument:
    return able(session, make_instrument(session, code="TANK"), 600)


BIG = Filters(capability="volume_l>=500")


def wish(session, actor, **more):
    found = waitlist.instruments_for(session, actor=actor, filters=BIG)
    return waitlist.join(
        session,
        actor=actor,
        instrument_ids=found,
        filters=BIG,
        window=span(DAY, DAY * 2),
        minutes=120,
        now=NOW,
        **more,
    )


def matched(session, entry, now=NOW) -> list[str]:
    """Find anew what matches, as the job does, and give the codes."""
    if entry.id in wish_matches.to_match(session, now=now):
        wish_matches.match_anew(session, entry_id=entry.id, now=now)
    session.expire(entry)
    return [row.code for row in waitlist.mine(session, actor=_owner(session, entry))[0].instruments]


def _owner(session, entry) -> Actor:
    return Actor(person_id=entry.person_id)


def test_a_wish_by_ability_is_for_what_matches_now(session, ada, cleo, tank):
    place(session, cleo, tank, DAY, DAY * 2)
    entry = wish(session, ada)
    assert serve(session) == []
    vat = able(session, make_instrument(session, code="VAT"), 800)
    able(session, make_instrument(session, code="FLASK"), 2)
    assert matched(session, entry) == ["TANK", "VAT"]
    assert wish_matches.match_anew(session, entry_id=entry.id, now=NOW) is False
    (offer,) = serve(session)
    assert offer.instrument_id == vat.id
    offers.decline(session, actor=ada, offer_id=offer.id, now=NOW)
    # What is withdrawn, or can less than was thought, is waited for no longer.
    tank.bookable = False
    session.flush()
    assert matched(session, entry) == ["VAT"]
    session.scalars(select(Capability).where(Capability.instrument_id == vat.id)).one().value = 300
    session.flush()
    assert serve(session) == []
    assert matched(session, entry) == []
    [mine] = waitlist.mine(session, actor=_owner(session, entry))
    assert (mine.zone, mine.ahead) == ("Asia/Shanghai", 0)
    assert wish_reasons.so_far(session, entry=entry, now=NOW) == [{"code": "no_match"}]
    tank.bookable = True
    session.flush()
    assert matched(session, entry) == ["TANK"]


def test_one_that_matches_no_more_is_not_offered_before_it_is_found_anew(session, ada, cleo, tank):
    booking = place(session, cleo, tank, DAY, DAY * 2)
    wish(session, ada)
    serve(session)
    session.scalars(select(Capability)).one().value = 100
    session.flush()
    cancel(session, cleo, booking)
    assert serve(session) == []


def test_named_instruments_stay_as_they_were_named(session, ada, tank):
    entry = waitlist.join(
        session, actor=ada, instrument_ids=[tank.id], window=span(DAY, DAY * 2), minutes=120, now=NOW
    )
    assert wish_matches.to_match(session, now=NOW) == []
    assert entry.filters == {}


def test_steps_by_ability_are_matched_anew_too(session, ada, cleo, tank, dryer):
    big = Step(60, filters=BIG)
    place(session, cleo, tank, DAY, DAY * 8)
    entry = wait(session, ada, big, Step(60, "DRYER", lag=(0, 60)), at_once=True)
    assert serve(session) == []
    vat = able(session, make_instrument(session, dryer.facility, code="VAT"), 800)
    assert wish_matches.match_anew(session, entry_id=entry.id, now=NOW)
    (booking,) = serve(session)
    assert [item.instrument_id for item in booking.items] == [vat.id, dryer.id]
    assert bookings.get(session, actor=ada, booking_id=booking.id).starts_at == span(DAY, DAY + 1).start
    assert Span(booking.starts_at, booking.ends_at).duration == timedelta(hours=2)


def test_nobody_else_sees_a_wish_that_matches_nothing(session, ada, cleo, tank):
    entry = wish(session, ada)
    tank.bookable = False
    session.flush()
    assert matched(session, entry) == []
    with pytest.raises(NotFound):
        waitlist.get(session, actor=cleo, entry_id=entry.id)
    assert waitlist.leave(session, actor=ada, entry_id=entry.id, now=NOW).state is EntryState.LEFT
