"""At the instrument: the label, a fault from report to repair, credit, and a kiosk that belongs to nobody."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from booking import db, i18n
from booking.domain import badges
from booking.domain.credit import Deed
from booking.domain.lifecycle import State
from booking.services import credit
from booking.services.sign_in import hashed
from models import (
    Badge,
    Ban,
    Booking,
    Closure,
    CreditEntry,
    CreditRule,
    Fault,
    FaultState,
    Instrument,
    Kiosk,
)
from tests import cast
from tests.web import browsing
from tests.web.lab import Lab, at, quarter, text_of, value_of

HOUR = timedelta(hours=1)


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def begun(lab: Lab, name: str = "ada", code: str = "SEM", hours: int = 3) -> str:
    start = quarter()
    return str(lab.book(name, code, start, start + hours * HOUR, now=start - timedelta(days=1)))


def visitor(lab: Lab) -> FlaskClient:
    """A browser in which nobody signed in, of somebody who reads English."""
    client = lab.app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def rows(model) -> list:
    with db.reading() as session:
        return list(session.scalars(select(model)))


# --- the label and its page -----------------------------------------------------------------------


def test_a_label_leads_to_the_page_of_its_instrument(lab):
    svg = visitor(lab).get("/instruments/SEM/label.svg")
    assert (svg.status_code, svg.mimetype) == (200, "image/svg+xml")
    assert "Microscope" in svg.text
    png = visitor(lab).get("/instruments/SEM/label.png")
    assert png.data.startswith(b"\x89PNG")
    assert visitor(lab).get("/instruments/HIDDEN/label.png").status_code == 404


def test_the_sheet_of_labels_is_for_staff(lab):
    sheet = lab.get("tam", "/facilities/LAB/labels.pdf")
    assert (sheet.status_code, sheet.mimetype) == (200, "application/pdf")
    assert sheet.data.startswith(b"%PDF")
    assert lab.get("ada", "/facilities/LAB/labels.pdf").status_code == 403
    assert lab.get("tam", "/facilities/FAR/labels.pdf").status_code == 403


def test_a_visitor_sees_the_status_without_names_and_comes_back_after_signing_in(lab):
    begun(lab)
    page = visitor(lab).get("/i/SEM")
    assert page.status_code == 200
    said = text_of(page.text)
    assert "nobody has checked in" in said
    assert "Ada" not in said
    assert "/sign-in?next=/i/SEM" in page.text


def test_a_booking_from_check_in_to_check_out_at_the_instrument(lab):
    booking = begun(lab, hours=1)
    page = lab.get("ada", "/i/SEM").text
    assert "Check in" in text_of(page)
    answer = lab.send("ada", f"/bookings/{booking}/check-in", back="/i/SEM")
    assert answer.headers["Location"] == "/i/SEM"
    page = text_of(lab.get("ada", "/i/SEM").text)
    assert "In use until" in page
    assert "Check in" not in page
    before = lab.booking(booking).ends_at
    assert lab.send("ada", f"/bookings/{booking}/extension", back="/i/SEM").status_code == 303
    assert lab.booking(booking).ends_at == before + timedelta(minutes=15)
    lab.book("cleo", "SEM", before + timedelta(minutes=15), before + timedelta(minutes=75))
    refused = lab.send("ada", f"/bookings/{booking}/extension", back="/i/SEM")
    assert refused.status_code == 409
    assert "already taken" in refused.text
    assert lab.send("cleo", f"/bookings/{booking}/extension").status_code == 404
    assert lab.send("ada", f"/bookings/{booking}/check-out").status_code == 303
    assert lab.booking(booking).state is State.ENDED


def test_ones_own_list_asks_how_it_went_until_it_is_said(lab):
    booking = begun(lab, hours=1)
    for deed in ("check-in", "check-out"):
        assert lab.send("ada", f"/bookings/{booking}/{deed}").status_code == 303
    assert "How did it go?" in lab.get("ada", "/bookings?show=over").text
    said = {"rating": "5", "condition": "normal", "comment": ""}
    assert lab.send("ada", f"/bookings/{booking}/feedback", **said).status_code == 303
    assert "How did it go?" not in lab.get("ada", "/bookings?show=over").text


def test_who_checked_in_during_the_set_up_may_extend_at_once(lab):
    with db.transaction() as session:
        session.get_one(Instrument, lab.places["SEM"]).setup_minutes = 60
    start = quarter() + timedelta(minutes=30)
    booking = lab.book("ada", "SEM", start, start + HOUR, now=start - timedelta(days=1))
    assert "Extend" not in text_of(lab.get("ada", "/i/SEM").text)
    assert lab.send("ada", f"/bookings/{booking}/check-in", back="/i/SEM").status_code == 303
    assert "Extend" in text_of(lab.get("ada", "/i/SEM").text)
    assert lab.send("ada", f"/bookings/{booking}/extension", back="/i/SEM").status_code == 303
    assert lab.booking(booking).ends_at == start + HOUR + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("begins", "said"), [(30, "nobody has checked in"), (-90, "Being cleaned up until"), (120, "Free until")]
)
def test_set_up_and_clean_up_are_no_free_time(lab, begins, said):
    with db.transaction() as session:
        row = session.get_one(Instrument, lab.places["SEM"])
        row.setup_minutes = row.cleanup_minutes = 60
    start = quarter() + timedelta(minutes=begins)
    lab.book("ada", "SEM", start, start + HOUR, now=start - timedelta(days=1))
    assert said in text_of(visitor(lab).get("/i/SEM").text)


def test_the_next_free_hour_is_booked_as_it_was_shown(lab):
    page = lab.get("ada", "/i/SEM").text
    names = ("start_date", "start_time", "end_date", "end_time")
    sent = {name: value_of(page, name) for name in names}
    assert lab.send("ada", "/i/SEM/hour", **sent).status_code == 303
    (booking,) = rows(Booking)
    assert booking.ends_at - booking.starts_at == HOUR
    again = lab.send("cleo", "/i/SEM/hour", **sent)
    assert again.status_code == 409
    assert "already taken" in text_of(again.text)
    assert len(rows(Booking)) == 1


# --- faults ---------------------------------------------------------------------------------------


def test_a_fault_from_the_phone_to_the_repair(lab):
    booking = lab.book("cleo", "SEM", at(9), at(11))
    assert lab.send("ada", "/i/SEM/problem", text=" ").status_code == 422
    assert lab.send("ada", "/i/SEM/problem", text="Smoke!", stops_work="1").status_code == 303
    (fault,) = rows(Fault)
    inbox = lab.get("tam", "/faults").text
    assert "Smoke!" in text_of(inbox)
    sent = {"facility": "LAB", "answer": "Ordered a fan", "down": "1", "until_time": "09:30"}
    wrong = lab.send("tam", f"/faults/{fault.id}/confirmation", **sent, until_date="2020-01-01")
    assert wrong.status_code == 422
    assert '<a href="#until_date">' in wrong.text
    until = at(10).astimezone().date().isoformat()
    done = lab.send("tam", f"/faults/{fault.id}/confirmation", **sent, until_date=until)
    assert done.status_code == 303
    told = lab.get("tam", "/faults").text
    assert "1 booking stands in this time" in told
    (closure,) = rows(Closure)
    assert f"#closure-{closure.id}" in told
    assert f'action="/closures/{closure.id}/replan"' in told
    assert "out of order until" in text_of(lab.get("ada", "/instruments/SEM").text)
    assert "Out of order" in text_of(lab.get("ada", "/i/SEM").text)
    assert "Out of order" in text_of(lab.get("ada", "/instruments?q=microscope").text)
    assert "The facility has closed this time" in text_of(lab.get("cleo", f"/bookings/{booking}").text)
    late = lab.send("tam", f"/faults/{fault.id}/dismissal", facility="LAB", answer="no")
    assert late.status_code == 409
    assert "confirmed meanwhile" in late.text
    assert lab.send("tam", f"/faults/{fault.id}/mending", facility="LAB", answer="Fan").status_code == 303
    assert rows(Fault)[0].state is FaultState.MENDED
    assert "Out of order" not in text_of(lab.get("ada", "/i/SEM").text)
    history = text_of(lab.get("tam", "/faults", instrument="SEM").text)
    assert "Mended" in history


def test_a_manager_of_elsewhere_sees_no_reports(lab):
    lab.send("ada", "/i/FAR-1/problem", text="Far away")
    (fault,) = rows(Fault)
    assert lab.get("tam", "/faults", facility="FAR").status_code == 404
    assert lab.get("tam", "/faults", instrument="FAR-1").status_code == 404
    assert "Far away" not in lab.get("tam", "/faults").text
    assert lab.send("tam", f"/faults/{fault.id}/mending", facility="LAB").status_code == 403


# --- credit ---------------------------------------------------------------------------------------


def lose_points(lab: Lab, name: str = "ada") -> CreditEntry:
    booking = lab.book(name, "SEM", at(9), at(11))
    now = datetime.now(UTC)
    with db.transaction() as session:
        person = cast.actor_of(session, cast.ada(session))
        credit.note(
            session,
            actor=person,
            person_id=lab.people[name],
            facility_id=lab.facilities["LAB"],
            deed=Deed.NO_SHOW,
            booking_id=booking,
            at=now,
            now=now,
        )
    return rows(CreditEntry)[0]


def test_points_are_shown_drawn_and_appealed_against(lab):
    assert "Nothing is noted of you" in lab.get("ada", "/credit").text
    entry = lose_points(lab)
    page = lab.get("ada", "/credit").text
    assert "90 of at most 120 points" in text_of(page)
    assert re.search(r'<path class="course" d="M0 20H600V30H600"/>', page)
    assert lab.send("ada", f"/credit/{entry.id}/appeal", text="").status_code == 422
    assert lab.send("cleo", f"/credit/{entry.id}/appeal", text="x").status_code == 404
    assert lab.send("ada", f"/credit/{entry.id}/appeal", text="The door was shut").status_code == 303
    assert lab.send("ada", f"/credit/{entry.id}/appeal", text="Again").status_code == 409
    inbox = lab.get("tam", "/credit/facility").text
    assert "The door was shut" in inbox
    decide = f"/credit/appeals/{entry.id}/decision"
    assert lab.send("tam", decide, facility="LAB", decision="deny", answer="").status_code == 422
    assert lab.send("tam", decide, facility="LAB", decision="grant", answer="Sorry").status_code == 303
    page = text_of(lab.get("ada", "/credit").text)
    assert "100 of at most 120 points" in page
    assert "Sorry" in page


def test_a_manager_sets_points_and_bans(lab):
    rule = {"facility": "LAB", "deed": "late", "valid_from": (at(9, days=2)).date().isoformat()}
    assert lab.send("tam", "/credit/facility/rules", **rule, points="x").status_code == 422
    assert lab.send("tam", "/credit/facility/rules", **rule, points="-5").status_code == 303
    assert rows(CreditRule)[0].points == -5
    limit = {"facility": "LAB", "deed": "threshold", "valid_from": at(9, days=2).date().isoformat()}
    assert lab.send("tam", "/credit/facility/rules", **limit, ban_below="50").status_code == 422
    assert lab.send("tam", "/credit/facility/rules", **limit, ban_below="50", ban_days="7").status_code == 303
    lab.book("ada", "SEM", at(9), at(11))
    ban = {"facility": "LAB", "email": "ada@example.org", "reason": "Broke the stage"}
    yesterday, last = at(9, days=-1).date(), at(9, days=30).date()
    for day in (yesterday, date.max):
        assert lab.send("tam", "/credit/facility/bans", **ban, until=day.isoformat()).status_code == 422
    assert lab.send("tam", "/credit/facility/bans", **ban, until=last.isoformat()).status_code == 303
    page = lab.get("ada", "/credit").text
    assert "Broke the stage" in page
    (row,) = rows(Ban)
    assert row.ends_at == at(0, days=31)  # the day that was named is the last of it
    with i18n.use_locale("en"):
        assert f"{i18n.format_date(last)}, 24:00" in text_of(page)
    assert lab.send("ada", f"/credit/bans/{row.id}/lifting", facility="LAB").status_code == 403
    assert lab.send("tam", f"/credit/bans/{row.id}/lifting", facility="LAB", reason="Paid").status_code == 303
    assert rows(Ban)[0].lifted_at is not None


def test_points_of_all_facilities_are_set_and_ended_by_the_administrator(lab):
    today = at(9, days=0).date().isoformat()
    rule = {"deed": "late", "points": "-6", "ban_below": "", "ban_days": "", "valid_from": today}
    wrong = lab.send("root", "/credit/points", **rule | {"points": "x"})
    assert wrong.status_code == 422
    assert "Points: " in text_of(wrong.text)
    assert lab.send("root", "/credit/points", **rule).status_code == 303
    assert "Came late -6 All facilities" in text_of(lab.get("tam", "/credit/facility").text)
    own = rule | {"facility": "LAB", "points": "-1"}
    assert lab.send("tam", "/credit/facility/rules", **own).status_code == 303
    assert "Came late -1 This facility" in text_of(lab.get("tam", "/credit/facility").text)
    assert "Came late -6 All facilities" in text_of(lab.get("root", "/credit/points").text)
    assert lab.send("tam", "/credit/facility/rules/end", facility="LAB", deed="late").status_code == 303
    assert "Came late -6 All facilities" in text_of(lab.get("tam", "/credit/facility").text)
    assert lab.send("tam", "/credit/points/end", deed="late").status_code == 403
    assert lab.send("root", "/credit/points/end", deed="late").status_code == 303
    assert "Came late -2 Default of the system" in text_of(lab.get("tam", "/credit/facility").text)


# --- kiosks ---------------------------------------------------------------------------------------

BADGE, PIN = "04A2-2B91", "271828"


def address(lab: Lab, place: str = "") -> str:
    """Of a fresh kiosk, as its page tells it this once, to read and to scan."""
    client = lab.client("tam")
    typed = {"facility": "LAB", "name": "Room 204", "instrument": place}
    made = client.post("/kiosks", data={"csrf_token": browsing.csrf_token(client), **typed})
    assert made.status_code == 201
    assert 'aria-label="Room 204"' in made.text
    return "/kiosk/" + re.search(r"/kiosk/([\w-]+)", made.text)[1]


def set_badge(lab: Lab, name: str, **typed: str):
    return lab.send(name, "/account/badge", password=cast.PASSWORD, **{"number": "", "pin": ""} | typed)


def act(client: FlaskClient, where: str, act: str, key: str, **more: str):
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(where).text)[1]
    return client.post(where, data={"csrf_token": token, "act": act, "key": key, **more})


def test_the_address_of_a_kiosk_is_told_once_and_can_be_revoked(lab):
    where = address(lab)
    (kiosk,) = rows(Kiosk)
    assert kiosk.secret_hash == hashed(where.removeprefix("/kiosk/"))
    secret = where.removeprefix("/kiosk/")
    assert secret not in lab.get("tam", "/kiosks").text
    tablet = visitor(lab)
    assert tablet.get(where).status_code == 200
    assert lab.send("ada", f"/kiosks/{kiosk.id}/revocation").status_code == 403
    assert lab.send("tam", f"/kiosks/{kiosk.id}/revocation").status_code == 303
    assert tablet.get(where).status_code == 404
    assert tablet.get("/kiosk/guessed").status_code == 404


def test_with_a_badge_one_comes_and_goes_and_nobody_is_signed_in(lab):
    booking = begun(lab)
    assert set_badge(lab, "ada", number=BADGE).status_code == 303
    where, tablet = address(lab), visitor(lab)
    page = tablet.get(where).text
    assert "A." in text_of(page)
    assert "Ada" not in page
    assert act(tablet, where, "check_in", BADGE.lower(), booking=booking).status_code == 303
    assert lab.booking(booking).state is State.CHECKED_IN
    assert "A. is checked in until" in text_of(tablet.get(where).text)
    assert tablet.get("/bookings").status_code == 303  # to the page for signing in
    assert act(tablet, where, "check_out", BADGE, booking=booking).status_code == 303
    assert lab.booking(booking).state is State.ENDED


def test_a_pin_opens_ones_own_bookings_alone(lab):
    mine, other = begun(lab), begun(lab, "cleo", "SEM2")
    set_badge(lab, "ada", pin=PIN)
    where, tablet = address(lab), visitor(lab)
    refused = act(tablet, where, "check_in", PIN, booking=other)
    unknown = act(tablet, where, "check_in", "999999", booking=other)
    nobody = act(tablet, where, "hour", PIN, instrument="SEM")
    for answer in (refused, unknown, nobody):
        assert answer.status_code == 422
        assert "This badge or PIN does not open this" in answer.text
    assert act(tablet, where, "check_in", PIN, booking=mine).status_code == 303
    assert lab.booking(other).state is State.CONFIRMED


def test_what_a_kiosk_does_is_no_more_than_its_facility_and_its_person_may(lab):
    set_badge(lab, "ada", number=BADGE)
    set_badge(lab, "tam", number="TAMS-0001")
    far = begun(lab, "ada", "FAR-1")
    hers = begun(lab, "cleo", "SEM2")
    where, tablet = address(lab), visitor(lab)
    assert act(tablet, where, "check_in", BADGE, booking=far).status_code == 422
    assert act(tablet, where, "check_in", BADGE, booking=hers).status_code == 422
    assert act(tablet, where, "hour", BADGE, instrument="FAR-1").status_code == 422
    assert act(tablet, where, "hour", BADGE, instrument="HIDDEN").status_code == 422
    assert act(tablet, where, "cancel", BADGE, booking=hers).status_code == 422
    staff = act(tablet, where, "check_in", "TAMS-0001", booking=hers)
    assert staff.status_code == 303  # who works there checks people in
    only = address(lab, "SEM2")
    assert act(tablet, only, "hour", BADGE, instrument="SEM").status_code == 422


def test_at_a_kiosk_one_books_the_next_hour_and_reports(lab):
    set_badge(lab, "ada", number=BADGE)
    where, tablet = address(lab), visitor(lab)
    assert act(tablet, where, "hour", BADGE, instrument="SEM").status_code == 303
    (booking,) = rows(Booking)
    assert (booking.person_id, booking.ends_at - booking.starts_at) == (lab.people["ada"], HOUR)
    assert act(tablet, where, "problem", BADGE, instrument="SEM", text="").status_code == 422
    assert act(tablet, where, "problem", BADGE, instrument="SEM", text="It hums").status_code == 303
    assert rows(Fault)[0].text == "It hums"


def test_confidential_bookings_show_no_initials(lab):
    start = quarter()
    lab.book("cleo", "SEM", start, start + HOUR, now=start - timedelta(days=1), confidential=True)
    page = text_of(visitor(lab).get(address(lab)).text)
    assert "C." not in page
    assert "Taken" in page


def test_badges_and_pins_are_kept_as_hashes_and_belong_to_one(lab):
    easy = set_badge(lab, "ada", pin="123456")
    assert (easy.status_code, "This PIN is too easy to guess" in easy.text) == (422, True)
    assert set_badge(lab, "ada", number="x").status_code == 422
    wrong = lab.send("ada", "/account/badge", password="not hers", number=BADGE, pin="")
    assert wrong.status_code == 422
    assert rows(Badge) == []
    set_badge(lab, "ada", number=BADGE, pin=PIN)
    taken = set_badge(lab, "cleo", number=BADGE)
    assert taken.status_code == 422
    assert "already in use" in taken.text
    (badge,) = rows(Badge)
    assert badge.number_hash == badges.hashed(lab.app.config["SECRET_KEY"], BADGE)
    assert PIN not in badge.pin_hash
    assert set_badge(lab, "ada", forget="number").status_code == 303
    (badge,) = rows(Badge)
    assert (badge.number_hash, badge.pin_hash is None) == (None, False)


def test_a_manager_gives_a_badge_to_who_has_booked_there(lab):
    sent = {"facility": "LAB", "number": BADGE}
    unknown = lab.send("tam", "/kiosks/badges", **sent, email="ada@example.org")
    nobody = lab.send("tam", "/kiosks/badges", **sent, email="nobody@example.org")
    assert (unknown.status_code, nobody.status_code) == (422, 422)
    begun(lab)
    assert lab.send("tam", "/kiosks/badges", **sent, email="ada@example.org").status_code == 303
    assert rows(Badge)[0].person_id == lab.people["ada"]


def test_guessing_at_a_kiosk_ends_after_a_few_tries(make_app, sqlite_url):
    lab = Lab(make_app(sqlite_url, rate_limits=True))
    booking = begun(lab)
    set_badge(lab, "ada", pin=PIN)
    where, tablet = address(lab), visitor(lab)
    for n in range(5):
        assert act(tablet, where, "check_in", f"00000{n}", booking=booking).status_code == 422
    assert act(tablet, where, "check_in", PIN, booking=booking).status_code == 429
    assert lab.booking(booking).state is State.CONFIRMED


def test_a_form_of_another_site_does_nothing_at_a_kiosk(make_app, sqlite_url):
    lab = Lab(make_app(sqlite_url))
    booking = begun(lab)
    set_badge(lab, "ada", number=BADGE)
    where = address(lab)
    tablet = visitor(lab)
    answer = tablet.post(where, data={"act": "check_in", "key": BADGE, "booking": booking})
    assert answer.status_code == 400
    assert browsing.csrf_token(tablet)
    assert lab.booking(booking).state is State.CONFIRMED
