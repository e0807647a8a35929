"""Pools and plans as JSON documents: what `yiqi resolve` reads and writes, and what a round keeps to be recomputed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from booking.domain.resolution.problem import (
    SLOTS_AN_HOUR,
    Floor,
    Instrument,
    Place,
    Plan,
    Pool,
    Span,
    Step,
    Utility,
    Wish,
)


def read_pool(document: Mapping[str, Any]) -> Pool:
    """The pool of a JSON document; hours become slots, points an hour become points a slot.

    Raises:
        KeyError, TypeError, ValueError: the document has not the form of a pool.
    """
    return Pool(
        name=str(document.get("name", "")),
        start=dt.date.fromisoformat(document["start"]),
        horizon=int(document["H"]),
        instruments=tuple(_instrument(entry) for entry in document["insts"]),
        wishes=tuple(_wish(entry) for entry in document["reqs"]),
        floors=tuple(Floor(entry["q"], entry["grp"], _slots(entry["hours"])) for entry in document["floors"]),
        caps={int(organisation): _slots(hours) for organisation, hours in document["org_cap"].items()},
        budget=document["budget"],
        short=_whole(document["short"], SLOTS_AN_HOUR),
        utilities=tuple(
            Utility(entry["capacity"], tuple((a, b, amount) for a, b, amount in entry["taken"]))
            for entry in document.get("utilities", ())
        ),
    )


def write_pool(pool: Pool) -> dict[str, Any]:
    """The JSON document of a pool; `read_pool` gives the same pool again."""
    return {
        "name": pool.name,
        "start": pool.start.isoformat(),
        "H": pool.horizon,
        "insts": [
            _instrument_entry(number, instrument) for number, instrument in enumerate(pool.instruments)
        ],
        "reqs": [_wish_entry(number, wish) for number, wish in enumerate(pool.wishes)],
        "floors": [
            {"q": floor.quota_class, "grp": floor.group, "hours": floor.slots / SLOTS_AN_HOUR}
            for floor in pool.floors
        ],
        "org_cap": {str(organisation): slots / SLOTS_AN_HOUR for organisation, slots in pool.caps.items()},
        "budget": pool.budget,
        "short": pool.short * SLOTS_AN_HOUR,
        "utilities": [
            {"capacity": one.capacity, "taken": [list(span) for span in one.taken]} for one in pool.utilities
        ],
    }


def read_plan(document: Mapping[str, Sequence[Sequence[int]]]) -> Plan:
    """The plan of a JSON document: wish → [[instrument, start slot] for each step]."""
    return {
        int(wish): tuple((int(instrument), int(start)) for instrument, start in places)
        for wish, places in document.items()
    }


def write_plan(plan: Mapping[int, Sequence[Place]]) -> dict[str, list[list[int]]]:
    """The JSON document of a plan, in the order of the wishes."""
    return {str(wish): [list(place) for place in plan[wish]] for wish in sorted(plan)}


def fingerprint(pool: Pool) -> str:
    """The SHA-256 of a pool's document: the same input has the same fingerprint on every machine."""
    text = json.dumps(write_pool(pool), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _instrument(entry: Mapping[str, Any]) -> Instrument:
    return Instrument(
        staffed=_spans(entry["staffed"]),
        blocked=_spans(entry["blocked"]),
        clean=entry["clean"],
        kind=entry["cls"],
        group=entry["grp"],
        site=entry["site"],
        region=entry["region"],
        rate=entry["rate"],
        every=entry.get("every", 1),
    )


def _instrument_entry(number: int, instrument: Instrument) -> dict[str, Any]:
    return {
        "id": number,
        "staffed": [list(span) for span in instrument.staffed],
        "blocked": [list(span) for span in instrument.blocked],
        "clean": instrument.clean,
        "cls": instrument.kind,
        "grp": instrument.group,
        "site": instrument.site,
        "region": instrument.region,
        "rate": instrument.rate,
        "every": instrument.every,
    }


def _wish(entry: Mapping[str, Any]) -> Wish:
    return Wish(
        steps=tuple(_step(step) for step in entry["steps"]),
        window=_span(entry["win"]),
        value=entry["value"],
        late=entry["late"],
        organisation=entry["org"],
        quota_class=entry["q"],
        priority=entry["prio"],
        submitted=entry["submit"],
        consents=entry["consent"],
        subsidy=entry["subsidy"],
        due=entry.get("due"),
    )


def _wish_entry(number: int, wish: Wish) -> dict[str, Any]:
    return {
        "id": number,
        "steps": [
            {
                "dur": step.duration,
                "attended": step.attended,
                "insts": [list(choice) for choice in step.choices],
                "lag": list(step.lag),
                "draws": [list(draw) for draw in step.draws],
            }
            for step in wish.steps
        ],
        "win": list(wish.window),
        "value": wish.value,
        "late": wish.late,
        "org": wish.organisation,
        "q": wish.quota_class,
        "prio": wish.priority,
        "submit": wish.submitted,
        "consent": wish.consents,
        "subsidy": wish.subsidy,
        "hours": wish.slots / SLOTS_AN_HOUR,
        **({} if wish.due is None else {"due": wish.due}),
    }


def _step(entry: Mapping[str, Any]) -> Step:
    return Step(
        duration=entry["dur"],
        attended=entry["attended"],
        choices=tuple((instrument, penalty) for instrument, penalty in entry["insts"]),
        lag=_span(entry["lag"]),
        draws=tuple((utility, amount) for utility, amount in entry.get("draws", ())),
    )


def _spans(entries: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    return tuple(_span(entry) for entry in entries)


def _span(entry: Sequence[int]) -> Span:
    start, end = entry
    return start, end


def _slots(hours: float) -> int:
    # A cap of 60.03 hours lets 60 hours in: whole slots, with room for the rounding of a decimal fraction.
    return int(hours * SLOTS_AN_HOUR + 1e-9)


def _whole(number: int, parts: int) -> int:
    if number % parts:
        raise ValueError("the price of a missing hour is not divisible by four")
    return number // parts
