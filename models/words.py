"""Whether a text holds a word, asked as each engine answers it fastest."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, literal, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from booking.domain import search
from models.instrument import InstrumentText

INDEX = "ix_instrument_text_pieces"
"""PostgreSQL's index of the pieces of what is searched. It is over a function, made by a migration; no model has it."""


class holds(FunctionElement[bool]):  # noqa: N801 - stands where functions of SQL stand
    """Whether the first text holds the second, letter for letter."""

    inherit_cache = True
    type = Boolean()
    name = "holds"


class _has_pieces(FunctionElement[bool]):  # noqa: N801
    """Whether a text has all the pieces that are asked for; SQLite, which has no index of them, does not ask."""

    inherit_cache = True
    type = Boolean()
    name = "has_pieces"


def holding(words: Iterable[str]) -> list[ColumnElement[bool]]:
    """Say of an instrument's text that it holds all the words; an index leaves out beforehand what cannot."""
    listed = list(words)
    text = InstrumentText.search_text
    asked = " & ".join(_quoted(piece) for word in listed for piece in search.pieces(word))
    indexed = _has_pieces(text, literal(asked, Text)) if asked else true()
    return [*(holds(text, literal(word, Text)) for word in listed), indexed]


def _quoted(piece: str) -> str:
    r"""Write a piece for PostgreSQL; a short one stands for all that begin with it.

    >>> _quoted("显微镜"), _quoted("a\\"), _quoted("o'c")
    ("'显微镜'", "'a\\\\':*", "'o''c'")
    """
    inner = piece.replace("\\", "\\\\").replace("'", "''")
    return f"'{inner}'" + (":*" if len(piece) < search.PIECE else "")


@compiles(holds)
def _holds(element: holds, compiler: SQLCompiler, **how: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **how)}) > 0)"


@compiles(holds, "sqlite")
def _holds_of_sqlite(element: holds, compiler: SQLCompiler, **how: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **how)}) > 0)"


@compiles(_has_pieces)
def _pieces(element: _has_pieces, compiler: SQLCompiler, **how: Any) -> str:
    text, asked = (compiler.process(clause, **how) for clause in element.clauses)
    return f"(search_pieces({text}) @@ CAST({asked} AS tsquery))"


@compiles(_has_pieces, "sqlite")
def _no_pieces(_element: _has_pieces, _compiler: SQLCompiler, **_how: Any) -> str:
    return "1"
