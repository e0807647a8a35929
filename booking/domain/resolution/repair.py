"""Repair of a confirmed plan after an outage: up to three that differ really, with what each costs whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from booking.domain.resolution.documents import fingerprint
from booking.domain.resolution.effort import Effort
from booking.domain.resolution.moves import Ground, Group, Mover, Moves, groups_of
from booking.domain.resolution.outage import Case, Change, Disturbance, Outage, case_of, refereed
from booking.domain.resolution.problem import DAY, Place, Plan, Pool, Span
from booking.domain.resolution.rebuild import (
    FIRST_WORK,
    GROUP_WORK,
    LARGE_ROUNDS,
    LARGE_WORK,
    WHOLE,
    Rebuilt,
    improve,
    prove,
    resettle,
    settled,
    sharpen,
)
from booking.domain.resolution.repair_bound import ROUNDS
from booking.domain.resolution.starts import Slots

PASSES = 6
"""How often large groups are gone through when nothing else limits the work."""
SHARES = {"others_stay": 0.2, "least": 0.8, "keep_time": 0.5, "keep_instrument": 0.8}
"""What each emphasis may use of the effort that is left. That all others stay is soon found, and the least disturbing
repair begins there; most of the effort is for that one.
"""
OTHER_WORK = 2 * FIRST_WORK
"""The solver's work for a group of a repair with another emphasis, which needs no proof."""
WANTED = 3

Listener = Callable[[str, float], None]
"""Hears of the phase and of the share of the limit that is used."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One repaired plan, what it asks of whom, and its disturbance.

    `emphasis` says what it looks to: "least" disturbance, that all "others_stay", "keep_time" or "keep_instrument" of
    those who are hit, or the "next_best" plan where these are all the same.
    """

    emphasis: str
    plan: Plan
    changes: tuple[Change, ...]
    chains: Mapping[int, tuple[int, ...]]
    """Who makes room for whom, directly or through others: hit booking → consenting neighbours."""

    @property
    def cost(self) -> int:
        """The disturbance in points."""
        return sum(change.cost for change in self.changes)

    @property
    def cancelled(self) -> int:
        """How many bookings find no place."""
        return sum(change.after is None for change in self.changes)

    @property
    def moved(self) -> int:
        """How many of the hit bookings are moved."""
        return sum(change.hit and change.after is not None for change in self.changes)

    @property
    def bystanders(self) -> int:
        """How many consenting neighbours make room."""
        return sum(not change.hit for change in self.changes)

    @property
    def slots(self) -> int:
        """The slots of displacement of all of them together."""
        return sum(change.slots for change in self.changes)

    @property
    def instruments(self) -> int:
        """How many steps go to another instrument."""
        return sum(change.instruments for change in self.changes)


@dataclass(frozen=True, slots=True)
class Repairs:
    """The repairs of a plan, the least disturbing first, and how good the first can be at best."""

    hit: tuple[int, ...]
    ranked: tuple[Repair, ...]
    nearest: int
    """The disturbance when each booking just takes the nearest place."""
    bound: int
    """No repair at all disturbs less."""
    groups: int
    proven: int
    seed: int
    fingerprint: str
    seconds: float

    @property
    def gap(self) -> float:
        """The share of the disturbance that is not proven to be needed."""
        cost = self.ranked[0].cost
        return (cost - self.bound) / cost if cost else 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """A time for maintenance: from when, whom it hits, and the disturbance of the repair."""

    start: int
    hit: tuple[int, ...]
    repair: Repair


def repairs(
    pool: Pool,
    plan: Mapping[int, Sequence[Place]],
    outage: Outage,
    *,
    weights: Disturbance | None = None,
    seconds: float | None = None,
    work: float | None = None,
    seed: int = 0,
    on_progress: Listener | None = None,
    stopped: Callable[[], bool] | None = None,
) -> Repairs:
    """Repair a plan after an outage; unaffected bookings are never cancelled, and moved only with consent.

    The same input, seed and `work` give the same repairs; at the end of `seconds` the best so far are given.
    """
    effort = Effort(seconds, work, stopped)
    case = case_of(pool, plan, outage, weights or Disturbance())
    tell = on_progress or (lambda _phase, _share: None)
    tell("nearest", effort.share)
    nearest = _joined(case, [settled(group, case.pool, left) for group, left in _grounds(case, others=False)])

    def tried(emphasis: str, start: Sequence[Rebuilt], most: float = GROUP_WORK) -> list[Rebuilt]:
        tell(emphasis, effort.share)
        part, others = _part(effort, SHARES[emphasis]), emphasis != "others_stay"
        rebuilt = best(_emphasised(case, emphasis), part, seed, others=others, start=start, most=most)
        effort.add(part.done)
        return rebuilt

    alone = tried("others_stay", ())
    least = tried("least", alone)
    found = [_repair(case, "least", _joined(case, least))]
    _add(found, _repair(case, "others_stay", _joined(case, alone)))
    for emphasis in ("keep_time", "keep_instrument"):
        if len(found) < WANTED:
            _add(found, _repair(case, emphasis, _joined(case, tried(emphasis, least, OTHER_WORK))))
    if sum(change.cost for change in refereed(case, nearest)) < min(one.cost for one in found):
        found.insert(0, _repair(case, "nearest", nearest))
    for other in _next_best(case, least, found, effort, seed):
        _add(found, other)
    ranked = tuple(sorted(found, key=lambda one: (one.cost, one.bystanders, one.slots)))
    return Repairs(
        hit=tuple(sorted(case.hit)),
        ranked=ranked,
        nearest=sum(change.cost for change in refereed(case, nearest)),
        bound=min(sum(one.bound for one in least), ranked[0].cost),
        groups=len(least),
        proven=sum(one.proven for one in least),
        seed=seed,
        fingerprint=fingerprint(pool),
        seconds=effort.elapsed,
    )


def best(
    case: Case,
    effort: Effort,
    seed: int = 0,
    *,
    others: bool = True,
    start: Sequence[Rebuilt] = (),
    most: float = GROUP_WORK,
) -> list[Rebuilt]:
    """The best repair of each group of a case that the effort allows; small groups come first and are proven.

    It may start from another repair of the same case; `most` limits the solver's work for each group.
    """
    known = {number: places for one in start for number, places in one.placing.items()}
    rebuilt = [settled(group, case.pool, left) for group, left in _grounds(case, others=others)]
    for one in rebuilt:
        resettle(one, known)
    rebuilt.sort(key=lambda one: one.standing.field.candidates)
    large = [one for one in rebuilt if one.standing.field.candidates > WHOLE]
    for one in rebuilt:
        if not one.proven and not effort.over:
            sharpen(one, effort, LARGE_ROUNDS if one in large else ROUNDS)
        if not one.proven and not effort.over and one not in large:
            prove(one, effort, seed, most)
    passes = PASSES if most >= GROUP_WORK else 1
    for turn in range(seed, seed + passes):
        widest = sorted(rebuilt if passes > 1 else large, key=lambda one: one.bound - one.cost)
        for one in widest:
            if not one.proven and not effort.over:
                improve(one, effort, turn, rounds=3 + one.group.hit // 2)
        for one in widest if passes > 1 else ():
            if not one.proven and not effort.over:
                prove(one, effort, turn, most, LARGE_WORK)
    return rebuilt


def quietest(
    pool: Pool,
    plan: Mapping[int, Sequence[Place]],
    instruments: Sequence[int],
    length: int,
    span: Span,
    *,
    later: Mapping[int, int] | None = None,
    inside: Sequence[Span] | None = None,
    weights: Disturbance | None = None,
    most: int = 5,
    effort: Effort | None = None,
) -> list[Window]:
    """The least disturbing times for a maintenance of `length` slots within a span, ranked; each hits others.

    Of the starts that hit the same bookings the earliest is meant. What stands in the calendars beside the plan cannot
    be displaced: no window touches it. With `inside` each lies in one of these spans; `later` says by how many slots
    the calendar of an instrument runs late.
    """
    weights = weights or Disturbance()
    limit = effort or Effort(work=5.0)
    late = {n: (later or {}).get(n, 0) for n in instruments}
    known: dict[int, Case] = {}
    windows = []
    for start in _promising(pool, plan, late, length, span, inside, weights, 4 * most):
        outage = Outage(
            tuple((n, start + late[n], start + late[n] + length) for n in late), kind="maintenance"
        )
        case = known[start] = case_of(pool, plan, outage, weights)
        first = [settled(group, case.pool, left) for group, left in _grounds(case, others=True)]
        windows.append(_window(case, start, first))
    # All are known as the nearest places have it; thought goes to those that may be told.
    windows.sort(key=lambda window: (window.repair.cost, window.start))
    for at, window in enumerate(windows[:most]):
        if window.hit and not limit.over:
            part = _part(limit, 1 / (most - at))
            better = _window(known[window.start], window.start, best(known[window.start], part))
            windows[at] = min(better, window, key=lambda one: one.repair.cost)
            limit.add(part.done)
    windows.sort(key=lambda window: (window.repair.cost, window.start))
    return windows[:most]


def _window(case: Case, start: int, rebuilt: Sequence[Rebuilt]) -> Window:
    return Window(start, tuple(sorted(case.hit)), _repair(case, "least", _joined(case, rebuilt)))


def _grounds(case: Case, *, others: bool) -> Iterator[tuple[Group, list[Slots]]]:
    ground = Ground(case, others=others)
    for group in groups_of(ground):
        yield group, ground.left


def _joined(case: Case, rebuilt: Sequence[Rebuilt]) -> Plan:
    plan = dict(case.plan)
    for one in rebuilt:
        for number, places in one.placing.items():
            if places is None:
                del plan[number]
            else:
                plan[number] = places
    return plan


def _emphasised(case: Case, emphasis: str) -> Case:
    weights = case.weights
    if emphasis == "keep_time":
        weights = replace(weights, slot=20 * max(1, weights.slot), instrument=0)
    if emphasis == "keep_instrument":
        weights = replace(weights, instrument=40 * max(1, weights.instrument))
    return replace(case, weights=weights)


def _part(effort: Effort, share: float) -> Effort:
    seconds = None if effort.seconds is None else max(0.0, effort.seconds - effort.elapsed) * share
    work = None if effort.work is None else max(0.0, effort.work - effort.done) * share
    return Effort(seconds, work, effort.stopped)


def _repair(case: Case, emphasis: str, plan: Plan) -> Repair:
    changes = tuple(refereed(case, plan))
    return Repair(emphasis, plan, changes, _chains(case, changes))


def _add(found: list[Repair], repair: Repair) -> None:
    """Keep a repair if there is none that asks the same of everybody."""
    if len(found) < WANTED and all(repair.plan != other.plan for other in found):
        found.append(repair)


def _chains(case: Case, changes: Sequence[Change]) -> dict[int, tuple[int, ...]]:
    moved = [change for change in changes if not change.hit]
    if not moved:
        return {}
    follows = {
        change.wish: [
            other.wish for other in moved if other is not change and _displaces(case, change, other)
        ]
        for change in changes
    }
    chains: dict[int, tuple[int, ...]] = {}
    for change in changes:
        if change.hit and follows[change.wish]:
            chain: list[int] = []
            waiting = [change.wish]
            while waiting:
                for number in follows[waiting.pop(0)]:
                    if number not in chain:
                        chain.append(number)
                        waiting.append(number)
            chains[change.wish] = tuple(chain)
    return chains


def _displaces(case: Case, change: Change, other: Change) -> bool:
    """Whether one stands now where another stood before."""
    return any(
        one[0] == two[0] and one[1] < two[2] and two[1] < one[2]
        for one in _runs(case, change.wish, change.after or ())
        for two in _runs(case, other.wish, other.before)
    )


def _runs(case: Case, number: int, places: Sequence[Place]) -> list[tuple[int, int, int]]:
    return [
        (instrument, start, start + step.duration + case.pool.instruments[instrument].clean)
        for (instrument, start), step in zip(places, case.pool.wishes[number].steps, strict=bool(places))
    ]


def _next_best(
    case: Case, least: Sequence[Rebuilt], found: Sequence[Repair], effort: Effort, seed: int
) -> Iterator[Repair]:
    """Repairs in which one booking goes neither to the day nor to the instrument where the best puts it."""
    if len(found) >= WANTED:
        return
    seen: list[Plan] = []
    for at, one in enumerate(least):
        for mover in [mover for mover in one.group.movers if one.placing[mover.number] and mover.hit][:3]:
            if effort.over or len(seen) >= WANTED:
                break
            movers = [_elsewhere(m, one.placing[m.number]) if m is mover else m for m in one.group.movers]
            other = settled(Group(tuple(movers)), case.pool, one.left)
            sharpen(other, effort)
            prove(other, effort, seed, FIRST_WORK)
            seen.append(_joined(case, [*least[:at], other, *least[at + 1 :]]))
    yield from sorted((_repair(case, "next_best", plan) for plan in seen), key=lambda one: one.cost)


def _elsewhere(mover: Mover, places: tuple[Place, ...] | None) -> Mover:
    moves = []
    for own, (instrument, start) in zip(mover.moves, places or (), strict=True):
        keep = (own.instruments != instrument) | (np.abs(own.starts - start) >= DAY // 2)
        moves.append(Moves(own.instruments[keep], own.starts[keep], own.ends[keep], own.costs[keep]))
    return replace(mover, moves=tuple(moves))


def _promising(
    pool: Pool,
    plan: Mapping[int, Sequence[Place]],
    late: Mapping[int, int],
    length: int,
    span: Span,
    inside: Sequence[Span] | None,
    weights: Disturbance,
    most: int,
) -> list[int]:
    """The starts that hit the least by weight and hours, one for each set of bookings that is hit."""
    taken = [(a - by, b - by) for n, by in late.items() for a, b in pool.instruments[n].blocked]
    standing = [
        (start - late[instrument], start - late[instrument] + step.duration + clean, number)
        for number, places in plan.items()
        for step, (instrument, start) in zip(pool.wishes[number].steps, places, strict=True)
        if instrument in late
        for clean in [pool.instruments[instrument].clean]
    ]
    open_at = [span] if inside is None else inside
    # The set that is hit is another one only from where a booking ends or is reached; so is what is allowed.
    edges = {span[0], *(a for a, _ in open_at), *(b for _, b in taken)}
    edges |= {b for _, b, _ in standing} | {a - length + 1 for a, _, _ in standing}
    best_of: dict[frozenset[int], tuple[int, int]] = {}
    for start in sorted(edges):
        end = start + length
        free = all(b <= start or end <= a for a, b in taken)
        allowed = any(a <= start and end <= b for a, b in open_at)
        if free and allowed and span[0] <= start and end <= span[1]:
            hit = frozenset(number for a, b, number in standing if a < end and start < b)
            burden = sum(weights.of_cancelling(pool.wishes[n]) + pool.wishes[n].slots for n in hit)
            best_of.setdefault(hit, (burden, start))
    return [start for _burden, start in sorted(best_of.values())[:most]]
