"""What a feed costs: `python -m tests.bench feeds [--engine sqlite|postgresql]`.

Processor milliseconds of one answer, those of the database server included, for 100, 1,000 and 10,000 events: fresh
(nothing is rendered yet), after one booking changed, warm (the kept answer), and 304. The yardstick is `icalendar`'s
own writer with the same events in the same run. The table goes to the standard output and, between its two marks, into
docs/calendars.md.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import icalendar
import psycopg
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from booking import db
from booking.app import create_app
from booking.config import Settings
from booking.domain.identity import time_ordered_id
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.feeds import rendering
from booking.services import calendars
from models import Booking, BookingItem, CalendarScope, Instrument, Occupation, Privacy
from tests import cast
from tests.bench import measure
from tests.bench.resolver_repair import markdown
from tests.factories import make_facility, make_instrument

PAGE = Path(__file__).parents[2] / "docs" / "calendars.md"
BEGIN, END = "<!-- cost: written by the benchmark -->", "<!-- cost: end -->"
HEAD = ("feed", "events", "KiB", "fresh", "one change", "warm", "304", "icalendar", "icalendar ÷ one change")
SIZES = (100, 1_000, 10_000)
INSTRUMENTS = 20
PURPOSE = "催化剂颗粒的形貌与成分分析；样品编号见附件, 24 h"


@dataclass(frozen=True, slots=True)
class Bench:
    """A database with one person's bookings, the application on it, and whose processor's time counts."""

    client: FlaskClient
    folder: Path
    pids: list[int]
    events: int

    def cost(self, act: Callable[[], object], times: int) -> float:
        """Give the processor milliseconds of one act."""
        server = measure.cpu_ms(self.pids)
        begun = time.process_time()
        for _ in range(times):
            act()
        own = 1000 * (time.process_time() - begun)
        return (own + measure.cpu_ms(self.pids) - server) / times


def run(url: str, name: str) -> list[list[object]]:
    """Measure feeds of all sizes in one database, and give the rows of the table."""
    rows: list[list[object]] = []
    with _application(url, name) as client:
        person, facility, places = _world()
        folder = client.application.extensions["yiqi"].instance / "feeds"
        made = 0
        for size in SIZES:
            _book(person, places, range(made, size))
            made = size
            bench = Bench(client, folder, _pids(url), size)
            for scope, subject in ((CalendarScope.ME, ""), (CalendarScope.FACILITY, facility)):
                rows.append([f"{name}, {scope.value}", size, *_measured(bench, scope, subject)])
    return rows


def _measured(bench: Bench, scope: CalendarScope, subject: str) -> Iterator[object]:
    path, times = _make(scope, subject), max(3, 3000 // bench.events)

    def whole() -> bytes:
        answer = bench.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.data

    def fresh() -> None:
        rendering.shelf = rendering.Shelf(most=20_000)
        for copy in bench.folder.glob("*"):
            copy.unlink()
        whole()

    def changed() -> None:
        with db.transaction() as session:
            one = session.scalars(select(Booking.id).limit(1)).one()
            values = {"version": Booking.version + 1, "updated_at": datetime.now(UTC)}
            session.execute(update(Booking).where(Booking.id == one).values(values))
            session.execute(update(Instrument).values(revision=Instrument.revision + 1))

    def one_change() -> None:
        changed()
        whole()

    fresh()
    body = whole()
    assert body.count(b"BEGIN:VEVENT") == bench.events
    tag = bench.client.get(path).headers["ETag"]

    def known() -> None:
        assert bench.client.get(path, headers={"If-None-Match": tag}).status_code == 304

    known()
    yield round(len(body) / 1024)
    costs = [bench.cost(fresh, 1) for _ in range(3)], bench.cost(changed, 20)
    yield min(costs[0])
    once = min(bench.cost(one_change, times) for _ in range(2)) - costs[1]
    yield once
    whole()
    yield bench.cost(whole, 20)
    tag = bench.client.get(path).headers["ETag"]
    yield bench.cost(known, 200)
    library = median(_by_the_library(body, 1 if bench.events > 1000 else 3))
    yield library
    yield f"{library / once:.0f}"


def _by_the_library(body: bytes, times: int) -> list[float]:
    """Write the same events with the writer of `icalendar`: the time to build and to print them."""
    events = [
        {
            name: event.decoded(name)
            for name in ("uid", "dtstamp", "dtstart", "dtend", "created", "last-modified")
        }
        | {name: str(event[name]) for name in ("summary", "description", "location", "url") if name in event}
        for event in icalendar.Calendar.from_ical(body).walk("VEVENT")
    ]
    costs = []
    for _ in range(times):
        begun = time.process_time()
        calendar = icalendar.Calendar()
        calendar.add("prodid", "-//bench//EN")
        calendar.add("version", "2.0")
        for values in events:
            event = icalendar.Event()
            for name, value in values.items():
                event.add(name, value.decode() if isinstance(value, bytes) else value)
            for name, value in (("sequence", 0), ("status", "CONFIRMED"), ("transp", "OPAQUE")):
                event.add(name, value)
            calendar.add_component(event)
        assert calendar.to_ical(sorted=False)
        costs.append(1000 * (time.process_time() - begun))
    return costs


@contextmanager
def _application(url: str, name: str) -> Iterator[FlaskClient]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            instance=Path(folder) / name,
            database_url=url,
            secret_key="a key for benchmarks, and only for them",
            feed_events=max(SIZES) + 1,
            log_level="ERROR",
        )
        yield create_app(settings).test_client()


def _world() -> tuple[UUID, str, list[int]]:
    with db.transaction() as session:
        ada = cast.ada(session)
        facility = make_facility(session, name_zh="中试平台", name_en="Platform", address="松山湖 1 号")
        cast.tam(session, facility)
        rows = [make_instrument(session, facility, name_en=f"Bench {n}") for n in range(INSTRUMENTS)]
        return ada.id, facility.code, [row.id for row in rows]


def _book(person: UUID, places: Sequence[int], numbers: range) -> None:
    """Write bookings of an hour straight into the tables, one after the other on each instrument."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    whole, items, taken = [], [], []
    for n in numbers:
        start = now + timedelta(hours=n // len(places) - 24)
        end, key, place = start + timedelta(hours=1), time_ordered_id(now), places[n % len(places)]
        span = {"starts_at": start, "ends_at": end}
        whole.append(
            {
                "id": key,
                "person_id": person,
                "state": State.CONFIRMED,
                "purpose": PURPOSE,
                "created_at": now,
                "updated_at": now,
                **span,
            }
        )
        items.append({"booking_id": key, "position": 0, "instrument_id": place, **span})
        taken.append(
            {
                "booking_id": key,
                "instrument_id": place,
                "kind": Kind.BOOKING,
                "use_starts_at": start,
                "use_ends_at": end,
                **span,
            }
        )
    with db.transaction() as session:
        for table, rows in ((Booking, whole), (BookingItem, items), (Occupation, taken)):
            session.execute(insert(table), rows)


def _make(scope: CalendarScope, subject: str) -> str:
    with db.transaction() as session:
        who = cast.root(session) if scope is CalendarScope.FACILITY else cast.ada(session)
        _, secret = calendars.make(
            session,
            actor=cast.actor_of(session, who),
            scope=scope,
            subject=subject,
            privacy=Privacy.FULL,
            locale="zh_Hans_CN",
            now=datetime.now(UTC),
        )
    return f"/calendars/{secret}.ics"


def _pids(url: str) -> list[int]:
    if not url.startswith("postgresql"):
        return []
    with psycopg.connect(url) as connection:
        return [measure.parent(connection.info.backend_pid)]


def main(databases: Callable[[Sequence[str]], AbstractContextManager[dict[str, str]]]) -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench feeds", description=__doc__)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    words = parser.parse_args()
    rows: list[list[object]] = []
    with databases(words.engine or ["sqlite", "postgresql"]) as urls:
        for name, url in urls.items():
            rows += run(url, name)
    measure.show("feeds, CPU ms", rows, *HEAD)
    if not words.engine:
        keep(rows)


def keep(rows: Sequence[Sequence[object]]) -> None:
    """Put the table between its marks on the page."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    load = f"load average {os.getloadavg()[0]:.1f} at the end"
    said = f"Processor milliseconds of web and database, {datetime.now(UTC):%Y-%m-%d}, {machine}, {load}."
    table = markdown(
        HEAD, [[f"{cell:.1f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    )
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{said}\n\n{table}\n\n{END}{after}", encoding="utf-8")
