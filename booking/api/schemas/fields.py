"""The kinds of values that the API reads and writes; what is wrong with one is told as a code."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from marshmallow import RAISE as REFUSE
from marshmallow import Schema, ValidationError, fields, validate

from booking.domain.rules import LONGEST, Invalid
from booking.domain.spans import Span

FIRST_YEAR, LAST_YEAR = 2000, 2100
LONGEST_TEXT = 4000
MOST_UNITS = 1_000_000

_CODES = {"required": "required", "null": "required", "invalid": "malformed", "unknown": "unknown"}
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_LENGTH = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)
_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
_REFUSED = frozenset({"Cc", "Cs"})
"""Control characters, and halves of surrogate pairs, which no database can keep."""


class In(Schema):
    """What comes in: a name that nobody knows is refused, never ignored."""

    class Meta:
        """Settings of marshmallow."""

        unknown = REFUSE

    error_messages: ClassVar[dict[str, str]] = {"unknown": "unknown", "type": "malformed"}


class Out(Schema):
    """What goes out."""


class Instant(fields.AwareDateTime):
    """An RFC 3339 time with its offset; in UTC inside and on the way out."""

    default_error_messages = _CODES

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> datetime:
        found = _TIME.fullmatch(value) if isinstance(value, str) and len(value) <= 40 else None
        if found is None:
            raise self.make_error("invalid")
        try:
            at = datetime.fromisoformat(value.upper())
        except ValueError:
            raise self.make_error("invalid") from None
        if found["offset"] is None:
            raise ValidationError("naive")
        # Before the move to UTC, which the first and the last years do not survive.
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValidationError("out_of_range")
        return at.astimezone(UTC)

    def _serialize(self, value: datetime | None, _attr: str | None, _obj: Any, **_kwargs: Any) -> str | None:
        return None if value is None else stamp(value)


def stamp(at: datetime) -> str:
    """Write a time in UTC as RFC 3339, ending in Z."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat()[:-6] + "Z"


class QueryInstant(Instant):
    """A time in an address, where an unescaped `+` of the offset arrives as a space."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if isinstance(value, str) and len(value) > 6 and value[-6] == " ":
            value = f"{value[:-6]}+{value[-5:]}"
        return super()._deserialize(value, attr, data, **kwargs)


class Day(fields.Date):
    """A date, `2026-11-23`."""

    default_error_messages: ClassVar[dict[str, str]] = {**_CODES, "format": "malformed"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if not isinstance(value, str) or len(value) != 10:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        found: date = super()._deserialize(value, attr, data, **kwargs)
        return found


class Length(fields.String):
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds, `PT2H` or `P1DT12H`."""

    default_error_messages = _CODES

    def __init__(self, *, none: bool = False, **kwargs: Any) -> None:
        """Take one of no length too with `none`."""
        super().__init__(**kwargs)
        self._least = timedelta(0) if none else timedelta(microseconds=1)

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> timedelta:  # type: ignore[override]
        found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if found is None or value.endswith(("P", "T")):
            raise self.make_error("invalid")
        parts = {name: int(digits) for name, digits in found.groupdict().items() if digits}
        try:
            length = timedelta(**parts)
        except OverflowError:
            raise ValidationError("out_of_range") from None
        if not self._least <= length <= LONGEST:
            raise ValidationError("out_of_range")
        return length


class Whole(fields.Integer):
    """A whole number; in a body no text, no fraction and no true or false, in an address its digits."""

    default_error_messages = _CODES

    def __init__(self, *, least: int, most: int, in_query: bool = False, **kwargs: Any) -> None:
        """Keep the bounds, both included."""
        bounds = [validate.Range(min=least, error="too_small"), validate.Range(max=most, error="too_large")]
        super().__init__(validate=bounds, **kwargs)
        self.in_query = in_query

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> int:  # type: ignore[override]
        if self.in_query and isinstance(value, str) and _WHOLE.fullmatch(value):
            return int(value)
        if self.in_query or isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class Flag(fields.Boolean):
    """True or false; in an address also 1 or 0."""

    default_error_messages = _CODES

    def __init__(self, *, in_query: bool = False, **kwargs: Any) -> None:
        """Say where it stands."""
        super().__init__(**kwargs)
        self.words: Mapping[str, bool] = (
            {"true": True, "1": True, "false": False, "0": False} if in_query else {}
        )

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in self.words:
            return self.words[value.lower()]
        raise self.make_error("invalid")


class Text(fields.String):
    """Words as typed, emoji and right-to-left marks included; control characters are refused."""

    default_error_messages = _CODES

    def __init__(self, *, longest: int, lines: bool = False, **kwargs: Any) -> None:
        """Keep the bound; `lines` lets line ends and tabs through."""
        self.allowed = frozenset("\n\r\t") if lines else frozenset()
        checks = [validate.Length(max=longest, error="too_long_text"), self._printable]
        said = {"pattern": _LINES if lines else _LINE, **kwargs.pop("metadata", {})}
        super().__init__(validate=checks, metadata=said, **kwargs)
        self.longest = longest

    def _printable(self, text: str) -> None:
        # What is too long anyway is not read to its end.
        for character in text[: self.longest]:
            if unicodedata.category(character) in _REFUSED and character not in self.allowed:
                raise ValidationError("control_characters")


class Key(fields.UUID):
    """The id of a thing."""

    default_error_messages = _CODES | {"invalid_uuid": "malformed"}

    def _deserialize(self, value: Any, _attr: str | None, _data: Any, **_kwargs: Any) -> UUID:
        # UUID() also reads braces, `urn:uuid:` and dashes anywhere; one thing has one id.
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise self.make_error("invalid_uuid")
        return UUID(value)


class Choice(fields.Enum):
    """One of a few words."""

    default_error_messages = _CODES

    def __init__(self, enum: type[StrEnum], **kwargs: Any) -> None:
        """Keep the words."""
        super().__init__(enum, by_value=fields.String(error_messages=_CODES), **kwargs)


class Money(fields.String):
    """An amount in yuan, as text so that no reader rounds it."""

    def _serialize(self, value: Decimal | None, _attr: str | None, _obj: Any, **_kwargs: Any) -> str | None:
        return None if value is None else f"{value:.2f}"


class Figure(fields.String):
    """A decimal number as text, without needless zeros."""

    def _serialize(self, value: Decimal | None, _attr: str | None, _obj: Any, **_kwargs: Any) -> str | None:
        if value is None:
            return None
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def span(start: datetime, end: datetime, *, field: str = "end") -> Span:
    """Make a span of two times.

    :raises ValidationError: for the field, if it has no length or less
    """
    if start >= end:
        raise ValidationError({field: ["inverted"]})
    return Span(start, end)


def window(start: datetime | None, end: datetime | None) -> Span | None:
    """Make the window of a query; one end alone means as much time as may be asked for.

    :raises Invalid: if it is inverted or too long
    """
    if start is None and end is None:
        return None
    start = start or (end or datetime.max.replace(tzinfo=UTC)) - LONGEST
    end = end or start + LONGEST
    if start >= end:
        raise Invalid({"to": "inverted"})
    if end - start > LONGEST:
        raise Invalid({"to": "out_of_range"})
    return Span(start, end)
