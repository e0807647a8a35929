"""Columns read as the text that the database has anyway: for rows that are told and not reckoned with.

To make a time or an id of each costs several times what the query does; `booking/domain/moments.py` reads such times.
"""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Where the digits of a UUID stand that belong together, which SQLite keeps without dashes."""


class utc_text(FunctionElement[str]):  # noqa: N801 - stands where functions of SQL stand
    """A time in UTC, `2026-11-23 09:00:00`, with a fraction of the second where there is one."""

    inherit_cache = True
    type = String()
    name = "utc_text"


class id_text(FunctionElement[str]):  # noqa: N801
    """A UUID with its dashes."""

    inherit_cache = True
    type = String()
    name = "id_text"


@compiles(utc_text)
def _utc_text(element: utc_text, compiler: SQLCompiler, **how: Any) -> str:
    return f"CAST(timezone('UTC', {compiler.process(element.clauses, **how)}) AS TEXT)"


@compiles(utc_text, "sqlite")
def _utc_text_of_sqlite(element: utc_text, compiler: SQLCompiler, **how: Any) -> str:
    return str(compiler.process(element.clauses, **how))


@compiles(id_text)
def _id_text(element: id_text, compiler: SQLCompiler, **how: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **how)} AS TEXT)"


@compiles(id_text, "sqlite")
def _id_text_of_sqlite(element: id_text, compiler: SQLCompiler, **how: Any) -> str:
    key = compiler.process(element.clauses, **how)
    parts = (f"substr({key}, {first}, {length})" for first, length in _GROUPS)
    joined = " || '-' || ".join(parts)
    return f"({joined})"
