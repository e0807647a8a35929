"""Keeping a facility in a real browser: hours painted on a week, and every page without a fault for helpers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from booking import db
from tests import browser, cast
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]


@pytest.fixture
def address(sqlite_url: str) -> Iterator[str]:
    engine = db.make_engine(sqlite_url)
    with Session(engine.execution_options(write=True)) as session:
        lab = make_facility(session, code="LAB")
        cast.tam(session, lab)
        make_instrument(session, lab, code="SEM", price=350, capabilities=["microscopy"])
        session.commit()
    engine.dispose()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server.base_url


def _enter(page, address: str, path: str) -> None:
    page.goto(f"{address}/sign-in?next={path}")
    page.fill("[name=email]", "tam@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{path}")
    page.wait_for_load_state()


@pytest.mark.parametrize("locale", ["en"])
def test_hours_are_painted_by_hand_by_keys_and_from_a_template(page, address):
    _enter(page, address, "/facilities/LAB/hours")
    typed = page.locator("#opening")
    page.click("text=Weekdays 9–17")
    assert typed.input_value() == "Mon-Fri 09:00-17:00"
    # Saturday from 9 to 12 with the mouse.
    page.locator("[data-at='5-18']").scroll_into_view_if_needed()
    page.locator("[data-at='5-18']").hover()
    page.mouse.down()
    page.locator("[data-at='5-23']").hover()
    page.mouse.up()
    assert typed.input_value() == "Mon-Fri 09:00-17:00\nSat 09:00-12:00"
    # Closed at noon on Monday with keys, and so on all weekdays.
    page.focus("[data-at='0-24']")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    assert typed.input_value().startswith("Mon 09:00-12:00\nMon 13:00-17:00\nTue-Fri 09:00-17:00")
    page.locator(".paint-copy select").first.select_option("01234")
    assert typed.input_value() == "Mon-Fri 09:00-12:00\nMon-Fri 13:00-17:00\nSat 09:00-12:00"
    assert "38 h a week" in page.inner_text(".paint")
    # What is typed is drawn; what lies between half hours stays.
    typed.fill("Sun 08:15-09:00")
    assert page.get_attribute("[data-at='6-16']", "data-state") == "partly"
    assert browser.axe(page) == []
    page.click("text=See whom it displaces")
    assert "No booking would be displaced." in page.inner_text("main")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.PHONE], ids=["phone"])
def test_pages_have_no_fault_for_helpers_with_their_errors_shown(page, address):
    _enter(page, address, "/instruments/SEM/edit")
    faults = {}
    for path in (
        *(
            "/instruments/SEM/edit",
            "/instruments/SEM/files",
            "/instruments/SEM/prices",
            "/instruments/SEM/history",
        ),
        *("/instruments/SEM/rules", "/instruments/SEM/service", "/facilities/LAB/instruments/new"),
        *("/facilities/LAB/edit", "/facilities/LAB/prices", "/facilities/LAB/history"),
    ):
        page.goto(address + path)
        faults[path] = browser.axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= browser.PHONE["width"], path
    page.goto(f"{address}/instruments/SEM/edit")
    page.fill("#name_zh", "")
    page.fill("#longest_minutes", "soon")
    page.click("text=Keep >> nth=-1")
    expect(page.locator(".notice.error")).to_be_focused()
    faults["errors"] = browser.axe(page)
    assert {path: found for path, found in faults.items() if found} == {}
