"""What one request costs the web and the database apart, and what a booking leaves on the disk: PostgreSQL only.

`python -m tests.bench costs` prints the figures that stand at the head of `tests/bench/simulation.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from booking import db
from booking.services import notifications
from tests import postgres
from tests.bench import load, measure, seed
from tests.races.world import at
from tests.servers import GunicornServer

CLIENTS = 4
CROWD = 32
"""So many who are refused at once share what is found for one of them."""

BEFORE_MEASURING = 40
"""So many requests warm a worker up."""

PER_BOOKING = (
    "booking",
    "booking_item",
    "occupation",
    "event",
    "delivery",
    "reminder",
    "request_key",
    "came_free",
)


@dataclass(frozen=True)
class Cost:
    """Processor milliseconds of one request, by where they are spent."""

    web: float
    database: float


def main(count: int = 400) -> None:
    """Measure and print."""
    with postgres.server() as cluster:
        url = cluster.clone(db.upgrade)
        with (
            cluster.administrator() as connection
        ):  # as in production: the first change of a page logs it whole
            connection.execute("ALTER SYSTEM SET full_page_writes = on")
            connection.execute("SELECT pg_reload_conf()")
        world = seed.fill(url, now=datetime.now(UTC))
        found = _requests(url, world, count)
        _dispatch(url)
        _show_disk(url, *found)


def _requests(url: str, world: seed.World, count: int) -> tuple[int, int]:
    """Print the cost of each kind, and give the bookings that were placed with the bytes of log that they wrote."""
    postmaster = _postmaster(url)
    headers = {"Authorization": f"Bearer {world.token}"}
    rows: list[list[object]] = []
    placed = written = 0
    env = {"YIQI_LOG_LEVEL": "WARNING"}
    with GunicornServer(url, workers=2, threads=16, env=env) as server:
        for name, requests in _kinds(world, headers, count).items():
            clients = CROWD if "crowd" in name else CLIENTS
            load.run(server.port, requests[:BEFORE_MEASURING], clients)
            log = _log_position(url)
            cost, outcome = _cost(server, postmaster, requests[BEFORE_MEASURING:], clients)
            if name == "book":
                placed, written = outcome.statuses[201], _log_position(url) - log
            answers = " ".join(f"{status}:{n}" for status, n in sorted(outcome.statuses.items()))
            rows.append([name, cost.web, cost.database, answers])
    measure.show("what a request costs", rows, "what", "web CPU ms", "database CPU ms", "answers")
    return placed, written


def _kinds(world: seed.World, headers: dict[str, str], count: int) -> dict[str, list[bytes]]:
    start, end = world.start, world.start + timedelta(days=7)
    week = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    paths = {
        "week": f"/api/v1/instruments/{world.full}/occupations?{week}",
        "own": "/api/v1/bookings?mine=true",
        "search": "/api/v1/instruments?q=bench",
        "page": f"/instruments/{world.full}",
        "find": f"/api/v1/free?duration=PT2H&{week}",
    }
    taken = json.dumps({"instrument_id": world.full, "start": at(0), "end": at(1)}).encode()
    total = count + BEFORE_MEASURING
    return {
        "book": [
            load.request("POST", "/api/v1/bookings", headers=headers, body=body)
            for body in _free_slots(world.codes, total)
        ],
        "refuse": [load.request("POST", "/api/v1/bookings", headers=headers, body=taken)] * total,
        "refuse in a crowd": [load.request("POST", "/api/v1/bookings", headers=headers, body=taken)] * total,
        **{name: [load.request("GET", path, headers=headers)] * total for name, path in paths.items()},
        "feed": [load.request("GET", f"/calendars/{world.feed}.ics", headers={})] * total,
    }


def _free_slots(codes: Sequence[str], count: int) -> list[bytes]:
    found = []
    for n in range(count):
        start = 24 + n // len(codes)
        body = {"instrument_id": codes[n % len(codes)], "start": at(start), "end": at(start + 1)}
        found.append(json.dumps(body).encode())
    return found


def _cost(
    server: GunicornServer, postmaster: int, requests: Sequence[bytes], clients: int
) -> tuple[Cost, load.Outcome]:
    web, database = measure.cpu_ms([server.pid]), measure.cpu_ms([postmaster])
    outcome = load.run(server.port, requests, clients)
    web, database = measure.cpu_ms([server.pid]) - web, measure.cpu_ms([postmaster]) - database
    return Cost(web / len(requests), database / len(requests)), outcome


def _postmaster(url: str) -> int:
    with psycopg.connect(url) as connection:
        return measure.parent(connection.info.backend_pid)


def _log_position(url: str) -> int:
    with psycopg.connect(url) as connection:
        return int(connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()[0])


def _dispatch(url: str) -> None:
    """Write the deliveries and reminders that a job would write."""
    db.init(url)
    left = 1
    while left:
        with db.transaction() as session:
            left = notifications.dispatch(session, remind=[24 * 60], now=datetime.now(UTC))
    db.dispose()


def _show_disk(url: str, placed: int, written: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM FULL ANALYZE")
        bookings = connection.execute("SELECT count(*) FROM booking").fetchone()[0]
        rows = []
        for table in PER_BOOKING:
            query = f"SELECT count(*), pg_relation_size('{table}'), pg_indexes_size('{table}') FROM {table}"  # noqa: S608
            found, heap, indexes = connection.execute(query).fetchone()
            rows.append([table, found / bookings, heap / max(1, found), indexes / max(1, found)])
    measure.show(
        "what a booking leaves", rows, "table", "rows a booking", "bytes a row", "bytes of index a row"
    )
    print(f"\nlog: {written / max(1, placed):,.0f} bytes a booking, pages logged whole at their first change")
