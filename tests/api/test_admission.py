"""More ask than can be answered in time: a place in line, kept by a ticket; what must not wait does not."""

import html
import re
import time

import pytest

from booking.http import admission
from booking.http.admission import BUSY, LEAST_STEP, MOST_STEP, Line
from tests.api.conftest import World, at, populate

WISH = {"instrument_id": "SEM", "start": at(9), "end": at(10)}


@pytest.fixture
def rush(make_app, sqlite_url, monkeypatch) -> World:
    """A server whose threads are at work while all who come have waited ten seconds."""
    monkeypatch.setattr(admission, "_waited", lambda _door: 10.0)
    world = populate(make_app(sqlite_url, patience_seconds=2))
    for _ in range(BUSY):
        line(world).come_in()
    return world


def line(world: World) -> Line:
    return world.app.extensions["yiqi-line"]


def pass_on(monkeypatch, seconds: float) -> None:
    later = time.time() + seconds
    monkeypatch.setattr(admission, "time", type("Clock", (), {"time": staticmethod(lambda: later)}))


def test_turns_go_by_who_came_first_as_fast_as_answers_were_given():
    line = Line(2)
    for _ in range(40):
        line.come_in()
    for n in range(20):
        line.leave(99.0 + n / 20)  # ten a second, as seen over two
    turns = [line.turn(2.5, 100.0) for _ in range(3)]
    assert [round(turn.at, 3) for turn in turns] == [100.1, 100.2, 100.3]
    assert [turn.place(100.0) for turn in turns] == [1, 2, 3]
    newcomer = line.turn(0.0, 100.05)  # at once in calm, but others wait already
    assert round(newcomer.at, 3) == 100.4
    assert line.turn(0.0, 100.41) is None
    assert line.turn(1.9, 100.41) is None


def test_nobody_is_sent_away_by_a_server_that_only_slept():
    line = Line(2)
    for _ in range(BUSY - 1):
        line.come_in()
    assert line.turn(30.0, 100.0) is None
    line.come_in()
    assert line.turn(30.0, 100.0).step == MOST_STEP  # nothing was answered: one a second
    for n in range(5000):
        line.come_in()
        line.leave(101.0 + n / 5000)
    assert line.turn(30.0, 102.0).step == LEAST_STEP


def test_a_program_is_told_its_place_and_is_let_in_at_its_turn(rush: World, monkeypatch):
    english = {"Accept-Language": "en"}
    first, second = (rush.post("/bookings", json=WISH, who=who, headers=english) for who in ("ada", "cleo"))
    assert [answer.status_code for answer in (first, second)] == [503, 503]
    assert first.json["code"] == "unavailable"
    assert first.json["title"] == "Many are asking at once"
    assert "your turn" in first.json["detail"]
    assert (first.json["queue"]["place"], second.json["queue"]["place"]) == (1, 2)
    assert first.headers["Retry-After"] == str(first.json["queue"]["seconds"])
    ticket = {"Queue-Ticket": second.json["queue"]["ticket"]}
    early = rush.post("/bookings", json=WISH, who="cleo", headers=ticket)
    assert (early.status_code, early.json["queue"]["ticket"]) == (503, ticket["Queue-Ticket"])
    pass_on(monkeypatch, 2.5)
    assert rush.post("/bookings", json=WISH, who="ada", headers=ticket).status_code == 503  # another's
    assert rush.post("/bookings", json=WISH, who="cleo", headers={"Queue-Ticket": "x"}).status_code == 503
    assert rush.post("/bookings", json=WISH, who="cleo", headers=ticket).status_code == 201
    pass_on(monkeypatch, 200)
    assert rush.get("/me", who="cleo", headers=ticket).status_code == 503  # its time is over


def test_nothing_is_read_for_those_who_wait(rush: World, monkeypatch):
    monkeypatch.setattr("booking.http.identity._by_token", lambda _token: pytest.fail("it was read"))
    assert rush.get("/me").status_code == 503


def test_health_leaving_and_emergencies_never_wait(rush: World):
    client = rush.app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.post("/sign-out").status_code != 503
    assert client.get("/closures/new").status_code != 503
    assert {rule.endpoint for rule in rush.app.url_map.iter_rules()} >= admission.SPARED


@pytest.mark.parametrize(("language", "told"), [("en", "Your place in line"), ("zh-CN", "您排在第 2 位")])
def test_a_person_gets_a_page_that_keeps_what_they_sent_and_sends_it_again(
    rush: World, monkeypatch, language, told
):
    client = rush.app.test_client()
    said = {"Accept": "text/html", "Accept-Language": language}
    client.post("/bookings/new", data={"instrument": "SEM"}, headers=said)  # somebody before them
    other = rush.app.test_client()
    sent = {"instrument": "SEM", "purpose": '"><b>iron</b>', "key": "k1"}
    page = other.post(
        "/bookings/new?x=1", data=sent, headers=said, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "2"
    assert "Refresh" not in page.headers
    assert told in page.text
    assert 'action="/bookings/new?x=1"' in page.text
    hidden = re.findall(
        r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text.partition("data-again")[2]
    )
    assert {name: html.unescape(value) for name, value in hidden} == sent
    pass_on(monkeypatch, 2.5)
    again = other.post(
        "/bookings/new", data=sent, headers=said, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert again.status_code != 503  # the cookie held their place


def test_what_the_page_is_drawn_with_does_not_wait(rush: World):
    client = rush.app.test_client()
    page = client.get("/instruments", headers={"Accept": "text/html"})
    assert page.status_code == 503
    parts = re.findall(r'<(?:link|script|img)\b[^>]*?\b(?:href|src)="(/[^"]+)"', page.text)
    assert any(part.startswith("/styles/") for part in parts)
    for part in parts:
        with client.get(html.unescape(part)) as answer:
            assert answer.status_code == 200, part


def test_a_page_comes_again_by_itself_and_a_password_is_not_repeated(rush: World):
    client = rush.app.test_client()
    page = client.get("/instruments?q=x", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["Refresh"]) == (503, page.headers["Retry-After"])
    assert 'href="/instruments?q=x"' in page.text
    secret = {"email": "ada@example.org", "password": "paper kite"}
    page = client.post("/sign-in", data=secret, headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "paper kite" not in page.text


def test_in_calm_nothing_of_it_shows(make_app, sqlite_url):
    world = populate(make_app(sqlite_url, patience_seconds=2))
    assert world.book()
    assert line(world)._inside == 0


def test_where_all_may_wait_nobody_gets_a_place(rush: World, make_app):
    patient = make_app(rush.app.extensions["yiqi"].database_url, patience_seconds=0)
    for _ in range(100):
        patient.extensions["yiqi-line"].come_in()
    assert patient.test_client().get("/instruments").status_code == 200
