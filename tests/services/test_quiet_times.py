"""Quiet times on both engines: when a maintenance disturbs the least, whom it displaces, and closing then."""

import pytest
from sqlalchemy import select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.hours import WeeklyHours
from booking.domain.occupation import Item
from booking.domain.pricing import CustomerClass
from booking.domain.replanning import Cause, ReplanState
from booking.domain.rules import Invalid, Refused
from booking.services import bookings, closures, quiet_times, solver_runs
from booking.services.solver_runs import Progress
from models import Closure, ClosureKind, Event, Instrument, Membership, Replan, RunState, SolverRun
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.services.test_replans import HOUR, NOW, place, span


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    return cast.actor_of(session, person)


def find(session, actor, instrument, hours, first, last, *, facility_id=None, in_hours=False):
    return quiet_times.find(
        session,
        actor=actor,
        facility_id=facility_id or instrument.facility_id,
        instrument_ids=[instrument.id] if instrument else [],
        length=hours * HOUR,
        within=span(first, last),
        in_hours=in_hours,
        now=NOW,
    )


def hours_of(found) -> list[tuple[float, float]]:
    return [((one.span.start - NOW) / HOUR, (one.span.end - NOW) / HOUR) for one in found]


def test_what_displaces_nobody_comes_first_and_then_what_moves_the_least(session, tam, ada, sem):
    early, long, _late = (place(session, ada, sem, *at) for at in ((2, 4), (8, 20), (21, 22)))
    found = find(session, tam, sem, 4, 0, 24)
    assert (hours_of(found)[0], found[0].met, found[0].cost) == ((4, 8), (), 0)
    found = find(session, tam, sem, 5, 1, 24)
    # Between four and nine only the long one is met, and an hour later it fits again.
    assert (hours_of(found)[0], found[0].met, found[0].cost) == ((4, 9), (long,), 100 + 4)
    assert (found[0].moved, found[0].without_place) == (1, 0)
    assert [one.cost for one in found] == sorted(one.cost for one in found)
    assert any(early in one.met for one in found)


def test_set_up_clean_up_and_every_unit_count(session, tam, ada, sem):
    bath = make_instrument(session, sem.facility, units=2, setup_minutes=60, cleanup_minutes=30)
    first = place(session, ada, bath, 3, 5)
    place(session, ada, bath, 8, 9)
    # Taken from 2 to 5:30 and from 7 to 9:30: only one and a half hours lie between.
    found = find(session, tam, bath, 2, 3, 9)
    assert found[0].met != ()
    found = find(session, tam, bath, 1.5, 3, 9)
    assert (hours_of(found)[0], found[0].met) == ((5.5, 7), ())
    assert all(first in one.met for one in find(session, tam, bath, 1, 3, 4))


def test_the_whole_facility_and_whom_it_meets_by_class(session, tam, ada, sem):
    twin = make_instrument(session, sem.facility)
    cleo = cast.actor_of(session, cast.cleo(session))
    sem.facility.organisation_id = cast.university(session).id
    place(session, ada, sem, 2, 12)
    place(session, cleo, twin, 3, 12)
    session.flush()
    [found, *_] = find(session, tam, None, 9, 3, 12, facility_id=sem.facility_id)
    assert found.classes == {CustomerClass.INTERNAL: 1, CustomerClass.EXTERNAL: 1}


def test_within_opening_hours_and_around_what_cannot_be_moved(session, ada):
    hours = [WeeklyHours(day, 8 * 60, 18 * 60) for day in range(7)]
    sem = make_instrument(session, make_facility(session, hours=hours))
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    tam = cast.actor_of(session, person)
    # NOW is 16:00; the next opening is at 8, after 16 hours.
    other = make_instrument(session, sem.facility)
    items = [Item(sem.id, span(18, 20)), Item(other.id, span(18, 20))]
    bookings.place(session, actor=ada, items=items, now=NOW)
    assert hours_of(find(session, tam, sem, 3, 0, 26, in_hours=True)) == [(20, 23)]
    assert hours_of(find(session, tam, sem, 3, 0, 26))[0] == (0, 3)
    assert find(session, tam, sem, 11, 0, 26, in_hours=True) == []


def test_what_makes_no_sense_and_who_may_not(session, tam, ada, sem):
    for hours, last, field in ((30, 24, "length"), (4, 24 * 90, "to"), (0, 24, "length")):
        with pytest.raises(Invalid) as found:
            find(session, tam, sem, hours, 0, last)
        assert list(found.value.errors) == [field]
    with pytest.raises(Forbidden):
        find(session, ada, sem, 4, 0, 24)


def close(session, tam, sem, found, displaces=None, also=()):
    return quiet_times.close(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        instrument_ids=[sem.id, *(one.id for one in also)],
        span=found.span,
        displaces=len(found.met) if displaces is None else displaces,
        kind=ClosureKind.MAINTENANCE,
        reason="new pump",
        now=NOW,
    )


def test_closing_then_looks_for_other_places_at_once(session, tam, ada, sem):
    place(session, ada, sem, 1, 23)
    [found] = find(session, tam, sem, 10, 0, 24)
    [closure], replan = close(session, tam, sem, found)
    assert (closure.imposed, replan.closure_id) == (True, closure.id)
    [quiet, *_] = find(session, tam, sem, 4, 24, 48)
    [closure], replan = close(session, tam, sem, quiet)
    assert (closure.imposed, replan) == (False, None)


def test_a_time_that_meets_more_by_now_is_not_closed(session, tam, ada, sem):
    [found, *_] = find(session, tam, sem, 4, 0, 24)
    assert found.met == ()
    place(session, ada, sem, 1, 2)
    with pytest.raises(Refused) as refused, session.begin_nested():
        close(session, tam, sem, found)
    assert [reason.code for reason in refused.value.reasons] == ["meets_bookings"]
    place(session, ada, sem, 3, 4)
    with pytest.raises(Refused), session.begin_nested():
        close(session, tam, sem, found, displaces=1)
    assert session.scalars(select(Closure)).all() == []
    assert session.scalars(select(Replan)).all() == []
    assert session.scalars(select(Event).where(Event.kind == "closure.made")).all() == []


# --- several instruments --------------------------------------------------------------------------


@pytest.fixture
def pair(session, tam, ada, sem):
    """Two instruments that are free together from 8 to 10 only, and what Ada has on them."""
    twin = make_instrument(session, sem.facility)
    first, second = place(session, ada, sem, 1, 8), place(session, ada, twin, 10, 23)
    return twin, first, second


def together(session, tam, sem, twin, hours, first, last):
    return quiet_times.find(
        session,
        actor=tam,
        facility_id=sem.facility_id,
        instrument_ids=[sem.id, twin.id],
        length=hours * HOUR,
        within=span(first, last),
        in_hours=False,
        now=NOW,
    )


def test_several_instruments_are_quiet_only_where_all_are(session, tam, ada, sem, pair):
    twin, first, second = pair
    third = make_instrument(session, sem.facility)
    place(session, ada, third, 0, 24)
    assert hours_of(find(session, tam, sem, 2, 1, 23))[0] == (8, 10)
    found = together(session, tam, sem, twin, 2, 1, 23)
    assert (hours_of(found)[0], found[0].met) == ((8, 10), ())
    found = together(session, tam, sem, twin, 9, 1, 23)
    assert all(set(one.met) & {first, second} for one in found)
    elsewhere = make_instrument(session)
    with pytest.raises(NotFound):
        together(session, tam, sem, elsewhere, 2, 1, 23)


def test_what_several_closures_displace_is_looked_at_together(session, tam, ada, sem, pair):
    twin, first, second = pair
    ben = place(session, ada, sem, 10, 11)
    [found] = together(session, tam, sem, twin, 22, 1, 23)
    assert set(found.met) == {first, second, ben}
    made, replan = close(session, tam, sem, found, also=[twin])
    assert [(one.instrument_id, one.imposed) for one in made] == [(sem.id, True), (twin.id, True)]
    assert (replan.cause, replan.closure_id) == (Cause.CLOSURES, None)
    assert set(replan.struck["bookings"]) == {str(one.id) for one in (first, second, ben)}
    told = session.scalars(select(Event.booking_id).where(Event.kind == "booking.displaced")).all()
    assert sorted(told) == sorted([first.id, second.id, ben.id])
    run = session.get_one(SolverRun, replan.run_id)
    assert (run.state, len(run.names["bookings"])) == (RunState.QUEUED, 3)

    # Where one of them opens again, the other is looked at anew, and what was queued is not solved any more.
    closures.lift(session, actor=tam, closure_id=made[0].id, now=NOW)
    session.refresh(run)
    assert (replan.state, run.state) == (ReplanState.OVER, RunState.STOPPED)
    [anew] = session.scalars(select(Replan).where(Replan.state == ReplanState.OPEN))
    assert (anew.cause, list(anew.struck["bookings"])) == (Cause.CLOSURES, [str(second.id)])
    working = solver_runs.take_up(session, now=NOW)
    assert working.id == anew.run_id
    closures.lift(session, actor=tam, closure_id=made[1].id, now=NOW)
    assert session.scalars(select(Replan).where(Replan.state == ReplanState.OPEN)).all() == []
    assert solver_runs.beat(session, run_id=working.id, progress=Progress("", 0), now=NOW) is False


def test_several_are_closed_all_or_none(session, tam, ada, sem, pair):
    twin, *_ = pair
    [found, *_] = together(session, tam, sem, twin, 2, 1, 23)
    place(session, ada, twin, 8, 9)
    with pytest.raises(Refused), session.begin_nested():
        close(session, tam, sem, found, also=[twin])
    assert session.scalars(select(Closure)).all() == []
