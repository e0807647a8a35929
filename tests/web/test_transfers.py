"""The pages of handing over: offering on the booking's page, answering in the list."""

import re
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.lifecycle import State
from models import Transfer
from tests.services.test_policies import make_rule
from tests.web.lab import Lab, at, text_of, typed


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def offer(lab: Lab, booking: UUID, to: str = "ada@example.org", who: str = "ben", note: str = "") -> UUID:
    answer = lab.send(who, f"/bookings/{booking}/transfers", to=to, note=note)
    assert answer.status_code == 303, text_of(answer.text)
    with db.reading() as session:
        return session.scalars(select(Transfer.id).where(Transfer.booking_id == booking)).one()


def test_a_booking_is_offered_and_taken_over(lab):
    booking = lab.book("ben", "SEM", at(9), at(11), purpose="films")
    assert "Hand over to a colleague" in lab.get("ben", f"/bookings/{booking}").text
    transfer = offer(lab, booking, note="I am <ill>")
    assert "Offered to Ada" in text_of(lab.get("ben", f"/bookings/{booking}").text)
    assert "1 booking is offered to you" in text_of(lab.get("ada", "/bookings").text)
    page = text_of(lab.get("ada", "/transfers").text)
    for words in ("Ben offers you a booking", "Microscope", "films", "I am <ill>", "Waits for an answer"):
        assert words in page
    taken = lab.send("ada", f"/transfers/{transfer}/acceptance")
    assert taken.headers["Location"] == f"/bookings/{booking}"
    page = text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert "It is yours now, with the same time." in page
    assert "Handed over: Ben → Ada" in page
    assert lab.get("ben", f"/bookings/{booking}").status_code == 404
    assert "You offered a booking to Ada" in text_of(lab.get("ben", "/transfers").text)


def test_it_is_declined_or_taken_back(lab):
    booking = lab.book("ben", "SEM", at(9), at(11))
    transfer = offer(lab, booking)
    assert lab.send("ada", f"/transfers/{transfer}/refusal", note="no time").status_code == 303
    late = lab.send("ben", f"/transfers/{transfer}/withdrawal")
    assert (late.status_code, "This offer is over: “Declined”." in text_of(late.text)) == (409, True)
    assert lab.send("ben", f"/bookings/{booking}/transfers", to="ada@example.org", note="").status_code == 303
    page = lab.get("ben", f"/bookings/{booking}").text
    again = re.search(r"/transfers/([0-9a-f-]+)/withdrawal", page)[1]
    assert lab.send("ben", f"/transfers/{again}/withdrawal").status_code == 303
    assert lab.booking(booking).person.name == "Ben"


def test_an_offer_is_answered_with_ones_own(lab):
    his, hers = lab.book("ben", "SEM", at(9), at(11)), lab.book("ada", "SEM2", at(13), at(14))
    transfer = offer(lab, his)
    page = lab.get("ada", "/transfers").text
    assert f'<option value="{hers}"' in page
    sent = lab.send("ada", f"/transfers/{transfer}/exchange", booking=str(hers), note="")
    assert sent.status_code == 303
    page = lab.get("ben", "/transfers").text
    said = text_of(page)
    assert "Ada wants to swap with you" in said
    assert said.index("You get Second microscope") < said.index("You give Microscope")
    back = re.search(r"/transfers/([0-9a-f-]+)/acceptance", page)[1]
    assert lab.send("ben", f"/transfers/{back}/acceptance").status_code == 303
    assert (lab.booking(his).person.name, lab.booking(hers).person.name) == ("Ada", "Ben")


def test_who_cannot_have_it_is_told_at_the_field(lab):
    booking = lab.book("ben", "SEM", at(9), at(11))
    for to, words in (
        ("cleo@example.org", "To whom: This is the address of nobody whom you may choose."),
        ("nobody@example.org", "To whom: This is the address of nobody whom you may choose."),
        ("ben@example.org", "To whom: This is the same person."),
        ("", "To whom: This is needed."),
    ):
        answer = lab.send("ben", f"/bookings/{booking}/transfers", to=to, note="kept")
        assert (answer.status_code, words in text_of(answer.text)) == (422, True), to
        assert "kept" in answer.text
    assert lab.send("cleo", f"/bookings/{booking}/transfers", to="ada@example.org").status_code == 404


def test_what_was_cancelled_meanwhile_is_not_taken_over(lab):
    booking = lab.book("ben", "SEM", at(9), at(11))
    transfer = offer(lab, booking)
    lab.send("ben", f"/bookings/{booking}/cancellation", reason="", version="", back="")
    answer = lab.send("ada", f"/transfers/{transfer}/acceptance")
    assert answer.status_code == 409
    assert "The booking is “Cancelled”" in text_of(answer.text)
    assert lab.booking(booking).state is State.CANCELLED


def test_a_booking_for_another_person_is_theirs_and_both_see_it(lab):
    form = lab.get("ada", "/bookings/new", instrument="SEM", start=at(9).isoformat()).text
    assert '<option value="ben@example.org">Ben</option>' in form
    assert "For whom" not in lab.get("ben", "/bookings/new", instrument="SEM").text
    wish = {"instrument": "SEM", "quantity": "1", **typed(at(9), at(11))}
    wrong = lab.send("ada", "/bookings/new", **wish, booked_for="cleo@example.org")
    assert (
        wrong.status_code,
        "For whom: This is the address of nobody whom you may choose." in text_of(wrong.text),
    ) == (422, True)
    nobody = lab.send("tam", "/bookings/new", **wish, booked_for="nobody@example.org")
    assert "For whom: This is the address of nobody whom you may choose." in text_of(nobody.text)
    made = lab.send("ada", "/bookings/new", **wish, booked_for="ben@example.org")
    where = made.headers["Location"]
    for name in ("ada", "ben"):
        page = text_of(lab.get(name, where).text)
        assert "For whom Ben Booked by Ada" in page
    assert "For others" in lab.get("ada", "/bookings").text
    assert "Ben ·" in text_of(lab.get("ada", "/bookings", show="for_others").text)
    assert "Microscope" in lab.get("ben", "/bookings").text


# --- swaps of times -------------------------------------------------------------------------------


def slot(code: str, start, end) -> str:
    return f"{code} {start.isoformat()} {end.isoformat()}"


def test_times_are_swapped_by_two_who_do_not_learn_of_each_other(lab):
    mine = lab.book("ben", "SEM", at(9), at(10), purpose="films")
    theirs = lab.book("cleo", "SEM2", at(13), at(15), purpose="secret alloy")
    page = lab.get("ben", f"/bookings/{mine}").text
    assert f"/bookings/{mine}/swap" in page
    assert "/swap" not in lab.get("ada", f"/bookings/{mine}").text  # she leads, but it is his time
    chosen = lab.get("ben", f"/bookings/{mine}/swap")
    told = text_of(chosen.text)
    assert "Second microscope" in told
    for secret in ("Cleo", "secret", "Company", str(theirs)):
        assert secret not in chosen.text
    for who, status in (("cleo", 404), ("ada", 403), ("tam", 403)):
        assert lab.client(who).get(f"/bookings/{mine}/swap").status_code == status
    empty = lab.send("ben", f"/bookings/{mine}/swap", note="")
    assert (empty.status_code, "Time: This is needed." in text_of(empty.text)) == (422, True)
    gone = lab.send("ben", f"/bookings/{mine}/swap", slot=slot("SEM2", at(13), at(14)), note="")
    assert (gone.status_code, "Nobody has this time any more" in gone.text) == (409, True)
    asked = lab.send(
        "ben", f"/bookings/{mine}/swap", slot=slot("SEM2", at(13), at(15)), note="My sample dries"
    )
    assert asked.status_code == 303
    own_page = text_of(lab.get("ben", f"/bookings/{mine}").text)
    assert "A swap for another's time is asked for" in own_page
    lists = {who: lab.get(who, "/transfers").text for who in ("ben", "cleo")}
    assert "You asked for another's time" in text_of(lists["ben"])
    assert "Somebody wants to swap times with you" in text_of(lists["cleo"])
    assert "My sample dries" in lists["cleo"]
    for secret in ("Cleo", "secret", str(theirs)):
        assert secret not in lists["ben"].split("<main", 1)[1]
    for secret in ("Ben", "films", str(mine)):
        assert secret not in lists["cleo"].split("<main", 1)[1]
    with db.reading() as session:
        transfer = session.scalars(select(Transfer.id)).one()
    assert lab.send("ada", f"/transfers/{transfer}/acceptance").status_code == 404
    done = lab.send("cleo", f"/transfers/{transfer}/acceptance")
    assert done.headers["Location"] == f"/bookings/{theirs}"
    page = lab.get("cleo", f"/bookings/{theirs}").text
    assert "The times are swapped." in page
    assert "secret alloy" in page
    assert "Ben" not in page
    assert lab.booking(theirs).starts_at == at(9)
    assert lab.booking(mine).items[0].instrument.code == "SEM2"
    history = lab.get("ben", f"/bookings/{mine}").text
    assert "Cleo" not in history


def test_that_the_rules_are_against_the_other_is_said_without_a_name(lab):
    mine = lab.book("ben", "SEM", at(9), at(10))
    lab.book("cleo", "SEM2", at(13), at(16))
    asked = lab.send("ben", f"/bookings/{mine}/swap", slot=slot("SEM2", at(13), at(16)), note="")
    assert asked.status_code == 303
    with db.transaction() as session:
        make_rule(session, "longest", 120, instrument_id=lab.places["SEM2"])
    with db.reading() as session:
        transfer = session.scalars(select(Transfer.id)).one()
    refused = lab.send("cleo", f"/transfers/{transfer}/acceptance")
    assert refused.status_code == 409
    assert "The rules do not let the other person have your time." in refused.text
    assert "Ben" not in refused.text


# --- a manager asks first -------------------------------------------------------------------------


def test_a_manager_asks_the_owner_before_moving_and_one_click_answers(lab):
    booking = lab.book("ben", "SEM", at(9), at(10))
    page = lab.get("tam", f"/bookings/{booking}/change").text
    assert "Or ask Ben first" in text_of(page)
    assert "first</button>" not in lab.get("ben", f"/bookings/{booking}/change").text
    form = typed(at(14), at(15), instrument="SEM", quantity="1", version="1", ask="1")
    asked = lab.send("tam", f"/bookings/{booking}/change", **form)
    assert asked.status_code == 303
    told = text_of(lab.get("tam", f"/bookings/{booking}").text)
    assert "the booking stays as it is until Ben says yes, and the other time is held meanwhile." in told
    assert lab.booking(booking).starts_at == at(9)
    home = lab.get("ben", "/").text
    assert "The facility asks whether it may be moved: Microscope" in text_of(home)
    address = re.search(r'href="(/calendar-questions/[^"]+)"', home)[1]
    assert "The facility asks whether it may be moved" in lab.get("ben", address).text
    assert lab.get("cleo", address).status_code == 404
    assert lab.send("ben", address, answer="yes").status_code == 303
    assert lab.booking(booking).starts_at == at(14)
    assert "waits-list" not in lab.get("ben", "/").text
