"""What reading costs: `python -m tests.bench reads [--engine sqlite|postgresql] [--write]`.

The week and the month of one instrument, the timeline of a facility of 1,000 instruments, and the home page. Processor
milliseconds of the application and the database for one request, without an HTTP server between, the least of some
rounds; and statements. The yardstick `thin` is a bare view that reads as many rows and writes them as JSON, in the
same process on the same database.
"""

import argparse
import importlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import insert, text

from booking import db
from booking.app import create_app
from booking.config import Settings
from booking.domain.access import Scope
from booking.domain.identity import time_ordered_id
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from models import ApiToken, Booking, BookingItem, Occupation
from tests import cast
from tests.bench import growth, measure, page, seed
from tests.factories import make_facility, make_instrument

INSTRUMENTS = 1000
A_WEEK = 6
"""So many bookings each of them has in the week."""

A_DAY = 6
"""So many has the one whose month is read."""

AT_ONCE = 120
"""So many rows the page asks for at a time."""

HEADS = ("what", "CPU ms", "KiB", "statements")


@dataclass(frozen=True, slots=True)
class World:
    """An application on a database, with what the requests need to name."""

    asks: growth.World
    tam: FlaskClient
    visitor: FlaskClient
    facility: str
    full: str
    ids: list[int]
    monday: datetime

    def window(self, days: int) -> str:
        """Give the query of some days from the Monday on."""
        return f"from={_z(self.monday)}&to={_z(self.monday + timedelta(days=days))}"


def main(databases: Callable[[Sequence[str]], AbstractContextManager[dict[str, str]]]) -> None:
    """Parse the words, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench reads", description=__doc__)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    words = parser.parse_args()
    told = []
    with databases(words.engine or ["sqlite", "postgresql"]) as urls:
        for name, url in urls.items():
            rows = measured(url)
            measure.show(f"{name}: reads", rows, *HEADS)
            told.append(f"{name}:\n\n{page.table(HEADS, rows)}")
    if words.write:
        page.keep("reads", "\n\n".join([page.conditions(), *told]))


def measured(url: str) -> list[list[object]]:
    """Give what each request costs."""
    rows: list[list[object]] = []
    with _world(url) as world:
        for name, (act, times) in _acts(world).items():
            size = len(act(0))
            with growth.counted() as statements:
                act(1)
            rows.append([name, world.asks.cost(act, times), round(size / 1024, 1), statements[0]])
            print(f"  {name}: {rows[-1][1]:.2f} ms, {rows[-1][3]} statements", flush=True)
    return rows


def _acts(world: World) -> dict[str, tuple[Callable[[int], str], int]]:
    """Give what is measured, with the requests of a round."""
    week, month = world.window(7), world.window(30)
    one = f"/api/v1/instruments/{world.full}/occupations"
    found: dict[str, tuple[Callable[[int], str], int]] = {}
    thin = _thin(world)
    for days in (7, 30):
        found[f"thin: {days * A_DAY} rows"] = (lambda _, days=days: thin(days), 100)
    found[f"week of one instrument ({7 * A_DAY} entries)"] = (lambda _: _told(world, f"{one}?{week}"), 100)
    found[f"month ({30 * A_DAY})"] = (lambda _: _told(world, f"{one}?{month}"), 100)
    whole = f"/api/v1/facilities/{world.facility}/occupations?{week}"
    found[f"week of {INSTRUMENTS:,} instruments ({INSTRUMENTS * A_WEEK:,})"] = (
        lambda _: _told(world, whole),
        3,
    )
    shown = f"/timeline?day={world.monday:%Y-%m-%d}"
    found[f"the timeline's page, {INSTRUMENTS:,} rows"] = (lambda _: _page(world.tam, shown), 3)
    found[f"all its rows, in {-(-INSTRUMENTS // AT_ONCE)} requests"] = (lambda _: _rows(world), 2)
    known = json.loads(re.search(r'"resources-data">(.*?)</script>', _page(world.tam, shown))[1])["mark"]
    news = f"/timeline/news?facility={world.facility}"
    found["whether anything changed, 304"] = (lambda _: _unchanged(world.tam, news, known), 100)
    found["home, a visitor"] = (lambda _: _page(world.visitor, "/"), 10)
    found["home, a manager"] = (lambda _: _page(world.tam, "/"), 10)
    return found


def _told(world: World, path: str) -> str:
    headers = {"Authorization": f"Bearer {world.asks.token}"}
    answer = world.asks.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def _page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.text


def _rows(world: World) -> str:
    base = f"/timeline/rows?day={world.monday:%Y-%m-%d}&ids="
    return "".join(
        _page(world.tam, base + ",".join(map(str, world.ids[start : start + AT_ONCE])))
        for start in range(0, len(world.ids), AT_ONCE)
    )


def _unchanged(client: FlaskClient, path: str, tag: str) -> str:
    assert client.get(path, headers={"If-None-Match": f'"{tag}"'}).status_code == 304
    return ""


def _thin(world: World) -> Callable[[int], str]:
    thin = importlib.reload(importlib.import_module("tests.bench.thin"))
    client = thin.app.test_client()
    rows = [
        {
            "i": world.full,
            "a": start if thin.engine.dialect.name == "postgresql" else str(start),
            "b": str(end),
        }
        for start, end in _uses(world.monday, 30 * A_DAY, A_DAY)
    ]
    with thin.WRITE.begin() as connection:
        connection.execute(
            text("INSERT INTO thin (instrument, starts_at, ends_at) VALUES (:i, :a, :b)"), rows
        )

    def act(days: int) -> str:
        end = world.monday + timedelta(days=days)
        query = {"instrument": world.full, "from": str(world.monday), "to": str(end)}
        answer = client.get("/api/v1/read", query_string=query)
        assert len(answer.json) == days * A_DAY
        return answer.text

    return act


@contextmanager
def _world(url: str) -> Iterator[World]:
    os.environ["YIQI_DATABASE_URL"] = url
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
        app = create_app(settings)
        yield _settled(app.test_client(), app.test_client(), app.test_client(), growth.pids(url))
    db.dispose()


def _settled(program: FlaskClient, tam: FlaskClient, visitor: FlaskClient, pids: list[int]) -> World:
    now = datetime.now(UTC)
    monday = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7 - now.weekday())
    token = f"yiqi_{secrets.token_urlsafe(32)}"
    with db.transaction() as session:
        ada, ben = cast.ada(session), cast.ben(session)
        facility = make_facility(session, name_zh="中试平台", name_en="Platform")
        cast.sign_in(tam, session, cast.tam(session, facility))
        rows = [make_instrument(session, facility, name_en=f"Bench {n}") for n in range(INSTRUMENTS)]
        session.flush()
        ids, code = [row.id for row in rows], facility.code
        full = make_instrument(session, make_facility(session), name_en="Full")
        session.flush()
        _book(session, ben.id, [full.id], list(_uses(monday, 30 * A_DAY, A_DAY)))
        _book(session, ben.id, ids, list(_uses(monday, A_WEEK, 1)))
        session.add(
            ApiToken(
                person_id=ada.id,
                name="reads",
                secret_hash=seed.hashed(token),
                scopes=[scope.value for scope in Scope],
                created_at=now,
                used_at=now + timedelta(days=1),  # noted already: no request writes it
            )
        )
        one = full.code
    db.analyse()
    asks = growth.World(program, pids, token, [], one, "", "", code, "", monday)
    return World(asks, tam, visitor, code, one, ids, monday)


def _uses(monday: datetime, count: int, a_day: int) -> Iterator[tuple[datetime, datetime]]:
    for n in range(count):
        start = monday + timedelta(days=n // a_day, hours=3 * (n % a_day))
        yield start, start + timedelta(hours=2)


def _book(session, person: UUID, places: Sequence[int], uses: Sequence[tuple[datetime, datetime]]) -> None:
    """Write bookings straight into the tables."""
    now = datetime.now(UTC)
    whole, items, taken = [], [], []
    for place in places:
        for start, end in uses:
            key, span = time_ordered_id(now), {"starts_at": start, "ends_at": end}
            whole.append(
                {
                    "id": key,
                    "person_id": person,
                    "state": State.CONFIRMED,
                    "purpose": "催化剂颗粒的形貌与成分分析；样品编号见附件",
                    "created_at": now,
                    "updated_at": now,
                    **span,
                }
            )
            items.append({"booking_id": key, "position": 0, "instrument_id": place, **span})
            used = {"use_starts_at": start, "use_ends_at": end}
            taken.append({"booking_id": key, "instrument_id": place, "kind": Kind.BOOKING, **span, **used})
    for table, rows in ((Booking, whole), (BookingItem, items), (Occupation, taken)):
        session.execute(insert(table), rows)


def _z(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
