"""How the cost of a request grows with what is in the database: `python -m tests.bench growth [--million] [--ten]`.

Each size is a database of its own, filled as `yiqi seed scale` does it. Costs are processor milliseconds of the
application and the database for one request, without an HTTP server between; the least of some rounds, since a busy
machine only adds. The yardstick `thin` (tests/bench/thin.py) runs in the same process on the same database.
`--write` puts the table into docs/performance.md. `--at URL` measures a database that was seeded before
by `yiqi seed scale`, instead of filling new ones.
"""

import argparse
import importlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from flask.testing import FlaskClient
from sqlalchemy import event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking import db
from booking.app import create_app
from booking.cli.seed import INVENTORY
from booking.config import Settings
from booking.domain import inventory
from booking.domain.access import Scope
from booking.services import bulk, calendars, scale
from models import ApiToken, CalendarScope, Facility, Instrument, Occupation, Privacy
from tests import cast
from tests.bench import measure, page, seed

SIZES = ((10_000, 100), (10_000, 10_000))
MILLION = ((1_000_000, 10_000), (1_000_000, 100_000))
TEN = ((10_000_000, 100_000),)
ROUNDS = 3
FEED = 100
"""So many bookings are in the feed."""

Column = dict[str, Any]
"""What is measured of one database: cost and statements by request."""

SLOTS = datetime(2040, 3, 5, 2, tzinfo=UTC)  # a Monday, 10:00 in Guangdong, where no seed comes


@dataclass(frozen=True, slots=True)
class World:
    """An application on a database, with what the requests need to name."""

    client: FlaskClient
    pids: list[int]
    token: str
    codes: list[str]
    full: str
    region: str
    category: str
    facility: str
    week: str
    begin: datetime
    """From here on nothing is booked yet."""

    def cost(self, act: Callable[[int], object], times: int) -> float:
        """Give the least processor milliseconds of one act, over some rounds."""
        found = []
        for turn in range(ROUNDS):
            server, begun = measure.cpu_ms(self.pids), time.process_time()
            for n in range(times):
                act(turn * times + n)
            own = 1000 * (time.process_time() - begun)
            found.append((own + measure.cpu_ms(self.pids) - server) / times)
        return min(found)

    def get(self, path: str, *, tag: str = "", expected: int = 200) -> str:
        """Ask, and give the tag of the answer."""
        headers = {"Authorization": f"Bearer {self.token}"} | ({"If-None-Match": tag} if tag else {})
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == expected, (path, answer.status_code, answer.text[:300])
        return answer.headers.get("ETag", "")

    def book(self, n: int) -> None:
        """Place a booking where nothing is yet."""
        day, turn = divmod(n // len(self.codes), 5)
        start = self.begin + timedelta(days=day, hours=2 * turn)  # room for set-up and clean-up between
        body = {
            "instrument_id": self.codes[n % len(self.codes)],
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
        }
        answer = self.client.post(
            "/api/v1/bookings", json=body, headers={"Authorization": f"Bearer {self.token}"}
        )
        assert answer.status_code == 201, answer.text


def main(databases: Callable[[Sequence[str]], AbstractContextManager[dict[str, str]]]) -> None:
    """Parse the words, measure each size, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench growth", description=__doc__)
    parser.add_argument("--million", action="store_true", help="a million bookings too")
    parser.add_argument(
        "--ten", action="store_true", help="ten million too, which takes a quarter of an hour"
    )
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--at", action="append", default=[], help="a seeded database to measure instead")
    parser.add_argument(
        "--with", dest="kept", type=Path, help="a file of columns measured before, which grows"
    )
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    words = parser.parse_args()
    sizes = () if words.at else SIZES + (MILLION if words.million else ()) + (TEN if words.ten else ())
    columns = json.loads(words.kept.read_text()) if words.kept and words.kept.exists() else []
    for bookings, instruments in sizes:
        with databases([words.engine]) as urls:
            fill(urls[words.engine], bookings, instruments)
            columns.append(_kept(words.kept, measured(urls[words.engine])))
    for url in words.at:
        db.upgrade(url)
        columns.append(_kept(words.kept, measured(url)))
    columns.sort(key=lambda column: column.pop("size"))
    heads = ("what", *(column.pop("heads") for column in columns), "last ÷ first", "statements")
    rows = []
    for name in columns[0]:
        costs, counts = zip(*(column[name] for column in columns), strict=True)
        rows.append([name, *costs, f"{costs[-1] / costs[0]:.2f}", " ".join(map(str, sorted(set(counts))))])
    measure.show(f"{words.engine}: growth, CPU ms", rows, *heads)
    if words.write:
        page.keep(f"growth on {words.engine}", f"{page.conditions()}\n\n{page.table(heads, rows)}")


def _kept(where: Path | None, column: Column) -> Column:
    """Add a column to those of the file."""
    if where:
        before = json.loads(where.read_text()) if where.exists() else []
        where.write_text(json.dumps([*before, column]))
    return column


def fill(url: str, bookings: int, instruments: int) -> None:
    """Fill a fresh database."""
    now = datetime.now(UTC)
    db.init(url, pool_size=2, statement_timeout_ms=0)
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    with db.transaction() as session, bulk.bare(session, scale.TABLES):
        places = scale.places(session, inventory=found, count=instruments, now=now)
        people = scale.people(session, count=max(10, min(5000, bookings // 200)), now=now)
        for rows in scale.batches(places=places, people=people, count=bookings, now=now):
            scale.write(session, rows, now)
    db.analyse()
    db.dispose()


def measured(url: str) -> Column:
    """Give the cost and the statements of each request, by name."""
    with _world(url) as world:
        with db.reading() as session:
            taken = session.scalar(select(func.count()).select_from(Occupation)) or 0
            places = session.scalar(select(func.count()).select_from(Instrument)) or 0
        print(f"{taken:,} rows in the ledger, {places:,} instruments", flush=True)
        found: Column = {"heads": f"{_short(taken)} rows, {_short(places)} inst.", "size": [taken, places]}
        for name, (act, times) in _acts(world).items():
            act(-1) if name != "booking" else world.book(ROUNDS * times + 1)
            with counted() as statements:
                act(-2) if name != "booking" else world.book(ROUNDS * times + 2)
            found[name] = world.cost(act, times), statements[0]
            print(f"  {name}: {found[name][0]:.2f} ms, {found[name][1]} statements", flush=True)
        return found


def _short(count: int) -> str:
    return (
        f"{count / 1e6:.1f} M"
        if count >= 950_000
        else f"{round(count / 1000)} k"
        if count >= 950
        else f"{count}"
    )


def _acts(world: World) -> dict[str, tuple[Callable[[int], object], int]]:
    """Give what is measured, with the requests of a round."""
    feed = _feed(world)
    free = f"/api/v1/free?duration=PT2H&{world.week}"
    kind = f"{free}&category={world.category}&region={world.region}"
    found: dict[str, tuple[Callable[[int], object], int]] = {
        "thin: one row": (_thin(world), 200),
        "booking": (world.book, 40),
        "week of one instrument": (
            lambda _: world.get(f"/api/v1/instruments/{world.full}/occupations?{world.week}"),
            100,
        ),
        "week of one facility": (
            lambda _: world.get(f"/api/v1/facilities/{world.facility}/occupations?{world.week}"),
            10,
        ),
        "find a time, one kind in a city": (lambda _: world.get(kind), 15),
        "find a time, anything anywhere": (lambda _: world.get(free), 10),
    }
    for words in ("显微镜", "镜", "microscope", "xianweijing", "xwj"):
        path = f"/api/v1/instruments?q={words}"
        found[f"search {words}"] = (lambda _, path=path: world.get(path), 10)
    found["catalogue without words"] = (lambda _: world.get("/api/v1/instruments"), 10)
    found[f"feed of {FEED}, kept"] = (lambda _: world.get(feed), 50)
    tag: list[str] = []

    def unchanged(_: int) -> None:
        if not tag:
            tag.append(world.get(feed))
        world.get(feed, tag=tag[0], expected=304)

    found["feed, 304"] = (unchanged, 100)
    return found


def _thin(world: World) -> Callable[[int], object]:
    thin = importlib.reload(
        importlib.import_module("tests.bench.thin")
    )  # its engine is of the database before
    client = thin.app.test_client()
    run = secrets.token_hex(3)

    def act(n: int) -> None:
        start = SLOTS + timedelta(hours=2 * n + 2)
        body = {
            "instrument_id": run,
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
        }
        assert client.post("/api/v1/bookings", json=body).status_code == 201

    return act


def _feed(world: World) -> str:
    """Make a feed of bookings of the one who asks."""
    for n in range(FEED):
        world.book(-1 - n)
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        made = {"scope": CalendarScope.ME, "subject": "", "privacy": Privacy.FULL, "locale": "zh_Hans_CN"}
        _, secret = calendars.make(session, actor=ada, now=datetime.now(UTC), **made)
    return f"/calendars/{secret}.ics"


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the statements of the application, without where transactions begin."""
    count = [0]

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        count[0] += not statement.startswith("BEGIN")

    event.listen(db.engine(), "before_cursor_execute", note)
    yield count
    event.remove(db.engine(), "before_cursor_execute", note)


@contextmanager
def _world(url: str) -> Iterator[World]:
    os.environ["YIQI_DATABASE_URL"] = url
    with suppress(DBAPIError):  # it is there from a run before
        seed.yardstick(url)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            instance=Path(folder),
            database_url=url,
            secret_key="a key for benchmarks, and only for them",
            log_level="ERROR",
            rate_limits=False,
            requests_per_minute=0,
        )
        client = create_app(settings).test_client()
        token = f"yiqi_{secrets.token_urlsafe(32)}"
        with db.transaction() as session:
            _settle(session, token)
        with db.reading() as session:
            one = Instrument.units == 1
            plain = select(Instrument.code).where(one, ~Instrument.training_required)
            codes = list(session.scalars(plain.order_by(Instrument.id).limit(50)))
            full, place = session.execute(
                select(Instrument.code, Instrument.facility_id).where(one).order_by(Instrument.id.desc())
            ).first()
            facility = session.get_one(Facility, place)
            category = session.scalar(
                select(func.max(Instrument.category_code)).where(Instrument.facility_id == place)
            )
            monday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            week = f"from={monday:%Y-%m-%dT%H:%M:%SZ}&to={monday + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
            world = World(
                client,
                pids(url),
                token,
                codes,
                full,
                facility.region_code,
                category,
                facility.code,
                week,
                SLOTS + timedelta(weeks=secrets.randbelow(2500)),
            )
        yield world
    db.dispose()


def _settle(session: Session, token: str) -> None:
    """Let Ada ask, with nothing of a run before in the way."""
    ada, now = cast.ada(session), datetime.now(UTC)
    session.add(
        ApiToken(
            person_id=ada.id,
            name="growth",
            secret_hash=seed.hashed(token),
            scopes=[scope.value for scope in Scope],
            created_at=now,
            used_at=now + timedelta(days=1),  # noted already: no request writes it
        )
    )


def pids(url: str) -> list[int]:
    if not url.startswith("postgresql"):
        return []
    with psycopg.connect(url) as connection:
        return [measure.parent(connection.info.backend_pid)]
