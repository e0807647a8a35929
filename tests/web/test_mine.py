"""Below the doors of the home page: what waits, hours, money, favourites, and the group of a leader."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import event

from booking import db
from booking.domain.access import SYSTEM
from booking.services import bookings
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
