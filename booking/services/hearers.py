"""Hearers: who is to be told of an event, asked when it is dispatched and again when the message leaves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from booking.domain import notices
from booking.domain.access import Role
from booking.domain.lifecycle import State
from booking.domain.notices import TOLD, Hearer, Telling
from booking.services import approval_steps
from models import (
    ApprovalStep,
    Approver,
    Booking,
    BookingItem,
    Delegation,
    Event,
    Membership,
    MembershipRequest,
    OneTimeLink,
    Person,
    PersonState,
    StepState,
    Transfer,
)

Managers = Mapping[int, set[UUID]]


@dataclass(frozen=True, slots=True)
class Case:
    """What decides who hears: the event, its booking as it is now, and who manages what.

    `step_id` is the step that stands in for the event's, as `waits_instead` says.
    """

    session: Session
    event: Event
    booking: Booking | None
    managers: Managers
    now: datetime
    step_id: UUID | None = None


def told(case: Case) -> dict[UUID, Telling]:
    """Give who hears of the event at this moment, each in the first form that is meant for them."""
    if case.booking is not None and case.event.data.get("series"):
        return {}  # one message tells of the series
    if not notices.worth_a_word(case.event.kind, case.event.data):
        return {}
    found: dict[UUID, Telling] = {}
    for telling in TOLD.get(case.event.kind, ()):
        for person_id in _HEARERS[telling.to](case):
            found.setdefault(person_id, telling)
    if case.event.kind in notices.NOT_OF_ONES_OWN and case.event.actor_id in found:
        del found[case.event.actor_id]
    return found


def seen(telling: Telling, case: Case, person_id: UUID) -> list[BookingItem]:
    """Give the items of the booking that somebody may know of who is told in this form."""
    items = list(case.booking.items) if case.booking else []
    if telling.to in {Hearer.MANAGERS, Hearer.UNLESS_STEPS}:
        places = {place for place, people in case.managers.items() if person_id in people}
    elif telling.to is Hearer.APPROVERS:
        step = step_of(case, case.event)
        places = {step.facility_id} if step else set()
    else:
        return items
    return [item for item in items if item.instrument.facility_id in places]


def managers_of(session: Session, facility_ids: set[int]) -> dict[int, set[UUID]]:
    """Give who manages each of these facilities now."""
    found: dict[int, set[UUID]] = {}
    if facility_ids:
        query = (
            select(Membership.facility_id, Membership.person_id)
            .join(Person, Person.id == Membership.person_id)
            .where(
                Membership.role == Role.MANAGER,
                Membership.facility_id.in_(facility_ids),
                Person.state == PersonState.ACTIVE,
            )
        )
        for facility_id, person_id in session.execute(query):
            found.setdefault(facility_id or 0, set()).add(person_id)
    return found


def facilities(fresh: Iterable[Event], bookings: Iterable[Booking]) -> set[int]:
    """Give the facilities that these events and bookings are about."""
    named = {event.facility_id for event in fresh if event.facility_id is not None}
    return named | {item.instrument.facility_id for booking in bookings for item in booking.items}


def others_of_series(session: Session, booking: Booking) -> int:
    """Count the other bookings of the series that wait for approval like this one, or ended with it."""
    if booking.series_id is None:
        return 0
    query = select(func.count()).where(
        Booking.series_id == booking.series_id, Booking.state == booking.state, Booking.id != booking.id
    )
    if booking.state is State.EXPIRED:
        query = query.where(Booking.updated_at == booking.updated_at)
    return session.scalar(query) or 0


# --- each sort of hearer --------------------------------------------------------------------------


def _owner(case: Case) -> set[UUID]:
    booking, kind = case.booking, case.event.kind
    if booking is None:
        return set()
    agent = booking.booked_by_id
    # Who booked for another needs no letter about what they just did, nor to be reminded of another's time.
    if agent is None or agent == case.event.actor_id or kind == "booking.reminded":
        return {booking.person_id}
    return {booking.person_id, agent}


def _managers(case: Case) -> set[UUID]:
    if case.event.facility_id is not None:
        return set(case.managers.get(case.event.facility_id, ()))
    places = facilities([], [case.booking] if case.booking else [])
    return {person for place in places for person in case.managers.get(place, ())}


def _unless_steps(case: Case) -> set[UUID]:
    booking = case.booking
    if booking is None or booking.state is not State.REQUESTED:
        return set()
    if case.session.scalar(select(exists().where(ApprovalStep.booking_id == booking.id))):
        return set()
    return {person for place in facilities([], [booking]) for person in case.managers.get(place, ())}


def _approvers(case: Case) -> set[UUID]:
    """Give those who have not spoken on the step and are what they were asked as, and who speaks in their place."""
    step = step_of(case, case.event)
    expired = case.event.kind == "approval.expired"
    over = expired or case.event.kind == "approval.unanswered"
    if step is None or (step.state is not StepState.OPEN and not over):
        return set()
    people = _silent(case, step)
    if expired:
        # Of steps that ended together, whoever was asked on several hears once.
        for before in case.session.scalars(_expired_before(case.event)):
            other = step_of(case, before)
            people -= _silent(case, other) if other is not None else set()
    return people


def _silent(case: Case, step: ApprovalStep) -> set[UUID]:
    silent = (
        select(Approver.person_id)
        .join(ApprovalStep, ApprovalStep.id == Approver.step_id)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .where(Approver.step_id == step.id, Approver.approves.is_(None), approval_steps.still_asked())
    )
    people = set(case.session.scalars(silent))
    away = select(Delegation.delegate_id).where(
        Delegation.person_id.in_(people), approval_steps.in_force(case.now)
    )
    people |= set(case.session.scalars(away)) if people else set()
    # Nobody decides about their own time, not in another's place either.
    return people - ({case.booking.person_id} if case.booking else set())


def _expired_before(event: Event) -> Select[Event]:
    return select(Event).where(
        Event.booking_id == event.booking_id,
        Event.kind == event.kind,
        Event.at == event.at,
        Event.id < event.id,
    )


def step_of(case: Case, event: Event) -> ApprovalStep | None:
    """Give the step that the event tells of, or that stands in for it."""
    step_id = case.step_id if case.step_id and event is case.event else key(event, "step_id")
    return case.session.get(ApprovalStep, step_id) if step_id else None


def waits_instead(case: Case) -> ApprovalStep | None:
    """Give the step of another date of the series that still waits, where that of the event does so no more."""
    step, booking = step_of(case, case.event), case.booking
    if step is None or step.state is StepState.OPEN or booking is None or booking.series_id is None:
        return None
    if case.event.kind not in notices.ASKING or case.event.data.get("series"):
        return None
    query = (
        select(ApprovalStep)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .where(
            Booking.series_id == booking.series_id,
            Booking.person_id == booking.person_id,
            Booking.state == State.REQUESTED,
            ApprovalStep.state == StepState.OPEN,
            ApprovalStep.facility_id == step.facility_id,
            ApprovalStep.stage == step.stage,
            ApprovalStep.name == step.name,
        )
        .order_by(Booking.starts_at)
        .limit(1)
    )
    return case.session.scalar(query)


def _person(case: Case) -> set[UUID]:
    person_id = key(case.event, "person_id")
    return {person_id} if person_id else set()


def _taker(case: Case) -> set[UUID]:
    transfer_id = key(case.event, "transfer_id")
    found = case.session.get(Transfer, transfer_id) if transfer_id else None
    # Who is asked to swap times with nobody they know hears of nobody.
    return {found.to_id} if found and not case.event.data.get("blind") else set()


def _link(case: Case) -> set[UUID]:
    link_id = key(case.event, "link_id")
    link = case.session.get(OneTimeLink, link_id) if link_id else None
    return {link.person_id} if link else set()


def _leaders(case: Case) -> set[UUID]:
    """Give the leaders of the organisation to which the event's actor asks to belong."""
    asked = select(MembershipRequest.organisation_id).where(
        MembershipRequest.person_id == case.event.actor_id
    )
    query = (
        select(Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(
            Membership.role == Role.LEADER,
            Membership.organisation_id.in_(asked),
            Person.state == PersonState.ACTIVE,
        )
    )
    return set(case.session.scalars(query))


def _officers(case: Case) -> set[UUID]:
    query = (
        select(Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(
            Membership.role == Role.OFFICER,
            Membership.network_id == case.event.data.get("network_id"),
            Person.state == PersonState.ACTIVE,
        )
    )
    return set(case.session.scalars(query))


_HEARERS: Mapping[Hearer, Callable[[Case], set[UUID]]] = {
    Hearer.OWNER: _owner,
    Hearer.MANAGERS: _managers,
    Hearer.UNLESS_STEPS: _unless_steps,
    Hearer.APPROVERS: _approvers,
    Hearer.PERSON: _person,
    Hearer.TAKER: _taker,
    Hearer.LINK: _link,
    Hearer.LEADERS: _leaders,
    Hearer.OFFICERS: _officers,
}


def key(event: Event, name: str) -> UUID | None:
    """Give an id that the event's data hold, None if they hold none of this name."""
    found = event.data.get(name)
    try:
        return UUID(str(found)) if found else None
    except ValueError:
        return None
