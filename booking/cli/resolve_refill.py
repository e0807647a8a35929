"""`yiqi resolve refill`: who of those waiting gets the time that each cancellation frees."""

import json
from pathlib import Path
from typing import Any

import click

from booking.cli.resolve import document
from booking.domain.resolution import documents
from booking.domain.resolution.refill import Grant, Waitlist


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("cancellations", type=click.Path(path_type=Path))
@click.option(
    "--shifts/--no-shifts", default=True, show_default=True, help="Whether holders who agreed may shift."
)
def refill(*, file: Path, plan: Path, cancellations: Path, shifts: bool) -> None:
    """Fill what each of CANCELLATIONS, [[slot of the notice, wish], …], frees; who has no place waits. JSON out."""
    try:
        pool = documents.read_pool(document(file))
        confirmed = documents.read_plan(document(plan))
        notices = [(int(now), int(number)) for now, number in document(cancellations)]
        waiting = [number for number in range(len(pool.wishes)) if number not in confirmed]
        line = Waitlist(pool, confirmed, waiting, shifts=shifts)
        found = [[_grant(one) for one in line.cancel(number, now)] for now, number in notices]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise click.ClickException(f"a document has not the form that it should have: {error!r}") from error
    click.echo(json.dumps({"grants": found, "plan": documents.write_plan(line.plan)}))


def _grant(one: Grant) -> dict[str, Any]:
    return {
        "wish": one.wish,
        "places": [list(place) for place in one.places],
        "shifts": documents.write_plan(one.shifts),
        "worth": one.worth,
    }
