"""A small world behind the API: two facilities, some instruments, the cast with their tokens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from booking import db
from booking.domain.access import Scope
from booking.domain.pricing import CustomerClass, Unit
from models import InstrumentPrice, Project, ProjectMember
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7)
"""A midnight ahead of the clock of the API."""


def at(hour: float, day: int = 0) -> str:
    """RFC 3339 of an hour of that day."""
    return (DAY + timedelta(days=day, hours=hour)).isoformat().replace("+00:00", "Z")


def window(days: int = 1) -> dict[str, str]:
    """A query's from and to around that day."""
    return {"from": at(0), "to": at(24 * days)}


@dataclass
class World:
    """The application and who may ask it."""

    app: Flask
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        *,
        who: str | None = "ada",
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> TestResponse:
        """Ask as one of the cast, by token; None is a visitor."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=sent, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("POST", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("DELETE", path, **kwargs)

    def book(
        self, start: float = 9, end: float = 10, *, instrument: str = "SEM", who: str = "ada", **more: Any
    ) -> Any:
        """Place a booking and give it."""
        wish = {"instrument_id": instrument, "start": at(start), "end": at(end), **more}
        answer = self.post("/bookings", json=wish, who=who)
        assert answer.status_code == 201, answer.text
        return answer.json

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Look at, or change, what is in the database."""
        with db.transaction() as session:
            yield session


@pytest.fixture
def build() -> Callable[[Flask], World]:
    return populate


@pytest.fixture
def world(app: Flask) -> World:
    return populate(app)


@pytest.fixture
def world_on_both(app_on_both: Flask) -> World:
    return populate(app_on_both)


def populate(app: Flask) -> World:
    """Make two facilities: Tam manages the first, somebody called Mia the second."""
    world = World(app)
    with db.transaction() as session:
        lab = make_facility(session, code="LAB", name_zh="实验平台", name_en="Laboratory", always_open=True)
        yard = make_facility(session, code="YARD", name_zh="中试平台", name_en="Yard")
        network = make_network(session, lab, yard, code="NET")
        sem = make_instrument(
            session, lab, code="SEM", name_zh="扫描电子显微镜", name_en="Scanning electron microscope"
        )
        make_instrument(session, lab, code="SEM-2", name_zh="扫描电镜二", name_en="Second microscope")
        make_instrument(
            session, lab, code="TANK", name_en="Tank farm", units=4, setup_minutes=15, cleanup_minutes=15
        )
        make_instrument(session, lab, code="XRD", name_en="Diffractometer", approval_required=True)
        make_instrument(session, lab, code="SECRET", name_en="Not shown yet", published=False)
        make_instrument(session, yard, code="OVEN", name_en="Oven")
        session.add_all(
            InstrumentPrice(
                instrument_id=sem.id,
                customer_class=group,
                unit=Unit.HOUR,
                amount=Decimal(amount),
                valid_from=date(2026, 1, 1),
            )
            for group, amount in ((CustomerClass.INTERNAL, 300), (CustomerClass.EXTERNAL, 600))
        )
        people = {
            "ada": cast.ada(session),
            "ben": cast.ben(session),
            "cleo": cast.cleo(session),
            "tam": cast.tam(session, lab),
            "nora": cast.nora(session, network),
            "root": cast.root(session),
        }
        project = Project(
            code="P-1",
            name="Membranes",
            organisation_id=cast.university(session).id,
            leader_id=people["ada"].id,
        )
        session.add(project)
        session.flush()
        session.add_all(
            ProjectMember(project_id=project.id, person_id=people[name].id) for name in ("ada", "ben")
        )
        world.tokens = {name: cast.token(session, person) for name, person in people.items()}
        world.tokens["reader"] = cast.token(session, people["ada"], Scope.READ)
        world.ids = {name: str(person.id) for name, person in people.items()} | {"project": str(project.id)}
    return world
