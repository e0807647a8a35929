"""A history of what clients asked and were told, and the checks that it must pass.

An operation is `ok` (acknowledged), `fail` (the server promises that nothing happened) or `info` (nobody knows:
it may have happened at any time since, or may never). Slots do not overlap each other, so each is an object of its
own: free, or held by one key.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Literal

Slot = tuple[str, int]
Outcome = Literal["ok", "fail", "info"]


@dataclass
class Operation:
    """One request: which booking (`key`) wanted to take or give back which slot, and between which instants.

    `invoked` and `completed` are of one monotonic clock; an unknown operation completes at the end of time.
    """

    kind: Literal["take", "release", "move"]
    key: str
    slot: Slot
    invoked: float
    completed: float = inf
    outcome: Outcome = "info"
    to: Slot | None = None
    booking_id: str | None = None
    because: str = ""


@dataclass(frozen=True)
class Step:
    """What one operation did to one slot."""

    take: bool
    key: str
    invoked: float
    completed: float
    outcome: Outcome
    because: str = ""


@dataclass
class Final:
    """What the database holds in the end: the holder of each slot, the key of each booking, events by booking."""

    holders: Mapping[Slot, Sequence[str]]
    events: Mapping[str, Sequence[str]] = field(default_factory=dict)


def steps(history: Iterable[Operation]) -> dict[Slot, list[Step]]:
    """Split the history by slot; a move gives one back and takes another."""
    found: dict[Slot, list[Step]] = defaultdict(list)
    for op in history:
        shared = (op.key, op.invoked, op.completed, op.outcome, op.because)
        if op.kind == "take":
            found[op.slot].append(Step(True, *shared))
        elif op.kind == "release":
            found[op.slot].append(Step(False, *shared))
        elif op.to is not None and op.to != op.slot:
            # A refused move says something of the slot that it wanted, nothing of the one that it keeps.
            found[op.to].append(Step(True, *shared))
            if op.outcome != "fail":
                found[op.slot].append(Step(False, *shared))
    return found


def doubles(history: Iterable[Operation], final: Final) -> list[str]:
    """Find slots that two keys surely held at once, and slots with two holders in the end."""
    faults = [
        f"{slot} has {len(keys)} holders: {keys}" for slot, keys in final.holders.items() if len(keys) > 1
    ]
    for slot, done in steps(history).items():
        spans = []
        for take in (step for step in done if step.take and step.outcome == "ok"):
            ends = [
                s.invoked for s in done if not s.take and s.key == take.key and s.invoked >= take.completed
            ]
            spans.append((take.completed, min(ends, default=inf), take.key))
        spans.sort()
        for (_, end, key), (start, _, rival) in pairwise(spans):
            if start < end and key != rival:
                faults.append(f"{slot} was surely held by {key} and {rival} at once")
    return faults


def unjustified(history: Iterable[Operation]) -> list[str]:
    """Find answers "taken" to which nothing that possibly held the slot within the call corresponds."""
    faults = []
    for slot, done in steps(history).items():
        takes = [step for step in done if step.take and step.outcome != "fail"]
        for refused in (s for s in done if s.take and s.outcome == "fail" and s.because == "taken"):
            possible = False
            for take in takes:
                gone = [
                    s.completed
                    for s in done
                    if not s.take and s.key == take.key and s.outcome == "ok" and s.invoked >= take.invoked
                ]
                if (
                    take.key != refused.key
                    and take.invoked < refused.completed
                    and min(gone, default=inf) > refused.invoked
                ):
                    possible = True
                    break
            if not possible:
                faults.append(f"{slot} was refused to {refused.key} though nobody could hold it")
    return faults


def twice(history: Iterable[Operation]) -> list[str]:
    """Find keys that were answered with more than one booking."""
    answers: dict[str, set[str]] = defaultdict(set)
    for op in history:
        if op.kind == "take" and op.booking_id:
            answers[op.key].add(op.booking_id)
    return [f"{key} made {len(ids)} bookings" for key, ids in answers.items() if len(ids) > 1]


def not_linearizable(history: Iterable[Operation], final: Final) -> list[str]:
    """Find slots for which no order, true to real time, gives these answers and this end.

    Wing and Gong's search with memory of what was tried: states are (operations done, holder). The end is read
    last, which settles what nobody knew: a lost or a ghostly booking has no order.
    """
    faults = []
    for slot, done in steps(history).items():
        keys = final.holders.get(slot, ())
        if not _has_order(sorted(done, key=lambda s: s.invoked), keys[0] if keys else None):
            faults.append(f"{slot}: no order explains {len(done)} answers and the end {list(keys)}")
    return faults


def _has_order(done: Sequence[Step], end: str | None) -> bool:
    everything = (1 << len(done)) - 1
    unknown = sum(1 << i for i, step in enumerate(done) if step.outcome == "info")
    tried = set()
    left: list[tuple[int, str | None]] = [(0, None)]
    while left:
        state = left.pop()
        if state in tried:
            continue
        tried.add(state)
        mask, holder = state
        if mask | unknown == everything and holder == end:
            return True
        # An operation may come next if none that is left was answered before it was asked.
        first = min((s.completed for i, s in enumerate(done) if not mask >> i & 1), default=inf)
        for index, step in enumerate(done):
            if mask >> index & 1:
                continue
            if step.invoked > first:
                break
            possible, after = _apply(step, holder)
            if possible:
                left.append((mask | 1 << index, after))
            if step.outcome == "info":
                left.append((mask | 1 << index, holder))
    return False


def _apply(step: Step, holder: str | None) -> tuple[bool, str | None]:
    """Tell whether the answer fits a slot in this state, and who holds it afterwards."""
    if step.take:
        if step.outcome == "fail":
            return (holder not in (None, step.key) if step.because == "taken" else True), holder
        if holder == step.key:
            return True, holder  # the same key again: the answer is repeated
        return holder is None, step.key
    if step.outcome == "fail":
        return True, holder
    return holder == step.key, None


def wrong_events(history: Iterable[Operation], final: Final) -> list[str]:
    """Find acknowledged effects without an event, and events without an effect."""
    faults = []
    acknowledged = {
        op.booking_id for op in history if op.kind == "take" and op.outcome == "ok" and op.booking_id
    }
    faults += [
        f"{booking} was acknowledged and left no trace" for booking in acknowledged - final.events.keys()
    ]
    for booking, kinds in final.events.items():
        if sum(kind in {"booking.placed", "booking.requested"} for kind in kinds) != 1:
            faults.append(f"{booking} was placed by {kinds}")
        if sum(kind in {"booking.cancelled", "booking.withdrawn"} for kind in kinds) > 1:
            faults.append(f"{booking} was cancelled twice: {kinds}")
    return faults


def faults(history: Sequence[Operation], final: Final) -> list[str]:
    """Hold a history against all checks."""
    return [
        *doubles(history, final),
        *unjustified(history),
        *twice(history),
        *not_linearizable(history, final),
        *wrong_events(history, final),
    ]
