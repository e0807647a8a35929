"""`yiqi resolve alternatives`: what can be had instead of slots that are taken, and the earliest routes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from booking.cli.resolve import document
from booking.domain.resolution import alternatives as looking
from booking.domain.resolution import bits, documents, routes
from booking.domain.resolution.alternatives import Board, Offer, Taken
from booking.domain.resolution.routes import Option, Stage


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("plan", type=click.Path(path_type=Path))
@click.argument("queries", type=click.Path(path_type=Path))
def alternatives(*, file: Path, plan: Path, queries: Path) -> None:
    """Answer each query about a plan: {"kind": "one", …} with offers, {"kind": "route", …} with the earliest route."""
    try:
        pool = documents.read_pool(document(file))
        board = looking.board(pool, documents.read_plan(document(plan)))
        found = [answer(board, query) for query in document(queries)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise click.ClickException(f"a document has not the form that it should have: {error!r}") from error
    click.echo(json.dumps(found))


def answer(board: Board, query: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one query, as its kind says.

    :raises ValueError: if there is no such kind
    """
    if query["kind"] == "one":
        return _one(board, query)
    if query["kind"] == "route":
        return _route(board, query)
    raise ValueError(query["kind"])


def _one(board: Board, query: Mapping[str, Any]) -> dict[str, Any]:
    place = query["inst"]
    taken = Taken(place, query["start"], query["dur"], query["attended"], board.equal_to(place))
    return {
        "kind": "one",
        "nearest": [[place, one.parts[0][1]] for one in looking.nearest(board, taken)],
        "equal": [[one.parts[0][0], taken.start] for one in looking.equal(board, taken)],
        "cheaper": [list(one.parts[0][:2]) for one in looking.cheaper(board, taken)],
        "ranked": [_offer(one) for one in looking.alternatives(board, taken)],
    }


def _offer(one: Offer) -> dict[str, Any]:
    return {
        "why": one.why.value,
        "parts": [list(part) for part in one.parts],
        "shift": one.shift,
        "distance": one.distance,
        "price": one.price,
        "lost": one.lost,
        "trouble": one.trouble,
    }


def _route(board: Board, query: Mapping[str, Any]) -> dict[str, Any]:
    since = ~bits.of_span(0, query["after"])
    steps = zip(query["classes"], query["durs"], query["attended"], query["lags"], strict=True)
    stages = [
        Stage(
            tuple(
                Option(one, board.starts(one, length, attended=attended) & since, length)
                for one in board.equals.get((kind, query["region"]), ())
            ),
            (lag[0], lag[1]),
        )
        for kind, length, attended, lag in steps
    ]
    found = routes.earliest(stages, apart=lambda one, _before, _after: board.instruments[one].clean)
    return {
        "kind": "route",
        "places": [list(place) for place in found] if found else None,
        "end": routes.ends_at(stages, found) if found else None,
    }
