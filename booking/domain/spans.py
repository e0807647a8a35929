"""Spans of time, [start, end) in UTC, and their arithmetic."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of time that holds its start and not its end; both are aware and in UTC."""

    start: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def minutes(self) -> float:
        """How long it is, in minutes."""
        return self.duration.total_seconds() / 60

    def overlaps(self, other: "Span") -> bool:
        """Tell whether the two share any time; spans that only touch do not."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: "Span") -> bool:
        """Tell whether the other lies wholly inside."""
        return self.start <= other.start and other.end <= self.end

    def padded(self, before: timedelta, after: timedelta) -> "Span":
        """Widen it at both ends, as set-up and clean-up do."""
        return Span(self.start - before, self.end + after)


class Load(NamedTuple):
    """A span that takes a number of units."""

    start: datetime
    end: datetime
    quantity: int


def merge(spans: Iterable[Span]) -> list[Span]:
    """Join what overlaps or touches; the answer is sorted, and empty spans are gone."""
    merged: list[Span] = []
    for span in sorted(s for s in spans if s.start < s.end):
        if merged and span.start <= merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return merged


def intersect(left: Iterable[Span], right: Iterable[Span]) -> list[Span]:
    """Give the time that lies in both."""
    a, b = merge(left), merge(right)
    common: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i].start, b[j].start), min(a[i].end, b[j].end)
        if start < end:
            common.append(Span(start, end))
        if a[i].end <= b[j].end:
            i += 1
        else:
            j += 1
    return common


def subtract(whole: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Give the time of the first that is in none of the second."""
    holes = merge(taken)
    rest: list[Span] = []
    first = 0
    for span in merge(whole):
        start = span.start
        while first < len(holes) and holes[first].end <= start:
            first += 1
        for hole in holes[first:]:
            if hole.start >= span.end:
                break
            if hole.start > start:
                rest.append(Span(start, hole.start))
            start = max(start, hole.end)
        if start < span.end:
            rest.append(Span(start, span.end))
    return rest


def levels(loads: Iterable[Load]) -> Iterator[tuple[Span, int]]:
    """Walk through time and give each stretch with the units taken in it; stretches with none are left out.

    Neighbouring stretches with the same sum are one.
    """
    steps: dict[datetime, int] = {}
    for load in loads:
        if load.start < load.end:
            steps[load.start] = steps.get(load.start, 0) + load.quantity
            steps[load.end] = steps.get(load.end, 0) - load.quantity
    level = 0
    since: datetime | None = None
    for at in sorted(steps):
        if steps[at] == 0:
            continue
        if since is not None and level > 0:
            yield Span(since, at), level
        level += steps[at]
        since = at


def peak(loads: Iterable[Load], within: Span) -> int:
    """Give the most units taken at any one instant of the span."""
    return max((level for span, level in levels(loads) if span.overlaps(within)), default=0)


def busy(loads: Iterable[Load], room: int) -> list[Span]:
    """Give the time in which more than `room` units are taken."""
    return merge(span for span, level in levels(loads) if level > room)
