"""A group of movers in flat arrays: every candidate a span of slots, prices and occupation read by prefix sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from booking.domain.resolution.moves import STAY_PUT, Group, Mover
from booking.domain.resolution.problem import Place, Pool
from booking.domain.resolution.starts import Bits, Slots

Points: TypeAlias = npt.NDArray[np.float64]
Placing: TypeAlias = dict[int, tuple[Place, ...] | None]
"""Where each mover of a group goes; None: it is cancelled."""
AnySlots = TypeVar("AnySlots", Slots, Points)


class Field:
    """The instruments of a group as rows of one long line of slots; the candidates of each step as spans on it.

    A row is wider than the horizon by the longest cleaning and one slot, so that no span reaches into the next.
    """

    def __init__(self, group: Group, pool: Pool) -> None:
        self.group = group
        self.pool = pool
        self.instruments = np.unique(
            np.concatenate([m.instruments for mover in group.movers for m in mover.moves])
        )
        self.width = pool.horizon + 1 + max((pool.instruments[i].clean for i in self.instruments), default=0)
        self.size = len(self.instruments) * self.width
        self.candidates = sum(len(moves) for mover in group.movers for moves in mover.moves)
        self.index = {mover.number: mover for mover in group.movers}
        self.spans = {
            mover.number: [
                (self._at(moves.instruments, moves.starts), self._at(moves.instruments, moves.ends))
                for moves in mover.moves
            ]
            for mover in group.movers
        }
        self.shares = np.zeros(max(self.index) + 2)
        """What one slot of each mover costs if it has to move."""
        for mover in group.movers:
            self.shares[mover.number] = mover.moving / sum(step.duration for step in mover.steps)
        self._sights: dict[int, tuple[Slots, list[tuple[Slots, Slots]]]] = {}

    def sight(self, mover: Mover) -> tuple[Slots, list[tuple[Slots, Slots]]]:
        """The rows that a mover could use, and the spans of its candidates on these rows put one after the other."""
        found = self._sights.get(mover.number)
        if found is None:
            rows = np.unique(np.concatenate([start // self.width for start, _ in self.spans[mover.number]]))
            shifts = [
                (np.searchsorted(rows, start // self.width) - start // self.width) * self.width
                for start, _ in self.spans[mover.number]
            ]
            spans = self.spans[mover.number]
            moved = [(a + shift, b + shift) for (a, b), shift in zip(spans, shifts, strict=True)]
            found = self._sights[mover.number] = rows, moved
        return found

    def seen(self, mover: Mover, line: AnySlots) -> AnySlots:
        """What the rows that a mover could use hold of a long line."""
        seen: AnySlots = line.reshape(-1, self.width)[self.sight(mover)[0]].ravel()
        return seen

    def span(self, place: Place, duration: int) -> tuple[int, int]:
        """The span of one place with the cleaning after it, on the long line."""
        instrument, start = place
        first = self.base(instrument) + start
        return first, first + duration + self.pool.instruments[instrument].clean

    def base(self, instrument: int) -> int:
        """Where the row of an instrument begins."""
        return int(np.searchsorted(self.instruments, instrument)) * self.width

    def spans_of(self, mover: Mover, places: Sequence[Place]) -> list[tuple[int, int]]:
        """The spans of all steps of a mover."""
        return [self.span(place, step.duration) for place, step in zip(places, mover.steps, strict=True)]

    def _at(self, instruments: Slots, starts: Slots) -> Slots:
        at: Slots = np.searchsorted(self.instruments, instruments) * self.width + starts
        return at


class Standing:
    """Who stands where while a group is repaired: places, occupation, and what is left of utilities."""

    def __init__(self, field: Field, left: Sequence[Slots]) -> None:
        self.field = field
        self.owner: Slots = np.full(field.size, -1, dtype=np.int64)
        self.placing: Placing = {}
        self.left = [slots.copy() for slots in left]
        for mover in field.group.movers:
            if mover.hit:
                self.placing[mover.number] = None
            else:
                self.put(mover, mover.before)

    def put(self, mover: Mover, places: tuple[Place, ...] | None) -> None:
        """Let a mover stand there; it must stand nowhere before."""
        self.placing[mover.number] = places
        for start, end in self.field.spans_of(mover, places or ()) if places else ():
            self.owner[start:end] = mover.number
        self._draw(mover, places, 1)

    def lift(self, mover: Mover) -> tuple[Place, ...] | None:
        """Take a mover away from where it stands."""
        places = self.placing[mover.number]
        for start, end in self.field.spans_of(mover, places) if places else ():
            self.owner[start:end] = -1
        self._draw(mover, places, -1)
        self.placing[mover.number] = None
        return places

    def free(self, mover: Mover, step: int, taken: Bits | None = None) -> Bits:
        """Which candidates of a step collide with nobody (or with none of those slots in sight), nor with utilities."""
        if taken is None:
            taken = self.field.seen(mover, self.owner) >= 0
        sums = np.concatenate(([0], np.cumsum(taken)))
        starts, ends = self.field.sight(mover)[1][step]
        free: Bits = sums[ends] == sums[starts]
        for utility, amount in mover.steps[step].draws:
            lacks = np.concatenate(([0], np.cumsum(self.left[utility] < amount)))
            begin = mover.moves[step].starts
            free &= lacks[begin + mover.steps[step].duration] == lacks[begin]
        return free

    def saved(self) -> Placing:
        """Where everybody stands, to come back to it."""
        return dict(self.placing)

    def restore(self, saved: Placing) -> None:
        """Let everybody stand where they stood."""
        moved = [number for number, places in self.placing.items() if places != saved[number]]
        for number in moved:
            self.lift(self.field.index[number])
        for number in moved:
            self.put(self.field.index[number], saved[number])

    def spent_since(self, saved: Placing) -> int:
        """The points by which those cost more now who stand elsewhere than they did; who stood nowhere cost nothing."""
        index = self.field.index
        return sum(
            cost_of(index[number], places) - (cost_of(index[number], before) if before is not None else 0)
            for number, places in self.placing.items()
            if places != (before := saved[number])
        )

    def guests(self, mover: Mover, places: Sequence[Place]) -> list[int]:
        """Who stands where a mover would go."""
        found: set[int] = set()
        for start, end in self.field.spans_of(mover, places):
            found.update(np.unique(self.owner[start:end]).tolist())
        return sorted(found - {-1, mover.number})

    def cost(self) -> int:
        """The points of everything that moved or was cancelled."""
        return sum(cost_of(self.field.index[n], places) for n, places in self.placing.items())

    def _draw(self, mover: Mover, places: tuple[Place, ...] | None, sign: int) -> None:
        for (_instrument, start), step in zip(places or (), mover.steps, strict=bool(places)):
            for utility, amount in step.draws:
                self.left[utility][start : start + step.duration] -= sign * amount


def cost_of(mover: Mover, places: tuple[Place, ...] | None) -> int:
    """The points of one mover: nothing when it stays, `cancelling` when it has no place."""
    if places is None:
        return mover.cancelling
    if places == mover.before and not mover.hit:
        return 0
    total = mover.moving
    for moves, (instrument, start) in zip(mover.moves, places, strict=True):
        at = np.flatnonzero((moves.instruments == instrument) & (moves.starts == start))
        total += int(moves.costs[at[0]]) if len(at) else STAY_PUT
    return total


def total_of(movers: Iterable[Mover], placing: Placing) -> int:
    """The points of a whole group."""
    return sum(cost_of(mover, placing[mover.number]) for mover in movers)


def cheapest_chain(
    mover: Mover, points: Sequence[Points], usable: Sequence[Bits] | None = None
) -> tuple[float, list[int]]:
    """The cheapest candidates of all steps, one each, with the lags between the steps kept; none: infinity."""
    if usable is not None:
        points = [np.where(mask, own, np.inf) for mask, own in zip(usable, points, strict=True)]
    totals = forward(mover, points)
    chosen = [int(np.argmin(totals[-1]))]
    total = float(totals[-1][chosen[0]])
    if not np.isfinite(total):
        return np.inf, []
    for step in range(len(totals) - 1, 0, -1):
        low, high = lags(mover, step)
        gaps = mover.moves[step].starts[chosen[0]] - mover.moves[step - 1].starts
        within = (gaps >= low) & (gaps <= high)
        chosen.insert(0, int(np.argmin(np.where(within, totals[step - 1], np.inf))))
    return total, chosen


def forward(mover: Mover, points: Sequence[Points]) -> list[Points]:
    """For each candidate of each step the least that it costs with all steps before it."""
    totals = [points[0]]
    for step in range(1, len(points)):
        before, here = mover.moves[step - 1].starts, mover.moves[step].starts
        totals.append(points[step] + linked(before, totals[-1], here, *lags(mover, step)))
    return totals


def backward(mover: Mover, points: Sequence[Points]) -> list[Points]:
    """For each candidate of each step the least that all steps after it cost."""
    totals = [np.zeros(len(points[-1]))]
    for step in range(len(points) - 1, 0, -1):
        after, here = mover.moves[step].starts, mover.moves[step - 1].starts
        totals.insert(0, linked(-after, totals[0] + points[step], -here, *lags(mover, step)))
    return totals


def lags(mover: Mover, step: int) -> tuple[int, int]:
    """The least and most slots from the start of the step before to the start of a step."""
    low, high = mover.steps[step].lag
    return mover.steps[step - 1].duration + low, mover.steps[step - 1].duration + high


def linked(origins: Slots, totals: Points, targets: Slots, low: int, high: int) -> Points:
    """For each target the least total of an origin that lies from `low` to `high` slots before it."""
    first = int(origins.min())
    line = np.full(int(origins.max()) - first + 1, np.inf)
    np.minimum.at(line, origins - first, totals)
    least = sliding_minimum(line, high - low + 1)
    ends = targets - low - first
    inside = (ends >= 0) & (ends < len(least))
    best: Points = np.full(len(targets), np.inf)
    best[inside] = least[ends[inside]]
    return best


def sliding_minimum(line: Points, width: int) -> Points:
    """The least of the last `width` values that end at each place; longer than the line by what still looks back.

    Doubling: minima over 1, 2, 4 … values, and two of them that overlap.
    """
    pad = np.full(width - 1, np.inf)
    least = np.concatenate((pad, line, pad))
    length = 1
    while length * 2 <= width:
        least = np.minimum(least[:-length], least[length:])
        length *= 2
    rest = width - length
    return np.minimum(least[: len(least) - rest], least[rest:]) if rest else least


def place_of(mover: Mover, step: int, candidate: int) -> Place:
    """The place of one candidate of one step."""
    moves = mover.moves[step]
    return int(moves.instruments[candidate]), int(moves.starts[candidate])
