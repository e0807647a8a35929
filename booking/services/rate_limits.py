"""Counters of attempts, shared by all processes through the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sqlalchemy import bindparam, delete, text
from sqlalchemy.orm import Session
from sqlalchemy.types import Float, Integer

from models import RateLimit

_COUNT = text(
    """INSERT INTO rate_limit (key, n, until) VALUES (:key, :n, :now + :seconds)
 ON CONFLICT (key) DO UPDATE SET
  n = CASE WHEN rate_limit.until <= :now THEN :n ELSE rate_limit.n + :n END,
  until = CASE WHEN rate_limit.until <= :now THEN :now + :seconds ELSE rate_limit.until END
 RETURNING n, until"""
).bindparams(bindparam("n", type_=Integer), bindparam("now", type_=Float), bindparam("seconds", type_=Float))
_GIVE_BACK = text("UPDATE rate_limit SET n = n - :one WHERE key = :key AND n > 0").bindparams(
    bindparam("one", value=1, type_=Integer)
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many in so many seconds."""

    name: str
    most: int
    seconds: int


class TooMany(Exception):
    """Somebody asked too often; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        """Remember when it is worth trying again."""
        super().__init__(f"retry after {retry_after} s")
        self.retry_after = retry_after


def count(session: Session, *, attempts: Iterable[tuple[Limit, str]], now: datetime) -> None:
    """Count one attempt under each of the limits for its key.

    Taken in order of their names, so that two attempts never wait for each other in a ring.

    :raises TooMany: if one of them is used up; the caller's rollback then leaves the counters full
    """
    for limit, key in sorted(attempts, key=lambda attempt: (attempt[0].name, attempt[1])):
        n, until = add(session, limit=limit, key=key, n=1, now=now)
        if n > limit.most:
            raise TooMany(retry_after=max(1, ceil(until - now.timestamp())))


def add(session: Session, *, limit: Limit, key: str, n: int, now: datetime) -> tuple[int, float]:
    """Count so many at once, and give how many there are now and when, in seconds, they are forgotten."""
    params = {"key": _key(limit, key), "n": n, "now": now.timestamp(), "seconds": float(limit.seconds)}
    total, until = session.execute(_COUNT, params).one()
    return total, until


def clear(session: Session, *, limit: Limit, key: str) -> None:
    """Forget the attempts: this one proved to be right."""
    session.execute(delete(RateLimit).where(RateLimit.key == _key(limit, key)))


def give_back(session: Session, *, limit: Limit, key: str) -> None:
    """Take one attempt back: it proved to be right, which says nothing of the others."""
    session.execute(_GIVE_BACK, {"key": _key(limit, key)})


def prune(session: Session, *, now: datetime) -> None:
    """Drop the counters whose time is over."""
    session.execute(delete(RateLimit).where(RateLimit.until <= now.timestamp()))


def _key(limit: Limit, key: str) -> str:
    return f"{limit.name}:{key}"[:200]
