"""Displacements on both engines: other hours, withdrawn instruments, days off; whom they meet, where these could go."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import Actor, Forbidden, Role
from booking.domain.hours import ALWAYS, WeeklyHours
from booking.domain.occupation import Item
from booking.domain.replanning import Answer, Cause, ProposalKind
from booking.domain.rules import Invalid, Refused
from booking.domain.working_days import Announced, DayKind
from booking.services import bookings, displacements, proposals, replans
from models import Category, Event, Instrument, Membership, Replan, SolverRun
from tests import cast
from tests.factories import make_instrument
from tests.services.test_replans import HOUR, NOW, place, send, solved, span

OFFICE = [WeeklyHours(day, 8 * 60, 18 * 60) for day in range(7)]
"""NOW is 16:00, so the facility shuts in two hours and opens again in sixteen."""


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


def first_proposal(session, tam, replan):
    solved(session, replan)
    return send(session, tam, replan).proposals[0]


def test_other_hours_displace_what_they_leave_outside_and_nothing_else(session, tam, ada, sem):
    own = make_instrument(session, sem.facility, hours=ALWAYS)
    kept, night = place(session, ada, sem, 20, 22), place(session, ada, sem, 3, 5)
    place(session, ada, own, 30, 31)
    wish = {"actor": tam, "code": sem.facility.code, "hours": OFFICE, "now": NOW}
    assert displacements.by_facility_hours(session, **wish) == [night]
    assert session.scalars(select(Replan)).all() == []
    met, replan = displacements.set_facility_hours(session, **wish)
    assert (met, replan.cause, replan.closure_id) == ([night], Cause.HOURS, None)
    assert [one.id for one in replans.listing(session, actor=tam, facility_id=sem.facility_id)] == [replan.id]
    proposal = first_proposal(session, tam, replan)
    assert proposal.booking_id == night.id
    proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    # Two hours are left today, as long as it takes.
    assert (night.starts_at, kept.starts_at) == (NOW, NOW + 20 * HOUR)


def test_what_stood_outside_the_hours_before_is_not_displaced_by_others(session, tam, ada, sem):
    displacements.set_facility_hours(session, actor=tam, code=sem.facility.code, hours=OFFICE, now=NOW)
    night = place_by_hand(session, tam, ada, sem, 4, 6)
    shorter = [WeeklyHours(day, 9 * 60, 17 * 60) for day in range(7)]
    wish = {"actor": tam, "code": sem.facility.code, "hours": shorter, "now": NOW}
    assert displacements.set_facility_hours(session, **wish) == ([], None)
    assert night.starts_at == NOW + 4 * HOUR


def place_by_hand(session, tam, ada, sem, start, end):
    """A manager lets a booking stand outside the hours."""
    return bookings.place(
        session,
        actor=tam,
        items=[Item(sem.id, span(start, end))],
        booked_for=ada.person_id,
        override="a night run",
        now=NOW,
    )


def test_a_withdrawn_instrument_displaces_all_that_is_ahead_and_is_proposed_to_nobody(session, tam, ada, sem):
    session.add(Category(code="0101", name_zh="电镜"))
    session.flush()
    sem.category_code = "0101"
    twin = make_instrument(session, sem.facility, category_code="0101")
    booking, later = place(session, ada, sem, 24, 26), place(session, ada, sem, 48, 50)
    wish = {"actor": tam, "code": sem.code, "bookable": False, "opening": "", "now": NOW}
    assert displacements.by_instrument(session, **wish) == [booking, later]
    met, replan = displacements.set_instrument(session, **wish)
    assert (met, replan.cause, replans.place_of(replan)) == ([booking, later], Cause.WITHDRAWN, sem.id)
    assert sem.bookable is False
    solved(session, replan)
    for proposal in send(session, tam, replan).proposals:
        assert (proposal.kind, proposal.instrument_id) == (ProposalKind.ELSEWHERE, twin.id)
        proposals.answer(session, actor=ada, proposal_id=proposal.id, answer=Answer.ACCEPT, now=NOW)
    assert [one.items[0].instrument_id for one in (booking, later)] == [twin.id, twin.id]
    assert [one.starts_at for one in (booking, later)] == [NOW + 24 * HOUR, NOW + 48 * HOUR]
    again = displacements.set_instrument(session, **wish | {"bookable": True, "opening": "always"})
    assert (again, sem.bookable) == (([], None), True)


def test_days_off_are_replanned_by_each_facility(session, tam, ada, sem):
    root = cast.actor_of(session, cast.root(session))
    booking = place(session, ada, sem, 24, 26)  # Tuesday, 16:00 to 18:00
    place(session, ada, sem, 48, 50)
    elsewhere = make_instrument(session)
    place(session, ada, elsewhere, 30, 31)
    tuesday = (NOW + timedelta(days=1)).date()
    days = [Announced(tuesday, DayKind.HOLIDAY, "休")]
    outcome, begun = displacements.announce(session, actor=root, days=days, source="x", now=NOW)
    assert len(outcome.standing) == 2
    assert [row.facility_id for row in begun] == sorted([sem.facility_id, elsewhere.facility_id])
    mine = next(row for row in begun if row.facility_id == sem.facility_id)
    assert mine.run_id is None
    replans.again(session, actor=tam, replan_id=mine.id, now=NOW)
    proposal = first_proposal(session, tam, mine)
    assert (proposal.booking_id, mine.cause) == (booking.id, Cause.WORKING_DAYS)
    assert (proposal.starts_at + 8 * HOUR).date() != tuesday
    worked = [Announced(tuesday, DayKind.WORKING)]
    assert displacements.announce(session, actor=root, days=worked, source="x", now=NOW)[1] == []


def test_nothing_is_asked_before_the_manager_chooses_and_what_has_changed_is_left_out(session, tam, ada, sem):
    booking = place(session, ada, sem, 24, 26)
    _met, replan = displacements.set_instrument(
        session, actor=tam, code=sem.code, bookable=False, opening="", now=NOW
    )
    assert session.scalars(select(Event).where(Event.kind == "proposal.made")).all() == []
    first = replan.run_id
    replans.again(session, actor=tam, replan_id=replan.id, now=NOW)
    assert replan.run_id != first
    assert session.get_one(SolverRun, replan.run_id).names["bookings"] == [str(booking.id)]
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    with pytest.raises(Refused) as found:
        replans.again(session, actor=tam, replan_id=replan.id, now=NOW)
    assert [reason.code for reason in found.value.reasons] == ["nothing_displaced"]


def test_who_may_not_and_what_makes_no_sense(session, tam, ada, sem):
    for asked in (displacements.by_instrument, displacements.set_instrument):
        with pytest.raises(Forbidden):
            asked(session, actor=ada, code=sem.code, bookable=False, opening="", now=NOW)
        with pytest.raises(Invalid) as found:
            asked(session, actor=tam, code=sem.code, bookable=True, opening="whenever", now=NOW)
        assert found.value.errors == {"opening": "not_hours"}
    with pytest.raises(Forbidden):
        displacements.set_facility_hours(session, actor=ada, code=sem.facility.code, hours=OFFICE, now=NOW)
