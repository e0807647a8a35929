"""What an inventory file says: columns of a sheet, keys of the YAML form, and the records that both become.

A record holds what the file states, which is written whenever it differs, and what is filled in for a new
instrument alone, so that a second import never tramples on what a manager has since edited. docs/import.md
tells every column and every rule by which the YAML form is read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from booking.domain import descriptions, sheets, vocabulary
from booking.domain.hours import ALWAYS, DAY_MINUTES, WeeklyHours
from booking.domain.pricing import CustomerClass, Price, Unit
from booking.domain.sheets import Bad, CellError, Read, Unreadable, is_empty
from booking.domain.uscc import is_valid
from booking.domain.vocabulary import Ability

CODE = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PRICES_FROM = date(2026, 1, 1)
"""The day from which the prices of the YAML form are in force, unless it says otherwise."""

HORIZON_DAYS = 365
OFFICE_HOURS = tuple(WeeklyHours(weekday, 510, 1050) for weekday in range(5))
"""Monday to Friday, 08:30 to 17:30: what a facility keeps when its file says nothing."""

LONG_DAY = tuple(WeeklyHours(weekday, 480, 1320) for weekday in range(7))

MOST_MINUTES = 400 * 24 * 60
LONG_TEXT = 10_000
MOST_HOURS = 200

_DAYS = {
    name: number
    for number, names in enumerate(
        (
            ("mon", "monday", "周一", "星期一"),
            ("tue", "tuesday", "周二", "星期二"),
            ("wed", "wednesday", "周三", "星期三"),
            ("thu", "thursday", "周四", "星期四"),
            ("fri", "friday", "周五", "星期五"),
            ("sat", "saturday", "周六", "星期六"),
            ("sun", "sunday", "周日", "星期日"),
        )
    )
    for name in names
}
_ALWAYS_WORDS = {"always", "24/7", "全天", "全天候"}
_NEGOTIATED = {"negotiated", "议价"}
_DASH = re.compile(r"\s*[-–—~至]\s*")


# Values that need more than a plain reader


def _hours(value: Any) -> tuple[WeeklyHours, ...]:
    """Read `always`, or `Mon-Fri 08:30-17:30; Sat 09:00-12:00`."""
    if isinstance(value, str) and value.strip().lower() in _ALWAYS_WORDS:
        return ALWAYS
    if isinstance(value, tuple) and all(isinstance(rule, WeeklyHours) for rule in value):
        return value
    found: set[WeeklyHours] = set()
    for part in sheets.listed(sheets.text(100))(value):
        days, _, times = str(part).rpartition(" ")
        opens, closes = _times(times, str(part))
        found |= {WeeklyHours(weekday, opens, closes) for weekday in _weekdays(days, str(part))}
    if len(found) > MOST_HOURS:
        raise Bad("too_many_in_list", most=MOST_HOURS)
    return tuple(sorted(found, key=lambda rule: (rule.weekday, rule.opens, rule.closes)))


def _weekdays(words: str, whole: str) -> list[int]:
    days: list[int] = []
    for part in re.split(r"[,，、]", words.lower()):
        ends = [_DAYS.get(end.strip()) for end in _DASH.split(part.strip())]
        if None in ends or len(ends) > 2:
            raise Bad("not_hours", value=sheets.printable(whole, 60))
        first, last = ends[0] or 0, ends[-1] or 0
        days += range(first, last + 1) if first <= last else [*range(first, 7), *range(last + 1)]
    return days


def _times(words: str, whole: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})[:：](\d{2})[-–—~至](\d{1,2})[:：](\d{2})", words.strip(), re.ASCII)
    if found is None:
        raise Bad("not_hours", value=sheets.printable(whole, 60))
    hour, minute, to_hour, to_minute = (int(part) for part in found.groups())
    opens, closes = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or opens >= closes or closes > DAY_MINUTES:
        raise Bad("not_hours", value=sheets.printable(whole, 60))
    return opens, closes


def hours_text(hours: Iterable[WeeklyHours]) -> str:
    """Write hours as the `opening` column has them."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    rules = tuple(hours)
    if rules == ALWAYS:
        return "always"
    return "; ".join(
        f"{names[rule.weekday]} {rule.opens // 60:02}:{rule.opens % 60:02}"
        f"-{rule.closes // 60:02}:{rule.closes % 60:02}"
        for rule in rules
    )


def _ability(value: Any) -> Ability:
    """Read `fermentation`, or `volume_l=50 L`."""
    if isinstance(value, Ability):
        return value
    plain = str(sheets.text(120)(value))
    found = re.fullmatch(r"([a-z0-9][a-z0-9_]{0,59})(?:\s*=\s*(\S+)(?:\s+(.{1,40}))?)?", plain)
    if found is None:
        raise Bad("not_a_capability", value=sheets.printable(plain, 60))
    tag, amount, unit = found.groups()
    value_of = sheets.number(Decimal(-(10**10)), Decimal(10**10), places=3)
    return Ability(tag, value_of(amount) if amount is not None else None, unit or "")


def _abilities(value: Any) -> tuple[Ability, ...]:
    found = sheets.listed(_ability)(value)
    if len({ability.tag for ability in found}) < len(found):
        raise Bad("duplicate")
    return tuple(sorted(found))


def _category(value: Any) -> str:
    """Read a class code; spreadsheets drop its leading zero."""
    plain = str(sheets.text(6)(value))
    if plain.isdecimal() and len(plain) % 2:
        plain = f"0{plain}"
    return str(sheets.pattern(r"\d{2}(\d{2}){0,2}", 6)(plain))


def _price(value: Any) -> Decimal | None:
    """Read yuan, or that the price is negotiated."""
    if isinstance(value, str) and value.strip().lower() in _NEGOTIATED:
        return None
    return sheets.number(0, Decimal("999999999.99"), places=2)(value)  # type: ignore[no-any-return]


def _zone(value: Any) -> str:
    name = str(sheets.text(64)(value))
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Bad("unknown", value=name, known="IANA") from None
    return name


def _uscc(value: Any) -> str:
    code = str(sheets.text(18)(value)).upper()
    if not is_valid(code):
        raise Bad("malformed", value=sheets.printable(code, 60))
    return code


def _town(value: Any) -> str:
    """Read a town; 待填 says that nobody knows it yet."""
    town = str(sheets.text(100)(value))
    return "" if town.startswith("待填") else town


def _words(terms: Mapping[str, vocabulary.Term], **others: str) -> Read:
    choices = {code: code for code in terms}
    choices |= {name.lower(): code for code, term in terms.items() for name in term}
    return sheets.one_of(choices | others)


# The columns of a sheet

_NEEDED = object()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how a cell is read, what an empty one says, an example and a sentence."""

    name: str
    read: Read
    empty: Any
    sample: object
    about: str

    @property
    def needed(self) -> bool:
        """Tell whether no cell may be empty."""
        return self.empty is _NEEDED


_minutes = sheets.whole(0, MOST_MINUTES)
_length = sheets.whole(1, MOST_MINUTES)
_ahead = sheets.whole(1, 10 * MOST_MINUTES)
_code = sheets.pattern(CODE, 40)
_lines = sheets.text(LONG_TEXT, lines=True)
_amount = sheets.number(0, Decimal(10**10), places=3)
_kind = _words(vocabulary.KINDS, instrument="device")

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("code", _code, _NEEDED, "LAB-01", "Its code, in addresses too; never changes."),
        Column("facility", _code, _NEEDED, "LAB", "Code of its facility, which must exist."),
        Column("name_zh", sheets.text(300), _NEEDED, "扫描电子显微镜", "Chinese name."),
        Column("name_en", sheets.text(300), "", "Scanning electron microscope", "English name."),
        Column(
            "kind", _kind, _NEEDED, "device", "device, station, line, beamline, space, expert or virtual."
        ),
        Column("category", _category, None, "0101", "Class code, 2, 4 or 6 digits."),
        Column("model", sheets.text(300), "", "X-100", "Model."),
        Column("manufacturer", sheets.text(150), "", "Example Instruments", "Maker."),
        Column("location", sheets.text(300), "", "Building 1, room 101", "Where it stands."),
        Column("units", sheets.whole(1, 100_000), 1, 1, "How many can be booked at once."),
        Column("unit_name", sheets.text(60), "", "", "What one unit is called, such as channel."),
        Column("published", sheets.yes_no, True, "yes", "Whether everybody sees it."),
        Column("bookable", sheets.yes_no, True, "yes", "Whether it can be booked."),
        Column("approval_required", sheets.yes_no, False, "no", "Whether a manager approves each booking."),
        Column("confidential", sheets.yes_no, False, "no", "Whether bookings of it are confidential."),
        Column(
            "step_minutes",
            sheets.whole(1, 7 * 24 * 60),
            None,
            30,
            "Bookings start and end on this grid; empty: as the rules say.",
        ),
        Column("shortest_minutes", _length, None, 30, "Shortest use; empty: as the rules say."),
        Column("longest_minutes", _length, None, 480, "Longest use; empty: as the rules say."),
        Column(
            "notice_minutes",
            _minutes,
            None,
            60,
            "How long before its start a booking must be made; empty: as the rules say.",
        ),
        Column(
            "horizon_minutes", _ahead, None, 129_600, "How far ahead one may book; empty: as the rules say."
        ),
        Column(
            "setup_minutes",
            sheets.whole(0, 43_200),
            None,
            15,
            "Set-up before each use; empty: as the rules say.",
        ),
        Column(
            "cleanup_minutes",
            sheets.whole(0, 43_200),
            None,
            15,
            "Clean-up after each use; empty: as the rules say.",
        ),
        Column("opening", _hours, (), "Mon-Fri 08:30-17:30", "Own hours; empty keeps the facility's."),
        Column("capacity", _amount, None, 50, "Rated capacity."),
        Column("capacity_unit", sheets.text(60), "", "L", "Its unit."),
        Column(
            "original_value_wan",
            sheets.number(0, Decimal(10**10), places=2),
            None,
            420,
            "Original value in 万元.",
        ),
        Column(
            "operator_need",
            _words(vocabulary.OPERATOR_NEEDS),
            "self",
            "self",
            "always, start_stop, new_user or self: when an operator must be there.",
        ),
        Column("training_required", sheets.yes_no, False, "yes", "Whether users must be trained."),
        Column(
            "modes", sheets.listed(_words(vocabulary.MODES)), (), "machine_time; sample", "Ways of service."
        ),
        Column("hazards", sheets.listed(_words(vocabulary.HAZARDS)), (), "vacuum", "Hazards."),
        Column("capabilities", _abilities, (), "electron_microscopy; volume_l=50 L", "What it can do."),
        Column("stations", sheets.listed(sheets.text(200)), (), "", "Names of the stations of a line."),
        Column("parts", sheets.listed(_code), (), "", "Codes of the instruments that a line takes whole."),
        Column(
            "price_unit",
            sheets.one_of({"hour": "hour", "channel_hour": "channel_hour"}),
            "hour",
            "hour",
            "hour or channel_hour.",
        ),
        Column("price_internal", _price, None, 180, "Yuan for the operator's own people; empty: negotiated."),
        Column("price_external", _price, None, 350, "Yuan for everybody else; empty: negotiated."),
        Column("sample_price_internal", _price, None, "", "Yuan a sample for the operator's own people."),
        Column("sample_price_external", _price, None, 600, "Yuan a sample for everybody else."),
        Column("price_from", sheets.day, None, "2026-01-01", "First day of the prices; empty: today."),
        Column("about_zh", _lines, "", "", "What it is for, Chinese."),
        Column("about_en", _lines, "", "", "What it is for, English."),
        Column("specifications_zh", _lines, "", "", "Figures, Chinese."),
        Column("specifications_en", _lines, "", "", "Figures, English."),
        Column("rules_zh", _lines, "", "", "Rules of use, Chinese."),
        Column("rules_en", _lines, "", "", "Rules of use, English."),
    )
}
"""Every column of a sheet of instruments, in the order of the template."""

PRICED = ("price_internal", "price_external", "sample_price_internal", "sample_price_external")


# Records


@dataclass(frozen=True, slots=True)
class Record:
    """An instrument of a file: where it stands there, what is stated, what is filled in if it is new."""

    row: int | None
    code: str
    stated: Mapping[str, Any]
    filled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FacilityRecord:
    """A facility of a file, with its operator; `organisation` holds the operator's columns."""

    code: str
    stated: Mapping[str, Any]
    organisation: Mapping[str, Any]
    filled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network of a file with all its facilities."""

    code: str
    stated: Mapping[str, Any]
    facilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the reader of an import should know and that stops nothing."""

    key: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that a file says, and everything that is wrong with it."""

    name: str
    instruments: tuple[Record, ...] = ()
    facilities: tuple[FacilityRecord, ...] = ()
    networks: tuple[NetworkRecord, ...] = ()
    notes: tuple[Note, ...] = ()
    errors: tuple[CellError, ...] = ()


def read(data: bytes, name: str) -> Inventory:
    """Read an inventory file: YAML, CSV or XLSX, told by its name and first bytes.

    :raises Unreadable: if the file cannot be read at all
    """
    if name.lower().endswith((".yaml", ".yml")) and not data.startswith(b"PK"):
        return _Yaml(name, sheets.read_yaml(data)).inventory()
    table = sheets.read_table(data, name, COLUMNS)
    errors = list(table.errors)
    if "code" not in table.columns:
        errors.append(CellError(1, "", "code", "missing_column"))
    records = []
    seen: set[str] = set()
    for row in table.rows:
        record = _record(row, errors)
        if record is not None:
            _once(seen, record.code, row.number, "code", errors)
            records.append(record)
    return Inventory(name, tuple(records), errors=_first(errors))


def read_facilities(data: bytes, name: str) -> Inventory:
    """Read a CSV or XLSX sheet of facilities with their operators.

    :raises Unreadable: if the file cannot be read at all
    """
    table = sheets.read_table(data, name, FACILITY_COLUMNS)
    errors = list(table.errors)
    if "id" not in table.columns:
        errors.append(CellError(1, "", "id", "missing_column"))
    entries = [
        {column: cell for column, cell in row.cells.items() if not is_empty(cell)} for row in table.rows
    ]
    found = _Yaml(name, {"facilities": entries}).inventory()
    rows: dict[str, int] = {}
    for i, row in enumerate(table.rows):
        rows[f"facilities[{i}]"] = row.number
        rows.setdefault(str(row.cells.get("id")), row.number)
    errors += [replace(error, row=rows.get(error.key)) for error in found.errors]
    return replace(found, errors=_first(errors))


def read_prices(data: bytes, name: str) -> Inventory:
    """Read a CSV or XLSX sheet of prices of instruments that there are: those columns of the big sheet alone.

    :raises Unreadable: if the file cannot be read at all
    """
    found = read(data, name)
    others = {column for record in found.instruments for column in record.stated} - set(PRICE_COLUMNS)
    errors = [CellError(1, "", column, "unknown_column") for column in sorted(others)]
    return replace(found, errors=_first([*errors, *found.errors]))


def _first(errors: Iterable[CellError]) -> tuple[CellError, ...]:
    return tuple(errors)[: sheets.MOST_ERRORS]


def _once(seen: set[str], code: str, row: int | None, column: str, errors: list[CellError]) -> None:
    if code in seen:
        errors.append(CellError(row, code, column, "duplicate"))
    seen.add(code)


def _record(row: sheets.Row, errors: list[CellError]) -> Record | None:
    shown = row.cells.get("code")
    key = sheets.printable(str(shown), 60) if not is_empty(shown) else ""
    stated: dict[str, Any] = {}
    for name, value in row.cells.items():
        column = COLUMNS[name]
        if is_empty(value):
            if column.needed:
                errors.append(CellError(row.number, key, name, "required"))
            else:
                stated[name] = column.empty
            continue
        try:
            stated[name] = column.read(value)
        except Bad as bad:
            errors.append(CellError(row.number, key, name, bad.code, bad.params))
    code = stated.pop("code", None)
    return Record(row.number, code, stated, _filled_row(stated)) if code is not None else None


def _filled_row(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a new instrument of a sheet without such a column can do."""
    if "name_zh" not in stated or "capabilities" in stated:
        return {}
    found = vocabulary.abilities(
        name_zh=stated["name_zh"],
        class_code=stated.get("category"),
        capacity=stated.get("capacity"),
        capacity_unit=stated.get("capacity_unit", ""),
    )
    return {"capabilities": tuple(found)}


def defaults() -> dict[str, Any]:
    """Give what a new instrument has where neither file nor rules say anything."""
    return {name: column.empty for name, column in COLUMNS.items() if not column.needed}


def check(name: str, value: Any) -> Any:
    """Read one value by its column, as somebody who edits an instrument gives it.

    :raises Bad: if it may not have this value
    """
    column = COLUMNS[name]
    if is_empty(value):
        if column.needed:
            raise Bad("required")
        return column.empty
    return column.read(value)


def check_facility(name: str, value: Any) -> Any:
    """Read one value of a facility, as somebody who edits it gives it.

    :raises Bad: if it may not have this value
    """
    read, empty = FACILITY[name]
    if is_empty(value):
        if empty is _NEEDED:
            raise Bad("required")
        return empty
    found = read(value)
    return float(found) if name in {"latitude", "longitude"} else found


def contradictions(values: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Give what does not go together in an instrument's whole set of values: (column, code, figures)."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    longest, shortest = values["longest_minutes"], values["shortest_minutes"]
    if longest is not None and shortest is not None and longest < shortest:
        found.append(("longest_minutes", "too_small", {"least": shortest}))
    if values["parts"] and values["kind"] != "line":
        found.append(("parts", "not_a_line", {}))
    return found


def template_rows() -> tuple[list[str], list[object]]:
    """Give the heading and a sample row of a sheet to fill in."""
    return list(COLUMNS), [column.sample for column in COLUMNS.values()]


def facility_sample() -> tuple[list[str], list[object]]:
    """Give the heading and a sample row of a sheet of facilities."""
    sample: dict[str, object] = {
        "id": "LAB",
        "name_zh": "中试平台",
        "name_en": "Pilot platform",
        "operator_zh": "大学",
        "operator_en": "University",
        "org_type": "university",
        "zone": "Asia/Shanghai",
        "opening": "Mon-Fri 08:30-17:30",
    }
    return list(FACILITY_COLUMNS), [sample.get(name, "") for name in FACILITY_COLUMNS]


def template(name: str) -> bytes:
    """Write a sheet to fill in, XLSX or CSV by its name, with every column and a sample row.

    :raises Unreadable: if the name is neither's
    """
    heading, sample = template_rows()
    if name.lower().endswith(".xlsx"):
        return sheets.write_xlsx(heading, [sample], title="instruments")
    if name.lower().endswith(".csv"):
        return sheets.write_csv(heading, [sample])
    raise Unreadable("unknown_format")


# Prices


def percentage(value: Any) -> Decimal:
    """Read by how many percent prices change, such as 5, -3.5.

    :raises Bad: if it is no such number
    """
    if is_empty(value):
        raise Bad("required")
    return Decimal(sheets.number(-100, 900, places=2)(value))


def reprice(
    rows: Sequence[Price], customer_class: CustomerClass, unit: Unit, amount: Decimal | None, since: date
) -> list[Price]:
    """Give a price list in which this amount is in force from that day until the next dated change.

    Rows of one customer class and sort (by time or by sample) follow each other; None is negotiated.
    Nothing changes where the amount is in force already.
    """
    timed = unit is not Unit.SAMPLE

    def alike(row: Price) -> bool:
        return row.customer_class is customer_class and (row.unit is not Unit.SAMPLE) is timed

    kept = [row for row in rows if not (alike(row) and row.applies(customer_class, since))]
    current = next((row for row in rows if row not in kept), None)
    if (current.amount, current.unit) == (amount, unit) if current else amount is None:
        return list(rows)
    later = min((row.valid_from for row in kept if alike(row) and row.valid_from > since), default=None)
    if current is not None and current.valid_from < since:
        kept.append(replace(current, valid_to=since))
    if amount is not None:
        end = current.valid_to if current is not None and current.valid_to is not None else later
        kept.append(Price(customer_class, unit, amount, since, end))
    return sorted(kept, key=lambda row: (row.customer_class, row.unit, row.valid_from))


def without_price(
    rows: Sequence[Price], customer_class: CustomerClass, unit: Unit, since: date
) -> list[Price]:
    """Give a price list without the row that begins on that day; the one before it, if it ended there, goes on."""
    timed = unit is not Unit.SAMPLE
    gone = next(
        (
            row
            for row in rows
            if row.customer_class is customer_class and row.unit is unit and row.valid_from == since
        ),
        None,
    )
    if gone is None:
        return list(rows)
    return [
        replace(row, valid_to=gone.valid_to)
        if row.customer_class is customer_class
        and (row.unit is not Unit.SAMPLE) is timed
        and row.valid_to == since
        else row
        for row in rows
        if row is not gone
    ]


# The YAML form

_TOP = {
    "schema_version",
    "currency",
    "timezone",
    "demo",
    "networks",
    "quota_pools",
    "facilities",
    "items",
}
_ITEM_ONLY = {
    "id",
    "class4",
    "class_name",
    "class6",
    "code_status",
    "nrii_reportable",
    "rate",
    "booking",
    "turnaround",
    "needs_operator",
    "needs_training",
    "extra",
}
_FACILITY_ONLY = {
    "id",
    "operator_zh",
    "operator_en",
    "operator_code",
    "org_type",
    "uscc",
    "town_or_city",
    "named_in_policy",
    "evidence",
}
FACILITY: dict[str, tuple[Read, Any]] = {
    "name_zh": (sheets.text(300), _NEEDED),
    "name_en": (sheets.text(300), ""),
    "region_code": (sheets.pattern(r"\d{6}", 6), ""),
    "town": (_town, ""),
    "address": (sheets.text(300), ""),
    "zone": (_zone, "Asia/Shanghai"),
    "contact": (sheets.text(300), ""),
    "latitude": (sheets.number(-90, 90, places=6), None),
    "longitude": (sheets.number(-180, 180, places=6), None),
    "about_zh": (_lines, ""),
    "about_en": (_lines, ""),
    "opening": (_hours, OFFICE_HOURS),
}
"""What a facility says of itself: how each is read, and what stands for nothing."""

_ORGANISATIONS = (
    "university",
    "research_institute",
    "enterprise",
    "public_institution",
    "major_infrastructure",
)
_ORGANISATION: dict[str, tuple[str, Read, Any]] = {
    "operator_code": ("code", _code, None),
    "operator_zh": ("name_zh", sheets.text(300), _NEEDED),
    "operator_en": ("name_en", sheets.text(300), ""),
    "org_type": ("kind", sheets.one_of({kind: kind for kind in _ORGANISATIONS}), _NEEDED),
    "uscc": ("uscc", _uscc, None),
}
FACILITY_COLUMNS = ("id", *FACILITY, *_ORGANISATION)
"""The columns of a sheet of facilities."""

PRICE_COLUMNS = ("code", *PRICED, "price_unit", "price_from")
"""The columns of a sheet of prices."""

_AS_IN_SHEETS = (set(COLUMNS) - {"code", "category", "units", "facility", "capacity"}) | {"facility"}
_hour_count = sheets.number(0, 10_000, places=4)


class _Yaml:
    """The reader of one YAML inventory; it collects what is wrong as it goes."""

    def __init__(self, name: str, root: Any) -> None:
        self.name = name
        self.root = root
        self.errors: list[CellError] = []
        self.notes: list[Note] = []
        self.zone = "Asia/Shanghai"
        self.demo = False

    def inventory(self) -> Inventory:
        if not isinstance(self.root, dict):
            raise Unreadable("not_an_inventory")
        self._keys(self.root, _TOP, "")
        self.zone = self._read(_zone, self.root.get("timezone"), "", "timezone", empty=self.zone)
        self.demo = self.root.get("demo") is True
        facilities = [
            found for raw, key in self._entries("facilities") if (found := self._facility(raw, key))
        ]
        facilities = self._operators(facilities)
        networks = [one for raw, key in self._entries("networks") if (one := self._network(raw, key))]
        items = self._entries("items")
        if not (items or facilities or networks):
            self._wrong("", "items", "required")
        records = self._items(items, {record.code: record for record in facilities})
        if self.root.get("quota_pools"):
            self.notes.append(Note("", "quota_pools_ignored"))
        return Inventory(
            self.name,
            tuple(records),
            tuple(facilities),
            tuple(networks),
            tuple(self.notes),
            _first(self.errors),
        )

    def _wrong(self, key: str, column: str, code: str, **params: Any) -> None:
        self.errors.append(CellError(None, key, column, code, params))

    def _keys(self, raw: Mapping[Any, Any], known: Iterable[str], key: str, prefix: str = "") -> None:
        for name in raw:
            if name not in set(known):
                self._wrong(key, prefix + sheets.printable(str(name), 60), "unknown_column")

    def _entries(self, section: str) -> list[tuple[dict[Any, Any], str]]:
        entries = self.root.get(section)
        if entries is None:
            return []
        if not isinstance(entries, list):
            self._wrong("", section, "not_a_list")
            return []
        if len(entries) > sheets.MOST_ROWS:
            raise Unreadable("too_many_rows", most=sheets.MOST_ROWS)
        found = []
        seen: set[str] = set()
        for i, raw in enumerate(entries):
            place = f"{section}[{i}]"
            if not isinstance(raw, dict):
                self._wrong(place, "", "not_a_mapping")
                continue
            code = self._read(_code, raw.get("id"), place, "id")
            if code is not None:
                _once(seen, code, None, "id", self.errors)
                found.append((raw, code))
        return found

    def _read(self, reader: Read, value: Any, key: str, column: str, *, empty: Any = _NEEDED) -> Any:
        if is_empty(value):
            if empty is _NEEDED:
                self._wrong(key, column, "required")
                return None
            return empty
        try:
            return reader(value)
        except Bad as bad:
            self._wrong(key, column, bad.code, **bad.params)
            return None if empty is _NEEDED else empty

    def _mapping(self, raw: Mapping[Any, Any], name: str, key: str, known: Iterable[str]) -> dict[Any, Any]:
        value = raw.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(key, name, "not_a_mapping")
            return {}
        self._keys(value, known, key, f"{name}.")
        return value

    # Facilities and networks

    def _facility(self, raw: dict[Any, Any], key: str) -> FacilityRecord | None:
        self._keys(raw, {*FACILITY, *_FACILITY_ONLY}, key)
        given = {("town" if name == "town_or_city" else name): value for name, value in raw.items()}
        before = len(self.errors)
        stated = {
            name: self._read(reader, given.get(name), key, name, empty=empty)
            for name, (reader, empty) in FACILITY.items()
            if name in given or empty is _NEEDED
        }
        organisation = {
            column: self._read(reader, raw.get(name), key, name, empty=empty)
            for name, (column, reader, empty) in _ORGANISATION.items()
            if name in raw or empty is _NEEDED
        }
        if len(self.errors) > before:
            return None
        filled = {"zone": self.zone, "opening": OFFICE_HOURS}
        if self.demo:
            filled |= descriptions.facility(stated, organisation["name_zh"])
        return FacilityRecord(key, stated, organisation, filled)

    def _operators(self, facilities: Sequence[FacilityRecord]) -> list[FacilityRecord]:
        """Give every operator a code; facilities of one name have one operator, unknown ones their own."""
        codes: dict[str, str] = {}
        found = []
        for record in facilities:
            operator = dict(record.organisation)
            if operator["name_zh"].startswith("待填"):
                operator["name_zh"] = f"运营单位待填（{record.stated['name_zh']}）"[:300]
                operator["name_en"] = f"Operator not known yet ({record.stated.get('name_en', '')})"[:300]
            code = operator.get("code") or codes.get(operator["name_zh"]) or f"ORG-{record.code}"[:40]
            operator["code"] = codes.setdefault(operator["name_zh"], code)
            found.append(FacilityRecord(record.code, record.stated, operator, record.filled))
        return found

    def _network(self, raw: dict[Any, Any], key: str) -> NetworkRecord | None:
        self._keys(raw, {"id", "name_zh", "name_en", "facilities"}, key)
        before = len(self.errors)
        stated = {"name_zh": self._read(sheets.text(300), raw.get("name_zh"), key, "name_zh")}
        if "name_en" in raw:
            stated["name_en"] = self._read(sheets.text(300), raw["name_en"], key, "name_en", empty="")
        members = self._read(
            sheets.listed(_code, most=5000), raw.get("facilities"), key, "facilities", empty=()
        )
        return NetworkRecord(key, stated, members) if len(self.errors) == before else None

    # Items

    def _items(
        self, items: Sequence[tuple[dict[Any, Any], str]], facilities: Mapping[str, FacilityRecord]
    ) -> list[Record]:
        by_name = {
            (str(raw.get("facility")), str(raw.get("name_zh")).strip()): code
            for raw, code in items
            if raw.get("kind") != "line"
        }
        return [
            record
            for raw, code in items
            if (record := self._item(raw, code, facilities, by_name)) is not None
        ]

    def _item(
        self,
        raw: dict[Any, Any],
        key: str,
        facilities: Mapping[str, FacilityRecord],
        by_name: Mapping[tuple[str, str], str],
    ) -> Record | None:
        before = len(self.errors)
        self._keys(raw, {*_ITEM_ONLY, *_AS_IN_SHEETS, "capacity"}, key)
        extra = raw.get("extra") or {}
        if not isinstance(extra, dict):
            self._wrong(key, "extra", "not_a_mapping")
            extra = {}
        stated: dict[str, Any] = {}
        for name, column in COLUMNS.items():
            if name in _AS_IN_SHEETS and (name in raw or column.needed):
                stated[name] = self._read(column.read, raw.get(name), key, name, empty=column.empty)
        if "facility" in stated and facilities and stated["facility"] is None:
            return None
        self._class(raw, key, stated)
        self._capacity(raw, key, extra, stated)
        self._policy(raw, key, stated)
        self._rates(raw, key, extra, stated)
        self._service(raw, key, stated)
        if "stations" in extra:
            self._stations(extra, key, raw, by_name, stated)
        if len(self.errors) > before:
            return None
        facility = facilities.get(stated["facility"])
        return Record(None, key, stated, self._filled(stated, extra, facility))

    def _class(self, raw: dict[Any, Any], key: str, stated: dict[str, Any]) -> None:
        read = COLUMNS["category"].read
        wide = self._read(read, raw.get("class4"), key, "class4", empty=None)
        narrow = self._read(read, raw.get("class6"), key, "class6", empty=None)
        if "class4" in raw or "class6" in raw:
            stated["category"] = narrow or wide

    def _capacity(
        self, raw: dict[Any, Any], key: str, extra: Mapping[Any, Any], stated: dict[str, Any]
    ) -> None:
        if "capacity" not in raw:
            return
        found = self._mapping(raw, "capacity", key, ("value", "unit", "concurrent_bookings"))
        stated["capacity"] = self._read(_amount, found.get("value"), key, "capacity.value", empty=None)
        unit = self._read(sheets.text(60), found.get("unit"), key, "capacity.unit", empty="")
        stated["capacity_unit"] = unit
        read = COLUMNS["units"].read
        column = "capacity.concurrent_bookings"
        stated["units"] = self._read(read, found.get("concurrent_bookings"), key, column, empty=1)
        if "unit_name" not in raw:
            stated["unit_name"] = unit if extra.get("capacity_mode") == "divisible" else ""

    def _policy(self, raw: dict[Any, Any], key: str, stated: dict[str, Any]) -> None:
        names = ("min_h", "max_h", "step_min", "lead_days")
        found = self._mapping(raw, "booking", key, names)
        if "min_h" in found:
            stated["shortest_minutes"] = self._hours_to_minutes(found, key, "min_h")
        if "max_h" in found:
            stated["longest_minutes"] = self._hours_to_minutes(found, key, "max_h")
        if "step_min" in found:
            read = COLUMNS["step_minutes"].read
            stated["step_minutes"] = self._read(read, found["step_min"], key, "booking.step_min")
        if "lead_days" in found:
            days = self._read(sheets.whole(0, 365), found["lead_days"], key, "booking.lead_days") or 0
            stated["notice_minutes"] = days * DAY_MINUTES
            stated["horizon_minutes"] = (HORIZON_DAYS + days) * DAY_MINUTES
        around = self._mapping(raw, "turnaround", key, ("prep_min", "cleanup_min"))
        for name, column in (("prep_min", "setup_minutes"), ("cleanup_min", "cleanup_minutes")):
            if name in around:
                read = COLUMNS[column].read
                stated[column] = self._read(read, around[name], key, f"turnaround.{name}", empty=0)

    def _hours_to_minutes(self, found: Mapping[Any, Any], key: str, name: str) -> int | None:
        hours = self._read(_hour_count, found[name], key, f"booking.{name}")
        if hours is None:
            return None
        minutes = hours * 60
        if minutes != minutes.to_integral_value() or not 1 <= minutes <= MOST_MINUTES:
            self._wrong(key, f"booking.{name}", "out_of_range")
            return None
        return int(minutes)

    def _rates(self, raw: dict[Any, Any], key: str, extra: Mapping[Any, Any], stated: dict[str, Any]) -> None:
        if "rate" in raw:
            found = self._mapping(raw, "rate", key, ("unit", "in", "ext"))
            read = COLUMNS["price_unit"].read
            stated["price_unit"] = self._read(read, found.get("unit"), key, "rate.unit", empty="hour")
            for name, column in (("in", "price_internal"), ("ext", "price_external")):
                stated[column] = self._read(_price, found.get(name), key, f"rate.{name}", empty=None)
            stated.setdefault("price_from", PRICES_FROM)
        if "per_sample_price_ext" in extra:
            column = "extra.per_sample_price_ext"
            amount = self._read(_price, extra["per_sample_price_ext"], key, column, empty=None)
            stated["sample_price_external"] = amount
            stated.setdefault("price_from", PRICES_FROM)

    def _service(self, raw: dict[Any, Any], key: str, stated: dict[str, Any]) -> None:
        if "needs_operator" in raw:
            read = COLUMNS["operator_need"].read
            stated["operator_need"] = self._read(read, raw["needs_operator"], key, "needs_operator")
        if "needs_training" in raw:
            read = sheets.one_of({"required": "required", "none": "none"})
            needed = self._read(read, raw["needs_training"], key, "needs_training", empty="none")
            stated["training_required"] = needed == "required"

    def _stations(
        self,
        extra: Mapping[Any, Any],
        key: str,
        raw: dict[Any, Any],
        by_name: Mapping[tuple[str, str], str],
        stated: dict[str, Any],
    ) -> None:
        read = COLUMNS["stations"].read
        names = self._read(read, extra["stations"], key, "extra.stations", empty=()) or ()
        stated.setdefault("stations", names)
        facility = str(raw.get("facility"))
        parts = tuple(by_name[facility, name] for name in names if (facility, name) in by_name)
        if stated.get("kind") == "line":
            stated.setdefault("parts", parts)

    def _filled(
        self, stated: Mapping[str, Any], extra: Mapping[Any, Any], facility: FacilityRecord | None
    ) -> dict[str, Any]:
        values = {**defaults(), **stated}
        filled: dict[str, Any] = {
            "approval_required": needs_approval(values, reviewed="review" in extra),
            "opening": usual_hours(values, overnight=extra.get("overnight") is True),
            "capabilities": tuple(
                vocabulary.abilities(
                    name_zh=values["name_zh"],
                    class_code=values["category"],
                    capacity=values["capacity"],
                    capacity_unit=values["capacity_unit"],
                )
            ),
        }
        place = facility.stated if facility else {}
        filled |= descriptions.instrument({**values, **filled, **stated}, extra, place, demo=self.demo)
        return filled


def needs_approval(values: Mapping[str, Any], *, reviewed: bool) -> bool:
    """Tell whether a manager should approve bookings of a new instrument.

    So it is for lines, for what is given by proposal, for what the file has reviewed, and for what needs
    training because of toxic or self-igniting gas.
    """
    gas = {"toxic_gas", "pyrophoric_gas"} & set(values["hazards"])
    return (
        reviewed
        or values["kind"] == "line"
        or "proposal" in values["modes"]
        or (values["training_required"] and bool(gas))
    )


def usual_hours(values: Mapping[str, Any], *, overnight: bool) -> tuple[WeeklyHours, ...]:
    """Give the hours of a new instrument by its longest use; none keeps the facility's.

    Around the clock where a use may last over 14 hours or overnight; the facility's office hours where an
    operator is always there and nothing lasts over 9; 08:00 to 22:00 every day otherwise.
    """
    longest = values["longest_minutes"]
    if overnight or longest is None or longest > 14 * 60:
        return ALWAYS
    if values["operator_need"] == "always" and longest <= 9 * 60:
        return ()
    return LONG_DAY
