"""Closing by the pages: whom it meets is shown first; planned, at once, and open again."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.lifecycle import State
from models import Closure, Event
from tests.web.lab import Lab, at, local, text_of, typed, value_of

HOUR = timedelta(hours=1)


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def form(start, end, **more: str) -> dict[str, str]:
    return typed(
        start, end, facility="LAB", instrument="SEM", **{"kind": "maintenance", "way": "planned"} | more
    )


def closures(lab: Lab) -> list[Closure]:
    with db.reading() as session:
        return list(session.scalars(select(Closure)))


def test_who_is_no_staff_neither_sees_nor_makes_closures(lab):
    for name in ("ada", "cleo"):
        assert lab.get(name, "/closures").status_code == 403
        assert lab.get(name, "/closures/new").status_code == 403
        assert lab.send(name, "/closures/new", **form(at(9), at(11))).status_code == 403
        assert lab.send(name, f"/closures/{uuid4()}/lifting").status_code == 403
    assert closures(lab) == []


def test_an_operator_sees_but_does_not_close(lab):
    lab.add_operator()
    assert "Nothing is closed" in lab.get("ben", "/closures").text
    assert lab.get("ben", "/closures/new").status_code == 403
    assert lab.send("ben", "/closures/new", **form(at(9), at(11))).status_code == 403


def test_nobody_closes_another_facility(lab):
    assert lab.get("tam", "/closures", facility="FAR").status_code == 404
    assert lab.get("tam", "/closures/new", facility="FAR").status_code == 404
    assert lab.get("tam", "/closures/new", instrument="FAR-1").status_code == 404
    foreign = form(at(9), at(11)) | {"facility": "FAR", "instrument": ""}
    assert lab.send("tam", "/closures/new", **foreign).status_code == 404
    smuggled = lab.send("tam", "/closures/new", **form(at(9), at(11)) | {"instrument": "FAR-1"})
    assert smuggled.status_code == 422
    assert closures(lab) == []


def test_the_form_is_filled_from_its_address(lab):
    page = lab.get("tam", "/closures/new", instrument="SEM", start=local(at(9)), end=local(at(11))).text
    assert value_of(page, "start_time") == "09:00"
    assert re.search(r'<option value="SEM" selected>', page)
    assert "No booking is met." in page


def test_whom_it_meets_is_shown_before_anything_is_closed(lab):
    lab.book("ada", "SEM", at(9), at(11))
    times = {"start": local(at(8)), "end": local(at(10))}
    assert "1 booking stands in this time" in lab.get("tam", "/closures/new", instrument="SEM", **times).text
    checked = lab.send("tam", "/closures/new", **form(at(8), at(10), check="1", reason="kept"))
    assert checked.status_code == 200
    said = text_of(checked.text)
    assert "1 booking stands in this time" in said
    assert "Ada" in said
    assert value_of(checked.text, "reason") == "kept"
    alone = lab.get("tam", "/closures/new", part="verdict", **form(at(8), at(10))).text
    assert "Ada" in alone
    assert "<html" not in alone
    assert closures(lab) == []


def test_a_planned_closure_that_meets_nobody_is_made(lab):
    answer = lab.send("tam", "/closures/new", **form(at(9), at(11), reason="New filament"))
    assert answer.status_code == 303
    page = text_of(lab.get("tam", "/closures").text)
    for words in ("Closed. No booking is met.", "Microscope", "New filament", "Maintenance", "Take back"):
        assert words in page
    assert (
        lab.send("ada", "/bookings/new", **typed(at(10), at(12), instrument="SEM", quantity="1")).status_code
        == 409
    )


def test_a_planned_closure_that_meets_bookings_is_refused_with_the_way_out(lab):
    lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("tam", "/closures/new", **form(at(8), at(10)))
    assert answer.status_code == 409
    assert "Not closed" in answer.text
    assert "Close at once and displace them" in answer.text
    assert closures(lab) == []
    anyway = lab.send("tam", "/closures/new", **form(at(8), at(10), anyway="1"))
    assert anyway.status_code == 303
    assert [row.imposed for row in closures(lab)] == [True]


def test_a_breakdown_stands_whatever_is_booked_and_its_people_are_told(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("tam", "/closures/new", **form(at(8), at(10), kind="breakdown", way="at_once"))
    assert answer.status_code == 303
    page = text_of(lab.get("tam", "/closures").text)
    assert "1 booking stands in this time; its person is being told." in page
    assert "Ada" in page
    with db.reading() as session:
        kinds = session.scalars(select(Event.kind).where(Event.booking_id == booking)).all()
    assert "booking.displaced" in kinds
    assert lab.booking(booking).state is State.CONFIRMED


def test_a_whole_facility_is_closed(lab):
    lab.book("ada", "BATH", at(9), at(11))
    answer = lab.send("tam", "/closures/new", **form(at(8), at(10)) | {"instrument": ""})
    assert answer.status_code == 409
    later = lab.send("tam", "/closures/new", **form(at(12), at(13)) | {"instrument": "", "kind": "closure"})
    assert later.status_code == 303
    assert "The whole facility" in text_of(lab.get("tam", "/closures").text)
    assert lab.get("ada", "/bookings/new", instrument="SEM2", start=local(at(12))).text.count("already taken")


def test_it_is_opened_again_and_the_same_form_offered(lab):
    lab.send("tam", "/closures/new", **form(at(9), at(11), kind="breakdown", way="at_once"))
    [row] = closures(lab)
    answer = lab.send("tam", f"/closures/{row.id}/lifting")
    assert answer.status_code == 303
    page = lab.get("tam", "/closures").text
    assert "Nothing is closed" in page
    again = re.search(r'<a href="([^"]+)">Close it again</a>', page)[1].replace("&amp;", "&")
    wanted = {name: values[0] for name, values in parse_qs(urlsplit(again).query).items()}
    assert wanted == {
        "facility": "LAB",
        "instrument": "SEM",
        "start": local(at(9)),
        "end": local(at(11)),
        "kind": "breakdown",
        "way": "at_once",
    }
    assert re.search(r'value="at_once" checked', lab.client("tam").get(again).text)


def test_what_is_no_closure_is_not_lifted(lab):
    lab.send("root", "/closures/new", **form(at(9), at(11)) | {"facility": "FAR", "instrument": ""})
    [row] = closures(lab)
    assert lab.send("tam", f"/closures/{row.id}/lifting").status_code in {403, 404}
    assert lab.send("tam", f"/closures/{uuid4()}/lifting").status_code == 404
    assert lab.get("tam", f"/closures/{row.id}/lifting").status_code == 405
    assert [one.lifted_at for one in closures(lab)] == [None]


BAD = {
    "no time": ({"end_time": ""}, "end_time"),
    "no date": ({"start_date": "", "end_date": ""}, "start_date"),
    "the wrong way round": ({"start_time": "12:00"}, "end_time"),
    "years": ({"end_date": "2099-01-01"}, "end_date"),
    "no such kind": ({"kind": "party"}, "kind"),
    "no such way": ({"way": "sideways"}, "way"),
    "no such instrument": ({"instrument": "NONE"}, "instrument"),
    "a story": ({"reason": "x" * 501}, "reason"),
    "a bell": ({"reason": "\x07"}, "reason"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_told_at_its_field(lab, name):
    changed, field = BAD[name]
    answer = lab.send("tam", "/closures/new", **form(at(9), at(11)) | changed)
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert re.search(rf'id="{field}"', answer.text)
    assert closures(lab) == []


def test_time_that_has_passed_is_not_closed(lab):
    answer = lab.send("tam", "/closures/new", **form(at(9, days=-3), at(10, days=-3)))
    assert answer.status_code == 409
    assert "already passed" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"start": "x"},
        {"instrument": "NONE"},
        {"facility": "x" * 900},
        {"way": "'", "kind": "<b>"},
        {"end": "0001-01-01T00:00"},
    ],
)
def test_no_address_breaks_the_form(lab, query):
    assert lab.get("tam", "/closures/new", **query).status_code in {200, 404}


# --- when it disturbs the least -------------------------------------------------------------------


def quiet(lab, hours="2", **more):
    day = local(at(9))[:10]
    asked = {"facility": "LAB", "instrument": "SEM", "first": day, "last": day, "hours": hours} | more
    return lab.get("tam", "/closures/quiet-times", **asked)


def hidden(page: str, number: int) -> dict[str, str | list[str]]:
    """What the form of one of the times sends."""
    form = page.split('action="/closures/quiet-times"')[number + 2]
    found = re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', form)
    sent: dict[str, str | list[str]] = {name: value for name, value in found if name != "csrf_token"}
    return sent | {"instrument": [value for name, value in found if name == "instrument"]}


def test_a_quiet_time_is_closed_in_one_click(lab):
    lab.book("ada", "SEM", at(0), at(10))
    lab.book("cleo", "SEM", at(10), at(23))
    assert 'href="/closures/quiet-times?facility=LAB"' in lab.get("tam", "/closures/new").text
    page = quiet(lab, "1").text
    assert "Displaces nobody" in page
    assert "23:00 – 24:00" in text_of(page) or "23:00" in text_of(page)
    sent = lab.send("tam", "/closures/quiet-times", **hidden(page, 0))
    assert (sent.status_code, sent.headers["Location"][:9]) == (303, "/closures")
    [closure] = closures(lab)
    assert (closure.starts_at, closure.ends_at, closure.imposed) == (at(23), at(23) + HOUR, False)
    page = quiet(lab, "4").text
    said = text_of(page)
    assert "Displaced 1" in said
    assert "of others 1" in said
    sent = lab.send("tam", "/closures/quiet-times", **hidden(page, 0))
    assert sent.headers["Location"].startswith("/replans/")
    assert "Other places for what is displaced" in lab.get("tam", sent.headers["Location"]).text


def test_several_instruments_are_ticked_and_closed_together(lab):
    lab.book("ada", "SEM", at(0), at(12))
    lab.book("cleo", "SEM2", at(14), at(23))
    page = quiet(lab, "2", instrument=["SEM", "SEM2"]).text
    assert page.count('type="checkbox" id="instrument') >= 4
    assert page.count(" checked") == 2
    assert "12:00 – 14:00" in text_of(page)
    # A closure of several has no other form.
    assert "Say the reason, or change the time" not in page
    sent = lab.send("tam", "/closures/quiet-times", **hidden(page, 0))
    assert sent.status_code == 303
    assert sorted((one.starts_at, one.ends_at) for one in closures(lab)) == [(at(12), at(14))] * 2
    page = quiet(lab, "10", instrument=["SEM", "SEM2"]).text
    sent = lab.send("tam", "/closures/quiet-times", **hidden(page, 0))
    assert "Several instruments closed together" in text_of(lab.get("tam", sent.headers["Location"]).text)
    wrong = quiet(lab, "2", instrument=["SEM", "NONE"])
    assert wrong.status_code == 422


def test_a_time_that_is_no_longer_quiet_is_shown_anew(lab):
    sent = hidden(quiet(lab, "2").text, 0)
    lab.book("ada", "SEM", at(0), at(2))
    answer = lab.send("tam", "/closures/quiet-times", **sent)
    assert answer.status_code == 409
    assert "Not closed" in answer.text
    assert closures(lab) == []
    assert "Displaces nobody" in answer.text


def test_quiet_times_that_make_no_sense_or_are_nobodys_business(lab):
    for wrong, words in (
        ({"hours": "0"}, "Error:"),
        ({"hours": "300"}, "Error:"),
        ({"first": "2026-02-30"}, "Error:"),
        ({"instrument": "NONE"}, "Error:"),
    ):
        answer = quiet(lab, **wrong) if "hours" in wrong else quiet(lab, "2", **wrong)
        assert answer.status_code in {404, 422}
        assert answer.status_code == 404 or words in answer.text
    for name in ("ada", "cleo"):
        assert lab.get(name, "/closures/quiet-times").status_code == 403
        assert lab.send(name, "/closures/quiet-times", facility="LAB").status_code == 403
    lab.book("ada", "SEM", at(0), at(0) + 30 * HOUR, now=at(0) - HOUR)
    assert lab.send("tam", "/closures/quiet-times", facility="LAB", start="x", end="y").status_code == 422
