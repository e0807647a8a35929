"""People: their accounts, passwords and roles."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NewType
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from booking.domain import one_time, passwords
from booking.domain.access import VISITOR, Actor, Forbidden, NotFound, Role, Subject, could, may, require
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.text import clean_line
from booking.services import events, sign_in
from models import (
    ApiToken,
    Facility,
    Membership,
    MembershipRequest,
    Network,
    OneTimeLink,
    Organisation,
    Person,
    PersonState,
    Purpose,
)

PasswordHash = NewType("PasswordHash", str)
Place = Organisation | Facility | Network

CONFIRM_EMAIL, RESET_PASSWORD = Purpose.CONFIRM_EMAIL.value, Purpose.RESET_PASSWORD.value
JOIN = Purpose.JOIN.value

LIVES = {
    Purpose.RESET_PASSWORD: timedelta(hours=1),
    Purpose.CONFIRM_EMAIL: timedelta(days=3),
    Purpose.JOIN: timedelta(days=14),
}
"""How long a mailed link works."""

SIGNED_UP = "person.signed_up"
INVITED = "person.invited"
RESET_ASKED = "person.password_reset_asked"
"""The events that are mailed; their `link_id` is the link's."""

PLACES = {
    Role.MEMBER: "organisation",
    Role.LEADER: "organisation",
    Role.OPERATOR: "facility",
    Role.MANAGER: "facility",
    Role.OFFICER: "network",
    Role.ADMINISTRATOR: None,
}
"""Of what each role is one."""

MOST_REQUESTS = 200
"""How many requests for membership are shown at once, the oldest first."""

_TABLES: dict[str, Any] = {"organisation": Organisation, "facility": Facility, "network": Network}

# Argon2id with 19 MiB, 2 passes, 1 lane: the least that OWASP's password storage sheet asks for, so that many
# who sign in at once do not exhaust a small server's memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+\Z")
_LOCALES = re.compile(r"[A-Za-z]{2,3}(_[A-Za-z]{2,4}){0,2}\Z")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whose password is to be checked before they are let in."""

    person_id: UUID
    password_hash: str | None
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who wants to be a member of an organisation."""

    person: Person
    organisation: Organisation
    asked_at: datetime


# --- passwords ------------------------------------------------------------------------------------


def hash_password(password: str, *, email: str = "", name: str = "", field: str = "password") -> PasswordHash:
    """Make what is kept of a new password. Slow by design: call it outside of a transaction.

    :raises Invalid: for the field, if the password is too short, too long or too common
    """
    fault = passwords.fault(password, name, *re.split(r"[@.]", email))
    if fault is not None:
        raise Invalid({field: fault})
    return PasswordHash(_hasher.hash(_bytes(password)))


def hash_pin(pin: str) -> PasswordHash:
    """Make what is kept of a PIN; as slow, and to be called outside of a transaction."""
    return PasswordHash(_hasher.hash(_bytes(pin)))


def matches(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is right, as slowly where there is none. Call it outside of a transaction."""
    if len(password) > passwords.LONGEST:
        password = ""
    try:
        right = _hasher.verify(password_hash or _nobodys(), _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return right and password_hash is not None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@cache
def _nobodys() -> str:
    """Make a hash that no password opens, with the same cost as all others."""
    return _hasher.hash(uuid4().bytes)


# --- coming in ------------------------------------------------------------------------------------


def create(
    session: Session,
    *,
    email: str,
    name: str,
    password: str | None = None,
    password_hash: PasswordHash | None = None,
    confirmed: bool = True,
    now: datetime,
) -> Person:
    """Make an account; without a password its owner asks for a link to set one.

    :raises Invalid: if the address is malformed or taken, the name is missing or the password will not do
    """
    email = clean_email(email)
    name = clean_line("name", name, longest=150, required=True)
    if password is not None:
        password_hash = hash_password(password, email=email, name=name)
    if by_email(session, email=email) is not None:
        raise Invalid({"email": "taken"})
    person = Person(
        email=email,
        name=name,
        password_hash=password_hash,
        state=PersonState.ACTIVE,
        created_at=now,
        email_confirmed_at=now if confirmed else None,
    )
    session.add(person)
    session.flush()
    return person


def clean_email(raw: str) -> str:
    """Give an address as it is kept, in lower case.

    :raises Invalid: if it is none, or one that mail headers could be broken with
    """
    email = raw.strip().lower()
    if not email:
        raise Invalid({"email": "required"})
    if len(email) > 254 or not _EMAIL.match(email):
        raise Invalid({"email": "malformed"})
    return email


def by_email(session: Session, *, email: str) -> Person | None:
    """Give the person of an address, None if there is none."""
    return session.scalar(select(Person).where(Person.email == email.strip().lower()))


def sign_up(
    session: Session,
    *,
    email: str,
    name: str,
    password_hash: PasswordHash,
    organisation: str = "",
    key: str,
    now: datetime,
) -> None:
    """Make an account that its owner confirms by a mailed link; `organisation` is a code or empty.

    Naming an organisation makes nobody its member: it asks, and `grant_membership` answers.

    Whether the address was known shows nowhere: its owner gets a link to set a new password instead. An
    account that nobody confirmed yet takes the newest name and password; the link asks for that password
    again, so that whoever signed up with somebody else's address never gets it confirmed by its owner.

    :raises Invalid: if the address is malformed, the name missing or the organisation unknown
    """
    email = clean_email(email)
    name = clean_line("name", name, longest=150, required=True)
    place = None
    if organisation:
        place = session.scalar(select(Organisation).where(Organisation.code == organisation))
        if place is None:
            raise Invalid({"organisation": "unknown"})
    person = by_email(session, email=email)
    if person is not None and (person.email_confirmed_at or person.state is not PersonState.ACTIVE):
        _mail_link(session, person, Purpose.RESET_PASSWORD, kind=RESET_ASKED, key=key, now=now)
        return
    if person is None:
        person = create(
            session, email=email, name=name, password_hash=password_hash, confirmed=False, now=now
        )
    else:
        person.name, person.password_hash = name, password_hash
        # Roles at facilities stay: whoever invited this address gave them to its owner, who alone can confirm it.
        session.execute(
            delete(Membership).where(Membership.person_id == person.id, Membership.facility_id.is_(None))
        )
        session.execute(delete(MembershipRequest).where(MembershipRequest.person_id == person.id))
    if place is not None:
        session.add(MembershipRequest(person_id=person.id, organisation_id=place.id, asked_at=now))
        events.record(
            session,
            actor=Actor(person_id=person.id, name=person.name),
            kind="person.membership_asked",
            now=now,
            subject=_subject(person),
            place=place.code,
        )
    send_confirmation(session, person_id=person.id, key=key, now=now)


def send_confirmation(session: Session, *, person_id: UUID, key: str, now: datetime) -> None:
    """Mail the link that confirms an address."""
    person = session.get_one(Person, person_id)
    _mail_link(session, person, Purpose.CONFIRM_EMAIL, kind=SIGNED_UP, key=key, now=now)


def candidate(session: Session, *, email: str) -> Candidate | None:
    """Give whose password is to be checked, None if nobody of this address may sign in."""
    found = session.execute(
        select(Person.id, Person.password_hash, Person.email_confirmed_at).where(
            Person.email == email.strip().lower(), Person.state == PersonState.ACTIVE
        )
    ).one_or_none()
    return None if found is None else _candidate(found.id, found.password_hash, found.email_confirmed_at)


def _candidate(person_id: UUID, password_hash: str | None, confirmed_at: datetime | None) -> Candidate:
    return Candidate(person_id, password_hash, confirmed_at is not None)


def still(session: Session, *, found: Candidate) -> bool:
    """Tell whether the password that was checked is still the person's; it stays so in this transaction."""
    kept = session.execute(
        select(Person.password_hash, Person.state)
        .where(Person.id == found.person_id)
        .with_for_update(read=True)
    ).one_or_none()
    return kept is not None and kept.state is PersonState.ACTIVE and kept.password_hash == found.password_hash


# --- mailed links ---------------------------------------------------------------------------------


def ask_reset(session: Session, *, email: str, key: str, now: datetime) -> None:
    """Mail a link to set a new password, if there is such a person; about as much work if there is none."""
    person = by_email(session, email=email)
    if person is None or person.state is not PersonState.ACTIVE:
        events.record(session, actor=VISITOR, kind="person.password_reset_unknown", now=now)
        return
    _mail_link(session, person, Purpose.RESET_PASSWORD, kind=RESET_ASKED, key=key, now=now)


def _mail_link(
    session: Session,
    person: Person,
    purpose: Purpose,
    *,
    kind: str,
    key: str,
    now: datetime,
    actor: Actor | None = None,
    **data: Any,
) -> None:
    """Write the link, of which an older one of the same purpose makes way, and the event that mails it."""
    session.execute(
        update(OneTimeLink)
        .where(
            OneTimeLink.person_id == person.id, OneTimeLink.purpose == purpose, OneTimeLink.used_at.is_(None)
        )
        .values(used_at=now)
    )
    link_id = uuid4()
    session.add(
        OneTimeLink(
            id=link_id,
            person_id=person.id,
            purpose=purpose,
            secret_hash=one_time.hashed(one_time.secret(key, link_id)),
            created_at=now,
            expires_at=now + LIVES[purpose],
        )
    )
    session.flush()
    himself = Actor(person_id=person.id, name=person.name)
    events.record(
        session,
        actor=actor or himself,
        kind=kind,
        now=now,
        subject=_subject(person),
        link_id=str(link_id),
        **data,
    )


def link_owner(session: Session, *, link_id: UUID, secret: str, purpose: str, now: datetime) -> Candidate:
    """Give whose link it is, without using it up.

    :raises NotFound: if there is no such link, it was used, has run out, or its person may not sign in
    """
    person = _open_link(session, link_id, secret, Purpose(purpose), now)[1]
    return _candidate(person.id, person.password_hash, person.email_confirmed_at)


def confirm(session: Session, *, link_id: UUID, secret: str, now: datetime) -> None:
    """Confirm the address of the link's owner.

    :raises NotFound: if the link does not work
    """
    link, person = _open_link(session, link_id, secret, Purpose.CONFIRM_EMAIL, now)
    link.used_at = now
    person.email_confirmed_at = person.email_confirmed_at or now
    himself = Actor(person_id=person.id, name=person.name)
    events.record(session, actor=himself, kind="person.confirmed", now=now, subject=_subject(person))


def reset_password(
    session: Session, *, link_id: UUID, secret: str, password_hash: PasswordHash, now: datetime
) -> None:
    """Set a new password by a mailed link, which proves the address too; every session ends.

    :raises NotFound: if the link does not work
    """
    link, person = _open_link(session, link_id, secret, Purpose.RESET_PASSWORD, now)
    link.used_at = now
    person.email_confirmed_at = person.email_confirmed_at or now
    himself = Actor(person_id=person.id, name=person.name)
    _set_password(session, himself, person, password_hash, now)


def invite(
    session: Session, *, actor: Actor, person: Person, role: Role, place: Place, key: str, now: datetime
) -> None:
    """Mail somebody who has an account since this moment how to come in; the caller has asked for the right."""
    _mail_link(
        session,
        person,
        Purpose.JOIN,
        kind=INVITED,
        key=key,
        now=now,
        actor=actor,
        role=role.value,
        by=actor.name,
        **_called(place),
    )


def join(
    session: Session, *, link_id: UUID, secret: str, name: str, password_hash: PasswordHash, now: datetime
) -> None:
    """Take up an invitation: the account gets its owner's name and password, and the link proves the address.

    :raises NotFound: if the link does not work
    :raises Invalid: if the name is missing or cannot be kept
    """
    link, person = _open_link(session, link_id, secret, Purpose.JOIN, now)
    person.name = clean_line("name", name, longest=150, required=True)
    link.used_at = now
    person.email_confirmed_at = person.email_confirmed_at or now
    person.password_hash = password_hash
    himself = Actor(person_id=person.id, name=person.name)
    events.record(session, actor=himself, kind="person.joined", now=now, subject=_subject(person))


def _open_link(
    session: Session, link_id: UUID, secret: str, purpose: Purpose, now: datetime
) -> tuple[OneTimeLink, Person]:
    link = session.scalar(
        select(OneTimeLink)
        .where(OneTimeLink.id == link_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if link is None or not hmac.compare_digest(link.secret_hash, one_time.hashed(secret)):
        raise NotFound("link", link_id)
    if link.purpose is not purpose or link.used_at is not None or link.expires_at <= now:
        raise NotFound("link", link_id)
    person = session.get_one(Person, link.person_id)
    if person.state is not PersonState.ACTIVE:
        raise NotFound("link", link_id)
    return link, person


# --- one's own account ----------------------------------------------------------------------------


def own(session: Session, *, actor: Actor) -> Person:
    """Give the actor's own account with its roles.

    :raises Forbidden: if nobody is signed in
    """
    require(actor, "account.keep")
    return _loaded(session, actor.person_id)


def asked_organisation(session: Session, *, actor: Actor) -> Organisation | None:
    """Give the organisation that has not yet answered whether the actor is its member, None if none was asked."""
    require(actor, "account.keep")
    return session.scalar(
        select(Organisation)
        .join(MembershipRequest, MembershipRequest.organisation_id == Organisation.id)
        .where(MembershipRequest.person_id == actor.person_id)
    )


def change_profile(
    session: Session, *, actor: Actor, name: str, locale: str, zone: str, now: datetime
) -> Person:
    """Change the actor's name, language and zone; an empty language or zone is no choice.

    :raises Invalid: if the name is missing, the language malformed or the zone unknown
    """
    person = own(session, actor=actor)
    name = clean_line("name", name, longest=150, required=True)
    if locale and not _LOCALES.match(locale):
        raise Invalid({"locale": "unknown"})
    if zone and not _is_zone(zone):
        raise Invalid({"zone": "unknown"})
    before = {"name": person.name, "locale": person.locale, "zone": person.zone}
    person.name, person.locale, person.zone = name, locale or None, zone or None
    after = {"name": person.name, "locale": person.locale, "zone": person.zone}
    if before != after:
        changed = sorted(field for field in after if after[field] != before[field])
        events.record(
            session, actor=actor, kind="person.changed", now=now, subject=_subject(person), fields=changed
        )
    return person


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return len(name) <= 64


def change_locale(session: Session, *, actor: Actor, locale: str) -> None:
    """Speak to the actor in this language from now on."""
    require(actor, "account.keep")
    session.execute(update(Person).where(Person.id == actor.person_id).values(locale=locale))


def end_tour(session: Session, *, actor: Actor, now: datetime) -> None:
    """Note that the actor was shown round, or would rather not be."""
    require(actor, "account.keep")
    session.execute(update(Person).where(Person.id == actor.person_id).values(toured_at=now))


def change_password(session: Session, *, actor: Actor, password_hash: PasswordHash, now: datetime) -> None:
    """Set the actor's password, whose old one the caller has checked; every session ends, this one too."""
    _set_password(session, actor, own(session, actor=actor), password_hash, now)


def _set_password(
    session: Session, actor: Actor, person: Person, password_hash: PasswordHash, now: datetime
) -> None:
    person.password_hash = password_hash
    sign_in.end_all(session, person_id=person.id, now=now)
    session.execute(
        update(OneTimeLink)
        .where(
            OneTimeLink.person_id == person.id,
            OneTimeLink.purpose == Purpose.RESET_PASSWORD,
            OneTimeLink.used_at.is_(None),
        )
        .values(used_at=now)
    )
    events.record(
        session,
        actor=actor,
        kind="person.password_changed",
        now=now,
        subject=_subject(person),
        person_id=str(person.id),
    )


# --- who belongs to an organisation ---------------------------------------------------------------


def ask_membership(session: Session, *, actor: Actor, organisation: str, now: datetime) -> None:
    """Ask an organisation, by its code, to be its member; whom one asked before and who has not answered is let be.

    :raises Invalid: if there is no such organisation, or the actor is its member already
    """
    require(actor, "account.keep")
    person = session.scalars(select(Person).filter_by(id=actor.person_id).with_for_update()).one()
    place = session.scalar(select(Organisation).where(Organisation.code == organisation))
    if place is None:
        raise Invalid({"organisation": "unknown" if organisation else "required"})
    if place.id in actor.organisations:
        raise Invalid({"organisation": "taken"})
    asked = session.get(MembershipRequest, person.id)
    if asked is not None and asked.organisation_id == place.id:
        return
    if asked is not None:
        session.delete(asked)
        session.flush()
    session.add(MembershipRequest(person_id=person.id, organisation_id=place.id, asked_at=now))
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="person.asked_to_join",
        now=now,
        subject=_subject(person),
        place=place.code,
    )


def membership_requests(session: Session, *, actor: Actor) -> list[Asking]:
    """Give who waits for the actor's word to become a member, the oldest first, at most `MOST_REQUESTS`.

    Whoever has not confirmed the address, or may not sign in, does not wait for anybody's word yet.

    :raises Forbidden: if the actor neither leads an organisation nor administers
    """
    rows = session.execute(
        select(Person, Organisation, MembershipRequest.asked_at)
        .select_from(MembershipRequest)
        .join(Person, Person.id == MembershipRequest.person_id)
        .join(Organisation, Organisation.id == MembershipRequest.organisation_id)
        .where(*_answered_by(actor))
        .order_by(MembershipRequest.asked_at, Person.id)
        .limit(MOST_REQUESTS)
    )
    return [Asking(person, organisation, asked_at) for person, organisation, asked_at in rows]


def membership_requests_waiting(session: Session, *, actor: Actor) -> int:
    """Give how many wait for the actor's word to become a member.

    :raises Forbidden: if the actor neither leads an organisation nor administers
    """
    query = (
        select(func.count())
        .select_from(MembershipRequest)
        .join(Person, Person.id == MembershipRequest.person_id)
        .where(*_answered_by(actor))
    )
    return session.scalar(query) or 0


def _answered_by(actor: Actor) -> list[ColumnElement[bool]]:
    """Give what holds for those requests of confirmed people that the actor may answer."""
    if not could(actor, "membership.grant"):
        raise Forbidden("membership.grant", sign_in=not actor.signed_in)
    confirmed = [Person.email_confirmed_at.is_not(None), Person.state == PersonState.ACTIVE]
    if actor.administrator:
        return confirmed
    return [*confirmed, MembershipRequest.organisation_id.in_(actor.leads)]


def grant_membership(session: Session, *, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Make somebody who asked a member of the organisation.

    :raises Forbidden: if the actor neither leads an organisation nor administers
    :raises NotFound: if the person asks for none of the actor's, or no more
    """
    request = _open_request(session, actor, person_id)
    columns = {"person_id": person_id, "organisation_id": request.organisation_id}
    if session.scalars(select(Membership.id).filter_by(**columns)).first() is None:
        session.add(Membership(role=Role.MEMBER, **columns))
    _answer(session, actor, request, kind="person.membership_granted", now=now)


def refuse_membership(session: Session, *, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Refuse somebody who asked to be a member; the account stays as it is.

    :raises Forbidden: if the actor neither leads an organisation nor administers
    :raises NotFound: if the person asks for none of the actor's, or no more
    """
    request = _open_request(session, actor, person_id)
    _answer(session, actor, request, kind="person.membership_refused", now=now)


def _open_request(session: Session, actor: Actor, person_id: UUID) -> MembershipRequest:
    """Give the request that the actor may answer; nobody else answers it in this transaction."""
    found = session.scalar(
        select(MembershipRequest)
        .join(Person, Person.id == MembershipRequest.person_id)
        .where(MembershipRequest.person_id == person_id, *_answered_by(actor))
        .with_for_update(of=MembershipRequest)
    )
    if found is None or not may(actor, "membership.grant", Subject(organisation_id=found.organisation_id)):
        raise NotFound("membership", person_id)
    return found


def _answer(session: Session, actor: Actor, request: MembershipRequest, *, kind: str, now: datetime) -> None:
    place = session.get_one(Organisation, request.organisation_id)
    session.delete(request)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        subject=f"person:{request.person_id}",
        place=place.code,
        person_id=str(request.person_id),
    )


# --- administration -------------------------------------------------------------------------------


def people(
    session: Session, *, actor: Actor, words: str = "", page: int = 1, page_size: int = 50
) -> tuple[list[Person], int]:
    """Give a page of all people by name, and how many there are; each word must be in the name or address."""
    require(actor, "person.administer")
    query = select(Person)
    for word in words.split()[:10]:
        query = query.where(
            or_(Person.name.icontains(word, autoescape=True), Person.email.icontains(word, autoescape=True))
        )
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(
        query.options(selectinload(Person.memberships))
        .order_by(Person.name, Person.id)
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    return list(rows), total


def some_person(session: Session, *, actor: Actor, person_id: UUID) -> Person:
    """Give somebody's account with its roles, to an administrator.

    :raises NotFound: if there is none
    """
    require(actor, "person.administer")
    return _loaded(session, person_id)


def _loaded(session: Session, person_id: UUID | None) -> Person:
    found = session.scalar(
        select(Person).where(Person.id == person_id).options(selectinload(Person.memberships))
    )
    if found is None:
        raise NotFound("person", person_id)
    return found


def grant(
    session: Session,
    *,
    actor: Actor,
    person: Person,
    role: Role,
    organisation: Organisation | None = None,
    facility: Facility | None = None,
    network: Network | None = None,
    now: datetime,
) -> Membership:
    """Give a role in the one place that belongs to it, an administrator's in none; twice is as good as once.

    :raises Forbidden: if the actor does not administer
    :raises Invalid: if the place is missing or of the wrong sort
    """
    require(actor, "person.administer")
    places = {"organisation": organisation, "facility": facility, "network": network}
    given = {name for name, place in places.items() if place is not None}
    wanted = PLACES[role]
    if given - {wanted}:
        raise Invalid({"place": "unknown"})
    if wanted is not None and not given:
        raise Invalid({"place": "required"})
    return write_role(
        session,
        actor=actor,
        person=person,
        role=role,
        organisation=organisation,
        facility=facility,
        network=network,
        now=now,
    )


def place_for(session: Session, *, role: Role, code: str) -> Place | None:
    """Give the place of a code of which one may have a role, None if there is none or the role has no place."""
    noun = PLACES[role]
    if noun is None:
        return None
    found: Place | None = session.scalar(select(_TABLES[noun]).where(_TABLES[noun].code == code))
    return found


def holds(session: Session, *, person: Person, role: Role, place: Place) -> bool:
    """Tell whether somebody has a role at a place."""
    column = getattr(Membership, f"{PLACES[role]}_id")
    query = select(Membership.id).where(
        Membership.person_id == person.id, Membership.role == role, column == place.id
    )
    return session.scalars(query).first() is not None


def write_role(
    session: Session,
    *,
    actor: Actor,
    person: Person,
    role: Role,
    organisation: Organisation | None = None,
    facility: Facility | None = None,
    network: Network | None = None,
    invited: bool = False,
    now: datetime,
) -> Membership:
    """Write a role whose place is of the right sort, for a caller who has asked for the right to give it."""
    places = {"organisation": organisation, "facility": facility, "network": network}
    columns = {f"{name}_id": place.id if place else None for name, place in places.items()}
    found = session.scalar(
        select(Membership).where(
            Membership.person_id == person.id,
            Membership.role == role,
            *(getattr(Membership, column).is_not_distinct_from(value) for column, value in columns.items()),
        )
    )
    if found is not None:
        return found
    made = Membership(person_id=person.id, role=role, **columns)
    session.add(made)
    if organisation is not None:
        session.execute(
            delete(MembershipRequest).where(
                MembershipRequest.person_id == person.id,
                MembershipRequest.organisation_id == organisation.id,
            )
        )
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="person.role_given",
        now=now,
        facility_id=facility.id if facility else None,
        subject=_subject(person),
        person_id=str(person.id),
        role=role.value,
        invited=invited,
        **_called(next((place for place in places.values() if place), None)),
    )
    return made


def grant_at(
    session: Session, *, actor: Actor, person_id: UUID, role: str, place: str, now: datetime
) -> Membership:
    """Give a role at the place of a code.

    :raises NotFound: if there is no such person
    :raises Invalid: if there is no such role or place
    """
    someone = some_person(session, actor=actor, person_id=person_id)
    if role not in set(Role):
        raise Invalid({"role": "unknown"})
    noun = PLACES[Role(role)]
    if noun is None:
        return grant(session, actor=actor, person=someone, role=Role(role), now=now)
    if not place:
        raise Invalid({"place": "required"})
    table = _TABLES[noun]
    found: Place | None = session.scalar(select(table).where(table.code == place))
    if found is None:
        raise Invalid({"place": "unknown"})
    return grant(
        session,
        actor=actor,
        person=someone,
        role=Role(role),
        organisation=found if isinstance(found, Organisation) else None,
        facility=found if isinstance(found, Facility) else None,
        network=found if isinstance(found, Network) else None,
        now=now,
    )


def take_role(session: Session, *, actor: Actor, person_id: UUID, membership_id: int, now: datetime) -> None:
    """Take a role away.

    :raises NotFound: if the person has no such role
    :raises Refused: if it is the actor's own right to administer
    """
    someone = some_person(session, actor=actor, person_id=person_id)
    found = next((held for held in someone.memberships if held.id == membership_id), None)
    if found is None:
        raise NotFound("membership", membership_id)
    if found.role is Role.ADMINISTRATOR and someone.id == actor.person_id:
        raise Refused([Reason("own_account")])
    strike_role(session, actor=actor, someone=someone, found=found, now=now)


def strike_role(session: Session, *, actor: Actor, someone: Person, found: Membership, now: datetime) -> None:
    """Strike a role out, for a caller who has asked for the right to take it; the person comes with all of theirs."""
    someone.memberships.remove(found)
    place = _place_of(session, found)
    events.record(
        session,
        actor=actor,
        kind="person.role_taken",
        now=now,
        facility_id=found.facility_id,
        subject=_subject(someone),
        person_id=str(someone.id),
        role=found.role.value,
        **_called(place),
    )


def _place_of(session: Session, held: Membership) -> Place | None:
    if held.organisation_id is not None:
        return session.get_one(Organisation, held.organisation_id)
    if held.facility_id is not None:
        return session.get_one(Facility, held.facility_id)
    return session.get_one(Network, held.network_id) if held.network_id is not None else None


def _called(place: Place | None) -> dict[str, Any]:
    """Give what an event keeps of the place of a role."""
    if place is None:
        return {"place": ""}
    return {"place": place.code, "name_zh": place.name_zh, "name_en": place.name_en}


def disable(session: Session, *, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Let somebody in no more: sessions and tokens end at once and for good.

    :raises Refused: if it is the actor's own account
    """
    someone = some_person(session, actor=actor, person_id=person_id)
    if someone.id == actor.person_id:
        raise Refused([Reason("own_account")])
    if someone.state is PersonState.DISABLED:
        return
    someone.state = PersonState.DISABLED
    sign_in.end_all(session, person_id=someone.id, now=now)
    session.execute(
        update(ApiToken)
        .where(ApiToken.person_id == someone.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    events.record(session, actor=actor, kind="person.disabled", now=now, subject=_subject(someone))


def enable(session: Session, *, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Let somebody in again."""
    someone = some_person(session, actor=actor, person_id=person_id)
    if someone.state is PersonState.ACTIVE:
        return
    someone.state = PersonState.ACTIVE
    events.record(
        session,
        actor=actor,
        kind="person.enabled",
        now=now,
        subject=_subject(someone),
        person_id=str(someone.id),
    )


def end_sessions(session: Session, *, actor: Actor, person_id: UUID, now: datetime) -> None:
    """End every session of somebody, as an administrator."""
    someone = some_person(session, actor=actor, person_id=person_id)
    sign_in.end_all(session, person_id=someone.id, now=now)
    events.record(session, actor=actor, kind="person.sessions_ended", now=now, subject=_subject(someone))


def places_of(session: Session, *, memberships: Iterable[Membership]) -> dict[int, Place | None]:
    """Give of what each role is one, by the membership's id, in three statements whatever their number."""
    held = list(memberships)
    found: dict[int, Place | None] = {}
    for noun, table in _TABLES.items():
        column = f"{noun}_id"
        wanted = {getattr(row, column) for row in held} - {None}
        if not wanted:
            continue
        places = {place.id: place for place in session.scalars(select(table).where(table.id.in_(wanted)))}
        found.update(
            {row.id: places[getattr(row, column)] for row in held if getattr(row, column) is not None}
        )
    return {row.id: found.get(row.id) for row in held}


def _subject(someone: Person) -> str:
    return f"person:{someone.id}"
