"""A question to the resolver as a document, and its answer as one: what the solving process speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from booking.domain.resolution import repair, solve
from booking.domain.resolution.documents import read_plan, read_pool, write_plan
from booking.domain.resolution.outage import read_outage

Told = Callable[[dict[str, Any]], None]


def answer(
    kind: str,
    document: Mapping[str, Any],
    *,
    seconds: float,
    seed: int,
    on_progress: Told,
    stopped: Callable[[], bool],
) -> dict[str, Any]:
    """Solve a document of a kind within seconds, or until `stopped`; progress and answer are plain documents.

    Raises:
        ValueError: there is no such kind.
    """
    if kind == "pool":
        return _pool(document, seconds, seed, on_progress, stopped)
    if kind == "repair":
        return _repair(document, seconds, seed, on_progress, stopped)
    raise ValueError(f"no such kind of question: {kind}")


def _pool(
    document: Mapping[str, Any], seconds: float, seed: int, on_progress: Told, stopped: Callable[[], bool]
) -> dict[str, Any]:
    found = solve.solve(
        read_pool(document),
        seconds=seconds,
        seed=seed,
        on_progress=lambda progress: on_progress(_progress(progress)),
        stopped=stopped,
    )
    return {
        "plan": write_plan(found.plan),
        "objective": found.objective,
        "bound": found.bound,
        "missing": list(found.missing),
        "served": found.served,
        "slots": found.slots,
        "subsidy": found.subsidy,
        "caps_bound": list(found.caps_bound),
        "budget_bound": found.budget_bound,
        "method": found.method,
        "seed": found.seed,
        "fingerprint": found.fingerprint,
        "seconds": round(found.seconds, 2),
    }


def _repair(
    document: Mapping[str, Any], seconds: float, seed: int, on_progress: Told, stopped: Callable[[], bool]
) -> dict[str, Any]:
    found = repair.repairs(
        read_pool(document["pool"]),
        read_plan(document["plan"]),
        read_outage(document["outage"]),
        seconds=seconds,
        seed=seed,
        on_progress=lambda phase, share: on_progress({"phase": phase, "share": round(100 * min(1.0, share))}),
        stopped=stopped,
    )
    return {
        "repairs": [_repaired(one) for one in found.ranked],
        "objective": found.ranked[0].cost,
        "bound": found.bound,
        "nearest": found.nearest,
        "groups": found.groups,
        "proven": found.proven,
        "seed": found.seed,
        "fingerprint": found.fingerprint,
        "seconds": round(found.seconds, 2),
    }


def _repaired(one: repair.Repair) -> dict[str, Any]:
    return {
        "kind": one.emphasis,
        "plan": write_plan(one.plan),
        "cost": one.cost,
        "changes": [
            {
                "wish": change.wish,
                "hit": change.hit,
                "after": None if change.after is None else [list(place) for place in change.after],
                "slots": change.slots,
                "instruments": change.instruments,
                "cost": change.cost,
            }
            for change in one.changes
        ],
        "chains": {str(number): list(neighbours) for number, neighbours in one.chains.items()},
    }


def _progress(progress: solve.Progress) -> dict[str, Any]:
    return {
        "phase": progress.phase,
        "objective": progress.objective,
        "bound": progress.bound,
        "share": round(100 * min(1.0, progress.share)),
    }
