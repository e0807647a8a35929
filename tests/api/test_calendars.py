"""Feeds by the API: as its contract says, and nobody else's."""

from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from booking import db
from booking.domain.access import Scope
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

Headers = dict[str, str]


@pytest.fixture
def app(app: Flask) -> Flask:
    with db.transaction() as session:
        facility = make_facility(session, code="LAB")
        make_instrument(session, facility=facility, code="SEM")
        make_instrument(session, facility=facility, code="XRD")
        make_network(session, facility, code="NET")
        cast.tam(session, facility)
    return app


def headers(name: str, *scopes: Scope) -> Headers:
    with db.transaction() as session:
        return cast.bearer(session, getattr(cast, name)(session), *scopes)


@pytest.fixture
def ada(app: Flask) -> Headers:
    return headers("ada")


def test_a_feed_from_its_making_to_its_end(client: FlaskClient, ada: Headers):
    made = client.post("/api/v1/calendars", json={"scope": "me"}, headers=ada)
    assert made.status_code == 201
    told = made.json
    assert told["url"].startswith("http://127.0.0.1:8000/calendars/")
    assert told["url"].endswith(".ics")
    assert told["webcal_url"] == told["url"].replace("http://", "webcal://")
    assert (told["scope"], told["subject_id"], told["privacy"]) == ("me", None, "summary")
    path = told["url"].removeprefix("http://127.0.0.1:8000")
    assert client.get(path).status_code == 200

    listed = client.get("/api/v1/calendars", headers=ada).json
    assert listed["total"] == 1
    assert listed["items"][0]["id"] == told["id"]
    assert "url" not in listed["items"][0]
    assert told["url"] not in str(listed)

    for _ in range(2):  # revoking again changes nothing
        assert client.delete(f"/api/v1/calendars/{told['id']}", headers=ada).status_code == 204
    assert client.get(path).status_code == 410
    assert client.get("/api/v1/calendars", headers=ada).json["items"] == []


@pytest.mark.parametrize(
    ("who", "body"),
    [
        ("ada", {"scope": "instrument", "id": "SEM", "privacy": "busy"}),
        ("ada", {"scope": "free", "id": "SEM", "locale": "en"}),
        ("tam", {"scope": "facility", "id": "LAB", "privacy": "full"}),
    ],
)
def test_feeds_of_things(client: FlaskClient, app: Flask, who: str, body: dict[str, str]):
    made = client.post("/api/v1/calendars", json=body, headers=headers(who))
    assert made.status_code == 201
    assert made.json["subject_id"] == body["id"]
    assert {name: made.json[name] for name in body.keys() - {"id"}} == {
        name: value for name, value in body.items() if name != "id"
    }


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"scope": "required"}),
        ({"scope": "all"}, {"scope": "unknown"}),
        ({"scope": "me", "id": "SEM"}, {"id": "unknown"}),
        ({"scope": "instrument"}, {"id": "required"}),
        ({"scope": "me", "privacy": "none"}, {"privacy": "unknown"}),
        ({"scope": "me", "locale": "xx"}, {"locale": "unknown"}),
        ({"scope": "me", "person_id": "1"}, {"person_id": "unknown"}),
        ({"scope": "instrument", "id": "\u0000"}, {"id": "control_characters"}),
        ({"scope": "instrument", "id": 7}, {"id": "malformed"}),
        ({"scope": "free"}, {"id": "required"}),
        ({"scope": "instrument", "id": "SEM", "ids": ["SEM"]}, {"ids": "unknown"}),
        ({"scope": "free", "ids": ["SEM"] * 51}, {"ids": "too_many"}),
        ({"scope": "me", "past_days": -1}, {"past_days": "too_small"}),
        ({"scope": "me", "future_days": 0}, {"future_days": "too_small"}),
        ({"scope": "me", "name": "x" * 101}, {"name": "too_long_text"}),
        ({"scope": "me", "pending": "yes"}, {"pending": "malformed"}),
    ],
)
def test_what_makes_no_sense_is_told_by_field(client: FlaskClient, ada: Headers, body, errors):
    answer = client.post("/api/v1/calendars", json=body, headers=ada)
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid"
    assert answer.json["errors"] == errors


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "instrument", "id": "NONE"}, 404),
        ({"scope": "facility", "id": "LAB"}, 403),
        ({"scope": "facility", "id": "NONE"}, 404),
        ({"scope": "project", "id": str(uuid4())}, 404),
        ({"scope": "project", "id": "no-uuid"}, 404),
        ({"scope": "network", "id": "NONE"}, 404),
        ({"scope": "free", "ids": ["SEM", "NONE"]}, 404),
    ],
)
def test_what_one_may_not_have(client: FlaskClient, ada: Headers, body, status):
    assert client.post("/api/v1/calendars", json=body, headers=ada).status_code == status


def test_feeds_of_others_do_not_exist(client: FlaskClient, ada: Headers):
    made = client.post("/api/v1/calendars", json={"scope": "me"}, headers=ada).json
    cleo = headers("cleo")
    assert client.get("/api/v1/calendars", headers=cleo).json["total"] == 0
    for key in (made["id"], str(uuid4())):
        assert client.delete(f"/api/v1/calendars/{key}", headers=cleo).status_code == 404
    path = made["url"].removeprefix("http://127.0.0.1:8000")
    assert client.get(path).status_code == 200


def test_visitors_and_tokens_that_only_read_make_none(client: FlaskClient, app: Flask):
    for sent, status in (({}, 401), (headers("ada", Scope.READ), 403)):
        assert client.get("/api/v1/calendars", headers=sent).status_code == status
        assert client.post("/api/v1/calendars", json={"scope": "me"}, headers=sent).status_code == status
        assert client.delete(f"/api/v1/calendars/{uuid4()}", headers=sent).status_code == status


def test_choices_are_made_changed_and_outlive_a_new_address(client: FlaskClient, ada: Headers):
    wish = {"scope": "free", "ids": ["SEM", "XRD"], "name": "Two", "past_days": 0, "future_days": 60}
    made = client.post("/api/v1/calendars", json=wish | {"cancelled": True, "pending": False}, headers=ada)
    assert made.status_code == 201
    told = made.json
    assert (told["ids"], told["subject_id"]) == (["SEM", "XRD"], None)
    chosen = {"name": "Two", "past_days": 0, "future_days": 60, "cancelled": True, "pending": False}
    assert {name: told[name] for name in chosen} == chosen
    where = f"/api/v1/calendars/{told['id']}"
    changed = client.patch(where, json={"name": "", "past_days": None, "ids": ["XRD"]}, headers=ada).json
    assert (changed["name"], changed["past_days"], changed["subject_id"], changed["ids"]) == (
        "",
        None,
        "XRD",
        [],
    )
    assert changed["future_days"] == 60  # what is left out stays
    assert "url" not in changed
    renewed = client.post(f"{where}/renewal", headers=ada)
    assert renewed.status_code == 201
    assert (renewed.json["future_days"], renewed.json["subject_id"]) == (60, "XRD")
    root = "http://127.0.0.1:8000"
    assert client.get(told["url"].removeprefix(root)).status_code == 410
    assert client.get(renewed.json["url"].removeprefix(root)).status_code == 200
    assert client.post(f"{where}/renewal", headers=ada).status_code == 404


def test_an_address_comes_in_the_forms_that_fit_it(client: FlaskClient, ada: Headers):
    for body, given in (
        ({"scope": "me"}, {"busy_url"}),
        ({"scope": "instrument", "id": "SEM"}, {"busy_url", "atom_url", "rss_url", "json_url"}),
        ({"scope": "network", "id": "NET"}, {"atom_url", "rss_url", "json_url"}),
        ({"scope": "approvals"}, set()),
    ):
        told = client.post("/api/v1/calendars", json=body, headers=ada).json
        urls = {name: told[name] for name in ("busy_url", "atom_url", "rss_url", "json_url")}
        assert {name for name, url in urls.items() if url} == given
        for url in filter(None, urls.values()):
            assert client.get(url.removeprefix("http://127.0.0.1:8000")).status_code == 200


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"future_days": 0}, {"future_days": "too_small"}),
        ({"privacy": None}, {"privacy": "required"}),
        ({"scope": "free"}, {"scope": "unknown"}),
        ({"ids": ["SEM"]}, {"ids": "unknown"}),
    ],
)
def test_a_change_that_makes_no_sense_is_told_by_field(client: FlaskClient, ada: Headers, body, errors):
    made = client.post("/api/v1/calendars", json={"scope": "me"}, headers=ada).json
    answer = client.patch(f"/api/v1/calendars/{made['id']}", json=body, headers=ada)
    assert answer.status_code == 422
    assert answer.json["errors"] == errors


def test_nobody_changes_the_feeds_of_others(client: FlaskClient, ada: Headers):
    made = client.post("/api/v1/calendars", json={"scope": "me"}, headers=ada).json
    cleo, reader = headers("cleo"), headers("ada", Scope.READ)
    where = f"/api/v1/calendars/{made['id']}"
    for sent, status in ((cleo, 404), (reader, 403), ({}, 401)):
        assert client.patch(where, json={"privacy": "full"}, headers=sent).status_code == status
        assert client.post(f"{where}/renewal", headers=sent).status_code == status
    assert client.get("/api/v1/calendars", headers=ada).json["items"][0]["privacy"] == "summary"
