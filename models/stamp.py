"""A stamp on what hardly ever changes, so that processes may keep it: the database draws another with every change.

Rules, opening hours, permits, the parts of lines, and what bookings ask of facilities and organisations. A state of all
of them has one stamp, and no other state ever has it: it is drawn by lot. Whoever reads the same stamp twice need not
read the rest again. In a transaction that makes a change of its own there is none on PostgreSQL, since nobody else sees
what it sees.
"""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from models.base import Base, BigId

WATCHED: dict[str, tuple[str, ...]] = {
    "facility": ("code", "name_zh", "name_en", "organisation_id", "zone"),
    "instrument": ("code", "facility_id", "category_code"),
    "instrument_part": (),
    "instrument_permit": ("instrument_id", "name", "valid_from", "valid_until"),
    "network_facility": (),
    "opening_rule": (),
    "organisation": ("kind",),
    "rule": (),
}
"""The tables whose changes count, with the columns that do; all of them where none is named."""

PREFIX = "stamp_"
"""Begins the names of the triggers."""


class Stamp(Base):
    """What all rows together name: each change takes away those that it sees and leaves one of its own.

    No change ever waits for another here, as it would for one row that all of them write.
    """

    __tablename__ = "stamp"

    value: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)


class current(FunctionElement[Any]):  # noqa: N801 - it is called as functions of SQL are
    """The stamp of what the statement sees; NULL if its own transaction has changed something."""

    type: TypeEngine[Any] = BigInteger()
    inherit_cache = True
    name = "current_stamp"


@compiles(current, "sqlite")
def _on_sqlite(_element: current, _compiler: Any, **_: Any) -> str:
    # There every change draws anew, and one at a time writes: a state that was undone is never met again.
    return "(SELECT sum(value) FROM stamp)"


@compiles(current, "postgresql")
def _on_postgresql(_element: current, _compiler: Any, **_: Any) -> str:
    return """(SELECT CASE WHEN bool_or(xmin = pg_current_xact_id_if_assigned()::xid) THEN NULL
 ELSE sum(value)::bigint END FROM stamp)"""


def _sqlite(table: str, columns: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    update = f"UPDATE OF {', '.join(columns)}" if columns else "UPDATE"
    draw = " BEGIN DELETE FROM stamp; INSERT INTO stamp (value) VALUES (random()); END"
    return {
        (name := f"{PREFIX}{table}_{what[:6].lower()}"): (
            f"CREATE TRIGGER {name} AFTER {what} ON {table}{draw}",
        )
        for what in ("INSERT", update, "DELETE")
    }


_DRAW = """CREATE OR REPLACE FUNCTION stamp_draw() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
 IF NOT EXISTS (SELECT 1 FROM stamp WHERE xmin = pg_current_xact_id()::xid) THEN
  DELETE FROM stamp WHERE value IN (SELECT value FROM stamp FOR UPDATE SKIP LOCKED);
  INSERT INTO stamp (value) VALUES (floor(random() * 9007199254740992)::bigint);
 END IF;
 RETURN NULL; END $$"""


def _postgresql(table: str, columns: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    update = f"UPDATE OF {', '.join(columns)}" if columns else "UPDATE"
    return {
        f"{PREFIX}{table}": (
            _DRAW,
            f"""CREATE TRIGGER {PREFIX}{table} AFTER INSERT OR {update} OR DELETE OR TRUNCATE ON {table}
 FOR EACH STATEMENT EXECUTE FUNCTION stamp_draw()""",
        )
    }


SQLITE = {name: made for table, seen in WATCHED.items() for name, made in _sqlite(table, seen).items()}
POSTGRESQL = {
    name: made for table, seen in WATCHED.items() for name, made in _postgresql(table, seen).items()
}

DRAWN = {
    "sqlite": ("DELETE FROM stamp", "INSERT INTO stamp (value) VALUES (random())"),
    "postgresql": (
        "DELETE FROM stamp",
        "INSERT INTO stamp (value) VALUES (floor(random() * 9007199254740992)::bigint)",
    ),
}
"""Draws another stamp by hand; for who changes what is watched while the triggers stand aside."""
