"""Hours and withdrawal by the pages: whom they displace is shown first, and other places are looked for after."""

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.replanning import Cause
from models import Instrument, OpeningRule, Replan
from tests.web.lab import Lab, at, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def replans() -> list[Replan]:
    with db.reading() as session:
        return list(session.scalars(select(Replan)))


def test_hours_are_tried_and_kept(lab):
    lab.book("ada", "SEM", at(22), at(23))
    where = "/facilities/LAB/hours"
    assert f'href="{where}"' in lab.get("tam", "/desk").text
    assert "always" in lab.get("tam", where).text
    tried = lab.send("tam", where, opening="Mon-Sun 08:00-20:00", **{"try": "1"})
    said = text_of(tried.text)
    assert "Only tried, nothing is written" in said
    assert "1 booking would be displaced" in said
    assert "Ada" in said
    assert replans() == []
    kept = lab.send("tam", where, opening="Mon-Sun 08:00-20:00")
    [row] = replans()
    assert (row.cause, kept.headers["Location"]) == (Cause.HOURS, f"/replans/{row.id}")
    page = text_of(lab.get("tam", kept.headers["Location"]).text)
    assert "Other opening hours" in page
    assert "1 booking is displaced" in page
    assert "Other opening hours" in text_of(lab.get("tam", "/desk").text)
    assert "Sun 08:00-20:00" in lab.get("tam", where).text
    again = lab.send("tam", where, opening="always")
    assert again.headers["Location"] == where
    assert "No booking is displaced." in lab.get("tam", where).text


def test_hours_that_no_week_has_are_refused(lab):
    answer = lab.send("tam", "/facilities/LAB/hours", opening="Mon 25:00-26:00")
    assert (answer.status_code, "Error:" in answer.text) == (422, True)
    assert "Mon 25:00-26:00" in answer.text
    with db.reading() as session:
        assert session.scalars(select(OpeningRule.opens).distinct()).all() == [0]


def test_an_instrument_is_withdrawn_and_offered_again(lab):
    lab.book("ada", "SEM", at(9), at(11))
    where = "/instruments/SEM/service"
    assert f'href="{where}"' in lab.get("tam", "/instruments/SEM").text
    assert f'href="{where}"' not in lab.get("ada", "/instruments/SEM").text
    assert "1 booking would be displaced" in text_of(
        lab.send("tam", where, bookable="no", opening="", **{"try": "1"}).text
    )
    kept = lab.send("tam", where, bookable="no", opening="")
    page = text_of(lab.get("tam", kept.headers["Location"]).text)
    assert "Microscope · Instrument withdrawn" in page
    with db.reading() as session:
        assert session.get_one(Instrument, lab.places["SEM"]).bookable is False
    assert lab.send("tam", where, bookable="yes", opening="").headers["Location"] == where
    with db.reading() as session:
        assert session.get_one(Instrument, lab.places["SEM"]).bookable is True


def test_others_neither_see_nor_change_them(lab):
    lab.add_operator()
    for name in ("ada", "cleo", "ben"):
        for where in ("/facilities/LAB/hours", "/instruments/SEM/service"):
            assert lab.get(name, where).status_code == 403
            assert lab.send(name, where, opening="always", bookable="no").status_code == 403
    assert lab.send("tam", "/facilities/FAR/hours", opening="always").status_code == 403
    assert lab.send("tam", "/instruments/FAR-1/service", bookable="no").status_code == 403
    assert lab.get("tam", "/facilities/NONE/hours").status_code == 404


def test_days_off_begin_other_places(lab):
    lab.book("ada", "SEM", at(9), at(11))
    day = at(9).date().isoformat()
    tried = lab.send("root", "/working-days", table=f"{day},holiday,Feast", **{"try": "1"})
    assert "1 booking ahead stands on them" in text_of(tried.text)
    assert replans() == []
    written = lab.send("root", "/working-days", table=f"{day},holiday,Feast")
    [row] = replans()
    assert row.cause is Cause.WORKING_DAYS
    assert f'href="/replans/{row.id}"' in written.text
    page = lab.get("tam", f"/replans/{row.id}").text
    assert "Other working days" in text_of(page)
    assert "1 booking is displaced. Other places have not been looked for yet." in text_of(page)
    assert lab.send("tam", f"/replans/{row.id}/search").status_code == 303
    assert "data-progress" in lab.get("tam", f"/replans/{row.id}").text
    assert "Leave them as they are" in lab.get("tam", f"/replans/{row.id}").text
    assert lab.send("tam", f"/replans/{row.id}/withdrawal").status_code == 303
    assert f"/replans/{row.id}" not in lab.get("tam", "/desk").text
