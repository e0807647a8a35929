"""Why a wish is not served, what would help, why it is served elsewhere: codes and figures, never names of others.

The price of a place is that of the Lagrangian bound: a wish that is outbid is worth less than the slots that it would
take are worth to others, which is the certificate of the bound itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from booking.domain.resolution.board import Prices
from booking.domain.resolution.check import floor_use
from booking.domain.resolution.field import Points, cheapest_chain, place_of
from booking.domain.resolution.problem import DAY, SLOTS_AN_HOUR, Place, Pool, Step, Wish
from booking.domain.resolution.refill import Waitlist
from booking.domain.resolution.repair import Repairs

MOST_OTHERS = 8
"""How many further instruments of the same kind are tried."""
SHORTER = 0.75


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason with its figures.

    "never_free": closures and earlier bookings leave no start. "full": every start is taken, by `classes` {priority:
    bookings}. "cap", "budget": over by so much. "floor": hours promised to others. "outbid": the cheapest place costs
    more points than the wish has.
    """

    code: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Help:
    """A change of the wish that would serve it now: "later", "earlier", "instrument", "unattended" or "shorter"."""

    code: str
    places: tuple[Place, ...]
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a wish is not served, and which single change would help; empty reasons: a place is free after all."""

    wish: int
    reasons: tuple[Reason, ...]
    helps: tuple[Help, ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A step that is served on another instrument than the first that was named, and by how many yuan that differs."""

    step: int
    wished: int
    served: int
    yuan: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Why a booking is moved or cancelled by a repair: who makes room for it, and what the next best repair costs."""

    wish: int
    hit: bool
    makes_room_for: tuple[int, ...]
    chain: tuple[int, ...]
    cost: int
    next_best: int | None
    """Points that the next best repair costs more, of all bookings together."""


class Explainer:
    """A plan in its pool, ready to say of each wish why it stands where it does or nowhere."""

    def __init__(self, pool: Pool, plan: Mapping[int, Sequence[Place]], prices: Prices | None = None) -> None:
        self.pool = pool
        self.plan = {number: tuple(places) for number, places in plan.items()}
        self.prices = prices
        self.free = Waitlist(pool, plan, (), shifts=False)
        self.empty = Waitlist(pool, {}, (), shifts=False)
        self.use = floor_use(pool, plan)
        self.runs: dict[int, list[tuple[int, int, int]]] = {}
        for number, places in self.plan.items():
            for step, (instrument, start) in zip(pool.wishes[number].steps, places, strict=True):
                end = start + step.duration + pool.instruments[instrument].clean
                self.runs.setdefault(instrument, []).append((start, end, number))

    def unserved(self, number: int, now: int = 0) -> Explanation:
        """Why a wish of the pool has no place in the plan, and what would help."""
        wish = self.pool.wishes[number]
        reasons = tuple(
            chain(
                self._rules(wish),
                self._calendar(wish, now),
                self._floors(wish),
                self._price(number, wish, now),
            )
        )
        return Explanation(number, reasons, tuple(self._helps(wish, now)))

    def elsewhere(self, number: int) -> list[Elsewhere]:
        """The steps of a served wish that are not on the instrument that it named first."""
        found = []
        for index, (step, (instrument, _start)) in enumerate(
            zip(self.pool.wishes[number].steps, self.plan[number], strict=True)
        ):
            first = min(step.choices, key=lambda choice: choice[1])[0]
            if instrument != first:
                rates = self.pool.instruments[instrument].rate - self.pool.instruments[first].rate
                found.append(Elsewhere(index, first, instrument, rates * step.duration // SLOTS_AN_HOUR))
        return found

    def _rules(self, wish: Wish) -> Iterator[Reason]:
        over = self.free.over_cap(wish)
        if over > 0:
            cap = self.pool.caps[wish.organisation]
            yield Reason("cap", {"over": over / SLOTS_AN_HOUR, "cap": cap / SLOTS_AN_HOUR})
        over = self.free.over_budget(wish)
        if over > 0:
            yield Reason("budget", {"over": over, "budget": self.pool.budget})

    def _calendar(self, wish: Wish, now: int) -> Iterator[Reason]:
        if self.free.offer(wish, now) is not None:
            return
        if self.empty.offer(wish, now) is None:
            yield Reason("never_free")
            return
        yield Reason("full", {"classes": self._blocking(wish, now), "starts": self._starts(wish, now)})

    def _blocking(self, wish: Wish, now: int) -> dict[int, int]:
        """How many bookings of each class stand where the wish could have run."""
        found: set[int] = set()
        for moves in self.empty.candidates(wish, now):
            for instrument in np.unique(moves.instruments).tolist():
                here = moves.instruments == instrument
                starts, ends = np.sort(moves.starts[here]), np.sort(moves.ends[here])
                for start, end, number in self.runs.get(instrument, ()):
                    # Some candidate begins before this run ends and ends after it begins: all have one length.
                    first = int(np.searchsorted(ends, start, side="right"))
                    if first < len(starts) and starts[first] < end:
                        found.add(number)
        classes = Counter(self.pool.wishes[number].priority for number in found)
        return dict(sorted(classes.items(), reverse=True))

    def _starts(self, wish: Wish, now: int) -> int:
        return min((len(moves) for moves in self.empty.candidates(wish, now)), default=0)

    def _floors(self, wish: Wish) -> Iterator[Reason]:
        groups = {self.pool.instruments[place].group for step in wish.steps for place, _ in step.choices}
        for index, floor in enumerate(self.pool.floors):
            if floor.quota_class == wish.quota_class or (
                floor.group is not None and floor.group not in groups
            ):
                continue
            missing = floor.slots - self.use[index]
            binds = self.prices is not None and self.prices.floors[index] > 0
            if missing > 0 or binds:
                yield Reason(
                    "floor",
                    {
                        "quota_class": floor.quota_class,
                        "hours": floor.slots / SLOTS_AN_HOUR,
                        "missing": max(0, missing) / SLOTS_AN_HOUR,
                    },
                )

    def _price(self, number: int, wish: Wish, now: int) -> Iterator[Reason]:
        if self.prices is None or not self.empty.candidates(wish, now):
            return
        price, places = self._cheapest(number, wish, now, self.prices)
        if places and price > wish.value:
            params = {"price": round(price), "value": wish.value, "places": places}
            yield Reason("outbid", params)

    def _cheapest(self, number: int, wish: Wish, now: int, prices: Prices) -> tuple[float, tuple[Place, ...]]:
        """The place that costs least at the prices of the bound, what the floors pay taken off."""
        mover = self.empty.asking(number, wish, now)
        stride = len(prices.slots) // len(self.pool.instruments)
        points: list[Points] = []
        for step, moves in zip(wish.steps, mover.moves, strict=True):
            at = moves.instruments * stride
            cost = moves.costs + prices.slots[at + moves.ends] - prices.slots[at + moves.starts]
            for utility, amount in step.draws:
                sums = prices.utilities[utility]
                cost = cost + amount * (sums[moves.starts + step.duration] - sums[moves.starts])
            points.append(cost - step.duration * self._paid(wish, moves.instruments, prices))
        total, chosen = cheapest_chain(mover, points)
        return total + prices.rule_cost(wish), tuple(
            place_of(mover, step, candidate) for step, candidate in enumerate(chosen)
        )

    def _paid(self, wish: Wish, instruments: np.ndarray, prices: Prices) -> Points:
        """What floors pay for a slot of this class on each of the instruments."""
        paid = np.zeros(len(instruments))
        for index, floor in enumerate(self.pool.floors):
            if floor.quota_class == wish.quota_class:
                within = [floor.group in {None, self.pool.instruments[place].group} for place in instruments]
                paid += prices.floors[index] * np.array(within)
        return paid

    def _helps(self, wish: Wish, now: int) -> Iterator[Help]:
        for code, other, params in relaxed_wishes(self.pool, wish):
            if self.free.over_cap(other) > 0 or self.free.over_budget(other) > 0:
                continue
            places = self.free.offer(other, now)
            if places is not None:
                yield Help(code, places, params)


def relaxed_wishes(pool: Pool, wish: Wish) -> Iterator[tuple[str, Wish, dict[str, object]]]:
    """The wish with one thing relaxed at a time."""
    start, end = wish.window
    yield "later", replace(wish, window=(start, end + DAY)), {"slots": DAY}
    yield "earlier", replace(wish, window=(start - DAY, end)), {"slots": DAY}
    for index, step in enumerate(wish.steps):
        for other in _others(pool, step):
            wider = replace(step, choices=(*step.choices, (other, 0)))
            yield "instrument", _with(wish, index, wider), {"instrument": other, "step": index}
    if any(step.attended for step in wish.steps):
        steps = tuple(replace(step, attended=False) for step in wish.steps)
        yield "unattended", replace(wish, steps=steps), {}
    if all(step.duration > 1 for step in wish.steps):
        steps = tuple(replace(step, duration=max(1, int(step.duration * SHORTER))) for step in wish.steps)
        shorter = sum(step.duration for step in steps)
        yield "shorter", replace(wish, steps=steps), {"hours": shorter / SLOTS_AN_HOUR}


def moved(repairs: Repairs, number: int) -> Moved | None:
    """Why the first repair moves or cancels a booking; None: it does not."""
    if not repairs.ranked:
        return None
    best = repairs.ranked[0]
    change = next((change for change in best.changes if change.wish == number), None)
    if change is None:
        return None
    for_whom = tuple(sorted(hit for hit, others in best.chains.items() if number in others))
    more = repairs.ranked[1].cost - best.cost if len(repairs.ranked) > 1 else None
    return Moved(number, change.hit, for_whom, best.chains.get(number, ()), change.cost, more)


def _others(pool: Pool, step: Step) -> list[int]:
    """Further instruments of the kinds that the step names, those of the same site and region first."""
    own = [place for place, _ in step.choices]
    kinds = {pool.instruments[place].kind for place in own}
    first = pool.instruments[own[0]]
    found = [n for n, one in enumerate(pool.instruments) if one.kind in kinds and n not in own]
    found.sort(
        key=lambda n: (pool.instruments[n].site != first.site, pool.instruments[n].region != first.region)
    )
    return found[:MOST_OTHERS]


def _with(wish: Wish, index: int, step: Step) -> Wish:
    return replace(wish, steps=(*wish.steps[:index], step, *wish.steps[index + 1 :]))
