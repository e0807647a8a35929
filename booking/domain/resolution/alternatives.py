"""What can be had instead of a slot that is taken: exact, ranked, and at once, since nobody queues for a refusal.

Five sorts: another time on the same instrument, an equal instrument at the same time, a cheaper equal one near in
time, what of the use fits there, and two or three parts. Each says how far it is from what was asked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from booking.domain.resolution import bits
from booking.domain.resolution.problem import DAY, SLOTS_AN_HOUR, Instrument, Place, Pool

NEAREST = 3
CHEAPEST = 3
NEAR = 2 * DAY
"""So far before and after the wanted start “near in time” reaches."""

LEAST_PART = 2
"""No part of a split use, and no shortened one, is shorter than half an hour."""

MOST_PARTS = 3

ELSEWHERE = (0, 4, 16, 64)
"""Slots of delay that are as bad as another instrument: at the same site, in the same region, farther away. Like the
weights below a judgement, not a measurement; the first place is the same instrument."""

A_PART_MORE = 16
YUAN_A_SLOT = 100
"""So many yuan more are as bad as a quarter of an hour."""


class Why(enum.StrEnum):
    """Of which sort an offer is."""

    NEAREST = "nearest"
    EQUAL = "equal"
    CHEAPER = "cheaper"
    SHORTER = "shorter"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Taken:
    """The slot that was asked for; `equals` are instruments that would do as well."""

    instrument: int
    start: int
    duration: int
    attended: bool = True
    equals: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be had instead: (instrument, start, duration) of each part, and how far it is from the wish.

    `shift` is by how many slots it begins later (negative: earlier), `distance` 0 for the same instrument, 1 at the
    same site, 2 in the region, 3 beyond; `price` in yuan more (negative: less) than the wish, both for their own
    length; `lost` slots of use are missing.
    """

    why: Why
    parts: tuple[tuple[int, int, int], ...]
    shift: int
    distance: int
    price: float
    lost: int = 0

    @property
    def trouble(self) -> float:
        """Say how much worse than the wish it is; what is ranked by."""
        return trouble(
            shift=self.shift, distance=self.distance, lost=self.lost, price=self.price, parts=len(self.parts)
        )


def trouble(*, shift: float, distance: int, lost: float, price: float, parts: int) -> float:
    """Say in slots of delay how much worse than the wish something else is."""
    dearer = max(0.0, price) / YUAN_A_SLOT
    return abs(shift) + ELSEWHERE[distance] + lost + A_PART_MORE * (parts - 1) + dearer


@dataclass(slots=True)
class Board:
    """The calendars of a pool as sets of slots, with what a plan takes written in."""

    instruments: Sequence[Instrument]
    horizon: int
    free: list[int]
    staffed: list[int]
    joints: list[int]
    equals: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)

    def starts(self, instrument: int, duration: int, *, attended: bool) -> int:
        """Give the slots at which a run of this length may start on the instrument."""
        if duration > self.horizon:
            return 0
        clean = self.instruments[instrument].clean
        found = bits.runs(self.free[instrument], duration + clean) & bits.of_span(
            0, self.horizon - duration + 1
        )
        staffed = self.staffed[instrument]
        if not attended:
            return found & staffed & staffed >> (duration - 1)
        found &= bits.runs(staffed, duration)
        joints = self.joints[instrument]
        # A run may begin where two windows meet, and not go on across that slot.
        return found & ~(bits.within(joints, 0, duration - 2) >> (duration - 1)) if joints else found

    def equal_to(self, instrument: int) -> tuple[int, ...]:
        """Give the instruments of the same kind and region, itself left out."""
        one = self.instruments[instrument]
        return tuple(other for other in self.equals[one.kind, one.region] if other != instrument)


def board(pool: Pool, plan: Mapping[int, Sequence[Place]] | None = None) -> Board:
    """Lay a pool's calendars out, with the runs of a plan and their cleaning taken."""
    whole = [bits.of_span(0, pool.horizon + one.clean) for one in pool.instruments]
    free = [all_of & ~bits.of_spans(one.blocked) for all_of, one in zip(whole, pool.instruments, strict=True)]
    for number, places in (plan or {}).items():
        for step, (instrument, start) in zip(pool.wishes[number].steps, places, strict=True):
            end = start + step.duration + pool.instruments[instrument].clean
            free[instrument] &= ~bits.of_span(start, end)
    within = bits.of_span(0, pool.horizon)
    equals: dict[tuple[str, int], list[int]] = {}
    for number, one in enumerate(pool.instruments):
        equals.setdefault((one.kind, one.region), []).append(number)
    return Board(
        pool.instruments,
        pool.horizon,
        free,
        [bits.of_spans(one.staffed) & within for one in pool.instruments],
        [_joints(one) for one in pool.instruments],
        {which: tuple(found) for which, found in equals.items()},
    )


def _joints(instrument: Instrument) -> int:
    """Give the slots at which one staffed window begins where another ends."""
    joints = 0
    for (_, end), (start, _end) in pairwise(sorted(instrument.staffed)):
        if end == start:
            joints |= 1 << start
    return joints


def alternatives(known: Board, taken: Taken) -> list[Offer]:
    """Give all offers, the least troublesome first; the same use is offered once, by its first sort."""
    found: dict[tuple[tuple[int, int, int], ...], Offer] = {}
    for make in (nearest, equal, cheaper, shorter, split):
        for offer in make(known, taken):
            found.setdefault(offer.parts, offer)
    return sorted(found.values(), key=lambda offer: (offer.trouble, offer.parts))


def nearest(known: Board, taken: Taken, *, count: int = NEAREST) -> list[Offer]:
    """Give the nearest other starts on the same instrument, the earlier of two as near first."""
    starts = known.starts(taken.instrument, taken.duration, attended=taken.attended)
    others = starts & ~bits.of_span(taken.start, taken.start + 1)
    return [
        _offer(known, taken, Why.NEAREST, ((taken.instrument, start, taken.duration),))
        for start in bits.around(others, taken.start, count)
    ]


def equal(known: Board, taken: Taken) -> list[Offer]:
    """Give every equal instrument that is free at the same time, the cheapest and nearest first."""
    offers = [
        _offer(known, taken, Why.EQUAL, ((other, taken.start, taken.duration),))
        for other in taken.equals
        if known.starts(other, taken.duration, attended=taken.attended) >> taken.start & 1
    ]
    return sorted(offers, key=lambda offer: (offer.price, offer.distance, offer.parts))


def cheaper(known: Board, taken: Taken, *, count: int = CHEAPEST) -> list[Offer]:
    """Give the cheapest equal instruments that can be had near in time, each at its nearest start."""
    near = bits.of_span(taken.start - NEAR, taken.start + NEAR + 1)
    offers = [
        _offer(known, taken, Why.CHEAPER, ((other, start, taken.duration),))
        for other in taken.equals
        for start in bits.around(
            known.starts(other, taken.duration, attended=taken.attended) & near, taken.start, 1
        )
    ]
    offers.sort(key=lambda offer: (offer.price, abs(offer.shift), offer.distance, offer.parts))
    return offers[:count]


def shorter(known: Board, taken: Taken) -> list[Offer]:
    """Give the longest use that fits on the instrument within the span that was asked for, the earliest of them."""
    pieces = list(
        _uses(known, taken.instrument, taken.start, taken.start + taken.duration, attended=taken.attended)
    )
    fitting = [(start, end) for start, end in pieces if LEAST_PART <= end - start < taken.duration]
    if not fitting:
        return []
    start, end = max(fitting, key=lambda piece: (piece[1] - piece[0], -piece[0]))
    return [_offer(known, taken, Why.SHORTER, ((taken.instrument, start, end - start),))]


def split(known: Board, taken: Taken) -> list[Offer]:
    """Give the fewest parts that fit on the instrument from the wanted start on, the earliest to be done.

    Each part lies within one staffed window and is cleaned after before the next begins; the whole lies near in time.
    """
    end = min(known.horizon, taken.start + taken.duration + NEAR)
    uses = [*_uses(known, taken.instrument, taken.start, end, attended=True), (end + DAY, end + DAY)]
    clean = known.instruments[taken.instrument].clean
    trimmed = [(a, min(b, following - clean)) for (a, b), (following, _) in pairwise(uses)]
    windows = [(a, b) for a, b in trimmed if b - a >= LEAST_PART]
    for count in range(2, MOST_PARTS + 1):
        parts = divided(windows, taken.duration, count)
        if parts:
            places = tuple((taken.instrument, a, b - a) for a, b in parts)
            return [_offer(known, taken, Why.SPLIT, places)]
    return []


def divided(
    windows: Sequence[tuple[int, int]], duration: int, count: int, *, least: int = LEAST_PART
) -> list[tuple[int, int]] | None:
    """Divide a use among so many windows such that it is done as early as possible.

    For each last window the longest ones before it take all they can; what they leave is done there.
    """
    best: list[tuple[int, int]] | None = None
    for number, (start, end) in enumerate(windows):
        if best is not None and start + least >= best[-1][1]:
            break
        before = sorted(windows[:number], key=lambda window: (window[0] - window[1], window[0]))[: count - 1]
        if len(before) < count - 1:
            continue
        chosen = _filled(sorted(before), duration - least, least)
        rest = duration - sum(b - a for a, b in chosen)
        if least <= rest <= end - start and (best is None or start + rest < best[-1][1]):
            best = [*chosen, (start, start + rest)]
    return best


def _filled(windows: Sequence[tuple[int, int]], most: int, least: int) -> list[tuple[int, int]]:
    """Take each window whole, and of the last ones no more than is left; each keeps its least."""
    found = []
    for number, (start, end) in enumerate(windows):
        kept = least * (len(windows) - number - 1)
        length = max(least, min(end - start, most - kept))
        found.append((start, start + length))
        most -= length
    return found


def _uses(
    known: Board, instrument: int, start: int, end: int, *, attended: bool
) -> Iterator[tuple[int, int]]:
    """Walk through the longest uses that lie between two slots, where the cleaning after them is free too."""
    clean = known.instruments[instrument].clean
    staffed, joints = known.staffed[instrument], known.joints[instrument]
    span = bits.of_span(start, min(end, known.horizon))
    room = bits.runs(known.free[instrument], clean + 1) & span
    # A slot may be used when it and the cleaning after it are free; one use fills slots in a row of these.
    if not attended:
        for a, b in bits.stretches(room):
            inside = staffed & bits.of_span(a, b)
            if inside:
                yield (inside & -inside).bit_length() - 1, inside.bit_length()
        return
    for a, b in bits.stretches(room & staffed):
        edges = [a, *bits.ascending(joints & bits.of_span(a + 1, b)), b]
        yield from pairwise(edges)


def _offer(known: Board, taken: Taken, why: Why, parts: tuple[tuple[int, int, int], ...]) -> Offer:
    asked, other = known.instruments[taken.instrument], known.instruments[parts[0][0]]
    slots = sum(duration for _, _, duration in parts)
    price = (other.rate * slots - asked.rate * taken.duration) / SLOTS_AN_HOUR
    distance = 0
    if parts[0][0] != taken.instrument:
        distance = 1 if other.site == asked.site else 2 if other.region == asked.region else 3
    return Offer(why, parts, parts[0][1] - taken.start, distance, price, taken.duration - slots)
