"""Mail is built safely and leaves by a real server, or as files."""

import email
import email.policy
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.gateways import mail
from booking.gateways.mail import BadAddress, Letter, Refused, Unreachable
from tests.jobs.sink import knows, sink

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SENDER = "Yiqi <yiqi@example.org>"


def letter(**given) -> Letter:
    defaults = {
        "id": "0193",
        "to_name": "Ada",
        "to_address": "ada@example.org",
        "subject": "Booked",
        "text": "Hello\n",
        "html": "<p>Hello</p>\n",
        "language": "en",
    }
    return Letter(**defaults | given)


def built(**given):
    made = mail.message(letter(**given), sender=SENDER, host="yiqi.example.org", at=AT)
    return email.message_from_bytes(made.as_bytes(), policy=email.policy.default)


def test_a_message_says_who_what_and_when_in_both_forms():
    message = built(subject="预约成功：共聚焦显微镜", text="你好\n", html="<p>你好</p>\n", to_name="艾达")
    assert message["Message-ID"] == "<0193@yiqi.example.org>"
    assert message["To"].addresses[0].display_name == "艾达"
    assert message["To"].addresses[0].addr_spec == "ada@example.org"
    assert message["From"].addresses[0].addr_spec == "yiqi@example.org"
    assert message["Subject"] == "预约成功：共聚焦显微镜"
    assert message["Date"].datetime == AT
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_body(("plain",)).get_content().strip() == "你好"
    assert message.get_body(("html",)).get_content().strip() == "<p>你好</p>"


@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: cleo@example.org",
        "x\nBcc: cleo@example.org",
        "x\rBcc: cleo@example.org",
        "x\x0bBcc: cleo@example.org",
        "x\u2028Bcc: cleo@example.org",
        "x\x85Bcc: cleo@example.org",
        "x\x00\r\n\r\n<b>body</b>",
        '"><cleo@example.org>, "x',
        "=?utf-8?q?x=0D=0ABcc=3A_cleo=40example.org?=",
    ],
)
def test_no_text_of_a_letter_adds_a_header_or_a_receiver(evil):
    message = built(subject=evil, to_name=evil)
    assert "Bcc" not in message
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.org"]
    assert sorted(message.keys()) == sorted(built().keys())
    assert message.get_body(("plain",)).get_content().strip() == "Hello"


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_name_and_subject_there_is_one_receiver_and_no_new_header(name, subject):
    message = built(to_name=name, subject=f"=?utf-8?q?{subject}?= {name}")
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.org"]
    assert sorted(message.keys()) == sorted(built().keys())


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@example.org, cleo@example.org", "ada@example.org\r\nBcc: x@example.org", "<>"]
)
def test_an_address_that_is_none_is_refused_for_good(address):
    with pytest.raises(Refused) as refused:
        built(to_address=address)
    assert refused.value.lasting


# --- files ----------------------------------------------------------------------------------------


def test_without_a_server_mail_is_written_to_files(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    with mail.outbox("", folder=tmp_path / "mail", host="here") as send:
        send(mail.message(letter(text="secret link\n"), sender=SENDER, host="h", at=AT))
    (path,) = (tmp_path / "mail").iterdir()
    assert path.name.endswith("-0193.eml")
    assert path.stat().st_mode & 0o077 == 0
    found = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert found["To"].addresses[0].addr_spec == "ada@example.org"
    assert caplog.records[-1].fields["file"] == str(path)
    assert "secret link" not in str([record.__dict__ for record in caplog.records])


# --- a mail server --------------------------------------------------------------------------------


def send(url, *letters):
    with mail.outbox(url, folder=Path(), host="localhost") as out:
        for one in letters:
            out(mail.message(one, sender=SENDER, host="h", at=AT))


def test_a_server_gets_all_messages_over_one_connection():
    with sink() as server:
        send(server.url, letter(id="1"), letter(id="2"), letter(id="3"))
    assert server.ids == ["<1@h>", "<2@h>", "<3@h>"]
    assert server.receivers == [["ada@example.org"]] * 3


def test_a_message_that_is_refused_keeps_no_other():
    with sink() as server:
        server.answer = lambda message: "554 no" if message["Message-ID"] == "<1@h>" else "250 OK"
        with mail.outbox(server.url, folder=Path(), host="localhost") as out:
            with pytest.raises(Refused) as refused:
                out(mail.message(letter(id="1"), sender=SENDER, host="h", at=AT))
            assert refused.value.lasting
            out(mail.message(letter(id="2"), sender=SENDER, host="h", at=AT))
    assert server.ids == ["<2@h>"]


def test_a_server_that_asks_to_come_again_is_not_a_lasting_refusal():
    with sink() as server:
        server.answer = lambda _message: "451 later"
        with pytest.raises(Refused) as refused:
            send(server.url, letter())
    assert not refused.value.lasting
    assert "later" in str(refused.value)


def test_a_server_that_is_not_there_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable):
        send(f"smtp://127.0.0.1:{port}", letter())


def test_a_server_that_never_speaks_is_unreachable(monkeypatch):
    monkeypatch.setattr(mail, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unreachable):
            send(f"smtp://127.0.0.1:{silent.getsockname()[1]}", letter())


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_user_and_password_of_the_address_are_used():
    options = {"authenticator": knows("yiqi", "p:ss/w@rd"), "auth_required": True, "auth_require_tls": False}
    with sink(**options) as server:
        address = server.url.removeprefix("smtp://")
        send(f"smtp://yiqi:p%3Ass%2Fw%40rd@{address}", letter())
        assert len(server.messages) == 1
        with pytest.raises(Unreachable):
            send(f"smtp://yiqi:wrong@{address}", letter())


def test_a_password_does_not_travel_without_encryption(monkeypatch):
    monkeypatch.setattr(mail, "_LOOPBACK", set())
    with sink() as server, pytest.raises(BadAddress, match="encryption"):
        send(server.url.replace("smtp://", "smtp://yiqi:secret@"), letter())


@pytest.mark.parametrize("url", ["mail.example.org", "http://example.org", "smtp://", "smtp://h:port"])
def test_an_address_of_a_server_that_makes_no_sense_is_told(url):
    with pytest.raises(BadAddress):
        send(url, letter())


def test_the_server_can_be_tried_without_sending():
    with sink() as server:
        mail.check(server.url, sender=SENDER, host="localhost")
        assert server.messages == []
        with pytest.raises(BadAddress):
            mail.check(server.url, sender="nobody", host="localhost")
