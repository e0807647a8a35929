"""Lists as files: what they hold, for whom, and that nothing in them calculates."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from flask import Flask
from openpyxl import load_workbook

from booking import db
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.services import imports
from booking.web import exports
from models import Instrument, Person, Rule, RuleKind
from tests.factories import LONG_AGO
from tests.web.lab import Lab, at


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def table(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.status
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


@pytest.mark.parametrize("name", sorted(set(exports.LISTS) - {"wishes"}))
def test_every_list_goes_out_both_ways(lab, name):
    lab.book("ada", "SEM", at(9))
    asked = {"facility": "LAB"}
    rows = table(lab.get("root", f"/exports/{name}.csv", **asked))
    book = load_workbook(io.BytesIO(lab.get("root", f"/exports/{name}.xlsx", **asked).data))
    lines = list(book.active.iter_rows(values_only=True))
    assert len(lines) == len(rows) + 1
    if rows:
        assert [str(cell) for cell in lines[0]] == list(rows[0])
    assert lab.get("root", f"/exports/{name}.exe", **asked).status_code == 404


def test_a_list_keeps_its_filters(lab):
    assert {row["Code"] for row in table(lab.get("ada", "/exports/instruments.csv", q="bath"))} == {"BATH"}
    page = lab.get("ada", "/instruments", q="bath", page="1").text
    assert 'href="/exports/instruments.csv?q=bath"' in page
    people = table(lab.get("root", "/exports/people.csv", q="cleo"))
    assert [row["Name"] for row in people] == ["Cleo"]


def test_times_stand_on_both_clocks(lab):
    start = at(9)
    lab.book("ada", "SEM", start, purpose="Films")
    (row,) = table(lab.get("ada", "/exports/my-bookings.csv"))
    assert row["Start"].endswith(" 09:00")
    assert row["Start (UTC)"] == start.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (row["Clock"], row["Instrument"], row["Purpose"]) == ("Asia/Shanghai", "SEM", "Films")
    assert table(lab.get("cleo", "/exports/my-bookings.csv")) == []
    assert [one["For"] for one in table(lab.get("tam", "/exports/bookings.csv", facility="LAB"))] == ["Ada"]


def test_nothing_calculates(lab):
    with db.transaction() as session:
        session.get_one(Person, lab.people["ada"]).name = "=cmd|' /C calc'!A0"
    lab.book("ada", "SEM", at(9), purpose="+1+1")
    (row,) = table(lab.get("tam", "/exports/bookings.csv", facility="LAB"))
    assert row["For"].startswith("'=")
    assert row["Purpose"].startswith("'+")
    book = load_workbook(io.BytesIO(lab.get("tam", "/exports/bookings.xlsx", facility="LAB").data))
    assert all(cell.data_type != "f" for line in book.active.iter_rows() for cell in line)


def test_headings_speak_the_readers_language(lab):
    with db.transaction() as session:
        session.get_one(Person, lab.people["ada"]).locale = "zh_Hans_CN"
    lab.book("ada", "SEM", at(9))
    (row,) = table(lab.get("ada", "/exports/my-bookings.csv"))
    assert any("UTC" in name and name != "(UTC)" for name in row)
    assert "Instrument" not in row


def test_a_sheet_of_instruments_comes_in_again_and_changes_nothing(lab):
    with db.transaction() as session:
        session.get_one(Instrument, lab.places["SEM"]).hazards = ["vacuum"]
    for kind in ("csv", "xlsx"):
        sent = lab.get("tam", f"/exports/instrument-sheet.{kind}", facility="LAB")
        found = inventory.read(sent.data, f"sheet.{kind}")
        assert found.errors == ()
        with db.reading() as session:
            outcome = imports.check(session, actor=SYSTEM, inventory=found, now=datetime.now(UTC))
        assert (outcome.quiet, outcome.unchanged) == (True, 5)


def test_rules_go_out_by_level_in_words_and_in_figures(lab):
    quota = {"party": "person", "measure": "hours", "period": "week"}
    steps = {"approvers": {"role": "manager"}, "when": [{"condition": "external"}]}
    since = {"valid_from": LONG_AGO.date(), "created_at": LONG_AGO}
    with db.transaction() as session:
        place = {"facility_id": lab.facilities["LAB"]}
        session.add_all(
            [
                Rule(
                    kind=RuleKind.SETTING,
                    name="longest",
                    value=240,
                    note="By the committee",
                    **place,
                    **since,
                ),
                Rule(kind=RuleKind.QUOTA, name="q", value=960, data=quota, **place, **since),
                Rule(kind=RuleKind.APPROVAL, name="Safety", data=steps, **place, **since),
                Rule(
                    kind=RuleKind.SETTING,
                    name="late_allowed",
                    value=0,
                    weekdays=1,
                    instrument_id=lab.places["SEM"],
                    **since,
                ),
                Rule(
                    kind=RuleKind.SETTING, name="longest", value=1, facility_id=lab.facilities["FAR"], **since
                ),
            ]
        )
    rows = {row["Name in figures"]: row for row in table(lab.get("tam", "/exports/rules.csv", code="LAB"))}
    assert set(rows) == {"longest", "q", "Safety", "late_allowed"}
    told = ("Level", "Code", "Kind", "Rule", "Value", "Value in figures", "Unit", "For whom and when")
    assert [rows["longest"][name] for name in told] == [
        *("Facility", "LAB", "Setting", "Longest use", "4 h", "240", "minutes", "everybody, always")
    ]
    assert rows["longest"]["Note"] == "By the committee"
    assert [rows["late_allowed"][name] for name in told] == [
        *(
            "Instrument",
            "SEM",
            "Setting",
            "Whether latecomers may still begin",
            "not allowed",
            "0",
            "1 yes, 0 no",
        ),
        "Monday",
    ]
    assert (rows["q"]["Value"], rows["q"]["Rule"]) == ("16 h", "Hours of each person, in a week")
    assert json.loads(rows["q"]["Details"]) == quota
    assert "asked for: " in rows["Safety"]["Value"]
    # Who must approve is for those who keep the rules.
    seen = {row["Name in figures"]: row for row in table(lab.get("cleo", "/exports/rules.csv", code="LAB"))}
    assert (seen["Safety"]["Value"], seen["Safety"]["Details"]) == ("", "")
    assert seen["longest"]["Value"] == "4 h"
    own = table(lab.get("ada", "/exports/rules.csv", sort="instrument", code="SEM"))
    assert [row["Level"] for row in own] == ["Instrument", "Facility", "Facility", "Facility"]
    assert lab.get("ada", "/exports/rules.csv", sort="instrument", code="HIDDEN").status_code == 404
    assert lab.get("ada", "/exports/rules.csv").status_code == 404
    assert (
        'href="/exports/rules.csv?sort=facility&amp;code=LAB"' in lab.get("ada", "/rules/facility/LAB").text
    )
