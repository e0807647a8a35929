"""Week sheets: what hangs on the wall names nobody unless asked to, and nobody whom the reader may not see."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import joinedload

from booking import db
from booking.gateways import pdf
from models import Facility
from tests.factories import make_instrument
from tests.web.lab import SHANGHAI, Lab, at, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written into PDF files from now on."""
    found: list[str] = []
    real = pdf.write

    def write(canvas, text, *arguments):
        found.append(text)
        real(canvas, text, *arguments)

    monkeypatch.setattr(pdf, "write", write)
    return found


def week_of(days: int) -> str:
    return at(9, days=days).astimezone(SHANGHAI).strftime("%G-W%V")


def test_a_sheet_names_nobody_unless_it_is_asked_to(lab):
    lab.book("ada", "SEM", at(9), at(11), purpose="Fracture surfaces")
    path = "/instruments/SEM/week"
    plain = text_of(lab.get("ada", path, week=week_of(7)).text)
    assert "09:00–11:00 Taken" in plain
    assert "11:00–" in plain
    assert "Free" in plain
    assert "Fracture" not in plain
    named = text_of(lab.get("ada", path, week=week_of(7), names="1").text)
    assert "09:00–11:00 Ada · Fracture surfaces" in named
    for who in ("cleo", "ben"):
        others = text_of(lab.get(who, path, week=week_of(7), names="1").text)
        assert "09:00–11:00 Taken" in others
        assert "Fracture" not in others
    visitor = lab.app.test_client().get(path, query_string={"week": week_of(7), "names": "1"})
    assert "Fracture" not in visitor.text


def test_a_confidential_booking_is_named_to_those_alone_who_may_see_it(lab):
    lab.book("cleo", "SEM", at(9), at(11), purpose="Recipe 7", confidential=True)
    page = {"week": week_of(7), "names": "1"}
    assert "Recipe 7" in lab.get("tam", "/facilities/LAB/week", **page).text
    assert "Recipe 7" not in lab.get("ada", "/facilities/LAB/week", **page).text


def test_the_sheet_of_a_facility_has_all_its_instruments_and_days(lab, written):
    lab.book("ada", "BATH", at(9), at(11), quantity=3)
    page = text_of(lab.get("tam", "/facilities/LAB/week", week=week_of(7)).text)
    for name in ("Microscope", "Second microscope", "Water bath", "Deposition"):
        assert name in page
    assert "09:00–11:00 3/4 Taken" in page
    assert "Unpublished" not in text_of(lab.get("ada", "/facilities/LAB/week").text)
    file = lab.get("tam", "/facilities/LAB/week.pdf", week=week_of(7))
    assert file.data.startswith(b"%PDF")
    assert file.mimetype == "application/pdf"
    assert "09:00–11:00 3/4 Taken" in written
    assert "Water bath" in written


def test_a_week_that_nobody_can_mean_is_this_week(lab):
    now = text_of(lab.get("ada", "/instruments/SEM/week").text).split("Printed")[0]
    for nonsense in ("2026-W99", "x", "9999-W01", "0000-W00"):
        said = text_of(lab.get("ada", "/instruments/SEM/week", week=nonsense).text)
        assert said.split("Printed")[0] == now


def test_many_instruments_and_many_bookings_go_on_more_pages(lab, written):
    with db.transaction() as session:
        here = session.get_one(Facility, lab.facilities["LAB"], options=[joinedload(Facility.organisation)])
        for n in range(40):
            make_instrument(session, here, code=f"MORE-{n}", name_en=f"One of many {n}")
    for n in range(44):
        start = at(8) + timedelta(minutes=15 * n)
        lab.book("ada", "BATH", start, start + timedelta(minutes=15))
    file = lab.get("tam", "/facilities/LAB/week.pdf", week=week_of(7))
    assert file.data.count(b"/Type /Page\n") >= 3
    assert written.count("One of many 39") == 1
    assert "+ 4" in written
    assert written.count("Laboratory") == file.data.count(b"/Type /Page\n")


def test_text_is_cut_where_it_would_leave_its_room():
    pdf.fonts()
    for text in ("A very long name of an instrument indeed", "一台名字特别特别特别长的仪器设备", "x"):
        for room in (0.5, 10, 40, 400):
            assert pdf.width_of(pdf.cut(text, 9, room), 9) <= room
            assert all(pdf.width_of(line, 9) <= room for line in pdf.lines(text, 9, room, 2)) or room < 9
    assert pdf.cut("Short", 9, 400) == "Short"
    assert pdf.lines("One of many names", 9, 60, 3) == ["One of many", "names"]
