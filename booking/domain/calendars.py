"""Calendar items as iCalendar text: flat UTC events in a feed whose bytes change only when a booking does.

RFC 5545 is the grammar and RFC 7986 names the calendar. The event is a hand-written template because a feed
is fetched hundreds of times a day; the tests hold it against three independent readers.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from booking.domain.hours import zone
from booking.domain.spans import Span, intersect

PRODUCT = "-//Yiqi//Calendar feed//EN"
REFRESH = timedelta(minutes=30)
# Part of every entity tag: raise it whenever the template below changes what it prints.
TEMPLATE = 1


class Status(StrEnum):
    """What the event's STATUS says."""

    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


class CalendarItem(NamedTuple):
    """One event of a feed: the use of some instruments over one span.

    A named tuple, not a dataclass: a feed may build ten thousand of them for one answer, and a frozen
    dataclass takes several times as long to make.
    """

    uid: str
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    updated_at: datetime  # of whatever the event prints, not of the booking's row alone
    sequence: int
    status: Status
    summary: str
    description: str = ""
    location: str = ""
    url: str = ""
    categories: tuple[str, ...] = ()
    free: bool = False  # takes no time of its reader: an open slot


class FeedHead(NamedTuple):
    """What a calendar says of itself; `colour` is a CSS name."""

    name: str
    description: str
    colour: str = "steelblue"
    refresh: timedelta = REFRESH


@dataclass(frozen=True, slots=True)
class FeedRules:
    """How far a feed reaches, in whole UTC days, and how many events it holds."""

    days_back: int = 30
    days_ahead: int = 365
    cap: int = 1000

    def within(self, back: int | None, ahead: int | None) -> "FeedRules":
        """Give these rules with no more days than were asked for."""
        return FeedRules(
            self.days_back if back is None else min(back, self.days_back),
            self.days_ahead if ahead is None else min(ahead, self.days_ahead),
            self.cap,
        )


def rules_by_scope(listed: str, scopes: Iterable[str]) -> dict[str, FeedRules]:
    """Read `facility=7/90/2000, free=0/60/300`: for each scope the days back, the days ahead and the most events.

    :raises ValueError: if it is of another form
    """
    known = set(scopes)
    found = {}
    for part in filter(None, map(str.strip, listed.split(","))):
        scope, sign, figures = part.partition("=")
        back, ahead, cap = (int(figure) for figure in figures.split("/"))
        if scope not in known or not sign or back < 0 or ahead < 1 or cap < 1:
            raise ValueError(part)
        found[scope] = FeedRules(back, ahead, cap)
    return found


# --- what is in a feed --------------------------------------------------------------------------------------


def window(now: datetime, rules: FeedRules) -> tuple[datetime, datetime]:
    """Return the half-open UTC span a feed covers: whole days around today.

    Counted from midnight, so that what a feed shows changes of itself once a day at most.
    """
    today = midnight(now)
    return today - timedelta(days=rules.days_back), today + timedelta(days=rules.days_ahead + 1)


def midnight(now: datetime) -> datetime:
    """Return the UTC midnight at which the day of `now` began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def day_in(zone_name: str, now: datetime) -> date:
    """Return the day that it is in a zone."""
    return now.astimezone(zone(zone_name)).date()


class Timed(Protocol):
    """Whatever ends: an item, or what an item is made of."""

    @property
    def ends_at(self) -> datetime: ...


_Item = TypeVar("_Item", bound=Timed)


def within_cap(ordered: Sequence[_Item], *, now: datetime, cap: int) -> list[_Item]:
    """Cut what is in the order of a feed to at most `cap`: the past goes first, then the farthest ahead."""
    surplus = len(ordered) - cap
    if surplus <= 0:
        return list(ordered)
    today = midnight(now)
    past = [item for item in ordered if item.ends_at <= today]
    ahead = [item for item in ordered if item.ends_at > today]
    return [*past[surplus:], *ahead][:cap]


def event_uid(booking_id: str, host: str, item: int | None = None) -> str:
    """Return the lasting UID of a booking, or of one of its items where they lie at different times."""
    return f"{booking_id}@{host}" if item is None else f"{booking_id}-{item}@{host}"


@lru_cache(maxsize=16384)
def busy_uid(uid: str, host: str, key: bytes) -> str:
    """Return a UID that is as lasting as `uid` but from which nobody without `key` can tell the booking."""
    return f"{hmac.digest(key, uid.encode(), hashlib.sha256).hex()[:40]}@{host}"


def entity_tag(*parts: object) -> str:
    """Return a strong entity tag of what decides a feed's bytes, known before any event is rendered."""
    told = "\x1f".join(str(part) for part in (TEMPLATE, *parts))
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:32]}"'


# --- its bytes ----------------------------------------------------------------------------------------------

_EVENT = (
    "BEGIN:VEVENT\r\n%sDTSTAMP:%s\r\nDTSTART:%s\r\nDTEND:%s\r\nCREATED:%s\r\nLAST-MODIFIED:%s\r\n"
    "SEQUENCE:%d\r\n%s"
)
_STATUS = "STATUS:%s\r\nTRANSP:%s\r\nX-MICROSOFT-CDO-BUSYSTATUS:%s\r\n"
# TRANSP and Outlook's own word for it: Outlook reads STATUS only where both are absent.
_BUSY = {
    Status.CONFIRMED: ("OPAQUE", "BUSY"),
    Status.TENTATIVE: ("OPAQUE", "TENTATIVE"),
    Status.CANCELLED: ("TRANSPARENT", "FREE"),
}
_FREE = ("TRANSPARENT", "FREE")


class Said(NamedTuple):
    """What many events say alike: the lines of their state, and their words as folded octets."""

    status: str
    words: bytes


def said(
    status: Status, summary: str, description: str = "", location: str = "", *, free: bool = False
) -> Said:
    """Say what an event is."""
    transparency, outlook = _FREE if free else _BUSY[status]
    words = (
        _text("SUMMARY", summary),
        _text("DESCRIPTION", description) if description else b"",
        _text("LOCATION", location) if location else b"",
    )
    return Said(_STATUS % (status.value, transparency, outlook), b"".join(words))


def link(address: str) -> bytes:
    """Give the line with the address of an event's page."""
    return _verbatim("URL", ascii_uri(address)).encode() if address else b""


def event_of(
    uid: str, starts: str, ends: str, created: str, changed: str, sequence: int, told: Said, more: bytes
) -> bytes:
    """Return one VEVENT as folded octets, of times as calendars write them; `more` are lines behind the words.

    DTSTAMP is the time of the last change, which RFC 5545 3.8.7.2 allows where there is no METHOD and which
    keeps the bytes stable.

    :raises ValueError: if the event would end before it starts
    """
    if ends <= starts:
        raise ValueError(f"{uid} ends at {ends}, not after its start at {starts}")
    head = _EVENT % (
        _verbatim("UID", uid), changed, starts, ends, created, changed, sequence, told.status
    )  # fmt: skip
    return b"".join((head.encode(), told.words, more, b"END:VEVENT\r\n"))


def render_event(item: CalendarItem) -> bytes:
    """Return one VEVENT as folded octets, see `event_of`.

    :raises ValueError: if a time has no zone, or the event would end before it starts
    """
    more = link(item.url) + (_list("CATEGORIES", item.categories) if item.categories else b"")
    return event_of(
        item.uid, _utc(item.starts_at), _utc(item.ends_at), _utc(item.created_at), _utc(item.updated_at),
        item.sequence, said(item.status, item.summary, item.description, item.location, free=item.free), more,
    )  # fmt: skip


def render_feed(head: FeedHead, events: Iterable[bytes]) -> bytes:
    """Return a whole calendar of rendered events, in the order given, with no METHOD.

    METHOD:PUBLISH would oblige each event to an ORGANIZER (RFC 5546 3.2.1). Both names and both refresh hints
    are there because clients read one or the other.
    """
    refresh = f"PT{int(head.refresh.total_seconds()) // 60}M\r\n".encode()
    return b"".join(
        (
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODUCT}\r\nCALSCALE:GREGORIAN\r\n".encode(),
            _text("NAME", head.name),
            _text("X-WR-CALNAME", head.name),
            _text("DESCRIPTION", head.description),
            _text("X-WR-CALDESC", head.description),
            _text("COLOR", head.colour),
            b"REFRESH-INTERVAL;VALUE=DURATION:" + refresh,
            b"X-PUBLISHED-TTL:" + refresh,
            *events,
            b"END:VCALENDAR\r\n",
        )
    )


class Busy(StrEnum):
    """What FBTYPE says of a period."""

    BUSY = "BUSY"
    TENTATIVE = "BUSY-TENTATIVE"
    UNAVAILABLE = "BUSY-UNAVAILABLE"
    FREE = "FREE"


def render_busy(uid: str, within: Span, stamp: datetime, periods: Mapping[Busy, Iterable[Span]]) -> bytes:
    """Return a calendar that holds one VFREEBUSY: periods of each kind, those that touch as one, and no more.

    `stamp` is the last change of anything in it, so that the bytes are stable.
    """
    lines = [
        f"FREEBUSY;FBTYPE={kind.value}:{_utc(span.start)}/{_utc(span.end)}\r\n"
        for kind in Busy
        for span in intersect(periods.get(kind, ()), [within])
    ]
    return "".join(
        (
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODUCT}\r\nCALSCALE:GREGORIAN\r\n",
            "BEGIN:VFREEBUSY\r\n",
            _verbatim("UID", uid),
            f"DTSTAMP:{_utc(stamp)}\r\nDTSTART:{_utc(within.start)}\r\nDTEND:{_utc(within.end)}\r\n",
            *lines,
            "END:VFREEBUSY\r\nEND:VCALENDAR\r\n",
        )
    ).encode()


_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# C0 but newline, DEL, C1, and halves of surrogate pairs, which UTF-8 cannot carry.
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain_text(text: str) -> str:
    """Return `text` as a calendar can carry it: every kind of line break a newline, no control characters.

    U+2028 and its like are legal, but readers built on a general "split into lines" end the property there.
    """
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("", _BREAKS.sub("\n", text).replace("\t", " "))


def shorten(text: str, octets: int) -> str:
    """Return `text`, cut at a character and marked with … where its UTF-8 form is longer than `octets`."""
    if len(text) * 4 <= octets:
        return text  # short enough, whatever its characters
    data = text.encode("utf-8", "replace")
    if len(data) <= octets:
        return text
    return data[: octets - 3].decode("utf-8", "ignore").rstrip() + "…"


def ascii_uri(address: str) -> str:
    """Return `address` with whatever is not plain ASCII percent-encoded; a URI has nothing else."""
    return quote(address, safe="!#$%&'()*+,/:;=?@[]~") if not _URI.fullmatch(address) else address


_URI = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*")


def _utc(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        if moment.utcoffset() is None:
            raise ValueError(f"{moment} has no zone")
        moment = moment.astimezone(UTC)
    # Half the time of an f-string, five times an event.
    return "%04d%02d%02dT%02d%02d%02dZ" % (  # noqa: UP031
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
    )  # fmt: skip


# Instruments' names and places come again in every event of a feed.
@lru_cache(maxsize=4096)
def _text(name: str, text: str) -> bytes:
    return _folded(f"{name}:{_escaped(text)}")


@lru_cache(maxsize=256)
def _list(name: str, texts: tuple[str, ...]) -> bytes:
    return _folded(f"{name}:{','.join(map(_escaped, texts))}")


def _verbatim(name: str, value: str) -> str:
    if len(value) < 64 and value.isascii() and value.isprintable():
        return f"{name}:{value}\r\n"
    return _folded(f"{name}:{plain_text(value).replace(chr(10), '')}").decode()


def _escaped(text: str) -> str:
    clean = plain_text(text).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return clean.replace("\n", "\\n")


# One octet short of the limit of 75, because a folded line begins with a space.
_LINE = 74


def _folded(line: str) -> bytes:
    """Fold by octets, never inside a character; a backslash at the end of a line goes to the next one.

    The latter spares what is escaped for readers that unescape before they unfold.
    """
    data = line.encode()
    pieces = []
    start = 0
    while len(data) - start > _LINE:
        cut = start + _LINE
        while data[cut] & 0xC0 == 0x80:
            cut -= 1
        if data[cut - 1] in b"\\^":
            cut -= 1
        pieces.append(data[start:cut])
        start = cut
    pieces.append(data[start:])
    return b"\r\n ".join(pieces) + b"\r\n"
