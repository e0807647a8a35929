"""Standby: when somebody could begin who is called, what of a slot they get, and how likely it comes to that.

The odds come from what happened before: of so many bookings so many left their time. Where too little happened, nothing
is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sqrt

from booking.domain.resolution import standby
from booking.domain.resolution.standby import Booked
from booking.domain.spans import Span, intersect, merge

GRID = timedelta(minutes=5)
"""Who is called begins at a full five minutes, whatever the step of bookings."""

ANSWER = timedelta(minutes=5)
"""Everybody has so long to answer, those too who stand beside the instrument."""

PATIENCE = timedelta(minutes=15)
"""And nobody has longer, since the time is running."""

SOON = timedelta(hours=1)
"""Nobody is called for what begins later than so long after they could be there: that is the line's."""

DAYS_AHEAD = 14
"""So many days ahead one may put oneself on the list."""

LONGEST = 24 * 60
"""Nobody asks for more minutes of a day than it has."""

FARTHEST = 240
"""Nobody who needs more minutes to be there can be called."""

ENOUGH = 20
"""Of fewer bookings no share is told."""

WIDE = 1.96
"""Standard deviations on each side of an interval that holds 95 of 100 times."""


@dataclass(frozen=True, slots=True)
class History:
    """What became of bookings: how many there were, and how many of them left enough of their time to somebody else."""

    bookings: int = 0
    missed: int = 0
    cancelled: int = 0
    early: int = 0

    @property
    def left(self) -> int:
        """Give how many left their time in one way or another."""
        return self.missed + self.cancelled + self.early

    @property
    def enough(self) -> bool:
        """Tell whether a share can be told of them."""
        return self.bookings >= ENOUGH

    @property
    def share(self) -> float:
        """Give the share of those that left their time."""
        return self.left / self.bookings if self.bookings else 0.0


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely a place comes free: at the share that was seen, and at both ends of its interval."""

    low: float
    likely: float
    high: float


def interval(hits: int, of: int) -> tuple[float, float]:
    """Give the score interval of a share (Wilson, "Probable inference", 1927); all there is where nothing is known."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, WIDE**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = WIDE * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def odds(
    certain: Sequence[Span],
    doubtful: Sequence[Span],
    *,
    history: History,
    units: int,
    opened: Sequence[Span],
    minutes: int,
    lead: int,
    grace: int,
    ahead: int,
    now: datetime,
) -> Odds | None:
    """Give how likely a place comes free that day for somebody with so many ahead; None says too little is known.

    `certain` are spans that stay taken, `doubtful` are bookings whose people may stay away, all of them of one unit.
    """
    if not history.enough or not opened:
        return None
    whole = Span(opened[0].start, opened[-1].end)
    asking = standby.Standby(0, minutes, lead=lead)
    low, high = interval(history.left, history.bookings)

    def at(share: float) -> float:
        booked = _booked(certain, doubtful, opened, units, 1.0 - share, whole.start)
        day = (0, _minute(whole.end, whole.start))
        since = max(0, _minute(now, whole.start))
        return standby.odds(booked, asking, ahead=ahead, opening=day, now=since, grace=grace)

    return Odds(at(low), at(history.share), at(high))


def _booked(
    certain: Sequence[Span],
    doubtful: Sequence[Span],
    opened: Sequence[Span],
    units: int,
    presence: float,
    origin: datetime,
) -> list[Booked]:
    """Put what is taken on the units, first come first; between opening hours all are taken."""
    free_at = [origin] * units
    found: list[Booked] = []
    for span, coming in sorted([*((one, 1.0) for one in certain), *((one, presence) for one in doubtful)]):
        unit = min(range(units), key=lambda one: (free_at[one] > span.start, -free_at[one].timestamp()))
        free_at[unit] = max(free_at[unit], span.end)
        found.append(Booked(unit, _minute(span.start, origin), _minute(span.end, origin), coming))
    shut = [Span(before.end, after.start) for before, after in pairwise(opened)]
    return found + [
        Booked(unit, _minute(span.start, origin), _minute(span.end, origin), 1.0)
        for span in shut
        for unit in range(units)
    ]


def _minute(at: datetime, origin: datetime) -> int:
    return int((at - origin) // timedelta(minutes=1))


def on_grid(at: datetime) -> datetime:
    """Give the first full five minutes that are not before."""
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    return at + (-(at - epoch)) % GRID


def use(free: Iterable[Span], *, least: int, most: int, lead: int, now: datetime) -> Span | None:
    """Give what somebody gets who is called now: the rest of the first free time at hand, as far as they want it."""
    earliest = now + max(ANSWER, timedelta(minutes=lead))
    for span in sorted(free):
        start = on_grid(max(span.start, earliest))
        if start > earliest + GRID + SOON:
            return None
        end = min(span.end, start + timedelta(minutes=most))
        if end - start >= timedelta(minutes=least):
            return Span(start, end)
    return None


def deadline(now: datetime, start: datetime) -> datetime:
    """Give until when who is called may answer: before it begins, and soon."""
    return min(start, now + PATIENCE)


def refilled(missed: Iterable[Span], used: Iterable[Span]) -> timedelta:
    """Give how much of the time that was left on one instrument others used."""
    return sum((span.duration for span in intersect(merge(missed), merge(used))), timedelta())
