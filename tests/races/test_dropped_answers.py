"""Answers that never arrive: a client that repeats its key gets the same booking, and there is only one."""

import json
import os
import socket

import pytest
from sqlalchemy import func, select

from models import Booking, Occupation
from tests.factories import make_instrument
from tests.races.world import Call, assert_never_overbooked, at, database, people, rush, send, statuses
from tests.servers import GunicornServer

DROPPED = int(os.environ.get("YIQI_DROPPED_ANSWERS", "40"))
pytestmark = pytest.mark.server


def ask_and_hang_up(port: int, call: Call) -> None:
    """Send a whole request and close before the answer comes."""
    body = json.dumps(call.body).encode()
    lines = [
        f"{call.method} /api/v1{call.path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {call.token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (call.headers or {}).items()),
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def test_a_repeated_key_makes_one_booking(database_url):
    with database(database_url) as session:
        token = people(session)["ada"]
        code = make_instrument(session).code
    ids = []
    with GunicornServer(database_url, faults_expected=True) as server:
        for n in range(DROPPED):
            wish = {"instrument_id": code, "start": at(24 + n), "end": at(25 + n)}
            call = Call("POST", "/bookings", wish, token, {"Idempotency-Key": f"key-{n}"})
            ask_and_hang_up(server.port, call)
            again = send(server.port, call)
            assert again.status == 201, again.body
            ids.append(again.body["id"])
        other = {"instrument_id": code, "start": at(2), "end": at(3)}
        reused = send(server.port, Call("POST", "/bookings", other, token, {"Idempotency-Key": "key-0"}))
        once_more = send(server.port, call)
    assert (reused.status, reused.body["code"]) == (422, "invalid")
    assert once_more.body["id"] == ids[-1]
    assert len(set(ids)) == DROPPED
    with database(database_url) as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == DROPPED
        assert session.scalar(select(func.count()).select_from(Occupation)) == DROPPED


def test_two_hundred_clients_at_one_instant(database_url):
    with database(database_url) as session:
        token = people(session)["ada"]
        code = make_instrument(session).code
    wish = {"instrument_id": code, "start": at(24), "end": at(25)}
    with GunicornServer(database_url) as server:
        answers = rush(server.port, [Call("POST", "/bookings", wish, token)] * 200)
    assert statuses(answers) == {201: 1, 409: 199}
    assert_never_overbooked(database_url)
