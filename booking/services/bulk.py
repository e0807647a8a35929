"""Many rows at once: COPY on PostgreSQL, one prepared statement on SQLite. Guards and constraints stay."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from models import Base


def insert(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows whose values stand in the order of the columns; other columns stay empty.

    :raises IntegrityError: if a constraint or a guard refuses a row, on SQLite; psycopg's own on PostgreSQL
    """
    connection = session.connection()
    dialect = connection.dialect
    processors = [
        model.__table__.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns
    ]
    written = (_bound(processors, row) for row in rows)
    quote = dialect.identifier_preparer.quote
    table = quote(model.__tablename__)
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
