"""How long a refusal with its alternatives takes, a route, and filling freed time, with the database in the loop.

`python -m tests.bench.resolver_alternatives [memory|sqlite|postgresql …]`: in memory on pools of four sizes; with a
database as many instruments and bookings of four weeks as the largest pool has, each request through the whole
application, and each turn of the waitlist's job, in a process of their own. The tables go to the standard output and,
all of them together, between their marks into docs/resolver.md.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import event, func, select

from booking import db
from booking.app import create_app
from booking.cli.seed import INVENTORY
from booking.config import Settings
from booking.domain import inventory
from booking.domain.resolution import alternatives, greedy, routes, tables
from booking.domain.resolution.alternatives import Taken
from booking.domain.resolution.routes import Option, Stage
from booking.domain.spans import Span
from booking.jobs import waitlist as job
from booking.services import bookings, scale, waitlist
from models import Instrument, Occupation, Person, WaitlistOffer
from tests import cast, pools
from tests.bench import measure
from tests.bench.__main__ import databases
from tests.bench.resolver_page import conditions, keep, markdown

INSTRUMENTS = 2000
BOOKINGS = 120_000
ASKED = 200
FREED = 60
BEGIN, END = "<!-- latency: written by the benchmark -->", "<!-- latency: end -->"
HEAD = (
    "engine",
    "what",
    "p50 ms",
    "p95 ms",
    "max ms",
    "p50 CPU ms",
    "p95 CPU ms",
    "statements",
    "found",
    "peak MiB",
)
MEMORY_HEAD = ("pool", "look-up", "calendars CPU ms", "p50 CPU ms", "p95 CPU ms", "max CPU ms", "found")


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


def freed(now: datetime) -> list[UUID]:
    """Let somebody wait for each of some bookings that are to be cancelled."""
    query = select(Occupation.booking_id, Instrument.id, Occupation.use_starts_at, Occupation.use_ends_at)
    with db.transaction() as session:
        rows = session.execute(
            query.join(Instrument, Instrument.id == Occupation.instrument_id)
            .where(
                Instrument.units == 1,
                Occupation.booking_id.is_not(None),
                Occupation.use_starts_at > now + timedelta(days=2),
                Occupation.use_starts_at < now + timedelta(days=21),
            )
            .order_by(Occupation.id)
        ).all()
        chosen = random.Random(6).sample(rows, FREED)
        crowd = [
            Person(email=f"waiting{n}@example.org", name="Ada", created_at=now, locale=None)
            for n in range(FREED)
        ]
        session.add_all(crowd)
        session.flush()
        for person, (_booking, instrument, start, end) in zip(crowd, chosen, strict=True):
            waitlist.join(
                session,
                actor=cast.actor_of(session, person),
                instrument_ids=[instrument],
                window=Span(start, end),
                minutes=int((end - start).total_seconds()) // 60,
                now=now,
            )
    return [booking for booking, *_ in chosen]


def given(booking: UUID, now: datetime) -> bool:
    """Let the job of the waitlist see what came free; whether somebody has an offer for it."""
    with db.reading() as session:
        before = session.scalar(select(func.count()).select_from(WaitlistOffer))
    job.turn("a key of benchmarks", lambda: False, now=now)
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(WaitlistOffer)) != before


def cancelled(booking: UUID, now: datetime) -> None:
    """Cancel a booking as the administrator."""
    with db.transaction() as session:
        root = cast.actor_of(session, cast.root(session))
        bookings.cancel(session, actor=root, booking_id=booking, reason="Not needed any more", now=now)


def timed(
    send: Callable[[Any], Any], orders: Sequence[Any], before: Callable[[Any], object] = bool
) -> list[object]:
    """Send each order once, after ten to warm up, and give percentiles in milliseconds."""
    for order in orders[:10]:
        before(order)
        send(order)
    orders = orders[10:]
    seconds, processor, statements, found = [], [], [0], 0

    def count(*_: object) -> None:
        statements[0] += 1

    for order in orders:
        before(order)
        event.listen(db.engine(), "before_cursor_execute", count)
        began, cpu = time.perf_counter(), time.process_time()
        found += send(order)
        processor.append(time.process_time() - cpu)
        seconds.append(time.perf_counter() - began)
        event.remove(db.engine(), "before_cursor_execute", count)
    return [
        *(round(1000 * measure.percentile(seconds, share), 1) for share in (0.5, 0.95, 1.0)),
        *(round(1000 * measure.percentile(processor, share), 1) for share in (0.5, 0.95)),
        round(statements[0] / len(orders), 1),
        f"{found}/{len(orders)}",
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    ]


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
    load = round(load, 1)
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
    return [*(round(measure.percentile(spent, share), 2) for share in shares), f"{found}/{len(asked)}"]


def on_engine(engine: str) -> list[list[object]]:
    """Measure on one engine, in this process."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with databases([engine]) as urls, tempfile.TemporaryDirectory() as folder:
        url = urls[engine]
        token = fill(url, now)
        client = create_app(Settings(database_url=url, instance=Path(folder))).test_client()
        headers = {"Authorization": f"Bearer {token}"}

        def refused(order: dict[str, Any]) -> bool:
            answer = client.post("/api/v1/bookings", json=order, headers=headers)
            assert answer.status_code == 409, answer.text
            return any(one["why"] != "waitlist" for one in answer.json["alternatives"])

        def routed(order: dict[str, Any]) -> bool:
            answer = client.post("/api/v1/routes", json=order, headers=headers)
            assert answer.status_code == 200, answer.text
            return bool(answer.json["items"])

        rows = [
            [engine, "refusal with alternatives", *timed(refused, taken(now))],
            [engine, "route of three steps", *timed(routed, processes(now))],
            [
                engine,
                "freed time to who waits",
                *timed(lambda one: given(one, now), freed(now), lambda one: cancelled(one, now)),
            ],
        ]
        db.dispose()
    return rows


def apart(engine: str) -> list[list[object]]:
    """Measure in a fresh process, so that its memory is its own."""
    words = [sys.executable, "-m", "tests.bench.resolver_alternatives", "--one", engine]
    last = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    rows: list[list[object]] = json.loads(last)
    return rows


def report(engines: Sequence[str] = ("sqlite", "postgresql")) -> str:
    """Both tables: with calendars in memory, and with the database in the loop."""
    return "\n\n".join(
        (
            conditions(),
            "### Calendars in memory",
            markdown(MEMORY_HEAD, in_memory()),
            f"### With the database: {INSTRUMENTS:,} instruments, {BOOKINGS:,} bookings",
            markdown(HEAD, [row for engine in engines for row in apart(engine)]),
        )
    )


def main(wanted: Sequence[str]) -> None:
    """Measure what is asked for; all of it, without words, goes to the page."""
    if wanted[:1] == ["--one"]:
        print(json.dumps(on_engine(wanted[1])))
        return
    if not wanted:
        text = report()
        print(text)
        keep(text, BEGIN, END)
        return
    if "memory" in wanted:
        print(markdown(MEMORY_HEAD, in_memory()))
    for engine in wanted:
        if engine != "memory":
            print(markdown(HEAD, apart(engine)))


if __name__ == "__main__":
    main(sys.argv[1:])
