"""The opening: `python -m tests.bench rush [--engine sqlite|postgresql] [--people 500 2000] [--slots 20]`.

So many people at once want the same few slots of one line, over REST and by the booking form. All connections are
open before the first byte is sent, and each person sends as soon as the one before has; the figures are what each of
them waited. An inversion is a slot that went to somebody who asked after another who did not get it. Who is told to
come again comes again when they were told to, with their ticket, until they have an answer.
"""

import argparse
import json
import platform
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from flask import session as cookie
from flask_wtf.csrf import generate_csrf

from booking.app import create_app
from booking.config import Settings
from booking.domain.access import Role, Scope
from booking.services import sign_in
from booking.services.sign_in import hashed
from models import ApiToken, Category, Membership, Person
from tests import cast
from tests.bench import measure
from tests.factories import make_facility, make_instrument
from tests.races.world import BASE, at, database
from tests.servers import GunicornServer

HEADS = ("people", "by", "p50 ms", "p99 ms", "max ms", "CPU ms each", "came again", "inversions", "answers")
SECRET = "a key for tests, and for tests alone"  # of tests.servers
OTHERS = 8
"""Instruments that would do as well, of which the losers are told."""


@dataclass(frozen=True)
class Crowd:
    """The line, and what proves who each person is."""

    code: str
    tokens: list[str]
    secrets: list[str]
    cookies: list[tuple[str, str]]


@dataclass
class Asker:
    """One person's request, its answers and when they came."""

    slot: int
    wanted: bytes
    order: int
    sent: float = 0.0
    last_sent: float = 0.0
    waits: list[float] = field(default_factory=list)
    status: int = 0
    again_at: float = 0.0
    tries: int = 0
    data: bytes = b""
    left: bytes = b""
    told: bytes = b""


def gather(url: str, people: int, name: str) -> Crowd:
    """Make the line, the instruments like it and the people, each with a token and a session."""
    now = datetime.now(UTC)
    with database(url) as session:
        facility = make_facility(session)
        if session.get(Category, "99") is None:
            session.add(Category(code="99", name_zh="示例", name_en="Examples"))
            session.flush()
        wanted = {"category_code": "99", "facility": facility}
        code = make_instrument(session, name_en=f"Line {name}", **wanted).code
        for n in range(OTHERS):
            make_instrument(session, name_en=f"Other {name} {n}", **wanted)
        university = cast.university(session)
        crowd = Crowd(code, [], [], [])
        for n in range(people):
            person = Person(
                email=f"{name}-{n}@example.org",
                name=f"Person {n}",
                password_hash="",
                created_at=cast.JOINED,
                email_confirmed_at=cast.JOINED,
                toured_at=now,
            )
            session.add(person)
            session.flush()
            session.add(Membership(person_id=person.id, role=Role.MEMBER, organisation_id=university.id))
            crowd.tokens.append(_token(session, person.id, f"{name}-{n}", now))
            crowd.secrets.append(
                sign_in.start(
                    session,
                    person_id=person.id,
                    agent="bench",
                    address="127.0.0.1",
                    lifetime=timedelta(days=1),
                    now=now,
                )
            )
    crowd.cookies.extend(_cookies(url, crowd.secrets))
    return crowd


def _token(session, person_id: UUID, name: str, now: datetime) -> str:
    secret = f"yiqi_rush_{name}"
    session.add(
        ApiToken(
            person_id=person_id,
            name="bench",
            secret_hash=hashed(secret),
            scopes=[scope.value for scope in Scope],
            created_at=now,
            used_at=now + timedelta(days=1),
        )
    )
    return secret


def _cookies(url: str, secrets: Sequence[str]) -> list[tuple[str, str]]:
    """Give the cookie and the token against forged requests of each session."""
    app = create_app(Settings(database_url=url, secret_key=SECRET))
    found = []
    for secret in secrets:
        with app.test_request_context("/"):
            cookie["_user_id"] = secret
            cookie["_fresh"] = True
            csrf = generate_csrf()
            signed = app.session_interface.get_signing_serializer(app).dumps(dict(cookie))
            found.append((f"{app.config['SESSION_COOKIE_NAME']}={signed}", csrf))
    return found


# --- what they send -------------------------------------------------------------------------------


def over_rest(crowd: Crowd, person: int, slot: int) -> bytes:
    """Give the request of a program."""
    body = json.dumps({"instrument_id": crowd.code, "start": at(24 + slot), "end": at(25 + slot)}).encode()
    head = (
        "POST /api/v1/bookings HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {crowd.tokens[person]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def by_form(crowd: Crowd, person: int, slot: int) -> bytes:
    """Give what a browser sends of the form."""
    start = (BASE + timedelta(hours=24 + slot)).astimezone(UTC) + timedelta(hours=8)  # as in Shanghai
    end = start + timedelta(hours=1)
    signed, csrf = crowd.cookies[person]
    typed = {
        "instrument": crowd.code,
        "start_date": f"{start:%Y-%m-%d}",
        "start_time": f"{start:%H:%M}",
        "end_date": f"{end:%Y-%m-%d}",
        "end_time": f"{end:%H:%M}",
        "quantity": "1",
        "key": f"rush-{person}-{slot}-{crowd.code}",
        "csrf_token": csrf,
    }
    return _posted(signed, typed)


def _posted(signed: str, typed: dict[str, str]) -> bytes:
    body = urlencode(typed).encode()
    head = (
        "POST /bookings/new HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nAccept-Language: en\r\n"
        f"Cookie: {signed}\r\nReferer: http://127.0.0.1/bookings/new\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# --- sending it -----------------------------------------------------------------------------------


def storm(port: int, askers: list[Asker], patience: float = 60.0) -> float:
    """Let all ask at one instant and give the seconds until the last has an answer that is not to come again."""
    with selectors.DefaultSelector() as watch:
        sockets = []
        for asker in askers:
            door = socket.create_connection(("127.0.0.1", port), timeout=60)
            door.setblocking(False)
            sockets.append(door)
            watch.register(door, selectors.EVENT_READ, asker)
        begun = time.perf_counter()
        for asker, door in zip(askers, sockets, strict=True):
            asker.sent = asker.last_sent = time.perf_counter()
            asker.tries = 1
            door.sendall(asker.wanted)
        open_ones = len(askers)
        waiting: list[Asker] = []
        while (open_ones or waiting) and time.perf_counter() - begun < patience:
            for key, _ in watch.select(0.02):
                if _read(key.fileobj, key.data):
                    watch.unregister(key.fileobj)
                    key.fileobj.close()
                    open_ones -= 1
                    if key.data.again_at:
                        waiting.append(key.data)
            now = time.perf_counter()
            for asker in [one for one in waiting if one.again_at <= now]:
                waiting.remove(asker)
                door = socket.create_connection(("127.0.0.1", port), timeout=60)
                asker.again_at, asker.data, asker.last_sent = 0.0, b"", time.perf_counter()
                asker.tries += 1
                door.sendall(asker.wanted)
                door.setblocking(False)
                watch.register(door, selectors.EVENT_READ, asker)
                open_ones += 1
        return time.perf_counter() - begun


def _read(door, asker: Asker) -> bool:
    try:
        more = door.recv(262144)
    except OSError as error:
        asker.status, asker.told = -1, repr(error).encode()
        return True
    asker.data += more
    head, gap, body = asker.data.partition(b"\r\n\r\n")
    if more and (not gap or not _whole(head.lower(), body)):
        return False
    asker.waits.append(time.perf_counter() - asker.last_sent)
    asker.status = int(head[9:12]) if gap else -1
    asker.told = body
    if asker.status == 503:
        asker.again_at = time.perf_counter() + _retry_after(head)
        asker.wanted = with_ticket(asker.wanted, head, body)
    return True


def _whole(head: bytes, body: bytes) -> bool:
    if b"content-length:" in head:
        return len(body) >= int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return b"chunked" in head and body.endswith(b"0\r\n\r\n")


def _retry_after(head: bytes) -> float:
    lowered = head.lower()
    return (
        float(lowered.split(b"retry-after:", 1)[1].split(b"\r\n", 1)[0])
        if b"retry-after:" in lowered
        else 5.0
    )


def with_ticket(wanted: bytes, head: bytes, told: bytes) -> bytes:
    """Give the request with the ticket of its 503, as the problem or the page's cookie has it."""
    found = re.search(rb'"ticket": "([^"]+)"', told) or re.search(rb"yiqi-turn=([^;]+)", head)
    if found is None or b"Queue-Ticket:" in wanted:
        return wanted
    line, _, rest = wanted.partition(b"\r\n")
    return b"%s\r\nQueue-Ticket: %s\r\n%s" % (line, found[1], rest)


# --- the figures ----------------------------------------------------------------------------------


def inversions(askers: Sequence[Asker]) -> int:
    """Count the slots of which the winner had asked after somebody who did not get it."""
    first: dict[int, int] = {}
    for asker in askers:
        first.setdefault(asker.slot, asker.order)
    return sum(1 for asker in askers if asker.status in {201, 303} and first[asker.slot] != asker.order)


def bench(
    url: str,
    name: str,
    people: int,
    slots: int,
    pids: Callable[[str], list[int]],
    workers: int,
    ways: Sequence[str],
) -> list[list[object]]:
    """Give a row for REST and one for the form."""
    rows = []
    for kind in ways:
        make = WAYS[kind]
        crowd = gather(url, people, f"{name}{kind}{people}")
        askers = [Asker(n % slots, make(crowd, n, n % slots), n) for n in range(people)]
        with GunicornServer(url, workers=workers, threads=16, env=ENVIRONMENT) as server:
            _warm(server.port, crowd, make)
            roots = [server.pid, *pids(url)]
            before = measure.cpu_ms(roots)
            storm(server.port, askers)
            cpu = measure.cpu_ms(roots) - before
            answers = sum(len(asker.waits) for asker in askers)
        waits = [1000 * wait for asker in askers for wait in asker.waits]
        told = Counter(asker.status for asker in askers)
        rows.append(
            [
                people,
                kind,
                measure.percentile(waits, 0.5),
                measure.percentile(waits, 0.99),
                max(waits),
                cpu / answers,
                sum(asker.tries - 1 for asker in askers),
                inversions(askers),
                " ".join(f"{status}:{count}" for status, count in sorted(told.items())),
            ]
        )
    return rows


WAYS = {"REST": over_rest, "form": by_form}
ENVIRONMENT = {"YIQI_LOG_LEVEL": "WARNING", "YIQI_PATIENCE_SECONDS": "3"}


def _warm(port: int, crowd: Crowd, make: Callable[[Crowd, int, int], bytes]) -> None:
    """Ask for times of the day before, so that every worker has answered a few before the rush."""
    for slot in (-20, -19, -18):
        storm(port, [Asker(slot, make(crowd, n, slot), n) for n in range(8)])


def main(databases: Callable[[Sequence[str]], AbstractContextManager[dict[str, str]]], pids, workers) -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench rush", description=__doc__)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--people", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument("--by", choices=list(WAYS), nargs="+", default=list(WAYS))
    words = parser.parse_args()
    print(
        f"# The rush, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}"
    )
    with databases(words.engine or ["sqlite", "postgresql"]) as urls:
        for name, url in urls.items():
            rows = []
            for people in words.people:
                rows += bench(url, name, people, words.slots, pids, workers(url), words.by)
            measure.show(f"{name}: {words.slots} slots of one line, all at once", rows, *HEADS)
