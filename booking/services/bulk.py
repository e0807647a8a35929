"""Many rows at once: COPY on PostgreSQL, one prepared statement on SQLite. Guards and constraints stay."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.orm import Session

from models import Base


def insert(
    session: Session, model: type[Base] | Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows whose values stand in the order of the columns; other columns stay empty.

    :raises IntegrityError: if a constraint or a guard refuses a row, on SQLite; psycopg's own on PostgreSQL
    """
    connection = session.connection()
    dialect = connection.dialect
    table_of = model if isinstance(model, Table) else model.metadata.tables[model.__tablename__]
    processors = [table_of.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]
    written = (_bound(processors, row) for row in rows) if any(processors) else rows
    quote = dialect.identifier_preparer.quote
    table = quote(table_of.name)
    names = ", ".join(quote(name) for name in columns)
    if dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in written:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of ours
    connection.exec_driver_sql(statement, list(written))


def _bound(processors: Sequence[Callable[[Any], Any] | None], row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        value if process is None else process(value) for process, value in zip(processors, row, strict=True)
    )


_CONSTRAINTS = """SELECT c.conrelid::regclass::text, quote_ident(c.conname), pg_get_constraintdef(c.oid)
 FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid IN (c.conrelid, c.confrelid)
 WHERE c.contype IN ('p', 'u', 'x', 'f') AND r.relname = ANY(:tables)
 GROUP BY c.oid, c.conrelid, c.conname, c.contype
 ORDER BY position(c.contype::text IN 'puxf'), c.conname"""

_INDEXES = """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
 FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
 WHERE t.relname = ANY(:tables) AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
 ORDER BY 1"""


@contextmanager
def bare(session: Session, models: Sequence[type[Base]]) -> Iterator[None]:
    """Take keys, indexes and triggers off tables while they are filled, and put them back; on PostgreSQL alone.

    All of it happens in the session's transaction: nobody else ever sees the tables so, and a fault leaves them as
    they were. Keys and constraints check every row when they come back. What the triggers would have refused is for
    the caller to look for.
    """
    if session.get_bind().dialect.name != "postgresql":
        yield
        return
    tables = {"tables": [model.__tablename__ for model in models]}
    constraints = [tuple(row) for row in session.execute(text(_CONSTRAINTS), tables)]
    indexes = [tuple(row) for row in session.execute(text(_INDEXES), tables)]

    def run(*statements: str) -> None:
        for statement in statements:
            session.connection().exec_driver_sql(statement)

    run(*(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in tables["tables"]))
    run(*(f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name, _ in reversed(constraints)))
    run(*(f"DROP INDEX {name}" for name, _ in indexes))
    yield
    run("SET LOCAL maintenance_work_mem = '256MB'")
    added = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {made}" for table, name, made in constraints]
    keys = [statement for statement in added if " FOREIGN KEY " not in statement]
    run(*keys, *(made for _, made in indexes), *(statement for statement in added if statement not in keys))
    run(*(f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in tables["tables"]))
