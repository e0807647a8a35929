"""The engine, transactions and migrations; the only place that commits."""

import re
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

if TYPE_CHECKING:  # Alembic takes long to load, and a server that only serves never needs it
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class Unavailable(Exception):
    """The database does not answer in time; trying again later may help."""


class _State:
    engine: Engine | None = None
    others: tuple[Engine, ...] = ()
    unbegun: ClassVar[dict[Engine, Engine]] = {}
    writing: Engine | None = None
    writer: Any = nullcontext()


_state = _State()
_reads_from: ContextVar[Engine | None] = ContextVar("reads_from", default=None)
_committed: ContextVar[bool] = ContextVar("committed", default=False)

UNKNOWN = "FFFFFFFF/FFFFFFFF"
"""A place in the log that no replica has reached."""

IDLE = 30.0
"""Seconds after which a connection is asked whether it still answers before it is used again."""

_TRANSIENT = {"25006", "25P03"}
"""What PostgreSQL says of a server that is not yet promoted, and of a transaction that stood still too long."""


def make_engine(
    url: str,
    *,
    pool_size: int = 16,
    statement_timeout_ms: int = 15000,
    foreign_keys: bool = True,
    pooled: bool = False,
) -> Engine:
    """Make an engine with this project's transaction policy.

    SQLite: the driver never begins by itself; writers (execution option `write`) begin IMMEDIATE, so that two never
    count the same room; WAL with full sync, so that an acknowledged commit outlives a power loss.
    PostgreSQL: psycopg 3, sessions in UTC. What faults say, which goes to logs, holds no values of either.
    `pooled` is PgBouncer in transaction mode: it knows no session, so nothing is prepared in one, and its zone and
    limits are those of the role.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            parsed, pool_size=pool_size, max_overflow=pool_size, pool_timeout=10, hide_parameters=True
        )
        _sqlite_policy(engine, foreign_keys=foreign_keys)
        return engine
    parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "yiqi",
            **({"prepare_threshold": None} if pooled else {"options": _options(statement_timeout_ms)}),
        },
    )
    _look_before_use(engine)
    return engine


def _look_before_use(engine: Engine) -> None:
    """Replace connections that the server has ended before anybody uses them.

    On what it ended there is something to be read, if only the end: that costs no question. One that lay idle for
    long is asked, since who cut it off may have said nothing.
    """

    @event.listens_for(engine, "checkin")
    def _laid_down(_dbapi: object, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _look(dbapi: Any, record: Any, _fairy: object) -> None:
        since = record.info.get("idle_since")
        if since is None:  # it was only now opened
            return
        try:
            if time.monotonic() - since > IDLE or _readable(dbapi.fileno()):
                engine.dialect.do_ping(dbapi)
        except engine.dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None


def _readable(descriptor: int) -> bool:
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))


def _options(limit: int) -> str:
    # The last one: what a process locked that was paused or cut off within a transaction, comes free again.
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return " ".join(["-c timezone=UTC", *(f"-c {name}={limit}" for name in limits)])


def _sqlite_policy(engine: Engine, *, foreign_keys: bool) -> None:
    pragmas = (
        "journal_mode=WAL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        "busy_timeout=8000",
        "synchronous=FULL",
        "cache_size=-16000",
    )

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: object) -> None:
        dbapi.isolation_level = None
        for pragma in pragmas:
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("unbegun"):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write") else "BEGIN")


def init(url: str, *, pool_size: int = 16, statement_timeout_ms: int = 15000, pooled: bool = False) -> Engine:
    """Use this database in the whole process from now on."""
    dispose()
    _state.engine = make_engine(
        url, pool_size=pool_size, statement_timeout_ms=statement_timeout_ms, pooled=pooled
    )
    # Writers of one process queue here in turn; SQLite's own waiting is by retry, and unfair.
    _state.writing = _state.engine.execution_options(write=True)
    _state.writer = threading.Lock() if _state.engine.dialect.name == "sqlite" else nullcontext()
    return _state.engine


def another(url: str, **how: Any) -> Engine:
    """Make a further engine for `elsewhere`, with what `make_engine` takes; it ends with the process's own."""
    made = make_engine(url, **how)
    _state.others += (made,)
    return made


def dispose() -> None:
    """Close every connection of the process."""
    for one in (_state.engine, *_state.others):
        if one is not None:
            one.dispose()
    _state.engine, _state.writing, _state.others = None, None, ()
    _state.unbegun.clear()


def engine() -> Engine:
    """Give the process's engine.

    :raises RuntimeError: if `init` was not called
    """
    if _state.engine is None:
        raise RuntimeError("no database: call booking.db.init first")
    return _state.engine


@contextmanager
def transaction() -> Iterator[Session]:
    """Commit on leaving, roll back on raising; for everything that writes.

    :raises Unavailable: if the database cannot be reached or stays locked
    """
    with _state.writer, _known_faults():
        session = Session(_writing(), expire_on_commit=False)
        try:
            yield session
            session.commit()
            _committed.set(True)
            _reads_from.set(None)
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()


def _writing() -> Engine:
    """Give the engine of those who write, made once: making it costs as much as a small statement.

    :raises RuntimeError: if `init` was not called
    """
    return _state.writing or engine().execution_options(write=True)


@contextmanager
def rehearsal() -> Iterator[Session]:
    """Give a session that may write and whose work is always undone.

    :raises Unavailable: if the database cannot be reached or stays locked
    """
    with _state.writer, _known_faults():
        session = Session(_writing(), expire_on_commit=False)
        try:
            yield session
        finally:
            session.rollback()
            session.close()


@contextmanager
def reading(*, begun: bool = True) -> Iterator[Session]:
    """Give a session that never writes and takes no lock; within `elsewhere` it reads there.

    Where `begun` is no matter, the database is not asked to begin and end a transaction: every statement sees what is
    committed when it starts, on PostgreSQL within one or without. Only a cursor over many rows needs one.

    :raises Unavailable: if the database cannot be reached
    """
    source = _reads_from.get() or engine()
    with _known_faults():
        session = Session(source if begun else _unbegun(source), expire_on_commit=False, autoflush=False)
        try:
            yield session
        finally:
            # Ends the transaction too; a rollback before it would empty what was read.
            session.close()


def _unbegun(source: Engine) -> Engine:
    found = _state.unbegun.get(source)
    if found is None:
        sqlite = source.dialect.name == "sqlite"
        options = {"unbegun": True} if sqlite else {"isolation_level": "AUTOCOMMIT"}
        found = source.execution_options(**options)
        _state.unbegun[source] = found
    return found


@contextmanager
def reading_newest() -> Iterator[Session]:
    """Give a session to read in that sees whatever was committed, by anybody; each statement as it is then.

    :raises Unavailable: if the database cannot be reached
    """
    with elsewhere(None), reading(begun=False) as session:
        yield session


@contextmanager
def elsewhere(replica: Engine | None) -> Iterator[None]:
    """Let what is read within come from a replica, until something is written; None is the database itself."""
    token = _reads_from.set(replica)
    try:
        yield
    finally:
        _reads_from.reset(token)


def committed() -> bool:
    """Tell whether anything was committed since this was last asked, in this thread."""
    found = _committed.get()
    _committed.set(False)
    return found


def position() -> str:
    """Give the place in PostgreSQL's log behind all that is committed; `UNKNOWN` while nobody can tell."""
    try:
        with reading_newest() as session:
            return str(session.scalar(text("SELECT pg_current_wal_insert_lsn()")))
    except Unavailable:
        return UNKNOWN


def analyse() -> None:
    """Refresh what the planner knows of the tables, and on PostgreSQL what a covering index may answer alone.

    :raises Unavailable: if the database cannot be reached
    """
    with _known_faults():
        if engine().dialect.name == "sqlite":
            with transaction() as session:
                session.execute(text("ANALYZE"))
            return
        with engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM (ANALYZE)"))


@contextmanager
def _known_faults() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("all connections of the process are in use") from error
    except DBAPIError as error:
        if isinstance(error, OperationalError) or getattr(error.orig, "sqlstate", None) in _TRANSIENT:
            raise Unavailable(str(error.orig)) from error
        raise


def migrations() -> list[str]:
    """Give the revisions of this release from the first to the newest, read from the files."""
    after: dict[str, str] = {}
    for path in (MIGRATIONS / "versions").glob("*.py"):
        lines = dict(re.findall(r"^(revision|down_revision)\b[^=]*= (.+)$", path.read_text(), re.MULTILINE))
        after[lines["down_revision"].strip("\"'")] = lines["revision"].strip("\"'")
    found = ["None"]
    while found[-1] in after:
        found.append(after[found[-1]])
    return found[1:]


def newest_migration() -> str:
    """Give the revision that no other one follows."""
    return migrations()[-1]


def alembic_config(url: str) -> "Config":
    """Give the settings of the migrations for a database."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database's tables and guards up to the revision; both commit as one."""
    from alembic import command  # noqa: PLC0415

    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to an older revision."""
    from alembic import command  # noqa: PLC0415

    command.downgrade(alembic_config(url), revision)
