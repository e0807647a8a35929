"""What may be read at the replica is, by PgBouncer in transaction mode, and nobody misses what they wrote."""

import pytest
from flask import url_for
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from booking import db
from booking.domain.access import Scope
from booking.http import replica
from booking.http.replica import COOKIE, HEADER, READS, Replica, place
from booking.services import health
from models import Facility, Instrument, Person
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("province")]
ANSWERED = [READS.labels("replica"), READS.labels("database")]


@pytest.fixture
def app(make_app, servers, province, monkeypatch):
    monkeypatch.setattr(replica, "LOOKED_FOR", -1.0)  # look each time
    monkeypatch.setattr(replica, "SHUNNED", -1.0)
    url = province.pop("database_url")
    yield make_app(url, **province)
    servers.resume()


@pytest.fixture
def world(app, servers):
    """A fresh facility, and the tokens of Ada: one that may book, one that only reads."""
    with db.transaction() as session:
        ada = session.scalar(select(Person).where(Person.email == "ada@example.org"))
        known = ada is not None
        facility = make_facility(session)
        code = make_instrument(session, facility=facility).code
        if not known:
            ada = cast.ada(session)
            cast.bearer(session, ada)
            cast.bearer(session, ada, Scope.READ)
    servers.catch_up()
    return app.test_client(), code


BOOKS = {"Authorization": "Bearer yiqi_test-ada-all"}
READS_ONLY = {"Authorization": "Bearer yiqi_test-ada-read"}


def answered() -> tuple[int, int]:
    """How many were answered by the replica and by the database."""
    return tuple(int(counter._value.get()) for counter in ANSWERED)


def by(get, *args, **given) -> tuple[str, object]:
    """Ask, and tell who answered."""
    before = answered()
    answer = get(*args, **given)
    after = answered()
    assert answer.status_code == 200, answer.text
    return {(1, 0): "replica", (0, 1): "database"}[after[0] - before[0], after[1] - before[1]], answer


def book(client, code, hour: int):
    span = {"start": f"2031-03-03T{hour:02}:00:00+08:00", "end": f"2031-03-03T{hour + 1:02}:00:00+08:00"}
    answer = client.post("/api/v1/bookings", json={"instrument_id": code, **span}, headers=BOOKS)
    assert answer.status_code == 201, answer.text
    return answer


def week(client, code, headers):
    path = f"/api/v1/instruments/{code}/occupations?from=2031-03-01T00:00:00Z&to=2031-03-08T00:00:00Z"
    who, answer = by(client.get, path, headers=headers)
    return who, len(answer.json["occupations"])


def test_visitors_and_tokens_that_only_read_are_answered_by_the_replica(world):
    client, code = world
    assert by(client.get, "/api/v1/instruments")[0] == "replica"
    assert by(client.get, f"/instruments/{code}")[0] == "replica"
    assert week(client, code, READS_ONLY) == ("replica", 0)
    assert week(client, code, BOOKS) == ("database", 0)


def test_programs_see_what_they_wrote_while_the_replica_is_behind(world, servers):
    client, code = world
    servers.pause()
    seen = {HEADER: book(client, code, 9).headers[HEADER]}
    assert week(client, code, READS_ONLY) == ("replica", 0)
    assert week(client, code, READS_ONLY | seen) == ("database", 1)
    assert week(client, code, BOOKS | seen) == ("database", 1)
    servers.resume()
    servers.catch_up()
    assert week(client, code, BOOKS | seen) == ("replica", 1)


def test_browsers_keep_the_place_in_a_cookie(world, servers):
    client, code = world
    with db.transaction() as session:
        cast.sign_in(client, session, session.scalar(select(Person).where(Person.email == "ada@example.org")))
    servers.catch_up()
    assert by(client.get, f"/instruments/{code}")[0] == "replica"
    servers.pause()
    token = client.get("/account").text.partition('name="csrf_token" value="')[2].partition('"')[0]
    changed = client.post(f"/instruments/{code}/favourite", data={"csrf_token": token, "back": ""})
    assert changed.status_code < 400, changed.text
    [cookie] = [one for one in changed.headers.getlist("Set-Cookie") if one.startswith(COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert by(client.get, f"/instruments/{code}")[0] == "database"
    servers.resume()
    servers.catch_up()
    assert by(client.get, f"/instruments/{code}")[0] == "replica"


def address(client, code: str) -> str:
    """Subscribe to the instrument, and give the feed's path."""
    wanted = {"scope": "instrument", "id": code}
    made = client.post("/api/v1/calendars", json=wanted, headers=BOOKS)
    assert made.status_code == 201, made.text
    return made.json["url"].partition("/calendars/")[2].removesuffix(".ics")


# Files, photos and logos are read as pages are, once somebody has put them there.
NEED_FILES = {"web.file", "web.photo", "web.network_logo", "api-instrument-files.one", "web.screen"}


def test_whatever_is_read_at_the_replica_writes_nothing_there(app, world, servers):
    client, code = world
    with db.transaction() as session:
        root = cast.root(session)
        facility = session.scalar(select(Facility).join(Instrument).where(Instrument.code == code))
        place, network = facility.code, make_network(session, facility).code
        cast.sign_in(client, session, root)
    token = address(client, code)
    client.delete_cookie(COOKIE)
    servers.catch_up()
    window = {"from": "2031-03-01T00:00:00Z", "to": "2031-03-08T00:00:00Z"}
    days = {"from": "2031-03-01", "to": "2031-03-08"}
    asks = {
        "api-availability.find": window | {"duration": "PT1H"},
        "api-availability.free": window,
        "api-availability.of_instrument": window,
        "api-availability.of_facility": window,
        "api-utilisation.of_facility": days,
        "api-utilisation.of_instrument": days,
    }
    given = {
        "api-facilities.one": {"facility_id": place},
        "api-availability.of_facility": {"facility_id": place},
        "api-utilisation.of_facility": {"facility_id": place},
        "api-networks.one": {"network_id": network},
        "web.network": {"code": network},
    }
    refused = {}
    for endpoint in sorted(replica.ENDPOINTS - NEED_FILES):
        [rule] = [one for one in app.url_map.iter_rules(endpoint) if "GET" in one.methods]
        known = {"code": place if "facilit" in rule.rule else code, "instrument_id": code, "token": token}
        known |= {"kind": "csv"} | given.get(endpoint, {})
        with app.test_request_context():
            path = url_for(endpoint, **{name: known[name] for name in rule.arguments})
        asked = asks.get(endpoint, {})
        before = answered()
        answer = client.get(path, query_string=asked)
        after = answered()
        if answer.status_code != 200 or after[0] - before[0] != 1:
            refused[path] = answer.status_code, after[0] - before[0], answer.data[:300]
    assert refused == {}


def test_one_that_is_behind_is_not_read_and_the_server_says_so(app, world, servers, monkeypatch):
    client, code = world
    known: Replica = app.extensions["yiqi_replica"]
    assert client.get("/readyz").json["replica"] == "ok"
    monkeypatch.setattr(known, "most_behind", -1.0)
    assert week(client, code, READS_ONLY)[0] == "database"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["faults"]) == (200, [])
    assert ready.json["replica"].endswith("s behind")
    assert "yiqi_replica_up 0.0" in client.get("/metrics").text


def test_one_that_is_away_or_none_leaves_everything_to_the_database(app, world, servers):
    client, code = world
    known: Replica = app.extensions["yiqi_replica"]
    for url, why in ((servers.url, "the server is no replica"), (GONE, "refused")):
        known.engine = db.another(url, pooled=True)
        assert week(client, code, READS_ONLY)[0] == "database"
        assert why in known.fault


GONE = "postgresql://yiqi@127.0.0.1:9/nothing"


def test_a_replica_that_dies_in_the_midst_of_an_answer_is_nobodys_fault(app, world, monkeypatch):
    client, code = world
    known: Replica = app.extensions["yiqi_replica"]
    monkeypatch.setattr(known, "serves", lambda _seen: True)
    known.engine = db.another(GONE)
    assert week(client, code, READS_ONLY)[0] == "database"


def test_the_limits_of_the_role_hold_behind_the_pooler(app, servers):
    with db.rehearsal() as session:
        found = health.vitals(session, newest=db.newest_migration(), now=cast.JOINED)
    assert found.loose == ()
    bare = servers.primary.url("postgres")
    engine = db.another(bare, pooled=True)
    with db.elsewhere(engine), db.reading() as session:
        missing = health._loose(session)
    assert {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} <= set(missing)
    said = health.faults(
        replaced(found, missing), newest=db.newest_migration(), free=10**12, production=False, pooled=True
    )
    assert [fault.code for fault in said if fault.code == "role"] == ["role"]


def test_what_cannot_be_done_for_now_is_told_so(app, province):
    """Writing to a server that is not yet promoted, and waiting for a connection in vain."""
    behind = db.another(province["read_database_url"], pooled=True)
    with (
        pytest.raises(db.Unavailable, match="read-only"),
        db._known_faults(),
        behind.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
    with pytest.raises(db.Unavailable), db._known_faults():
        raise PoolTimeout


def replaced(found: health.Vitals, missing: tuple[str, ...]) -> health.Vitals:
    return health.Vitals(
        found.revision, found.lacking, "", found.waiting, found.lag, durable=True, loose=missing
    )


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("0/0", 0),
        ("1/0", 1 << 32),
        ("16/B374D848", 0x16B374D848),
        ("", None),
        (None, None),
        ("1/0/0", None),
        ("-1/0", None),
        ("١/0", None),
        ("1" * 9 + "/0", None),
    ],
)
def test_a_place_in_the_log(raw, number):
    assert place(raw) == number


def test_every_view_that_a_replica_may_answer_exists_and_reads(app):
    reads = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or set())}
    assert reads >= replica.ENDPOINTS
