"""The officer's desk: a network in figures over a period, sorted, on a map, as a file; for its officers alone."""

import io
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import openpyxl
import pytest
from flask import Flask

from booking import db
from models import Facility
from tests import cast
from tests.factories import make_network
from tests.web.lab import Lab, at, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    lab = Lab(app)
    with db.transaction() as session:
        near, far = (session.get_one(Facility, lab.facilities[code]) for code in ("LAB", "FAR"))
        near.latitude, near.longitude = 22.9, 113.9
        far.zone = "Asia/Shanghai"  # so that the sums do not depend on the season
        net = make_network(session, near, far, code="NET", name_en="Bay network")
        other = make_network(session, near, code="OTHER", name_en="Other network")
        nora = cast.nora(session, net)
        nora.locale = "en"
        lab.people["nora"] = nora.id
        assert other.id
    for day in (-3, -2):
        lab.book("ada", "SEM", at(0, days=day), at(0, days=day + 1), now=at(0, days=-20))
    lab.book("cleo", "PECVD", at(9), at(10), now=datetime.now(UTC) - timedelta(days=5))
    lab.book("cleo", "PECVD", at(11), at(12))
    return lab


def rows(page: str) -> list[list[str]]:
    body = re.search(r"use-table.*?<tbody>(.*?)</tbody>", page, re.DOTALL)[1]
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in body.split("</tr>")[:-1]]
    return [[text_of(cell).strip() for cell in row] for row in cells]


def test_only_officers_have_it_and_of_their_own_networks(lab):
    for name in ("ada", "cleo", "tam"):
        assert lab.get(name, "/officer").status_code == 403
        assert lab.get(name, "/officer/table.csv").status_code == 403
    assert lab.app.test_client().get("/officer").status_code == 303
    assert "Bay network" in text_of(lab.get("nora", "/officer").text)
    assert lab.get("nora", "/officer", network="OTHER").status_code == 404
    assert lab.get("nora", "/officer/table.csv", network="OTHER").status_code == 404
    assert lab.get("root", "/officer", network="OTHER").status_code == 200


def test_figures_stand_by_facility_with_the_same_on_the_map(lab):
    """The networks' five instruments are open day and night: 3,360 h in four weeks, of which 48 are booked."""
    page = lab.get("nora", "/officer").text
    assert rows(page) == [
        ["Laboratory", "1.8%", "4", "2,688", "48", "0%", "0%", "0", "2 1 too long"],
        ["Far away", "0%", "1", "672", "0", "–", "0%", "0", "0"],
    ]
    said = text_of(page)
    assert "1.4% utilisation 48 of 3,360 h booked" in said
    assert "1 request waits too long" in said
    assert "1 facility has no coordinates." in said
    (place,) = json.loads(unescape(re.search(r'data-places="([^"]+)"', page)[1]))
    assert (place["code"], place["label"], place["href"]) == ("LAB", "1.8%", "/facilities/LAB")
    assert place["note"] == "48 of 2,688 h booked"


def test_a_period_is_chosen_and_nonsense_counts_as_nothing(lab):
    day = (at(12, days=-3)).date().isoformat()
    page = lab.get("nora", "/officer", **{"from": day, "to": day}).text
    assert rows(page)[0][1:5] == ["25%", "4", "96", "24"]
    for query in ({"from": "x", "to": "y"}, {"from": "1999-01-01"}, {"sort": "'", "by": "<b>", "down": "x"}):
        assert lab.get("nora", "/officer", **query).status_code == 200
    backwards = lab.get("nora", "/officer", **{"from": "2026-03-01", "to": "2026-02-01"}).text
    assert 'value="2026-02-01"' in backwards


def test_columns_sort_both_ways_and_classes_are_counted(lab):
    page = lab.get("nora", "/officer", sort="name", down="0").text
    assert [row[0] for row in rows(page)] == ["Far away", "Laboratory"]
    assert 'aria-sort="ascending"' in page
    page = lab.get("nora", "/officer", sort="name", down="1").text
    assert [row[0] for row in rows(page)] == ["Laboratory", "Far away"]
    page = lab.get("nora", "/officer", by="class").text
    assert [row[:3] for row in rows(page)] == [["Electron microscopes", "3.6%", "2"], ["No class", "0%", "3"]]
    assert "data-map" in page


def test_the_table_is_a_file_with_the_same_figures(lab):
    answer = lab.get("nora", "/officer/table.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="utilisation-facility.csv"'
    lines = answer.data.decode("utf-8-sig").split("\r\n")
    assert lines[0].startswith("Code,Name,From,To,Instruments,Open (h),Booked (h)")
    assert lines[1].split(",")[:2] == ["LAB", "Laboratory"]
    assert lines[1].split(",")[4:7] == ["4", "2688.0", "48.0"]
    book = openpyxl.load_workbook(io.BytesIO(lab.get("nora", "/officer/table.xlsx", by="class").data))
    assert [row[0].value for row in book.active.iter_rows()] == ["Code", "0101", None]
    assert lab.get("nora", "/officer/table.pdf").status_code == 404
