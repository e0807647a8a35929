"""What happens to a plan: instruments fall out, a day is closed, hours change; and what repairing it costs whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from booking.domain.resolution.check import BrokenRule, feasible, judged
from booking.domain.resolution.problem import DAY, Instrument, Place, Plan, Pool, Span, Wish


@dataclass(frozen=True, slots=True)
class Outage:
    """Instruments that are down over spans, days that are closed, staffed windows that change; known at slot `now`.

    The wishes of `hit` cannot stay for a reason that no calendar shows. Nothing is moved to before `now`, and what
    began before it is moved only where the outage hits it.
    """

    down: tuple[tuple[int, int, int], ...] = ()
    closed_days: tuple[int, ...] = ()
    staffed: Mapping[int, tuple[Span, ...]] = field(default_factory=dict)
    now: int = 0
    kind: str = ""
    hit: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a repair costs, in points: the one place of these weights.

    A cancelled booking costs `cancelled` times the weight of its priority; a hit booking that is moved costs `moved`, a
    consenting neighbour that makes room `bystander`; each costs `slot` for every slot of displacement of each step,
    `instrument` for every step on another instrument, and `overdue` for every slot that it ends after its window. Hit
    bookings may end up to `grace` slots after their window.
    """

    cancelled: int = 4000
    moved: int = 100
    bystander: int = 300
    slot: int = 1
    instrument: int = 32
    overdue: int = 0
    priorities: Mapping[int, int] = field(default_factory=lambda: {4: 8, 3: 4, 2: 2, 1: 1})
    grace: int = 7 * DAY

    def of_cancelling(self, wish: Wish) -> int:
        """The points of one booking that finds no place any more."""
        return self.cancelled * self.priorities.get(wish.priority, 1)

    def of_lateness(self, wish: Wish) -> int:
        """The points of a place after the day by which it is needed: with its way there just less than of none."""
        way = self.moved + self.instrument + self.slot * self.grace
        return max(0, self.of_cancelling(wish) - way - 1)


@dataclass(frozen=True, slots=True)
class Change:
    """What a repair asks of one booking: where it stood, where it stands (nowhere when cancelled), and its price."""

    wish: int
    hit: bool
    before: tuple[Place, ...]
    after: tuple[Place, ...] | None
    slots: int
    instruments: int
    overdue: int
    cost: int


@dataclass(frozen=True, slots=True)
class Case:
    """A pool after an outage, with the plan that stood before it: bookings that are hit have longer windows in it."""

    pool: Pool
    plan: Plan
    hit: frozenset[int]
    now: int
    weights: Disturbance

    def may_shift(self, number: int) -> bool:
        """Whether an unaffected booking may be asked to make room: its holder consents and it has not begun."""
        wish = self.pool.wishes[number]
        return wish.consents and number not in self.hit and self.plan[number][0][1] >= self.now


def case_of(pool: Pool, plan: Mapping[int, Sequence[Place]], outage: Outage, weights: Disturbance) -> Case:
    """Strike a pool with an outage and find the bookings that cannot stay where they are."""
    instruments = struck(pool, plan, outage)
    changed = {
        n for n, (old, new) in enumerate(zip(pool.instruments, instruments, strict=True)) if old != new
    }
    hit = frozenset(
        number
        for number in plan
        if number in outage.hit
        or not _stands(instruments, pool.wishes[number], plan[number], changed, outage.now)
    )
    wishes = list(pool.wishes)
    for number, places in plan.items():
        start, end = wishes[number].window
        last = places[-1][1] + wishes[number].steps[-1].duration
        end = end + weights.grace if number in hit else max(end, last)
        wishes[number] = replace(wishes[number], window=(min(start, places[0][1]), end))
    after = replace(pool, instruments=instruments, wishes=tuple(wishes))
    return Case(after, {n: tuple(places) for n, places in plan.items()}, hit, outage.now, weights)


def struck(pool: Pool, plan: Mapping[int, Sequence[Place]], outage: Outage) -> tuple[Instrument, ...]:
    """The instruments of a pool as they are after an outage, which leaves alone what ended before it was known."""
    instruments = list(pool.instruments)
    for number, windows in outage.staffed.items():
        instruments[number] = _staffed(instruments[number], windows, outage.now)
    for day in outage.closed_days:
        instruments = [_closed(instrument, day, outage.now) for instrument in instruments]
    cleaned = _cleaned(pool, plan, outage)
    for number, begin, end in outage.down:
        start = max(begin, cleaned.get(number, 0), outage.now)
        if start < end:
            blocked = tuple(sorted((*instruments[number].blocked, (start, end))))
            instruments[number] = replace(instruments[number], blocked=blocked)
    return tuple(instruments)


def changes(case: Case, plan: Mapping[int, Sequence[Place]]) -> list[Change]:
    """What a repaired plan asks of whom, in the order of the wishes; empty when it is the old plan."""
    return [change for number in sorted(case.plan) if (change := _change(case, number, plan.get(number)))]


def refereed(case: Case, plan: Mapping[int, Sequence[Place]]) -> list[Change]:
    """Check a repaired plan slowly and independently, and say what it asks of whom.

    Raises:
        BrokenRule: it breaks a rule of its pool, serves somebody new, cancels an unaffected booking, moves one without
            consent or into the past, or moves one out of its window.
    """
    judged(case.pool, plan)
    for number in plan:
        if number not in case.plan:
            raise BrokenRule("not_booked", number)
    asked = changes(case, plan)
    for change in asked:
        if change.after is None and not change.hit:
            raise BrokenRule("cancelled_unaffected", change.wish)
        if not change.hit and not case.pool.wishes[change.wish].consents:
            raise BrokenRule("moved_without_consent", change.wish)
        for old, new in zip(change.before, change.after or (), strict=bool(change.after)):
            if old != new and min(old[1] if not change.hit else case.now, new[1]) < case.now:
                raise BrokenRule("past", change.wish)
    return asked


def read_outage(document: Mapping[str, Any]) -> Outage:
    """The outage of a JSON document: {"down": [[instrument, start, end]], "closed_day": day, "now": slot}.

    Raises:
        KeyError, TypeError, ValueError: the document has not the form of an outage.
    """
    closed = document.get("closed_days", [document["closed_day"]] if "closed_day" in document else [])
    return Outage(
        kind=str(document.get("kind", "")),
        down=tuple((int(number), int(start), int(end)) for number, start, end in document.get("down", ())),
        closed_days=tuple(int(day) for day in closed),
        staffed={
            int(number): tuple((int(start), int(end)) for start, end in windows)
            for number, windows in document.get("staffed", {}).items()
        },
        now=int(document.get("now", 0)),
        hit=tuple(int(number) for number in document.get("hit", ())),
    )


def _cleaned(pool: Pool, plan: Mapping[int, Sequence[Place]], outage: Outage) -> dict[int, int]:
    """Until when instruments are cleaned after runs that ended before the outage was known."""
    until: dict[int, int] = {}
    for number, places in plan.items() if outage.now else ():
        for step, (instrument, start) in zip(pool.wishes[number].steps, places, strict=True):
            end = start + step.duration
            if end <= outage.now:
                until[instrument] = max(until.get(instrument, 0), end + pool.instruments[instrument].clean)
    return until


def _closed(instrument: Instrument, day: int, now: int) -> Instrument:
    # A window that covers the whole day belongs to an instrument that never closes.
    start, end = day * DAY, (day + 1) * DAY
    kept = tuple((a, b) for a, b in instrument.staffed if b <= start or a >= end or (a <= start and b >= end))
    return instrument if kept == instrument.staffed else _staffed(instrument, kept, now)


def _staffed(instrument: Instrument, windows: Sequence[Span], now: int) -> Instrument:
    past = [(a, min(b, now)) for a, b in instrument.staffed if (a, b) not in windows and a < now]
    return replace(instrument, staffed=tuple(sorted({*windows, *past})))


def _stands(
    instruments: Sequence[Instrument], wish: Wish, places: Sequence[Place], changed: set[int], now: int
) -> bool:
    for step, (number, start) in zip(wish.steps, places, strict=True):
        if number not in changed or start + step.duration <= now:
            continue
        anywhere = (start, start + step.duration)
        if not feasible(instruments[number], step, start, anywhere):
            return False
    return True


def _change(case: Case, number: int, after: Sequence[Place] | None) -> Change | None:
    before, wish, weights, hit = case.plan[number], case.pool.wishes[number], case.weights, number in case.hit
    if after is None:
        return Change(number, hit, before, None, 0, 0, 0, weights.of_cancelling(wish))
    after = tuple(after)
    if after == before:
        return None
    slots, instruments = _displaced(before, after)
    overdue = max(0, after[-1][1] + wish.steps[-1].duration - promised_end(case, number))
    cost = weights.moved if hit else weights.bystander
    cost += weights.slot * slots + weights.instrument * instruments + weights.overdue * overdue
    due = due_of(case, number)
    if due is not None and after[-1][1] + wish.steps[-1].duration > due:
        cost += weights.of_lateness(wish)
    return Change(number, hit, before, after, slots, instruments, overdue, cost)


def promised_end(case: Case, number: int) -> int:
    """The slot by which a booking should have ended before the outage."""
    return case.pool.wishes[number].window[1] - (case.weights.grace if number in case.hit else 0)


def due_of(case: Case, number: int) -> int | None:
    """The slot after which a booking is too late; None where there is none, or it was too late before the outage."""
    wish = case.pool.wishes[number]
    ended = case.plan[number][-1][1] + wish.steps[-1].duration
    return None if wish.due is None or ended > wish.due else wish.due


def _displaced(before: Sequence[Place], after: Sequence[Place]) -> tuple[int, int]:
    pairs = list(zip(before, after, strict=True))
    return sum(abs(a[1] - b[1]) for a, b in pairs), sum(a[0] != b[0] for a, b in pairs)


def movable(case: Case) -> Iterator[int]:
    """The bookings that a repair may move: the hit ones, then those whose holders consent."""
    yield from sorted(case.hit)
    yield from (number for number in sorted(case.plan) if case.may_shift(number))
