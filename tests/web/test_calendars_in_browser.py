"""The page of calendar addresses in a real browser: the address is copied, with and without scripts all works."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
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
        cast.ada(session)
        make_instrument(session, facility=make_facility(session), code="SEM", name_en="Microscope")
        session.commit()
    engine.dispose()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server.base_url


def _make(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in?next=/calendars?scope=instrument%26id=SEM")
    page.fill("[name=email]", "ada@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("[name=what]")
    page.select_option("[name=what]", "instrument:SEM")
    page.click("form[action='/calendars'] button[type=submit]")
    page.wait_for_selector("#address")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
def test_the_address_is_copied_and_said_so(page, address):
    _make(page, address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page.click("[data-copy]")
    page.wait_for_selector(".copy-said:not(:empty)")
    assert page.inner_text(".copy-said") == "Copied"
    assert page.evaluate("navigator.clipboard.readText()") == page.input_value("#address")
    assert browser.axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_the_page_of_calendar_programs_is_for_everybody(page, address):
    _make(page, address)
    page.click('a[href="/calendars/programs"]')
    page.wait_for_selector("text=Read, and book by drawing an event")
    assert browser.axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_there_is_an_address_and_no_dead_button(page, address):
    _make(page, address)
    assert page.input_value("#address").endswith(".ics")
    assert not page.is_visible("[data-copy]")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_drawings_codes_and_the_page_of_an_address_are_for_everybody(page, address):
    _make(page, address)
    for fold in page.query_selector_all("main summary"):
        fold.click()
    assert page.locator(".pic").count() == 4
    assert browser.axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click(".feed a.button")
    page.wait_for_selector("form[action$='/revocation']", state="attached")
    assert not page.is_visible("form[action$='/revocation']")
    for fold in page.query_selector_all("main summary"):
        fold.click()
    assert browser.axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click("form[action$='/revocation'] button")
    page.wait_for_selector(".empty")
    assert "no longer works" in page.inner_text("main")


@pytest.mark.parametrize("locale", ["en"])
def test_instruments_are_asked_for_only_where_they_are_shown_together(page, address):
    _make(page, address)
    page.goto(f"{address}/calendars")
    assert not page.is_visible("[name=codes]")
    page.select_option("[name=what]", "free")
    page.fill("[name=codes]", "SEM")
    page.click("form[action='/calendars'] button[type=submit]")
    page.wait_for_selector("#address")
