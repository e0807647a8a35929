"""The pages of booking and of the desk in a real browser: no fault for accessibility, and what scripts add to them."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, Response, expect

from booking.services import seeds
from tests import demo
from tests.browser import DESKTOP, PHONE, axe, shot, watch
from tests.conftest import Databases

pytestmark = [pytest.mark.browser, pytest.mark.server]

SEM = "DG-SLAB-05"
SHANGHAI = ZoneInfo("Asia/Shanghai")
LOOKS = [
    ("zh-CN", "light", PHONE),
    ("zh-CN", "dark", DESKTOP),
    ("en", "light", DESKTOP),
    ("en", "dark", PHONE),
]


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from demo.serving(databases)


def sign_in(page: Page, server: str, name: str) -> None:
    page.goto(f"{server}/sign-in")
    page.fill("[name=email]", f"{name}@example.org")
    page.fill("[name=password]", seeds.PASSWORD)
    page.click("main form [type=submit]")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def sunday(weeks: int) -> str:
    """A Sunday far ahead, on which nobody has booked."""
    today = datetime.now(SHANGHAI).date()
    return (today + timedelta(days=6 - today.weekday(), weeks=weeks)).isoformat()


def first_booking(page: Page, server: str, show: str) -> str:
    page.goto(f"{server}/bookings?show={show}")
    return page.locator(".booking-name a").first.get_attribute("href")


def of_ada(page: Page, server: str) -> dict[str, str]:
    ahead, waiting, over = (first_booking(page, server, show) for show in ("ahead", "waiting", "over"))
    day = sunday(4)
    return {
        "mine": "/bookings",
        "mine-over": "/bookings?show=over",
        "new": f"/bookings/new?instrument={SEM}&start={day}T10:00&end={day}T12:00",
        "new-refused": f"/bookings/new?instrument={SEM}&start={day}T03:10&end={day}T03:20",
        "new-mistake": f"/bookings/new?instrument={SEM}&start=x&end={day}T03:20",
        "new-units": f"/bookings/new?instrument=DG-SSB-04&start={day}T10:00&end={day}T18:00",
        "booking": ahead,
        "booking-waiting": waiting,
        "booking-over": over,
        "change": f"{ahead}/change",
    }


def of_tam(_page: Page, _server: str) -> dict[str, str]:
    day = (datetime.now(SHANGHAI).date() + timedelta(days=3)).isoformat()
    return {
        "desk": "/desk",
        "timeline": f"/timeline?day={day}&form=timeline",
        "agenda": f"/timeline?day={day}&form=list",
        "approvals": "/approvals",
        "closures": "/closures",
        "closure-new": "/closures/new",
    }


@pytest.mark.parametrize(("who", "pages"), [("ada", of_ada), ("tam", of_tam)])
@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_pages_have_no_fault_and_fit(browser, server, who, pages, locale, scheme, size):
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
        sign_in(page, server, who)
        for name, path in pages(page, server).items():
            page.goto(f"{server}{path}")
            faults += [f"{name}: {line}" for line in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways")
            shot(page, f"{name}-{who}-{locale}-{scheme}-{size['width']}")
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def test_pages_are_light(page: Page, server: str):
    sign_in(page, server, "tam")
    for path in (f"/bookings/new?instrument={SEM}", "/timeline?form=timeline", "/approvals"):
        answers: list[Response] = []
        fresh = page.context.new_page()
        fresh.on("response", lambda answer, seen=answers: seen.append(answer))
        fresh.goto(f"{server}{path}", wait_until="networkidle")
        assert len(answers) <= 10, [answer.url for answer in answers]
        assert sum(len(answer.body()) for answer in answers) < 200_000, path
        fresh.close()


# --- what scripts add -----------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
def test_the_verdict_follows_what_one_types(page: Page, server: str):
    sign_in(page, server, "ada")
    day = sunday(5)
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={day}T10:00&end={day}T12:00")
    expect(page.locator("[data-check]")).to_be_hidden()
    page.fill("[name=purpose]", "kept")
    page.fill("[name=start_time]", "03:10")
    page.locator("[name=start_time]").blur()
    expect(page.locator(".verdict.refused")).to_contain_text("is not open")
    expect(page.locator("[data-announce]")).to_contain_text("cannot be booked")
    assert page.input_value("[name=end_time]") == "05:10"  # the length is kept
    page.locator(".instead-choice[data-here]").first.click()
    expect(page.locator(".verdict.free")).to_be_visible()
    assert page.input_value("[name=purpose]") == "kept"
    assert page.input_value("[name=start_time]") != "03:10"
    page.click("[data-send]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    expect(page.locator(".purpose").first).to_have_text("kept")


@pytest.mark.parametrize("locale", ["en"])
def test_what_was_typed_outlives_the_session(page: Page, server: str):
    sign_in(page, server, "ben")
    day = sunday(7)
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={day}T10:00&end={day}T12:00")
    page.fill("[name=purpose]", "three layers")
    page.click("[data-more] > summary")
    page.click("details.declared > summary")
    page.fill("[name=chemical-1]", "Acetone")
    page.context.clear_cookies()
    page.click("[data-send]")
    page.click("text=Back to the page before")
    page.wait_for_url("**/sign-in?**")
    page.fill("[name=email]", "ben@example.org")
    page.fill("[name=password]", seeds.PASSWORD)
    page.click("main form [type=submit]")
    page.wait_for_url("**/bookings/new?**")
    expect(page.get_by_text("What you had typed is here again.")).to_be_visible()
    assert page.input_value("[name=purpose]") == "three layers"
    assert page.input_value("[name=chemical-1]") == "Acetone"
    page.reload()
    assert page.input_value("[name=purpose]") == ""  # once, and in no later form


@pytest.mark.parametrize("locale", ["en"])
def test_a_double_click_books_once(page: Page, server: str):
    sign_in(page, server, "ben")
    day = sunday(6)
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={day}T10:00&end={day}T12:00")
    page.fill("[name=purpose]", "clicked twice")
    page.locator("[data-send]").dblclick(no_wait_after=True)
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    page.goto(f"{server}/bookings?page_size=100")
    assert page.get_by_text("clicked twice").count() == 1


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_one_checks_takes_what_is_offered_and_books(page: Page, server: str):
    sign_in(page, server, "ben")
    day = sunday(7)
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={day}T03:00&end={day}T04:00")
    page.fill("[name=purpose]", "kept")
    page.click("[data-check]")
    expect(page.locator(".verdict.refused")).to_be_visible()
    page.locator(".instead-choice").first.click()
    expect(page.locator(".verdict.free")).to_be_visible()
    assert page.input_value("[name=purpose]") == "kept"
    page.click("[data-send]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    cancelling = page.locator("details.cancel", has=page.locator("[name=reason]"))
    cancelling.locator("summary").click()
    page.fill("[name=reason]", "no sample")
    cancelling.locator("[type=submit]").click()
    expect(page.locator(".flashes")).to_contain_text("cancelled")
    page.locator(".flashes a").click()
    assert page.input_value("[name=start_date]") >= datetime.now(SHANGHAI).date().isoformat()


@pytest.mark.parametrize("locale", ["en"])
def test_whom_a_closure_meets_is_told_while_one_types(page: Page, server: str):
    sign_in(page, server, "ada")
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={sunday(9)}T10:00&end={sunday(9)}T12:00")
    page.click("[data-send]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    page.context.clear_cookies()
    sign_in(page, server, "tam")
    page.goto(f"{server}/closures/new?instrument={SEM}&start={sunday(9)}T13:00&end={sunday(9)}T14:00")
    expect(page.locator(".verdict.free")).to_be_visible()
    page.fill("[name=start_time]", "11:00")
    page.locator("[name=start_time]").blur()
    expect(page.locator(".verdict.asks")).to_contain_text("1 booking stands in this time")
    page.locator("main form.booking-form [type=submit]").last.click()
    expect(page.locator("main")).to_contain_text("Not closed")
    page.click("[name=anyway]")
    expect(page.locator(".flashes")).to_contain_text("1 booking stands in this time")
