"""A question to the resolver as a document, and its answer as one: what the solving process speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from booking.domain.resolution import repair, solve
from booking.domain.resolution.documents import read_plan, read_pool, write_plan
from booking.domain.resolution.explain import Explainer, Help
from booking.domain.resolution.outage import read_outage
from booking.domain.resolution.problem import Pool

Told = Callable[[dict[str, Any]], None]

MOST_EXPLAINED = 2000
"""Of so many wishes that are not served it is said why."""


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
    pool = read_pool(document)
    found = solve.solve(
        pool,
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
        "reasons": _reasons(pool, found),
    }


def _reasons(pool: Pool, found: solve.Result) -> dict[str, list[dict[str, Any]]]:
    """Say of each wish that is not served why, and what would help; of those served elsewhere, that they are."""
    explainer = Explainer(pool, found.plan, found.prices)
    told: dict[str, list[dict[str, Any]]] = {}
    for number in range(len(pool.wishes)):
        if number in found.plan:
            said = [{"code": "elsewhere"} for _ in explainer.elsewhere(number)[:1]]
        elif len(told) < MOST_EXPLAINED:
            explained = explainer.unserved(number)
            said = [_said(one.code, one.params) for one in explained.reasons]
            said += _helps(explained.helps)
        else:
            said = []
        if said:
            told[str(number)] = said
    return told


def _said(code: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": code, **params}


def _helps(helps: Iterable[Help]) -> list[dict[str, Any]]:
    """Give the first way of each sort; runs without anybody there are not everybody's to choose."""
    found: dict[str, dict[str, Any]] = {}
    for one in helps:
        if one.code != "unattended":
            places = [list(place) for place in one.places]
            found.setdefault(one.code, _said(f"help_{one.code}", {**one.params, "places": places}))
    return list(found.values())


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
