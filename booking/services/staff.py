"""Staff: who works at a facility, and roles there that its managers and the officers of its networks give and take."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from booking.domain.access import Actor, NotFound, Role, Subject, may, require
from booking.domain.rules import Invalid
from booking.services import accounts, facilities, networks
from models import Facility, Membership, Person, PersonState

ACTIONS = {Role.OPERATOR: "role.give_operator", Role.MANAGER: "role.give_manager"}
"""The roles of a facility, and what one must be allowed for giving and taking them."""


@dataclass(frozen=True, slots=True)
class Held:
    """A role of somebody at a facility; `takes` tells whether the reader may take it."""

    membership: Membership
    person: Person
    takes: bool


def roles(session: Session, *, actor: Actor, facility: Facility) -> list[Role]:
    """Give the roles that the actor may give and take at a facility."""
    subject = _subject(session, facility)
    return [role for role, action in ACTIONS.items() if may(actor, action, subject)]


def listing(session: Session, *, actor: Actor, code: str) -> tuple[Facility, list[Held]]:
    """Give who works at a facility, its managers first, then by name.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor neither works there nor is an officer of its networks
    """
    facility = facilities.by_code(session, code=code)
    require(actor, "role.list", _subject(session, facility))
    own = roles(session, actor=actor, facility=facility)
    query = (
        select(Membership, Person)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.facility_id == facility.id)
        .order_by(Membership.role, Person.name, Person.id)
    )
    return facility, [Held(held, person, held.role in own) for held, person in session.execute(query)]


def give(
    session: Session,
    *,
    actor: Actor,
    code: str,
    email: str,
    role: Role,
    invites: bool,
    key: str,
    now: datetime,
) -> bool:
    """Give somebody a role at a facility by their address, and tell whether that invited them.

    Who has no account is invited, if `invites`: they come in by the link of a letter, and until then the role is
    of no use to anybody.

    :raises NotFound: if there is no such facility
    :raises Forbidden: if the actor may not give this role there
    :raises Invalid: if the address is malformed, one's own, or of nobody who may come in
    """
    facility = facilities.by_code(session, code=code)
    if role not in ACTIONS:
        raise Invalid({"role": "unknown"})
    require(actor, ACTIONS[role], _subject(session, facility))
    address = accounts.clean_email(email)
    person = accounts.by_email(session, email=address)
    if person is None and not invites:
        raise Invalid({"email": "nobody"})
    if person is not None and person.id == actor.person_id:
        raise Invalid({"email": "oneself"})
    if person is not None and person.state is not PersonState.ACTIVE:
        raise Invalid({"email": "nobody"})
    if person is None:
        person = accounts.create(
            session, email=address, name=address.partition("@")[0], confirmed=False, now=now
        )
    invited = _still_invited(person)
    accounts.write_role(
        session, actor=actor, person=person, role=role, facility=facility, invited=invited, now=now
    )
    if invited:
        accounts.invite(session, actor=actor, person=person, role=role, place=facility, key=key, now=now)
    return invited


def _still_invited(person: Person) -> bool:
    """Tell whether somebody was invited and never came."""
    return person.email_confirmed_at is None and person.password_hash is None


def take(session: Session, *, actor: Actor, code: str, membership_id: int, now: datetime) -> None:
    """Take a role at a facility away.

    :raises NotFound: if there is no such facility, or nobody has this role there
    :raises Forbidden: if the actor may not take it
    """
    facility = facilities.by_code(session, code=code)
    require(actor, "role.list", _subject(session, facility))
    found = session.get(Membership, membership_id)
    if found is None or found.facility_id != facility.id:
        raise NotFound("membership", membership_id)
    require(actor, ACTIONS[found.role], _subject(session, facility))
    someone = session.scalars(
        select(Person).where(Person.id == found.person_id).options(selectinload(Person.memberships))
    ).one()
    accounts.strike_role(session, actor=actor, someone=someone, found=found, now=now)


def _subject(session: Session, facility: Facility) -> Subject:
    members = networks.of_facilities(session, [facility.id])[facility.id]
    return Subject(facility_id=facility.id, network_ids=members)
