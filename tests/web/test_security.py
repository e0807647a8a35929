"""What holds for every route: guards, headers, forged requests, logs, limits."""

import json
import logging
import re
from uuid import uuid4

import pytest
from sqlalchemy import text
from werkzeug.exceptions import HTTPException

from booking import db
from booking.app import NotReady, create_app
from booking.domain import access
from booking.domain.lifecycle import Action, State, WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.gateways.logs import JsonLines
from booking.http import problems
from booking.http.context import local_path
from booking.http.guard import OPEN, guards, needs, open_to_all
from booking.http.identity import actor
from booking.http.limits import network
from booking.services import alternatives
from booking.services.bookings import KeyReused, Stale
from models import Person
from models.guards import CAPACITY
from tests import cast
from tests.web.browsing import csrf_token, send, sign_in

UNGUARDED = {"static"}


def examples(rule) -> str:
    """An address that the rule matches."""
    values = {
        "uuid": str(uuid4()),
        "int": "1",
        "path": "nothing.css",
        "default": "nothing",
        "code": "NOTHING",
    }

    def fill(found: re.Match[str]) -> str:
        kind = re.match(r"(?:(\w+)(?:\(.*\))?:)?\w+$", found[1])[1]
        return values[kind or "default"]

    return re.sub(r"<([^>]+)>", fill, rule.rule)


def routes(app) -> list[tuple[str, str]]:
    found = set()
    for rule in app.url_map.iter_rules():
        found |= {(method, examples(rule)) for method in rule.methods - {"HEAD", "OPTIONS"}}
    return sorted(found)


# --- guards ---------------------------------------------------------------------------------------


def test_every_route_says_who_may_come_in(app):
    missing = [
        (endpoint, method)
        for endpoint, method, guard in guards(app)
        if endpoint not in UNGUARDED and guard != OPEN and guard not in access.RULES
    ]
    assert missing == []


def test_addresses_are_kebab_case(app):
    for rule in app.url_map.iter_rules():
        fixed = re.sub(r"<[^>]+>", "", rule.rule)
        assert re.fullmatch(r"[a-z0-9/.-]*", fixed), rule.rule


def test_a_route_without_a_guard_is_noticed(app_of_its_own):
    app_of_its_own.add_url_rule("/forgotten", "forgotten", lambda: "")
    assert ("forgotten", "GET", None) in set(guards(app_of_its_own))


def test_a_guard_names_an_action_that_there_is():
    with pytest.raises(KeyError):
        needs("booking.steal")


def body(path: str) -> dict[str, object]:
    """Something of the type that is taken there."""
    return {"data": b"%PDF-", "content_type": "application/pdf"} if path.endswith("/papers") else {"json": {}}


def test_visitors_come_in_by_open_doors_only(app):
    client = app.test_client()
    for endpoint, method, guard in guards(app):
        if endpoint in UNGUARDED or guard == OPEN or access.could(access.VISITOR, guard):
            continue
        rule = next(found for found in app.url_map.iter_rules(endpoint) if method in found.methods)
        path = examples(rule)
        if method == "GET":
            answer = client.get(path)
        else:
            fields = body(path) if path.startswith("/api/") else {"data": {"csrf_token": csrf_token(client)}}
            answer = client.open(path, method=method, **fields)
        expected = 401 if path.startswith(("/api/", "/caldav/")) else 303
        assert answer.status_code == expected, (method, path, answer.status_code)


# --- headers --------------------------------------------------------------------------------------


def assert_headers(response):
    policy = response.headers["Content-Security-Policy"]
    assert "http" not in policy
    for word in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert word in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert response.headers["Permissions-Policy"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", response.headers["X-Request-ID"])


def test_every_route_and_every_error_has_the_headers(app):
    client = app.test_client()
    for method, path in routes(app):
        for given in (method, "TRACE", "PATCH"):
            assert_headers(client.open(path, method=given))
    for path in ("/nothing", "/api/v1/nothing", "/static/nothing.css", "/?a=%00", "//", "/static/../wsgi.py"):
        assert_headers(client.get(path))


def test_no_page_has_what_its_policy_forbids(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.root(session))
    for method, path in routes(app):
        if method != "GET":
            continue
        page = client.get(path)
        if page.mimetype != "text/html":
            continue
        assert not re.search(
            r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:", page.text
        ), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text), path


def test_in_production_cookies_and_transport_are_strict(make_app, sqlite_url):
    app = make_app(sqlite_url, production=True, public_url="https://yiqi.example", secret_key="k" * 40)
    client = app.test_client()
    page = client.get("/sign-in", base_url="https://yiqi.example")
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-yiqi=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    assert "Domain" not in cookie
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    answer = client.post(
        "/locale",
        data={"csrf_token": token, "locale": "en", "next": "/"},
        base_url="https://yiqi.example",
        headers={"Referer": "https://yiqi.example/sign-in"},
    )
    assert "yiqi_locale=en" in answer.headers["Set-Cookie"]
    assert "Secure" in answer.headers["Set-Cookie"]
    assert (
        client.post(
            "/locale",
            data={"csrf_token": token, "locale": "en", "next": "/"},
            base_url="https://yiqi.example",
            headers={"Referer": "https://evil.example/"},
        ).status_code
        == 400
    )


def test_what_depends_on_the_reader_is_not_kept(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.ada(session))
        header = cast.bearer(session, cast.ada(session))
    page = client.get("/account")
    assert page.headers["Cache-Control"] == "no-store"
    assert "Cookie" in page.headers["Vary"]
    me = app.test_client().get("/api/v1/me", headers=header)
    assert "no-store" in me.headers["Cache-Control"] or "private" in me.headers["Cache-Control"]
    assert "Authorization" in me.headers["Vary"]


def test_static_files_vary_by_nothing(client):
    answer = client.get("/static/css/base.css")
    assert answer.status_code == 200
    assert "Vary" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    answer.close()


# --- forged requests ------------------------------------------------------------------------------


def test_every_write_by_cookie_needs_the_sessions_token(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.root(session))
    tried = 0
    for method, path in routes(app):
        if method == "GET" or path == "/.well-known/caldav":
            continue
        tried += 1
        # Calendar programs send a password with each request: there a cookie is nobody's.
        refused = 401 if path.startswith("/caldav/") else 400
        for answer in (
            client.open(path, method=method, **body(path)),
            client.open(path, method=method, **body(path), headers={"X-CSRFToken": "made up"}),
            client.open(path, method=method),
        ):
            assert answer.status_code == refused, (method, path)
        if not path.startswith("/api/"):
            assert client.open(path, method=method, data={"csrf_token": "x"}).status_code == refused
    assert tried > 20


def test_the_api_takes_the_token_in_a_header(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.ada(session))
    token = csrf_token(client)
    answer = client.post("/api/v1/bookings", json={}, headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_the_api_reads_no_forms(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.ada(session))
        header = cast.bearer(session, cast.ada(session))
    token = csrf_token(client)
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):
        for sent in ({"X-CSRFToken": token}, header):
            answer = client.post("/api/v1/bookings", data=b'{"a":1}', content_type=kind, headers=sent)
            assert answer.status_code == 415, kind
        visitor = app.test_client().post("/api/v1/bookings", data=b'{"a":1}', content_type=kind)
        assert visitor.status_code == 401, kind  # who may not come in learns nothing of what is taken


def test_a_token_counts_alone_and_an_unknown_one_for_nothing(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.root(session))
        header = cast.bearer(session, cast.ada(session))
    assert client.get("/api/v1/me", headers=header).json["email"] == "ada@example.org"
    for wrong in ("yiqi_unknown", "", "  ", "\u00ff", "a b"):
        answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {wrong}"})
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (
            client.post("/api/v1/bookings", json={}, headers={"Authorization": "Bearer x"}).status_code == 401
        )
    basic = {"Authorization": "Basic YWRhOmFkYQ=="}
    assert app.test_client().get("/api/v1/me", headers=basic).status_code == 401


def test_a_scope_that_was_not_given_is_refused(app):
    with db.transaction() as session:
        reader = cast.bearer(session, cast.ada(session), access.Scope.READ)
    client = app.test_client()
    assert client.get("/api/v1/bookings", headers=reader).status_code == 200
    answer = client.post("/api/v1/bookings", json={}, headers=reader)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_reading_changes_nothing(app):
    with db.transaction() as session:
        client = app.test_client()
        cast.sign_in(client, session, cast.root(session))

    def everything() -> dict[str, list[tuple[object, ...]]]:
        with db.engine().connect() as connection:
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
            return {
                name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"'))))  # noqa: S608
                for name in names.all()
            }

    before = everything()
    for method, path in routes(app):
        if method == "GET":
            client.get(path).close()
    assert everything() == before


# --- bodies ---------------------------------------------------------------------------------------


@pytest.fixture
def as_ada(app):
    with db.transaction() as session:
        header = cast.bearer(session, cast.ada(session))
    return app.test_client(), header


def test_large_deep_and_many_parted_bodies_are_refused(as_ada):
    client, header = as_ada
    large = client.post(
        "/api/v1/bookings", data=b" " * 20_000_000, content_type="application/json", headers=header
    )
    assert large.status_code == 413
    deep = client.post(
        "/api/v1/bookings", data=b"[" * 100_000, content_type="application/json", headers=header
    )
    assert deep.status_code in {400, 422}
    boundary = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    parts = client.post(
        "/sign-in", data=boundary * 10_000 + b"--x--", content_type="multipart/form-data; boundary=x"
    )
    assert parts.status_code == 413
    assert_headers(parts)


@pytest.mark.parametrize("query", ["a=%00", "%00=b", "q=x%00"])
def test_nul_characters_are_refused_in_addresses(client, query):
    assert client.get(f"/sign-in?{query}").status_code == 400
    assert client.get("/sign-in%00").status_code == 400


def test_nul_characters_are_refused_in_forms(client):
    assert send(client, "/sign-in", email="a\x00@example.org", password="x").status_code == 422


# --- problems -------------------------------------------------------------------------------------


@pytest.fixture
def failing(app_of_its_own):
    """The application with a route that raises what a test puts there."""
    app, box = app_of_its_own, {}

    def fail():
        raise box["error"]

    for path in ("/fail", "/api/fail"):
        app.add_url_rule(path, path, open_to_all(fail), methods=["GET", "POST"])

    def ask(error, path="/api/fail", **given):
        box["error"] = error
        return app.test_client().get(path, **given)

    return ask


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (access.Forbidden("booking.see"), 403, "forbidden"),
        (access.Forbidden("booking.see", sign_in=True), 401, "unauthorised"),
        (access.NotFound("booking", 1), 404, "not_found"),
        (Refused([Reason("not_bookable", {"instrument": "SEM"})]), 409, "refused"),
        (WrongMove(State.ENDED, Action.CANCEL), 409, "refused"),
        (Invalid({"start": "naive"}), 422, "invalid"),
        (Stale(3), 412, "stale"),
        (KeyReused(), 422, "invalid"),
        (db.Unavailable("locked"), 503, "unavailable"),
        (problems.TooMany(7), 429, "too_many"),
        (RecursionError(), 400, "bad_request"),
    ],
)
def test_every_exception_has_its_answer(failing, error, status, code):
    answer = failing(error)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    body = answer.json
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:yiqi:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert ("alternatives" in body) == (code == "refused")
    page = failing(error, "/fail", headers={"Accept": "text/html"})
    assert page.status_code == (303 if status == 401 else status)
    wants_json = failing(error, "/fail", headers={"Accept": "application/json"})
    assert wants_json.mimetype == "application/problem+json"


def test_refusals_tell_all(failing):
    reasons = [Reason("taken", {"instrument": "SEM", "asked": 1, "free": 0, "units": 1}), Reason("past", {})]
    reasons[1] = Reason("not_bookable", {"instrument": "SEM"}, overridable=True)
    body = failing(Refused(reasons), headers={"Accept-Language": "en"}).json
    assert [reason["code"] for reason in body["reasons"]] == ["taken", "not_bookable"]
    assert [reason["overridable"] for reason in body["reasons"]] == [False, True]
    assert body["reasons"][0]["params"]["free"] == 0
    assert all(reason["message"] for reason in body["reasons"])
    assert body["alternatives"] == []


def test_a_refusal_stands_when_no_alternatives_can_be_found(failing, monkeypatch, caplog):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(alternatives, "find", broken)
    answer = failing(Refused([Reason("not_bookable", {"instrument": "SEM"})], items=[object()]))
    assert (answer.status_code, answer.json["alternatives"]) == (409, [])
    assert "no alternatives" in caplog.text


def test_unavailability_and_limits_say_when_to_come_again(failing):
    assert failing(db.Unavailable("locked")).headers["Retry-After"] == "5"
    assert failing(problems.TooMany(7)).headers["Retry-After"] == "7"


def test_the_unexpected_tells_nothing_and_is_logged(app_of_its_own, failing, caplog):
    app_of_its_own.testing = False
    secret = f"detail-{uuid4()}"
    for path in ("/api/fail", "/fail"):
        answer = failing(RuntimeError(secret), path)
        assert answer.status_code == 500
        assert secret not in answer.text
        assert answer.headers["X-Request-ID"] in answer.text
        assert_headers(answer)
    assert secret in caplog.text


def test_other_errors_keep_their_status(client):
    answer = client.open("/api/v1/bookings", method="PUT")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_a_page_that_cannot_be_drawn_is_still_an_answer(failing, monkeypatch):
    def broken(*_args, **_kwargs):
        raise HTTPException

    monkeypatch.setattr(problems, "render_template", broken)
    answer = failing(Invalid({"<b>": "unknown"}), "/fail")
    assert answer.status_code == 422
    assert "<b>" not in answer.text
    assert_headers(answer)


def test_errors_of_schemas_become_one_code_a_field():
    found = problems.field_errors(
        {
            "json": {
                "start": ["Missing data for required field."],
                "role": ["Unknown field."],
                "items": {"0": {"end": ["naive"]}, "_schema": ["out_of_range"]},
                "purpose": ["Longer than maximum length 4000."],
            },
            "query": {"page": ["too_small", "other"]},
        }
    )
    assert found == {
        "start": "required",
        "role": "unknown",
        "items.0.end": "naive",
        "items": "out_of_range",
        "purpose": "malformed",
        "page": "too_small",
    }


# --- logs -----------------------------------------------------------------------------------------


@pytest.fixture
def lines(caplog):
    """The JSON lines of what was logged."""
    caplog.set_level(logging.DEBUG)

    def read() -> list[str]:
        return [JsonLines().format(record) for record in caplog.records]

    return read


def test_no_secret_is_logged(app, lines):
    client = app.test_client()
    with db.transaction() as session:
        header = cast.bearer(session, cast.ada(session))
    password = "a canary of a password"
    feed, link = "canaryfeed", "canarylink"
    sign_in(client, "ada@example.org", password)
    sign_in(client, "ada@example.org", cast.PASSWORD)
    client.get(f"/calendars/{feed}.ics")
    client.get(f"/calendars/{feed}")
    client.get(f"/password-resets/{uuid4()}/{link}")
    client.get(f"/confirmations/{uuid4()}/{link}")
    client.get("/api/v1/me", headers=header)
    client.get("/api/v1/me", headers={"Authorization": "Bearer yiqi_canarytoken"})
    client.get(f"/nothing/{header['Authorization'].split()[1]}")
    everything = "\n".join(lines())
    assert '"path"' in everything
    for secret in (password, cast.PASSWORD, feed, link, "canarytoken", header["Authorization"].split()[1]):
        assert secret not in everything
    with client.session_transaction() as cookie:
        assert cookie["_user_id"] not in everything


def test_faults_of_the_database_are_logged_without_their_values(app_on_both, caplog):
    canary = f"canary-{uuid4()}@example.org"

    def collide():
        with db.transaction() as session:
            for _ in range(2):
                session.add(Person(email=canary, name="Ada", password_hash=canary, created_at=cast.JOINED))
            session.flush()

    app_on_both.add_url_rule("/collide", "collide", open_to_all(collide))
    app_on_both.testing = False
    assert app_on_both.test_client().get("/collide").status_code == 500
    told = "\n".join(JsonLines().format(record) for record in caplog.records)
    assert "IntegrityError" in told
    assert canary not in told


def test_nobody_writes_a_line_of_the_log(app, lines):
    forged = '\n{"level": "CRITICAL", "message": "forged"}\u2028'
    app.test_client().get("/nothing" + forged, headers={"User-Agent": "x"})
    sign_in(app.test_client(), forged, forged)
    for line in lines():
        assert line.isascii()
        assert "\n" not in line
        assert json.loads(line)["level"] != "CRITICAL"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123.DEF_456", True),
        ("short", False),
        ("x" * 65, False),
        ("with space 12345", False),
        ("<script>alert(1)</script>", False),
    ],
)
def test_a_requests_id_is_kept_if_it_is_one(client, given, kept):
    answer = client.get("/sign-in", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_what_matters_to_the_watch_is_logged(app, lines):
    sign_in(app.test_client(), "nobody@example.org", "wrong")
    app.test_client().get("/people")
    told = [json.loads(line)["message"] for line in lines() if '"booking.security"' in line]
    assert told == ["sign_in_failed", "refused"]


# --- where from -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hops", "sent", "seen"),
    [
        (0, "198.51.100.1", "127.0.0.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 192.0.2.1", "198.51.100.1"),
        (2, "198.51.100.1", "127.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_where_from(make_app, sqlite_url, hops, sent, seen):
    app = make_app(sqlite_url, proxy_hops=hops)
    app.add_url_rule("/where", "where", open_to_all(network))
    assert app.test_client().get("/where", headers={"X-Forwarded-For": sent}).text == seen


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_customer_counts_as_one(app, address, seen):
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert network() == seen


def test_the_api_is_limited_by_person_and_by_network(make_app, sqlite_url):
    app = make_app(sqlite_url, requests_per_minute=5)
    with db.transaction() as session:
        ada, ben = cast.bearer(session, cast.ada(session)), cast.bearer(session, cast.ben(session))
    client = app.test_client()

    def until_refused(header) -> int:
        """How many requests went well; a new minute may begin on the way."""
        for number in range(20):
            answer = client.get("/api/v1/bookings", headers=header)
            if answer.status_code == 429:
                assert 1 <= int(answer.headers["Retry-After"]) <= 61
                assert answer.json["code"] == "too_many"
                return number
        return 20

    for header in (ada, ben, {"Authorization": "Bearer yiqi_unknown"}):
        assert 5 <= until_refused(header) <= 10
    assert client.get("/sign-in").status_code == 200


# --- starting -------------------------------------------------------------------------------------


def test_the_server_refuses_a_database_without_its_tables(make_settings, tmp_path):
    with pytest.raises(NotReady, match="yiqi setup"):
        create_app(make_settings(f"sqlite:///{tmp_path / 'empty.sqlite3'}"))
    db.dispose()


def test_the_server_refuses_a_database_without_its_guards(make_settings, database_url):
    engine = db.make_engine(database_url)
    with engine.execution_options(write=True).begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"DROP TRIGGER {CAPACITY}_insert")
        else:
            connection.exec_driver_sql("DROP FUNCTION occupation_lock() CASCADE")
    engine.dispose()
    with pytest.raises(NotReady, match="occupation_"):
        create_app(make_settings(database_url))
    db.dispose()


def test_the_server_refuses_an_older_database(make_settings, database_url):
    engine = db.make_engine(database_url)
    with engine.execution_options(write=True).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    engine.dispose()
    with pytest.raises(NotReady, match="0000"):
        create_app(make_settings(database_url))
    db.dispose()


def test_old_keys_keep_sessions_alive(make_app, make_settings, sqlite_url):
    app = make_app(sqlite_url, secret_key="old-" * 10)
    client = app.test_client()
    with db.transaction() as session:
        cast.sign_in(client, session, cast.ada(session))
    cookie = client.get_cookie("yiqi").value
    newer = make_app(sqlite_url, secret_key="new-" * 10, secret_key_fallbacks="other, " + "old-" * 10)
    client = newer.test_client()
    client.set_cookie("yiqi", cookie)
    assert client.get("/account").status_code == 200
    without = make_app(sqlite_url, secret_key="new-" * 10)
    client = without.test_client()
    client.set_cookie("yiqi", cookie)
    assert client.get("/account").status_code == 303


def test_nothing_is_asked_of_the_database_for_visitors(app, monkeypatch):
    def untouched():
        raise AssertionError

    monkeypatch.setattr("booking.http.identity.reading_newest", untouched)
    with app.test_request_context("/"):
        assert actor() is access.VISITOR


def test_local_paths_are_told_from_others():
    assert local_path("/a?b=c#d") == "/a?b=c#d"
    assert local_path("//a") == "/"
    assert local_path(None, "/home") == "/home"
