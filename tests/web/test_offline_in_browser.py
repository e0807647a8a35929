"""Without a network one's next bookings are there with their codes; after signing out nothing of anybody is."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import accounts, bookings
from tests import browser, cast
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

PASSWORD = "paper kite over the lake"

KEPT = """async () => {
    const found = {};
    for (const name of await caches.keys())
        found[name] = (await (await caches.open(name)).keys()).map((one) => new URL(one.url).pathname);
    return found;
}"""
READY = "navigator.serviceWorker.ready.then((found) => Boolean(found.active))"
FILLED = """async () => {
    while (!(await caches.match("/account/offline.json", {ignoreVary: true})))
        await new Promise((done) => setTimeout(done, 50));
}"""
EMPTIED = """async () => {
    while ((await caches.keys()).some((name) => name.startsWith("yiqi-mine:")))
        await new Promise((done) => setTimeout(done, 50));
}"""


@pytest.fixture
def server(sqlite_url):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Session(db.make_engine(sqlite_url).execution_options(write=True)) as session:
        lab = make_facility(session, code="LAB", name_en="Laboratory", address="1 Lake Road")
        scope = make_instrument(session, lab, code="SEM", name_en="Microscope")
        other = make_instrument(session, lab, code="OTHER", name_en="Furnace of others")
        for someone, place, day in ((cast.ben, scope, 1), (cast.ben, scope, 2), (cast.ada, other, 1)):
            person = someone(session)
            person.locale = "en"
            person.password_hash = accounts.hash_password(PASSWORD)
            start = now + timedelta(days=day)
            items = [Item(place.id, Span(start, start + timedelta(hours=1)), 1)]
            actor = cast.actor_of(session, person)
            bookings.place(session, actor=actor, items=items, purpose="Secret films", now=now)
        session.commit()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server


def sign_in(page: Page, server: GunicornServer, email: str = "ben@example.org") -> None:
    page.goto(f"{server.base_url}/sign-in")
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("body[data-reader]")).to_have_count(1)
    assert page.evaluate(READY)
    page.evaluate(FILLED)


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.DESKTOP, browser.PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_next_bookings_are_there_without_a_network(page: Page, server: GunicornServer):
    sign_in(page, server)
    page.context.set_offline(True)
    page.goto(f"{server.base_url}/bookings")
    expect(page.get_by_role("heading", name="No network")).to_be_visible()
    lines = page.locator("[data-bookings] > li")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("Microscope")
    expect(lines.first).to_contain_text("1 Lake Road")
    expect(page.locator("body")).not_to_contain_text("Furnace of others")
    expect(page.locator("body")).not_to_contain_text("Secret films")
    assert len(lines.first.locator("path").get_attribute("d")) > 500
    assert browser.axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.set_offline(False)  # and the page asks anew by itself
    expect(page.get_by_role("heading", name="My bookings")).to_be_visible()


@pytest.mark.parametrize("locale", ["en"])
def test_signing_out_takes_everything_off_the_device(page: Page, server: GunicornServer):
    sign_in(page, server)
    kept = json.dumps(page.evaluate(KEPT))
    assert "/account/offline.json" in kept
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    page.locator("[data-signs-out]").evaluate("form => form.requestSubmit()")
    expect(page.locator("body[data-reader]")).to_have_count(0)
    assert page.evaluate(READY)  # it is there again for the next one
    assert not [name for name in page.evaluate(KEPT) if name.startswith("yiqi-mine:")]
    page.context.set_offline(True)
    page.goto(f"{server.base_url}/bookings")
    expect(page.get_by_role("heading", name="No network")).to_be_visible()
    expect(page.locator("[data-unknown]")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("Microscope")


@pytest.mark.parametrize("locale", ["en"])
def test_a_session_that_ended_elsewhere_leaves_nothing_either(page: Page, server: GunicornServer):
    sign_in(page, server)
    page.context.clear_cookies()
    page.goto(f"{server.base_url}/")
    page.evaluate(EMPTIED)
    sign_in(page, server, "ada@example.org")
    page.context.set_offline(True)
    page.goto(f"{server.base_url}/bookings")
    expect(page.locator("[data-bookings] > li")).to_have_count(1)
    expect(page.locator("[data-bookings]")).to_contain_text("Furnace of others")


@pytest.mark.parametrize("locale", ["zh-CN"])
def test_the_shell_speaks_the_readers_language_and_names_nobody(page: Page, server: GunicornServer):
    page.goto(f"{server.base_url}/")
    assert page.evaluate(READY)
    page.context.set_offline(True)
    page.goto(f"{server.base_url}/instruments")
    assert page.locator("html").get_attribute("lang") == "zh-Hans-CN"
    expect(page.locator("[data-unknown]")).to_be_visible()
    assert browser.axe(page) == []
