"""The referee: slow, obvious, and independent of every solver; no plan is shown that it has not passed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from booking.domain.resolution.problem import Instrument, Place, Pool, Span, Step, Wish


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a plan is worth: points, slots of use, what each floor misses in slots, subsidies."""

    objective: int
    served: int
    slots: int
    missing: tuple[int, ...]
    subsidy: int


class BrokenRule(Exception):
    """A plan breaks a rule of its pool; `rule` names it, `wish` the first wish concerned."""

    def __init__(self, rule: str, wish: int | None = None) -> None:
        super().__init__(f"{rule} (wish {wish})" if wish is not None else rule)
        self.rule = rule
        self.wish = wish


def judged(pool: Pool, plan: Mapping[int, Sequence[Place]]) -> Verdict:
    """Check a plan against every rule of its pool and count what it is worth.

    Raises:
        BrokenRule: a place is not free or not allowed, two runs overlap, or a cap, the budget or a utility is exceeded.
    """
    for number, places in plan.items():
        _check_wish(pool, number, places)
    _check_overlaps(pool, plan)
    _check_utilities(pool, plan)
    _check_caps(pool, plan)
    subsidy = sum(pool.wishes[number].subsidy for number in plan)
    if pool.budget is not None and subsidy > pool.budget:
        raise BrokenRule("budget")
    missing = tuple(
        max(0, floor.slots - use) for floor, use in zip(pool.floors, floor_use(pool, plan), strict=True)
    )
    worth = sum(worth_of(pool.wishes[number], places) for number, places in plan.items())
    slots = sum(pool.wishes[number].slots for number in plan)
    return Verdict(worth - pool.short * sum(missing), len(plan), slots, missing, subsidy)


def worth_of(wish: Wish, places: Sequence[Place]) -> int:
    """The points of one served wish: its value less penalties of its instruments and lateness of its first step."""
    penalties = sum(dict(step.choices)[place[0]] for step, place in zip(wish.steps, places, strict=True))
    return wish.value - penalties - wish.late * (places[0][1] - wish.window[0])


def floor_use(pool: Pool, plan: Mapping[int, Sequence[Place]]) -> list[int]:
    """The slots that a plan gives to each floor."""
    use = [0] * len(pool.floors)
    for number, places in plan.items():
        wish = pool.wishes[number]
        for index, floor in enumerate(pool.floors):
            if floor.quota_class == wish.quota_class:
                use[index] += sum(
                    step.duration
                    for step, (instrument, _start) in zip(wish.steps, places, strict=True)
                    if floor.group in {None, pool.instruments[instrument].group}
                )
    return use


def feasible(instrument: Instrument, step: Step, start: int, window: Span) -> bool:
    """Whether a step may start there on an instrument that nobody else of the plan uses."""
    end = start + step.duration
    if start < window[0] or end > window[1] or start % instrument.every:
        return False
    if any(a < end + instrument.clean and start < b for a, b in instrument.blocked):
        return False
    if step.attended:
        return any(a <= start and end <= b for a, b in instrument.staffed)
    return all(any(a <= slot < b for a, b in instrument.staffed) for slot in (start, end - 1))


def _check_wish(pool: Pool, number: int, places: Sequence[Place]) -> None:
    if not 0 <= number < len(pool.wishes):
        raise BrokenRule("unknown_wish", number)
    wish = pool.wishes[number]
    if len(places) != len(wish.steps):
        raise BrokenRule("steps", number)
    before: int | None = None
    for step, (instrument, start) in zip(wish.steps, places, strict=True):
        if instrument not in dict(step.choices):
            raise BrokenRule("instrument", number)
        if not feasible(pool.instruments[instrument], step, start, wish.window):
            raise BrokenRule("not_free", number)
        if before is not None and not before + step.lag[0] <= start <= before + step.lag[1]:
            raise BrokenRule("lag", number)
        before = start + step.duration


def _check_overlaps(pool: Pool, plan: Mapping[int, Sequence[Place]]) -> None:
    runs: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, places in plan.items():
        for step, (instrument, start) in zip(pool.wishes[number].steps, places, strict=True):
            runs[instrument].append(
                (start, start + step.duration + pool.instruments[instrument].clean, number)
            )
    for spans in runs.values():
        for (_, end, _first), (start, _, second) in pairwise(sorted(spans)):
            if start < end:
                raise BrokenRule("overlap", second)


def _check_utilities(pool: Pool, plan: Mapping[int, Sequence[Place]]) -> None:
    drawn: Counter[tuple[int, int]] = Counter()
    for index, utility in enumerate(pool.utilities):
        for start, end, amount in utility.taken:
            drawn.update({(index, slot): amount for slot in range(start, end)})
    for number, places in plan.items():
        for step, (_instrument, start) in zip(pool.wishes[number].steps, places, strict=True):
            for index, amount in step.draws:
                for slot in range(start, start + step.duration):
                    drawn[index, slot] += amount
                    if drawn[index, slot] > pool.utilities[index].capacity:
                        raise BrokenRule("utility", number)


def _check_caps(pool: Pool, plan: Mapping[int, Sequence[Place]]) -> None:
    use: Counter[int] = Counter()
    for number in plan:
        wish = pool.wishes[number]
        use[wish.organisation] += wish.slots
        if use[wish.organisation] > pool.caps.get(wish.organisation, use[wish.organisation]):
            raise BrokenRule("cap", number)
