"""Calendars are fetched within limits of time and size, and never from our own network."""

import gzip
import itertools
import threading
import time
from contextlib import suppress

import pytest

from booking.domain import hook_addresses
from booking.gateways import fetch, way_out
from booking.gateways.way_out import Failed
from tests.jobs.calendar_server import PUBLIC, calendar_server, ok

URL = "http://calendars.example.org/private-9f2c/basic.ics"
BODY = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


@pytest.fixture
def server(monkeypatch):
    """A server without encryption, since no test has a certificate that all the world trusts."""
    monkeypatch.setattr(way_out.Pinned, "begin", lambda _self: None)
    with calendar_server() as found:
        yield found


def get(server, url=URL, resolved=(PUBLIC,), **given):
    return fetch.fetch(url, resolve=lambda _h, _p: resolved, connect=server.connect, **given)


def refusal(server, **given) -> str:
    with pytest.raises(Failed) as failed:
        get(server, **given)
    assert "9f2c" not in str(failed.value)
    assert "example.org" not in str(failed.value)
    return str(failed.value)


# --- what is fetched ------------------------------------------------------------------------------


def test_a_calendar_comes_with_what_the_server_knows_it_by(server):
    server.answer = lambda _p, _h: [ok(BODY, 'ETag: "7"', "Last-Modified: Mon, 02 Nov 2026 08:00:00 GMT")]
    found = get(server, url=f"{URL}?a=b%20c")
    assert found == fetch.Fetched(BODY, '"7"', "Mon, 02 Nov 2026 08:00:00 GMT")
    path, headers = server.asked[0]
    assert path == "/private-9f2c/basic.ics?a=b%20c"
    assert headers["Host"] == "calendars.example.org"
    assert "If-None-Match" not in headers


def test_what_has_not_changed_is_not_sent_again(server):
    server.answer = lambda _p, headers: [
        ok(b"", status="304 Not Modified") if headers.get("If-None-Match") == '"7"' else ok(BODY)
    ]
    assert get(server, etag='"7"', modified="x").data is None
    assert get(server, etag='"8"').data == BODY
    assert get(server, modified="Mon, 02 Nov 2026 08:00:00 GMT").data == BODY
    assert server.asked[2][1]["If-Modified-Since"] == "Mon, 02 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    "url", ["webcal://calendars.example.org/a.ics", "WEBCAL://calendars.example.org/a.ics"]
)
def test_webcal_is_fetched_encrypted(server, url):
    server.answer = lambda _p, _h: [ok(BODY)]
    assert get(server, url=url).data == BODY
    assert server.connected == [(PUBLIC, 443)]


def test_what_is_packed_is_unpacked(server):
    server.answer = lambda _p, _h: [ok(gzip.compress(BODY, mtime=0), "Content-Encoding: gzip")]
    assert get(server).data == BODY


def test_a_header_that_could_not_be_sent_back_is_forgotten(server):
    server.answer = lambda _p, _h: [ok(BODY, f"ETag: {'x' * 301}", "Last-Modified: a\x01b")]
    assert get(server) == fetch.Fetched(BODY)


# --- redirects ------------------------------------------------------------------------------------


def moved(where: str, status: str = "302 Found") -> bytes:
    return ok(b"", f"Location: {where}", status=status)


def test_a_few_redirects_are_followed_each_resolved_anew(server):
    way = iter([moved("/b"), moved("http://other.example.org/c"), ok(BODY)])
    server.answer = lambda _p, _h: [next(way)]
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return [PUBLIC]

    assert fetch.fetch(URL, resolve=resolve, connect=server.connect).data == BODY
    assert asked == [("calendars.example.org", 80), ("calendars.example.org", 80), ("other.example.org", 80)]


def test_there_is_an_end_to_redirects(server):
    server.answer = lambda path, _h: [moved(f"{path}x")]
    assert refusal(server).startswith("redirects")
    assert len(server.asked) == fetch.MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:{}/inside",
        "http://127.1:{}/inside",
        "http://0x7f000001:{}/inside",
        "http://2130706433:{}/inside",
        "http://017700000001:{}/inside",
        "http://[::1]:{}/inside",
        "http://[::ffff:127.0.0.1]:{}/inside",
        "http://[::ffff:7f00:1]:{}/inside",
        "http://[64:ff9b::7f00:1]:{}/inside",
        "http://localhost:{}/inside",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/inside",
        "http://10.0.0.1/inside",
        "http://calendars.example.org@127.0.0.1:{}/inside",
        "file:///etc/passwd",
        "ftp://calendars.example.org/a.ics",
        "gopher://127.0.0.1:{}/",
        "//127.0.0.1:{}/inside",
    ],
)
def test_neither_an_address_nor_a_redirect_leads_into_our_own_network(server, where):
    """The server is the honeypot: whatever is connected to on this machine stands in its list."""
    target = where.format(server.port)
    server.answer = lambda path, _h: [moved(target) if path != "/inside" else ok(BODY)]
    assert refusal(server) in {"not_public", "malformed"}
    assert server.paths == ["/private-9f2c/basic.ics"]
    with suppress(Failed):
        fetch.fetch(target)
    assert "/inside" not in server.paths
    assert len(server.asked) == 1


def test_nobody_is_led_from_an_encrypted_way_to_an_open_one(server):
    server.answer = lambda _p, _h: [moved("http://calendars.example.org/open.ics")]
    assert refusal(server, url="https://calendars.example.org/a.ics") == "not_https"


@pytest.mark.parametrize(
    "resolved",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["100.64.1.1"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        [PUBLIC, "192.168.0.1"],
        ["0.0.0.0"],  # noqa: S104 - what a name may stand for
        [],
    ],
)
def test_a_name_that_leads_into_our_own_network_is_not_connected_to(server, resolved):
    assert refusal(server, resolved=resolved) in {"not_public", "unknown_name"}
    assert server.connected == []


def test_a_name_that_changes_is_asked_once(server):
    asked = []

    def resolve(host, port):
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    server.answer = lambda _p, _h: [ok(BODY)]
    assert fetch.fetch(URL, resolve=resolve, connect=server.connect).data == BODY
    assert server.connected == [(PUBLIC, 80)]


def test_what_the_operator_named_of_our_own_network_can_be_fetched(server):
    server.answer = lambda _p, _h: [ok(BODY)]
    also = hook_addresses.inside("127.0.0.1,rosters.lab")
    url = f"http://127.0.0.1:{server.port}/roster.ics"
    assert fetch.fetch(url, also=also).data == BODY
    named = fetch.fetch(
        f"http://rosters.lab:{server.port}/r.ics", also=also, resolve=lambda _h, _p: ["127.0.0.1"]
    )
    assert named.data == BODY
    with pytest.raises(Failed):
        fetch.fetch(url)


# --- too much, too slow, not right ----------------------------------------------------------------


def test_a_body_without_end_is_left_alone(server):
    server.answer = lambda _p, _h: itertools.chain(
        [b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b"x" * 65_536)
    )
    assert refusal(server) == f"too_large {fetch.MOST_BYTES}"


def test_a_body_that_unpacks_to_too_much_is_left_alone(server):
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    server.answer = lambda _p, _h: [ok(bomb, "Content-Encoding: gzip")]
    assert refusal(server).startswith("too_large")
    exact = gzip.compress(b"x" * fetch.MOST_BYTES)
    server.answer = lambda _p, _h: [ok(exact, "Content-Encoding: gzip")]
    assert len(get(server).data) == fetch.MOST_BYTES


def test_a_server_that_dribbles_is_cut_off(server):
    ended = threading.Event()

    def dribble(_path, _headers):
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for _ in range(100):
            ended.wait(0.05)
            yield b"x"

    server.answer = dribble
    began = time.monotonic()
    assert refusal(server, seconds=0.4).startswith("no_answer")
    assert time.monotonic() - began < 3
    ended.set()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ok(b"", status="404 Not Found"), "status 404"),
        (ok(b"", status="503 Service Unavailable"), "status 503"),
        (ok(b"", status="302 Found"), "status 302"),
        (ok(b"", status="206 Partial Content"), "status 206"),
        (ok(BODY, "Content-Encoding: br"), "encoding"),
        (ok(b"no gzip", "Content-Encoding: gzip"), "encoding"),
        (ok(gzip.compress(BODY, mtime=0)[:-9], "Content-Encoding: gzip"), "no_answer cut_short"),
        (ok(BODY, length=len(BODY) + 5), "no_answer"),
        (b"nothing of the kind\r\n\r\n", "no_answer"),
    ],
)
def test_what_is_not_a_whole_answer_is_none(server, answer, code):
    server.answer = lambda _p, _h: [answer]
    assert refusal(server).startswith(code)
