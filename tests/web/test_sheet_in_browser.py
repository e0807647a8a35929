"""The booking sheet in a real browser: dragged and by keys, over a calendar, taken back, on a phone, for everybody."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from booking.services import seeds
from tests import demo
from tests.browser import DESKTOP, PHONE, axe, shot, watch
from tests.conftest import Databases

pytestmark = [pytest.mark.browser, pytest.mark.server]

SEM = "DG-SLAB-05"
SHANGHAI = ZoneInfo("Asia/Shanghai")
SCREEN = {"width": 1440, "height": 900}
BOOKING = re.compile(r"/bookings/[0-9a-f-]{36}$")


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from demo.serving(databases)


def sign_in(page: Page, server: str, name: str) -> None:
    page.goto(f"{server}/sign-in?next=/account")
    page.fill("[name=email]", f"{name}@example.org")
    page.fill("[name=password]", seeds.PASSWORD)
    page.click("main form [type=submit]")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def sunday(weeks: int) -> str:
    """A Sunday far ahead, on which nobody has booked."""
    today = datetime.now(SHANGHAI).date()
    return (today + timedelta(days=6 - today.weekday(), weeks=weeks)).isoformat()


def sheet(page: Page, server: str, day: str, start: str = "10:00", end: str = "12:00") -> None:
    page.goto(f"{server}/bookings/new?instrument={SEM}&start={day}T{start}&end={day}T{end}")
    expect(page.locator("[data-grip]")).to_be_visible()


def times(page: Page) -> tuple[str, str]:
    return page.input_value("form.sheet [name=start_time]"), page.input_value("form.sheet [name=end_time]")


def drag(page: Page, what: Locator, by: float, at: float = 0.5) -> None:
    """Drag something sideways by so many hours of the strip, held at a part of its width."""
    what.scroll_into_view_if_needed()
    lane = page.locator("[data-strip] .lane").bounding_box()
    strip = page.locator("[data-strip]")
    hours = int(strip.get_attribute("data-closes")) - int(strip.get_attribute("data-opens"))
    box = what.bounding_box()
    x, y = box["x"] + box["width"] * at, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by * lane["width"] / hours, y, steps=8)
    page.mouse.up()


# --- the strip ------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [SCREEN])
def test_the_time_is_dragged_and_resized_and_all_is_on_one_screen(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(4))
    foot = page.locator("[data-send]").bounding_box()
    assert foot["y"] + foot["height"] <= SCREEN["height"]
    assert page.evaluate("document.querySelector('form.sheet').getBoundingClientRect().bottom") <= 900
    grip = page.locator("[data-grip]")
    drag(page, grip, 2)
    assert times(page) == ("12:00", "14:00")
    expect(page.locator(".verdict.free")).to_contain_text("12:00 – 14:00")
    expect(grip).to_be_focused()
    drag(page, page.locator("[data-edge=to]"), 1)
    assert times(page) == ("12:00", "15:00")
    expect(page.locator("[data-sum]")).to_contain_text("1,050")
    drag(page, page.locator("[data-edge=from]"), 1)
    assert times(page) == ("13:00", "15:00")
    # Over free paper a new time is drawn.
    expect(page.locator(".verdict.free")).to_contain_text("13:00 – 15:00")
    lane = page.locator("[data-strip] .lane").bounding_box()
    y = lane["y"] + lane["height"] / 2
    page.mouse.move(lane["x"] + 2, y)
    page.mouse.down()
    page.mouse.move(lane["x"] + 4 + lane["width"] / 14, y, steps=5)
    page.mouse.up()
    assert times(page) == ("08:00", "09:00")


@pytest.mark.parametrize("locale", ["en"])
def test_keys_do_what_dragging_does(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(4))
    grip = page.locator("[data-grip]")
    grip.focus()
    page.keyboard.press("ArrowRight")
    assert times(page) == ("10:30", "12:30")
    page.keyboard.press("Shift+ArrowLeft")
    assert times(page) == ("10:30", "12:00")
    expect(page.locator("[data-announce]")).to_contain_text("Free")
    expect(page.locator(".verdict.free")).to_contain_text("10:30 – 12:00")
    expect(page.locator("[data-grip]")).to_be_focused()
    assert "10:30–12:00" in page.locator("[data-grip]").get_attribute("aria-label")
    page.keyboard.press("PageDown")
    assert page.input_value("[name=start_date]") > sunday(4)
    expect(page.locator(".verdict.free")).to_be_visible()


@pytest.mark.parametrize("locale", ["en"])
def test_buttons_choose_length_day_and_the_next_free_time_without_leaving_the_page(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(4))
    page.fill("[name=purpose]", "kept")
    page.get_by_role("button", name="Half a day").click()
    expect(page.locator(".verdict.free")).to_contain_text("10:00 – 14:00")
    assert times(page) == ("10:00", "14:00")
    page.get_by_role("button", name="A day later").click()
    expect(page.locator("[name=start_date]")).not_to_have_value(sunday(4))
    expect(page.get_by_role("button", name="A day later")).to_be_focused()
    page.locator(".glance-day").nth(2).click()
    expect(page.locator(".glance-day").nth(2)).to_be_focused()
    expect(page.locator(".glance-day").nth(2)).to_have_attribute("aria-pressed", "true")
    before = page.input_value("[name=start_time]")
    page.get_by_role("button", name="Next free").click()
    expect(page.locator("[name=start_time]")).not_to_have_value(before)
    expect(page.locator(".verdict.free")).to_be_visible()
    assert page.input_value("[name=purpose]") == "kept"


@pytest.mark.parametrize("locale", ["en"])
def test_the_button_says_what_it_does_and_more_says_that_it_is_filled(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(4))
    expect(page.locator("[data-send]")).to_have_text("Book")
    page.fill("[name=start_time]", "03:00")
    page.locator("[name=start_time]").blur()
    expect(page.locator("[data-send]")).to_contain_text("Take ")
    page.locator("[data-send]").click()
    expect(page.locator(".verdict.free")).to_be_visible()
    expect(page.locator("[data-send]")).to_have_text("Book")
    expect(page.locator("[data-more-sign]")).to_be_hidden()
    page.click("[data-more] > summary")
    page.check("[name=confidential]")
    page.click("[data-more] > summary")
    expect(page.locator("[data-more-sign]")).to_be_visible()
    # One line, and as many as are needed.
    low = page.locator("[name=purpose]").bounding_box()["height"]
    page.fill("[name=purpose]", "one\ntwo\nthree\nfour")
    assert page.locator("[name=purpose]").bounding_box()["height"] > low + 20


# --- over a calendar ------------------------------------------------------------------------------


def choose(page: Page, server: str, day: str) -> str:
    """Open the sheet over the calendar by a begin of a day, and give the begin's address."""
    page.goto(f"{server}/instruments/{SEM}?day={day}")
    begin = page.locator(f'[data-day="{day}"] .begin a').nth(4)
    address = begin.get_attribute("href")
    begin.click()
    expect(page.locator("dialog[open] form.sheet")).to_be_visible()
    return address


@pytest.mark.parametrize("locale", ["en"])
def test_a_begin_opens_the_sheet_and_what_is_booked_stands_in_the_calendar(page: Page, server: str):
    sign_in(page, server, "ada")
    day = sunday(5)
    choose(page, server, day)
    expect(page.locator("#sheet-title")).to_be_focused()
    expect(page.locator("dialog .hold")).to_be_visible()
    place = page.evaluate("scrollY")
    page.fill("dialog [name=purpose]", "over the calendar")
    page.click("dialog [data-send]")
    expect(page.locator("dialog #done")).to_be_focused()
    expect(page.locator("dialog #done")).to_contain_text("Booked. The time is yours.")
    mine = page.locator(f'[data-day="{day}"] .block.mine')
    expect(mine).to_have_count(1)
    assert page.evaluate("scrollY") == place
    assert "/instruments/" in page.url
    # Taken back, the calendar is as it was, and one may go on with it by keys.
    page.click("dialog [data-undo] button")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(mine).to_have_count(0)
    page.locator(".begin a[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.matches('.begin a')")


@pytest.mark.parametrize("locale", ["en"])
def test_escape_closes_the_sheet_gives_the_time_back_and_the_focus(page: Page, server: str):
    sign_in(page, server, "ada")
    address = choose(page, server, sunday(5))
    expect(page.locator("dialog .hold")).to_be_visible()
    for _ in range(90):  # nothing behind the sheet is reached
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    with page.expect_request(lambda request: request.url.endswith("/holds")):
        page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('href')") == address


@pytest.mark.parametrize("locale", ["en"])
def test_dragging_over_the_week_opens_the_sheet_with_that_time(page: Page, server: str):
    sign_in(page, server, "ada")
    day = sunday(5)
    page.goto(f"{server}/instruments/{SEM}?day={day}")
    first = page.locator(f'[data-day="{day}"] .begin a').nth(2)
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 4 + 3 * box["height"], steps=8)
    page.mouse.up()
    expect(page.locator("dialog[open] form.sheet")).to_be_visible()
    assert page.input_value("dialog [name=start_date]") == day
    assert times(page) == (page.input_value("[data-start]")[11:], page.input_value("[data-end]")[11:])


@pytest.mark.parametrize("locale", ["en"])
def test_what_is_wrong_is_said_in_the_sheet_and_who_is_signed_out_comes_to_the_page(page: Page, server: str):
    sign_in(page, server, "ada")
    choose(page, server, sunday(5))
    page.fill("dialog [name=end_date]", "")
    page.fill("dialog [name=end_time]", "01:00")
    expect(page.locator("dialog .verdict.unknown")).to_be_visible()
    page.evaluate("document.querySelector('dialog form.sheet').requestSubmit()")
    expect(page.locator("dialog .error-summary")).to_be_focused()
    assert not axe(page)
    page.keyboard.press("Escape")
    page.context.clear_cookies()
    page.locator(f'[data-day="{sunday(5)}"] .begin a').first.click()
    page.wait_for_url("**/sign-in?**")


# --- afterwards, and without scripts --------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
def test_a_move_and_a_cancellation_are_taken_back_with_one_click(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(6))
    page.click("[data-send]")
    page.wait_for_url(BOOKING)
    booking = page.url
    expect(page.locator("#done")).to_contain_text("Booked. The time is yours.")
    page.goto(f"{booking}/change")
    page.fill("[name=start_time]", "14:00")
    page.locator("[name=start_time]").blur()
    page.click("[data-send]")
    page.wait_for_url(BOOKING)
    page.locator("[data-undo] button").click()
    expect(page.locator(".flashes")).to_contain_text("Changed back:")
    expect(page.locator(".booking-when")).to_contain_text("10:00 – 12:00")
    cancelling = page.locator("details.cancel", has=page.locator("[name=reason]"))
    cancelling.locator("summary").click()
    cancelling.locator("[type=submit]").click()
    page.locator("[data-undo] button").click()
    expect(page.locator(".flashes")).to_contain_text("Booked again, as it was.")
    assert page.url != booking


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_buttons_move_the_time_and_what_was_booked_is_taken_back(page: Page, server: str):
    sign_in(page, server, "ben")
    day = sunday(6)
    page.goto(f"{server}/instruments/{SEM}?day={day}")
    page.locator(f'[data-day="{day}"] .begin a').nth(8).click()
    page.wait_for_url("**/bookings/new?**")
    page.get_by_role("button", name="1 h", exact=True).click()
    page.get_by_role("button", name="A day earlier").click()
    expect(page.locator(".verdict.free")).to_be_visible()
    page.fill("[name=purpose]", "by hand")
    page.locator("[name=purpose]").press("Tab")
    page.fill("[name=start_date]", day)
    page.fill("[name=end_date]", day)
    page.locator("[name=start_date]").press("Enter")  # Enter does what the main button says
    page.wait_for_url(BOOKING)
    page.locator("[data-undo] button").click()
    page.wait_for_url("**/bookings")
    expect(page.locator(".flashes")).to_contain_text("as if it had not been booked")


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [PHONE])
def test_on_a_phone_the_button_stays_in_sight_and_covers_no_focus(page: Page, server: str):
    sign_in(page, server, "ada")
    sheet(page, server, sunday(7))
    button = page.locator("[data-send]")
    expect(button).to_be_in_viewport()
    assert button.bounding_box()["height"] >= 44
    page.locator("[name=start_date]").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const element = document.activeElement, box = element.getBoundingClientRect();
                const there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
                return element.matches("[data-send]") || element === document.body || element.closest("footer")
                    ? "end" : Boolean(there) && (element.contains(there) || there.contains(element));
            }"""
        )
        if seen == "end":
            break
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    expect(button).to_be_focused()


@pytest.mark.parametrize(
    ("locale", "scheme", "size"),
    [
        ("zh-CN", "light", SCREEN),
        ("en", "dark", DESKTOP),
        ("en", "light", PHONE),
        ("zh-CN", "dark", PHONE),
    ],
)
def test_every_state_has_no_fault_and_fits(browser, server, locale, scheme, size):
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

        def look(name: str) -> None:
            faults.extend(f"{name}: {line}" for line in axe(page))
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways")
            shot(page, f"sheet-{name}-{locale}-{scheme}-{size['width']}", whole=False)

        sign_in(page, server, "ada")
        day = sunday(8)
        sheet(page, server, day)
        page.click("[data-more] > summary")
        look("free")
        sheet(page, server, day, "03:00", "04:00")
        look("refused")
        page.goto(f"{server}/bookings/new?instrument={SEM}&start=x&end={day}T03:20")
        look("mistake")
        page.goto(f"{server}/instruments/{SEM}?day={day}&view=list")
        page.locator(".agenda-line a.button").last.click()
        expect(page.locator("dialog[open] [data-grip]")).to_be_visible()
        look("dialog")
        page.click("dialog [data-send]")
        expect(page.locator("dialog #done")).to_be_visible()
        look("done-dialog")
        page.locator("dialog #done p a").first.click()
        page.wait_for_url(BOOKING)
        look("done")
        page.locator("[data-undo] button").first.click()
        look("taken-back")
    finally:
        context.close()
    assert not faults, "\n".join(faults)
