"""Sheets of people with their roles, and of closures: cells to typed rows, an error for each cell that is wrong."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from booking.domain import sheets
from booking.domain.access import Role
from booking.domain.inventory import CODE
from booking.domain.sheets import Bad, CellError, Read

_T = TypeVar("_T")
_NEEDED = object()
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody who is to have a role at the place of a code."""

    row: int
    email: str
    name: str
    role: Role
    place: str


@dataclass(frozen=True, slots=True)
class ClosureRow:
    """A closure on the facility's clock; minutes count from midnight, and no instrument is all of them."""

    row: int
    facility: str
    instrument: str
    first_day: date
    from_minute: int
    last_day: date
    until_minute: int
    kind: str
    reason: str
    imposed: bool


@dataclass(frozen=True, slots=True)
class Listed(Generic[_T]):
    """The rows of a sheet and what is wrong with it."""

    name: str
    rows: tuple[_T, ...]
    errors: tuple[CellError, ...]


def _clock(value: Any) -> int:
    """Read a time of day, 24:00 too."""
    plain = str(sheets.text(8)(value))
    found = _CLOCK.fullmatch(plain)
    minute = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else None
    if minute is None or minute > 24 * 60:
        raise Bad("malformed", value=sheets.printable(plain, 20))
    return minute


_code = sheets.pattern(CODE, 40)
_roles = {role.value: role.value for role in Role if role is not Role.ADMINISTRATOR}

PEOPLE: Mapping[str, tuple[Read, Any, str]] = {
    "email": (sheets.text(254), _NEEDED, "dora@example.org"),
    "name": (sheets.text(150), "", "Dora"),
    "role": (sheets.one_of(_roles), _NEEDED, "operator"),
    "place": (_code, _NEEDED, "LAB"),
}
CLOSURES: Mapping[str, tuple[Read, Any, str]] = {
    "facility": (_code, _NEEDED, "LAB"),
    "instrument": (_code, "", "LAB-01"),
    "first_day": (sheets.day, _NEEDED, "2027-02-01"),
    "from": (_clock, 0, "08:00"),
    "last_day": (sheets.day, _NEEDED, "2027-02-02"),
    "until": (_clock, 24 * 60, "17:30"),
    "kind": (
        sheets.one_of({kind: kind for kind in ("maintenance", "breakdown", "closure")}),
        "maintenance",
        "maintenance",
    ),
    "reason": (sheets.text(500), "", "Yearly inspection"),
    "at_once": (sheets.yes_no, False, "no"),
}
"""Columns: how a cell is read, what an empty one says, and a sample."""


def read_people(data: bytes, name: str) -> Listed[PersonRow]:
    """Read a sheet of people.

    :raises Unreadable: if the file cannot be read at all
    """

    def made(row: int, cells: Mapping[str, Any]) -> PersonRow:
        return PersonRow(row, cells["email"].lower(), cells["name"], Role(cells["role"]), cells["place"])

    return _read(data, name, PEOPLE, made)


def read_closures(data: bytes, name: str) -> Listed[ClosureRow]:
    """Read a sheet of closures.

    :raises Unreadable: if the file cannot be read at all
    """

    def made(row: int, cells: Mapping[str, Any]) -> ClosureRow:
        return ClosureRow(row, *(cells[column] for column in CLOSURES))

    return _read(data, name, CLOSURES, made)


def _read(
    data: bytes,
    name: str,
    columns: Mapping[str, tuple[Read, Any, str]],
    made: Callable[[int, Mapping[str, Any]], _T],
) -> Listed[_T]:
    table = sheets.read_table(data, name, columns)
    errors = list(table.errors)
    errors += [
        CellError(1, "", column, "missing_column")
        for column, (_reader, empty, _sample) in columns.items()
        if empty is _NEEDED and column not in table.columns
    ]
    if not table.rows and not errors:
        errors.append(CellError(None, "", next(iter(columns)), "required"))
    rows = []
    for row in table.rows:
        cells: dict[str, Any] = {}
        for column, (reader, empty, _sample) in columns.items():
            value = row.cells.get(column)
            if sheets.is_empty(value):
                if empty is not _NEEDED:
                    cells[column] = empty
                elif column in table.columns:
                    errors.append(CellError(row.number, "", column, "required"))
                continue
            try:
                cells[column] = reader(value)
            except Bad as bad:
                errors.append(CellError(row.number, "", column, bad.code, bad.params))
        if len(cells) == len(columns):
            rows.append(made(row.number, cells))
    return Listed(name, tuple(rows), tuple(errors[: sheets.MOST_ERRORS]))
