"""The people of all tests; each comes into the session at the first call and is the same one after it.

Ada leads a project at a university, Ben is her student, Cleo works at a company outside, Tam manages a
facility, Nora is a network officer, Root administers.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Role, Scope, actor_from
from booking.services import sign_in as sign_ins
from booking.services.sign_in import hashed
from models import (
    ApiToken,
    Facility,
    Membership,
    Network,
    Organisation,
    OrganisationKind,
    Person,
)

JOINED = datetime(2026, 1, 5, tzinfo=UTC)
PASSWORD = "paper kite over Dongguan"


def ada(session: Session) -> Person:
    return _person(session, "Ada", (Role.LEADER, {"organisation_id": university(session).id}))


def ben(session: Session) -> Person:
    return _person(session, "Ben", (Role.MEMBER, {"organisation_id": university(session).id}))


def cleo(session: Session) -> Person:
    return _person(session, "Cleo", (Role.MEMBER, {"organisation_id": company(session).id}))


def tam(session: Session, facility: Facility | None = None) -> Person:
    return _person(session, "Tam", (Role.MANAGER, {"facility_id": facility.id} if facility else None))


def nora(session: Session, network: Network | None = None) -> Person:
    return _person(session, "Nora", (Role.OFFICER, {"network_id": network.id} if network else None))


def root(session: Session) -> Person:
    return _person(session, "Root", (Role.ADMINISTRATOR, {}))


def university(session: Session) -> Organisation:
    """Ada's and Ben's."""
    return _organisation(session, "UNI", "大学", "University", OrganisationKind.UNIVERSITY)


def company(session: Session) -> Organisation:
    """Cleo's."""
    return _organisation(session, "CO", "公司", "Company", OrganisationKind.ENTERPRISE)


def actor_of(session: Session, person: Person, scopes: Iterable[Scope] | None = None) -> Actor:
    """What the person may do, by the memberships as they are now; with scopes, by a token."""
    session.flush()
    columns = (Membership.role, Membership.organisation_id, Membership.facility_id, Membership.network_id)
    rows = session.execute(select(*columns).where(Membership.person_id == person.id)).all()
    return actor_from(
        [tuple(row) for row in rows],
        person_id=person.id,
        name=person.name,
        email=person.email,
        locale=person.locale,
        newcomer=person.toured_at is None,
        scopes=None if scopes is None else frozenset(scopes),
    )


def sign_in(client: FlaskClient, session: Session, person: Person) -> None:
    """Give the client a session of the person; the caller commits."""
    secret = sign_ins.start(
        session,
        person_id=person.id,
        agent="test",
        address="127.0.0.1",
        lifetime=timedelta(days=14),
        now=datetime.now(UTC),
    )
    with client.session_transaction() as cookie:
        cookie.clear()
        cookie["_user_id"] = secret


def token(session: Session, person: Person, *scopes: Scope) -> str:
    """A Bearer token of the person, with all scopes unless some are named; the caller commits."""
    secret = f"yiqi_test-{person.name.lower()}-{'-'.join(scopes) or 'all'}"
    session.add(
        ApiToken(
            person_id=person.id,
            name="test",
            secret_hash=hashed(secret),
            scopes=[scope.value for scope in scopes or Scope],
            created_at=JOINED,
        )
    )
    session.flush()
    return secret


def bearer(session: Session, person: Person, *scopes: Scope) -> dict[str, str]:
    """The header that goes with `token`."""
    return {"Authorization": f"Bearer {token(session, person, *scopes)}"}


@cache
def password_hash() -> str:
    """Of PASSWORD, made cheaply."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def _person(session: Session, name: str, membership: tuple[Role, dict[str, int] | None]) -> Person:
    email = f"{name.lower()}@example.org"
    found = session.scalar(select(Person).where(Person.email == email))
    if found is None:
        found = Person(
            email=email,
            name=name,
            password_hash=password_hash(),
            created_at=JOINED,
            email_confirmed_at=JOINED,
        )
        session.add(found)
        session.flush()
    role, place = membership
    if place is not None and not _has(session, found, role, place):
        session.add(Membership(person_id=found.id, role=role, **place))
        session.flush()
    return found


def _has(session: Session, person: Person, role: Role, place: dict[str, int]) -> bool:
    query = select(Membership.id).filter_by(person_id=person.id, role=role, **place)
    return session.scalar(query) is not None


def _organisation(session: Session, code: str, zh: str, en: str, kind: OrganisationKind) -> Organisation:
    found = session.scalar(select(Organisation).where(Organisation.code == code))
    if found is None:
        found = Organisation(code=code, name_zh=zh, name_en=en, kind=kind)
        session.add(found)
        session.flush()
    return found
