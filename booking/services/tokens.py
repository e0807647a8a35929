"""API tokens: scoped secrets for programs, shown once."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Scope, require
from booking.domain.rules import Invalid
from booking.domain.text import clean_line
from booking.services import events
from booking.services.sign_in import PERSON_COLUMNS, Identity, actor_of_rows, hashed
from models import ApiToken, Membership, Person, PersonState

PREFIX = "yiqi_"
"""Starts every token, so that people and scanners know one when they see it."""

MOST = 50
"""Nobody has more living tokens."""

LONGEST = timedelta(days=730)

_token, _person, _membership = ApiToken.__table__.c, Person.__table__.c, Membership.__table__.c

# Every request of a program asks this; see services.sign_in.
_BY_SECRET = (
    select(_token.id, _token.scopes, _token.used_at, *PERSON_COLUMNS)
    .select_from(
        ApiToken.__table__.join(Person.__table__, _person.id == _token.person_id).outerjoin(
            Membership.__table__, _membership.person_id == _person.id
        )
    )
    .where(
        _token.secret_hash == bindparam("secret_hash"),
        _token.revoked_at.is_(None),
        or_(_token.expires_at.is_(None), _token.expires_at > bindparam("now")),
        _person.state == PersonState.ACTIVE,
    )
)


def make(
    session: Session,
    *,
    actor: Actor,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None,
    now: datetime,
    person_id: UUID | None = None,
) -> tuple[ApiToken, str]:
    """Make a token, for oneself or, as an administrator, for another, and give it with its secret.

    :raises Invalid: if the name, the scopes or the expiry make no sense, or there are too many tokens already
    """
    require(actor, "account.keep" if person_id is None else "person.administer")
    owner = actor.person_id if person_id is None else person_id
    if owner is None or session.get(Person, owner) is None:
        raise NotFound("person", owner)
    errors = {}
    wanted = sorted(set(scopes))
    if not wanted:
        errors["scopes"] = "required"
    elif not set(wanted) <= set(Scope):
        errors["scopes"] = "unknown"
    if expires_at is not None and not now < expires_at <= now + LONGEST:
        errors["expires"] = "out_of_range"
    if errors:
        raise Invalid(errors)
    if len(_living(session, owner, now)) >= MOST:
        raise Invalid({"name": "too_many"}, most=MOST)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        person_id=owner,
        name=clean_line("name", name, longest=100),
        secret_hash=hashed(secret),
        scopes=wanted,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="token.made",
        now=now,
        subject=f"token:{token.id}",
        person_id=str(owner),
        scopes=wanted,
    )
    return token, secret


def by_secret(session: Session, *, secret: str, now: datetime) -> Identity | None:
    """Give who a token stands for and with which scopes, None if it is not valid. One statement."""
    rows = session.execute(_BY_SECRET, {"secret_hash": hashed(secret), "now": now}).all()
    if not rows:
        return None
    first = rows[0]
    # Never used counts as noted at the beginning of time: the first use is written at once.
    noted = first.used_at or datetime.min.replace(tzinfo=now.tzinfo)
    scopes = frozenset(Scope(scope) for scope in first.scopes)
    return Identity(actor=actor_of_rows(rows, scopes), zone=first.zone, token_id=first.id, noted_at=noted)


def note_use(session: Session, *, token_id: UUID, agent: str = "", now: datetime) -> None:
    """Note when the token was last used and by which program, never back in time."""
    session.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id, or_(ApiToken.used_at.is_(None), ApiToken.used_at < now))
        .values(used_at=now, agent="".join(letter for letter in agent if letter.isprintable())[:300])
    )


def listing(session: Session, *, actor: Actor, now: datetime) -> list[ApiToken]:
    """Give the actor's living tokens, the newest first."""
    require(actor, "account.keep")
    return [] if actor.person_id is None else _living(session, actor.person_id, now)


def revoke(session: Session, *, actor: Actor, token_id: UUID, now: datetime) -> None:
    """Make one of the actor's own tokens useless; doing it again changes nothing.

    :raises NotFound: if the actor has no such token
    """
    require(actor, "account.keep")
    token = session.scalar(
        select(ApiToken).where(ApiToken.id == token_id, ApiToken.person_id == actor.person_id)
    )
    if token is None:
        raise NotFound("token", token_id)
    if token.revoked_at is None:
        token.revoked_at = now
        events.record(session, actor=actor, kind="token.revoked", now=now, subject=f"token:{token.id}")


def _living(session: Session, person_id: UUID, now: datetime) -> list[ApiToken]:
    return list(
        session.scalars(
            select(ApiToken)
            .where(
                ApiToken.person_id == person_id,
                ApiToken.revoked_at.is_(None),
                or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
            )
            .order_by(ApiToken.created_at.desc(), ApiToken.id)
        )
    )
