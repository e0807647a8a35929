"""What people type into forms: words, numbers and times on a facility's clock.

A mistake is no error of ours: each field that makes no sense gets a code, and what was typed stays as it was.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import url_for
from markupsafe import Markup

from booking import wording
from booking.domain.hours import DAY_MINUTES, instant
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.i18n import gettext as _
from models import Booking

LONGEST_TEXT = 4000
LONGEST_NOTE = 500
LONGEST_CODE = 40
LONGEST_ADDRESS = 254
MOST_UNITS = 1_000_000

_REFUSED = frozenset({"Cc", "Cs"})
"""Control characters, and halves of surrogate pairs, which no database can keep."""

_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):?(\d{2})(?::\d{2}(?:\.\d+)?)?", re.ASCII)

_Choice = TypeVar("_Choice", bound=StrEnum)


class Intake:
    """Reads the fields of one form; `errors` holds a code for each that makes no sense."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        """Take what was typed, by the fields' names."""
        self.typed = typed
        self.errors: dict[str, str] = {}

    def demand(self) -> None:
        """Refuse what was typed if any of it makes no sense.

        :raises Invalid: with a code for each field that makes none
        """
        if self.errors:
            raise Invalid(self.errors)

    def raw(self, name: str) -> str:
        """Give what was typed, trimmed."""
        return self.typed.get(name, "").strip()

    def text(self, name: str, *, longest: int, lines: bool = False) -> str:
        """Give a text; with `lines` it may have several."""
        text = self.raw(name).replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > longest:
            self.errors[name] = "too_long_text"
        elif not fit(text, allowed="\n\t" if lines else ""):
            self.errors[name] = "control_characters"
        else:
            return text
        return ""

    def whole(self, name: str, *, least: int, most: int, default: int | None = None) -> int | None:
        """Give a whole number, the default (none is needed then) where nothing was typed."""
        digits = _plain(self.raw(name))
        if not digits:
            if default is None:
                self.errors[name] = "required"
            return default
        if not re.fullmatch(r"[+-]?\d{1,30}", digits, re.ASCII):
            self.errors[name] = "malformed"
        elif int(digits) < least:
            self.errors[name] = "too_small"
        elif int(digits) > most:
            self.errors[name] = "too_large"
        else:
            return int(digits)
        return None

    def choice(self, name: str, choices: type[_Choice], default: _Choice | None = None) -> _Choice | None:
        """Give one of the values offered."""
        raw = self.raw(name)
        if raw in {choice.value for choice in choices}:
            return choices(raw)
        if raw or default is None:
            self.errors[name] = "unknown" if raw else "required"
        return default

    def key(self, name: str) -> UUID | None:
        """Give the id of a thing, None where none was chosen."""
        raw = self.raw(name)
        if not raw:
            return None
        found = as_uuid(raw)
        if found is None:
            self.errors[name] = "unknown"
        return found

    def instant(self, name: str, zone: ZoneInfo, *, suffix: str = "") -> datetime | None:
        """Give the instant of a date and a time of day that were typed into two fields."""
        on, at = f"{name}_date{suffix}", f"{name}_time{suffix}"
        day, minute = self._date(on), self._minute(at)
        if day is None or minute is None:
            return None
        try:
            return instant(day, minute, zone)
        except OverflowError:
            self.errors[on] = "out_of_range"
            return None

    def span(self, zone: ZoneInfo, *, suffix: str = "") -> Span | None:
        """Give the span from `start` to `end`; an end without a date is on the day of the start."""
        if not self.raw(f"end_date{suffix}"):
            self.typed = {**self.typed, f"end_date{suffix}": self.raw(f"start_date{suffix}")}
        start = self.instant("start", zone, suffix=suffix)
        end = self.instant("end", zone, suffix=suffix)
        if start is None or end is None:
            return None
        if start >= end:
            self.errors[f"end_time{suffix}"] = "inverted"
            return None
        return Span(start, end)

    def day(self, name: str) -> date | None:
        """Give a day that was typed into one field."""
        return self._date(name)

    def minute(self, name: str) -> int | None:
        """Give the minute of the day of a time that was typed into one field."""
        return self._minute(name)

    def _date(self, name: str) -> date | None:
        raw = _plain(self.raw(name))
        found = _DATE.fullmatch(raw)
        try:
            day = date(*map(int, found.groups())) if found else None
        except ValueError:
            day = None
        if day is None:
            self.errors[name] = "malformed" if raw else "required"
        elif not 2000 <= day.year < 2100:
            self.errors[name] = "out_of_range"
            return None
        return day

    def _minute(self, name: str) -> int | None:
        raw = _plain(self.raw(name))
        found = _TIME.fullmatch(raw)
        minute = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else None
        if minute is None or minute > DAY_MINUTES:
            self.errors[name] = "malformed" if raw else "required"
            return None
        return minute


def fit(text: str, *, allowed: str = "") -> bool:
    """Tell whether a text holds nothing that a database or a page cannot keep."""
    return text.isprintable() or not any(
        unicodedata.category(character) in _REFUSED and character not in allowed for character in text
    )


def as_code(raw: str | None) -> str:
    """Give what may be the code of a thing; what cannot is an empty word, of which there is never one."""
    code = (raw or "").strip()
    return code if len(code) <= LONGEST_CODE and fit(code) else ""


def as_uuid(raw: str) -> UUID | None:
    """Give the id that was written, None if it is none."""
    try:
        return UUID(raw) if len(raw) <= LONGEST_CODE else None
    except ValueError:
        return None


def as_date(raw: str | None) -> date | None:
    """Give a date from an address, None if it is none of this century."""
    intake = Intake({"on": raw or ""})
    return intake._date("on")  # noqa: SLF001 - the same reader, asked from outside a form


def typed_span(span: Span, zone: ZoneInfo, *, suffix: str = "") -> dict[str, str]:
    """Give what one would type into the four fields of a span."""
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    return {
        f"start_date{suffix}": start.date().isoformat(),
        f"start_time{suffix}": start.strftime("%H:%M"),
        f"end_date{suffix}": end.date().isoformat(),
        f"end_time{suffix}": end.strftime("%H:%M"),
    }


def typed_local(name: str, raw: str, zone: ZoneInfo) -> dict[str, str]:
    """Split a local time of an address, `2026-11-03T09:00`, over the two fields.

    One with an offset is put into the zone. What is no time stays as it is, for its field to complain of.
    """
    text = raw.strip()
    try:
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if at.tzinfo is not None:
            at = at.astimezone(zone)
    except (ValueError, OverflowError):
        day, _t, time = text.partition("T")
        return {f"{name}_date": day, f"{name}_time": time}
    return {f"{name}_date": at.date().isoformat(), f"{name}_time": at.strftime("%H:%M")}


def local_time(at: datetime, zone: ZoneInfo) -> str:
    """Write an instant as addresses of our pages do, on the facility's clock: `2026-11-03T09:00`."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Give the instant at which a day begins on the zone's clock."""
    return instant(day, 0, zone)


def days_from(day: date, count: int, zone: ZoneInfo) -> Span:
    """Give so many whole days on the zone's clock."""
    return Span(local_midnight(day, zone), local_midnight(day + timedelta(days=count), zone))


def today_in(zone: ZoneInfo, now: datetime) -> date:
    """Give the day that it is in the zone."""
    return now.astimezone(UTC).astimezone(zone).date()


def said(errors: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Word the errors of fields for the summary, each with the name of its field."""
    return {
        name: _("%(field)s: %(problem)s", field=label, problem=wording.error_sentence(code))
        if (label := labels.get(name))
        else wording.error_sentence(code)
        for name, code in errors.items()
    }


def labels(suffixes: Iterable[str] = ("",)) -> dict[str, str]:
    """Name the fields for the summary of errors."""
    words = {
        "start_date": _("Start date"),
        "start_time": _("Start time"),
        "end_date": _("End date"),
        "end_time": _("End time"),
        "quantity": _("Units"),
    }
    found = {f"{name}{suffix}": word for suffix in suffixes for name, word in words.items()}
    return found | {
        "purpose": _("Purpose"),
        "needed_by": _("Needed by"),
        "project": _("Project"),
        "booked_for": _("For whom"),
        "to": _("To whom"),
        "offer_note": _("A word to them"),
        "reason": _("Reason"),
        "comment": _("Comment"),
        "rating": _("Rating"),
        "condition": _("Condition"),
        "instrument_id": _("Which instrument"),
        "samples": _("Samples measured"),
    }


def with_link(words: str, href: str, label: str) -> Markup:
    """Give a message that ends in a link."""
    return Markup('{} <a href="{}">{}</a>').format(words, href, label)


def with_undo(words: str, booking: Booking, back: str = "") -> dict[str, str | int]:
    """Give a message with a button that takes back what was done to a booking."""
    where = url_for("web.undo_booking", booking_id=booking.id)
    return {"words": words, "undo": where, "version": booking.version, "back": back}


def _plain(text: str) -> str:
    """Read full-width digits and colons, as Chinese keyboards type them, as plain ones."""
    return unicodedata.normalize("NFKC", text[:64]).strip()
