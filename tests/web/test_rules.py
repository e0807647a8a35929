"""Rules by the pages: read, set, tried, changed, ended and set aside; and the table of working days."""

import io

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from models import Booking, CalendarDay, Event, Network, NetworkFacility, Rule
from tests.web import browsing
from tests.web.lab import Lab, at, text_of, typed

SETTING = {"what": "longest", "value": "2 h", "valid_from": "", "note": "Many wait"}


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def rules() -> list[Rule]:
    with db.reading() as session:
        return list(session.scalars(select(Rule).order_by(Rule.id)))


def book(lab: Lab, name: str, start, end, instrument: str = "SEM", **more: str):
    return lab.send(name, "/bookings/new", **typed(start, end, instrument=instrument, quantity="1", **more))


def test_everybody_reads_what_counts_and_where_it_comes_from(lab):
    lab.send("tam", "/rules/facility/LAB/new", **SETTING)
    for name in ("cleo", "tam"):
        text = text_of(lab.get(name, "/instruments/SEM/rules").text)
        # What the facility says, what the sheet says, what counts, and where that stands.
        said = "Longest use 2 h – says nothing 2 h"
        assert f"{said} Laboratory" in text or f"{said} 示例" in text, text
        assert "The instrument's own sheet" in text
        assert "Nothing is set: the usual" in text
    assert lab.get("ada", "/instruments/HIDDEN/rules").status_code == 404
    assert lab.get("ada", "/rules/instrument/HIDDEN").status_code == 404
    assert lab.get("ada", "/rules/galaxy/LAB").status_code == 404


def test_only_its_keeper_sets_rules_of_a_place(lab):
    for name in ("ada", "cleo"):
        assert lab.get(name, "/rules/facility/LAB/new").status_code == 403
        assert lab.send(name, "/rules/facility/LAB/new", **SETTING).status_code == 403
    assert lab.get("tam", "/rules/facility/FAR/new").status_code == 403
    assert lab.send("tam", "/rules/facility/FAR/new", **SETTING).status_code == 403
    assert lab.send("tam", "/rules/category/0101/new", **SETTING).status_code == 403
    assert rules() == []
    assert lab.send("root", "/rules/category/0101/new", **SETTING).status_code == 303
    (row,) = rules()
    assert lab.get("tam", f"/rules/{row.id}/change").status_code == 403
    assert lab.send("tam", f"/rules/{row.id}/change", value="3 h").status_code == 403
    assert lab.send("tam", f"/rules/{row.id}/end").status_code == 403
    assert lab.get("tam", "/rules/99999/change").status_code == 404


def test_a_rule_is_set_changed_and_ended(lab):
    assert "No rule stands here" in lab.get("tam", "/rules/facility/LAB").text
    form = SETTING | {"weekday_0": "1", "weekday_4": "1", "opens": "08:00", "closes": "00:00"}
    assert lab.send("tam", "/rules/facility/LAB/new", **form).status_code == 303
    (row,) = rules()
    assert (row.value, row.weekdays, row.opens, row.closes) == (120, 17, 480, 1440)
    shown = text_of(lab.get("tam", "/rules/facility/LAB").text)
    assert "Longest use Many wait 2 h Monday, Friday, 08:00–24:00" in shown
    assert 'value="2 h"' in lab.get("tam", f"/rules/{row.id}/change").text
    assert lab.send("tam", f"/rules/{row.id}/change", value="180", note="").status_code == 303
    assert rules()[0].value == 180  # it had not counted on any day before this one
    assert lab.send("tam", f"/rules/{row.id}/end").status_code == 303
    assert rules() == []


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"value": "two hours"}, "Value: This cannot be understood."),
        ({"value": "0"}, "Value: This is too small."),
        ({"what": "step", "value": ""}, "Value: This is needed."),
        ({"what": "quota:person.hours", "value": "16 h", "period": "rolling"}, "Days: This is needed."),
        ({"what": "magic"}, "What it says: This is not known."),
        ({"opens": "8:00"}, "Until: This is needed."),
        ({"valid_to": "soon"}, "Counts until: This cannot be understood."),
        ({"what": "grace", "try": "1"}, "This setting refuses no booking"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(lab, form, told):
    answer = lab.send("tam", "/rules/facility/LAB/new", **SETTING | form)
    assert answer.status_code == 422
    assert told in text_of(answer.text)
    assert rules() == []


def test_a_limit_is_tried_then_set_then_set_aside(lab):
    limit = {"what": "quota:person.hours", "value": "3 h", "period": "week", "valid_from": "", "try": "1"}
    tried = lab.send("tam", "/rules/facility/LAB/new", **limit)
    assert (tried.status_code, rules()) == (200, [])
    assert "There was no booking to try it on." in text_of(tried.text)
    assert lab.send("tam", "/rules/facility/LAB/new", **limit | {"try": ""}).status_code == 303
    assert book(lab, "ben", at(9), at(12)).status_code == 303
    refused = book(lab, "ben", at(13), at(14), "BATH")
    assert refused.status_code == 409
    assert "3 h of 3 h used in the week from" in text_of(refused.text)
    assert "Make an exception" not in refused.text
    assert book(lab, "tam", at(15), at(17)).status_code == 303
    refused = book(lab, "tam", at(13), at(15), "BATH")
    assert (refused.status_code, "Make an exception" in refused.text) == (409, True)
    assert book(lab, "ben", at(13), at(14), "BATH", override_reason="Please").status_code == 403
    over = book(lab, "tam", at(13), at(15), "BATH", override_reason="Service visit")
    assert over.status_code == 303
    page = lab.client("tam").get(over.headers["Location"]).text
    assert "Exception made (limit of hours): Service visit" in text_of(page)
    with db.reading() as session:
        assert session.query(Booking).count() == 3


def test_the_officer_keeps_the_networks_rules(lab):
    with db.transaction() as session:
        network = Network(code="NET", name_zh="网", name_en="Net")
        session.add(network)
        session.flush()
        session.add(NetworkFacility(network_id=network.id, facility_id=lab.facilities["LAB"]))
    assert lab.send("tam", "/rules/network/NET/new", **SETTING).status_code == 403
    assert lab.send("root", "/rules/network/NET/new", **SETTING).status_code == 303
    assert "Net" in text_of(lab.get("cleo", "/instruments/SEM/rules").text)


# --- working days --------------------------------------------------------------------------------


def test_working_days_are_the_administrators(lab):
    for name in ("ada", "tam"):
        assert lab.get(name, "/working-days").status_code == 403
        assert lab.send(name, "/working-days", table="2031-01-01,holiday", source="").status_code == 403
    assert "not announced yet" in lab.get("root", "/working-days", year="2031").text
    assert "国庆节" in lab.get("root", "/working-days", year="2026").text


def test_an_announcement_is_written_whole_or_not_at_all(lab):
    wrong = lab.send("root", "/working-days", table="2031-01-01,holiday\n2031-01-32,rest", source="x")
    assert (wrong.status_code, "Line 2: “2031-01-32” is not a date" in text_of(wrong.text)) == (422, True)
    assert book(lab, "ben", at(9), at(12)).status_code == 303
    day = at(9).date().isoformat()
    done = lab.send("root", "/working-days", table=f"2031-01-01,holiday,元旦\n{day},rest", source="No. 1")
    assert done.status_code == 200
    with db.reading() as session:
        rows = session.scalars(select(CalendarDay)).all()
        assert {row.day.isoformat() for row in rows} == {"2031-01-01", day}
        assert session.scalars(select(Event).where(Event.kind == "working_days.announced")).one()
    if at(9).date().weekday() < 5:
        assert "1 booking ahead stands on them" in text_of(done.text)


def test_an_announcement_comes_as_a_file_and_is_tried_first(lab):
    def send(text: str, **more: str):
        file = (io.BytesIO(text.encode()), "2031.csv")
        client = lab.client("root")
        form = {"table": "", "source": "No. 2", "csrf_token": browsing.csrf_token(client), **more}
        return client.post("/working-days", data=form | {"file": file}, headers={"Accept-Language": "en"})

    def days() -> int:
        with db.reading() as session:
            return len(session.scalars(select(CalendarDay)).all())

    broken = send("day,kind,name\n2031-01-32,rest,\n2031-01-01,feast,\n2031-01-02,rest,")
    assert broken.status_code == 422
    told = text_of(broken.text)
    assert "2 day “2031-01-32” is not a date" in told
    assert "3 kind “feast”" in told
    assert days() == 0
    good = "日期,类别,名称\n2031-01-01,放假,元旦\n"
    tried = send(good, **{"try": "1"})
    assert "Only tried, nothing is written 1 day would be of another sort." in text_of(tried.text)
    assert "2031-01-01,holiday,元旦" in tried.text  # so that it need not be chosen again
    assert days() == 0
    assert send(good).status_code == 200
    assert days() == 1
    assert send("PK\x03").status_code == 422


def test_a_year_that_nobody_announced_is_flagged(lab):
    form = SETTING | {"day_kind": "holiday"}
    assert lab.send("tam", "/rules/facility/LAB/new", **form).status_code == 303
    assert "are not announced yet" in lab.get("ada", "/instruments/SEM/rules").text


def test_what_is_a_yes_or_a_no_is_chosen(lab):
    form = SETTING | {"what": "late_allowed", "value": ""}
    missing = lab.send("tam", "/rules/facility/LAB/new", **form, answer="")
    assert (missing.status_code, 'href="#answer"' in missing.text) == (422, True)
    assert lab.send("tam", "/rules/facility/LAB/new", **form, answer="no").status_code == 303
    (row,) = rules()
    assert row.value == 0
    page = lab.get("tam", f"/rules/{row.id}/change").text
    assert '<option value="no" selected>not allowed</option>' in page
    assert lab.send("tam", f"/rules/{row.id}/change", value="maybe", note="").status_code == 422
    assert lab.send("tam", f"/rules/{row.id}/change", value="yes", note="").status_code == 303
    assert rules()[0].value == 1
