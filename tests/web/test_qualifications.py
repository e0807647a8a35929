"""The pages of qualifications: from the refusal to the request, and from the request to the grant."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from models import Certificate
from tests.web.lab import Lab, at, local, quarter, text_of, typed

DEFINITION = {
    "code": "LASER",
    "name_zh": "激光安全",
    "name_en": "Laser safety",
    "about_zh": "",
    "about_en": "Goggles on.",
    "months": "12",
}


@pytest.fixture
def lab(app: Flask) -> Lab:
    found = Lab(app)
    answer = found.send("tam", "/facilities/LAB/qualifications", **DEFINITION)
    assert answer.headers["Location"] == "/qualifications/LASER/keeping"
    return found


def want(lab: Lab, mode: str = "before_booking", code: str = "SEM") -> None:
    answer = lab.send("tam", "/qualifications/LASER/needs", instrument=code, category="", mode=mode)
    assert answer.status_code == 303


def plan(lab: Lab, seats: str = "1") -> str:
    sent = typed(at(9, days=3), at(11, days=3), seats=seats, place="Room 2")
    assert lab.send("tam", "/qualifications/LASER/sessions", **sent).status_code == 303
    page = lab.get("ada", "/qualifications/LASER").text
    return re.search(r'name="session"[^>]*value="([0-9a-f-]{36})"', page)[1]


def certificate(lab: Lab) -> Certificate:
    with db.reading() as session:
        return session.scalars(select(Certificate)).one()


def test_from_the_refusal_to_the_grant(lab):
    want(lab)
    training = plan(lab)
    form = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9)), end=local(at(10))).text
    assert "needs the qualification “Laser safety”, which is not held" in text_of(form)
    assert 'href="/qualifications/LASER"' in form
    assert "you do not hold it yet" in text_of(lab.get("ada", "/instruments/SEM").text)
    page = text_of(lab.get("ada", "/qualifications/LASER").text)
    for words in ("Goggles on.", "12 months", "Room 2", "1 seat free", "Before booking"):
        assert words in page
    asked = lab.send("ada", "/qualifications/LASER/requests", note="thesis", session=training)
    assert asked.headers["Location"] == "/qualifications"
    assert "Training to come" in lab.get("ada", "/qualifications").text
    inbox = text_of(lab.get("tam", "/facilities/LAB/qualifications").text)
    assert "Ada: Laser safety" in inbox
    assert "thesis" in inbox
    assert "Ada" in text_of(lab.get("tam", "/qualifications/LASER/keeping").text)
    granted = lab.send("tam", f"/certificates/{certificate(lab).id}/grant")
    assert granted.headers["Location"] == "/facilities/LAB/qualifications"
    assert "Granted: Ada, Laser safety." in lab.get("tam", "/facilities/LAB/qualifications").text
    assert "you hold it" in text_of(lab.get("ada", "/instruments/SEM").text)
    assert "Granted" in lab.get("ada", "/qualifications").text
    booked = lab.send("ada", "/bookings/new", instrument="SEM", quantity="1", **typed(at(9), at(10)))
    assert booked.status_code == 303


def test_a_full_session_is_not_offered_and_a_seat_is_not_taken_twice(lab):
    training = plan(lab)
    lab.send("ada", "/qualifications/LASER/requests", note="", session=training)
    refused = lab.send("ben", "/qualifications/LASER/requests", note="mine", session=training)
    assert refused.status_code == 409
    assert "The only seat of this training session is taken." in text_of(refused.text)
    assert "mine" in refused.text, "what was typed stays"
    assert training not in lab.get("ben", "/qualifications/LASER").text


def test_on_condition_the_form_and_the_booking_say_so(lab):
    want(lab, "before_start")
    form = text_of(
        lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9)), end=local(at(10))).text
    )
    assert "Free: you can book it now." in form
    assert "On condition of the qualification “Laser safety” for SEM" in form
    booking = lab.book("ada", "SEM", at(9), at(10))
    page = lab.get("ada", f"/bookings/{booking}").text
    assert "Still wanted before the start" in page


def test_refusing_and_taking_away_want_a_reason(lab):
    lab.send("ada", "/qualifications/LASER/requests", note="", session="")
    found = certificate(lab).id
    empty = lab.send("tam", f"/certificates/{found}/refusal", reason=" ")
    assert (empty.status_code, "Reason: This is needed." in text_of(empty.text)) == (422, True)
    assert lab.send("tam", f"/certificates/{found}/refusal", reason="No seat").status_code == 303
    page = text_of(lab.get("ada", "/qualifications").text)
    assert "Refused" in page
    assert "No seat" in page
    late = lab.send("tam", f"/certificates/{found}/revocation", reason="No seat")
    assert late.status_code == 409
    assert "This was decided meanwhile: “Refused”." in text_of(late.text)


def test_staff_grant_to_an_address_and_take_it_away(lab):
    sent = {"person": "ben@example.org", "granted_on": "", "expires_on": ""}
    unknown = lab.send("tam", "/qualifications/LASER/awards", **sent | {"person": "who@example.org"})
    assert (unknown.status_code, "This is the address of nobody whom you may choose." in unknown.text) == (
        422,
        True,
    )
    wrong = lab.send("tam", "/qualifications/LASER/awards", **sent | {"expires_on": "someday"})
    assert wrong.status_code == 422
    assert lab.send("tam", "/qualifications/LASER/awards", **sent).status_code == 303
    assert "ben@example.org" in lab.get("tam", "/facilities/LAB/qualifications").text
    assert (
        lab.send("tam", f"/certificates/{certificate(lab).id}/revocation", reason="fire").status_code == 303
    )
    assert "Taken away" in lab.get("ben", "/qualifications").text


def test_bookings_say_what_they_lack_until_it_is_given_again(lab):
    want(lab)
    award = {"person": "ada@example.org", "granted_on": "", "expires_on": ""}
    lab.send("tam", "/qualifications/LASER/awards", **award)
    booking = lab.book("ada", "SEM", at(9), at(10))
    warning = "As things stand, nobody can check in to this booking"
    for path in (f"/bookings/{booking}", "/bookings"):
        page = lab.get("ada", path).text
        assert warning not in page
        assert "Qualification lacking" not in page
    path = f"/certificates/{certificate(lab).id}/revocation"
    wrong = lab.send("tam", path, reason="fire", expires_on="2020-01-01")
    assert (wrong.status_code, "Ends on" in text_of(wrong.text)) == (422, True)
    early = at(9, days=3).date().isoformat()
    assert lab.send("tam", path, reason="fire", expires_on=early).status_code == 303
    page = text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert warning in page
    assert "before the day of use" in page
    assert "hand the booking over to a colleague who holds it" in page
    assert lab.send("tam", path, reason="fire").status_code == 303
    page = text_of(lab.get("tam", f"/bookings/{booking}").text)
    assert "SEM needs the qualification “Laser safety”: it was taken away." in page
    assert "hand the booking over to a colleague" not in page, "that is for its person to do"
    assert "Qualification lacking" in lab.get("ada", "/bookings").text
    lab.send("tam", "/qualifications/LASER/awards", **award)
    assert warning not in lab.get("ada", f"/bookings/{booking}").text


def test_the_desk_shows_who_may_not_begin_today(lab):
    now = quarter()
    lab.book("ada", "SEM", now, now + timedelta(hours=1), now=now - timedelta(days=9))
    assert "Qualification lacking" not in lab.get("tam", "/desk").text
    want(lab)
    assert "Qualification lacking" in lab.get("tam", "/desk").text


def test_one_takes_a_request_back(lab):
    lab.send("ada", "/qualifications/LASER/requests", note="", session="")
    assert lab.send("ada", f"/certificates/{certificate(lab).id}/withdrawal").status_code == 303
    assert "Withdrawn" in lab.get("ada", "/qualifications").text
    assert lab.send("ben", f"/certificates/{certificate(lab).id}/withdrawal").status_code == 404


def test_a_session_is_called_off_a_need_ended_and_the_whole_retired(lab):
    want(lab)
    training = plan(lab)
    lab.send("ada", "/qualifications/LASER/requests", note="", session=training)
    assert lab.send("tam", f"/training-sessions/{training}/cancellation", code="LASER").status_code == 303
    assert "Asked for" in lab.get("ada", "/qualifications").text
    keeping = lab.get("tam", "/qualifications/LASER/keeping").text
    rule = re.search(r"/qualifications/LASER/needs/(\d+)/end", keeping)[1]
    assert lab.send("tam", f"/qualifications/LASER/needs/{rule}/end").status_code == 303
    lab.book("ada", "SEM", at(9), at(10))
    renamed = dict.fromkeys(("name_zh", "about_zh", "about_en", "months"), "") | {"name_en": "Lasers"}
    assert lab.send("tam", "/qualifications/LASER/keeping", **renamed).status_code == 303
    assert "Lasers" in lab.get("ada", "/qualifications/LASER").text
    nameless = lab.send("tam", "/qualifications/LASER/keeping", **renamed | {"name_en": ""})
    assert nameless.status_code == 422
    assert lab.send("tam", "/qualifications/LASER/retirement").status_code == 303
    assert lab.get("ada", "/qualifications/LASER").status_code == 404


def test_what_is_the_staffs_is_not_others(lab):
    for name in ("ada", "ben", "cleo"):
        for path in ("/facilities/LAB/qualifications", "/qualifications/LASER/keeping"):
            assert lab.get(name, path).status_code == 403
        assert (
            lab.send(name, "/facilities/LAB/qualifications", **DEFINITION | {"code": "X"}).status_code == 403
        )
    lab.add_operator()
    page = lab.get("ben", "/facilities/LAB/qualifications").text
    assert "Define one" not in page
    assert lab.send("ben", "/qualifications/LASER/retirement").status_code == 403
    twice = lab.send("tam", "/facilities/LAB/qualifications", **DEFINITION)
    assert (twice.status_code, "This is already in use." in twice.text) == (422, True)
