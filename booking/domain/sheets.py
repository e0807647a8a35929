"""Sheets from outside: CSV, XLSX and YAML files to cells, cells to typed values; sheets to fill in.

Nothing here trusts a file: its size, and what it unpacks to, are bounded before any parser sees it.
"""

import csv
import io
import math
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

MOST_BYTES = 10_000_000
MOST_UNPACKED = 20_000_000
MOST_RATIO = 100
MOST_ENTRIES = 200
MOST_ROWS = 20_000
MOST_COLUMNS = 200
MOST_DEPTH = 12
MOST_VALUES = 1_000_000
MOST_ERRORS = 500
"""More errors than this help nobody; the rest is left out."""

_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_TURNED = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows, so that a name reads as another."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_YES = {"yes", "true", "1", "y", "是", "√"}
_NO = {"no", "false", "0", "n", "否", "×"}

Cell = str | int | float | bool | date | None
"""What a cell of a file may hold before it is read."""

Read = Callable[[Any], Any]


class Bad(Exception):
    """A value that a cell may not have: a code and its figures."""

    def __init__(self, code: str, **params: Any) -> None:
        """Keep both for the sentence."""
        super().__init__(code)
        self.code = code
        self.params = params


class Unreadable(Exception):
    """A file that cannot be read at all: a code and its figures."""

    def __init__(self, code: str, **params: Any) -> None:
        """Keep both for the sentence."""
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True, slots=True)
class CellError:
    """What is wrong, and where: the row of a sheet (the heading is row 1), the record's key, the column."""

    row: int | None
    key: str
    column: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a sheet by column; columns that the sheet lacks are not there."""

    number: int
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a sheet and what is wrong with it."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    errors: tuple[CellError, ...]


# Reading files


def read_table(data: bytes, name: str, columns: Iterable[str]) -> Table:
    """Read a CSV or XLSX file whose first row names some of these columns.

    :raises Unreadable: if it is neither, too large, or holds no table
    """
    check_size(data)
    if data.startswith(b"PK"):
        lines = _xlsx_lines(data)
    elif name.lower().endswith((".xlsx", ".xlsm", ".xls")) or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("not_a_workbook")
    else:
        lines = _csv_lines(data)
    return _table(lines, set(columns))


def check_size(data: bytes) -> None:
    """Refuse a file that is empty or too large.

    :raises Unreadable: if it is
    """
    if len(data) > MOST_BYTES:
        raise Unreadable("file_too_large", most=MOST_BYTES // 1_000_000)
    if not data.strip():
        raise Unreadable("file_empty")


def decode(data: bytes) -> str:
    """Read text as UTF-8, with or without a mark, or as GB 18030.

    :raises Unreadable: if it is neither
    """
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise Unreadable("wrong_encoding")


def _csv_lines(data: bytes) -> list[list[Cell]]:
    text = decode(data)
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    lines: list[list[Cell]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for line in reader:
            lines.append([_unquoted(cell) for cell in line])
            if len(lines) > MOST_ROWS + 1:
                raise Unreadable("too_many_rows", most=MOST_ROWS)
    except csv.Error:
        raise Unreadable("broken_csv", line=reader.line_num) from None
    return lines


def _unquoted(cell: str) -> str:
    """Take away the apostrophe by which a sheet says that what looks like a formula is text."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS) else cell


class _Formula(str):
    """A cell that would calculate."""

    __slots__ = ()


def check_archive(data: bytes) -> None:
    """Refuse an archive that would unpack to more than a sheet of this size can hold.

    The sizes it states bound what is read: the reader stops there.

    :raises Unreadable: if it is no archive or breaks a limit
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise Unreadable("not_a_workbook") from None
    if len(entries) > MOST_ENTRIES:
        raise Unreadable("archive_entries", most=MOST_ENTRIES)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED:
        raise Unreadable("archive_unpacked", most=MOST_UNPACKED // 1_000_000)
    for entry in entries:
        if entry.flag_bits & 1:
            raise Unreadable("not_a_workbook")
        if entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
            raise Unreadable("archive_ratio", most=MOST_RATIO)


def _xlsx_lines(data: bytes) -> list[list[Cell]]:
    check_archive(data)
    import openpyxl  # noqa: PLC0415 - slow to load, and only imports and templates need it

    if not openpyxl.DEFUSEDXML:  # it falls back on a parser that follows entities
        raise RuntimeError("openpyxl must find defusedxml")
    try:
        # It warns of parts that it leaves out, such as styles and validations, which mean nothing here.
        with warnings.catch_warnings(action="ignore"):
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
            try:
                return _sheet_lines(book)
            finally:
                book.close()
    except Unreadable:
        raise
    except Exception as error:
        # The reader raises whatever a broken part makes it stumble over; none of it is our fault.
        raise Unreadable("not_a_workbook") from error


def _sheet_lines(book: Any) -> list[list[Cell]]:
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise Unreadable("file_empty")
    lines: list[list[Cell]] = []
    empty = 0
    # Stated dimensions may lie, and rows missing between two are made up one by one: both are bounded.
    for cells in sheets[0].iter_rows(max_row=MOST_ROWS + 2, max_col=MOST_COLUMNS + 1):
        line = [_xlsx_cell(cell) for cell in cells]
        while line and line[-1] in (None, ""):
            line.pop()
        if line:
            lines += [[] for _ in range(empty)]
            lines.append(line)
            empty = 0
        else:
            empty += 1
        if len(lines) > MOST_ROWS + 1:
            raise Unreadable("too_many_rows", most=MOST_ROWS)
        if len(line) > MOST_COLUMNS:
            raise Unreadable("too_many_columns", most=MOST_COLUMNS)
    return lines


def _xlsx_cell(cell: Any) -> Cell:
    if cell.data_type == "f":
        return _Formula("=")
    value = cell.value
    if cell.data_type == "e":
        return "#ERROR"
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, str):
        return _unquoted(value)
    return value if isinstance(value, bool | int | float | date) or value is None else str(value)


def _table(lines: list[list[Cell]], known: set[str]) -> Table:
    numbered = [(number, line) for number, line in enumerate(lines, 1) if any(_filled(cell) for cell in line)]
    if not numbered:
        raise Unreadable("file_empty")
    heading_row, heading = numbered[0]
    names = [str(cell if cell is not None else "").strip().lower() for cell in heading]
    if len(names) > MOST_COLUMNS:
        raise Unreadable("too_many_columns", most=MOST_COLUMNS)
    errors = _heading_errors(heading_row, names, known)
    rows = []
    for number, line in numbered[1:]:
        if any(_filled(cell) for cell in line[len(names) :]):
            errors.append(CellError(number, "", "", "too_many_cells", {"columns": len(names)}))
        padded = [*line, *([None] * (len(names) - len(line)))]
        rows.append(Row(number, {name: padded[i] for i, name in enumerate(names) if name in known}))
    return Table(tuple(name for name in names if name in known), tuple(rows), tuple(errors))


def _heading_errors(number: int, names: list[str], known: set[str]) -> list[CellError]:
    errors = []
    for i, name in enumerate(names):
        if name == "":
            errors.append(CellError(number, "", f"#{i + 1}", "no_heading"))
        elif name in names[:i]:
            errors.append(CellError(number, "", name[:60], "duplicate_column"))
        elif name not in known:
            errors.append(CellError(number, "", printable(name, 60), "unknown_column"))
    return errors


def _filled(cell: Cell) -> bool:
    return not is_empty(cell)


def read_yaml(data: bytes) -> Any:
    """Read a YAML file: plain values, lists and mappings, no references, no depth, no key twice.

    :raises Unreadable: if it is broken or uses anything else
    """
    check_size(data)
    text = decode(data)
    import yaml  # noqa: PLC0415 - only imports need it

    fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(fast):  # type: ignore[misc]
        """The safe loader, which also refuses a key that comes twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise Unreadable("duplicate_key", key=printable(str(key.value), 60), line=_line(key))
                seen.add(key.value if isinstance(key.value, str) else id(key))
            return super().construct_mapping(node, deep=deep)

    try:
        _check_yaml(yaml, text, fast)
        return yaml.load(text, Loader=Loader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable("broken_yaml", line=mark.line + 1 if mark else 0) from None
    except (ValueError, OverflowError, RecursionError, TypeError):
        raise Unreadable("broken_yaml", line=0) from None


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _check_yaml(yaml: Any, text: str, loader: Any) -> None:
    """Walk the events, which takes neither memory nor stack, before anything is built of them."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        if number > MOST_VALUES:
            raise Unreadable("yaml_values", most=MOST_VALUES)
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable("yaml_reference", line=_line(event))
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise Unreadable("yaml_depth", line=_line(event))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1


# Reading cells


def printable(text: str, longest: int) -> str:
    """Give a text as a message may show it: without controls, and not long."""
    plain = "".join("?" if unicodedata.category(ch) in _CONTROLS or ch in _TURNED else ch for ch in text)
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def is_empty(value: Any) -> bool:
    """Tell whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not isinstance(value, _Formula) and not value.strip())


def text(longest: int, *, lines: bool = False) -> Read:
    """Make a reader of text of at most so many characters; with `lines` it may have several.

    Neither controls nor marks that turn the direction of writing may be in it, nor may it be a formula.
    """

    def read(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise Bad("not_text")
        if isinstance(value, _Formula):
            raise Bad("formula")
        plain = unicodedata.normalize("NFC", str(value)).replace("\r\n", "\n").strip()
        if plain.startswith("="):
            raise Bad("formula")
        allowed = "\n\t" if lines else ""
        for ch in plain:
            if (unicodedata.category(ch) in _CONTROLS and ch not in allowed) or ch in _TURNED:
                raise Bad("control_characters")
        if len(plain) > longest:
            raise Bad("too_long_text", longest=longest, length=len(plain))
        return plain

    return read


def pattern(expression: str, longest: int) -> Read:
    """Make a reader of text that must match the whole expression."""
    compiled = re.compile(expression)
    plain = text(longest)

    def read(value: Any) -> str:
        found = str(plain(value))
        if not compiled.fullmatch(found):
            raise Bad("malformed", value=printable(found, 60))
        return found

    return read


def number(least: Decimal | int, most: Decimal | int, *, places: int) -> Read:
    """Make a reader of a decimal number within limits, with at most so many places after the point."""

    def read(value: Any) -> Decimal:
        found = _decimal(value)
        if not found.is_finite():
            raise Bad("not_a_number", value=printable(str(value), 40))
        _within(found, least, most)
        exponent = found.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > places:
            raise Bad("too_many_places", places=places)
        return found.quantize(Decimal(1).scaleb(-places))

    return read


def whole(least: int, most: int) -> Read:
    """Make a reader of a whole number within limits."""

    def read(value: Any) -> int:
        found = _decimal(value)
        if not found.is_finite():
            raise Bad("not_a_number", value=printable(str(value), 40))
        _within(found, least, most)
        if found != found.to_integral_value():
            raise Bad("not_whole", value=printable(str(value), 40))
        return int(found)

    return read


def _decimal(value: Any) -> Decimal:
    if isinstance(value, _Formula):
        raise Bad("formula")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Bad("not_a_number", value=printable(str(value), 40))
    if isinstance(value, float) and not math.isfinite(value):
        raise Bad("not_a_number", value=str(value))
    plain = unicodedata.normalize("NFKC", str(value)).strip()
    if plain.startswith("="):
        raise Bad("formula")
    try:
        # Digits are bounded first: reading a long one is slow, and no figure has so many.
        if len(plain) > 40 or not plain.isascii() or "_" in plain:
            raise InvalidOperation  # noqa: TRY301 - one way to say it
        return Decimal(plain)
    except InvalidOperation:
        raise Bad("not_a_number", value=printable(plain, 40)) from None


def _within(found: Decimal, least: Decimal | int, most: Decimal | int) -> None:
    if found < least:
        raise Bad("too_small", least=least)
    if found > most:
        raise Bad("too_large", most=most)


def yes_no(value: Any) -> bool:
    """Read a yes or no.

    :raises Bad: if it is neither
    """
    if isinstance(value, _Formula):
        raise Bad("formula")
    if isinstance(value, bool):
        return value
    plain = str(value).strip().lower()
    if plain in _YES:
        return True
    if plain in _NO:
        return False
    raise Bad("not_yes_or_no", value=printable(str(value), 40))


def day(value: Any) -> date:
    """Read a date written YYYY-MM-DD.

    :raises Bad: if it is none
    """
    if isinstance(value, _Formula):
        raise Bad("formula")
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    plain = str(value).strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", plain, re.ASCII):
        try:
            return date.fromisoformat(plain)
        except ValueError:
            pass
    raise Bad("not_a_date", value=printable(str(value), 40))


def one_of(choices: Mapping[str, str]) -> Read:
    """Make a reader of one of some words; the mapping gives the value of each way to write it."""
    plain = text(100)

    def read(value: Any) -> str:
        found = str(plain(value)).lower()
        if found not in choices:
            known = ", ".join(dict.fromkeys(choices.values()))
            raise Bad("unknown", value=printable(found, 60), known=known)
        return choices[found]

    return read


def listed(item: Read, *, most: int = 50) -> Read:
    """Make a reader of a list: a YAML list, or text with semicolons between; nothing may come twice."""

    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, _Formula):
            raise Bad("formula")
        parts = value if isinstance(value, list | tuple) else re.split(r"[;；\n]", str(value))
        found = [item(part) for part in parts if not is_empty(part)]
        if len(found) > most:
            raise Bad("too_many_in_list", most=most)
        if len(set(found)) < len(found):
            raise Bad("duplicate")
        return tuple(found)

    return read


# Writing


def write_csv(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write a CSV file that spreadsheets open as UTF-8 and in which nothing calculates."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heading)
    writer.writerows([_as_text(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _as_text(cell: object) -> str:
    plain = "" if cell is None else str(cell)
    return f"'{plain}" if isinstance(cell, str) and plain.startswith(_FORMULA_STARTS) else plain


def write_xlsx(heading: Sequence[str], rows: Iterable[Sequence[object]], *, title: str) -> bytes:
    """Write an XLSX file with one sheet whose texts are texts, never formulas."""
    from openpyxl import Workbook  # noqa: PLC0415 - slow to load
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for row in (heading, *rows):
        line = []
        for value in row:
            cell: Any = WriteOnlyCell(sheet, value=None)
            if isinstance(value, str):
                cell.value = _as_text(value)
                cell.data_type = "s"
            else:
                cell.value = value
            line.append(cell)
        sheet.append(line)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
