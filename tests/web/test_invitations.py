"""Pages around calendars: invitations chosen, what a calendar said answered, addresses of instruments."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from booking import db
from booking.domain.incoming_mail import Doors, parse
from booking.domain.lifecycle import State
from booking.domain.one_time import address
from booking.services import invitations, mail_intake, notifications
from booking.services.calendar_replies import reply_tag
from models import Booking, CalendarQuestion, NoticeWish, OneTimeLink, QuestionState
from tests import mails
from tests.web.lab import Lab, at, text_of

MAILBOX, DOMAIN = "yiqi@lab.example.org", "lab.example.org"


@pytest.fixture
def lab(make_app, sqlite_url) -> Lab:
    return Lab(make_app(sqlite_url, reply_mailbox=MAILBOX, mail_domain=DOMAIN))


def invited(lab: Lab) -> UUID:
    """Ada asks for invitations, books, and her calendar is told."""
    lab.send("ada", "/account/notices", **{"bookings-invitation": "at_once"})
    booking_id = lab.book("ada", "SEM", at(9), at(11))
    now = datetime.now(UTC)
    with db.transaction() as session:
        notifications.dispatch(session, remind=(), now=now)
        (delivery_id,) = notifications.claim_due(session, now=now, channels=("invitation",))
        for parcel in invitations.parcels(session, delivery_id=delivery_id, host="yiqi.local"):
            invitations.sent(session, parcel=parcel, now=now)
    return booking_id


def says(lab: Lab, booking_id: UUID, answer: str, name: str = "outlook-reply", hour: int = 9) -> None:
    """Let Ada's calendar answer."""
    key = lab.app.config["SECRET_KEY"]
    raw = mails.message(
        name,
        start=at(hour),
        end=at(hour + 2),
        mailbox=f"yiqi+{reply_tag(key, booking_id, lab.people['ada'])}@lab.example.org",
        uid=f"{booking_id}@yiqi.local",
        answer=answer,
        sent=datetime.now(UTC),
        message_id=str(uuid4()),
    )
    doors = Doors(MAILBOX, DOMAIN, "", "yiqi.local", (key,))
    with db.transaction() as session:
        outcome = mail_intake.receive(session, mail=parse(raw), doors=doors, now=datetime.now(UTC))
    assert outcome in {"asked", "noted"}


def question() -> CalendarQuestion:
    with db.reading() as session:
        return session.scalars(select(CalendarQuestion)).one()


def state(booking_id: UUID) -> State:
    with db.reading() as session:
        return session.get_one(Booking, booking_id).state


# --- choosing -------------------------------------------------------------------------------------


def test_invitations_are_off_until_somebody_wants_them_and_off_again(lab):
    page = lab.get("ada", "/account/notices").text
    assert "Use this or the calendar address, not both" in page
    assert '<option value="never" selected>No, the calendar address is enough' in page
    lab.send("ada", "/account/notices", **{"bookings-invitation": "at_once"})
    assert '<option value="at_once" selected>Yes' in lab.get("ada", "/account/notices").text
    lab.send("ada", "/account/notices", **{"bookings-invitation": "never"})
    with db.reading() as session:
        assert session.scalars(select(NoticeWish)).all() == []


def test_only_ones_own_bookings_come_as_meetings(lab):
    answer = lab.send("ada", "/account/notices", **{"waitlist-invitation": "at_once"})
    assert answer.status_code == 422


def test_without_a_mailbox_nothing_is_offered(make_app, sqlite_url):
    plain = Lab(make_app(sqlite_url))
    assert "Meetings in my calendar" not in plain.get("ada", "/account/notices").text
    assert "from your own calendar" not in plain.get("ada", "/instruments/SEM").text


# --- addresses ------------------------------------------------------------------------------------


def shown(lab: Lab, name: str) -> str:
    words = text_of(lab.get(name, "/instruments/SEM").text)
    return words.partition("by the same rules and answers: ")[2].partition(" ")[0]


def test_each_reads_an_address_that_is_theirs_and_visitors_none(lab):
    hers, his = shown(lab, "ada"), shown(lab, "ben")
    assert hers.startswith("sem+")
    assert hers.endswith("@lab.example.org")
    assert hers != his
    assert "from your own calendar" not in lab.app.test_client().get("/instruments/SEM").text
    lab.send("ada", "/account/mail-secret")
    assert shown(lab, "ada") not in {hers, ""}
    assert shown(lab, "ben") == his


def test_where_the_mail_server_vouches_the_address_is_plain(make_app, sqlite_url):
    lab = Lab(make_app(sqlite_url, mail_domain=DOMAIN, mail_trusted="mx.lab.example.org"))
    assert shown(lab, "ada") == "sem@lab.example.org"
    assert "sem@lab.example.org" in lab.get("ada", "/instruments/SEM/week").text
    assert "Make my addresses new" not in lab.get("ada", "/account/notices").text


def test_no_secret_hangs_on_the_wall(lab):
    page = lab.get("ada", "/instruments/SEM/week").text
    assert "its page shows you the address" in page
    assert "sem+" not in page


# --- what a calendar said -------------------------------------------------------------------------


def test_the_booking_says_what_the_calendar_said(lab):
    booking_id = invited(lab)
    assert "Mailed to the calendar, not answered there" in lab.get("ada", f"/bookings/{booking_id}").text
    says(lab, booking_id, "ACCEPTED")
    page = text_of(lab.get("ada", f"/bookings/{booking_id}").text)
    assert page.count("Accepted in the calendar") == 2  # beside the calendar, and in the history


def test_who_declines_is_asked_in_the_inbox_and_on_the_booking_and_cancels_by_one_click(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "DECLINED")
    with db.transaction() as session:
        notifications.dispatch(session, remind=(), now=datetime.now(UTC))
    assert "Cancel it? You declined Microscope" in lab.get("ada", "/notices").text
    where = f"/calendar-questions/{question().id}"
    assert where in lab.get("ada", f"/bookings/{booking_id}").text
    page = lab.get("ada", where).text
    assert "The reactor is not ready." in page
    assert "Nothing has been cancelled." in page
    assert state(booking_id) is State.CONFIRMED
    assert lab.send("ada", where, answer="yes").headers["Location"].endswith(f"/bookings/{booking_id}")
    assert state(booking_id) is State.CANCELLED
    assert "This has been answered" in lab.get("ada", where).text


def test_who_proposes_another_time_moves_the_booking_by_one_click(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "DECLINED", "google-counter", hour=14)
    where = f"/calendar-questions/{question().id}"
    assert "14:00" in text_of(lab.get("ada", where).text)
    lab.send("ada", where, answer="yes")
    with db.reading() as session:
        assert session.get_one(Booking, booking_id).starts_at == at(14)


def test_a_move_that_a_rule_forbids_says_why_and_stays_a_question(lab):
    booking_id = invited(lab)
    lab.book("ben", "SEM", at(14), at(15))
    says(lab, booking_id, "DECLINED", "google-counter", hour=14)
    answer = lab.send("ada", f"/calendar-questions/{question().id}", answer="yes")
    assert answer.status_code == 409
    assert "This could not be done" in answer.text
    assert question().state is QuestionState.OPEN


def link(lab: Lab) -> str:
    with db.reading() as session:
        row = session.scalars(select(OneTimeLink).where(OneTimeLink.subject == str(question().id))).one()
    return address("", "answer_calendar", lab.app.config["SECRET_KEY"], row.id)


def test_the_link_of_the_letter_answers_without_signing_in_and_only_when_it_is_clicked(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "DECLINED")
    where, nobody = link(lab), lab.app.test_client()
    for _ in range(2):
        page = nobody.get(where)
        assert page.status_code == 200
        assert state(booking_id) is State.CONFIRMED
    token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    done = nobody.post(where, data={"csrf_token": token, "answer": "no"})
    assert "The booking stays as it is." in done.text
    assert state(booking_id) is State.CONFIRMED
    assert nobody.get(f"{where}x").status_code == 404


def test_outsiders_see_and_answer_nothing(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "DECLINED")
    where = f"/calendar-questions/{question().id}"
    for name in ("ben", "cleo", "tam"):
        assert lab.get(name, where).status_code == 404
        assert lab.send(name, where, answer="yes").status_code == 404
    assert state(booking_id) is State.CONFIRMED
    assert lab.send("ada", where, answer="maybe").status_code == 422


def test_a_booking_that_was_changed_since_cannot_be_answered_any_more(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "DECLINED")
    with db.transaction() as session:
        session.get_one(Booking, booking_id).sequence += 1
    where = f"/calendar-questions/{question().id}"
    assert "the booking was changed since" in lab.get("ada", where).text
    assert lab.send("ada", where, answer="yes").status_code == 409
    assert state(booking_id) is State.CONFIRMED


def test_the_metrics_count_what_came_in(lab):
    booking_id = invited(lab)
    says(lab, booking_id, "ACCEPTED")
    raw = b"From: Eve <eve@example.com>\r\n\r\nhello"
    doors = Doors(MAILBOX, DOMAIN, "", "yiqi.local", ("k",))
    with db.transaction() as session:
        mail_intake.receive(session, mail=parse(raw), doors=doors, now=datetime.now(UTC) - timedelta(days=1))
    page = lab.app.test_client().get("/metrics").text
    assert 'yiqi_mail_received{outcome="stranger"} 1.0' in page
    assert 'yiqi_mail_received{outcome="noted"} 1.0' in page
