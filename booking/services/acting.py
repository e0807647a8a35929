"""Acting for others: who may book in another person's name, and for whom."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from booking.domain.access import Actor, Role, Subject, in_scope, may
from booking.domain.rules import Invalid
from booking.services.sign_in import PERSON_COLUMNS, actor_of_rows
from models import Booking, BookingItem, Instrument, Membership, Person, PersonState, Project, ProjectMember

ACTION = "booking.place_for"

LATELY = timedelta(days=90)
MOST_OFFERED = 200
"""So many people are offered to choose from; any other is named by address."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody whom a form offers."""

    person_id: UUID
    name: str
    email: str


def person_called(session: Session, who: str, *, field: str = "booked_for") -> UUID:
    """Give the person of an address or an id.

    :raises Invalid: for the field, if there is none who may sign in; the same answer as for one who is no concern
    """
    text = who.strip()
    try:
        known = Person.id == UUID(text)
    except ValueError:
        known = Person.email == text.lower()
    found = session.scalar(select(Person.id).where(known, Person.state == PersonState.ACTIVE))
    if found is None:
        raise Invalid({field: "nobody"})
    return found


def actor_of(session: Session, person_id: UUID) -> Actor | None:
    """Give what a person is and may do, None if there is none who may sign in."""
    return actors_of(session, [person_id]).get(person_id)


def actors_of(session: Session, ids: Iterable[UUID]) -> dict[UUID, Actor]:
    """Give what people are and may do, those who may sign in; one statement."""
    query = (
        select(*PERSON_COLUMNS)
        .select_from(Person)
        .outerjoin(Membership, Membership.person_id == Person.id)
        .where(Person.id.in_(list(ids)), Person.state == PersonState.ACTIVE)
    )
    found: dict[UUID, list[Any]] = {}
    for row in session.execute(query):
        found.setdefault(row.person_id, []).append(row)
    return {person_id: actor_of_rows(rows) for person_id, rows in found.items()}


def in_place_of(
    session: Session,
    *,
    actor: Actor,
    booked_for: UUID | None,
    facility_ids: Iterable[int],
    project_id: UUID | None,
) -> Actor:
    """Give the person whose booking it becomes, in the part in which the actor may speak for them.

    Staff of every facility of it act for anybody, who leads an organisation for its members, who leads a
    project for those who work for it, within the project.

    :raises Invalid: for `booked_for`, if there is no such person or the actor may not act for them; for
        `project_id`, if that person does not work for the project
    """
    if booked_for is None or booked_for == actor.person_id:
        return actor
    person = actor_of(session, booked_for)
    if person is None or not in_scope(actor, ACTION):
        raise Invalid({"booked_for": "nobody"})
    whole = _part(session, actor, person, facility_ids, project_id)
    if project_id is not None and session.get(ProjectMember, (project_id, booked_for)) is None:
        raise Invalid({"project_id": "unknown"})
    return whole


def _part(
    session: Session, actor: Actor, person: Actor, facility_ids: Iterable[int], project_id: UUID | None
) -> Actor:
    if all(may(actor, ACTION, Subject(facility_id=place)) for place in facility_ids):
        return person
    led = frozenset(
        place for place in person.organisations if may(actor, ACTION, Subject(organisation_id=place))
    )
    if led:
        return replace(person, organisations=led)
    if project_id is not None and _leads(session, actor, project_id, person.person_id):
        return person
    raise Invalid({"booked_for": "nobody"})


def _leads(session: Session, actor: Actor, project_id: UUID, person_id: UUID | None) -> bool:
    query = (
        select(Project.id)
        .join(ProjectMember, ProjectMember.project_id == Project.id)
        .where(
            Project.id == project_id,
            Project.leader_id == actor.person_id,
            ProjectMember.person_id == person_id,
        )
    )
    return session.scalar(query) is not None


def offered(session: Session, *, actor: Actor) -> list[Colleague]:
    """Give those for whom the actor may book as a leader, by name; one statement."""
    if actor.person_id is None or not in_scope(actor, ACTION):
        return []
    members = select(Membership.person_id).where(
        Membership.organisation_id.in_(actor.leads), Membership.role.in_((Role.MEMBER, Role.LEADER))
    )
    own = select(Project.id).where(Project.leader_id == actor.person_id)
    workers = select(ProjectMember.person_id).where(ProjectMember.project_id.in_(own))
    return _people(session, actor, or_(Person.id.in_(members), Person.id.in_(workers)))


def regulars(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> list[Colleague]:
    """Give those who booked at a facility lately, by name, for its staff, who may book for anybody; one statement."""
    if not may(actor, ACTION, Subject(facility_id=facility_id)):
        return []
    there = (
        select(Booking.person_id)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(Instrument.facility_id == facility_id, BookingItem.starts_at > now - LATELY)
    )
    return _people(session, actor, Person.id.in_(there))


def colleagues(session: Session, *, actor: Actor) -> list[Colleague]:
    """Give those with whom the actor works for a project, by name; one statement.

    Who merely belongs to the same organisation, of thousands perhaps, is named by address.
    """
    if actor.person_id is None:
        return []
    return _people(session, actor, _works_with(actor.person_id))


def are_colleagues(session: Session, one: UUID, other: UUID) -> bool:
    """Tell whether two people share an organisation or a project."""
    return session.scalar(select(Person.id).where(Person.id == other, _shares(one))) is not None


def _shares(person_id: UUID) -> ColumnElement[bool]:
    mine, theirs = aliased(Membership), aliased(Membership)
    roles = (Role.MEMBER, Role.LEADER)
    members = (
        select(theirs.person_id)
        .join(mine, mine.organisation_id == theirs.organisation_id)
        .where(mine.person_id == person_id, mine.role.in_(roles), theirs.role.in_(roles))
    )
    return or_(Person.id.in_(members), _works_with(person_id))


def _works_with(person_id: UUID) -> ColumnElement[bool]:
    first, second = aliased(ProjectMember), aliased(ProjectMember)
    workers = (
        select(second.person_id)
        .join(first, first.project_id == second.project_id)
        .where(first.person_id == person_id)
    )
    return Person.id.in_(workers)


def _people(session: Session, actor: Actor, which: ColumnElement[bool]) -> list[Colleague]:
    query = (
        select(Person.id, Person.name, Person.email)
        .where(which, Person.id != actor.person_id, Person.state == PersonState.ACTIVE)
        .order_by(Person.name, Person.email)
        .limit(MOST_OFFERED)
    )
    return [Colleague(*row) for row in session.execute(query)]
