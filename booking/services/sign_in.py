"""Sessions of people at the page: kept here, so that they can be seen, ended and trusted to be over."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Scope, actor_from, require
from booking.services import events
from models import Membership, Person, PersonState, SignIn

_person, _membership, _sign_in = Person.__table__.c, Membership.__table__.c, SignIn.__table__.c

PERSON_COLUMNS = (
    _person.id.label("person_id"),
    _person.name,
    _person.email,
    _person.locale,
    _person.zone,
    _person.toured_at,
    _membership.role,
    _membership.organisation_id,
    _membership.facility_id,
    _membership.network_id,
)
"""What makes an Identity; one row for each membership, one with empty places where there is none."""

# Every request asks this: made once, and of tables, for which SQLAlchemy does a third of the work.
_BY_SECRET = (
    select(_sign_in.id, _sign_in.seen_at, *PERSON_COLUMNS)
    .select_from(
        SignIn.__table__.join(Person.__table__, _person.id == _sign_in.person_id).outerjoin(
            Membership.__table__, _membership.person_id == _person.id
        )
    )
    .where(
        _sign_in.secret_hash == bindparam("secret_hash"),
        _sign_in.ended_at.is_(None),
        _sign_in.expires_at > bindparam("now"),
        _sign_in.seen_at > bindparam("idle_since"),
        _person.state == PersonState.ACTIVE,
    )
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking, and by which session or token; `noted_at` is when its use was last written."""

    actor: Actor
    zone: str | None = None
    sign_in_id: UUID | None = None
    token_id: UUID | None = None
    noted_at: datetime | None = None


def hashed(secret: str) -> bytes:
    """Give what is kept of a secret. It is random and long, so that a fast hash keeps it well."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def start(
    session: Session,
    *,
    person_id: UUID,
    agent: str,
    address: str,
    lifetime: timedelta,
    now: datetime,
) -> str:
    """Begin a session and give its secret, which only the browser will know."""
    secret = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            person_id=person_id,
            secret_hash=hashed(secret),
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
            agent=_shown(agent)[:300],
            address=_shown(address)[:64],
        )
    )
    session.flush()
    return secret


def _shown(raw: str) -> str:
    """Leave out what a browser's name should not hold, and PostgreSQL would not keep."""
    return "".join(character for character in raw if character.isprintable())


def by_secret(session: Session, *, secret: str, idle: timedelta, now: datetime) -> Identity | None:
    """Give who a session stands for, None if it is over or its person may not sign in. One statement."""
    params = {"secret_hash": hashed(secret), "now": now, "idle_since": now - idle}
    rows = session.execute(_BY_SECRET, params).all()
    if not rows:
        return None
    return Identity(
        actor=actor_of_rows(rows), zone=rows[0].zone, sign_in_id=rows[0].id, noted_at=rows[0].seen_at
    )


def actor_of_rows(rows: Sequence[Any], scopes: Iterable[Scope] | None = None) -> Actor:
    """Build the actor from rows of `PERSON_COLUMNS`."""
    first = rows[0]
    return actor_from(
        (
            (row.role, row.organisation_id, row.facility_id, row.network_id)
            for row in rows
            if row.role is not None
        ),
        person_id=first.person_id,
        name=first.name,
        email=first.email,
        locale=first.locale,
        newcomer=first.toured_at is None,
        scopes=None if scopes is None else frozenset(scopes),
    )


def note_use(session: Session, *, sign_in_id: UUID, now: datetime) -> None:
    """Note that the session is in use, never back in time."""
    session.execute(update(SignIn).where(SignIn.id == sign_in_id, SignIn.seen_at < now).values(seen_at=now))


def listing(session: Session, *, actor: Actor, idle: timedelta, now: datetime) -> list[SignIn]:
    """Give the actor's living sessions, the last used first."""
    require(actor, "account.keep")
    return list(
        session.scalars(
            select(SignIn)
            .where(
                SignIn.person_id == actor.person_id,
                SignIn.ended_at.is_(None),
                SignIn.expires_at > now,
                SignIn.seen_at > now - idle,
            )
            .order_by(SignIn.seen_at.desc())
        )
    )


def end(session: Session, *, actor: Actor, sign_in_id: UUID, now: datetime) -> None:
    """End one of the actor's own sessions; ending it again changes nothing.

    :raises NotFound: if the actor has no such session
    """
    require(actor, "account.keep")
    found = session.scalar(select(SignIn).where(SignIn.id == sign_in_id, SignIn.person_id == actor.person_id))
    if found is None:
        raise NotFound("sign_in", sign_in_id)
    found.ended_at = found.ended_at or now


def end_others(session: Session, *, actor: Actor, keep: UUID | None, now: datetime) -> None:
    """End all of the actor's sessions but the one to keep."""
    require(actor, "account.keep")
    if actor.person_id is not None:
        end_all(session, person_id=actor.person_id, keep=keep, now=now)
        events.record(
            session, actor=actor, kind="person.sessions_ended", now=now, subject=f"person:{actor.person_id}"
        )


def end_all(session: Session, *, person_id: UUID, now: datetime, keep: UUID | None = None) -> None:
    """End every session of a person; for callers who have asked whether they may."""
    ending = update(SignIn).where(SignIn.person_id == person_id, SignIn.ended_at.is_(None))
    if keep is not None:
        ending = ending.where(SignIn.id != keep)
    session.execute(ending.values(ended_at=now))


def prune(session: Session, *, before: datetime) -> None:
    """Drop the sessions that were over before this time."""
    session.execute(delete(SignIn).where(SignIn.expires_at < before))
