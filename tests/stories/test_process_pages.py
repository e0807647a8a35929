"""The pages of processes in a real browser: no fault for accessibility on a phone, in the dark, in both languages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests import demo
from tests.browser import DESKTOP, PHONE, axe, watch
from tests.conftest import Databases
from tests.stories.test_booking_pages import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.server]
STEPS = ("DG-FOOD-01", "DG-FOOD-05", "DG-FOOD-06")


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from demo.serving(databases)


def whole(page: Page) -> None:
    """Nothing is wrong with the page, and it fits."""
    assert axe(page) == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("locale", "scheme", "size"), [("zh-CN", "dark", PHONE), ("en", "light", DESKTOP)])
def test_a_process_from_the_form_to_its_move(browser, server, locale, scheme, size):
    context = browser.new_context(
        locale=locale,
        color_scheme=scheme,
        viewport=size,
        reduced_motion="reduce",
        timezone_id="Asia/Shanghai",
    )
    try:
        page = context.new_page()
        faults = watch(page)
        sign_in(page, server, "cleo")
        page.goto(f"{server}/processes/new")
        whole(page)
        page.goto(f"{server}/processes/new?facility=DG-FOOD")
        whole(page)
        for row, code in enumerate(STEPS, 1):
            page.select_option(f"#what-{row}", f"i:{code}")
            page.fill(f"#hours-{row}", "4")
        page.click("button[name=find]")
        page.wait_for_selector(".route-drawing")
        whole(page)
        page.click("form.process-form section:first-of-type .buttons button")
        page.wait_for_url("**/bookings/*")
        page.goto(f"{page.url}/move")
        page.click("button[name=find]")
        page.wait_for_selector(".route-drawing")
        whole(page)
        context.clear_cookies()
        sign_in(page, server, "root")
        page.goto(f"{server}/facilities/DG-FOOD/processes")
        whole(page)
        assert faults == []
    finally:
        context.close()
