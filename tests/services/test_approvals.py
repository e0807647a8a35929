"""Approvals: whose word a request waits for, what it comes to, and what becomes of silence."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, event, func, select

from booking import wording
from booking.domain import one_time
from booking.domain.access import SYSTEM, Forbidden, NotFound, Role, Scope
from booking.domain.approvals import StepState
from booking.domain.chemicals import Hazard, Substance
from booking.domain.lifecycle import State, WrongMove
from booking.domain.notices import Channel
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import (
    approval_steps,
    approvals,
    approvals_due,
    bookings,
    decision_links,
    delegations,
    expiry,
    notifications,
)
from models import (
    ApprovalStep,
    Delivery,
    Event,
    Facility,
    Instrument,
    Membership,
    Occupation,
    OneTimeLink,
    Person,
    Rule,
)
from tests import cast
from tests.factories import LONG_AGO, make_facility, make_instrument


@pytest.fixture
def world(session, now):
    """Tam manages one facility of two; Ada asks for time at his, at the other, and at both together."""
    here, there = make_facility(session), make_facility(session)
    one = make_instrument(session, facility=here, approval_required=True)
    other = make_instrument(session, facility=there, approval_required=True)
    ada = cast.actor_of(session, cast.ada(session))
    tam = cast.actor_of(session, cast.tam(session, here))
    for day, rows in enumerate(([one], [other], [one, other]), start=1):
        span = Span(now + timedelta(days=day), now + timedelta(days=day, hours=1))
        items = [Item(row.id, span) for row in rows]
        bookings.place(session, actor=ada, items=items, now=now)
    session.flush()
    return ada, tam


def test_a_manager_counts_what_waits_for_their_word_their_part_of_a_joint_request_too(session, world):
    _ada, tam = world
    assert approvals.waiting(session, actor=tam) == 2
    assert approvals.waiting(session, actor=tam) == len(approvals.inbox(session, actor=tam))


def test_the_administrator_counts_all_and_others_nothing(session, world):
    ada, _tam = world
    assert approvals.waiting(session, actor=cast.actor_of(session, cast.root(session))) == 3
    for outsider in (ada, cast.actor_of(session, cast.cleo(session))):
        assert approvals.waiting(session, actor=outsider) == 0


# --- steps of rules -------------------------------------------------------------------------------


def rule(session, name, *, place, value=None, **data):
    session.add(
        Rule(
            facility_id=place.id if isinstance(place, Facility) else None,
            instrument_id=place.id if isinstance(place, Instrument) else None,
            kind=RuleKind.APPROVAL,
            name=name,
            value=value,
            data={"approvers": {"role": "manager"}, **data},
            valid_from=LONG_AGO.date(),
            created_at=LONG_AGO,
        )
    )
    session.flush()


@pytest.fixture
def lab(session):
    return make_facility(session)


@pytest.fixture
def sem(session, lab):
    return make_instrument(session, lab, price=100)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session):
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def tam(session, lab):
    return cast.actor_of(session, cast.tam(session, lab))


@pytest.fixture
def nora(session, lab):
    """Nora, who here manages the facility beside Tam."""
    person = cast.nora(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=lab.id))
    return cast.actor_of(session, person)


@pytest.fixture
def root(session):
    return cast.actor_of(session, cast.root(session))


def place(session, who, row, now, *, days=7, hours=2, **more):
    span = Span(now + timedelta(days=days), now + timedelta(days=days, hours=hours))
    return bookings.place(session, actor=who, items=[Item(row.id, span)], now=now, **more)


def steps(session, booking):
    found = approval_steps.current(session, booking_ids=[booking.id]).get(booking.id, [])
    return {step.name: step for step in found}


def kinds(session, booking):
    query = select(Event.kind).where(Event.booking_id == booking.id).order_by(Event.id)
    return list(session.scalars(query))


def approve(session, who, booking, now, **more):
    return approvals.approve(session, actor=who, booking_id=booking.id, now=now, **more)


def reject(session, who, booking, now, **more):
    return approvals.reject(session, actor=who, booking_id=booking.id, comment="no", now=now, **more)


def test_steps_of_a_stage_are_open_side_by_side_and_the_next_waits_for_all(
    session, ben, ada, tam, lab, sem, now
):
    rule(session, "Safety", place=lab)
    rule(session, "Process", place=lab, approvers={"role": "leader"})
    rule(session, "Business", place=lab, stage=2)
    booking = place(session, ben, sem, now)
    assert booking.state is State.REQUESTED
    states = {name: step.state for name, step in steps(session, booking).items()}
    assert states == {
        "Safety": StepState.OPEN,
        "Process": StepState.OPEN,
        "Business": StepState.WAITING,
    }
    assert approve(session, tam, booking, now).state is State.REQUESTED
    assert steps(session, booking)["Business"].state is StepState.WAITING
    approve(session, ada, booking, now)
    assert steps(session, booking)["Business"].state is StepState.OPEN
    assert approve(session, tam, booking, now).state is State.CONFIRMED
    assert kinds(session, booking) == [
        "booking.requested",
        "approval.opened",
        "approval.opened",
        "approval.given",
        "approval.given",
        "approval.opened",
        "approval.given",
        "booking.approved",
    ]
    assert booking.version == 4


def test_all_of_a_step_must_say_yes_and_one_no_is_enough(session, ben, tam, nora, lab, sem, now):
    rule(session, "Review", place=lab, need="all")
    first, second = place(session, ben, sem, now), place(session, ben, sem, now, days=8)
    assert approve(session, tam, first, now).state is State.REQUESTED
    with pytest.raises(Refused) as caught:
        approve(session, tam, first, now)
    assert caught.value.reasons[0].code == "already_decided"
    assert wording.sentence("already_decided", {}) == "You have decided this already."
    assert approve(session, nora, first, now).state is State.CONFIRMED
    approve(session, tam, second, now)
    assert reject(session, nora, second, now).state is State.REJECTED
    taken = select(func.count()).where(Occupation.booking_id == second.id)
    assert session.scalar(taken) == 0


def test_any_of_a_step_may_say_yes_and_only_the_last_no_counts(session, ben, tam, nora, lab, sem, now):
    rule(session, "Review", place=lab)
    first, second = place(session, ben, sem, now), place(session, ben, sem, now, days=8)
    assert reject(session, tam, first, now).state is State.REQUESTED
    assert approvals.inbox(session, actor=tam) == [second]
    assert approve(session, nora, first, now).state is State.CONFIRMED
    reject(session, tam, second, now)
    assert reject(session, nora, second, now).state is State.REJECTED
    with pytest.raises(WrongMove):
        approve(session, tam, second, now)


def test_the_facilitys_own_approval_is_decided_by_the_first_word(session, ben, tam, nora, sem, now):
    sem.approval_required = True
    session.flush()
    booking = place(session, ben, sem, now)
    assert reject(session, tam, booking, now).state is State.REJECTED
    with pytest.raises(WrongMove):
        approve(session, nora, booking, now)


def test_nearest_rule_of_a_name_wins_and_nought_switches_it_off(session, ben, lab, sem, now):
    other = make_instrument(session, lab)
    rule(session, "Safety", place=lab)
    rule(session, "Safety", place=sem, value=0)
    assert place(session, ben, sem, now).state is State.CONFIRMED
    assert place(session, ben, other, now).state is State.REQUESTED


def test_conditions_ask_about_person_price_and_length(session, ben, ada, tam, lab, sem, now):
    cleo = cast.actor_of(session, cast.cleo(session))
    mine = make_facility(session, cast.university(session))
    here = make_instrument(session, mine, price=100)
    rule(session, "Outsiders", place=mine, when=[{"condition": "external"}])
    rule(session, "Newcomers", place=lab, when=[{"condition": "first_use"}])
    rule(session, "Money", place=lab, when=[{"condition": "over_cost", "value": 300}])
    rule(session, "Long", place=lab, when=[{"condition": "over_minutes", "value": 120}])
    assert place(session, ben, here, now).state is State.CONFIRMED
    assert set(steps(session, place(session, cleo, here, now, days=8))) == {"Outsiders"}
    booking = place(session, ben, sem, now, days=1)
    assert set(steps(session, booking)) == {"Newcomers"}
    approve(session, tam, booking, now)
    later = booking.ends_at + timedelta(days=1)
    assert place(session, ben, sem, later).state is State.CONFIRMED
    longer = place(session, ben, sem, later, days=9, hours=4)
    assert set(steps(session, longer)) == {"Money", "Long"}
    told = steps(session, longer)["Money"].conditions
    assert told == [{"condition": "over_cost", "value": 300}]
    assert wording.condition_sentence(told[0]) == "costs more than ¥300.00"


def test_dangerous_chemicals_ask_for_a_step_and_a_missing_permit_refuses(session, ben, lab, sem, now):
    rule(session, "Safety", place=lab, when=[{"condition": "hazardous"}])
    rule(session, "Permits", place=lab, approvers=None, permit_for=["highly_toxic"])
    water = Substance("Water", cas="7732-18-5")
    toxic = Substance("Arsenic trioxide", hazards=frozenset({Hazard.HIGHLY_TOXIC}))
    assert place(session, ben, sem, now, chemicals=[water]).state is State.CONFIRMED
    with pytest.raises(Refused) as caught:
        place(session, ben, sem, now, days=8, chemicals=[toxic])
    (reason,) = caught.value.reasons
    assert wording.sentence(reason.code, reason.params) == (
        "Arsenic trioxide (Highly toxic chemical) needs a permit here: give the permit's number."
    )
    booking = place(session, ben, sem, now, days=8, chemicals=[replace(toxic, permit_number="JD-1")])
    assert set(steps(session, booking)) == {"Safety"}
    assert approval_steps.declared(session, booking_id=booking.id)[0].permit_number == "JD-1"
    with pytest.raises(Refused):
        bookings.change(session, actor=ben, booking_id=booking.id, version=None, chemicals=[toxic], now=now)


def test_a_change_that_takes_more_is_another_round_and_one_that_shortens_is_not(
    session, ben, tam, lab, sem, now
):
    rule(session, "Review", place=lab)
    booking = place(session, ben, sem, now)
    approve(session, tam, booking, now)

    def change(hours):
        span = Span(booking.starts_at, booking.starts_at + timedelta(hours=hours))
        items = [Item(sem.id, span)]
        return bookings.change(session, actor=ben, booking_id=booking.id, version=None, items=items, now=now)

    assert change(1).state is State.CONFIRMED
    assert change(3).state is State.REQUESTED
    assert steps(session, booking)["Review"].round == 2
    assert change(4).state is State.REQUESTED
    (step,) = steps(session, booking).values()
    assert (step.round, step.state) == (3, StepState.OPEN)
    opened = select(func.count()).where(
        ApprovalStep.booking_id == booking.id, ApprovalStep.state == StepState.OPEN
    )
    assert session.scalar(opened) == 1
    assert change(2).state is State.REQUESTED
    assert steps(session, booking)["Review"].round == 3


def test_a_request_that_moves_to_where_nothing_is_asked_is_granted(session, ben, lab, sem, now):
    rule(session, "Long", place=sem, when=[{"condition": "over_minutes", "value": 60}])
    other = make_instrument(session, lab)
    booking = place(session, ben, sem, now)
    items = [Item(other.id, Span(booking.starts_at, booking.ends_at))]
    bookings.change(session, actor=ben, booking_id=booking.id, version=None, items=items, now=now)
    assert booking.state is State.CONFIRMED
    assert kinds(session, booking)[-1] == "booking.approved"


def test_nobody_approves_their_own_time_unless_nobody_else_could(session, tam, lab, sem, now):
    rule(session, "Review", place=lab)
    assert place(session, tam, sem, now).state is State.CONFIRMED
    nora = cast.nora(session)
    session.add(Membership(person_id=nora.id, role=Role.MANAGER, facility_id=lab.id))
    booking = place(session, tam, sem, now, days=8)
    assert booking.state is State.REQUESTED
    with pytest.raises(Forbidden):
        approve(session, tam, booking, now)
    approve(session, cast.actor_of(session, nora), booking, now)
    assert booking.state is State.CONFIRMED


def test_who_is_no_manager_any_more_decides_nothing(session, ben, tam, nora, lab, sem, now):
    rule(session, "Review", place=lab, need="all")
    booking = place(session, ben, sem, now)
    membership = select(Membership).where(Membership.person_id == tam.person_id)
    session.delete(session.scalars(membership).one())
    session.flush()
    ousted = cast.actor_of(session, session.get_one(Person, tam.person_id))
    assert approvals.waiting(session, actor=ousted) == 0
    with pytest.raises(NotFound):
        approve(session, ousted, booking, now)
    assert approve(session, nora, booking, now).state is State.CONFIRMED  # all that are left have said yes


def test_people_who_are_named_see_and_decide_though_they_have_no_role(session, ben, root, lab, sem, now):
    cleo = cast.actor_of(session, cast.cleo(session))
    rule(session, "Expert", place=lab, approvers={"people": [str(cleo.person_id)]})
    booking = place(session, ben, sem, now)
    assert bookings.get(session, actor=cleo, booking_id=booking.id).id == booking.id
    assert approvals.waiting(session, actor=cleo) == 1
    assert approve(session, cleo, booking, now).state is State.CONFIRMED
    assert bookings.get(session, actor=cleo, booking_id=booking.id).id == booking.id
    other = place(session, ben, sem, now, days=8)
    reject(session, root, other, now)
    with pytest.raises(NotFound):
        bookings.get(session, actor=cleo, booking_id=other.id)


def test_a_token_that_may_only_book_approves_nothing(session, tam, ben, sem, now):
    sem.approval_required = True
    session.flush()
    booking = place(session, ben, sem, now)
    narrow = cast.actor_of(session, session.get_one(Person, tam.person_id), [Scope.READ, Scope.BOOK])
    with pytest.raises(Forbidden):
        approve(session, narrow, booking, now)
    assert approvals.waiting(session, actor=narrow) == 0


# --- deciding for who is away ---------------------------------------------------------------------


def away(session, who, delegate, now, *, start=timedelta(0), length=timedelta(days=3)):
    return delegations.make(
        session,
        actor=who,
        delegate=delegate,
        starts_at=now + start,
        ends_at=now + start + length,
        now=now,
    )


def test_a_colleague_sees_and_decides_while_somebody_is_away_and_no_longer(session, ben, tam, lab, sem, now):
    operator = cast.nora(session)
    session.add(Membership(person_id=operator.id, role=Role.OPERATOR, facility_id=lab.id))
    nora = cast.actor_of(session, operator)
    rule(session, "Review", place=lab)
    first, second = place(session, ben, sem, now), place(session, ben, sem, now, days=8)
    row = away(session, tam, "Nora@example.org", now)
    found = approvals.inbox(session, actor=nora, now=now)
    assert [booking.id for booking in found] == [first.id, second.id]
    asked = approvals.asked(session, actor=nora, found=found, now=now)[first.id]
    assert [person.name for person in asked.voices[0].instead_of] == ["Tam"]
    approve(session, nora, first, now, comment="fine")
    (spoken,) = steps(session, first)["Review"].approvers
    assert (spoken.person_id, spoken.spoken_by) == (tam.person_id, nora.person_id)
    event = session.scalars(
        select(Event).where(Event.booking_id == first.id, Event.kind == "approval.given")
    ).one()
    said = wording.event_sentence(event.kind, event.data)
    assert said == "Yes to: Review, for Tam: fine"
    assert approvals.waiting(session, actor=nora, now=now + timedelta(days=4)) == 0
    delegations.end(session, actor=tam, delegation_id=row.id, now=now)
    assert approvals.waiting(session, actor=nora, now=now) == 0
    with pytest.raises(Forbidden):
        approve(session, nora, second, now)


def test_nobody_decides_about_their_own_time_in_anothers_place(session, tam, lab, sem, now):
    operator = cast.nora(session)
    session.add(Membership(person_id=operator.id, role=Role.OPERATOR, facility_id=lab.id))
    nora = cast.actor_of(session, operator)
    rule(session, "Review", place=lab)
    away(session, tam, "nora@example.org", now)
    booking = place(session, nora, sem, now)
    with pytest.raises(Forbidden):
        approve(session, nora, booking, now)


def test_only_colleagues_decide_in_ones_place(session, tam, lab, now):
    cast.cleo(session)
    for stranger in ("cleo@example.org", "nobody@example.org", "tam@example.org"):
        with pytest.raises(Invalid) as caught:
            away(session, tam, stranger, now)
        assert caught.value.errors == {"delegate": "unknown"}
    with pytest.raises(Invalid) as caught:
        away(session, tam, "cleo@example.org", now, length=timedelta(0))
    assert caught.value.errors["until"] == "inverted"


# --- silence --------------------------------------------------------------------------------------


def test_silence_is_called_to_mind_and_ends_the_request_in_time(session, ben, tam, lab, sem, now):
    rule(session, "Review", place=lab, deadline_days=2)
    booking = place(session, ben, sem, now, days=20)
    step = steps(session, booking)["Review"]
    shanghai = ZoneInfo("Asia/Shanghai")
    assert step.due_at.astimezone(shanghai) == datetime(2026, 11, 5, 0, 0, tzinfo=shanghai)
    assert approvals_due.to_remind(session, now=now) == []
    soon = step.due_at - timedelta(hours=12)
    assert approvals_due.to_remind(session, now=soon) == [step.id]
    assert approvals_due.remind(session, step_id=step.id, now=soon)
    assert not approvals_due.remind(session, step_id=step.id, now=soon)
    assert approvals_due.to_remind(session, now=soon) == []
    assert approvals_due.due(session, now=soon) == []
    late = step.due_at + timedelta(hours=9)
    assert approvals_due.due(session, now=late) == [step.id]
    assert approvals_due.settle(session, step_id=step.id, now=late)
    assert not approvals_due.settle(session, step_id=step.id, now=late)
    assert booking.state is State.EXPIRED
    assert session.scalar(select(func.count()).where(Occupation.booking_id == booking.id)) == 0
    assert kinds(session, booking)[-3:] == ["approval.reminded", "approval.expired", "booking.expired"]


def told(session, kind):
    """Who finds a line of the kind in their inbox, and how often."""
    session.flush()
    query = (
        select(Person.name, func.count())
        .join(Delivery, Delivery.person_id == Person.id)
        .join(Event, Event.id == Delivery.event_id)
        .where(Event.kind == kind, Delivery.channel == Channel.INBOX)
        .group_by(Person.name)
    )
    return dict(session.execute(query).all())


def test_who_was_asked_hears_once_that_it_expired_and_may_still_see_it(
    session, ben, ada, tam, nora, root, lab, sem, now
):
    rule(session, "Review", place=lab, deadline_days=2)
    rule(session, "Process", place=lab, approvers={"people": [str(root.person_id), str(tam.person_id)]})
    rule(session, "Group", place=lab, approvers={"role": "leader"})
    booking = place(session, ben, sem, now, days=20)
    approve(session, ada, booking, now)
    late = steps(session, booking)["Review"].due_at
    approvals_due.settle(session, step_id=steps(session, booking)["Review"].id, now=late)
    notifications.dispatch(session, remind=(), now=late)
    assert told(session, "approval.expired") == {"Tam": 1, "Nora": 1}
    assert told(session, "booking.expired") == {"Ben": 1}


def test_who_never_answered_a_step_without_a_deadline_hears_once_when_it_begins(
    session, ben, tam, root, lab, sem, now
):
    rule(session, "Review", place=lab)
    people = [str(cast.ada(session).id), str(tam.person_id)]
    rule(session, "Process", place=lab, approvers={"people": people})
    booking = place(session, ben, sem, now, days=20)
    notifications.dispatch(session, remind=(), now=now)
    begun = booking.starts_at
    assert expiry.expire(session, actor=SYSTEM, booking_id=booking.id, now=begun)
    notifications.dispatch(session, remind=(), now=begun)
    assert told(session, "approval.expired") == {"Tam": 1, "Ada": 1}
    by_name = cast.actor_of(session, cast.ada(session))
    found, _total = notifications.inbox(session, actor=by_name, now=begun)
    notice = found[0].notice
    assert (notice.template, notice.over, notice.foreign) == ("approval.expired", False, False)
    session.execute(delete(Membership).where(Membership.person_id == by_name.person_id))
    stranger = cast.actor_of(session, session.get_one(Person, by_name.person_id))
    assert bookings.get(session, actor=stranger, booking_id=booking.id) is booking


def test_silence_is_taken_further_once(session, ben, ada, tam, lab, sem, now):
    rule(
        session,
        "Review",
        place=lab,
        need="all",
        deadline_days=1,
        on_silence="escalate",
        escalate_to={"role": "leader"},
    )
    booking = place(session, ben, sem, now, days=20)
    step = steps(session, booking)["Review"]
    late = step.due_at + timedelta(hours=50)  # the jobs stood still for two days
    approvals_due.settle(session, step_id=step.id, now=late)
    step = steps(session, booking)["Review"]
    assert {row.person_id for row in step.approvers} == {ada.person_id, tam.person_id}
    assert step.due_at > late
    assert approvals.waiting(session, actor=ada) == 1
    other = place(session, ben, sem, now, days=22)
    assert approve(session, ada, booking, late).state is State.CONFIRMED
    step = steps(session, other)["Review"]
    approvals_due.settle(session, step_id=step.id, now=step.due_at)
    step = steps(session, other)["Review"]
    approvals_due.settle(session, step_id=step.id, now=step.due_at)
    assert other.state is State.EXPIRED


def test_silence_may_count_as_a_yes_but_not_after_the_start(session, ben, tam, lab, sem, now):
    rule(session, "Review", place=lab, deadline_days=1, on_silence="approve")
    first, second = place(session, ben, sem, now, days=20), place(session, ben, sem, now, days=21)
    for booking, at in ((first, timedelta(days=3)), (second, timedelta(days=22))):
        step = steps(session, booking)["Review"]
        approvals_due.settle(session, step_id=step.id, now=now + at)
    assert (first.state, second.state) == (State.CONFIRMED, State.EXPIRED)


def test_a_request_from_before_there_were_steps_gets_them(session, ben, tam, sem, now):
    sem.approval_required = True
    session.flush()
    booking = place(session, ben, sem, now)
    for step in steps(session, booking).values():
        session.delete(step)
    session.flush()
    assert approvals.waiting(session, actor=tam) == 1
    assert approvals_due.without_steps(session, now=now) == [booking.id]
    assert approvals_due.adopt(session, booking_id=booking.id, now=now)
    assert not approvals_due.adopt(session, booking_id=booking.id, now=now)
    assert approve(session, tam, booking, now).state is State.CONFIRMED


def test_a_request_that_is_withdrawn_asks_nobody_any_more(session, ben, tam, lab, sem, now):
    rule(session, "Review", place=lab, deadline_days=1)
    rule(session, "Later", place=lab, stage=2)
    booking = place(session, ben, sem, now)
    bookings.cancel(session, actor=ben, booking_id=booking.id, now=now)
    session.expire_all()
    assert {step.state for step in steps(session, booking).values()} == {StepState.DROPPED}
    assert approvals.waiting(session, actor=tam) == 0
    assert approvals_due.due(session, now=now + timedelta(days=9)) == []


# --- deciding from the letter ---------------------------------------------------------------------

KEY = "a key for tests, and for tests alone"


def link_of(session, person_id):
    row = session.scalars(select(OneTimeLink).where(OneTimeLink.person_id == person_id)).one()
    return {"link_id": row.id, "secret": one_time.secret(KEY, row.id)}


def test_a_link_of_the_letter_decides_once_and_for_its_person_alone(session, ben, tam, nora, lab, sem, now):
    rule(session, "Review", place=lab, need="all", deadline_days=3)
    booking = place(session, ben, sem, now, days=20)
    decision_links.write(session, key=KEY, now=now)
    decision_links.write(session, key=KEY, now=now)
    mine, other = link_of(session, tam.person_id), link_of(session, nora.person_id)
    with pytest.raises(NotFound):
        decision_links.opened(session, link_id=mine["link_id"], secret=other["secret"], now=now)
    found = decision_links.opened(session, **mine, now=now)
    assert (found.actor.person_id, found.voice.own) == (tam.person_id, True)
    assert booking.state is State.REQUESTED
    decide = partial(decision_links.decide, session, approves=True, comment="", version=None)
    decide(**mine, now=now)
    (said,) = [row for row in steps(session, booking)["Review"].approvers if row.approves]
    assert said.person_id == tam.person_id
    assert decision_links.opened(session, **mine, now=now).used
    with pytest.raises(NotFound):
        decide(**mine, now=now)
    late = steps(session, booking)["Review"].due_at
    with pytest.raises(NotFound):
        decide(**other, now=late)
    decide(**other, now=late - timedelta(seconds=1))
    assert booking.state is State.CONFIRMED


def test_a_link_of_somebody_who_lost_the_role_shows_nothing(session, ben, tam, lab, sem, now):
    rule(session, "Review", place=lab)
    place(session, ben, sem, now)
    decision_links.write(session, key=KEY, now=now)
    mine = link_of(session, tam.person_id)
    membership = select(Membership).where(Membership.person_id == tam.person_id)
    session.delete(session.scalars(membership).one())
    session.flush()
    with pytest.raises(NotFound):
        decision_links.opened(session, **mine, now=now)


def test_what_nobody_set_costs_one_statement(session, ben, sem, now):
    """And that one is shared by everything that rules say."""
    seen = []
    listener = lambda _c, _cursor, statement, *_rest: seen.append(statement)  # noqa: E731 - listens once
    bind = session.connection()
    event.listen(bind, "before_cursor_execute", listener)
    place(session, ben, sem, now)
    event.remove(bind, "before_cursor_execute", listener)
    assert sum("FROM rule" in statement for statement in seen) == 1
    assert not any("approv" in statement and "instrument" not in statement for statement in seen)
