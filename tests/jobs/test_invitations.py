"""Bookings reach calendars as meetings: one UID, a SEQUENCE that only rises, nothing old, nothing twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import icalendar
import pytest
from sqlalchemy import select, update

from booking import db
from booking.config import Settings
from booking.domain.notices import Channel, Pace, Topic
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.gateways import mail
from booking.jobs import deliver, invitations
from booking.services import approvals, bookings, notice_wishes, transfers
from models import Booking, Delivery, Invitation
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.jobs.sink import Sink, sink

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
START = NOW.replace(hour=2, minute=0) + timedelta(days=3)


def never() -> bool:
    return False


@pytest.fixture
def mailing(settings: Settings) -> Settings:
    return replace(
        settings,
        reply_mailbox="yiqi@lab.example.org",
        mail_domain="lab.example.org",
        host_name="yiqi.example.org",
    )


@pytest.fixture
def lab(settings: Settings) -> dict[str, int]:
    """Two instruments, one of which needs approval; Ada wants invitations."""
    with db.transaction() as session:
        place = make_facility(session, name_en="Pilot platform", address="1 Lake Road, Dongguan")
        furnace = make_instrument(session, facility=place, code="FURNACE", name_en="Vacuum furnace")
        kiln = make_instrument(session, facility=place, code="KILN", name_en="Kiln", approval_required=True)
        cast.tam(session, place)
        ask_for_invitations(session, cast.ada(session))
        return {"furnace": furnace.id, "kiln": kiln.id}


def ask_for_invitations(session, person) -> None:
    actor = cast.actor_of(session, person)
    wishes = {(Topic.BOOKINGS, Channel.INVITATION): Pace.AT_ONCE}
    notice_wishes.choose(session, actor=actor, wishes=wishes, quiet=None, now=NOW)


def ada(session):
    return cast.actor_of(session, cast.ada(session))


def place(*instruments: int, start: datetime = START, apart: bool = False) -> Booking:
    with db.transaction() as session:
        items = [
            Item(one, Span(at := start + timedelta(hours=3 * n * apart), at + timedelta(hours=2)))
            for n, one in enumerate(instruments)
        ]
        return bookings.place(session, actor=ada(session), items=items, purpose="Sintering, 烧结", now=NOW)


def move(booking: Booking, start: datetime, instrument: int) -> None:
    with db.transaction() as session:
        item = Item(instrument, Span(start, start + timedelta(hours=2)))
        bookings.change(
            session, actor=ada(session), booking_id=booking.id, version=None, items=[item], now=NOW
        )


def cancel(booking: Booking) -> None:
    with db.transaction() as session:
        bookings.cancel(session, actor=ada(session), booking_id=booking.id, now=NOW)


def post(settings: Settings, during: Callable[[Sink], None] = lambda _server: None) -> list[EmailMessage]:
    """What leaves for calendars when all jobs have done their work."""
    with sink() as server:
        during(server)
        reached = replace(settings, smtp_url=server.url)
        deliver.run(reached, never)
        invitations.run(reached, never)
        return [message for message in server.messages if calendar_part(message) is not None]


def calendar_part(message: EmailMessage):
    return next((part for part in message.walk() if part.get_content_type() == "text/calendar"), None)


def meeting(message: EmailMessage) -> icalendar.Event:
    part = calendar_part(message)
    calendar = icalendar.Calendar.from_ical(part.get_payload(decode=True))
    assert part.get_param("method") == calendar["METHOD"]
    (event,) = calendar.events
    event["x-method"] = calendar["METHOD"]
    return event


def said(message: EmailMessage) -> tuple[str, str, int, str]:
    event = meeting(message)
    return event["x-method"], event["UID"], int(event["SEQUENCE"]), event["STATUS"]


# --- the message ----------------------------------------------------------------------------------


def test_an_invitation_is_put_together_as_mail_programs_want_it(mailing, lab):
    booking = place(lab["furnace"])
    (message,) = post(mailing)
    assert message.get_content_type() == "multipart/mixed"
    alternative, file = message.iter_parts()
    assert [part.get_content_type() for part in alternative.iter_parts()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    part = calendar_part(message)
    assert part.get_param("charset") == "UTF-8"
    assert all(
        one["Content-Transfer-Encoding"] == "base64" for one in message.walk() if not one.is_multipart()
    )
    assert file.get_filename() == "invite.ics"
    assert file.get_payload(decode=True) == part.get_payload(decode=True)
    assert message["Reply-To"].addresses[0].addr_spec.startswith("yiqi+")
    assert "declining asks" in alternative.get_body(("plain",)).get_content()
    data = part.get_payload(decode=True)
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"")
    event = meeting(message)
    assert event["UID"] == f"{booking.id}@yiqi.example.org"
    assert event.start == START
    assert event.end == START + timedelta(hours=2)
    assert event["SUMMARY"] == "Vacuum furnace"
    assert "烧结" in event["DESCRIPTION"]
    assert "Lake Road" in event["LOCATION"]
    assert abs(event["DTSTAMP"].dt - datetime.now(UTC)) < timedelta(minutes=5)
    person, place_ = event["ATTENDEE"]
    assert person == "mailto:ada@example.org"
    assert place_ == "mailto:furnace@lab.example.org"
    assert {name: place_.params[name] for name in ("CUTYPE", "ROLE", "PARTSTAT")} == {
        "CUTYPE": "RESOURCE",
        "ROLE": "NON-PARTICIPANT",
        "PARTSTAT": "ACCEPTED",
    }
    assert event["ORGANIZER"] == f"mailto:{message['Reply-To'].addresses[0].addr_spec}"


def test_who_did_not_ask_for_invitations_gets_none(mailing, lab):
    with db.transaction() as session:
        ben = cast.actor_of(session, cast.ben(session))
        item = Item(lab["furnace"], Span(START, START + timedelta(hours=1)))
        bookings.place(session, actor=ben, items=[item], now=NOW)
    assert post(mailing) == []


def test_without_a_mailbox_for_answers_none_is_sent(settings, lab):
    place(lab["furnace"])
    assert post(settings) == []


# --- the life of a booking ------------------------------------------------------------------------


def test_request_update_and_end_bear_one_uid_and_a_rising_sequence(mailing, lab):
    booking = place(lab["furnace"])
    uid = f"{booking.id}@yiqi.example.org"
    assert [said(message) for message in post(mailing)] == [("REQUEST", uid, 0, "CONFIRMED")]
    move(booking, START + timedelta(hours=4), lab["furnace"])
    assert [said(message) for message in post(mailing)] == [("REQUEST", uid, 1, "CONFIRMED")]
    cancel(booking)
    assert [said(message) for message in post(mailing)] == [("CANCEL", uid, 2, "CANCELLED")]
    assert post(mailing) == []


def test_a_request_is_mailed_once_it_is_approved_and_not_before(mailing, lab):
    booking = place(lab["kiln"])
    assert post(mailing) == []
    with db.transaction() as session:
        tam = cast.actor_of(session, cast.tam(session))
        approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    (message,) = post(mailing)
    assert said(message)[0::2] == ("REQUEST", 1)
    assert message["Subject"].startswith("Kiln")
    move(booking, START + timedelta(hours=4), lab["kiln"])
    (message,) = post(mailing)
    assert said(message)[0] == "REQUEST"
    assert said(message)[3] == "TENTATIVE"


def test_what_never_was_in_a_calendar_is_not_taken_out_of_it(mailing, lab):
    booking = place(lab["kiln"])
    cancel(booking)
    assert post(mailing) == []


def test_only_the_last_of_several_changes_leaves(mailing, lab):
    booking = place(lab["furnace"])
    for hours in (3, 4, 5):
        move(booking, START + timedelta(hours=hours), lab["furnace"])
    (message,) = post(mailing)
    assert said(message)[2] == 3
    assert meeting(message).start == START + timedelta(hours=5)
    with db.transaction() as session:
        ways = select(Delivery).where(Delivery.channel == Channel.INVITATION).order_by(Delivery.event_id)
        assert [row.error for row in session.scalars(ways)] == [
            "",
            "nothing new",
            "nothing new",
            "nothing new",
        ]


def test_a_message_that_was_put_off_tells_what_is_so_when_it_leaves(mailing, lab):
    booking = place(lab["furnace"])

    def refuse(server: Sink) -> None:
        server.answer = lambda message: "451 later" if calendar_part(message) else "250 OK"

    assert post(mailing, refuse) == []
    cancel(booking)
    with db.transaction() as session:
        session.execute(update(Delivery).values(next_at=NOW - timedelta(days=1)))
    assert post(mailing) == []  # never sent, never to be taken back
    with db.transaction() as session:
        assert session.scalars(select(Invitation)).all() == []


def test_a_sender_that_dies_before_it_marks_sends_the_same_message_again(mailing, lab, monkeypatch):
    place(lab["furnace"])
    first: list[EmailMessage] = []

    def die(*_args, **_words):
        raise KeyboardInterrupt

    with sink() as server:
        reached = replace(mailing, smtp_url=server.url)
        deliver.run(reached, never)
        with monkeypatch.context() as patch:
            patch.setattr(invitations.invitations, "sent", die)
            with pytest.raises(KeyboardInterrupt):
                invitations.run(reached, never)
        first = [message for message in server.messages if calendar_part(message)]
    with db.transaction() as session:
        session.execute(update(Delivery).values(next_at=NOW - timedelta(days=1)))
    (again,) = post(mailing)
    assert again["Message-ID"] == first[0]["Message-ID"]
    assert said(again) == said(first[0])


def test_instruments_at_different_times_are_events_of_their_own(mailing, lab):
    with db.transaction() as session:
        press = make_instrument(session, code="PRESS", name_en="Press").id
    booking = place(lab["furnace"], press, apart=True)
    messages = post(mailing)
    assert sorted(said(message)[1] for message in messages) == [
        f"{booking.id}-{n}@yiqi.example.org" for n in (0, 1)
    ]
    move(booking, START, lab["furnace"])
    assert sorted((said(message)[0], said(message)[1]) for message in post(mailing)) == [
        ("CANCEL", f"{booking.id}-0@yiqi.example.org"),
        ("CANCEL", f"{booking.id}-1@yiqi.example.org"),
        ("REQUEST", f"{booking.id}@yiqi.example.org"),
    ]


def test_who_hands_a_booking_over_loses_it_from_the_calendar_and_the_other_gets_it(mailing, lab):
    booking = place(lab["furnace"])
    post(mailing)
    with db.transaction() as session:
        ask_for_invitations(session, cast.ben(session))
        offer = transfers.offer(
            session, actor=ada(session), booking_id=booking.id, to=cast.ben(session).id, note="", now=NOW
        )
        ben = cast.actor_of(session, cast.ben(session))
        transfers.accept(session, actor=ben, transfer_id=offer.id, now=NOW)
    got = {message["To"].addresses[0].addr_spec: said(message)[0::2] for message in post(mailing)}
    assert got == {"ada@example.org": ("CANCEL", 1), "ben@example.org": ("REQUEST", 1)}


def test_who_wants_no_more_invitations_hears_what_becomes_of_those_they_have(mailing, lab):
    booking = place(lab["furnace"])
    post(mailing)
    with db.transaction() as session:
        wishes = {(Topic.BOOKINGS, Channel.INVITATION): Pace.NEVER}
        notice_wishes.choose(session, actor=ada(session), wishes=wishes, quiet=None, now=NOW)
    place(lab["furnace"], start=START + timedelta(days=1))
    cancel(booking)
    assert [said(message)[0] for message in post(mailing)] == ["CANCEL"]


def test_an_outage_of_the_mail_server_keeps_them_all(mailing, lab):
    place(lab["furnace"])
    place(lab["furnace"], start=START + timedelta(days=1))
    with sink() as server:
        deliver.run(replace(mailing, smtp_url=server.url), never)
    with pytest.raises(mail.Unreachable):
        invitations.run(replace(mailing, smtp_url="smtp://127.0.0.1:1"), never)
    with db.transaction() as session:
        session.execute(update(Delivery).values(next_at=NOW - timedelta(days=1)))
    assert len(post(mailing)) == 2
