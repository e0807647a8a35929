"""Calendars kept elsewhere: what of their events takes an instrument's time, when they are asked, when doubted."""

import enum
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from booking.domain.spans import Span, merge, subtract

AHEAD = timedelta(days=365)
"""How far ahead the busy time of another calendar is taken over."""

PREVIEW = timedelta(days=30)
"""What somebody sees of a calendar before they subscribe to it."""

EVERY = timedelta(minutes=30)
"""How often a calendar that answers is asked."""

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(days=1)

MOST_ROWS = 50_000
"""No calendar takes more spans of time on all its instruments together."""

FEW = 4
"""Of so few events it says nothing that most are gone."""


class Means(enum.StrEnum):
    """What an event says: the instrument is being maintained, somebody is there, or it is booked in another system."""

    MAINTENANCE = "maintenance"
    ROSTER = "roster"
    BOOKINGS = "bookings"


class SourceState(enum.StrEnum):
    """How a calendar elsewhere does."""

    NEW = "new"
    WORKING = "working"
    FAILING = "failing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on one date, as it stands in another calendar; `people` are the addresses of those who take part."""

    uid: str
    recurrence: str
    span: Span
    all_day: bool
    title: str
    status: str = ""
    transparent: bool = False
    organizer: str = ""
    people: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Give by what the event is known again: its UID, which date of it, and when it starts."""
        known = f"{self.uid}\n{self.recurrence}\n{self.span.start.isoformat()}"
        return hashlib.sha256(known.encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a calendar; `problems` are UIDs with the code of what is wrong, `cut` tells of too much."""

    name: str
    entries: tuple[Entry, ...]
    problems: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def window(now: datetime) -> Span:
    """Give the time for which busy time is taken over: from the day before, for a year."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return Span(start, start + AHEAD + timedelta(days=1))


def counting(entries: Iterable[Entry], within: Span, *, transparent: bool) -> list[Entry]:
    """Give the events that say something of a span, in order, each once.

    What is cancelled says nothing, and neither does what takes no time; what is marked as free counts only if it
    has hours and `transparent` says so, since a whole day that is free is a label.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        free = entry.transparent and (entry.all_day or not transparent)
        if free or entry.status == "CANCELLED" or entry.span.start >= entry.span.end:
            continue
        if entry.span.overlaps(within):
            found.setdefault(entry.key, entry)
    return sorted(found.values(), key=lambda entry: (entry.span, entry.uid, entry.recurrence))


def busy(entries: Sequence[Entry], means: Means, within: Span) -> list[Span]:
    """Give when the instruments are not to be had, in order; of a roster that is when nobody is there."""
    told = merge(entry.span for entry in entries)
    if means is Means.ROSTER:
        return subtract([within], told)
    return [Span(span.start, min(span.end, within.end)) for span in told]


def shrunk(before: int, after: int) -> bool:
    """Tell whether so much is gone of what was still ahead that a mistake is likelier than a change of plans."""
    return before >= FEW and after * 4 < before


def pause(failures: int, seed: str) -> timedelta:
    """Give how long it is until a calendar is asked again; the more failures in a row, the longer.

    No two calendars keep step: each has its own deviation, of up to a tenth.
    """
    wanted = EVERY if not failures else min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
    share = int.from_bytes(hashlib.sha256(f"{seed} {failures}".encode()).digest()[:2]) / 65_535
    return wanted * (0.9 + share / 5)


def masked(url: str) -> str:
    """Give an address without what makes it secret: where it leads, and its last letters."""
    found = urlsplit(url)
    said = f"{found.scheme}://{found.hostname or ''}"
    rest = url.partition("://")[2].partition("/")[2]
    return f"{said}/…{rest[-4:]}" if len(rest) > 8 else f"{said}/…"
