"""Desks in a real browser: charts are drawn with the figures of their tables, the map opens, and all can be read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from booking import db
from booking.domain.access import SYSTEM
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.domain.utilisation import Measure
from booking.services import bookings, targets
from booking.services.targets import Draft
from tests import browser, cast
from tests.factories import make_facility, make_instrument, make_network
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def address(sqlite_url: str) -> Iterator[str]:
    engine = db.make_engine(sqlite_url)
    with Session(engine.execution_options(write=True)) as session:
        lab = make_facility(session, code="LAB", latitude=22.9, longitude=113.9, town="松山湖")
        sem = make_instrument(session, lab, code="SEM", price=100)
        make_instrument(session, lab, code="ASK", approval_required=True)
        net = make_network(session, lab, code="NET")
        cast.tam(session, lab)
        cast.nora(session, net)
        ada = cast.actor_of(session, cast.ada(session))
        for days in (3, 5, 10, 20):
            start = NOW - timedelta(days=days)
            item = Item(sem.id, Span(start, start + timedelta(hours=12)))
            bookings.place(session, actor=ada, items=[item], now=start - timedelta(days=1))
        item = Item(sem.id + 1, Span(NOW + timedelta(days=2), NOW + timedelta(days=2, hours=1)))
        bookings.place(session, actor=ada, items=[item], now=NOW)
        targets.put(
            session,
            actor=SYSTEM,
            facility_id=lab.id,
            instrument_id=None,
            draft=Draft(Measure.PERCENT, 40, NOW.date() - timedelta(days=90)),
            now=NOW,
        )
        session.commit()
    engine.dispose()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server.base_url


def _open(page, address: str, who: str, path: str) -> None:
    page.goto(f"{address}/sign-in?next={path}")
    page.fill("[name=email]", f"{who}@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("h1")
    page.wait_for_load_state()


def _drawn(page) -> None:
    page.locator("[data-chart]").first.scroll_into_view_if_needed()
    page.wait_for_selector("[data-chart][data-drawn] canvas")


@pytest.mark.parametrize("locale", ["en"])
def test_the_chart_has_the_figures_of_its_table(page, address):
    _open(page, address, "tam", "/desk")
    figure = page.locator("[data-chart]")
    assert not page.locator(".chart-figures table").is_visible()
    _drawn(page)
    drawn = json.loads(figure.get_attribute("data-chart"))
    page.click(".chart-figures summary")
    shown = page.locator(".chart-figures tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    booked, _used, target = (one["values"] for one in drawn["series"])
    assert len(shown) == len(booked) == 4
    for row, share, aim in zip(shown, booked, target, strict=True):
        assert float(row[6].rstrip("%")) == pytest.approx(share, abs=0.5)
        assert float(row[7].rstrip("%")) == aim == 40
    paper = page.locator(".u-over").bounding_box()
    page.mouse.move(paper["x"] + paper["width"] * 0.9, paper["y"] + 40)
    page.wait_for_selector(".chart-tip:not([hidden])")
    assert f"Booked {booked[-1]:g}%" in page.locator(".chart-tip").inner_text()


@pytest.mark.parametrize("locale", ["en"])
def test_a_request_is_approved_with_one_click_at_the_desk(page, address):
    _open(page, address, "tam", "/desk")
    page.get_by_role("button", name="Approve", exact=False).click()
    page.wait_for_selector(".flash, [role=status], .notice")
    assert page.url.startswith(f"{address}/desk")
    assert "No requests wait." in page.locator("main").inner_text()


@pytest.mark.parametrize("javascript", [False])
@pytest.mark.parametrize("locale", ["en"])
def test_without_scripts_the_tables_stand(page, address):
    _open(page, address, "tam", "/desk")
    assert page.locator(".chart-figures table").is_visible()
    assert not page.locator("[data-chart-paper]").is_visible()


@pytest.mark.parametrize("locale", ["en"])
def test_the_map_shows_facilities_by_utilisation(page, address):
    _open(page, address, "nora", "/officer")
    page.locator("[data-map]").scroll_into_view_if_needed()
    page.wait_for_selector(".leaflet-container")
    page.wait_for_function("() => document.querySelector('.leaflet-container').innerText.includes('%')")
    _drawn(page)


@pytest.mark.parametrize("locale", ["en"])
def test_the_star_is_kept_by_keyboard(page, address):
    _open(page, address, "ada", "/instruments/SEM")
    page.locator(".star-button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".star-button.kept")
    page.goto(f"{address}/")
    assert page.locator("#favourites-title ~ ul, section:has(#favourites-title) .again-row").count() >= 1


@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("locale", "viewport"), [("zh-CN", {"width": 1440, "height": 900}), ("en", browser.PHONE)]
)
def test_every_desk_can_be_read_by_all(page, address):
    for who, paths in (("tam", ("/desk", "/desk/targets")), ("nora", ("/officer",)), ("ada", ("/",))):
        page.context.clear_cookies()
        for n, path in enumerate(paths):
            if n == 0:
                _open(page, address, who, path)
            else:
                page.goto(f"{address}{path}")
            if page.locator("[data-chart]").count():
                _drawn(page)
            for fold in page.locator("main details").all():
                fold.evaluate("one => { one.open = true; }")
            assert browser.axe(page) == [], path
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, path
