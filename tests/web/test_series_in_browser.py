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
        make_instrument(session, facility, code="FURNACE", name_en="Furnace", approval_required=True)
        cast.tam(session, facility)
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


def sign_in(page: Page, address: str, who: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("[name=email]", f"{who}@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def open_form(page: Page, address: str, code: str = "SEM") -> None:
    sign_in(page, address, "ada")
    page.goto(f"{address}/bookings/new?instrument={code}&start={local(at(9))}&end={local(at(11))}")


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
    here = page.url
    page.goto(f"{here}/chemicals")
    faults += looked_at(page, f"series-chemicals-{locale}")
    page.goto(f"{address}/series")
    faults += looked_at(page, f"series-list-{locale}")
    page.goto(f"{here}/change")
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


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
def test_a_series_is_one_request_and_decided_date_by_date(page: Page, address: str, locale: str):
    faults = browser.watch(page)
    open_form(page, address, "FURNACE")
    page.click("[name=repeat]")
    page.wait_for_selector(".series-dates")
    page.click(".buttons button[type=submit]")
    page.wait_for_url(lambda url: "/series/" in url and "new" not in url)
    here = page.url
    page.context.clear_cookies()
    sign_in(page, address, "tam")
    page.goto(f"{address}/approvals")
    assert page.locator(".request").count() == 1
    faults += looked_at(page, f"series-inbox-{locale}")
    page.goto(f"{here}/approvals")
    faults += looked_at(page, f"series-approvals-{locale}")
    page.locator("select[name^=date-]").first.select_option("later")
    page.click("#decision")
    page.wait_for_url(f"{address}/approvals")
    assert page.locator(".request").count() == 1
    page.goto(f"{here}/approvals")
    page.click("button[value=approve]")
    page.wait_for_url(f"{address}/approvals")
    assert page.locator(".request").count() == 0
    assert not faults, "\n".join(faults)
