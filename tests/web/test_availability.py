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


def test_what_the_door_asks_in_one_field_becomes_plain_fields(visitor):
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    answer = visitor.get("/free?q=&kind=device&when=tomorrow&where=facility:LAB")
    assert answer.status_code == 302
    asked = parse_qs(urlsplit(answer.location).query)
    day = (today + timedelta(days=1)).isoformat()
    assert asked == {"kind": ["device"], "facility": ["LAB"], "from": [day], "to": [day]}
    week = parse_qs(urlsplit(visitor.get("/free?when=week&where=near:441900").location).query)
    assert week["near"] == ["441900"]
    assert week["sort"] == ["nearest"]
    assert datetime.fromisoformat(week["to"][0]).weekday() == 6
    assert visitor.get("/free?where=//evil.example&when=x").location == "/free"


def test_boxes_may_be_ticked_one_by_one_or_named_with_commas(visitor):
    both = read(visitor, "facility=LAB&facility=FAR&terms=instant")
    assert set(offers(both)) == set(offers(read(visitor, "facility=LAB,FAR&terms=instant")))
    assert re.search(r'id="facet-facility-FAR" name="facility" value="FAR" checked', both)
    assert re.search(r'id="facet-terms-instant" name="terms" value="instant" checked', both)
    chip = re.search(
        r'class="chip" href="([^"]+)"><span class="visually-hidden">Remove: </span>Far lab', both
    )
    assert parse_qs(urlsplit(unescape(chip[1])).query) == {"facility": ["LAB"], "terms": ["instant"]}


def test_the_cheapest_come_first_and_a_ceiling_counts(visitor):
    page = read(visitor, "sort=price")
    assert list(offers(page)) == ["POOL", "SEM", "XRD"]
    assert set(offers(read(visitor, "ceiling=100"))) == {"POOL"}
    assert '<option value="price" selected>' in page


def test_what_suits_and_is_not_free_tells_its_lengths(visitor):
    page = read(visitor)
    assert "3 free of 4 that suit" in page
    assert re.search(r"Furnace</a>.*?It is used for 10 h or more, in steps of 15 min\.", page, re.DOTALL)
    assert "/waitlist/new?instrument=LONG&amp;minutes=120" in page


def test_a_page_that_there_is_not_and_orders_without_sense(visitor):
    assert "There is no such page" in read(visitor, "page=9")
    for query, field in (
        ("sort=x", "sort"),
        ("part=noon", "part"),
        ("sort=nearest", "near"),
        ("ceiling=x", "ceiling"),
    ):
        assert f'href="#{field}"' in read(visitor, query, 422)


@pytest.mark.parametrize(
    ("tiles", "sources"),
    [
        ("", "img-src 'self' data:;"),
        ("https://tiles.example.org/{z}/{x}/{y}.png", "'self' https://tiles.example.org data:;"),
    ],
)
def test_only_pages_with_a_map_may_load_tiles_and_only_from_the_host_that_is_named(
    make_app, sqlite_url, tiles, sources
):
    client = make_app(sqlite_url, map_tiles=tiles, map_attribution="Example <maps>").test_client()
    with db.transaction() as session:
        make_instrument(session, make_facility(session, code="LAB", latitude=22.9, longitude=113.9))
    places, free = client.get("/facilities"), client.get("/free")
    for page in (places, free):
        assert sources in page.headers["Content-Security-Policy"]
        assert ("Example &lt;maps&gt;" in page.text) == bool(tiles)
    assert "geolocation=(self)" in free.headers["Permissions-Policy"]
    assert "geolocation=()" in places.headers["Permissions-Policy"]
    assert "tiles" not in client.get("/instruments").headers["Content-Security-Policy"]
