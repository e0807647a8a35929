"""`yiqi resolve repair`: the plan after an outage, in up to three ways, with what each costs whom."""

import json
from pathlib import Path
from typing import Any

import click

from booking.cli.resolve import document
from booking.domain.resolution import documents
from booking.domain.resolution import repair as repairing
from booking.domain.resolution.outage import Change, read_outage
from booking.domain.resolution.repair import Repair, Repairs


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("event", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(min=0), default=10, show_default=True, help="Wall time.")
@click.option("--work", type=click.FloatRange(min=0), help="Counted work instead: the same on every machine.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def repair(*, file: Path, plan: Path, event: Path, seconds: float, work: float | None, seed: int) -> None:
    """Repair the PLAN of the pool FILE after the outage EVENT, or after each outage of a list; JSON, the best first."""
    try:
        pool = documents.read_pool(document(file))
        confirmed = documents.read_plan(document(plan))
        told = document(event)
        outages = [read_outage(one) for one in (told if isinstance(told, list) else [told])]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise click.ClickException(f"a document has not the form that it should have: {error!r}") from error
    limit = None if work is not None else seconds
    found = [
        answer(repairing.repairs(pool, confirmed, outage, seconds=limit, work=work, seed=seed))
        for outage in outages
    ]
    click.echo(json.dumps(found if isinstance(told, list) else found[0]))


def answer(found: Repairs) -> dict[str, Any]:
    """Write ranked repairs as a JSON document."""
    return {
        "hit": list(found.hit),
        "nearest": found.nearest,
        "bound": found.bound,
        "gap": round(found.gap, 6),
        "groups": found.groups,
        "proven": found.proven,
        "seed": found.seed,
        "fingerprint": found.fingerprint,
        "seconds": round(found.seconds, 3),
        "repairs": [_repair(one) for one in found.ranked],
    }


def _repair(one: Repair) -> dict[str, Any]:
    return {
        "emphasis": one.emphasis,
        "cost": one.cost,
        "cancelled": one.cancelled,
        "moved": one.moved,
        "bystanders": one.bystanders,
        "slots": one.slots,
        "instruments": one.instruments,
        "changes": [_change(change) for change in one.changes],
        "chains": {str(number): list(chain) for number, chain in one.chains.items()},
        "plan": documents.write_plan(one.plan),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "wish": change.wish,
        "hit": change.hit,
        "before": [list(place) for place in change.before],
        "after": None if change.after is None else [list(place) for place in change.after],
        "slots": change.slots,
        "instruments": change.instruments,
        "overdue": change.overdue,
        "cost": change.cost,
    }
