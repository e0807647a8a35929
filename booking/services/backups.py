"""Backups: every row as plain values that either engine can take in again, and the way back.

A backup holds data and nothing else: no statement, no file name that is obeyed. It is read in one snapshot.
What would be of no use or no good afterwards is left out: sessions, one-time links, counters, and who runs
the jobs.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Enum,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    TextClause,
    Uuid,
    delete,
    exists,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from models import Base, guards
from models.base import UtcDateTime

LEFT_OUT = frozenset({"rate_limit", "sign_in", "one_time_link", "job_lease", "stamp"})
CHUNK = 2000

Columns = Sequence[tuple[str, str]]
Row = list[Any]

_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (UtcDateTime, "time"),
    (Enum, "text"),
    (Uuid, "uuid"),
    (LargeBinary, "bytes"),
    (JSON, "json"),
    (Boolean, "boolean"),
    (Date, "date"),
    (Float, "float"),
    (Numeric, "decimal"),
    (Integer, "integer"),
    (String, "text"),
)
_KNOWN = frozenset(kind for _, kind in _KINDS)
_ENCODE: dict[str, Callable[[Any], Any]] = {
    "time": datetime.isoformat,
    "date": date.isoformat,
    "uuid": str,
    "decimal": str,
    "bytes": lambda value: base64.b64encode(value).decode(),
}


def _sqlite_time(value: str) -> str:
    """Turn `2026-11-02T08:00:00+00:00` into `2026-11-02 08:00:00.000000`.

    :raises ValueError: if it is no time in UTC
    """
    at = datetime.fromisoformat(value)
    if at.utcoffset() != timedelta(0):
        raise ValueError(f"no time in UTC: {value!r}")
    return at.isoformat(" ", "microseconds")[:26]


_STORED: dict[str, Callable[[Any], Any]] = {
    "time": _sqlite_time,
    "uuid": lambda value: UUID(value).hex,
    "decimal": float,
    "boolean": int,
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "bytes": base64.b64decode,
}
"""How SQLite keeps what the archive holds in another form; SQLAlchemy's types read it so."""

_COPIED: dict[str, Callable[[Any], Any]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "bytes": base64.b64decode,
}
"""What PostgreSQL does not read from the archive's text by itself."""


class Misfit(Exception):
    """The rows do not fit the tables; the message says why."""


def snapshot(session: Session) -> None:
    """See the database as it is now, in all that this session reads from here on."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("SET LOCAL statement_timeout = 0"))
    else:
        session.execute(text("SELECT 1 FROM sqlite_master"))


def tables() -> list[str]:
    """Give the tables that a backup holds, those first that others point at."""
    return [table.name for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def columns(table: str) -> Columns:
    """Give the columns of a table with the kind of their values."""
    return [(column.name, _kind(column)) for column in Base.metadata.tables[table].columns]


def rows(session: Session, table: str) -> Iterator[Row]:
    """Give the rows of a table as values that JSON knows."""
    chosen = Base.metadata.tables[table]
    encoders = [_ENCODE.get(_kind(column)) for column in chosen.columns]
    found = session.execute(select(chosen).execution_options(yield_per=CHUNK))
    for row in found:
        yield [
            value if encode is None or value is None else encode(value)
            for encode, value in zip(encoders, row, strict=True)
        ]


def revision(session: Session) -> str | None:
    """Give the migration that the database is at, None before the first."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    found = session.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def is_empty(session: Session) -> bool:
    """Tell whether no table of a backup has a row."""
    return not any(
        session.scalar(select(exists(select(text("1")).select_from(Base.metadata.tables[name]))))
        for name in tables()
    )


def begin(session: Session, *, empty: bool) -> None:
    """Make ready to take rows in: without guards and limits of time, and without what was there if `empty`.

    The guards come back with `finish`, in the same transaction, or with its end in failure.
    """
    connection = session.connection()
    guards.drop(connection)
    if connection.dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL lock_timeout = 0"))
        # Made anew over all rows at once, which is faster by far than row by row.
        session.execute(text(f"ALTER TABLE occupation DROP CONSTRAINT IF EXISTS {guards.EXCLUSION}"))
    else:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
    if empty:
        _empty(session)


def load(session: Session, *, table: str, columns: Columns, rows: Iterable[Row]) -> int:
    """Take in the rows of one table and give their number.

    The columns are those of the backup: the table may have gained others since, if they have defaults.

    :raises Misfit: if the table or a column is unknown, or the database refuses a row
    """
    _check_fits(session, table, columns)
    copy = _copy if session.get_bind().dialect.name == "postgresql" else _insert
    try:
        return copy(session, table, columns, rows)
    except (psycopg.Error, DBAPIError, ValueError, TypeError, ArithmeticError) as error:
        raise Misfit(f"table {table}: {str(getattr(error, 'orig', error)).strip()}") from error


def finish(session: Session) -> None:
    """Put the guards back, and let new ids follow those that came in.

    :raises Misfit: if the rows overbook an instrument, which the guards would never have let through
    """
    connection = session.connection()
    try:
        guards.create(connection)
    except DBAPIError as error:
        raise Misfit(f"the guards do not stand over these rows: {error.orig}") from error
    if connection.dialect.name == "postgresql":
        present = set(inspect(connection).get_table_names())
        for table in Base.metadata.sorted_tables:
            key = table.autoincrement_column
            if key is not None and table.name in present:
                session.execute(_next_id(table.name, key.name))
        session.execute(text("ANALYZE"))


def _empty(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)}"))
        return
    for table in reversed(Base.metadata.sorted_tables):
        session.execute(delete(table))


def _kind(column: Column[Any]) -> str:
    return next(kind for sort, kind in _KINDS if isinstance(column.type, sort))


def _check_fits(session: Session, table: str, columns: Columns) -> None:
    found = inspect(session.connection())
    if table in LEFT_OUT or not found.has_table(table):
        raise Misfit(f"table {table} is not known here")
    known = {column["name"] for column in found.get_columns(table)}
    strange = [name for name, kind in columns if name not in known or kind not in _KNOWN]
    if strange:
        raise Misfit(f"table {table} has no {', '.join(strange)}")


def _insert(session: Session, table: str, columns: Columns, rows: Iterable[Row]) -> int:
    """Give SQLite the values as it keeps them, which spares the way through SQLAlchemy's types."""
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name, _ in columns)
    places = ", ".join("?" for _ in columns)
    statement = f"INSERT INTO {quote(table)} ({names}) VALUES ({places})"  # noqa: S608 - checked and quoted
    writers = [_STORED.get(kind) for _, kind in columns]
    count = 0
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        connection.exec_driver_sql(statement, [_written(row, writers) for row in chunk])
        count += len(chunk)
    return count


def _written(row: Row, writers: Sequence[Callable[[Any], Any] | None]) -> tuple[Any, ...]:
    return tuple(
        value if write is None or value is None else write(value)
        for write, value in zip(writers, row, strict=True)
    )


def _copy(session: Session, table: str, columns: Columns, rows: Iterable[Row]) -> int:
    """Let PostgreSQL read the values from their text, many times faster than by INSERT."""
    names = [sql.Identifier(name) for name, _ in columns]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), sql.SQL(", ").join(names))
    writers = [_COPIED.get(kind) for _, kind in columns]
    count = 0
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(_written(row, writers))
            count += 1
    return count


def _next_id(table: str, key: str) -> TextClause:
    # Names come from the models; a table without a sequence, whose keys are given, has none to set.
    return text(
        f"SELECT setval(seq, (SELECT COALESCE(MAX({key}), 0) FROM {table}) + 1, false)"  # noqa: S608
        f" FROM pg_get_serial_sequence('{table}', '{key}') AS seq WHERE seq IS NOT NULL"
    )
