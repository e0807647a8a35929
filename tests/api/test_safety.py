"""Tokens, cookies, forged requests, and fields that nobody may set."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

import models
from booking.db import transaction
from models import Base, Person
from tests import cast
from tests.api.conftest import World, at
from tests.servers import ROOT

WISH = {"instrument_id": "SEM", "start": at(9), "end": at(10)}
COLUMNS = sorted({column.name for table in Base.metadata.tables.values() for column in table.columns})


def signed_in(world: World, email: str = "ada@example.org"):
    """A browser with a session."""
    client = world.app.test_client()
    with transaction() as session:
        person = session.scalars(select(Person).where(Person.email == email)).one()
        cast.sign_in(client, session, person)
    return client


def csrf_token(world: World, client) -> str:
    """The token that the session's pages carry."""
    from flask_wtf.csrf import generate_csrf

    with client.session_transaction() as cookie:
        kept = dict(cookie)
    with world.app.test_request_context():
        from flask import session as flask_session

        flask_session.update(kept)
        token = generate_csrf()
        kept = dict(flask_session)
    with client.session_transaction() as cookie:
        cookie.update(kept)
    return token


# --- who is asking ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/bookings"),
        ("POST", "/bookings/dry-run"),
        ("GET", "/bookings"),
        ("GET", "/me"),
        ("PATCH", "/bookings/6265c0fb-e33b-4529-a4b3-0ae5bf41c93a"),
    ],
)
def test_visitors_are_asked_to_sign_in(world: World, method, path):
    answer = world.ask(method, path, who=None, json={} if method != "GET" else None)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorised")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["Bearer nonsense", "Bearer ", "bearer yiqi_test-ada-al", "Bearer \xff"])
def test_a_wrong_token_is_nobodys_even_where_all_may_read(world: World, value):
    for path in ("/me", "/instruments"):
        answer = world.get(path, who=None, headers={"Authorization": value})
        assert (answer.status_code, answer.json["code"]) == (401, "unauthorised"), path


def test_a_token_does_what_its_scope_allows(world: World):
    assert world.get("/me", who="reader").status_code == 200
    assert world.get("/instruments", who="reader").status_code == 200
    refused = world.post("/bookings", json=WISH, who="reader")
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    booking = world.book()
    url = f"/bookings/{booking['id']}"
    assert world.get(url, who="reader").status_code == 200
    assert world.patch(url, json={}, headers={"If-Match": '"1"'}, who="reader").status_code == 403
    assert world.post(f"{url}/cancellation", who="reader").status_code == 403


# --- forged requests ----------------------------------------------------------------------------


def test_a_cookie_alone_writes_nothing(world: World):
    client = signed_in(world)
    assert client.get("/api/v1/me").status_code == 200
    for method, path in (("POST", "/bookings"), ("POST", "/bookings/dry-run"), ("POST", "/calendars")):
        answer = client.open(f"/api/v1{path}", method=method, json=WISH)
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), path
        assert answer.json["code"] == "csrf"
    assert client.get("/api/v1/bookings").json["total"] == 0


def test_a_cookie_with_the_pages_token_writes(world: World):
    client = signed_in(world)
    token = csrf_token(world, client)
    answer = client.post("/api/v1/bookings", json=WISH, headers={"X-CSRFToken": token})
    assert answer.status_code == 201
    forged = client.post("/api/v1/bookings", json=WISH, headers={"X-CSRFToken": token[:-1]})
    assert forged.status_code == 400


def test_a_form_of_another_site_writes_nothing(world: World):
    client = signed_in(world)
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = client.post(
            "/api/v1/bookings",
            data=str(WISH).replace("'", '"'),
            content_type=kind,
            headers={"X-CSRFToken": csrf_token(world, client)},
        )
        assert answer.status_code == 415, kind
    assert client.get("/api/v1/bookings").json["total"] == 0


def test_a_bearer_token_beside_a_cookie_is_who_asks(world: World):
    client = signed_in(world)
    headers = {"Authorization": f"Bearer {world.tokens['cleo']}"}
    assert client.get("/api/v1/me", headers=headers).json["name"] == "Cleo"
    assert client.post("/api/v1/bookings", json=WISH, headers=headers).status_code == 201


def test_other_sites_are_given_no_answer_to_read(world: World):
    answer = world.get("/instruments", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name[0].lower().startswith("access-control")]


# --- fields that nobody may set -----------------------------------------------------------------

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())


def accepted() -> dict[str, set[str]]:
    """The fields of every body that is posted, as the document of the API promises them."""
    found = {}
    for path, operations in DOCUMENT["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" in content:
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            found[path.removeprefix("/api/v1")] = set(DOCUMENT["components"]["schemas"][name]["properties"])
    return found


ACCEPTED = accepted()


@pytest.mark.parametrize("path", ACCEPTED)
def test_no_column_is_set_but_those_of_the_contract(world: World, path):
    booking = world.book()
    before = world.get(f"/bookings/{booking['id']}").json
    unknown = sorted(set(COLUMNS) - ACCEPTED[path])
    concrete = re.sub(r"\{(facility|qualification)_id\}", "LAB", path)
    concrete = re.sub(r"\{\w+\}", booking["id"], concrete)
    for some in (
        unknown[n : n + 20] for n in range(0, len(unknown), 20)
    ):  # an answer names no more than it must
        answer = world.post(concrete, json=dict.fromkeys(some, 1), who="root")
        assert answer.status_code == 422
        assert {name for name, code in answer.json["errors"].items() if code == "unknown"} >= set(some)
    assert world.get(f"/bookings/{booking['id']}").json == before


def test_a_change_sets_no_column_but_those_of_the_contract(world: World):
    booking = world.book()
    for name in set(COLUMNS) - {"instrument_id", "quantity", "purpose", "confidential"}:
        answer = world.patch(
            f"/bookings/{booking['id']}", json={name: 1}, headers={"If-Match": '"1"'}, who="root"
        )
        assert (answer.status_code, answer.json["errors"].get(name)) == (422, "unknown"), name
    assert world.get(f"/bookings/{booking['id']}").json == booking


def test_every_write_of_the_api_is_tried(world: World):
    routes = {
        re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1"))
        for rule in world.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1") and "POST" in rule.methods
    }
    bodiless = {path for path in routes if f"/api/v1{path}" in DOCUMENT["paths"]} - set(ACCEPTED)
    assert routes - bodiless == set(ACCEPTED)
    # They take a file, the last nothing.
    assert bodiless == {
        *("/bookings/{booking_id}/papers", "/series/{series_id}/papers", "/working-days/sheet"),
        "/instruments/{instrument_id}/files",
        "/notices/{notice_id}/reading",
    }
    assert models.Booking.__table__.c.person_id.name in COLUMNS


def test_bodies_of_other_threads_are_never_read(world: World):
    def ask(number: int) -> tuple[int, set[str]]:
        field = f"canary_{number}"
        return number, set(world.post("/bookings/dry-run", json={field: number, **WISH}).json["errors"])

    with ThreadPoolExecutor(32) as pool:
        for number, named in pool.map(ask, range(320)):
            assert named == {f"canary_{number}"}


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/instruments", "/me", "/bookings/none", "/nothing"])
def test_answers_are_private_and_plain(world: World, path):
    answer = world.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith(("application/json", "application/problem+json"))
    assert answer.headers["X-Request-ID"]


def test_text_that_could_be_a_page_stays_json(world: World):
    booking = world.book(purpose="<script>alert(1)</script>")
    answer = world.get(f"/bookings/{booking['id']}")
    assert answer.mimetype == "application/json"
