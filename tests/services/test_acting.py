"""Booking in another person's name: who may, whose booking it is, and who may change it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from booking.domain.access import NotFound, Role, Scope
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import acting, availability, bookings
from booking.services.bookings import Part
from models import Membership, Project, ProjectMember
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.fixture
def lab(session):
    return make_facility(session)


@pytest.fixture
def sem(session, lab):
    return make_instrument(session, lab)


def place(session, actor, instrument, *, start=1, **more):
    span = Span(NOW + timedelta(hours=start), NOW + timedelta(hours=start + 1))
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span)], now=NOW, **more)


def make_project(session, leader, *members):
    project = Project(
        code=f"P-{uuid4().hex[:6]}",
        name="Films",
        organisation_id=cast.university(session).id,
        leader_id=leader.id,
    )
    session.add(project)
    session.flush()
    session.add_all(ProjectMember(project_id=project.id, person_id=one.id) for one in (leader, *members))
    session.flush()
    return project


def test_a_leader_books_for_a_member_and_both_may_change_it(session, sem):
    ada, ben = cast.ada(session), cast.ben(session)
    booking = place(session, cast.actor_of(session, ada), sem, booked_for=ben.id)
    assert (booking.person_id, booking.booked_by_id) == (ben.id, ada.id)
    assert booking.organisation_id == cast.university(session).id
    assert (booking.person.name, booking.booked_by.name) == ("Ben", "Ada")
    ben_now = cast.actor_of(session, ben)
    bookings.change(session, actor=ben_now, booking_id=booking.id, version=1, purpose="Films", now=NOW)
    gone = bookings.cancel(session, actor=cast.actor_of(session, ada), booking_id=booking.id, now=NOW)
    assert gone.state is State.CANCELLED


def test_staff_book_for_anybody_and_see_it_even_when_they_are_staff_no_more(session, lab, sem):
    tam, cleo = cast.tam(session, lab), cast.cleo(session)
    booking = place(session, cast.actor_of(session, tam), sem, booked_for=cleo.id)
    assert booking.organisation_id == cast.company(session).id
    assert booking.confidential, "what a company books is masked, whoever books it"
    session.delete(session.query(Membership).filter_by(person_id=tam.id).one())
    left = cast.actor_of(session, tam)
    assert bookings.get(session, actor=left, booking_id=booking.id).id == booking.id
    rows, counts = bookings.own(session, actor=left, part=Part.FOR_OTHERS, now=NOW)
    assert [row.id for row in rows] == [booking.id]
    assert counts == {Part.AHEAD: 0, Part.WAITING: 0, Part.OVER: 0, Part.FOR_OTHERS: 1}
    _, cleos = bookings.own(session, actor=cast.actor_of(session, cleo), part=Part.AHEAD, now=NOW)
    assert cleos == {Part.AHEAD: 1, Part.WAITING: 0, Part.OVER: 0, Part.FOR_OTHERS: 0}
    assert bookings.listing(session, actor=left)[1] == 1


def test_a_project_leader_books_within_the_project_for_those_who_work_for_it(session, sem):
    ben, cleo = cast.ben(session), cast.cleo(session)
    project = make_project(session, ben, cleo)
    leads = cast.actor_of(session, ben)
    booking = place(session, leads, sem, booked_for=cleo.id, project_id=project.id)
    assert (booking.person_id, booking.project_id) == (cleo.id, project.id)
    with pytest.raises(Invalid) as refused:
        place(session, leads, sem, start=3, booked_for=cleo.id)
    assert refused.value.errors == {"booked_for": "nobody"}


def test_for_whom_one_may_not_act_is_as_unknown_as_one_who_is_not_there(session, lab, sem):
    ada, ben, cleo = cast.ada(session), cast.ben(session), cast.cleo(session)
    operator_elsewhere = cast.tam(session, make_facility(session))
    for actor, person in (
        (ben, ada.id),
        (cleo, ben.id),
        (ada, cleo.id),
        (operator_elsewhere, ben.id),
        (cast.tam(session, lab), uuid4()),
    ):
        if actor is operator_elsewhere:
            session.query(Membership).filter_by(person_id=actor.id, facility_id=lab.id).delete()
        with pytest.raises(Invalid) as refused:
            place(session, cast.actor_of(session, actor), sem, booked_for=person)
        assert refused.value.errors == {"booked_for": "nobody"}
    with pytest.raises(Invalid) as refused:
        acting.person_called(session, "nobody@example.org")
    assert refused.value.errors == {"booked_for": "nobody"}


def test_a_token_that_may_only_read_acts_for_nobody(session, sem):
    ada, ben = cast.ada(session), cast.ben(session)
    reader = cast.actor_of(session, ada, [Scope.READ])
    with pytest.raises(Invalid):
        acting.in_place_of(session, actor=reader, booked_for=ben.id, facility_ids=[], project_id=None)


def test_another_persons_project_is_not_paid_with(session, sem):
    ada, ben = cast.ada(session), cast.ben(session)
    hers = make_project(session, ada)
    with pytest.raises(Invalid) as refused:
        place(session, cast.actor_of(session, ada), sem, booked_for=ben.id, project_id=hers.id)
    assert refused.value.errors == {"project_id": "unknown"}
    with pytest.raises(NotFound):
        place(session, cast.actor_of(session, ben), sem, project_id=hers.id)


def test_the_form_offers_those_whom_one_leads(session):
    ada, ben, cleo = cast.ada(session), cast.ben(session), cast.cleo(session)
    make_project(session, ada, cleo)
    offered = acting.offered(session, actor=cast.actor_of(session, ada))
    assert [one.name for one in offered] == ["Ben", "Cleo"]
    assert acting.offered(session, actor=cast.actor_of(session, ben)) == []
    assert [one.name for one in acting.colleagues(session, actor=cast.actor_of(session, cleo))] == ["Ada"]
    assert acting.colleagues(session, actor=cast.actor_of(session, ben)) == []
    assert acting.are_colleagues(session, ben.id, ada.id)
    assert acting.are_colleagues(session, cleo.id, ada.id)
    assert not acting.are_colleagues(session, cleo.id, ben.id)


def test_booking_for_oneself_by_name_is_booking(session, sem):
    ada = cast.ada(session)
    booking = place(session, cast.actor_of(session, ada), sem, booked_for=ada.id)
    assert booking.booked_by_id is None
    assert Role.LEADER in {row.role for row in session.query(Membership).filter_by(person_id=ada.id)}


def test_who_booked_for_another_person_sees_it_on_the_timeline(session, sem):
    ben, cleo = cast.ben(session), cast.cleo(session)
    project = make_project(session, ben, cleo)
    agent = cast.actor_of(session, ben)
    place(session, agent, sem, booked_for=cleo.id, project_id=project.id, confidential=True)
    within = Span(NOW, NOW + timedelta(days=1))
    stranger = cast.actor_of(session, cast.nora(session))
    for reader, person in ((agent, "Cleo"), (stranger, None)):
        (bar,) = availability.occupations(
            session, actor=reader, instrument_ids=[sem.id], within=within, now=NOW
        )
        assert bar.person == person
