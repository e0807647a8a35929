"""Working days: weekdays, public holidays and weekends that are worked instead (调休)."""

import csv
import enum
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain import sheets
from booking.domain.sheets import CellError

COUNTRY = "CN"
"""Whose State Council announces the days; its facilities all stand there."""

FURTHEST = 4000
"""A count of working days never looks at more days than this."""


class DayKind(enum.StrEnum):
    """What sort of day it is where the facility stands, shifted working days counted."""

    WORKING = "working"
    REST = "rest"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """What sort each day is: by the administrator's own table, else as published, else by its weekday."""

    own: Mapping[date, DayKind] = field(default_factory=dict)
    own_years: frozenset[int] = frozenset()

    def kind(self, day: date) -> DayKind:
        """Tell what sort of day it is."""
        known = self.own.get(day)
        if known is not None:
            return known
        published = published_kind(day)
        if published is not None:
            return published
        return DayKind.REST if day.weekday() >= 5 else DayKind.WORKING

    def works(self, day: date) -> bool:
        """Tell whether the day is worked."""
        return self.kind(day) is DayKind.WORKING

    def announced(self, year: int) -> bool:
        """Tell whether the holidays of a year are known; of another only the weekdays are."""
        return year in self.own_years or is_published(year)

    def unannounced(self, days: Iterable[date]) -> list[int]:
        """Give the years of these days whose holidays nobody announced yet."""
        return sorted({day.year for day in days if not self.announced(day.year)})

    def shifted(self, day: date, count: int) -> date:
        """Give the working day that is so many working days after a day, or before it when negative."""
        step = timedelta(days=1 if count >= 0 else -1)
        left = abs(count)
        for _ in range(FURTHEST):
            if left == 0:
                break
            day += step
            left -= self.works(day)
        return day

    def due(self, start: datetime, count: int, tz: ZoneInfo) -> datetime:
        """Give the same time of the clock so many working days after an instant, or before it when negative."""
        wall = start.astimezone(tz)
        day = self.shifted(wall.date(), count)
        return datetime.combine(day, wall.timetz()).astimezone(start.tzinfo)


def is_published(year: int) -> bool:
    """Tell whether the holidays of a year were announced when this release was made."""
    return year in _published_years()


def published_kind(day: date) -> DayKind | None:
    """Give what was announced for a day; None for an ordinary one and for a year that nobody announced."""
    holidays, workdays = _package()
    if day in holidays:
        return DayKind.HOLIDAY
    return DayKind.WORKING if day in workdays else None


def published_name(day: date) -> tuple[str, str]:
    """Give the Chinese and the English name of an announced day, empty for an ordinary one."""
    holidays, workdays = _package()
    name = holidays.get(day) or workdays.get(day) or ""
    return _CHINESE.get(name, name), name


def published_days(year: int) -> list[date]:
    """Give the announced days of a year that differ from their weekday, or are holidays."""
    holidays, workdays = _package()
    return sorted(day for day in {*holidays, *workdays} if day.year == year)


@cache
def _published_years() -> frozenset[int]:
    holidays, workdays = _package()
    return frozenset(day.year for day in (*holidays, *workdays))


def _package() -> tuple[Mapping[date, str], Mapping[date, str]]:
    # Its tables take 8 MB, and only rules that ask for working days need them.
    from chinese_calendar import constants  # noqa: PLC0415

    return constants.holidays, constants.workdays


_CHINESE = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
    "Anti-Fascist 70th Day": "抗战胜利七十周年",
}


@dataclass(frozen=True, slots=True)
class Announced:
    """A day as somebody writes it into the table; without a kind it is an ordinary one again."""

    day: date
    kind: DayKind | None
    name: str = ""


class Unreadable(Exception):
    """A table of days that cannot be read: the line (or the number of the entry) and what is wrong there."""

    def __init__(self, line: int, code: str, value: str = "") -> None:
        """Say where."""
        super().__init__(f"{line}: {code} {value}")
        self.line = line
        self.code = code
        self.value = value[:60]


class BrokenSheet(Exception):
    """A sheet of days in which something is wrong: where, and what."""

    def __init__(self, errors: Sequence[CellError]) -> None:
        """Keep the errors."""
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


YEARS = range(2004, 2100)
"""Of which years days may be announced."""

MOST_LINES = 2000
MOST_TEXT = 200_000
LONGEST_NAME = 100

_WORDS: dict[str, DayKind | None] = {
    "working": DayKind.WORKING,
    "workday": DayKind.WORKING,
    "makeup_workday": DayKind.WORKING,
    "补班": DayKind.WORKING,
    "工作日": DayKind.WORKING,
    "rest": DayKind.REST,
    "weekend": DayKind.REST,
    "休息日": DayKind.REST,
    "holiday": DayKind.HOLIDAY,
    "放假": DayKind.HOLIDAY,
    "节假日": DayKind.HOLIDAY,
    "ordinary": None,
    "普通": None,
}
"""What a kind of day may be called in a table."""


def read(text: str) -> list[Announced]:
    """Read a table of days: lines of `date,kind,name` with or without a heading, or a JSON list of such objects.

    :raises Unreadable: at the first entry that makes no sense
    """
    if len(text) > MOST_TEXT:
        raise Unreadable(1, "too_many")
    raw = text.lstrip("\ufeff").strip()
    entries = _from_json(raw) if raw.startswith(("[", "{")) else _from_csv(raw)
    if len(entries) > MOST_LINES:
        raise Unreadable(MOST_LINES, "too_many")
    found: dict[date, Announced] = {}
    for line, (day, kind, name) in entries:
        try:
            on = date.fromisoformat(day.strip().replace("/", "-"))
        except ValueError:
            raise Unreadable(line, "not_a_date", day) from None
        if on.year not in YEARS:
            raise Unreadable(line, "not_a_date", day)
        if kind.strip().lower() not in _WORDS:
            raise Unreadable(line, "unknown", kind)
        if on in found:
            raise Unreadable(line, "duplicate", day)
        if len(name) > LONGEST_NAME or not name.strip().isprintable():
            raise Unreadable(line, "malformed", name)
        found[on] = Announced(on, _WORDS[kind.strip().lower()], name.strip())
    if not found:
        raise Unreadable(1, "required")
    return list(found.values())


COLUMNS: dict[str, str] = {
    **dict.fromkeys(("day", "date", "日期"), "day"),
    **dict.fromkeys(("kind", "类别"), "kind"),
    **dict.fromkeys(("name", "名称"), "name"),
}
"""What the columns of a sheet of days may be called."""


def read_sheet(data: bytes, file: str) -> list[Announced]:
    """Read a CSV or XLSX file of days whose first row names the columns: day, kind and name.

    :raises sheets.Unreadable: if it is no such file
    :raises BrokenSheet: with everything that is wrong, cell by cell
    """
    table = sheets.read_table(data, file, COLUMNS)
    errors = list(table.errors)
    said = [COLUMNS[column] for column in table.columns]
    errors += [CellError(1, "", name, "required") for name in ("day", "kind") if name not in said]
    errors += [CellError(1, "", name, "duplicate_column") for name in {*said} if said.count(name) > 1]
    if not table.rows:
        errors.append(CellError(None, "", "day", "required"))
    if len(table.rows) > MOST_LINES:
        raise sheets.Unreadable("too_many_rows", most=MOST_LINES)
    found: dict[date, Announced] = {}
    for row in [] if errors else table.rows:
        cells: dict[str, Any] = {}
        for column, cell in row.cells.items():
            try:
                cells[COLUMNS[column]] = _READ[COLUMNS[column]](cell)
            except sheets.Bad as bad:
                errors.append(CellError(row.number, "", column, bad.code, bad.params))
        if "day" in cells and cells["day"] in found:
            errors.append(CellError(row.number, "", "day", "duplicate", {"value": cells["day"].isoformat()}))
        if {"day", "kind"} <= cells.keys():
            found[cells["day"]] = Announced(cells["day"], _WORDS[cells["kind"]], cells.get("name", ""))
    if errors:
        raise BrokenSheet(errors[: sheets.MOST_ERRORS])
    return list(found.values())


def written(days: Iterable[Announced]) -> str:
    """Write days as lines that `read` takes."""
    lines = io.StringIO()
    rows = ((one.day.isoformat(), one.kind.value if one.kind else "ordinary", one.name) for one in days)
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def _required(read: sheets.Read) -> sheets.Read:
    def check(cell: Any) -> Any:
        if sheets.is_empty(cell):
            raise sheets.Bad("required")
        return read(cell)

    return check


def _day_cell(cell: Any) -> date:
    found = sheets.day(cell.strip().replace("/", "-") if type(cell) is str else cell)
    if found.year not in YEARS:
        raise sheets.Bad("not_a_date", value=found.isoformat())
    return found


_name = sheets.text(LONGEST_NAME)
_READ: dict[str, sheets.Read] = {
    "day": _required(_day_cell),
    "kind": _required(sheets.one_of({word: word for word in _WORDS})),
    "name": lambda cell: "" if sheets.is_empty(cell) else _name(cell),
}


def _from_csv(raw: str) -> list[tuple[int, tuple[str, str, str]]]:
    found = []
    try:
        rows = [
            (n, row) for n, row in enumerate(csv.reader(raw.splitlines(), strict=True), start=1) if any(row)
        ]
    except csv.Error:
        raise Unreadable(1, "malformed") from None
    for line, row in rows:
        if line == 1 and row[0].strip().lower() in ("date", "day", "日期"):
            continue
        if not 2 <= len(row) <= 3:
            raise Unreadable(line, "malformed", ",".join(row))
        found.append((line, (row[0], row[1], row[2] if len(row) > 2 else "")))
    return found


def _from_json(raw: str) -> list[tuple[int, tuple[str, str, str]]]:
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        raise Unreadable(1, "malformed") from None
    if not isinstance(entries, list):
        raise Unreadable(1, "malformed")
    found = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise Unreadable(number, "malformed")
        cells = tuple(entry.get(name, "") for name in ("date", "kind", "name"))
        if not all(isinstance(cell, str) for cell in cells) or entry.keys() - {"date", "kind", "name"}:
            raise Unreadable(number, "malformed")
        found.append((number, (cells[0], cells[1], cells[2])))
    return found
