"""Places of those who do not come: release after the time of grace, a list of people on standby, honest odds.

Attendance is a probability with a Beta prior, so that somebody new counts as the average and experience outweighs it:
(shows + a) / (bookings + a + b). How many of several do not come is then Poisson-binomial; its distribution is exact,
by adding one booking after the other (Wang, "On the number of successes in independent trials", 1993).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from booking.domain.resolution.problem import Span

PRIOR = (8.8, 1.2)
"""Of ten bookings of somebody unknown, 8.8 are used."""
GRACE = 1
"""Slots after its start at which a booking without check-in is released."""


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking on one of several equal machines, and how likely its holder comes."""

    machine: int
    start: int
    end: int
    presence: float


@dataclass(frozen=True, slots=True)
class Standby:
    """Somebody who would come at short notice: from when, after what lead, and how long they need the machine."""

    number: int
    duration: int
    ready: int = 0
    lead: int = 0
    priority: int = 1
    since: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A machine that is free from `start` to `end`; nobody knew before `known`."""

    machine: int
    start: int
    end: int
    known: int


@dataclass(frozen=True, slots=True)
class Use:
    """What came of a day: slots used, people on standby who got a machine, holders who came and found it taken."""

    slots: int
    served: int
    bumped: int


def presence(shows: int, bookings: int, prior: tuple[float, float] = PRIOR) -> float:
    """How likely somebody comes who came `shows` times out of `bookings`."""
    return (shows + prior[0]) / (bookings + sum(prior))


def absences(presences: Iterable[float]) -> list[float]:
    """The probability that exactly 0, 1, 2 … of these do not come."""
    distribution = [1.0]
    for coming in presences:
        away = 1.0 - coming
        distribution = [
            (distribution[n] * coming if n < len(distribution) else 0.0)
            + (distribution[n - 1] * away if n else 0.0)
            for n in range(len(distribution) + 1)
        ]
    return distribution


def odds(
    booked: Sequence[Booked], asking: Standby, *, ahead: int, opening: Span, now: int = 0, grace: int = GRACE
) -> float:
    """How likely a place comes free for somebody with so many ahead on the list, each of whom may take one.

    A place is a booking whose holder does not come and that leaves enough time before the next one on its machine. The
    free time there is anyway counts as certain. Those ahead may not fit themselves: the odds are rather better.
    """
    certain = sum(fits(one, asking) for one in free_anyway(booked, opening, now))
    if certain > ahead:
        return 1.0
    chances = [
        one.presence
        for one in booked
        if one.start + grace > now and fits(released(one, booked, opening, grace), asking)
    ]
    return sum(absences(chances)[ahead - certain + 1 :])


def released(one: Booked, booked: Iterable[Booked], opening: Span, grace: int = GRACE) -> Opening:
    """What a booking leaves when its holder does not come: from the end of the grace to the next on its machine."""
    after = [other.start for other in booked if other.machine == one.machine and other.start >= one.end]
    return Opening(one.machine, one.start + grace, min(after, default=opening[1]), one.start + grace)


def free_anyway(booked: Sequence[Booked], opening: Span, now: int = 0) -> list[Opening]:
    """The time between bookings on the machines that have any."""
    found = []
    for machine in sorted({one.machine for one in booked}):
        at = max(opening[0], now)
        for one in sorted((one for one in booked if one.machine == machine), key=lambda one: one.start):
            if one.start > at:
                found.append(Opening(machine, at, one.start, now))
            at = max(at, one.end)
        if at < opening[1]:
            found.append(Opening(machine, at, opening[1], now))
    return found


def begins(opening: Opening, asking: Standby) -> int:
    """When somebody could begin there who is called as soon as it is known."""
    return max(opening.start, asking.ready, opening.known + asking.lead)


def fits(opening: Opening, asking: Standby) -> bool:
    """Whether somebody could begin there and finish before the next booking."""
    return begins(opening, asking) + asking.duration <= opening.end


def to_call(opening: Opening, waiting: Iterable[Standby]) -> Standby | None:
    """Who is called for a machine: the higher class, in it who wastes least of the time, then who waits longest."""
    able = [one for one in waiting if fits(opening, one)]
    return min(able, key=lambda one: _rank(opening, one), default=None)


def _rank(opening: Opening, one: Standby) -> tuple[int, int, int, int]:
    idle = begins(opening, one) - opening.start
    return -one.priority, idle - one.duration, one.since, one.number


def played(
    booked: Sequence[Booked],
    waiting: Sequence[Standby],
    opening: Span,
    *,
    comes: Callable[[Booked], bool],
    answers: Callable[[Standby], bool],
    release: bool = True,
    clairvoyant: bool = False,
    grace: int = GRACE,
    call: Callable[[Opening, Iterable[Standby]], Standby | None] = to_call,
) -> Use:
    """Play a day: who comes uses the machine; what others leave goes to people on standby, in the order it is known.

    The clairvoyant knows in the morning who does not come, and calls nobody in vain: what no real policy can reach.
    """
    used = sum(one.end - one.start for one in booked if comes(one))
    if not release:
        return Use(used, 0, 0)
    present = [one for one in booked if comes(one)]
    if clairvoyant:
        queue = free_anyway(present, opening)
        machines = {one.machine for one in booked} - {one.machine for one in present}
        queue += [Opening(machine, *opening, 0) for machine in sorted(machines)]
        left = [one for one in waiting if answers(one)]
    else:
        queue = free_anyway(booked, opening)
        queue += [released(one, booked, opening, grace) for one in booked if not comes(one)]
        left = list(waiting)
    heap = [(one.known, one.start, one.machine, one) for one in queue]
    heapq.heapify(heap)
    served = 0
    while heap:
        *_, free = heapq.heappop(heap)
        called = call(free, left)
        if called is None:
            continue
        left.remove(called)
        begin = begins(free, called)
        there = answers(called)
        end = begin + (called.duration if there else grace)
        used += called.duration if there else 0
        served += there
        if end < free.end:
            known = free.known if there else end
            heapq.heappush(heap, (known, end, free.machine, Opening(free.machine, end, free.end, known)))
    return Use(used, served, 0)
