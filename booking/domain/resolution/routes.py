"""The earliest route of a process: ordered steps on several instruments, by dynamic programming over free starts.

A start of a step can be reached when a run of the step before it ended between its least and its most lag earlier;
sets of slots carry that from step to step, so that a route over ten instruments costs a fraction of a millisecond.
Where two steps that do not follow each other share an instrument, best-first search (A*) looks at what the plain
programme cannot see: its bound is the earliest completion without that rule, so the first route found is the earliest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

from booking.domain.resolution import bits
from booking.domain.resolution.problem import Place, Span, Utility

MOST_TRIED = 20_000
"""The search looks at no more beginnings of a route; then it says that it found none."""


@dataclass(frozen=True, slots=True)
class Option:
    """One instrument for a step: the slots at which a run may start there, and how many slots it lasts."""

    instrument: int
    starts: int
    duration: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A step with its options; it starts between `lag[0]` and `lag[1]` slots after the end of the step before.

    `family` is what is worked on, for the changeover between two runs on one instrument.
    """

    options: tuple[Option, ...]
    lag: Span = (0, 0)
    family: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A run that stands on an instrument already, with its family."""

    start: int
    end: int
    family: str


Apart = Callable[[int, str, str], int]
"""The slots between the end of one run and the start of the next on an instrument, by their families."""


def no_gap(_instrument: int, _before: str, _after: str) -> int:
    """Let runs follow each other at once."""
    return 0


def earliest(stages: Sequence[Stage], *, apart: Apart = no_gap) -> tuple[Place, ...] | None:
    """Give the places of the route that is done first; looking back from its end, each step comes as late as it can."""
    reached = _forward(stages, apart)
    if reached is None:
        return None
    plain = _backward(stages, reached, apart)
    if plain is not None and _keeps_apart(stages, plain, apart):
        return plain
    return _searched(stages, apart)


def ends_at(stages: Sequence[Stage], places: Sequence[Place]) -> int:
    """Give the slot at which a route is done."""
    instrument, start = places[-1]
    return start + next(one.duration for one in stages[-1].options if one.instrument == instrument)


def apart_from(fixed: Iterable[Fixed], family: str, minutes: Mapping[tuple[str, str], int]) -> int:
    """Give the slots that changeovers keep from a run of this family: those too near to its neighbours.

    Only the nearest run before and the nearest one after count, and what has no family leaves no trace. A run may
    neither start nor end in such a slot, nor lie across one: the neighbour is beyond it.
    """
    if not family:
        return 0
    known = sorted((one for one in fixed if one.family), key=lambda one: (one.start, one.end))
    barred = 0
    for before, after in pairwise([None, *known, None]):
        left = before.end if before else 0
        right = after.start if after else None
        if before is not None:
            until = left + minutes.get((before.family, family), 0)
            barred |= bits.of_span(left, until if right is None else min(until, right))
        if after is not None and right is not None:
            barred |= bits.of_span(max(left, right - minutes.get((family, after.family), 0)), right)
    return barred


def too_full(utility: Utility, amount: int, horizon: int) -> int:
    """Give the slots in which less than this amount of a shared utility is left."""
    change: dict[int, int] = {}
    for start, end, drawn in utility.taken:
        change[start] = change.get(start, 0) + drawn
        change[end] = change.get(end, 0) - drawn
    full, level = 0, amount
    for at, until in pairwise([*sorted({0, *change}), horizon]):
        level += change.get(at, 0)
        if level > utility.capacity:
            full |= bits.of_span(at, until)
    return full


def _forward(stages: Sequence[Stage], apart: Apart) -> list[list[int]] | None:
    """Give for each step and option the starts that some beginning of the route reaches; None where it ends."""
    reached = [[one.starts for one in stages[0].options]]
    for before, stage in pairwise(stages):
        ended = [run << one.duration for one, run in zip(before.options, reached[-1], strict=True)]
        everywhere = 0
        for ends in ended:
            everywhere |= ends
        if not everywhere:
            return None
        usual = bits.within(everywhere, *stage.lag)
        here = []
        for one in stage.options:
            gap = apart(one.instrument, before.family, stage.family)
            allowed = usual
            if gap > stage.lag[0] and any(one.instrument == other.instrument for other in before.options):
                allowed = _with_gap(stage.lag, gap, one.instrument, before.options, ended)
            here.append(one.starts & allowed)
        reached.append(here)
    return reached if any(reached[-1]) else None


def _with_gap(lag: Span, gap: int, instrument: int, options: Sequence[Option], ended: Sequence[int]) -> int:
    """Give the starts after a step, which on the same instrument keep a longer distance."""
    elsewhere = here = 0
    for one, ends in zip(options, ended, strict=True):
        if one.instrument == instrument:
            here |= ends
        else:
            elsewhere |= ends
    return bits.within(elsewhere, *lag) | bits.within(here, max(lag[0], gap), lag[1])


def _backward(
    stages: Sequence[Stage], reached: Sequence[Sequence[int]], apart: Apart
) -> tuple[Place, ...] | None:
    """Follow the earliest completion back to its beginning, each step as late as the next one lets it."""
    ends = [
        (start + one.duration, number, start)
        for number, (one, run) in enumerate(zip(stages[-1].options, reached[-1], strict=True))
        if (start := bits.first(run)) is not None
    ]
    if not ends:
        return None
    _, number, start = min(ends)
    places = [(stages[-1].options[number].instrument, start)]
    for step in range(len(stages) - 2, -1, -1):
        stage, after, (instrument, start) = stages[step], stages[step + 1], places[-1]
        found = []
        for one, run in zip(stage.options, reached[step], strict=True):
            gap = apart(instrument, stage.family, after.family) if one.instrument == instrument else 0
            least = max(after.lag[0], gap)
            window = bits.of_span(start - after.lag[1] - one.duration, start - least - one.duration + 1)
            slot = bits.last(run & window)
            if slot is not None:
                found.append((slot + one.duration, -one.instrument, slot))
        _, other, slot = max(found)
        places.append((-other, slot))
    return tuple(reversed(places))


def _keeps_apart(stages: Sequence[Stage], places: Sequence[Place], apart: Apart) -> bool:
    """Tell whether each run keeps its distance from the last one before it on the same instrument."""
    runs = [
        (instrument, start, ends_at(stages[: number + 1], places[: number + 1]), stages[number].family)
        for number, (instrument, start) in enumerate(places)
    ]
    for number, (instrument, start, _, family) in enumerate(runs):
        for other, _, end, earlier in reversed(runs[:number]):
            if other != instrument:
                continue
            if start < end + apart(instrument, earlier, family):
                return False
            if earlier:  # what has no family leaves no trace: the one before it is looked at too
                break
    return True


def _searched(stages: Sequence[Stage], apart: Apart) -> tuple[Place, ...] | None:
    """Look for the earliest route best first, where the distance on an instrument bears on more than neighbours."""
    order = count()
    queue: list[tuple[int, int, int, tuple[Place, ...]]] = []

    def offer(places: tuple[Place, ...]) -> None:
        bound = _completion(stages, places, apart)
        if bound is not None:
            heapq.heappush(queue, (bound, -len(places), next(order), places))

    for place in _starts(stages[0], stages[0].options, -1):
        offer((place,))
    for _ in range(MOST_TRIED):
        if not queue:
            return None
        places = heapq.heappop(queue)[-1]
        if len(places) == len(stages):
            return places
        end = ends_at(stages[: len(places)], places)
        for place in _starts(stages[len(places)], stages[len(places)].options, end):
            longer = (*places, place)
            if _keeps_apart(stages, longer, apart):
                offer(longer)
    return None


def _starts(stage: Stage, options: Sequence[Option], end: int) -> list[Place]:
    window = -1 if end < 0 else bits.of_span(end + stage.lag[0], end + stage.lag[1] + 1)
    return [(one.instrument, slot) for one in options for slot in bits.ascending(one.starts & window)]


def _completion(stages: Sequence[Stage], places: Sequence[Place], apart: Apart) -> int | None:
    """Give the earliest completion of a route that begins so, by the plain programme."""
    number = len(places) - 1
    instrument, start = places[-1]
    here = next(one for one in stages[number].options if one.instrument == instrument)
    fixed = Stage((Option(instrument, 1 << start, here.duration),), stages[number].lag, stages[number].family)
    rest = [fixed, *stages[number + 1 :]]
    reached = _forward(rest, apart)
    if reached is None:
        return None
    return min(
        slot + one.duration
        for one, run in zip(rest[-1].options, reached[-1], strict=True)
        if (slot := bits.first(run)) is not None
    )
