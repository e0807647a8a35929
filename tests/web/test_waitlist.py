"""Pages of the waitlist and the hold of the booking form, as a browser without JavaScript meets them."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from booking import db
from booking.domain.occupation import Kind
from booking.domain.one_time import address
from booking.jobs import waitlist as job
from booking.services import bookings
from models import Booking, EntryState, Hold, Occupation, OneTimeLink, WaitlistEntry
from tests import cast
from tests.web import browsing
from tests.web.lab import Lab, at, text_of, typed

FORM = {"quantity": "1", "shown": "1"}


@pytest.fixture
def lab(app) -> Lab:
    return Lab(app)


def booked_by_ada(lab: Lab) -> UUID:
    return lab.book("ada", "SEM", at(9), at(11))


def free(lab: Lab, booking_id: UUID) -> None:
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        bookings.cancel(session, actor=ada, booking_id=booking_id, now=datetime.now(UTC))


def turn(lab: Lab, now: datetime | None = None) -> None:
    job.turn("the key", lambda: False, now=now or datetime.now(UTC))


def in_line(lab: Lab, name: str = "cleo") -> None:
    answer = lab.send(name, "/bookings/new", instrument="SEM", join="1", **typed(at(9), at(11)), **FORM)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/waitlist")


def offered(lab: Lab) -> tuple[str, str]:
    """Let Cleo be offered Ada's time; give the addresses of the offer's answer, by page and by mail."""
    booking_id = booked_by_ada(lab)
    in_line(lab)
    free(lab, booking_id)
    turn(lab)
    page = lab.get("cleo", "/waitlist").text
    found = re.search(r'action="(/offers/[^"]+/answer)"', page)
    with db.reading() as session:
        link = session.scalars(select(OneTimeLink)).one()
    return found[1], address("", "answer_offer", "the key", link.id)


def entry() -> WaitlistEntry:
    with db.reading() as session:
        return session.scalars(select(WaitlistEntry)).one()


# --- the hold of the form -------------------------------------------------------------------------


def test_checking_the_form_holds_its_time_and_booking_takes_it(lab):
    wish = {"instrument": "SEM", **typed(at(9), at(11)), **FORM}
    page = lab.send("cleo", "/bookings/new", check="1", **wish).text
    assert "Held for you until" in text_of(page)
    assert "already taken" in text_of(lab.send("ben", "/bookings/new", check="1", **wish).text)
    renewal = re.search(r'name="renew" value="([^"]+)"', page)[1]
    page = lab.send("cleo", "/bookings/new", renew=renewal, **wish).text
    assert "Held for you until" in text_of(page)
    assert 'name="renew"' not in page
    assert lab.send("cleo", "/bookings/new", **wish).status_code == 303
    with db.reading() as session:
        assert [row.kind for row in session.scalars(select(Occupation))] == [Kind.BOOKING]


def test_a_page_that_is_only_looked_at_holds_nothing(lab):
    lab.get("cleo", "/bookings/new?instrument=SEM")
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Hold)) == 0


def test_the_open_form_takes_renews_and_gives_back(lab):
    wish = {"instrument": "SEM", "quantity": "1", **typed(at(9), at(11))}
    held = lab.send("cleo", "/holds", **wish)
    assert held.status_code == 200
    hold_id = re.search(r'data-held="([^"]+)"', held.text)[1]
    assert int(re.search(r'data-seconds="(\d+)"', held.text)[1]) in range(290, 301)
    assert 'name="renew"' in held.text
    assert lab.send("ben", "/holds", **wish).text.strip() == ""
    assert lab.send("ben", "/holds", **wish, renew=hold_id).text.strip() == ""
    assert 'name="renew"' not in lab.send("cleo", "/holds", **wish, renew=hold_id).text
    assert lab.send("cleo", "/holds", **wish, release=hold_id).text.strip() == ""
    assert "data-held" in lab.send("ben", "/holds", **wish).text


def test_the_form_holds_what_a_change_lacks(lab):
    booking_id = lab.book("cleo", "SEM", at(9), at(11))
    wish = {"instrument": "SEM", "quantity": "1", **typed(at(10), at(12))}
    assert "data-held" in lab.send("cleo", "/holds", booking=str(booking_id), **wish).text
    with db.reading() as session:
        row = session.scalars(select(Occupation).where(Occupation.kind == Kind.HOLD)).one()
    assert (row.starts_at, row.ends_at) == (at(11), at(12))


def test_a_visitor_holds_nothing(lab):
    client = lab.app.test_client()
    sent = {"csrf_token": browsing.csrf_token(client), "instrument": "SEM", **typed(at(9), at(11))}
    assert client.post("/holds", data=sent).headers["Location"].startswith("/sign-in")


# --- waiting --------------------------------------------------------------------------------------


def test_a_refused_form_offers_the_line_with_one_click(lab):
    booked_by_ada(lab)
    page = lab.send("cleo", "/bookings/new", instrument="SEM", **typed(at(9), at(11)), **FORM)
    assert page.status_code == 409
    assert 'name="join" value="1"' in page.text
    in_line(lab)
    assert "You are next" in text_of(lab.get("cleo", "/waitlist").text)
    in_line(lab, "ben")
    assert "1 person is before you" in text_of(lab.get("ben", "/waitlist").text)


def test_what_waiting_does_not_help_offers_no_line(lab):
    page = lab.send("cleo", "/bookings/new", instrument="SEM", **typed(at(9), at(9, 10)), **FORM)
    assert page.status_code == 409
    assert 'name="join"' not in page.text


def test_an_offer_is_taken_on_the_page(lab):
    where, _link = offered(lab)
    done = lab.send("cleo", where, answer="accept")
    assert done.status_code == 303
    assert "Booked. The time is yours." in text_of(lab.get("cleo", done.headers["Location"]).text)
    assert lab.send("cleo", where, answer="accept").headers["Location"] == done.headers["Location"]
    assert "Booked" in text_of(lab.get("cleo", "/waitlist").text)


def test_an_offer_let_pass_goes_on(lab):
    where, _link = offered(lab)
    assert lab.send("cleo", where, answer="decline").headers["Location"] == "/waitlist"
    assert entry().state.value == "left"
    page = lab.send("cleo", where, answer="accept")
    assert page.status_code == 409
    assert "This offer was declined already." in text_of(page.text)


def test_nobody_answers_the_offer_of_another(lab):
    where, _link = offered(lab)
    assert lab.send("ben", where, answer="accept").status_code == 404
    assert entry().state.value == "offered"


def test_the_link_of_the_mail_answers_without_signing_in_and_looking_does_not(lab):
    _where, link = offered(lab)
    client = lab.app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    for _ in range(2):
        page = client.get(link)
        assert "Take it" in text_of(page.text)
    assert entry().state.value == "offered"
    token = browsing.csrf_token(client)
    done = client.post(link, data={"csrf_token": token, "answer": "accept"})
    assert "Booked. The time is yours." in text_of(done.text)
    assert lab.count() == 2
    again = client.post(link, data={"csrf_token": token, "answer": "decline"})
    assert (again.status_code, lab.count()) == (409, 2)
    assert "This offer was taken already." in text_of(client.get(link).text)
    with db.reading() as session:
        booking = session.scalars(select(Booking).order_by(Booking.id.desc()).limit(1)).one()
        assert booking.person_id == lab.people["cleo"]


def test_a_guessed_link_tells_nothing(lab):
    _where, link = offered(lab)
    answer = lab.app.test_client().get(link[:-3] + "abc")
    assert answer.status_code == 404
    assert "Microscope" not in answer.text


def test_a_flexible_wish_by_the_form(lab):
    first = at(9).date() - timedelta(days=1)
    wish = {
        "instrument": "",
        "q": "microscope",
        "category": "",
        "capability": "",
        "facility": "LAB",
        "first": first.isoformat(),
        "last": (first + timedelta(days=3)).isoformat(),
        "minutes": "120",
        "quantity": "1",
        "project": "",
        "purpose": "Films",
    }
    assert lab.get("cleo", "/waitlist/new", q="microscope").status_code == 200
    assert lab.send("cleo", "/waitlist/new", **wish).headers["Location"] == "/waitlist"
    assert "Matches 2 instruments now" in text_of(lab.get("cleo", "/waitlist").text)
    turn(lab)
    assert "Offered to you" in text_of(lab.get("cleo", "/waitlist").text)
    for wrong in (
        {"last": "2020-01-01"},
        {"q": "", "facility": ""},
        {"q": "nothing like it"},
        {"minutes": "x"},
    ):
        assert lab.send("cleo", "/waitlist/new", **wish | wrong).status_code == 422
    refused = lab.send("cleo", "/waitlist/new", **wish | {"quantity": "9"})
    assert refused.status_code == 409
    assert "you asked for 9" in text_of(refused.text)


def test_leaving_the_line(lab):
    booked_by_ada(lab)
    in_line(lab)
    where = re.search(r'action="(/waitlist/[^"]+/leaving)"', lab.get("cleo", "/waitlist").text)[1]
    assert lab.send("ben", where).status_code == 404
    assert lab.send("cleo", where).status_code == 303
    assert "Given up" in text_of(lab.get("cleo", "/waitlist").text)


def test_the_manager_sees_the_line_and_changes_its_order_with_a_reason(lab):
    booked_by_ada(lab)
    in_line(lab)
    page = lab.get("tam", "/waitlist/facility").text
    assert "Cleo" in text_of(page)
    where = re.search(r'action="(/waitlist/[^"]+/rank)"', page)[1]
    wrong = lab.send("tam", where, priority="50", reason="", facility="LAB")
    assert wrong.status_code == 422
    assert lab.send("tam", where, priority="50", reason="Urgent run", facility="LAB").status_code == 303
    assert entry().priority == 50
    assert lab.send("cleo", where, priority="1", reason="Mine first", facility="LAB").status_code == 403
    assert lab.get("cleo", "/waitlist/facility").status_code == 403
    lab.add_operator()
    page = lab.get("ben", "/waitlist/facility").text
    assert "Cleo" in text_of(page)
    assert "/rank" not in page


def test_a_wish_of_two_stretches_of_days_is_booked_at_once_and_stands_on_the_page(lab):
    page = lab.get("cleo", "/waitlist/new?instrument=SEM").text
    assert "Ask me: it is kept for me while I answer" in text_of(page)
    days = [(datetime.now(UTC) + timedelta(days=number)).date().isoformat() for number in (3, 5, 9, 10)]
    wish = {"instrument": "SEM", "minutes": "120", "quantity": "1", "found": "book", "may_move": "1"}
    wish |= dict(zip(("first2", "last2", "first", "last"), days, strict=True))
    answer = lab.send("cleo", "/waitlist/new", **wish)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/waitlist")
    row = entry()
    assert (len(row.windows), row.at_once, row.may_move) == (2, True, True)
    shown = text_of(lab.get("cleo", "/waitlist").text)
    assert "My wishes" in shown
    assert "Booked at once when it is found" in shown
    turn(lab)
    row = entry()
    assert row.booking_id is not None
    assert f"/bookings/{row.booking_id}" in lab.get("cleo", "/waitlist").text


def test_days_that_make_no_sense_are_said_at_their_field(lab):
    wish = {
        "instrument": "SEM",
        "minutes": "120",
        "quantity": "1",
        "first": "2030-03-01",
        "last": "2030-03-03",
    }
    answer = lab.send("cleo", "/waitlist/new", **wish, first2="2030-03-09", last2="2030-03-05")
    assert answer.status_code == 422
    assert "Error" in answer.text
    assert 'id="last2"' in answer.text
    missing = lab.send("cleo", "/waitlist/new", **wish, first2="2030-03-09", last2="")
    assert missing.status_code == 422


def test_why_nothing_is_found_yet_is_told_when_asked(lab):
    booked_by_ada(lab)
    in_line(lab)
    page = lab.get("cleo", "/waitlist").text
    asking = re.search(r'href="(/waitlist\?why=[^"#]+)', page)[1]
    assert "Every start" not in text_of(page)
    told = text_of(lab.get("cleo", asking).text)
    assert "Every start in your window is taken (universities: 1)." in told
    assert "The next time that you could have: SEM" in told
    assert "Every start" not in text_of(lab.get("ada", asking).text)


def test_a_wish_that_is_over_says_why_on_the_page(lab):
    booked_by_ada(lab)
    in_line(lab)
    with db.transaction() as session:
        row = session.scalars(select(WaitlistEntry)).one()
        row.state, row.ended_at = EntryState.LAPSED, datetime.now(UTC)
        row.reasons = [{"code": "taken_by", "kinds": {"university": 1}, "closures": 0}]
    assert "Every start in your window is taken (universities: 1)." in text_of(
        lab.get("cleo", "/waitlist").text
    )
