"""Many clients at once against a real server, and what must hold of the ledger afterwards."""

import http.client
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.db import make_engine
from booking.domain.access import Role, Scope
from booking.domain.spans import Load, Span, peak
from booking.services.sign_in import hashed
from models import ApiToken, Instrument, Membership, Occupation, Person
from tests import cast

BASE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=30)
"""A midnight well ahead of any server's clock."""

FOREVER = Span(BASE - timedelta(days=365), BASE + timedelta(days=3650))


@dataclass(frozen=True)
class Answer:
    """What one client got."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.body.get("reasons", [])]


@dataclass(frozen=True)
class Call:
    """One request to the API."""

    method: str
    path: str
    body: Any = None
    token: str = ""
    headers: Mapping[str, str] | None = None


@contextmanager
def database(url: str) -> Iterator[Session]:
    """Write what a race needs before the server starts, or read what it left."""
    engine = make_engine(url)
    with Session(engine.execution_options(write=True), expire_on_commit=False) as session:
        yield session
        session.commit()
    engine.dispose()


def token_of(session: Session, person: Person, *scopes: Scope) -> str:
    """Give a person an API token."""
    secret = f"yiqi_race_{person.email}"
    session.add(
        ApiToken(
            person_id=person.id,
            name="race",
            secret_hash=hashed(secret),
            scopes=[scope.value for scope in scopes or Scope],
            created_at=datetime.now(UTC),
        )
    )
    session.flush()
    return secret


def people(session: Session) -> dict[str, str]:
    """Make the cast and give their tokens by name."""
    made = {name: getattr(cast, name)(session) for name in ("ada", "ben", "cleo", "root")}
    return {name: token_of(session, person) for name, person in made.items()}


def manager(session: Session, instrument: Instrument) -> str:
    """Let Tam manage the instrument's facility and give his token."""
    tam = cast.tam(session)
    known = select(Membership).where(
        Membership.person_id == tam.id, Membership.facility_id == instrument.facility_id
    )
    if session.scalar(known) is None:
        session.add(Membership(person_id=tam.id, role=Role.MANAGER, facility_id=instrument.facility_id))
    return token_of(session, tam)


def at(hours: float) -> str:
    """Give a time so many hours after BASE as the API takes it."""
    return (BASE + timedelta(hours=hours)).isoformat()


def send(port: int, call: Call, *, timeout: float = 60) -> Answer:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {
            "Authorization": f"Bearer {call.token}",
            "Accept": "application/json",
            **(call.headers or {}),
        }
        body = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(call.body)
        connection.request(call.method, f"/api/v1{call.path}", body, headers)
        answer = connection.getresponse()
        raw = answer.read()
        return Answer(answer.status, json.loads(raw) if raw else None, dict(answer.getheaders()))
    finally:
        connection.close()


def together(*works: Callable[[], None]) -> None:
    """Begin all at one instant, each in a thread of its own, and raise the first fault."""
    barrier = threading.Barrier(len(works))
    faults: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            faults.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def rush(port: int, calls: Sequence[Call], *others: Callable[[], None]) -> list[Answer]:
    """Send all at one instant, each from a client of its own; `others` run beside them."""
    answers: dict[int, Answer] = {}

    def client(index: int) -> None:
        answers[index] = send(port, calls[index])

    together(*(partial(client, index) for index in range(len(calls))), *others)
    return [answers[index] for index in range(len(calls))]


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """Count the answers by status."""
    return Counter(answer.status for answer in answers)


def assert_never_overbooked(url: str) -> None:
    """Hold the whole ledger against the units of every instrument."""
    with database(url) as session:
        units = {row.id: row.units for row in session.scalars(select(Instrument))}
        loads: dict[int, list[Load]] = defaultdict(list)
        for row in session.scalars(select(Occupation)):
            loads[row.instrument_id].append(Load(row.starts_at, row.ends_at, row.quantity))
        for place, taken in loads.items():
            assert peak(taken, FOREVER) <= units[place], f"instrument {place} is overbooked"
