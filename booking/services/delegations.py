"""Delegations: while somebody is away, a colleague decides in their place."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, require
from booking.domain.rules import Invalid
from booking.services import events
from models import Delegation, Membership, Person, PersonState

MOST = 20
LONGEST = timedelta(days=366)


def make(
    session: Session, *, actor: Actor, delegate: str, starts_at: datetime, ends_at: datetime, now: datetime
) -> Delegation:
    """Let a colleague decide in one's place from one time to another.

    A colleague works at the same facility or for the same organisation; anybody else is unknown, whether or
    not they have an account.

    :raises Invalid: if there is no such colleague, or the times make no sense
    """
    require(actor, "delegation.keep")
    errors = {}
    if ends_at <= starts_at:
        errors["until"] = "inverted"
    elif ends_at <= now or ends_at - starts_at > LONGEST:
        errors["until"] = "out_of_range"
    found = _colleague(session, actor, delegate)
    if found is None:
        errors["delegate"] = "unknown"
    # The row of the person is the lock under which their delegations are counted.
    session.execute(update(Person).where(Person.id == actor.person_id).values(state=Person.state))
    if session.scalar(select(func.count()).where(*_of(actor, now))) == MOST:
        errors["delegate"] = "too_many"
    if errors or found is None:
        raise Invalid(errors)
    row = Delegation(person_id=actor.person_id, delegate_id=found, starts_at=starts_at, ends_at=ends_at)
    session.add(row)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="delegation.made",
        now=now,
        subject=f"delegation:{row.id}",
        person_id=str(found),
        start=starts_at.isoformat(),
        end=ends_at.isoformat(),
    )
    return row


def end(session: Session, *, actor: Actor, delegation_id: UUID, now: datetime) -> None:
    """Take one's word back, whether or not the delegation has begun.

    :raises NotFound: if there is none of one's own that is not over
    """
    require(actor, "delegation.keep")
    row = session.scalar(select(Delegation).where(Delegation.id == delegation_id, *_of(actor, now)))
    if row is None:
        raise NotFound("delegation", delegation_id)
    row.ended_at = now
    events.record(
        session,
        actor=actor,
        kind="delegation.ended",
        now=now,
        subject=f"delegation:{row.id}",
        person_id=str(row.delegate_id),
    )


def own(session: Session, *, actor: Actor, now: datetime) -> Sequence[tuple[Delegation, Person]]:
    """Give one's delegations that are not over, each with the person who decides."""
    query = (
        select(Delegation, Person)
        .join(Person, Person.id == Delegation.delegate_id)
        .where(*_of(actor, now))
        .order_by(Delegation.starts_at, Delegation.id)
    )
    return [(row, person) for row, person in session.execute(query)]


def received(session: Session, *, actor: Actor, now: datetime) -> Sequence[tuple[Delegation, Person]]:
    """Give the delegations by which one decides for others, now or later, each with the person who is away."""
    query = (
        select(Delegation, Person)
        .join(Person, Person.id == Delegation.person_id)
        .where(
            Delegation.delegate_id == actor.person_id, Delegation.ends_at > now, Delegation.ended_at.is_(None)
        )
        .order_by(Delegation.starts_at, Delegation.id)
    )
    return [(row, person) for row, person in session.execute(query)]


def colleagues(session: Session, *, actor: Actor) -> Sequence[Person]:
    """Give those who may decide in one's place, by name."""
    query = select(Person).where(Person.id.in_(_colleagues(actor)), Person.state == PersonState.ACTIVE)
    return session.scalars(query.order_by(Person.name, Person.id).limit(200)).all()


def _colleague(session: Session, actor: Actor, delegate: str) -> UUID | None:
    return session.scalar(
        select(Person.id).where(
            Person.email == delegate.strip().lower(),
            Person.id.in_(_colleagues(actor)),
            Person.state == PersonState.ACTIVE,
        )
    )


def _colleagues(actor: Actor) -> Select[UUID]:
    return (
        select(Membership.person_id)
        .where(
            or_(
                Membership.facility_id.in_(actor.operates),
                Membership.organisation_id.in_(actor.organisations),
            ),
            Membership.person_id != actor.person_id,
        )
        .distinct()
    )


def _of(actor: Actor, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Delegation.person_id == actor.person_id,
        Delegation.ends_at > now,
        Delegation.ended_at.is_(None),
    )
