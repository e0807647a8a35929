"""What those see who watch over the server."""

from datetime import UTC, datetime, timedelta

import pytest

from booking import db
from booking.services import jobs
from booking.services.health import Fault, Vitals, faults
from booking.web import health
from models import Event, guards
from tests import cast
from tests.factories import make_instrument

SOUND = Vitals("0009", (), "", 0, timedelta(0), durable=True)


@pytest.fixture
def client(app_on_both):
    return app_on_both.test_client()


@pytest.fixture
def at_once(monkeypatch):
    """Look at the database at every request."""
    monkeypatch.setattr(health, "LOOKED_FOR", -1.0)


# --- alive ----------------------------------------------------------------------------------------


def test_a_living_process_says_so_whatever_else_is_wrong(client, monkeypatch):
    def gone():
        raise db.Unavailable("no route")

    monkeypatch.setattr(db, "reading", gone)
    monkeypatch.setattr(db, "rehearsal", gone)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


# --- fit ------------------------------------------------------------------------------------------


def test_a_sound_server_is_fit(client):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "faults": []})


def codes(answer) -> set[str]:
    return {fault["code"] for fault in answer.json["faults"]}


@pytest.mark.usefixtures("at_once")
def test_without_guards_or_migrations_or_with_an_old_outbox_it_is_not_fit(client):
    with db.transaction() as session:
        session.add(Event(at=datetime.now(UTC) - timedelta(hours=1), kind="booking.placed"))
    answer = client.get("/readyz")
    assert (answer.status_code, codes(answer)) == (503, {"outbox"})
    with db.transaction() as session:
        guards.drop(session.connection())
    assert codes(client.get("/readyz")) == {"outbox", "guards"}


@pytest.mark.usefixtures("at_once")
def test_without_a_database_it_is_not_fit(client, monkeypatch):
    def gone():
        raise db.Unavailable("no route")

    monkeypatch.setattr(db, "rehearsal", gone)
    answer = client.get("/readyz")
    assert (answer.status_code, codes(answer)) == (503, {"database"})


@pytest.mark.usefixtures("at_once")
def test_why_is_told_to_this_machine_only(client, monkeypatch):
    monkeypatch.setattr(health, "_look", lambda: [Fault("disk", "3 MB left")])
    assert client.get("/readyz").json["faults"] == [{"code": "disk", "detail": "3 MB left"}]
    far = client.get("/readyz", environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert (far.status_code, far.json["faults"]) == (503, [{"code": "disk"}])


def test_asking_often_looks_once(client, monkeypatch):
    looks = []
    monkeypatch.setattr(health, "_look", lambda: looks.append(1) or [])
    for _ in range(10):
        client.get("/readyz")
    assert len(looks) == 1


def test_looking_writes_nothing(client):
    with db.reading() as session:
        before = session.connection().exec_driver_sql("SELECT * FROM alembic_version").all()
    client.get("/readyz")
    with db.reading() as session:
        assert session.connection().exec_driver_sql("SELECT * FROM alembic_version").all() == before


@pytest.mark.parametrize(
    ("changed", "free", "expected"),
    [
        ({}, 10**10, []),
        ({}, 10**8, ["disk"]),
        ({"revision": None}, 10**10, ["migrations"]),
        ({"revision": "0008"}, 10**10, ["migrations"]),
        ({"lacking": ("occupation_lock",)}, 10**10, ["guards"]),
        ({"not_writable": "disk is full"}, 10**10, ["read_only"]),
        ({"durable": False}, 10**10, ["durability"]),
        ({"lag": timedelta(minutes=9), "waiting": 5}, 10**10, []),
        ({"lag": timedelta(minutes=11), "waiting": 5}, 10**10, ["outbox"]),
    ],
)
def test_each_fault_has_its_code(changed, free, expected):
    found = Vitals(**{name: getattr(SOUND, name) for name in Vitals.__slots__} | changed)
    judged = faults(found, newest="0009", free=free, production=True)
    assert [fault.code for fault in judged] == expected


# --- metrics --------------------------------------------------------------------------------------


def value(text: str, name: str, **labels: str) -> float:
    """Give the value of a series that has these labels among its own, 0 without one."""
    for line in text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(
            f'{key}="{wanted}"' in line for key, wanted in labels.items()
        ):
            return float(line.rpartition(" ")[2])
    return 0.0


def scrape(client, **more) -> str:
    answer = client.get("/metrics", **more)
    assert answer.status_code == 200
    return answer.text


def test_requests_are_counted_by_route_and_status(client):
    before = scrape(client)
    client.get("/instruments/NO-SUCH-1")
    client.get("/instruments/NO-SUCH-2")
    client.get("/no/such/path")
    after = scrape(client)
    assert "NO-SUCH" not in after
    route = "/instruments/<code>"
    grown = value(after, "yiqi_requests_total", route=route, status="404") - value(
        before, "yiqi_requests_total", route=route, status="404"
    )
    assert grown == 2
    assert value(after, "yiqi_requests_total", route="none", status="404") >= 1
    assert value(after, "yiqi_request_seconds_count", route=route) >= 2


def test_bookings_and_conflicts_are_counted(client):
    with db.transaction() as session:
        code = make_instrument(session).code
        bearer = cast.bearer(session, cast.ada(session))
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    order = {
        "instrument_id": code,
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
    }
    before = scrape(client)
    assert client.post("/api/v1/bookings/dry-run", json=order, headers=bearer).status_code == 200
    assert client.post("/api/v1/bookings", json=order, headers=bearer).status_code == 201
    assert client.post("/api/v1/bookings", json=order, headers=bearer).status_code == 409
    assert client.post("/api/v1/bookings", json={}, headers=bearer).status_code == 422
    after = scrape(client)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    for outcome in ("done", "refused", "invalid"):
        assert grown("yiqi_booking_commands_total", action="place", outcome=outcome) == 1
    assert grown("yiqi_refusals_total", reason="taken") == 1
    assert "ada@example.org" not in after


def test_the_state_of_outbox_and_jobs_is_told(client):
    now = datetime.now(UTC)
    with db.transaction() as session:
        session.add(Event(at=now - timedelta(minutes=2), kind="booking.placed"))
        jobs.succeeded(session, job="deliver", now=now)
        jobs.failed(session, job="prune", error="x", now=now)
    told = scrape(client)
    assert value(told, "yiqi_database_up") == 1
    assert value(told, "yiqi_outbox_waiting") == 1
    assert 119 < value(told, "yiqi_outbox_age_seconds") < 1000
    assert value(told, "yiqi_job_last_success_timestamp_seconds", job="deliver") == pytest.approx(
        now.timestamp(), abs=1
    )
    assert value(told, "yiqi_job_last_failure_timestamp_seconds", job="prune") > 0


def test_without_a_database_it_still_tells_what_it_knows(client, monkeypatch):
    def gone():
        raise db.Unavailable("no route")

    monkeypatch.setattr(db, "reading", gone)
    told = scrape(client)
    assert value(told, "yiqi_database_up") == 0
    assert "yiqi_database_up 0.0" in told
    assert "yiqi_requests_total" in told


@pytest.mark.parametrize(
    ("settings", "address", "headers", "status"),
    [
        ({}, "127.0.0.1", {}, 200),
        ({}, "::1", {}, 200),
        ({}, "203.0.113.9", {}, 403),
        ({}, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ({"proxy_hops": 1}, "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ({"metrics_token": "t-9f2c"}, "127.0.0.1", {}, 403),
        ({"metrics_token": "t-9f2c"}, "203.0.113.9", {"Authorization": "Bearer wrong"}, 403),
        ({"metrics_token": "t-9f2c"}, "203.0.113.9", {"Authorization": "Bearer t-9f2c"}, 200),
    ],
)
def test_figures_are_for_the_token_or_this_machine(make_app, sqlite_url, settings, address, headers, status):
    client = make_app(sqlite_url, **settings).test_client()
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": address}, headers=headers)
    assert answer.status_code == status
