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
    """What the database says: its migration, the guards it lacks, and whether it lets us write.

    `loose` names the limits and the zone that our connections have not got.
    """

    revision: str | None
    lacking: tuple[str, ...]
    not_writable: str
    waiting: int
    lag: timedelta
    durable: bool
    loose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """Which database it is; an embedded one has no clock of its own."""

    engine: str
    version: str
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class Replication:
    """How far a replica has got in the log, None for a server that is none, and how many seconds it is behind."""

    reached: str | None
    behind: float | None


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
    loose = _loose(session)
    return Vitals(revision, lacking, _try_to_write(session), backlog.waiting, lag, durable, loose)


def about(session: Session) -> About:
    """Tell which database it is and what its clock says."""
    if session.get_bind().dialect.name == "sqlite":
        return About("SQLite", str(session.scalar(text("SELECT sqlite_version()"))), None)
    version = str(session.scalar(text("SELECT current_setting('server_version')")))
    return About("PostgreSQL", version, session.scalar(text("SELECT clock_timestamp()")))


def replica(session: Session) -> Replication:
    """Tell how a replica of PostgreSQL keeps up; by its own clock, and as of the last change that came to it."""
    query = """SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END,
 extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float"""
    return Replication(*session.execute(text(query)).one())


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


def faults(found: Vitals, *, newest: str, free: int, production: bool, pooled: bool = False) -> list[Fault]:
    """Judge what was found; `newest` is the migration of this release, `free` the bytes left on the disk.

    Only in production must commits outlive a power loss; behind a pooler zone and limits are the role's.
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
    if pooled and found.loose:
        wrong.append(Fault("role", f"not set for the database's user: {', '.join(found.loose)}"))
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


def _loose(session: Session) -> tuple[str, ...]:
    """Give the settings that a pooler may have lost: the zone, and limits that are off."""
    if session.get_bind().dialect.name == "sqlite":
        return ()
    query = """SELECT name FROM pg_settings WHERE name = 'TimeZone' AND setting <> 'UTC' OR setting = '0' AND name IN
 ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') ORDER BY name"""
    return tuple(session.scalars(text(query)))


def _try_to_write(session: Session) -> str:
    """Write where nothing is kept and say what went wrong; the caller rolls it back."""
    try:
        session.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except DBAPIError as error:
        return str(error.orig).strip()
    return ""
