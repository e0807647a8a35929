"""Health: what the database says of itself, and what of it should keep a server from being used."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking.domain.access import Role
from booking.services import notifications
from models import Membership, Person, PersonState, guards

OUTBOX_LAG = timedelta(minutes=10)
"""Mail older than this that nobody could send means that the jobs or the mail server stand still."""

ROOM = 200_000_000
"""Bytes that must be left on the disk."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the database says: its migration, the guards it lacks, and whether it lets us write."""

    revision: str | None
    lacking: tuple[str, ...]
    not_writable: str
    waiting: int
    lag: timedelta
    durable: bool


@dataclass(frozen=True, slots=True)
class About:
    """Which database it is; an embedded one has no clock of its own."""

    engine: str
    version: str
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be."""

    code: str
    detail: str


def vitals(session: Session, *, newest: str, now: datetime) -> Vitals:
    """Look at the database, in a session that may write and whose work is undone afterwards.

    Tables of another migration than `newest`, that of this release, are not looked into.
    """
    revision = _revision(session)
    if revision != newest:
        return Vitals(revision, (), "", 0, timedelta(0), durable=True)
    lacking = tuple(guards.missing(session.connection()))
    backlog = notifications.backlog(session, now=now)
    lag = now - backlog.since if backlog.since else timedelta(0)
    durable = _durable(session)
    return Vitals(revision, lacking, _try_to_write(session), backlog.waiting, lag, durable)


def about(session: Session) -> About:
    """Tell which database it is and what its clock says."""
    if session.get_bind().dialect.name == "sqlite":
        return About("SQLite", str(session.scalar(text("SELECT sqlite_version()"))), None)
    version = str(session.scalar(text("SELECT current_setting('server_version')")))
    return About("PostgreSQL", version, session.scalar(text("SELECT clock_timestamp()")))


def administrators(session: Session) -> int:
    """Count the people who administer and may sign in."""
    query = (
        select(func.count())
        .select_from(Membership)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.role == Role.ADMINISTRATOR, Person.state == PersonState.ACTIVE)
    )
    return session.scalar(query) or 0


def is_current(session: Session, *, newest: str) -> bool:
    """Tell whether the tables are at the newest migration and all guards stand."""
    return _revision(session) == newest and not guards.missing(session.connection())


def faults(found: Vitals, *, newest: str, free: int, production: bool) -> list[Fault]:
    """Judge what was found; `newest` is the migration of this release, `free` the bytes left on the disk.

    Only in production must commits outlive a power loss.
    """
    wrong = []
    if found.revision != newest:
        have = found.revision or "none"
        wrong.append(Fault("migrations", f"the database is at {have}, this release needs {newest}"))
    if found.lacking:
        wrong.append(Fault("guards", f"missing: {', '.join(found.lacking)}"))
    if found.not_writable:
        wrong.append(Fault("read_only", found.not_writable))
    if production and not found.durable:
        wrong.append(Fault("durability", "a power loss may take bookings that were confirmed"))
    if free < ROOM:
        wrong.append(Fault("disk", f"{free // 1_000_000} MB left"))
    if found.lag > OUTBOX_LAG:
        minutes = int(found.lag.total_seconds() // 60)
        wrong.append(Fault("outbox", f"{found.waiting} waiting, the oldest for {minutes} min"))
    return wrong


def _revision(session: Session) -> str | None:
    connection = session.connection()
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = session.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def _durable(session: Session) -> bool:
    """Tell whether an acknowledged commit outlives a power loss, as far as the database's settings go."""
    if session.get_bind().dialect.name == "sqlite":
        return int(session.scalar(text("PRAGMA synchronous")) or 0) >= 2
    query = "SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off'"
    return bool(session.scalar(text(query)))


def _try_to_write(session: Session) -> str:
    """Write where nothing is kept and say what went wrong; the caller rolls it back."""
    try:
        session.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except DBAPIError as error:
        return str(error.orig).strip()
    return ""
