"""Find a time: offers that can be booked as they are, defaults for everything, mistakes named."""

import re
from datetime import datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from booking import db
from tests import cast
from tests.factories import make_facility, make_instrument

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def world(app: Flask) -> Flask:
    with db.transaction() as session:
        lab = make_facility(session, code="LAB", name_en="Materials lab")
        berlin = make_facility(session, code="FAR", name_en="Far lab", zone="Europe/Berlin")
        make_instrument(session, facility=lab, code="SEM", name_en="Microscope", price=100)
        make_instrument(session, facility=lab, code="POOL", name_en="Channels", units=4, price=10)
        make_instrument(session, facility=lab, code="LONG", name_en="Furnace", shortest_minutes=600)
        make_instrument(session, facility=lab, code="NEW", name_en="Unpublished", published=False)
        make_instrument(session, facility=berlin, code="XRD", name_en="Diffractometer")
        cast.cleo(session)
    return app


@pytest.fixture
def visitor(world: Flask) -> FlaskClient:
    return world.test_client()


def read(client: FlaskClient, query: str = "", status: int = 200) -> str:
    answer = client.get(f"/free?{query}", headers=ENGLISH)
    assert answer.status_code == status
    return answer.text


def offers(page: str) -> dict[str, dict[str, str]]:
    """What each "Book" link asks the form for, by instrument."""
    found = {}
    for href in re.findall(r'href="(/bookings/new[^"]+)"', page):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(unescape(href)).query).items()}
        found.setdefault(asked.pop("instrument"), asked)
    return found


def test_without_a_word_the_next_two_hours_of_each_are_offered(visitor):
    page = read(visitor)
    found = offers(page)
    assert set(found) == {"SEM", "POOL", "XRD"}
    start, end = (datetime.fromisoformat(found["SEM"][name]) for name in ("start", "end"))
    assert end - start == timedelta(hours=2)
    assert "¥200.00" in page
    assert "On request" in page
    assert "Unpublished" not in page


def test_times_stand_on_the_clock_of_each_facility(visitor):
    start = datetime.fromisoformat(offers(read(visitor))["XRD"]["start"]).replace(
        tzinfo=ZoneInfo("Europe/Berlin")
    )
    assert timedelta(0) <= start - datetime.now(ZoneInfo("UTC")) < timedelta(hours=1)


def test_length_units_and_filters_count(visitor):
    assert set(offers(read(visitor, "minutes=600"))) == {"SEM", "POOL", "LONG", "XRD"}
    found = offers(read(visitor, "quantity=3"))
    assert found["POOL"]["quantity"] == "3"
    assert set(found) == {"POOL"}
    assert set(offers(read(visitor, "facility=FAR"))) == {"XRD"}
    assert set(offers(read(visitor, "q=furnace&minutes=720"))) == {"LONG"}


def test_days_are_kept(visitor):
    day = (datetime.now(ZoneInfo("Asia/Shanghai")) + timedelta(days=5)).date()
    found = offers(read(visitor, f"facility=LAB&from={day}&to={day}"))
    assert found["SEM"]["start"] == f"{day}T00:00"


def test_where_nothing_is_free_the_ways_out_are_links(visitor):
    page = read(visitor, "q=furnace&minutes=30")
    assert "Nothing is free like this" in page
    assert "/free?q=furnace&amp;minutes=30&amp;to=" in page


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("minutes=x", "minutes", "This cannot be understood."),
        ("minutes=0", "minutes", "This is out of range."),
        ("minutes=9999999", "minutes", "This is out of range."),
        ("minutes=999999", "minutes", "This is out of range."),
        ("quantity=-1", "quantity", "This cannot be understood."),
        ("from=tomorrow", "from", "This cannot be understood."),
        ("from=2026-11-20&to=2026-11-19", "to", "The end must come after the start."),
        ("from=0001-01-01", "from", "This is out of range."),
        ("to=9999-12-31", "to", "This is out of range."),
        ("q=" + "x" * 300, "q", "This text is too long."),
    ],
)
def test_a_mistake_is_named_and_what_was_typed_stays(visitor, query, field, words):
    page = read(visitor, query, 422)
    assert f'<a href="#{field}">{words}</a>' in page
    assert f'id="{field}-error"' in page


def test_days_that_have_passed(visitor):
    day = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=20)).date()
    assert "These days have passed." in read(visitor, f"from={day}&to={day}", 422)


def test_before_there_is_any_facility(client):
    assert "Nothing is free like this" in client.get("/free", headers=ENGLISH).text
