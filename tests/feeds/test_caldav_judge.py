"""What an independent CalDAV client finds at a real server: nothing that it found before may be lost."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, calendars
from models import CalendarScope
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.servers import ROOT, GunicornServer

PYTHON = ROOT / ".tools" / "judge" / "bin" / "python"
FOLDER = ROOT / "tests" / "judge"
GRADES = ("unknown", "broken", "ungraceful", "unsupported", "fragile", "quirk", "full")
"""How well a server does something, the best last; the tester was not always able to tell."""

SOON = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0) + timedelta(days=3)

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not PYTHON.exists(), reason="./dev test sets the independent client up"),
]


@dataclass
class World:
    server: GunicornServer
    token: str
    booked: list[tuple[str, str, str]]


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    """A real server with an instrument of many units, of which Ada has the calendar, and some bookings."""
    db.init(sqlite_url)
    with db.transaction() as session:
        facility = make_facility(session, code="LAB")
        row = make_instrument(
            session, facility, code="SEM", name_en="Microscope", units=500, step_minutes=1, shortest_minutes=1
        )
        person = cast.ada(session)
        person.locale = "en"
        ada, token = cast.actor_of(session, person), cast.token(session, person)
        calendars.make(
            session,
            actor=ada,
            scope=CalendarScope.INSTRUMENT,
            subject="SEM",
            locale="en",
            now=datetime.now(UTC),
        )
        booked = []
        for n in range(3):
            span = Span(SOON + timedelta(hours=2 * n), SOON + timedelta(hours=2 * n + 1))
            made = bookings.place(
                session,
                actor=ada,
                items=[Item(row.id, span)],
                purpose=f"第{n}批，试样; 🧪",
                now=datetime.now(UTC),
            )
            booked.append((f"{made.id}@yiqi.local", span.start.isoformat(), span.end.isoformat()))
    db.dispose()
    # The tester's events lie in the next year.
    with GunicornServer(sqlite_url, env={"YIQI_FEED_FUTURE_DAYS": "800"}) as server:
        yield World(server, token, booked)


def ask(world: World, script: str, tmp_path: Path) -> dict[str, object]:
    """Run a script of the independent client against the server, and read what it prints."""
    done = subprocess.run(
        [
            PYTHON,
            FOLDER / script,
            f"{world.server.base_url}/caldav/",
            "ada@example.org",
            world.token,
            "Microscope",
        ],
        capture_output=True,
        text=True,
        check=False,
        # No settings of whoever runs the tests.
        env=os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_nothing_that_the_tester_found_is_lost(world: World, tmp_path: Path):
    found = ask(world, "run.py", tmp_path)["features"]
    told = {feature: grade["support"] for feature, grade in sorted(found.items()) if "support" in grade}
    path = FOLDER / "expected.json"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    expected = json.loads(path.read_text(encoding="utf-8"))
    lost = {
        feature: (grade, told.get(feature))
        for feature, grade in expected.items()
        if GRADES.index(told.get(feature, "unknown")) < GRADES.index(grade)
    }
    assert lost == {}


def test_a_client_lists_what_the_database_holds(world: World, tmp_path: Path):
    """It finds the calendars by the entrance alone, and each occurrence of each event by its own arithmetic."""
    told = ask(world, "occurrences.py", tmp_path)
    assert sorted(told["calendars"]) == ["Microscope", "Yiqi: my bookings"]
    assert sorted(map(tuple, told["occurrences"])) == sorted(world.booked)
    assert told["changed"] == {"before": 3, "after": 1, "gone": 1}
    assert told["refused"] == "403"
