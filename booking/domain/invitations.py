"""Invitations as iTIP (RFC 5546): what is mailed to a calendar, and the addresses by which calendars answer.

`icalendar` writes here, since a message is made once and not a thousand times. Addresses that stand for something
carry a secret after a plus sign, worked out from a key, so that none is kept.
"""

import base64
import enum
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from icalendar import Calendar, Event, vCalAddress

from booking.domain.calendars import Status, ascii_uri, plain_text, shorten
from booking.domain.hours import zone
from booking.domain.spans import Span

PRODUCT = "-//Yiqi//Invitations//EN"
WHOLE = -1
"""The position of an event that stands for all items of a booking."""


class Method(enum.StrEnum):
    """What a message wants."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"
    REPLY = "REPLY"
    COUNTER = "COUNTER"


class Answer(enum.StrEnum):
    """What an attendee says."""

    ACCEPTED = "ACCEPTED"
    TENTATIVE = "TENTATIVE"
    DECLINED = "DECLINED"


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody, or something, with a mail address."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Invite:
    """One event as it is mailed to one person: REQUEST or CANCEL."""

    method: Method
    uid: str
    sequence: int
    span: Span
    status: Status
    created_at: datetime
    updated_at: datetime
    organizer: Party
    person: Party
    instruments: Sequence[Party]
    summary: str
    description: str = ""
    location: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an instrument answers about one date of a meeting; without a `recurrence` it is about the whole."""

    recurrence: str
    span: Span
    answer: Answer
    comment: str = ""
    all_day: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An instrument's answer to a meeting; organiser and attendee are repeated as they stood."""

    uid: str
    sequence: int
    organizer: str
    attendee: str
    name: str
    summary: str
    zone: str
    verdicts: Sequence[Verdict]


# --- what is mailed ---------------------------------------------------------------------------------------

_BUSY = {Status.CONFIRMED: "BUSY", Status.TENTATIVE: "TENTATIVE", Status.CANCELLED: "FREE"}


def invite(found: Invite, *, stamp: datetime) -> bytes:
    """Write an invitation, its update or its end; DTSTAMP is the time of sending."""
    event = Event()
    event.add("uid", found.uid)
    event.add("dtstamp", _second(stamp))
    event.add("dtstart", _second(found.span.start))
    event.add("dtend", _second(found.span.end))
    event.add("sequence", found.sequence)
    event.add("created", _second(found.created_at))
    event.add("last-modified", _second(found.updated_at))
    event.add("status", found.status.value)
    event.add("transp", "TRANSPARENT" if found.status is Status.CANCELLED else "OPAQUE")
    event.add("x-microsoft-cdo-busystatus", _BUSY[found.status])
    event.add("summary", shorten(plain_text(found.summary), 200))
    for name, said in (("description", found.description), ("location", found.location)):
        if said:
            event.add(name, shorten(plain_text(said), 2000))
    if found.url:
        event.add("url", ascii_uri(found.url))
    event["organizer"] = _address(found.organizer)
    asks = {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "NEEDS-ACTION", "RSVP": "TRUE"}
    event.add("attendee", _address(found.person, **asks), encode=False)
    for place in found.instruments:
        takes = {"CUTYPE": "RESOURCE", "ROLE": "NON-PARTICIPANT", "PARTSTAT": "ACCEPTED"}
        event.add("attendee", _address(place, **takes), encode=False)
    return _calendar(found.method, [event])


def reply(found: Reply, *, stamp: datetime) -> bytes:
    """Write what an instrument answers, an event for each date where they differ."""
    events = []
    for one in found.verdicts:
        event = Event()
        event.add("uid", found.uid)
        event.add("dtstamp", _second(stamp))
        event.add("sequence", found.sequence)
        if one.all_day:
            tz = zone(found.zone)
            event.add("dtstart", one.span.start.astimezone(tz).date())
            event.add("dtend", one.span.end.astimezone(tz).date())
        else:
            event.add("dtstart", _second(one.span.start))
            event.add("dtend", _second(one.span.end))
        if one.recurrence:
            event.add("recurrence-id", _moment(one.recurrence))
        event.add("summary", shorten(plain_text(found.summary), 200))
        event["organizer"] = vCalAddress(_safe(found.organizer))
        attendee = vCalAddress(_safe(found.attendee))
        attendee.params |= {"CUTYPE": "RESOURCE", "PARTSTAT": one.answer.value, "CN": _name(found.name)}
        event.add("attendee", attendee, encode=False)
        if one.comment:
            event.add("comment", shorten(plain_text(one.comment), 2000))
        events.append(event)
    return _calendar(Method.REPLY, events)


def _calendar(method: Method, events: Sequence[Event]) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", method.value)
    for event in events:
        calendar.add_component(event)
    written: bytes = calendar.to_ical(sorted=False)
    return written


def _address(party: Party, **said: str) -> Any:
    found = vCalAddress(f"mailto:{_safe(party.address)}")
    if party.name:
        found.params["CN"] = _name(party.name)
    found.params |= said
    return found


def _name(text: str) -> str:
    return plain_text(text).replace("\n", " ")[:150]


def _safe(address: str) -> str:
    return "".join(character for character in address if character.isprintable())


def _second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _moment(key: str) -> Any:
    at = datetime.strptime(key, "%Y%m%dT%H%M%SZ" if "T" in key else "%Y%m%d").replace(tzinfo=UTC)
    return at if "T" in key else at.date()


# --- addresses --------------------------------------------------------------------------------------------

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OURS = re.compile(rf"({_UUID})(?:-(\d{{1,3}}))?@(.+)", re.ASCII)


def booking_of(uid: str, host: str) -> tuple[UUID, int] | None:
    """Give the booking and the position that a UID of ours stands for, None if it is somebody else's."""
    found = _OURS.fullmatch(uid)
    if found is None or found[3] != host:
        return None
    return UUID(found[1]), WHOLE if found[2] is None else int(found[2])


def secret(key: str, purpose: str, *parts: object) -> str:
    """Give a secret that an address can carry: 100 bits in small letters and digits."""
    said = "\x1f".join((f"mail-{purpose}", *map(str, parts)))
    digest = hmac.digest(key.encode(), said.encode(), "sha256")
    return base64.b32encode(digest).decode().lower()[:20]


def plus(address: str, tag: str) -> str:
    """Give an address with something after a plus sign in its left half."""
    local, _, host = address.rpartition("@")
    return f"{local}+{tag}@{host}" if tag else address


def without_plus(address: str) -> tuple[str, str]:
    """Give an address in small letters without what stands after its plus sign, and that."""
    local, _, host = address.strip().lower().rpartition("@")
    name, _, tag = local.partition("+")
    return f"{name}@{host}", tag


def instrument_address(code: str, domain: str, tag: str = "") -> str:
    """Give the address by which an instrument is invited, nothing where no domain takes mail."""
    return plus(f"{code.lower()}@{domain.lower()}", tag) if domain else ""


def is_newer(known: tuple[int, datetime | None] | None, sequence: int, stamp: datetime | None) -> bool:
    """Tell whether a message comes after what is known: by its SEQUENCE, then by its DTSTAMP (RFC 5546 2.1.5)."""
    if known is None or sequence > known[0]:
        return True
    if sequence < known[0]:
        return False
    return stamp is not None and (known[1] is None or stamp > known[1])
