"""Whatever goes wrong is told in the one shape, in the reader's language, and tells no secret."""

from datetime import timedelta

import pytest

from booking import db
from booking.http import limits
from booking.http.identity import utc_now
from booking.services import bookings
from booking.services.rate_limits import TooMany
from tests.api.conftest import World, at, populate

WISH = {"instrument_id": "SEM", "start": at(9), "end": at(10)}
ALWAYS = {"type", "title", "status", "code", "detail", "request_id"}


def test_a_database_that_is_away_is_told_to_come_back_to(world: World, monkeypatch):
    def away(*_args, **_kwargs):
        raise db.Unavailable("connection to server at 192.0.2.1 failed")

    monkeypatch.setattr(bookings, "place", away)
    answer = world.post("/bookings", json=WISH)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "192.0.2.1" not in answer.text


def test_a_fault_of_the_server_tells_nothing_of_itself(world: World, monkeypatch):
    def broken(*_args, **_kwargs):
        raise KeyError("secret inside")

    monkeypatch.setattr(bookings, "place", broken)
    world.app.testing = False
    answer = world.post("/bookings", json=WISH)
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert set(answer.json) == ALWAYS
    assert "secret" not in answer.text


def test_who_asks_too_often_waits(make_app, sqlite_url, monkeypatch):
    clock = [utc_now()]
    monkeypatch.setattr(limits, "utc_now", lambda: clock[0])
    world = populate(make_app(sqlite_url, requests_per_minute=5))
    assert [world.get("/me").status_code for _ in range(6)] == [200] * 5 + [429]
    clock[0] += timedelta(seconds=14)
    late = world.get("/me")
    assert (late.json["code"], late.headers["Retry-After"]) == ("too_many", "46")
    assert world.get("/me", who="cleo").status_code == 200
    clock[0] += timedelta(seconds=46)
    assert world.get("/me").status_code == 200


def test_what_one_process_counted_another_knows(app_on_both):
    del app_on_both
    one, other = limits._Window(40), limits._Window(40)  # each tells two at a time
    for _ in range(20):
        one.count("ada")
        other.count("ada")
    for window in (one, other):
        window.count("ada")
        with pytest.raises(TooMany):
            window.count("ada")
    one.count("ben")


def test_who_asks_seldom_costs_no_statement(app_on_both, monkeypatch):
    del app_on_both
    told = []
    monkeypatch.setattr(
        limits.rate_limits, "add", lambda *_, **counted: told.append(counted["n"]) or (0, 9e9)
    )
    window = limits._Window(1200)
    for _ in range(130):
        window.count("ada")
    assert told == [60, 60]


@pytest.mark.parametrize(
    ("language", "word"), [("en", "taken"), ("de", None), ("zh-CN", None), ("xx;q=nonsense, *", None)]
)
def test_reasons_are_worded_in_the_readers_language(world: World, language, word):
    world.book(who="cleo")
    answer = world.post("/bookings", json=WISH, headers={"Accept-Language": language})
    assert answer.status_code == 409
    assert answer.json["reasons"][0]["code"] == "taken"
    message = answer.json["reasons"][0]["message"]
    assert message
    assert message in answer.json["detail"]
    if word:
        assert word in message


def test_every_problem_has_the_same_members(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}"
    for answer in (
        world.get("/me", who=None),
        world.post("/bookings", json=WISH, who="reader"),
        world.get("/nothing"),
        world.delete("/instruments"),
        world.patch(url, json={}),
        world.patch(url, json={}, headers={"If-Match": '"9"'}),
        world.post("/bookings", data="x", content_type="text/plain"),
    ):
        assert set(answer.json) - {"errors"} == ALWAYS, answer.text
        assert answer.json["status"] == answer.status_code
        assert answer.json["type"].startswith("urn:yiqi:problem:")
    refused = world.post("/bookings", json=WISH, who="cleo").json
    assert set(refused) == ALWAYS | {"reasons", "alternatives"}
    invalid = world.post("/bookings", json={}).json
    assert set(invalid) == ALWAYS | {"errors"}


def test_a_refusal_offers_nothing_that_the_reader_may_not_know_of(world: World):
    world.book(who="cleo")
    answer = world.post("/bookings", json=WISH)
    assert "SECRET" not in answer.text
    assert "Cleo" not in answer.text
