"""Permits on the page of an instrument's service: entered, renewed, ended, struck out, and whom that displaces."""

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.replanning import Cause
from models import InstrumentPermit, Replan
from tests.web.lab import Lab, at, text_of

WHERE = "/instruments/SEM/service"


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def rows() -> list[InstrumentPermit]:
    with db.reading() as session:
        return list(session.scalars(select(InstrumentPermit).order_by(InstrumentPermit.valid_from)))


def typed(first: date, last: date, **more: str) -> dict[str, str]:
    found = {"name": "压力容器定期检验", "number": "粤-7", "note": ""}
    return found | {"valid_from": first.isoformat(), "valid_until": last.isoformat()} | more


def test_a_permit_is_tried_entered_renewed_ended_and_struck_out(lab):
    lab.book("ada", "SEM", at(9), at(11))
    day = at(9).date()
    wish = typed(day - timedelta(days=30), day - timedelta(days=1))
    assert "None is kept here" in lab.get("tam", WHERE).text
    tried = lab.send("tam", "/instruments/SEM/permits", **wish, **{"try": "1"})
    assert "1 booking would be displaced" in text_of(tried.text)
    assert 'value="粤-7"' in tried.text
    assert rows() == []
    kept = lab.send("tam", "/instruments/SEM/permits", **wish)
    page = text_of(lab.get("tam", kept.headers["Location"]).text)
    assert "Microscope · Permit over" in page
    [first] = rows()
    assert "Ends in" in text_of(lab.get("tam", WHERE).text)
    # What follows is filled in; it drops what was looked for.
    form = lab.get("tam", WHERE, renew=str(first.id)).text
    assert f'value="{day.isoformat()}"' in form
    renewed = lab.send("tam", "/instruments/SEM/permits", **typed(day, day + timedelta(days=400)))
    assert renewed.headers["Location"] == f"{WHERE}#permits"
    with db.reading() as session:
        [replan] = session.scalars(select(Replan))
        assert (replan.cause, replan.state.value) == (Cause.PERMIT, "over")
    assert "Renewed" in text_of(lab.get("tam", WHERE).text)
    second = rows()[1]
    end = f"/instruments/SEM/permits/{second.id}/end"
    shown = lab.send("tam", end, last_day=day.isoformat(), **{"try": "1"})
    assert "No booking would be displaced." in text_of(shown.text)
    wrong = lab.send("tam", end, last_day=(day + timedelta(days=999)).isoformat())
    assert (wrong.status_code, "Error:" in wrong.text) == (422, True)
    assert 'href="#reason"' in wrong.text
    assert lab.send("tam", end, last_day=day.isoformat()).status_code == 303
    assert rows()[1].valid_until == day
    removal = f"/instruments/SEM/permits/{second.id}/removal"
    assert "1 booking would be displaced" in text_of(lab.send("tam", removal, **{"try": "1"}).text)
    assert lab.send("tam", removal).headers["Location"].startswith("/replans/")
    assert [one.id for one in rows()] == [first.id]


def test_the_last_day_is_typed_over_and_whom_it_covers_is_shown(lab):
    day = at(9).date()
    lab.book("ada", "SEM", at(9), at(11))
    lab.book("cleo", "SEM", at(12), at(14))
    lab.send("tam", "/instruments/SEM/permits", **typed(day - timedelta(days=30), day - timedelta(days=2)))
    [first] = rows()
    end = f"/instruments/SEM/permits/{first.id}/end"
    shown = lab.send("tam", end, last_day=day.isoformat(), **{"try": "1"})
    assert "2 bookings that lack it now would have their permit:" in text_of(shown.text)
    assert rows()[0].valid_until == first.valid_until
    wrong = lab.send("tam", end, last_day=day.isoformat())
    assert (wrong.status_code, 'href="#reason"' in wrong.text) == (422, True)
    kept = lab.send("tam", end, last_day=day.isoformat(), reason="Mistyped")
    assert kept.headers["Location"] == f"{WHERE}#permits"
    assert "2 bookings have their permit again." in text_of(lab.get("tam", WHERE).text)
    with db.reading() as session:
        assert session.scalars(select(Replan.state)).one().value == "over"
    assert lab.send("cleo", end, last_day=day.isoformat(), reason="Mine").status_code == 403


def test_what_is_wrong_is_said_beside_its_field_and_others_may_not(lab):
    answer = lab.send(
        "tam", "/instruments/SEM/permits", **typed(date(2026, 5, 1), date(2026, 4, 1), name=" ")
    )
    assert answer.status_code == 422
    assert 'href="#name"' in answer.text
    answer = lab.send("tam", "/instruments/SEM/permits", **typed(date(2026, 5, 1), date(2026, 4, 1)))
    assert 'href="#valid_until"' in answer.text
    for who in ("ada", "cleo"):
        assert (
            lab.send(who, "/instruments/SEM/permits", **typed(date(2026, 5, 1), date(2027, 4, 1))).status_code
            == 403
        )
    assert rows() == []
