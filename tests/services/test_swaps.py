"""Swaps of time: two who do not know of each other give each other their times, both or neither."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from booking.domain.access import Forbidden, NotFound
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import bookings, invariants, swaps, transfers
from models import Category, Event, Occupation, TransferState
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.services.test_policies import make_rule

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def lab(session):
    session.add(Category(code="0101", name_zh="电镜"))
    facility = make_facility(session)
    given = {"facility": facility, "category_code": "0101", "shortest_minutes": None}
    return SimpleNamespace(
        facility=facility,
        sem=make_instrument(session, code="SEM", **given),
        twin=make_instrument(session, code="TWIN", **given),
        asks=make_instrument(session, code="ASKS", approval_required=True, **given),
        bath=make_instrument(session, facility, code="BATH"),
        ben=cast.actor_of(session, cast.ben(session)),
        cleo=cast.actor_of(session, cast.cleo(session)),
        ada=cast.actor_of(session, cast.ada(session)),
        tam=cast.actor_of(session, cast.tam(session, facility)),
    )


def span(days, hours=1):
    start = NOW + timedelta(days=days)
    return Span(start, start + hours * HOUR)


def place(session, actor, *where, **more):
    items = [Item(row.id, when) for row, when in where]
    return bookings.place(session, actor=actor, items=items, now=NOW, **more)


def propose(session, actor, booking, row, when, **more):
    return swaps.propose(
        session, actor=actor, booking_id=booking.id, instrument=row.code, span=when, now=NOW, **more
    )


def answer(session, actor, transfer):
    return swaps.answer(session, actor=actor, transfer_id=transfer.id, now=NOW)


def codes(refused):
    return [reason.code for reason in refused.value.reasons]


def times(booking):
    return [(item.instrument_id, item.span) for item in bookings.items_of(booking)]


def ledger(session):
    query = select(Occupation).where(Occupation.booking_id.is_not(None))
    return {(row.booking_id, row.instrument_id, row.use_starts_at) for row in session.scalars(query)}


def test_only_times_of_others_on_equal_instruments_are_shown(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)))
    place(session, lab.ben, (lab.sem, span(2)))
    place(session, lab.cleo, (lab.sem, span(3)), purpose="Secret")
    place(session, lab.cleo, (lab.asks, span(4)))  # waits for approval, which nobody shall see
    place(session, lab.cleo, (lab.twin, span(5)), (lab.bath, span(5)))
    place(session, lab.cleo, (lab.bath, span(6)))
    place(session, lab.cleo, (lab.sem, span(40)))
    found = swaps.slots(session, actor=lab.ben, booking=mine, now=NOW).slots
    assert [(slot.instrument.code, slot.span) for slot in found] == [
        ("SEM", span(3)),
        ("ASKS", span(4)),
        ("TWIN", span(5)),
    ]
    several = place(session, lab.ben, (lab.sem, span(7)), (lab.bath, span(7)))
    with pytest.raises(Refused) as refused:
        swaps.own(session, actor=lab.ben, booking_id=several.id, now=NOW)
    assert codes(refused) == ["swap_several"]
    for actor, error in ((lab.cleo, NotFound), (lab.ada, Forbidden), (lab.tam, Forbidden)):
        with pytest.raises(error):
            swaps.own(session, actor=actor, booking_id=mine.id, now=NOW)


@pytest.mark.parametrize("bound", ["MOST", "LOOKED_AT"])
def test_what_is_too_much_for_one_page_is_found_from_a_later_time_on(session, lab, monkeypatch, bound):
    monkeypatch.setattr(swaps, bound, 2)
    mine = place(session, lab.ben, (lab.sem, span(1)))
    for day in (3, 4, 5):
        place(session, lab.cleo, (lab.sem, span(day)))
    first = swaps.slots(session, actor=lab.ben, booking=mine, now=NOW)
    assert ([slot.span for slot in first.slots], first.later) == ([span(3), span(4)], span(5).start)
    rest = swaps.slots(session, actor=lab.ben, booking=mine, since=first.later, now=NOW)
    assert ([slot.span for slot in rest.slots], rest.later) == ([span(5)], None)


def test_both_bookings_stay_whose_they_are_and_move_at_once(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)), purpose="Fibres")
    theirs = place(session, lab.cleo, (lab.twin, span(3, 2)), (lab.bath, span(3, 2)), purpose="Secret")
    asked = propose(session, lab.ben, mine, lab.twin, span(3, 2), note="Please")
    assert times(mine) == [(lab.sem.id, span(1))]
    done = answer(session, lab.cleo, asked)
    assert done.state is TransferState.ACCEPTED
    assert times(mine) == [(lab.twin.id, span(3, 2))]
    assert times(theirs) == [(lab.sem.id, span(1)), (lab.bath.id, span(3, 2))]
    assert (mine.person_id, mine.purpose) == (lab.ben.person_id, "Fibres")
    assert (theirs.person_id, theirs.purpose) == (lab.cleo.person_id, "Secret")
    assert (mine.version, mine.sequence, mine.state) == (2, 1, State.CONFIRMED)
    assert ledger(session) == {
        (mine.id, lab.twin.id, span(3).start),
        (theirs.id, lab.sem.id, span(1).start),
        (theirs.id, lab.bath.id, span(3).start),
    }
    assert (theirs.starts_at, theirs.ends_at) == (span(1).start, span(3, 2).end)
    assert [found for found in invariants.check(session, now=NOW) if found.faults] == []
    with pytest.raises(Refused) as refused:
        answer(session, lab.cleo, asked)
    assert codes(refused) == ["transfer_over"]


def test_neither_learns_who_the_other_is(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)), purpose="Fibres")
    theirs = place(session, lab.cleo, (lab.sem, span(3)), purpose="Secret")
    asked = propose(session, lab.ben, mine, lab.sem, span(3))
    for _ in range(2):  # while it waits, and when it is done
        (to_ben,) = swaps.seen(session, actor=lab.ben, found=[asked])
        (to_cleo,) = swaps.seen(session, actor=lab.cleo, found=[asked])
        assert (to_ben.giver.name, to_ben.taker, to_ben.for_booking.id) == ("Ben", None, None)
        assert (to_ben.for_booking.purpose, to_ben.for_booking.state) == ("", None)
        assert to_ben.for_booking.starts_at == span(3).start
        assert (to_cleo.giver, to_cleo.taker.name, to_cleo.booking.id) == (None, "Cleo", None)
        assert (to_cleo.booking.purpose, to_cleo.booking.starts_at) == ("", span(1).start)
        if asked.state is TransferState.OPEN:
            asked = answer(session, lab.cleo, asked)
    events = session.scalars(select(Event).where(Event.kind.like("transfer.%"))).all()
    assert [(event.actor_id, event.booking_id) for event in events] == [(None, theirs.id), (None, mine.id)]
    for who, booking in ((lab.ben, mine), (lab.cleo, theirs)):
        lines = bookings.history(session, actor=who, booking_id=booking.id)
        other = "Cleo" if who is lab.ben else "Ben"
        assert other not in " ".join(f"{line.actor_name} {line.data}" for line in lines)
    with pytest.raises(NotFound):
        bookings.get(session, actor=lab.ben, booking_id=theirs.id)
    for actor in (lab.ada, lab.tam):  # who may see Ben's booking sees the offer, and as much as they may see
        (shown,) = swaps.seen(session, actor=actor, found=[asked])
        assert (shown.taker is None) is (actor is lab.ada)


def test_what_the_rules_say_against_oneself_is_told_before_anybody_is_asked(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)))
    place(session, lab.cleo, (lab.sem, span(3, 2)))
    make_rule(session, "longest", 60, facility_id=lab.facility.id)
    with pytest.raises(Refused) as refused:
        propose(session, lab.ben, mine, lab.sem, span(3, 2))
    assert codes(refused) == ["too_long"]
    for row, when in ((lab.sem, span(3)), (lab.twin, span(3, 2)), (lab.bath, span(3, 2))):
        with pytest.raises(Refused) as refused:
            propose(session, lab.ben, mine, row, when)
        assert codes(refused) == ["swap_gone"]
    with pytest.raises(Forbidden):
        propose(session, lab.tam, mine, lab.sem, span(3, 2))


def test_of_what_stands_against_the_other_no_more_is_told_and_nothing_moves(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)))
    theirs = place(session, lab.cleo, (lab.sem, span(3, 2)))
    asked = propose(session, lab.ben, mine, lab.sem, span(3, 2))
    before = ledger(session)
    make_rule(session, "longest", 60, facility_id=lab.facility.id)
    with pytest.raises(Refused) as refused, session.begin_nested():
        answer(session, lab.cleo, asked)
    assert codes(refused) == ["other_person_refused"]
    session.expire_all()
    assert ledger(session) == before
    found = {row.id: times(row) for row in bookings.by_ids(session, ids=[mine.id, theirs.id])}
    assert (found[mine.id], found[theirs.id]) == ([(lab.sem.id, span(1))], [(lab.sem.id, span(3, 2))])


def test_where_the_facility_would_have_to_approve_anew_nothing_is_swapped(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)))
    place(session, lab.cleo, (lab.asks, span(3)))
    asked = propose(session, lab.ben, mine, lab.asks, span(3))
    with pytest.raises(Refused) as refused, session.begin_nested():
        answer(session, lab.cleo, asked)
    assert codes(refused) == ["other_person_refused"]


def test_what_was_moved_or_given_up_meanwhile_is_not_swapped(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(1)))
    theirs = place(session, lab.cleo, (lab.sem, span(3)))
    asked = propose(session, lab.ben, mine, lab.sem, span(3))
    with pytest.raises(Refused) as refused:
        propose(session, lab.ben, mine, lab.sem, span(3))
    assert codes(refused) == ["transfer_open"]
    moved = [Item(lab.sem.id, span(5))]
    bookings.change(session, actor=lab.ben, booking_id=mine.id, version=None, items=moved, now=NOW)
    with pytest.raises(Refused) as refused:
        answer(session, lab.cleo, asked)
    assert codes(refused) == ["transfer_moved"]
    transfers.decline(session, actor=lab.cleo, transfer_id=asked.id, note="Sorry", now=NOW)
    again = propose(session, lab.ben, mine, lab.sem, span(3))
    for wrong in (lab.ben, lab.ada, lab.tam):
        with pytest.raises(NotFound):
            answer(session, wrong, again)
    for other_way in (
        lambda: transfers.accept(session, actor=lab.cleo, transfer_id=again.id, now=NOW),
        lambda: transfers.exchange(
            session, actor=lab.cleo, transfer_id=again.id, booking_id=theirs.id, now=NOW
        ),
    ):
        with pytest.raises(NotFound):  # what hands bookings over hands none of these
            other_way()
    bookings.cancel(session, actor=lab.cleo, booking_id=theirs.id, now=NOW)
    assert transfers.lapse(session, now=NOW) == 1


def test_only_times_that_the_rules_let_one_have_are_shown(session, lab):
    mine = place(session, lab.ben, (lab.sem, span(9)))
    place(session, lab.cleo, (lab.sem, span(1)))
    place(session, lab.cleo, (lab.sem, span(3, 3)))
    place(session, lab.cleo, (lab.sem, span(4)))
    make_rule(session, "notice", 2 * 24 * 60, instrument_id=lab.sem.id)
    make_rule(session, "longest", 120, instrument_id=lab.sem.id)
    found = swaps.slots(session, actor=lab.ben, booking=mine, now=NOW).slots
    assert [slot.span for slot in found] == [span(4)]
    with pytest.raises(Refused) as refused:
        propose(session, lab.ben, mine, lab.sem, span(1))
    assert codes(refused) == ["notice"]
    assert propose(session, lab.ben, mine, lab.sem, span(4)).blind
