"""Roles at a facility: who gives and takes which, and inviting who is not here yet."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import one_time
from booking.domain.access import Forbidden, NotFound, Role
from booking.domain.rules import Invalid
from booking.services import accounts, staff
from models import Event, Membership, OneTimeLink, Person, PersonState
from tests import cast
from tests.factories import make_facility, make_network

KEY = "k" * 32


@pytest.fixture
def people(session: Session):
    lab, yard = make_facility(session, code="LAB"), make_facility(session, code="YARD")
    network = make_network(session, lab, code="NET")
    tam, nora = cast.tam(session, lab), cast.nora(session, network)
    return {
        name: cast.actor_of(session, person)
        for name, person in (
            ("tam", tam),
            ("nora", nora),
            ("cleo", cast.cleo(session)),
            ("ada", cast.ada(session)),
            ("root", cast.root(session)),
        )
    } | {"yard": yard}


def give(session, actor, email="ben@example.org", role=Role.OPERATOR, *, now, code="LAB", invites=True):
    cast.ben(session)
    return staff.give(
        session, actor=actor, code=code, email=email, role=role, invites=invites, key=KEY, now=now
    )


def roles_of(session, email):
    query = (
        select(Membership.role).join(Person).where(Person.email == email, Membership.facility_id.is_not(None))
    )
    return set(session.scalars(query))


def test_managers_give_operators_and_officers_managers(session: Session, people, now):
    assert give(session, people["tam"], " BEN@example.org ", now=now) is False
    with pytest.raises(Forbidden):
        give(session, people["tam"], role=Role.MANAGER, now=now)
    give(session, people["nora"], role=Role.MANAGER, now=now)
    assert roles_of(session, "ben@example.org") == {Role.OPERATOR, Role.MANAGER}
    for name, code in (("tam", "YARD"), ("nora", "YARD"), ("cleo", "LAB"), ("ada", "LAB")):
        with pytest.raises(Forbidden):
            give(session, people[name], code=code, now=now)
    for role in (Role.OFFICER, Role.ADMINISTRATOR, Role.LEADER):
        with pytest.raises(Invalid):
            give(session, people["root"], role=role, now=now)
    with pytest.raises(Invalid) as refused:  # or an officer would make themselves a manager
        give(session, people["nora"], "nora@example.org", Role.MANAGER, now=now)
    assert refused.value.errors == {"email": "oneself"}


def test_roles_are_taken_by_those_who_give_them(session: Session, people, now):
    give(session, people["tam"], now=now)
    facility, held = staff.listing(session, actor=people["tam"], code="LAB")
    taken = {one.person.name: one.takes for one in held}
    assert (facility.code, taken) == ("LAB", {"Tam": False, "Ben": True})
    ids = {one.person.name: one.membership.id for one in held}
    with pytest.raises(Forbidden):
        staff.take(session, actor=people["tam"], code="LAB", membership_id=ids["Tam"], now=now)
    with pytest.raises(NotFound):
        staff.take(session, actor=people["root"], code="YARD", membership_id=ids["Ben"], now=now)
    staff.take(session, actor=people["tam"], code="LAB", membership_id=ids["Ben"], now=now)
    assert roles_of(session, "ben@example.org") == set()
    kinds = session.scalars(select(Event.kind).where(Event.kind.startswith("person.role"))).all()
    assert kinds == ["person.role_given", "person.role_taken"]
    with pytest.raises(Forbidden):
        staff.listing(session, actor=people["cleo"], code="LAB")


def test_who_is_not_here_yet_is_invited_and_comes_in(session: Session, people, now):
    with pytest.raises(Invalid) as refused:
        give(session, people["tam"], "dora@example.org", invites=False, now=now)
    assert refused.value.errors == {"email": "nobody"}
    assert give(session, people["tam"], "dora@example.org", now=now) is True
    assert accounts.candidate(session, email="dora@example.org").password_hash is None
    assert give(session, people["tam"], "dora@example.org", now=now) is True  # the letter was lost
    older, newer = (
        UUID(row.data["link_id"])
        for row in session.scalars(select(Event).where(Event.kind == "person.invited").order_by(Event.id))
    )
    password = accounts.hash_password("paper kite over the lake")

    def join(link_id: UUID, *, secret=None, later=timedelta()):
        accounts.join(
            session,
            link_id=link_id,
            secret=secret or one_time.secret(KEY, link_id),
            name="Dora",
            password_hash=password,
            now=now + later,
        )

    for wrong in ({"link_id": older}, {"link_id": newer, "secret": "guessed"}):
        with pytest.raises(NotFound):
            join(**wrong)
    with pytest.raises(NotFound):
        join(newer, later=timedelta(days=15))
    join(newer)
    dora = session.scalars(select(Person).where(Person.email == "dora@example.org")).one()
    assert (dora.name, dora.email_confirmed_at, roles_of(session, dora.email)) == (
        "Dora",
        now,
        {Role.OPERATOR},
    )
    with pytest.raises(NotFound):
        join(newer)
    assert session.get(OneTimeLink, newer).used_at == now


def test_signing_up_under_an_invited_address_takes_no_role_from_its_owner(session: Session, people, now):
    give(session, people["tam"], "dora@example.org", now=now)
    stranger = accounts.hash_password("not hers at all, this one")
    for _ in range(2):
        accounts.sign_up(
            session, email="dora@example.org", name="Mallory", password_hash=stranger, key=KEY, now=now
        )
    assert roles_of(session, "dora@example.org") == {Role.OPERATOR}


def test_who_may_not_sign_in_gets_no_role(session: Session, people, now):
    cast.ben(session).state = PersonState.DISABLED
    with pytest.raises(Invalid) as refused:
        give(session, people["tam"], now=now)
    assert refused.value.errors == {"email": "nobody"}
