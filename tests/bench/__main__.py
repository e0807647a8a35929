"""Run the benchmarks and print their figures: `python -m tests.bench [--quick] [--engine sqlite|postgresql]`.

`python -m tests.bench resolver [S M L XL]` measures the resolver instead, `python -m tests.bench feeds` feeds of up to
10,000 events, `reads` weeks, months and timelines, `pages` pages on a slow phone. `python -m tests.bench simulation`
simulates a national network, `costs` measures what that takes for granted, `placement` tells where each table would
stand if the database were many.

Seconds lie on a busy machine. Trust the processor milliseconds of all server processes (web and database) for
each request, and the ratio to the yardstick `thin`, which runs on the same server and database in the same run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from booking import db
from tests import postgres
from tests.bench import life, load, measure, page, seed
from tests.races.world import Call, at, rush, statuses
from tests.servers import GunicornServer

CLIENTS = (1, 8, 32)


@contextmanager
def databases(engines: Sequence[str]) -> Iterator[dict[str, str]]:
    """Give a fresh migrated database of each engine, with its postmaster's pid for the processor's time."""
    with tempfile.TemporaryDirectory() as folder, postgres.server() as cluster:
        urls = {}
        if "sqlite" in engines:
            urls["sqlite"] = f"sqlite:///{folder}/bench.sqlite3"
            db.upgrade(urls["sqlite"])
        if "postgresql" in engines:
            urls["postgresql"] = cluster.clone(db.upgrade)
        yield urls


def database_pids(url: str) -> list[int]:
    """Give the database server's first process, none for SQLite, which lives in the web process."""
    if not url.startswith("postgresql"):
        return []
    with psycopg.connect(url) as connection:
        return [measure.parent(connection.info.backend_pid)]


def workers_of(url: str) -> int:
    """Give the number of web processes that `yiqi serve` would start."""
    return 1 if url.startswith("sqlite") else 2


def timed(
    server: GunicornServer, pids: list[int], requests: list[bytes], clients: int
) -> tuple[load.Outcome, float]:
    """Send the requests and give what they met with the processor milliseconds of each."""
    roots = [server.pid, *pids]
    before = measure.cpu_ms(roots)
    outcome = load.run(server.port, requests, clients)
    return outcome, (measure.cpu_ms(roots) - before) / len(requests)


def line(name: str, clients: int, outcome: load.Outcome, cpu: float, yardstick: float = 0.0) -> list[object]:
    """Give a row of a table of requests."""
    answers = " ".join(f"{status}:{count}" for status, count in sorted(outcome.statuses.items()))
    return [
        name,
        clients,
        round(outcome.rate),
        1000 * measure.percentile(outcome.seconds, 0.5),
        1000 * measure.percentile(outcome.seconds, 0.99),
        1000 * max(outcome.seconds),
        cpu,
        f"{cpu / yardstick:.1f}" if yardstick else "-",
        answers,
    ]


HEADS = ("what", "clients", "req/s", "p50 ms", "p99 ms", "max ms", "CPU ms", "× thin", "answers")


def bodies(codes: Sequence[str], count: int, *, offset: int) -> list[bytes]:
    """Give bookings of an hour, each on a slot of its own, many on each instrument."""
    found = []
    for n in range(count):
        start = offset + 24 + n // len(codes)
        body = {"instrument_id": codes[n % len(codes)], "start": at(start), "end": at(start + 1)}
        found.append(json.dumps(body).encode())
    return found


def bench_writes(url: str, name: str, world: seed.World, count: int) -> None:
    """Bookings on distinct slots, the whole product against the yardstick."""
    rows, yardstick = [], {}
    env = {"YIQI_LOG_LEVEL": "WARNING"}
    seed.yardstick(url)
    for label, application in (("thin", "tests.bench.thin:app"), ("yiqi", "wsgi:app")):
        server = GunicornServer(url, workers=workers_of(url), threads=16, env=env, application=application)
        with server:
            headers = {"Authorization": f"Bearer {world.token}"}
            offset = 0
            for clients in (1, *CLIENTS):  # the first run warms up
                requests = [
                    load.request("POST", "/api/v1/bookings", headers=headers, body=body)
                    for body in bodies(world.codes, count, offset=offset)
                ]
                offset += count // len(world.codes) + 2
                outcome, cpu = timed(server, database_pids(url), requests, clients)
                if clients == 1 and not rows and label == "thin" and "warm" not in yardstick:
                    yardstick["warm"] = 0.0
                    continue
                yardstick.setdefault(f"{label}{clients}", cpu)
                rows.append(line(label, clients, outcome, cpu, yardstick.get(f"thin{clients}", 0.0)))
    measure.show(f"{name}: bookings on distinct slots, an hour each", rows, *HEADS)


def bench_race(url: str, name: str, world: seed.World, rounds: int) -> None:
    """Sixty-four clients, one slot, again and again."""
    seconds, kinds = [], {}
    with GunicornServer(url, workers=workers_of(url), threads=16) as server:
        for turn in range(rounds):
            wish = {"instrument_id": world.race, "start": at(24 + turn), "end": at(25 + turn)}
            begun = time.perf_counter()
            answers = rush(server.port, [Call("POST", "/bookings", wish, world.token)] * 64)
            seconds.append(1000 * (time.perf_counter() - begun))
            key = " ".join(f"{k}:{v}" for k, v in sorted(statuses(answers).items()))
            kinds[key] = kinds.get(key, 0) + 1
    told = "; ".join(f"{count} × ({key})" for key, count in kinds.items())
    row = [rounds, measure.percentile(seconds, 0.5), max(seconds), told]
    measure.show(
        f"{name}: 64 clients for one slot", [row], "rounds", "median ms", "max ms", "rounds by answers"
    )


def bench_reads(url: str, name: str, world: seed.World, count: int) -> None:
    """Timelines, find a time, search, and the pages of the main job."""
    start = world.start
    headers = {"Authorization": f"Bearer {world.token}"}

    def window(days: int) -> str:
        end = start + timedelta(days=days)
        return f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"

    occupations = f"/api/v1/instruments/{world.full}/occupations"
    paths = {
        f"week of one instrument ({world.a_day * 7} entries)": f"{occupations}?{window(7)}",
        f"month ({world.a_day * 30})": f"{occupations}?{window(30)}",
        "free spans of a week": f"/api/v1/instruments/{world.full}/free?{window(7)}",
        f"find a time, {len(world.codes)} instruments": f"/api/v1/free?duration=PT2H&{window(7)}",
        "catalogue search": "/api/v1/instruments?q=bench",
        "instrument": f"/api/v1/instruments/{world.full}",
        "own bookings": "/api/v1/bookings?mine=true",
        "home page": "/",
        "instrument page with its week": f"/instruments/{world.full}",
    }
    rows = []
    with GunicornServer(
        url, workers=workers_of(url), threads=16, env={"YIQI_LOG_LEVEL": "WARNING"}
    ) as server:
        for label, path in paths.items():
            requests = [load.request("GET", path, headers=headers)] * count
            load.run(server.port, requests[: count // 4], 2)
            outcome, cpu = timed(server, database_pids(url), requests, 8)
            rows.append(line(label, 8, outcome, cpu))
    measure.show(f"{name}: reads", rows, *HEADS)


def bench_life(url: str, name: str, world: seed.World, count: int) -> None:
    """Refusals with and without twenty rules in force, and a look at a series."""
    now = datetime.now(UTC)
    ruled = life.rules(url, world, now=now)
    headers = {"Authorization": f"Bearer {world.token}"}
    long = life.BASE + timedelta(days=2)
    wishes = {
        "refused: taken, no rules": ("/api/v1/bookings", life.order(world.full, 1, life.BASE)),
        "refused: 20 rules in force": ("/api/v1/bookings", life.order(ruled, 12, long)),
        "verdict with 20 rules in force": ("/api/v1/bookings/dry-run", life.order(ruled, 2, long)),
        "a look at a series of 52": ("/api/v1/series/dry-run", life.series(ruled)),
    }
    rows = []
    with GunicornServer(
        url, workers=workers_of(url), threads=16, env={"YIQI_LOG_LEVEL": "WARNING"}
    ) as server:
        for label, (path, body) in wishes.items():
            requests = [load.request("POST", path, headers=headers, body=body)] * count
            load.run(server.port, requests[: max(1, count // 10)], 1)
            outcome, cpu = timed(server, database_pids(url), requests, 4)
            rows.append(line(label, 4, outcome, cpu))
    measure.show(f"{name}: rules and series", rows, *HEADS)
    life.bench_waitlist(url, name, world, now=now)


def bench_feed(url: str, name: str, world: seed.World, count: int) -> None:
    """A feed of a thousand events: fresh (a worker that renders it for the first time), cached, unchanged."""
    path = f"/calendars/{world.feed}.ics"
    rows = []
    fresh = []
    for _ in range(3):
        with GunicornServer(url, workers=1, threads=4) as server:
            load.run(server.port, [load.request("GET", "/calendars/none.ics", headers={})] * 5, 1)
            fresh.append(timed(server, database_pids(url), [load.request("GET", path, headers={})], 1))
    outcome, cpu = min(fresh, key=lambda pair: pair[1])
    rows.append(line("fresh", 1, outcome, cpu))
    with GunicornServer(url, workers=1, threads=4) as server:
        with_tag = _etag(server.port, path)
        outcome, cpu = timed(server, database_pids(url), [load.request("GET", path, headers={})] * count, 4)
        rows.append(line("cached", 4, outcome, cpu))
        unchanged = [load.request("GET", path, headers={"If-None-Match": with_tag})] * count
        outcome, cpu = timed(server, database_pids(url), unchanged, 4)
        rows.append(line("304", 4, outcome, cpu))
    measure.show(f"{name}: feed of {world.events:,} events", rows, *HEADS)


def _etag(port: int, path: str) -> str:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers["ETag"]


def bench_start(url: str, name: str) -> None:
    """Cold start to the first answer, and what a worker weighs."""
    rows = []
    for workers in (1, 2):
        begun = time.perf_counter()
        with GunicornServer(url, workers=workers, threads=16) as server:
            ready = time.perf_counter() - begun
            cpu = measure.cpu_ms([server.pid]) / 1000
            load.run(server.port, [load.request("GET", "/", headers={})] * 50, 4)
            weights = [measure.pss_mib(pid) for pid in measure.family(server.pid)]
            rows.append([workers, ready, cpu, max(weights), sum(weights)])
    measure.show(f"{name}: start", rows, "workers", "ready s", "CPU s", "largest process PSS MiB", "all MiB")
    begun = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import wsgi"],
        capture_output=True,
        check=False,
        text=True,
        env={
            **os.environ,
            "YIQI_DATABASE_URL": url,
            "YIQI_SECRET_KEY": "a key for benchmarks, and only for them",
        },
    )
    slow = sorted(
        (
            (int(part[1]), part[2].strip())
            for part in (row.split("|") for row in begun.stderr.splitlines())
            if len(part) == 3 and part[1].strip().isdigit()
        ),
        reverse=True,
    )[:8]
    measure.show("slowest imports", [[us / 1000, module] for us, module in slow], "cumulative ms", "module")


def main() -> None:
    """Parse the words and run."""
    if sys.argv[1:2] == ["resolver"]:
        from tests.bench import resolver

        del sys.argv[1]
        resolver.main()
        return
    if sys.argv[1:2] == ["feeds"]:
        from tests.bench import feeds

        del sys.argv[1]
        feeds.main(databases)
        return
    if sys.argv[1:2] == ["reads"]:
        from tests.bench import reads

        del sys.argv[1]
        reads.main(databases)
        return
    if sys.argv[1:2] == ["weight"]:
        from tests.bench import weight

        del sys.argv[1]
        weight.main()
        return
    if sys.argv[1:2] == ["rush"]:
        from tests.bench import rush

        del sys.argv[1]
        rush.main(databases, database_pids, workers_of)
        return
    if sys.argv[1:2] == ["simulation"]:
        from tests.bench import simulation_report

        simulation_report.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["placement"]:
        from tests.bench import placement

        placement.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["costs"]:
        from tests.bench import costs

        costs.main()
        return
    if sys.argv[1:2] == ["growth"]:
        from tests.bench import growth

        del sys.argv[1]
        growth.main(databases)
        return
    if sys.argv[1:2] == ["pages"]:
        from tests.bench import pages

        pages.main()
        return
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    words = parser.parse_args()
    share = 10 if words.quick else 1
    engines = words.engine or ["sqlite", "postgresql"]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"# Yiqi benchmarks, {datetime.now(UTC):%Y-%m-%d}, {machine}")
    print(f"load average at the start: {os.getloadavg()[0]:.1f}")
    with databases(engines) as urls:
        for name, url in urls.items():
            world = seed.fill(url, now=datetime.now(UTC))
            bench_writes(url, name, world, 2000 // share)
            bench_race(url, name, world, 100 // share)
            bench_reads(url, name, world, 400 // share)
            bench_life(url, name, world, 200 // share)
            bench_feed(url, name, world, 200 // share)
            bench_start(url, name)
    if words.write:
        page.keep("requests", f"{page.conditions()}\n\n{measure.shown()}")


if __name__ == "__main__":
    main()
