"""Messages are posted as each robot wants them, and never into our own network."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from booking.domain import hook_addresses
from booking.gateways import hooks
from booking.gateways.hooks import Failed, Post
from tests.jobs.web_sink import PUBLIC, web_sink

AT = datetime(2026, 11, 2, 8, tzinfo=UTC)
URL = "https://hooks.example.org/robot/send?key=9f2c"
SECRET = "SEC0a1b"
POST = Post("0193", "Booked: furnace", ["Your time is booked."], "https://yiqi.example.org/bookings/1")


@pytest.fixture
def sink(monkeypatch):
    """A server without encryption, since no test has a certificate that all the world trusts."""
    monkeypatch.setattr(hooks.Pinned, "begin", lambda _self: None)
    with web_sink() as found:
        yield found


def send(sink, kind="generic", url=URL, secret=SECRET, post=POST, resolved=(PUBLIC,)):
    hooks.send(kind, url, secret, post, at=AT, resolve=lambda _h, _p: resolved, connect=sink.connect)


# --- what arrives ---------------------------------------------------------------------------------


def test_a_program_gets_json_that_it_can_verify(sink):
    send(
        sink, post=Post("0193", "预约成功", ["一", "二"], POST.url, {"notices": [{"kind": "booking.placed"}]})
    )
    assert sink.paths == ["/robot/send?key=9f2c"]
    assert sink.posts == [
        {
            "id": "0193",
            "sent_at": AT.isoformat(),
            "title": "预约成功",
            "text": "一\n二",
            "url": POST.url,
            "notices": [{"kind": "booking.placed"}],
        }
    ]
    headers = sink.headers[0]
    assert headers["Host"] == "hooks.example.org"
    assert headers["X-Yiqi-Delivery"] == "0193"
    assert headers["Idempotency-Key"] == '"0193"'
    signed = headers["X-Yiqi-Timestamp"].encode() + b"." + sink.raw[0]
    assert (
        headers["X-Yiqi-Signature"]
        == f"sha256={hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"
    )


def test_without_a_secret_nothing_is_signed(sink):
    for kind in ("generic", "dingtalk", "feishu", "wecom"):
        send(sink, kind=kind, secret="")
    assert all("X-Yiqi-Signature" not in headers for headers in sink.headers)
    assert all("sign" not in query for query in sink.queries)
    assert all("sign" not in post for post in sink.posts)


def test_wecom_gets_plain_text(sink):
    send(sink, kind="wecom", secret="")
    text = "Booked: furnace\nYour time is booked.\nhttps://yiqi.example.org/bookings/1"
    assert sink.posts == [{"msgtype": "text", "text": {"content": text}}]
    assert sink.queries == [{"key": "9f2c"}]


def test_dingtalk_gets_its_signature_in_the_address(sink):
    send(sink, kind="dingtalk")
    stamp = str(int(AT.timestamp() * 1000))
    digest = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert sink.queries == [{"key": "9f2c", "timestamp": stamp, "sign": base64.b64encode(digest).decode()}]
    assert sink.posts[0]["at"] == {"isAtAll": False}


def test_feishu_gets_its_signature_in_the_body(sink):
    send(sink, kind="feishu")
    stamp = str(int(AT.timestamp()))
    digest = hmac.new(f"{stamp}\n{SECRET}".encode(), b"", hashlib.sha256).digest()
    assert (sink.posts[0]["timestamp"], sink.posts[0]["sign"]) == (stamp, base64.b64encode(digest).decode())
    assert sink.posts[0]["msg_type"] == "text"


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
def test_nobody_can_be_called_by_what_somebody_typed(sink, kind):
    send(sink, kind=kind, post=Post("1", '<at user_id="all">x</at>', ["<@all>"], POST.url))
    assert "<" not in json.dumps(sink.posts[0], ensure_ascii=False)


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
def test_a_long_message_is_cut_between_letters_and_keeps_its_address(sink, kind):
    send(sink, kind=kind, post=Post("1", "预" * 3000, [], POST.url))
    text = (sink.posts[0].get("text") or sink.posts[0]["content"]).get("content") or sink.posts[0]["content"][
        "text"
    ]
    assert len(text.encode()) <= hooks.LONGEST_CHAT
    assert text.endswith(f"…\n{POST.url}")
    assert set(text.partition("\n")[0]) == {"预", "…"}


# --- what is not taken ----------------------------------------------------------------------------


def refusal(sink, kind="generic", **given) -> str:
    with pytest.raises(Failed) as failed:
        send(sink, kind=kind, **given)
    assert "9f2c" not in str(failed.value)
    assert "hooks.example.org" not in str(failed.value)
    return str(failed.value)


@pytest.mark.parametrize("answer", [b'{"errcode":93000,"errmsg":"invalid"}', b'{"code":93000}'])
def test_a_robot_that_says_no_with_200_has_not_taken_it(sink, answer):
    sink.answer = lambda _post: (200, {}, answer)
    assert refusal(sink, kind="wecom") == "robot 93000"


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"errcode":"0"}', b"\xff"])
def test_what_no_robot_says_is_no_yes(sink, answer):
    sink.answer = lambda _post: (200, {}, answer)
    refusal(sink, kind="dingtalk")


def test_a_redirect_is_a_refusal_and_is_not_followed(sink):
    sink.answer = lambda _post: (307, {"Location": f"http://127.0.0.1:{sink.port}/inside"}, b"")
    assert refusal(sink) == "status 307"
    assert len(sink.paths) == 1


def test_of_a_long_answer_little_is_read(sink):
    sink.answer = lambda _post: (200, {}, b"x" * 20_000_000)
    send(sink)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_dribbles_is_cut_off(sink, monkeypatch, first):
    monkeypatch.setattr(hooks, "TIMEOUT", 0.5)
    ended = threading.Event()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        sink.port = listening.getsockname()[1]

        def dribble():
            made, _ = listening.accept()
            with made, suppress(OSError):
                made.sendall(first)
                while not ended.wait(0.1):
                    made.sendall(b"X: y\r\n")

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            assert refusal(sink).startswith("no_answer")
        finally:
            ended.set()
            thread.join()


# --- where it goes --------------------------------------------------------------------------------


def test_the_name_is_asked_once_and_the_connection_goes_to_the_very_address(sink):
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    hooks.send("generic", URL, "", POST, at=AT, resolve=resolve, connect=sink.connect)
    assert asked == [("hooks.example.org", 443)]
    assert sink.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "resolved",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["fe80::1%eth0"],
        [PUBLIC, "192.168.0.1"],
        ["192.168.0.1", PUBLIC],
        [],
    ],
)
def test_a_name_that_leads_into_our_own_network_is_not_connected_to(sink, resolved):
    assert refusal(sink, resolved=resolved) in {"not_public", "unknown_name"}
    assert sink.connected == []
    assert sink.paths == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.1:{}/",
        "https://0x7f000001:{}/",
        "https://2130706433:{}/",
        "https://[::ffff:127.0.0.1]:{}/",
        "https://localhost:{}/",
        "http://hooks.example.org:{}/",
    ],
)
def test_an_address_of_our_own_in_any_notation_reaches_nothing(sink, url):
    with pytest.raises(Failed):
        hooks.send("generic", url.format(sink.port), "", POST, at=AT)
    assert sink.paths == []


def test_only_what_the_operator_named_of_our_own_network_is_reached(sink):
    """The sink is the honeypot: whatever is connected to on this machine stands in its list."""

    def reached(url, listed, **more) -> bool:
        before = len(sink.paths)
        also = hook_addresses.inside(listed)
        with suppress(Failed):
            hooks.send("generic", url.format(sink.port), "", POST, at=AT, also=also, **more)
        return len(sink.paths) > before

    here = {"resolve": lambda _h, _p: ["127.0.0.1"]}
    assert reached("https://127.0.0.1:{}/", "127.0.0.1")
    assert reached("https://bot.lab:{}/", "10.0.0.0/8,bot.lab", **here)
    assert reached("https://any.example.org:{}/", "127.0.0.0/29", **here)
    for listed in ("", "10.0.0.0/8", "127.0.0.2,bot.lab", "127.0.0.1"):
        for host in ("127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "localhost", "127.0.0.1."):
            assert not reached(f"https://{host}:{{}}/", listed)
        assert not reached("http://127.0.0.1:{}/", listed)
    for listed in ("", "10.0.0.0/8", "127.0.0.2", "bot.lab"):
        assert not reached("https://127.0.0.1:{}/", listed)
        assert not reached("https://any.example.org:{}/", listed, **here)
    mixed = {"resolve": lambda _h, _p: ["127.0.0.1", "10.0.0.1"]}
    assert not reached("https://any.example.org:{}/", "127.0.0.1", **mixed)
    sink.answer = lambda _post: (307, {"Location": f"https://127.0.0.1:{sink.port}/inside"}, b"")
    assert reached("https://127.0.0.1:{}/", "127.0.0.1")
    assert "/inside" not in sink.paths


def test_a_server_without_a_certificate_that_can_be_trusted_gets_nothing():
    with web_sink() as plain:
        with pytest.raises(Failed) as failed:
            send(plain)
        assert failed.value.code == "no_encryption"
        assert plain.paths == []
    with socket.socket() as made:
        context = hooks.Pinned("hooks.example.org", 443, made, 1.0).tls
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
