"""The line of those who wait for time: who comes first, and how long an offer stands."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from booking.domain.spans import Span, subtract

LATELY = timedelta(days=30)
"""How far back somebody's hours count, when two joined in the same minute."""

SHORTEST_OFFER = timedelta(minutes=5)
"""Nobody is offered time that they would have to take faster than this."""

REACH = timedelta(days=1)
"""Time that comes free so near to a window may help: set-up and clean-up reach beyond a use."""

FIRST, USUAL, LAST = 1, 100, 999
"""The classes of priority: the lowest number is served first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in the line, as far as its rank and its wish go."""

    entry_id: UUID
    person_id: UUID
    project_id: UUID | None
    priority: int
    joined_at: datetime
    window: Span
    minutes: int
    quantity: int
    windows: tuple[Span, ...] = ()
    outright: bool = False
    """It may lie in the parts of the window only, if there are any; what is found is booked without being offered."""
    at_once: bool = False
    lead: int = 0
    most: int = 0
    """On standby for today one can come `at_once`, or after `lead` minutes, and uses `most` minutes of what is left."""

    @property
    def length(self) -> timedelta:
        """How long the use is."""
        return timedelta(minutes=self.minutes)

    @property
    def fixed(self) -> bool:
        """Tell whether it is for one very span."""
        return self.window.duration == self.length

    @property
    def parts(self) -> tuple[Span, ...]:
        """Give the stretches of time in which the use may lie."""
        return self.windows or (self.window,)

    @property
    def turn(self) -> tuple[int, bool, datetime]:
        """The class, who can come at once first, and the minute of joining.

        Those of one turn are told apart by the hours they used.
        """
        return self.priority, not self.at_once, self.joined_at.replace(second=0, microsecond=0)


def level(line: Iterable[Waiting]) -> set[UUID]:
    """Give the people whose hours of late decide, since they share their turn with somebody else."""
    people: dict[tuple[int, bool, datetime], Counter[UUID]] = {}
    for waiting in line:
        people.setdefault(waiting.turn, Counter())[waiting.person_id] += 1
    return {person for turn in people.values() if len(turn) > 1 for person in turn}


def ranked(line: Iterable[Waiting], minutes_used: Mapping[UUID, float]) -> list[Waiting]:
    """Give the line in its order: by class, then by the minute of joining, then who used less of late, then exactly."""
    return sorted(
        line,
        key=lambda one: (*one.turn, minutes_used.get(one.person_id, 0), one.joined_at, one.entry_id),
    )


def rooms(waiting: Waiting, free: Sequence[Span], passed: Sequence[Span], now: datetime) -> list[Span]:
    """Give the stretches of the window in which the use might fit: free, to come, and not offered to them before."""
    inside = [
        Span(max(span.start, part.start, now), min(span.end, part.end))
        for part in waiting.parts
        for span in free
        if span.start < part.end and span.end > max(part.start, now) and part.end > now
    ]
    return [span for span in subtract(inside, passed) if span.duration >= waiting.length]


def deadline(now: datetime, start: datetime, *, notice: int, minutes: int) -> datetime | None:
    """Give until when an offer stands: so many minutes, or half of what is left before it is too late to book.

    None where too little is left to answer in.
    """
    left = start - timedelta(minutes=notice) - now
    if left < SHORTEST_OFFER:
        return None
    given = min(timedelta(minutes=minutes), max(left / 2, SHORTEST_OFFER))
    return now + timedelta(seconds=int(given.total_seconds()))


def reach(window: Span, around: timedelta) -> Span:
    """Give the time in which what comes free may help the window; `around` is what a use takes beside itself."""
    wide = max(around, REACH)
    return window.padded(wide, wide)


def kept(windows: Iterable[Span]) -> list[list[str]]:
    """Give parts of a window as they are kept."""
    return [[start.isoformat(), end.isoformat()] for start, end in windows]


def read(windows: Iterable[Sequence[str]]) -> tuple[Span, ...]:
    """Give the parts of a window that are kept so."""
    return tuple(Span(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in windows)


def over(window: Span, minutes: int, now: datetime) -> bool:
    """Tell whether the use can no longer begin within the window."""
    return window.end - timedelta(minutes=minutes) <= now


def pieces(wanted: Span, own: Iterable[tuple[Span, int]], quantity: int) -> list[tuple[Span, int]]:
    """Give what a claim takes beyond what is one's own already: stretches with the units that are lacking."""
    mine = [
        (Span(max(s.start, wanted.start), min(s.end, wanted.end)), q) for s, q in own if s.overlaps(wanted)
    ]
    edges = sorted({*wanted, *(edge for span, _ in mine for edge in span)})
    found: list[tuple[Span, int]] = []
    for start, end in pairwise(edges):
        stretch = Span(start, end)
        lacking = quantity - sum(q for span, q in mine if span.contains(stretch))
        if lacking <= 0:
            continue
        if found and found[-1][0].end == start and found[-1][1] == lacking:
            found[-1] = Span(found[-1][0].start, end), lacking
        else:
            found.append((stretch, lacking))
    return found
