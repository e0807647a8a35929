"""From a message that comes in to the answer that goes out: by the mailbox, by the command, by a real mail server."""

import contextlib
import io
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import icalendar
import pytest
from sqlalchemy import select, update

from booking import cli, db, i18n
from booking.cli import doctor
from booking.config import Settings
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.gateways import imap
from booking.gateways.mail import BadAddress, Unreachable
from booking.jobs import deliver, invitations, mailbox
from booking.services import approvals, bookings, mail_intake, meetings
from models import Booking, Delivery, InboundMail
from tests import cast, mails
from tests.factories import make_facility, make_instrument
from tests.jobs.sink import sink

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
START = NOW.replace(hour=2, minute=0) + timedelta(days=3)


def never() -> bool:
    return False


@pytest.fixture
def lab(settings: Settings) -> Settings:
    """A furnace, and Ada, who invites it."""
    found = replace(
        settings,
        reply_mailbox="yiqi@lab.example.org",
        mail_domain="lab.example.org",
        public_url="https://y.example.org",
    )
    with db.transaction() as session:
        place = make_facility(session, name_en="Pilot platform")
        make_instrument(session, facility=place, code="FURNACE", name_en="Vacuum furnace", name_zh="真空炉")
        cast.tam(session, place)
        cast.ada(session)
    return found


def request(settings: Settings, program: str = "google", *, start: datetime = START, **more) -> bytes:
    with db.transaction() as session:
        secret = meetings.tag(session, key=settings.key(), person_id=cast.ada(session).id)
    return mails.message(
        f"{program}-request",
        start=start,
        end=start + timedelta(hours=2),
        address=f"furnace+{secret}@lab.example.org",
        **more,
    )


def post(settings: Settings) -> list[EmailMessage]:
    """What leaves for calendars when all jobs have done their work."""
    with sink() as server:
        reached = replace(settings, smtp_url=server.url)
        deliver.run(reached, never)
        invitations.run(reached, never)
    return [message for message in server.messages if message.get_content_type() == "multipart/mixed"]


def meeting(message: EmailMessage) -> list[icalendar.Event]:
    (part,) = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "REPLY"
    calendar = icalendar.Calendar.from_ical(part.get_payload(decode=True))
    assert calendar["METHOD"] == "REPLY"
    return calendar.events


def plain(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content()


# --- the command of the mail server -----------------------------------------------------------------


@pytest.fixture
def receive(lab, monkeypatch, capsys):
    """Hand a message to `yiqi mail receive`, and give its exit code and what it said."""

    def hand_over(raw: bytes, *arguments: str, **changed: str) -> tuple[int, str]:
        for name, value in {
            "DATABASE_URL": lab.database_url,
            "INSTANCE": str(lab.instance),
            "SECRET_KEY": lab.secret_key,
            "REPLY_MAILBOX": lab.reply_mailbox,
            "MAIL_DOMAIN": lab.mail_domain,
            **changed,
        }.items():
            monkeypatch.setenv(f"YIQI_{name}", value)
        stdin = io.TextIOWrapper(io.BytesIO(raw))
        monkeypatch.setattr("sys.stdin", stdin)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["mail", "receive", *arguments])
        db.dispose()
        db.init(lab.url, pool_size=4)
        return int(ended.value.code or 0), capsys.readouterr().out.strip()

    return hand_over


def test_an_invitation_handed_over_by_the_mail_server_is_booked_and_answered_by_mail(lab, receive):
    assert receive(request(lab)) == (0, "answered")
    with db.reading() as session:
        booking = session.scalars(select(Booking)).one()
    (message,) = post(lab)
    assert message["To"].addresses[0].addr_spec == "ada@example.org"
    assert message["From"].addresses[0].addr_spec.startswith("furnace+")
    assert message["Subject"] == "Accepted: Sintering run"
    assert f"https://y.example.org/bookings/{booking.id}" in plain(message)
    (event,) = meeting(message)
    assert event["UID"] == "4q1v8h3l0a7k2m5n9p@google.com"
    assert event["ORGANIZER"] == "mailto:ada@example.org"
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert event["ATTENDEE"].startswith("mailto:furnace+")
    assert event.start == START
    assert post(lab) == []


def test_the_same_message_twice_is_answered_once(lab, receive):
    raw = request(lab)
    receive(raw)
    assert receive(raw) == (0, "seen")
    assert len(post(lab)) == 1


def test_a_refusal_says_why_and_what_is_free_in_the_persons_language(lab, receive):
    with db.transaction() as session:
        ben, ada = cast.actor_of(session, cast.ben(session)), cast.ada(session)
        place = session.scalars(select(Booking.id)).all()
        assert place == []
        furnace = session.scalars(select(meetings.Instrument)).one()
        item = Item(furnace.id, Span(START, START + timedelta(hours=1)))
        bookings.place(session, actor=ben, items=[item], now=NOW)
        ada.locale = "en"
    receive(request(lab))
    (message,) = post(lab)
    (event,) = meeting(message)
    assert message["Subject"] == "Declined: Sintering run"
    assert event["ATTENDEE"].params["PARTSTAT"] == "DECLINED"
    said = plain(message)
    for words in ("Not booked.", "Free instead:", "FURNACE,"):
        assert words in said
        assert words in event["COMMENT"].replace("\n", " ")
    assert "Ben" not in said
    with db.transaction() as session:
        cast.ada(session).locale = "zh_Hans_CN"
    receive(request(lab, sequence=1, message_id="2"))
    (message,) = post(lab)
    assert "真空炉" in plain(message)


def test_a_meeting_that_repeats_is_answered_date_by_date(lab, receive):
    with db.transaction() as session:
        furnace = session.scalars(select(meetings.Instrument)).one()
        ben = cast.actor_of(session, cast.ben(session))
        second = START + timedelta(weeks=1)
        item = Item(furnace.id, Span(second, second + timedelta(hours=1)))
        bookings.place(session, actor=ben, items=[item], now=NOW)
    weekly = (("SEQUENCE:", "RRULE:FREQ=WEEKLY;COUNT=3\r\nSEQUENCE:"),)
    receive(request(lab, "apple", changed=weekly))
    (message,) = post(lab)
    assert message["Subject"] == "Partly accepted: Sintering run"
    found = [(event["RECURRENCE-ID"].dt, event["ATTENDEE"].params["PARTSTAT"]) for event in meeting(message)]
    assert found == [
        (START, "ACCEPTED"),
        (second, "DECLINED"),
        (START + timedelta(weeks=2), "ACCEPTED"),
    ]
    receive(request(lab, "thunderbird", start=START + timedelta(hours=5), changed=weekly, message_id="3"))
    (message,) = post(lab)
    (event,) = meeting(message)  # alike for all: one word for the whole
    assert "RECURRENCE-ID" not in event
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"


def test_what_waits_for_approval_is_answered_twice(lab, receive):
    with db.transaction() as session:
        session.scalars(select(meetings.Instrument)).one().approval_required = True
    receive(request(lab, "outlook"))
    (message,) = post(lab)
    assert meeting(message)[0]["ATTENDEE"].params["PARTSTAT"] == "TENTATIVE"
    with db.transaction() as session:
        booking = session.scalars(select(Booking)).one()
        tam = cast.actor_of(session, cast.tam(session))
        approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    (message,) = post(lab)
    assert meeting(message)[0]["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert post(lab) == []


def test_strangers_cause_no_mail_at_all(lab, receive):
    raw = request(lab).replace(b"From: Ada <ada@example.org>", b"From: Eve <eve@example.com>")
    assert receive(raw) == (0, "stranger")
    assert receive(b"From: Ada <ada@example.org>\r\n\r\n" + b"x" * 3_000_000) == (0, "too_large")
    assert receive(b"\x00\xff") == (0, "stranger")
    with db.reading() as session:
        assert session.scalars(select(Delivery)).all() == []


def test_the_envelopes_recipient_may_be_named(lab, receive):
    raw = request(lab)
    address = re.search(rb"furnace\+\w+@lab\.example\.org", raw)[0].decode()
    elsewhere = raw.replace(f"To: {address}".encode(), b"To: list@example.org")
    assert receive(elsewhere, "--recipient", address) == (0, "answered")


def test_a_fault_of_ours_sends_nothing_back_to_the_sender(lab, receive, monkeypatch):
    def broken(*_given, **_named):
        raise ZeroDivisionError

    raw = request(lab)
    with monkeypatch.context() as patch:
        patch.setattr(mail_intake, "receive", broken)
        assert receive(raw) == (0, "failed")
    assert receive(raw, WORKERS="many")[0] == 75
    assert receive(raw, WORKERS="1") == (0, "answered")


def test_an_odd_address_in_a_meeting_is_not_pasted_into_our_mail(lab, receive):
    odd = ((":mailto:{address}\r\nCREATED", ':mailto:furnace+x" y@lab.example.org\r\nCREATED'),)
    raw = request(lab, "apple", changed=odd)
    assert receive(raw) == (0, "answered")
    (message,) = post(lab)
    assert message["From"].addresses[0].addr_spec == "furnace@lab.example.org"
    assert meeting(message)[0]["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"


def test_without_its_database_the_command_asks_to_come_again(lab, receive):
    away = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    assert receive(request(lab), DATABASE_URL=away)[0] == 75


# --- the mailbox ------------------------------------------------------------------------------------


class FakeImap(threading.Thread):
    """A mailbox that speaks as much IMAP as is asked of it."""

    def __init__(self, messages: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.messages = messages
        self.seen: set[int] = set()
        self.said: list[str] = []
        self.password = "right"
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"imap://yiqi:right@127.0.0.1:{self.server.getsockname()[1]}/Calendar"

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                with connection, connection.makefile("rwb") as stream:
                    self.talk(stream)

    def talk(self, stream) -> None:
        def say(line: bytes) -> None:
            stream.write(line + b"\r\n")
            stream.flush()

        say(b"* OK ready")
        for raw in stream:
            tag, _, words = raw.decode().strip().partition(" ")
            self.said.append(words)
            name = words.upper()
            if name == "CAPABILITY":
                say(b"* CAPABILITY IMAP4rev1")
            elif name.startswith("LOGIN") and self.password not in words:
                say(f"{tag} NO wrong password".encode())
                continue
            elif name.startswith("SELECT"):
                say(f"* {len(self.messages)} EXISTS".encode())
            elif name.startswith("UID SEARCH"):
                new = [str(n) for n in range(1, len(self.messages) + 1) if n not in self.seen]
                say(f"* SEARCH {' '.join(new)}".encode())
            elif name.startswith("UID FETCH"):
                number = int(words.split()[2])
                body = self.messages[number - 1]
                if "SIZE" in name:
                    say(f"* {number} FETCH (UID {number} RFC822.SIZE {len(body)})".encode())
                else:
                    say(f"* {number} FETCH (UID {number} BODY[] {{{len(body)}}}".encode())
                    stream.write(body)
                    say(b")")
            elif name.startswith("UID STORE"):
                self.seen.add(int(words.split()[2]))
            say(f"{tag} OK done".encode())
            if name == "LOGOUT":
                return


@pytest.fixture
def folder(lab) -> Iterator[FakeImap]:
    found = FakeImap([])
    found.start()
    yield found
    found.server.close()


def outcomes() -> list[str]:
    with db.reading() as session:
        return list(session.scalars(select(InboundMail.outcome).order_by(InboundMail.outcome)))


def test_the_mailbox_is_read_once_and_each_message_marked(lab, folder):
    folder.messages += [request(lab), b"From: Eve <eve@example.com>\r\nMessage-ID: <e>\r\n\r\nhello"]
    reached = replace(lab, imap_url=folder.url)
    mailbox.run(reached, never)
    assert outcomes() == ["answered", "stranger"]
    assert folder.seen == {1, 2}
    assert any("Calendar" in words for words in folder.said)
    mailbox.run(reached, never)
    assert len(outcomes()) == 2
    assert len(post(lab)) == 1


def test_who_dies_before_it_marks_a_message_takes_it_in_once(lab, folder):
    folder.messages.append(request(lab))
    reached = replace(lab, imap_url=folder.url)
    mailbox.run(reached, never)
    folder.seen.clear()
    mailbox.run(reached, never)
    assert outcomes() == ["answered"]
    assert len(post(lab)) == 1


def test_a_message_that_is_too_large_is_not_even_fetched_and_one_that_fails_keeps_no_other(
    lab, folder, monkeypatch
):
    folder.messages += [
        b"x" * 3_000_000,
        request(lab, message_id="7"),
        request(lab, message_id="8", sequence=1),
    ]
    receive, faults = mail_intake.receive, iter([True] * mailbox.TRIES)

    def broken(*given, **named):
        if next(faults, False):
            raise ZeroDivisionError
        return receive(*given, **named)

    monkeypatch.setattr(mailbox.mail_intake, "receive", broken)
    mailbox.run(replace(lab, imap_url=folder.url), never)
    assert outcomes() == ["answered", "failed", "too_large"]
    assert folder.seen == {1, 2, 3}
    assert "UID FETCH 1 (BODY.PEEK[])" not in folder.said


def test_a_mailbox_that_is_away_or_does_not_let_us_in_is_unreachable(lab, folder):
    folder.password = "another"
    with pytest.raises(Unreachable):
        mailbox.run(replace(lab, imap_url=folder.url), never)
    with pytest.raises(Unreachable):
        mailbox.run(replace(lab, imap_url="imap://yiqi:x@127.0.0.1:1"), never)


def test_a_password_does_not_travel_without_encryption(folder, monkeypatch):
    monkeypatch.setattr(imap, "_LOOPBACK", set())
    with pytest.raises(BadAddress, match="encryption"), imap.mailbox(folder.url):
        pass


@pytest.mark.parametrize("url", ["imap.example.org", "http://u:p@h", "imaps://h", "imaps://u:p@h:x"])
def test_an_address_of_a_mailbox_that_makes_no_sense_is_told(url):
    with pytest.raises(BadAddress), imap.mailbox(url):
        pass


def test_the_doctor_tries_the_mailbox_and_reads_nothing(lab, folder):
    folder.messages.append(request(lab))

    def said(settings: Settings) -> list[str]:
        return [f"{finding.mark} {finding.what}" for finding in doctor._mailbox(settings)]

    assert said(replace(lab, imap_url=folder.url)) == ["✓ the mailbox lets us in; 1 unread"]
    assert folder.seen == set()
    folder.password = "another"
    assert said(replace(lab, imap_url=folder.url))[0].startswith("✗ the mailbox does not let us in")
    assert said(lab) == ["! no mailbox is read"]
    assert said(replace(lab, reply_mailbox="", mail_domain="")) == []


def test_without_a_mailbox_there_is_nothing_to_do(lab):
    mailbox.run(lab, never)


@pytest.mark.parametrize("locale", i18n.LOCALES)
def test_the_letters_can_be_written_in_every_language(lab, receive, locale):
    with db.transaction() as session:
        cast.ada(session).locale = locale
        session.scalars(select(meetings.Instrument)).one().approval_required = True
    receive(request(lab))
    with db.transaction() as session:
        session.execute(update(Booking).values(version=Booking.version + 1))
        ada = cast.actor_of(session, cast.ada(session))
        booking = session.scalars(select(Booking)).one()
        bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    for message in post(lab):
        for text in (plain(message), message["Subject"]):
            assert "%(" not in text
            assert "None" not in text
