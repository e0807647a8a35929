"""Mail that comes in: instruments invited from any calendar, answers of calendars, and silence for strangers."""

import itertools
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from booking.domain.access import Actor, NotFound
from booking.domain.incoming_mail import BadMail, Doors, Incoming, is_vouched_for, parse
from booking.domain.invitations import Method
from booking.domain.lifecycle import State
from booking.domain.notices import Channel, Pace, Topic
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import (
    approvals,
    bookings,
    calendar_replies,
    invitations,
    mail_intake,
    meetings,
    notice_wishes,
    notifications,
    transfers,
)
from models import (
    Booking,
    CalendarQuestion,
    Event,
    Instrument,
    Invitation,
    QuestionKind,
    QuestionState,
)
from tests import cast, mails
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
START = datetime(2026, 11, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "a key for tests and for tests alone"
HOST, MAILBOX = "yiqi.example.org", "yiqi@lab.example.org"
DOORS = Doors(mailbox=MAILBOX, domain="lab.example.org", trusted="mx.lab.example.org", host=HOST, keys=(KEY,))
numbers = itertools.count(1)


@pytest.fixture
def furnace(session) -> Instrument:
    place = make_facility(session, name_en="Pilot platform")
    return make_instrument(session, facility=place, code="FURNACE", name_en="Vacuum furnace")


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


def receive(session, raw: bytes, *, recipient: str = "", doors: Doors = DOORS, now: datetime = NOW) -> str:
    return mail_intake.receive(session, mail=parse(raw, recipient=recipient), doors=doors, now=now)


def invite(
    session,
    program: str = "google",
    *,
    start: datetime = START,
    hours: float = 2,
    sequence: int = 0,
    minute: int = 0,
    changed: Sequence[tuple[str, str]] = (),
    code: str = "furnace",
    tag: str | None = None,
    doors: Doors = DOORS,
    now: datetime = NOW,
) -> str:
    """Let Ada invite the furnace from a calendar, by her secret address."""
    hers = meetings.tag(session, key=KEY, person_id=cast.ada(session).id)
    secret = hers if tag is None else tag
    raw = mails.message(
        f"{program}-request",
        start=start,
        end=start + hours * HOUR,
        address=f"{code}+{secret}@lab.example.org" if secret else f"{code}@lab.example.org",
        sequence=sequence,
        sent=NOW + timedelta(minutes=minute),
        message_id=str(next(numbers)),
        changed=tuple(changed),
    )
    return receive(session, raw, doors=doors, now=now)


def placed(session) -> list[tuple[str, str]]:
    rows = session.scalars(select(Booking).order_by(Booking.starts_at, Booking.created_at, Booking.id))
    return [(f"{row.starts_at:%d %H:%M}-{row.ends_at:%H:%M}", row.state.value) for row in rows]


def answers(session) -> list[dict[str, Any]]:
    """What was answered, message by message."""
    rows = session.scalars(select(Event).where(Event.kind == invitations.ANSWERED).order_by(Event.id))
    return [row.data for row in rows]


def said(session) -> list[str]:
    return [line["answer"] for line in answers(session)[-1]["dates"]]


# --- inviting an instrument -----------------------------------------------------------------------


@pytest.mark.parametrize("program", mails.PROGRAMS)
def test_an_invitation_from_any_calendar_books_moves_and_gives_up(session, furnace, ada, program):
    assert invite(session, program) == "answered"
    assert placed(session) == [("05 01:00-03:00", "confirmed")]
    assert said(session) == ["ACCEPTED"]
    booking = session.scalars(select(Booking)).one()
    assert (booking.person_id, booking.purpose) == (ada.person_id, "Sintering run")
    assert invite(session, program, start=START + 3 * HOUR, sequence=1, minute=1) == "answered"
    assert placed(session) == [("05 04:00-06:00", "confirmed")]
    given_up = [("METHOD:REQUEST", "METHOD:CANCEL"), ("SUMMARY", "STATUS:CANCELLED\r\nSUMMARY")]
    if program in {"google", "outlook"}:
        given_up = [("METHOD:REQUEST", "METHOD:CANCEL"), ("STATUS:CONFIRMED", "STATUS:CANCELLED")]
    assert (
        invite(session, program, start=START + 3 * HOUR, sequence=2, minute=2, changed=given_up)
        == "cancelled"
    )
    assert placed(session) == [("05 04:00-06:00", "cancelled")]
    assert len(answers(session)) == 2  # nobody answers a cancellation


def test_what_comes_twice_or_late_changes_nothing(session, furnace):
    invite(session, sequence=1, minute=5)
    assert invite(session, sequence=1, minute=5) == "stale"
    assert invite(session, sequence=0, minute=9, start=START + 5 * HOUR) == "stale"
    assert invite(session, sequence=1, minute=3, start=START + 5 * HOUR) == "stale"
    assert placed(session) == [("05 01:00-03:00", "confirmed")]
    assert len(answers(session)) == 1
    raw = mails.message("apple-request", start=START, end=START + HOUR, address="furnace@lab.example.org")
    assert receive(session, raw) == "unproven"
    assert receive(session, raw) == "seen"


def test_a_time_that_is_taken_is_declined_with_the_reason_and_what_is_free(session, furnace):
    ben = cast.actor_of(session, cast.ben(session))
    bookings.place(session, actor=ben, items=[Item(furnace.id, Span(START, START + HOUR))], now=NOW)
    assert invite(session) == "answered"
    (line,) = answers(session)[-1]["dates"]
    assert line["answer"] == "DECLINED"
    assert [reason["code"] for reason in line["reasons"]] == ["taken"]
    assert line["instead"][0]["instrument"] == "FURNACE"
    assert placed(session) == [("05 01:00-02:00", "confirmed")]


def test_a_move_that_cannot_be_leaves_the_booking_where_it_was(session, furnace):
    invite(session)
    ben = cast.actor_of(session, cast.ben(session))
    later = Item(furnace.id, Span(START + 5 * HOUR, START + 7 * HOUR))
    bookings.place(session, actor=ben, items=[later], now=NOW)
    invite(session, start=START + 5 * HOUR, sequence=1, minute=1)
    (line,) = answers(session)[-1]["dates"]
    assert (line["answer"], line["now"]) == (
        "DECLINED",
        [START.isoformat(), (START + 2 * HOUR).isoformat()],
    )
    assert ("05 01:00-03:00", "confirmed") in placed(session)
    # The next message about it moves the same booking.
    invite(session, start=START + 8 * HOUR, sequence=2, minute=2)
    assert said(session) == ["ACCEPTED"]
    assert ("05 01:00-03:00", "confirmed") not in placed(session)


def test_what_needs_approval_is_tentative_until_somebody_says_yes(session, furnace):
    furnace.approval_required = True
    session.flush()
    invite(session)
    assert said(session) == ["TENTATIVE"]
    notifications.dispatch(session, remind=(), now=NOW)
    told = [one for one in sent_to_calendars(session) if isinstance(one, invitations.Answered)]
    assert [one.data["dates"][0]["answer"] for one in told] == ["TENTATIVE"]
    booking = session.scalars(select(Booking)).one()
    tam = cast.actor_of(session, cast.tam(session, furnace.facility))
    approvals.approve(session, actor=tam, booking_id=booking.id, now=NOW)
    notifications.dispatch(session, remind=(), now=NOW)
    (later,) = sent_to_calendars(session)
    assert later.data["dates"][0]["answer"] == "ACCEPTED"
    bookings.cancel(session, actor=tam, booking_id=booking.id, reason="The pump is broken", now=NOW)
    notifications.dispatch(session, remind=(), now=NOW)
    (last,) = sent_to_calendars(session)
    assert (last.data["dates"][0]["answer"], last.data["uid"]) == (
        "DECLINED",
        "4q1v8h3l0a7k2m5n9p@google.com",
    )


def sent_to_calendars(session) -> list[Any]:
    """Let all that waits for calendars leave, and give it."""
    session.flush()
    claimed = notifications.claim_due(session, now=NOW, limit=100, channels=(Channel.INVITATION,))
    found = []
    for delivery_id in claimed:
        for parcel in invitations.parcels(session, delivery_id=delivery_id, host=HOST):
            invitations.sent(session, parcel=parcel, now=NOW)
            found.append(parcel)
        notifications.sent(session, delivery_id=delivery_id, now=NOW)
    session.flush()
    return found


def test_a_booking_made_by_a_meeting_is_not_mailed_as_another_one(session, furnace, ada):
    want_invitations(session, ada)
    invite(session)
    notifications.dispatch(session, remind=(), now=NOW)
    assert [type(parcel).__name__ for parcel in sent_to_calendars(session)] == ["Answered"]


def want_invitations(session, actor) -> None:
    wishes = {(Topic.BOOKINGS, Channel.INVITATION): Pace.AT_ONCE}
    notice_wishes.choose(session, actor=actor, wishes=wishes, quiet=None, now=NOW)


# --- meetings that repeat -------------------------------------------------------------------------

WEEKLY = (("SEQUENCE:", "RRULE:FREQ=WEEKLY;COUNT=3\r\nSEQUENCE:"),)


def test_a_meeting_that_repeats_is_judged_date_by_date(session, furnace):
    ben = cast.actor_of(session, cast.ben(session))
    second = START + timedelta(weeks=1)
    bookings.place(session, actor=ben, items=[Item(furnace.id, Span(second, second + HOUR))], now=NOW)
    assert invite(session, "thunderbird", changed=WEEKLY) == "answered"
    assert said(session) == ["ACCEPTED", "DECLINED", "ACCEPTED"]
    assert [line["recurrence"] for line in answers(session)[-1]["dates"]] == [
        "20261105T010000Z",
        "20261112T010000Z",
        "20261119T010000Z",
    ]
    assert placed(session) == [
        ("05 01:00-03:00", "confirmed"),
        ("12 01:00-02:00", "confirmed"),
        ("19 01:00-03:00", "confirmed"),
    ]


def test_one_date_is_moved_another_is_taken_out_and_the_whole_given_up(session, furnace):
    invite(session, "apple", changed=WEEKLY)
    moved = (("SEQUENCE:", "RECURRENCE-ID;TZID=Asia/Shanghai:20261112T090000\r\nSEQUENCE:"),)
    assert (
        invite(session, "apple", start=START + timedelta(days=8), sequence=1, minute=1, changed=moved)
        == "answered"
    )
    out = (
        ("SEQUENCE:", "RRULE:FREQ=WEEKLY;COUNT=3\r\nEXDATE;TZID=Asia/Shanghai:20261119T090000\r\nSEQUENCE:"),
    )
    invite(session, "apple", sequence=2, minute=2, changed=out)
    assert sorted(placed(session)) == [
        ("05 01:00-03:00", "confirmed"),
        ("12 01:00-03:00", "confirmed"),
        ("19 01:00-03:00", "cancelled"),
    ]
    assert (
        invite(session, "apple", sequence=3, minute=3, changed=(*WEEKLY, ("METHOD:REQUEST", "METHOD:CANCEL")))
        == "cancelled"
    )
    assert {state for _, state in placed(session)} == {"cancelled"}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("FREQ=WEEKLY", "meeting_too_many"),
        ("FREQ=DAILY;COUNT=100", "meeting_too_many"),
        ("FREQ=WEEKLY;UNTIL=20400101T000000Z", "meeting_too_many"),
        ("FREQ=MINUTELY;COUNT=3", "meeting_unreadable"),
        ("FREQ=SECONDLY", "meeting_unreadable"),
    ],
)
def test_a_meeting_without_an_end_or_beyond_reason_books_nothing_and_says_so(session, furnace, rule, code):
    changed = (("SEQUENCE:", f"RRULE:{rule}\r\nSEQUENCE:"),)
    invite(session, "apple", changed=changed)
    assert placed(session) == []
    if code == "meeting_too_many":
        (line,) = answers(session)[-1]["dates"]
        assert (line["answer"], [reason["code"] for reason in line["reasons"]]) == ("DECLINED", [code])


def test_a_whole_day_is_that_of_the_facility(session, furnace):
    changed = (
        ("DTSTART;TZID=Asia/Shanghai:{local_start}", "DTSTART;VALUE=DATE:20261105"),
        ("DTEND;TZID=Asia/Shanghai:{local_end}", "DTEND;VALUE=DATE:20261106"),
    )
    invite(session, "apple", changed=changed)
    booking = session.scalars(select(Booking)).one()
    assert (booking.starts_at, booking.ends_at) == (
        datetime(2026, 11, 4, 16, tzinfo=UTC),
        datetime(2026, 11, 5, 16, tzinfo=UTC),
    )


# --- who it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        (("From: Ada <ada@example.org>", "From: Eve <eve@example.com>"),),
        (("From: Ada <ada@example.org>", "From: Ada <ada@example.org>, Eve <eve@example.com>"),),
        (("From: Ada <ada@example.org>", "From: Ada <ada@example.org>\r\nFrom: Eve <eve@example.com>"),),
        (("From: Ada <ada@example.org>", 'From: "ada@example.org" <eve@example.com>'),),
    ],
)
def test_strangers_get_silence(session, furnace, changed):
    assert invite(session, changed=changed) == "stranger"
    assert (placed(session), answers(session)) == ([], [])
    assert mail_intake.counts(session) == {"stranger": 1}


def test_an_address_that_was_never_verified_is_a_stranger(session, furnace):
    cast.ada(session).email_confirmed_at = None
    session.flush()
    assert invite(session) == "stranger"


@pytest.mark.parametrize("tag", ["", "wrong", "aaaaaaaaaaaaaaaaaaaa"])
def test_without_her_secret_or_the_word_of_the_mail_server_nothing_is_booked(session, furnace, tag):
    assert invite(session, tag=tag) == "unproven"
    assert (placed(session), answers(session)) == ([], [])


def test_a_secret_that_was_renewed_is_worth_nothing_any_more(session, furnace, ada):
    old = meetings.tag(session, key=KEY, person_id=ada.person_id)
    meetings.renew_tag(session, actor=ada, now=NOW)
    assert invite(session, tag=old) == "unproven"
    assert invite(session) == "answered"


def test_another_persons_secret_does_not_help(session, furnace):
    cleo = cast.cleo(session)
    assert invite(session, tag=meetings.tag(session, key=KEY, person_id=cleo.id)) == "unproven"


PASSED = "mx.lab.example.org; dkim=pass header.d=example.org; spf=pass smtp.mailfrom=ada@example.org"


@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        (PASSED, "answered"),
        ("mx.lab.example.org (amavis); dmarc=pass (p=none) header.from=example.org", "answered"),
        ("mx.lab.example.org; spf=pass smtp.mailfrom=bounce@example.org", "answered"),
        ("mx.lab.example.org; dkim=pass header.d=evil.example.com", "unproven"),
        ("mx.lab.example.org; dkim=fail header.d=example.org", "unproven"),
        ("mx.lab.example.org; dkim=none (dkim=pass header.d=example.org)", "unproven"),
        ("mx.lab.example.org; dkim=pass header.d=notexample.org", "unproven"),
        ("mx.evil.example.com; dkim=pass header.d=example.org", "unproven"),
        (f"mx.evil.example.com; none\r\nAuthentication-Results: {PASSED}", "unproven"),
    ],
)
def test_the_word_of_the_mail_server_counts_where_it_is_ours_and_about_the_sender(
    session, furnace, field, outcome
):
    head = (("MIME-Version: 1.0", f"Authentication-Results: {field}\r\nMIME-Version: 1.0"),)
    assert invite(session, tag="", changed=head) == outcome


def test_no_field_is_trusted_unless_the_settings_name_a_server():
    mail = Incoming(b"", "ada@example.org", (), (), PASSED)
    assert is_vouched_for(mail, "mx.lab.example.org")
    assert not is_vouched_for(mail, "")


def test_an_unpublished_instrument_is_none(session, furnace):
    furnace.published = False
    session.flush()
    invite(session)
    assert placed(session) == []


def test_the_mail_servers_word_on_the_recipient_counts_more_than_the_letters(session, furnace, ada):
    secret = meetings.tag(session, key=KEY, person_id=ada.person_id)
    raw = mails.message("apple-request", start=START, end=START + HOUR, address="list@lab.example.org")
    assert receive(session, raw, recipient=f"FURNACE+{secret}@lab.example.org") == "answered"


# --- answers to our invitations -------------------------------------------------------------------


@pytest.fixture
def invited(session, furnace, ada) -> Booking:
    """Ada's booking, of which her calendar knows."""
    want_invitations(session, ada)
    booking = bookings.place(
        session, actor=ada, items=[Item(furnace.id, Span(START, START + 2 * HOUR))], now=NOW
    )
    notifications.dispatch(session, remind=(), now=NOW)
    assert len(sent_to_calendars(session)) == 1
    return booking


def reply(
    session,
    booking: Booking,
    answer: str,
    name: str = "google-reply",
    *,
    tag: str | None = None,
    start: datetime = START,
    sequence: int = 0,
    minute: int = 0,
    changed: Sequence[tuple[str, str]] = (),
) -> str:
    secret = calendar_replies.reply_tag(KEY, booking.id, booking.person_id) if tag is None else tag
    raw = mails.message(
        name,
        start=start,
        end=start + 2 * HOUR,
        mailbox=f"yiqi+{secret}@lab.example.org" if secret else MAILBOX,
        uid=f"{booking.id}@{HOST}",
        answer=answer,
        sequence=sequence,
        sent=NOW + timedelta(minutes=minute),
        message_id=str(next(numbers)),
        changed=tuple(changed),
    )
    return receive(session, raw)


def question(session) -> CalendarQuestion | None:
    return session.scalars(
        select(CalendarQuestion).where(CalendarQuestion.state == QuestionState.OPEN)
    ).one_or_none()


@pytest.mark.parametrize("name", ["google-reply", "outlook-reply"])
def test_an_acceptance_is_noted(session, invited, name):
    assert reply(session, invited, "ACCEPTED", name) == "noted"
    row = session.scalars(select(Invitation)).one()
    assert row.answer == "ACCEPTED"
    assert question(session) is None
    assert placed(session) == [("05 01:00-03:00", "confirmed")]


@pytest.mark.parametrize("name", ["google-reply", "outlook-reply"])
def test_a_refusal_asks_and_cancels_nothing_by_itself(session, invited, ada, name):
    assert reply(session, invited, "DECLINED", name) == "asked"
    asked = question(session)
    assert asked.kind is QuestionKind.DECLINED
    assert asked.comment == ("The reactor is not ready." if name == "outlook-reply" else "")
    assert placed(session) == [("05 01:00-03:00", "confirmed")]
    calendar_replies.answer(session, actor=ada, question_id=asked.id, agrees=True, now=NOW)
    assert placed(session) == [("05 01:00-03:00", "cancelled")]
    assert calendar_replies.get(session, actor=ada, question_id=asked.id).state is QuestionState.DONE


def test_another_time_is_proposed_and_taken_by_the_same_rules(session, invited, ada, furnace):
    later = START + 4 * HOUR
    assert reply(session, invited, "DECLINED", "google-counter", start=later) == "asked"
    asked = question(session)
    assert (asked.kind, asked.starts_at) == (QuestionKind.COUNTERED, later)
    ben = cast.actor_of(session, cast.ben(session))
    rival = bookings.place(session, actor=ben, items=[Item(furnace.id, Span(later, later + HOUR))], now=NOW)
    with pytest.raises(Refused, match="taken"), session.begin_nested():
        calendar_replies.answer(session, actor=ada, question_id=asked.id, agrees=True, now=NOW)
    session.expire_all()
    bookings.cancel(session, actor=ben, booking_id=rival.id, now=NOW)
    calendar_replies.answer(session, actor=ada, question_id=asked.id, agrees=True, now=NOW)
    assert ("05 05:00-07:00", "confirmed") in placed(session)


def test_what_is_left_stays_and_what_was_changed_meanwhile_is_over(session, invited, ada, furnace):
    reply(session, invited, "DECLINED")
    first = question(session)
    calendar_replies.answer(session, actor=ada, question_id=first.id, agrees=False, now=NOW)
    assert placed(session) == [("05 01:00-03:00", "confirmed")]
    reply(session, invited, "DECLINED", minute=1)
    second = question(session)
    moved = [Item(furnace.id, Span(START + HOUR, START + 2 * HOUR))]
    bookings.change(session, actor=ada, booking_id=invited.id, version=None, items=moved, now=NOW)
    with pytest.raises(Refused, match="question_over"):
        calendar_replies.answer(session, actor=ada, question_id=second.id, agrees=True, now=NOW)


def test_who_accepts_after_all_is_asked_no_more(session, invited):
    reply(session, invited, "DECLINED")
    reply(session, invited, "ACCEPTED", minute=1)
    assert question(session) is None


def test_answers_out_of_order_and_of_an_older_invitation_are_stale(session, invited, ada, furnace):
    assert reply(session, invited, "ACCEPTED", minute=5) == "noted"
    assert reply(session, invited, "DECLINED", minute=3) == "stale"
    moved = [Item(furnace.id, Span(START + HOUR, START + 2 * HOUR))]
    bookings.change(session, actor=ada, booking_id=invited.id, version=None, items=moved, now=NOW)
    notifications.dispatch(session, remind=(), now=NOW)
    sent_to_calendars(session)
    assert reply(session, invited, "DECLINED", minute=9) == "stale"
    assert reply(session, invited, "DECLINED", minute=9, sequence=1) == "asked"


def test_a_forged_answer_may_make_us_ask_once_and_nothing_more(session, invited):
    assert reply(session, invited, "ACCEPTED", tag="wrong") == "unproven"
    assert session.scalars(select(Invitation)).one().answer == ""
    assert reply(session, invited, "DECLINED", tag="") == "asked"
    asked = question(session)
    assert session.scalars(select(Invitation)).one().answer == ""
    calendar_replies.answer(
        session, actor=cast.actor_of(session, cast.ada(session)), question_id=asked.id, agrees=False, now=NOW
    )
    assert reply(session, invited, "DECLINED", tag="", minute=1) == "asked"
    assert question(session) is None
    assert placed(session) == [("05 01:00-03:00", "confirmed")]


@pytest.mark.parametrize(
    "changed",
    [
        (("From: Ada <ada@example.org>", "From: Cleo <cleo@example.org>"),),
        ((":mailto:ada@example.org", ":mailto:ben@example.org"),),
    ],
)
def test_another_cannot_answer_for_her_not_even_by_the_address_that_she_got(session, invited, changed):
    cast.cleo(session)
    assert reply(session, invited, "DECLINED", changed=changed) == "stranger"
    assert question(session) is None


def test_nobody_else_learns_or_answers_what_she_is_asked(session, invited):
    reply(session, invited, "DECLINED")
    cleo = cast.actor_of(session, cast.cleo(session))
    for act in (
        lambda: calendar_replies.get(session, actor=cleo, question_id=question(session).id),
        lambda: calendar_replies.answer(
            session, actor=cleo, question_id=question(session).id, agrees=True, now=NOW
        ),
    ):
        with pytest.raises(NotFound):
            act()
    assert placed(session) == [("05 01:00-03:00", "confirmed")]


# --- what is sent never goes back -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_sequence_that_a_calendar_sees_only_rises(session, furnace, ada, seed):
    """Whatever happens to a booking, and however late its messages leave."""
    chance = random.Random(seed)
    ben = cast.actor_of(session, cast.ben(session))
    for actor in (ada, ben):
        want_invitations(session, actor)
    booking = bookings.place(session, actor=ada, items=[Item(furnace.id, Span(START, START + HOUR))], now=NOW)
    seen: dict[tuple[Any, str], tuple[int, Method]] = {}
    for step in range(25):
        owner = ada if booking.person_id == ada.person_id else ben
        other = ben if owner is ada else ada
        deed = chance.choice(
            ["move", "move", "hand over", "send", "purpose", "cancel" if step > 20 else "send"]
        )
        if booking.state is not State.CONFIRMED:
            deed = "send"
        if deed == "move":
            at = START + chance.randrange(1, 100) * HOUR
            items = [Item(furnace.id, Span(at, at + HOUR))]
            bookings.change(session, actor=owner, booking_id=booking.id, version=None, items=items, now=NOW)
        elif deed == "purpose":
            bookings.change(
                session, actor=owner, booking_id=booking.id, version=None, purpose=f"run {step}", now=NOW
            )
        elif deed == "hand over":
            offer = transfers.offer(
                session, actor=owner, booking_id=booking.id, to=other.person_id, note="", now=NOW
            )
            transfers.accept(session, actor=other, transfer_id=offer.id, now=NOW)
        elif deed == "cancel":
            bookings.cancel(session, actor=owner, booking_id=booking.id, now=NOW)
        else:
            notifications.dispatch(session, remind=(), now=NOW)
            for parcel in sent_to_calendars(session):
                key = parcel.person.id, parcel.uid
                before = seen.get(key)
                assert before is None or parcel.sequence > before[0]
                assert before is None or parcel.method is Method.REQUEST or before[1] is Method.REQUEST
                seen[key] = parcel.sequence, parcel.method
        booking = bookings.get(session, actor=owner if deed != "hand over" else other, booking_id=booking.id)
    assert seen


# --- what is hostile ------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    head = b"From: Ada <ada@example.org>\r\nMessage-ID: <n@example.org>\r\n"
    for n in range(depth):
        head += b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
    return head + b"\r\nend"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"From: Ada <ada@example.org>\r\n\r\n" + b"x" * 10_000_000, "too_large"),
        (nested(5000), "nested"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 500, "nested"),
    ],
)
def test_a_message_that_is_too_much_is_not_looked_into(raw, code):
    begun = time.process_time()
    with pytest.raises(BadMail, match=code):
        parse(raw)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: \xff\xff@\xff\r\nTo: " + b"a@b.c," * 50_000 + b"\r\n\r\n",
        b"From: =?x-unknown?b?////?= <ada@example.org>\r\nContent-Type: text/calendar; charset=x-none\r\n\r\nBEGIN",
        b"From: Ada <ada@example.org>\r\nContent-Type: text/calendar\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n--x--",
        b"From:" + b" " * 500_000 + b"x\r\n\r\n",
    ],
)
def test_a_broken_message_is_read_as_far_as_it_goes(session, raw):
    begun = time.process_time()
    assert receive(session, raw) in {"stranger", "no_calendar", "unreadable"}
    assert time.process_time() - begun < 5


@given(st.binary(max_size=600))
def test_no_octets_break_the_parser(raw):
    parse(b"From: Ada <ada@example.org>\r\n" + raw)


def test_a_calendar_in_a_chinese_charset_is_read(session, furnace):
    changed = (("Sintering run", "烧结试验"),)
    secret = meetings.tag(session, key=KEY, person_id=cast.ada(session).id)
    raw = mails.message(
        "apple-request",
        start=START,
        end=START + HOUR,
        address=f"furnace+{secret}@lab.example.org",
        changed=changed,
    )
    raw = raw.decode().replace("charset=utf-8", "charset=gb18030").encode("gb18030")
    assert receive(session, raw) == "answered"
    assert session.scalars(select(Booking)).one().purpose == "烧结试验"


def test_our_own_invitation_that_comes_back_to_the_instrument_books_nothing(session, invited):
    changed = (("UID:4q1v8h3l0a7k2m5n9p@google.com", f"UID:{invited.id}@{HOST}"),)
    assert invite(session, changed=changed, start=START + 5 * HOUR) == "ignored"
    assert len(placed(session)) == 1
