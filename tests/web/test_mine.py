"""Below the doors of the home page: what waits, hours, money, favourites, and the group of a leader."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import event

from booking import db, i18n
from booking.domain.access import SYSTEM
from booking.domain.chemicals import Hazard, Substance
from booking.domain.qualifications import Step
from booking.services import approval_steps, bookings, papers
from models import Certificate, PaperKind, Person, Qualification, Rule, RuleKind
from tests import cast
from tests.factories import LONG_AGO
from tests.web.lab import Lab, at, quarter, text_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def section(page: str, name: str) -> str:
    """The words of one section of the page."""
    found = re.search(rf'<section[^>]*aria-labelledby="{name}-title">.*?</section>', page, re.DOTALL)
    return text_of("<main>" + found[0]) if found else ""


def test_a_star_keeps_an_instrument_at_hand_and_lets_it_go(lab):
    assert "The star on an instrument" in section(lab.get("ada", "/").text, "favourites")
    assert 'aria-pressed="false"' in lab.get("ada", "/instruments/SEM").text
    answer = lab.send("ada", "/instruments/SEM/favourite", back="/")
    assert answer.headers["Location"] == "/"
    page = lab.get("ada", "/").text
    assert "“Microscope” is among your favourites." in unescape(page)
    assert "Microscope" in section(page, "favourites")
    assert "Next free" in section(page, "favourites")
    assert "/bookings/new?instrument=SEM" in page
    assert 'aria-pressed="true"' in lab.get("ada", "/instruments/SEM").text
    assert "Microscope" not in section(lab.get("ben", "/").text, "favourites")
    assert lab.send("ada", "/instruments/SEM/favourite/removal", back="//evil.example").headers[
        "Location"
    ] == ("/instruments/SEM")
    assert "Microscope" not in section(lab.get("ada", "/").text, "favourites")
    assert lab.send("cleo", "/instruments/HIDDEN/favourite", back="").status_code == 404


def test_visitors_have_no_star_and_no_desk(lab):
    client = lab.app.test_client()
    assert "star-button" not in client.get("/instruments/SEM").text
    assert "My hours and money" not in client.get("/").text


def test_whoever_is_due_checks_in_from_home(lab):
    start = quarter()
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=3), now=start - timedelta(days=1))
    page = lab.get("ada", "/").text
    assert f"/bookings/{booking}/check-in" in page
    answer = lab.send("ada", f"/bookings/{booking}/check-in", back="/")
    assert answer.headers["Location"] == "/"
    assert f"/bookings/{booking}/check-out" in lab.get("ada", "/").text


def test_feedback_that_is_still_wanted_waits_there(lab):
    start = quarter() - timedelta(hours=3)
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=1), now=start - timedelta(days=1))
    with db.transaction() as session:
        bookings.check_in(session, actor=SYSTEM, booking_id=booking, now=start)
        bookings.check_out(session, actor=SYSTEM, booking_id=booking, now=start + timedelta(hours=1))
    assert "Say how it went: Microscope" in section(lab.get("ada", "/").text, "waits")
    assert section(lab.get("ben", "/").text, "waits") == ""


def test_money_and_hours_are_ones_own_and_a_leader_sees_the_group(lab):
    start = quarter() - timedelta(hours=5)
    lab.book("ben", "SEM", start, start + timedelta(hours=2), now=start - timedelta(days=1))
    lab.book("cleo", "BATH", start, start + timedelta(hours=3), now=start - timedelta(days=1))
    ben = lab.get("ben", "/").text
    assert "Booked this month 2 h" in section(ben, "figures")
    assert "700.00" in section(ben, "figures")
    assert "My group" not in ben
    ada = lab.get("ada", "/").text
    assert "Booked this month 0 h" in section(ada, "figures")
    group = section(ada, "group")
    assert "Ben" in group
    assert "Cleo" not in group
    assert "My group" not in lab.get("cleo", "/").text


def test_more_bookings_cost_home_no_more_statements(lab):
    def statements() -> int:
        seen: list[str] = []
        note = lambda *given: seen.append(given[2])  # noqa: E731 - removed again below
        event.listen(db.engine(), "before_cursor_execute", note)
        try:
            assert lab.get("ada", "/").status_code == 200
        finally:
            event.remove(db.engine(), "before_cursor_execute", note)
        return len([one for one in seen if one.lstrip().upper().startswith(("SELECT", "WITH"))])

    lab.book("ada", "SEM", at(9), at(10), project_id=lab.project_id)
    lab.book("ada", "BATH", at(9), at(10))
    lab.send("ada", "/instruments/SEM/favourite", back="/")
    lab.get("ada", "/")
    few = statements()
    for hour in range(11, 20):
        lab.book("ada", "SEM", at(hour), at(hour, 30), project_id=lab.project_id)
        lab.book("ben", "SEM2", at(hour), at(hour, 30))
    for code in ("SEM2", "PECVD", "BATH"):
        lab.send("ada", f"/instruments/{code}/favourite", back="/")
    lab.get("ada", "/")
    assert statements() <= few


def waits(page: str) -> dict[str, str]:
    """The lines of what waits, and where each leads."""
    found = re.search(r'<ul class="plain waits-list">.*?</ul>', page, re.DOTALL)
    links = re.findall(r'<a class="row-link" href="([^"]*)">(.*?)</a>', found[0] if found else "")
    return {unescape(words): unescape(href) for href, words in links}


def test_what_a_booking_lacks_of_papers_is_one_click_from_its_remedy(lab):
    with db.transaction() as session:
        data = {"approvers": None, "permit_for": ["drug_precursor_3"]}
        place = {"kind": RuleKind.APPROVAL, "data": data, "instrument_id": lab.places["SEM"]}
        session.add(Rule(name="permits", valid_from=LONG_AGO.date(), created_at=LONG_AGO, **place))
    bare = lab.book("ada", "SEM", at(9), at(10))
    lab.book("ada", "BATH", at(9), at(10))  # nobody asks about chemicals there
    with i18n.use_locale("en"):
        day = i18n.format_date(at(9), "Asia/Shanghai", "day")
    said = f"No chemicals are declared; if you bring some, say which: Microscope on {day}"
    assert waits(lab.get("ada", "/").text) == {said: f"/bookings/{bare}/chemicals"}
    assert waits(lab.get("ben", "/").text) == {}
    with db.transaction() as session:
        acetone = Substance("Acetone", hazards=frozenset({Hazard.DRUG_PRECURSOR_3}))
        approval_steps.declare(session, booking_id=bare, chemicals=[acetone])
    sheet = f"The safety data sheet of Acetone is missing: Microscope on {day}"
    assert waits(lab.get("ada", "/").text) == {
        f"The number of the permit for Acetone is missing: Microscope on {day}": f"/bookings/{bare}/chemicals",
        sheet: f"/bookings/{bare}?add=paper#papers-title",
    }
    page = lab.get("ada", f"/bookings/{bare}?add=paper").text
    assert re.search(r"<details open>\s*<summary>Add a paper", page)
    with db.transaction() as session:
        approval_steps.declare(session, booking_id=bare, chemicals=[replace(acetone, permit_number="Y-7")])
        papers.add(
            session,
            actor=cast.actor_of(session, session.get_one(Person, lab.people["ada"])),
            booking_id=bare,
            kind=PaperKind.SDS,
            title="Acetone",
            content=b"what it is",
            now=at(0, days=0),
        )
    assert waits(lab.get("ada", "/").text) == {}


def test_a_qualification_that_runs_out_is_renewed_with_one_click(lab):
    today = at(0, days=0).date()
    with db.transaction() as session:
        row = Qualification(
            code="SEM-1", facility_id=lab.facilities["LAB"], name_zh="电镜", name_en="Microscopy", months=12
        )
        session.add(row)
        session.flush()
        held = Certificate(
            person_id=lab.people["ben"],
            qualification_id=row.id,
            state=Step.GRANTED,
            requested_at=LONG_AGO,
            granted_on=LONG_AGO.date(),
            expires_on=today + timedelta(days=20),
        )
        session.add(held)
        session.flush()
        held_id = held.id
    (words,) = waits(lab.get("ben", "/").text)
    assert words.startswith("Your qualification “Microscopy” counts until ")
    assert waits(lab.get("ben", "/").text)[words] == "/qualifications/SEM-1"
    assert waits(lab.get("ada", "/").text) == {}
    with db.transaction() as session:
        session.get_one(Certificate, held_id).expires_on = today + timedelta(days=200)
    assert waits(lab.get("ben", "/").text) == {}


def test_the_next_run_bears_the_code_by_which_staff_open_it(lab):
    later = lab.book("ada", "BATH", at(9), at(10))
    assert "check-in-code" not in lab.get("ada", "/").text
    start = quarter() + timedelta(hours=3)
    soon = lab.book("ada", "SEM", start, start + timedelta(hours=1), now=start - timedelta(days=1))
    page = lab.get("ada", "/").text
    assert page.count("check-in-code") == 1
    offline = {
        one["id"]: one["code"]["path"] for one in lab.get("ada", "/account/offline.json").json["items"]
    }
    assert offline[str(soon)] in page
    assert offline[str(later)] not in page
