"""How long a refusal with its alternatives takes, and a route, with the database in the loop at the largest size.

`python -m tests.bench.resolver_alternatives [memory|sqlite|postgresql …]`: in memory on pools of four sizes; with a
database as many instruments and bookings of four weeks as the largest pool has, each request through the whole
application, in this process. Milliseconds are the processor's in memory, and wall time beside the processor's else.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from booking import db
from booking.app import create_app
from booking.cli.seed import INVENTORY
from booking.config import Settings
from booking.domain import inventory
from booking.domain.resolution import alternatives, greedy, routes, tables
from booking.domain.resolution.alternatives import Taken
from booking.domain.resolution.routes import Option, Stage
from booking.services import scale
from models import Instrument, Occupation
from tests import cast, pools
from tests.bench import measure
from tests.bench.__main__ import databases

INSTRUMENTS = 2000
BOOKINGS = 120_000
ASKED = 200


def fill(url: str, now: datetime) -> str:
    """Seed the database, and give a token of Cleo's."""
    db.init(url, pool_size=2, statement_timeout_ms=0)
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    with db.transaction() as session:
        places = scale.places(session, inventory=found, count=INSTRUMENTS, now=now)
        people = scale.people(session, count=400, now=now)
    for rows in scale.batches(places=places, people=people, count=BOOKINGS, now=now):
        with db.transaction() as session:
            scale.write(session, rows)
    db.analyse()
    with db.transaction() as session:
        cast.ada(session)
        return cast.token(session, cast.cleo(session))


def taken(now: datetime) -> list[dict[str, Any]]:
    """Give wishes for time that somebody has on an instrument of one unit."""
    with db.reading() as session:
        query = (
            select(Instrument.code, Occupation.use_starts_at, Occupation.use_ends_at)
            .join(Instrument, Instrument.id == Occupation.instrument_id)
            .where(
                Instrument.units == 1,
                Occupation.use_starts_at > now + timedelta(days=1),
                Occupation.use_starts_at < now + timedelta(days=21),
            )
            .order_by(Occupation.id)
        )
        rows = session.execute(query).all()
    chosen = random.Random(4).sample(rows, ASKED)
    return [
        {"instrument_id": code, "start": start.isoformat(), "end": end.isoformat()}
        for code, start, end in chosen
    ]


def processes(now: datetime) -> list[dict[str, Any]]:
    """Give processes of three steps, one of them on any instrument of a class at a facility."""
    with db.reading() as session:
        query = select(Instrument).where(Instrument.units == 1).order_by(Instrument.id)
        rows = list(session.scalars(query))
    chance = random.Random(5)
    after = (now + timedelta(days=2)).isoformat()
    found = []
    for _ in range(ASKED // 2):
        first, second, third = chance.sample(rows, 3)
        lags = {"lag_least": "PT15M", "lag_most": "P2D"}
        steps = [
            {"instrument_id": first.code, "duration": "PT2H"},
            {"category": second.category_code or "01", "duration": "PT1H", **lags},
            {"instrument_id": third.code, "duration": "PT4H", **lags},
        ]
        found.append({"steps": steps, "after": after})
    return found


def timed(send: Callable[[dict[str, Any]], Any], orders: Sequence[dict[str, Any]]) -> list[object]:
    """Send each order once, after ten to warm up, and give percentiles in milliseconds."""
    for order in orders[:10]:
        send(order)
    seconds, statements, found = [], [0], 0

    def count(*_: object) -> None:
        statements[0] += 1

    event.listen(db.engine(), "before_cursor_execute", count)
    cpu = time.process_time()
    for order in orders:
        began = time.perf_counter()
        found += send(order)
        seconds.append(time.perf_counter() - began)
    cpu = 1000 * (time.process_time() - cpu) / len(orders)
    event.remove(db.engine(), "before_cursor_execute", count)
    middle, late, last = (1000 * measure.percentile(seconds, share) for share in (0.5, 0.95, 1.0))
    return [middle, late, last, cpu, statements[0] / len(orders), f"{found}/{len(orders)}"]


def in_memory() -> list[list[object]]:
    """Look for alternatives to taken slots and for routes on pools, allocated first come first served."""
    return [row for size in pools.SIZES for row in _on_pool(size)]


def _on_pool(size: str) -> list[list[object]]:
    pool = pools.pool(size, 1)
    plan = greedy.greedy(tables.tables(pool), "first_come").plan()
    began = time.process_time()
    board = alternatives.board(pool, plan)
    load = 1000 * (time.process_time() - began)
    chance = random.Random(1)
    singles = sorted(number for number, places in plan.items() if len(places) == 1)
    wishes = []
    for number in chance.choices(singles, k=ASKED):
        (place, start), step = plan[number][0], pool.wishes[number].steps[0]
        wishes.append(Taken(place, start, step.duration, step.attended, board.equal_to(place)))
    kinds = sorted(board.equals)
    routed = [
        (chance.sample(kinds, min(3, len(kinds))), chance.randrange(pool.horizon // 2)) for _ in range(ASKED)
    ]
    return [
        [size, "alternatives", load, *_spent(lambda one: alternatives.alternatives(board, one), wishes)],
        [size, "route of three steps", load, *_spent(lambda one: _route(board, *one), routed)],
    ]


def _route(board: alternatives.Board, kinds: Sequence[tuple[str, int]], after: int) -> object:
    since = ~((1 << after) - 1)
    stages = [
        Stage(
            tuple(Option(one, board.starts(one, 8, attended=False) & since, 8) for one in board.equals[kind]),
            (1, 96),
        )
        for kind in kinds
    ]
    return routes.earliest(stages, apart=lambda one, _before, _after: board.instruments[one].clean)


def _spent(look: Callable[[Any], Any], asked: Sequence[Any]) -> list[object]:
    spent, found = [], 0
    for one in asked:
        began = time.process_time()
        found += bool(look(one))
        spent.append(1000 * (time.process_time() - began))
    shares = (0.5, 0.95, 1.0)
    return [*(measure.percentile(spent, share) for share in shares), f"{found}/{len(asked)}"]


def run(engines: Sequence[str]) -> None:
    """Measure on each engine and print a table."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with databases(engines) as urls, tempfile.TemporaryDirectory() as folder:
        rows: list[list[object]] = []
        for engine, url in urls.items():
            token = fill(url, now)
            client = create_app(Settings(database_url=url, instance=Path(folder))).test_client()
            headers = {"Authorization": f"Bearer {token}"}

            def refused(order: dict[str, Any], client: Any = client, headers: Any = headers) -> bool:
                answer = client.post("/api/v1/bookings", json=order, headers=headers)
                assert answer.status_code == 409, answer.text
                return any(one["why"] != "waitlist" for one in answer.json["alternatives"])

            def routed(order: dict[str, Any], client: Any = client, headers: Any = headers) -> bool:
                answer = client.post("/api/v1/routes", json=order, headers=headers)
                assert answer.status_code == 200, answer.text
                return bool(answer.json["items"])

            rows.append([engine, "refusal with alternatives", *timed(refused, taken(now))])
            rows.append([engine, "route of three steps", *timed(routed, processes(now))])
            db.dispose()
    heads = ("engine", "request", "p50 ms", "p95 ms", "max ms", "CPU ms", "statements", "found")
    measure.show("P1 with the database in the loop", rows, *heads)


def main(wanted: Sequence[str]) -> None:
    """Measure what is asked for, all of it without words."""
    if "memory" in wanted or not wanted:
        heads = ("pool", "look-up", "calendars ms", "p50 ms", "p95 ms", "max ms", "found")
        measure.show("P1 with calendars in memory", in_memory(), *heads)
    engines = [one for one in wanted if one != "memory"]
    if engines or not wanted:
        run(engines or ["sqlite", "postgresql"])


if __name__ == "__main__":
    main(sys.argv[1:])
