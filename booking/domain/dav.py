"""Events as calendar programs send them and ask for them by CalDAV: read, filtered, wrapped."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from booking.domain import foreign_calendars
from booking.domain.calendars import PRODUCT, Busy
from booking.domain.foreign_calendars import BadCalendar, Limits
from booking.domain.spans import Span

LONGEST_UID = 250
"""Letters of an UID or of a name in an address; nobody's are longer."""

LARGEST = 100_000
"""Octets of an event that is sent."""


class Unfit(Exception):
    """An event that cannot be booked as it was sent, with the code of why."""

    def __init__(self, code: str, **params: object) -> None:
        """Keep the code and its figures for the answer's sentence."""
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that a program wants to be booked."""

    uid: str
    span: Span
    summary: str
    notes: str = ""

    @property
    def purpose(self) -> str:
        """Give what the booking is for: the title, and what is noted under it."""
        return "\n".join(part for part in (self.summary, self.notes) if part)

    def since(self, event: bytes) -> "Sent":
        """Leave out the notes if they are those of our event, which hold the purpose that it had."""
        ours = _plain(told(event).get("DESCRIPTION", ""))
        return replace(self, notes="") if _plain(self.notes) == ours else self

    def says_nothing_new(self, event: bytes) -> bool:
        """Tell whether title and notes are those of our event, maybe in an earlier state, or its own purpose."""
        said = told(event)
        purpose = _plain(said.get("DESCRIPTION", ""))
        mine = {_plain(self.summary), _plain(self.purpose)}
        if _core(self.summary) == _core(said["SUMMARY"]) or purpose in mine:
            return True
        return purpose.endswith("…") and any(text.startswith(purpose[:-1]) for text in mine)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _core(title: str) -> str:
    """Give a title without the word on how it stands: “Awaiting approval: …”."""
    return _plain(re.split("[:：]", title)[-1])


# --- what is sent -------------------------------------------------------------------------------------------


def read_event(data: bytes, zone: str) -> Sent:
    """Read the one event of a calendar object; times without a zone, and whole days, are those of `zone`.

    :raises Unfit: if it is no single event with a beginning and an end
    """
    try:
        found = foreign_calendars.read(data, zone=ZoneInfo(zone), within=_NO_TIME, limits=_ONE)
    except BadCalendar:
        raise Unfit("unreadable") from None
    if found.problems:
        raise Unfit({"zone": "unknown_zone", "rule": "recurs"}.get(found.problems[0].code, "unreadable"))
    if not found.occurrences and not found.masters:
        raise Unfit("not_an_event")
    if len(found.occurrences) != 1 or found.occurrences[0].recurrence:
        raise Unfit("recurs")
    [event] = found.occurrences
    if len(event.uid) > LONGEST_UID or not event.uid.isprintable():
        raise Unfit("unreadable")
    if event.span.start >= event.span.end:
        raise Unfit("no_end")
    return Sent(event.uid, event.span, event.summary, event.description.strip())


_NO_TIME = Span(*[datetime(1970, 1, 1, tzinfo=UTC)] * 2)
"""Events without a rule are read wherever they lie; of the others no date is wanted."""

_ONE = Limits(octets=LARGEST, lines=5_000, events=10, dates=2, total=10, steps=1_000)


# --- what is asked for --------------------------------------------------------------------------------------


def told(event: bytes) -> dict[str, str]:
    """Give what an event of ours says, by the names of its properties, as people read it."""
    unfolded = event.decode().replace("\r\n ", "")
    pairs = (line.partition(":") for line in unfolded.split("\r\n") if line)
    return {name.partition(";")[0]: _unescaped(value) for name, _colon, value in pairs}


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


@dataclass(frozen=True, slots=True)
class TextMatch:
    """What a property must say: some text in it, or not in it."""

    text: str
    negate: bool = False
    case_matters: bool = False

    def fits(self, value: str) -> bool:
        """Tell whether the value does."""
        mine, theirs = (value, self.text) if self.case_matters else (value.lower(), self.text.lower())
        return (theirs in mine) is not self.negate


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """What an event must have: a property, or none of that name, or one that says something."""

    name: str
    absent: bool = False
    text: TextMatch | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events of a calendar are asked for; `none` stands for kinds of things that we have not."""

    none: bool = False
    start: datetime | None = None
    end: datetime | None = None
    properties: tuple[PropertyFilter, ...] = ()

    def fits(self, span: Span, event: bytes, alias: str = "") -> bool:
        """Tell whether an event over this span, with these octets, is asked for.

        `alias` is the UID that a program gave it, by which that program looks for it.
        """
        if self.none:
            return False
        if (self.start and span.end <= self.start) or (self.end and span.start >= self.end):
            return False
        if not self.properties:
            return True
        said = told(event)
        return all(
            _has(one, said) or (alias != "" and one.name == "UID" and _has(one, {"UID": alias}))
            for one in self.properties
        )


def _has(wanted: PropertyFilter, said: Mapping[str, str]) -> bool:
    value = said.get(wanted.name)
    if wanted.absent or value is None:
        return wanted.absent is (value is None)
    return wanted.text is None or wanted.text.fits(value)


# --- what is answered ---------------------------------------------------------------------------------------


def wrapped(event: bytes) -> bytes:
    """Give a calendar that holds the one event."""
    return b"".join((_BEGIN, event, b"END:VCALENDAR\r\n"))


_BEGIN = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODUCT}\r\nCALSCALE:GREGORIAN\r\n".encode()


def busy_periods(events: Iterable[tuple[Span, bytes]]) -> dict[Busy, list[Span]]:
    """Give when somebody is busy by the events that take time, and how surely."""
    found: dict[Busy, list[Span]] = {}
    for span, event in events:
        said = told(event)
        if said.get("TRANSP") == "OPAQUE":
            kind = Busy.TENTATIVE if said.get("STATUS") == "TENTATIVE" else Busy.BUSY
            found.setdefault(kind, []).append(span)
    return found


def stamp(text: str) -> datetime:
    """Read a time in UTC as a program asks with it.

    :raises ValueError: if it is none
    """
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
