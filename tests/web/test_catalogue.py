"""Search, an instrument's page with its week, facilities and networks."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from models import Document, Facility, Instrument
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

ENGLISH = {"Accept-Language": "en"}
SHANGHAI = ZoneInfo("Asia/Shanghai")


def soon(days: int, hour: int) -> datetime:
    """An hour of a day to come, on the facility's clock."""
    day = (datetime.now(SHANGHAI) + timedelta(days=days)).date()
    return datetime.combine(day, datetime.min.time(), tzinfo=SHANGHAI) + timedelta(hours=hour)


@pytest.fixture
def world(app: Flask) -> Flask:
    return filled(app)


def filled(app: Flask) -> Flask:
    with db.transaction() as session:
        lab = make_facility(
            session, code="LAB", name_zh="材料实验室", name_en="Materials lab", contact="room 5"
        )
        other = make_facility(session, code="OTHER", name_zh="其他平台", name_en="Other platform")
        make_network(session, lab, code="NET", name_zh="示例网", name_en="Example network")
        make_instrument(
            session,
            facility=lab,
            code="SEM",
            name_zh="扫描电子显微镜",
            name_en="Scanning <b>microscope</b>",
            price=350,
            capabilities=["microscopy"],
            step_minutes=30,
            shortest_minutes=60,
            setup_minutes=15,
            cleanup_minutes=15,
            horizon_minutes=90 * 24 * 60,
            hazards=["vacuum"],
            training_required=True,
            about={"rules_en": "No liquids.\nWear gloves.", "about_en": "Looks closely."},
        )
        make_instrument(session, facility=lab, code="POOL", name_en="Test channels", units=16)
        make_instrument(session, facility=other, code="MILL", name_zh="球磨机", name_en="Ball mill")
        make_instrument(session, facility=lab, code="NEW", name_en="Unpublished thing", published=False)
        make_instrument(session, facility=lab, code="OFF", name_en="Broken thing", bookable=False)
        for person in (cast.ada(session), cast.cleo(session), cast.tam(session, lab)):
            person.locale = "en"
    return app


@pytest.fixture
def visitor(world: Flask) -> FlaskClient:
    return world.test_client()


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    with db.transaction() as session:
        cast.sign_in(client, session, getattr(cast, name)(session))
    return client


def read(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=ENGLISH)
    assert answer.status_code == status
    return answer.text


def names(page: str) -> list[str]:
    return re.findall(r'<a href="/instruments/(\w+)">', page)


def book(name: str, code: str, start: datetime, end: datetime, quantity: int = 1, **given: object) -> str:
    with db.transaction() as session:
        person = getattr(cast, name)(session)
        row = session.query(Instrument).filter_by(code=code).one()
        placed = bookings.place(
            session,
            actor=cast.actor_of(session, person),
            items=[Item(row.id, Span(start.astimezone(UTC), end.astimezone(UTC)), quantity)],
            now=datetime.now(UTC),
            **given,
        )
        return str(placed.id)


# --- search ---------------------------------------------------------------------------------------


def test_everything_published_is_listed(visitor):
    page = read(visitor, "/instruments")
    assert sorted(names(page)) == ["MILL", "OFF", "POOL", "SEM"]
    assert "4 instruments" in page
    assert "Scanning &lt;b&gt;microscope&lt;/b&gt;" in page
    assert "¥350.00" in page


@pytest.mark.parametrize("words", ["microscope", "显微镜", "xianweijing", "xwj", "SEM"])
def test_words_of_any_sort_find_it(visitor, words):
    assert names(read(visitor, f"/instruments?q={words}")) == ["SEM"]


def test_names_come_in_the_readers_language(visitor):
    page = visitor.get("/instruments?q=SEM", headers={"Accept-Language": "zh-CN"}).text
    assert '<html lang="zh-Hans-CN">' in page
    assert "扫描电子显微镜" in page


def test_a_facet_narrows_and_widens_again_without_a_script(visitor):
    page = read(visitor, "/instruments?q=thing")
    assert names(page) == ["OFF"]
    page = read(visitor, "/instruments")
    link = unescape(re.search(r'href="(/instruments\?facility=OTHER)"', page)[1])
    page = read(visitor, link)
    assert names(page) == ["MILL"]
    assert 'name="facility" value="OTHER"' in page  # the next words stay inside the facility
    assert re.search(
        r'<a href="/instruments" rel="nofollow" aria-current="true">\s*<span>Other platform', page
    )


def test_capabilities_add_up(visitor):
    page = read(visitor, "/instruments?capability=microscopy")
    assert names(page) == ["SEM"]
    assert 'class="chip"' in page


def test_nothing_found_says_what_to_try(visitor):
    page = read(visitor, "/instruments?q=zyzzyva")
    assert "Nothing found" in page
    assert "0 instruments" in page
    assert 'value="zyzzyva"' in page


def test_nothing_found_tells_what_would_be_found_with_less(visitor):
    page = read(visitor, "/instruments?q=microscope&facility=OTHER&kind=device&sort=price")
    assert re.search(
        r"q=microscope&amp;kind=device&amp;sort=price.>Without “Facility”</a> <span.*>1 instrument<", page
    )
    assert re.search(r">Without “microscope”</a> <span.*>1 instrument<", page)
    assert "Without “Kind”" not in page  # that would help nobody


def test_the_list_is_put_in_order_by_price_time_and_distance(world, visitor):
    with db.transaction() as session:
        make_instrument(session, make_facility(session), code="CHEAP", name_en="Cheap thing", price=5)
        for place in session.query(Facility):
            place.latitude, place.longitude = (22.9 if place.code == "LAB" else 24.0), 113.9
    book("cleo", "MILL", soon(0, 0) + timedelta(days=1), soon(9, 0))
    assert names(read(visitor, "/instruments?sort=price"))[:2] == ["CHEAP", "SEM"]
    earliest = names(read(visitor, "/instruments?sort=earliest"))
    assert earliest[-1] == "OFF"  # is not to be had at all
    assert names(read(visitor, "/instruments?near=OTHER"))[:2] == ["MILL", "CHEAP"]
    page = read(visitor, "/instruments?near=OTHER&sort=price")
    assert names(page)[0] == "CHEAP"
    assert '<strong aria-current="true">Cheapest first</strong>' in page
    assert names(read(visitor, "/instruments?sort=price&page=2&page_size=2")) == ["MILL", "OFF"]
    assert (
        "sort=price"
        in re.search(r'href="(/instruments\?facility=LAB[^"]*)"', page.replace("near=OTHER&amp;", ""))[1]
    )
    read(visitor, "/instruments?sort=size", 422)
    read(visitor, "/instruments?sort=nearest", 422)  # near to what?


def test_an_unknown_filter_can_be_taken_away(visitor):
    page = read(visitor, "/instruments?facility=NOWHERE%3Cb%3E")
    assert "NOWHERE&lt;b&gt;" in page
    assert 'href="/instruments"' in page


def test_pages_of_the_list(visitor):
    first = read(visitor, "/instruments?page_size=2")
    second = read(visitor, "/instruments?page_size=2&page=2")
    assert len(names(first)) == len(names(second)) == 2
    assert set(names(first)).isdisjoint(names(second))
    assert "3–4 of 4" in second
    assert 'href="/instruments?page_size=2&amp;page=1" rel="prev"' in second
    assert "no such page" in read(visitor, "/instruments?page=99")


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=99999999", "page_size=1000", "q=" + "x" * 300])
def test_what_nobody_types_is_refused(visitor, query):
    assert "Traceback" not in read(visitor, f"/instruments?{query}", 422)


def statements(client: FlaskClient, path: str) -> int:
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.append(statement)

    read(client, path)  # what all pages keep for a while is read once
    engine = db.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        read(client, path)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def test_more_results_cost_no_more_statements(visitor):
    few = statements(visitor, "/instruments")
    with db.transaction() as session:
        for n in range(10):
            make_instrument(session, code=f"MORE-{n}", price=5, capabilities=["mixing"])
    assert statements(visitor, "/instruments") == few <= 17
    few = statements(visitor, "/instruments?sort=earliest")
    with db.transaction() as session:
        for n in range(10, 20):
            make_instrument(session, code=f"MORE-{n}", price=5)
    assert statements(visitor, "/instruments?sort=earliest") == few <= 30


# --- an instrument --------------------------------------------------------------------------------


def test_the_page_says_rules_prices_and_hazards_in_words(visitor):
    page = read(visitor, "/instruments/SEM")
    assert "Scanning &lt;b&gt;microscope&lt;/b&gt;" in page
    assert "扫描电子显微镜" in page
    for words in (
        "At least 1 h, in steps of 30 min.",
        "Book at most 90 days ahead.",
        "15 min for set-up before and 15 min for clean-up after",
        "A booking is confirmed at once, unless a rule asks for approval; the form says so.",
        "You need the facility's training first.",
        "<li>No liquids.</li>",
        "<li>Wear gloves.</li>",
        "Looks closely.",
        "Vacuum",
        "¥350.00",
        "Asia/Shanghai (UTC+08:00)",
        "You pay the outside price.",
    ):
        assert words in page


@pytest.mark.parametrize("code", ["NEW", "NONE", "sem", "SEM%00", "%3Cscript%3E"])
def test_what_is_hidden_is_as_if_it_were_not_there(visitor, code):
    assert visitor.get(f"/instruments/{code}", headers=ENGLISH).status_code in {400, 404}


def test_staff_see_what_is_not_published_and_outsiders_do_not(world):
    assert "Not published" in read(client_of(world, "tam"), "/instruments/NEW")
    read(client_of(world, "cleo"), "/instruments/NEW", 404)


def test_every_free_begin_is_a_link_to_the_form(visitor):
    start = soon(9, 10)
    page = read(visitor, f"/instruments/SEM?day={start:%Y-%m-%d}")
    wanted = f"/bookings/new?instrument=SEM&amp;start={start:%Y-%m-%d}T10:00&amp;end={start:%Y-%m-%d}T11:00"
    assert f'href="{wanted}"' in page


def test_a_booking_of_others_is_taken_and_says_no_more(world, visitor):
    start = soon(9, 10)
    secret = book("cleo", "SEM", start, start + timedelta(hours=3), purpose="A secret alloy")
    page = read(visitor, f"/instruments/SEM?day={start:%Y-%m-%d}")
    assert "10:00–13:00" in page
    for said in ("A secret alloy", secret, "Cleo"):
        assert said not in page
    assert f"start={start:%Y-%m-%d}T10:00" not in page
    assert f"start={start:%Y-%m-%d}T13:30" in page
    ada = read(client_of(world, "ada"), f"/instruments/SEM?day={start:%Y-%m-%d}")
    assert "A secret alloy" not in ada
    own = read(client_of(world, "cleo"), f"/instruments/SEM?day={start:%Y-%m-%d}")
    assert "Mine: A secret alloy" in own
    assert f'href="/bookings/{secret}"' in own
    assert "A secret alloy" in read(client_of(world, "tam"), f"/instruments/SEM?day={start:%Y-%m-%d}")


def test_the_list_says_the_same_as_the_drawing(world, visitor):
    start = soon(9, 10)
    book("cleo", "SEM", start, start + timedelta(hours=3))
    page = read(visitor, f"/instruments/SEM?view=list&day={start:%Y-%m-%d}")
    assert 'class="week' not in page
    assert "10:00–13:00" in page
    assert f"start={start:%Y-%m-%d}T13:30" in page


def test_units_that_are_left_are_said(world, visitor):
    start = soon(9, 10)
    book("cleo", "POOL", start, start + timedelta(hours=3), quantity=10)
    page = read(visitor, f"/instruments/POOL?day={start:%Y-%m-%d}")
    assert "6 of 16 free" in page
    assert "16 of 16 free" in page
    assert 'name="quantity"' in page


def test_what_cannot_be_booked_offers_no_time(visitor):
    page = read(visitor, "/instruments/OFF")
    assert "cannot be booked at present" in page
    assert "/bookings/new" not in page


def test_weeks_can_be_turned(visitor):
    page = read(visitor, "/instruments/SEM?day=2026-11-18")
    assert 'href="/instruments/SEM?day=2026-11-09#calendar" rel="prev"' in page
    assert 'href="/instruments/SEM?day=2026-11-23#calendar" rel="next"' in page


@pytest.mark.parametrize("query", ["day=yesterday", "day=9999-12-31", "day=0001-01-01", "view=tree"])
def test_a_week_that_there_is_not_is_refused(visitor, query):
    read(visitor, f"/instruments/SEM?{query}", 422)


def test_a_document_with_another_scheme_is_no_link(world, visitor):
    with db.transaction() as session:
        row = session.query(Instrument).filter_by(code="SEM").one()
        session.add(Document(instrument_id=row.id, title="Manual", url="https://example.org/manual.pdf"))
        session.add(Document(instrument_id=row.id, title="Trap", url="javascript:alert(1)"))
    page = read(visitor, "/instruments/SEM")
    assert 'href="https://example.org/manual.pdf" rel="noopener noreferrer"' in page
    assert "Trap" in page
    assert "javascript:" not in page


def test_a_busy_week_costs_no_more_statements(visitor):
    start = soon(9, 0)
    path = f"/instruments/SEM?day={start:%Y-%m-%d}"
    few = statements(visitor, path)
    for n in range(6):
        book("cleo", "SEM", start + timedelta(hours=3 * n), start + timedelta(hours=3 * n + 1))
    assert statements(visitor, path) == few <= 30


def test_every_page_opens_on_both_databases(app_on_both):
    client = filled(app_on_both).test_client()
    for path in (
        "/instruments",
        "/instruments?q=显微镜&kind=device&category=01&capability=microscopy",
        "/instruments/SEM",
        "/instruments/POOL?view=list",
        "/facilities",
        "/facilities/LAB",
        "/networks/NET",
        "/free?minutes=60&q=sem",
    ):
        read(client, path)


# --- facilities and networks ----------------------------------------------------------------------


def test_a_facility_shows_its_place_hours_and_instruments(visitor):
    page = read(visitor, "/facilities/LAB")
    assert sorted(names(page)) == ["OFF", "POOL", "SEM"]
    for words in ("Materials lab", "材料实验室", "room 5", "Monday to Sunday", "all day", "Example network"):
        assert words in page
    read(visitor, "/facilities/NOWHERE", 404)


def test_only_its_staff_are_led_to_the_desk(world, visitor):
    assert "To the desk" not in read(visitor, "/facilities/LAB")
    assert "To the desk" not in read(client_of(world, "cleo"), "/facilities/LAB")
    assert "To the desk" in read(client_of(world, "tam"), "/facilities/LAB")


def test_a_network_shows_its_facilities_and_no_others(visitor):
    page = read(visitor, "/networks/NET")
    assert "Materials lab" in page
    assert "Other platform" not in page
    assert "See its 3 instruments" in page
    read(visitor, "/networks/NOWHERE", 404)


def test_all_facilities_and_networks(visitor):
    page = read(visitor, "/facilities")
    for words in ("Materials lab", "Other platform", "Example network", "3 instruments", "1 instrument"):
        assert words in page


def test_a_reader_from_hong_kong_searches_and_reads_traditional_characters(world: Flask):
    client = world.test_client()
    found = client.get("/instruments?q=電子顯微鏡", headers={"Accept-Language": "zh-HK"}).text
    assert "掃描電子顯微鏡" in found
    assert "材料實驗室" in found
    assert "扫描电子显微镜" not in found
    page = client.get("/instruments/SEM", headers={"Accept-Language": "zh-HK"}).text
    assert 'lang="zh-Hant-HK"' in page
    assert "人民幣350.00元" in page
