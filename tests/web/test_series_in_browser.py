"""Series in a real browser: from the booking form to a booked series in two clicks, without scripts, on any screen."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from models import Category, Instrument
from tests import browser, cast
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer
from tests.web.lab import at, local

pytestmark = [pytest.mark.browser, pytest.mark.server]


@pytest.fixture
def address(sqlite_url: str) -> Iterator[str]:
    """A microscope and its twin; Ben has the first in the third week."""
    engine = db.make_engine(sqlite_url)
    with Session(engine.execution_options(write=True)) as session:
        session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
        session.flush()
        facility = make_facility(session)
        for code in ("SEM", "SEM2"):
            make_instrument(session, facility, code=code, name_en="Microscope", category_code="0101")
        cast.ada(session)
        ben = cast.actor_of(session, cast.ben(session))
        place = session.scalar(select(Instrument.id).where(Instrument.code == "SEM"))
        later = timedelta(weeks=2)
        item = Item(place, Span(at(10) + later, at(12) + later))
        bookings.place(session, actor=ben, items=[item], now=datetime.now(UTC))
        session.commit()
    engine.dispose()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server.base_url


def open_form(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("[name=email]", "ada@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(f"{address}/bookings/new?instrument=SEM&start={local(at(9))}&end={local(at(11))}")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
def test_a_series_takes_two_clicks_more(page: Page, address: str):
    open_form(page, address)
    page.click("text=Repeat …")
    page.wait_for_selector(".series-dates")
    assert "7 dates can be booked, 1 cannot" in page.inner_text("main")
    page.click("text=Book only the 7 free ones")
    page.wait_for_url(lambda url: "/series/" in url and "new" not in url)
    assert page.locator(".series-dates .badge.good").count() == 7


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
def test_the_pages_have_no_fault_and_fit(page: Page, address: str, locale: str):
    faults = browser.watch(page)
    open_form(page, address)
    page.click("[name=repeat]")
    page.wait_for_selector(".series-dates")
    faults += looked_at(page, f"series-new-{locale}")
    page.click("[name=free_only]")
    page.wait_for_url(lambda url: "/series/" in url and "new" not in url)
    faults += looked_at(page, f"series-{locale}")
    page.goto(f"{page.url}/change")
    page.fill("[name=start_time]", "10:00")
    page.fill("[name=end_time]", "12:00")
    page.click("[name=check]")
    page.wait_for_selector(".series-dates")
    faults += looked_at(page, f"series-change-{locale}")
    assert not faults, "\n".join(faults)


def looked_at(page: Page, name: str) -> list[str]:
    width = page.viewport_size["width"]
    faults = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        faults += [f"{name} {scheme}: {line}" for line in browser.axe(page)]
        browser.shot(page, f"{name}-{width}-{scheme}")
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        faults.append(f"{name} scrolls sideways at {width} px")
    return faults
