"""The main job as somebody new does it: sign up, find an instrument, book it, see it in one's calendar.

With and without scripts, at a desk and on a phone, with a pointer and by the keyboard alone, in both languages.
"""

import email.policy
import http.client
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import urlsplit

import icalendar
import pytest
from playwright.sync_api import Page

from booking import db
from booking.config import Settings
from booking.domain import inventory
from booking.domain.access import SYSTEM
from booking.jobs import deliver
from booking.services import imports
from tests.browser import DESKTOP, PHONE, axe
from tests.cast import PASSWORD
from tests.conftest import Databases
from tests.servers import ROOT, GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

INVENTORY = ROOT / "booking" / "demo" / "inventory.yaml"
SECRET_KEY = "a key for this story, and for it alone"
MOST_TABS = 80


class Pointer:
    """Somebody with a mouse or a finger."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def follow(self, selector: str) -> None:
        self._act(self.page.locator(selector).first.click)

    def write(self, selector: str, words: str) -> None:
        self.page.fill(selector, words)

    def send(self, selector: str) -> None:
        self._act(self.page.locator(selector).first.click)

    def open(self, selector: str, what: str) -> None:
        """Do what shows something on the same page."""
        self.page.locator(selector).first.click()
        self.page.locator(what).wait_for()

    def _act(self, deed) -> None:
        with self.page.expect_navigation():
            deed()


class Keyboard(Pointer):
    """Somebody without either: Tab, letters, Enter. Where the focus is must be seen, and nothing may cover it."""

    def follow(self, selector: str) -> None:
        self._reach(selector)
        self._act(lambda: self.page.keyboard.press("Enter"))

    def write(self, selector: str, words: str) -> None:
        self._reach(selector)
        self.page.keyboard.insert_text(words)

    def send(self, selector: str) -> None:
        self.follow(selector)

    def open(self, selector: str, what: str) -> None:
        self._reach(selector)
        self.page.keyboard.press("Enter")
        self.page.locator(what).wait_for()

    def _reach(self, selector: str) -> None:
        for _ in range(MOST_TABS):
            if self._on(selector):
                break
            self.page.keyboard.press("Tab")
        assert self._on(selector), f"no way by Tab to {selector}"
        seen = self.page.evaluate(
            """() => {
                const element = document.activeElement, box = element.getBoundingClientRect();
                const there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
                const style = getComputedStyle(element);
                return {
                    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
                    uncovered: Boolean(there) && (element.contains(there) || there.contains(element)),
                };
            }"""
        )
        assert seen == {"outlined": True, "uncovered": True}, f"{selector}: {seen}"

    def _on(self, selector: str) -> bool:
        found = "selector => document.activeElement === document.querySelector(selector)"
        return bool(self.page.evaluate(found, selector))


@pytest.fixture
def server(databases: Databases) -> Iterator[GunicornServer]:
    """A server with the inventory and nobody who knows it yet."""
    url = databases.clone("sqlite")
    db.init(url)
    found = inventory.read(INVENTORY.read_bytes(), INVENTORY.name)
    with db.transaction() as session:
        imports.apply(session, actor=SYSTEM, inventory=found, now=datetime.now(UTC))
    with GunicornServer(url, workers=1, env={"YIQI_SECRET_KEY": SECRET_KEY}) as running:
        yield running
    db.dispose()
    databases.drop(url)


def confirmation(server: GunicornServer) -> str:
    """The link in the mail that the sign-up sends, as the jobs deliver it; its path."""
    settings = Settings(
        instance=server.instance,
        database_url=str(db.engine().url),
        secret_key=SECRET_KEY,
        public_url=server.base_url,
    )
    deliver.run(settings, lambda: False)
    [letter] = Path(settings.instance / "mail").glob("**/*.eml")
    message = BytesParser(policy=email.policy.default).parsebytes(letter.read_bytes())
    text = message.get_body(("plain",)).get_content()
    return urlsplit(re.search(r"https?://\S+/confirmations/\S+", text)[0]).path


def fetched(address: str) -> bytes:
    """Read a feed as a calendar does, without a cookie."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()


WAYS = [
    # hand, scripts, size, language
    (Pointer, True, DESKTOP, "en"),
    (Pointer, False, DESKTOP, "zh-CN"),
    (Pointer, True, PHONE, "zh-CN"),
    (Pointer, False, PHONE, "en"),
    (Keyboard, True, DESKTOP, "zh-CN"),
    (Keyboard, False, PHONE, "en"),
]


@pytest.mark.parametrize(
    ("hand", "javascript", "viewport", "locale"),
    WAYS,
    ids=[f"{way[0].__name__}-{way[1]}-{way[2]['width']}-{way[3]}" for way in WAYS],
)
def test_somebody_new_finds_an_instrument_books_it_and_sees_it_in_a_calendar(page, server, hand, javascript):
    user = hand(page)
    faults: list[str] = []

    def look(name: str) -> None:
        """Check what is on the page; where scripts are off, only whether it fits."""
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            faults.append(f"{name} scrolls sideways")
        if javascript:  # axe is a script itself
            faults.extend(f"{name}: {line}" for line in axe(page))

    page.goto(server.base_url)
    user.follow(".site-tools > a[href^='/sign-in']")
    user.follow("main a[href^='/sign-up']")
    user.write("main [name=name]", "Ada")
    user.write("main [name=email]", "ada@example.org")
    user.write("main [name=password]", PASSWORD)
    user.send("main form [type=submit]")
    page.goto(f"{server.base_url}{confirmation(server)}")
    user.write("main [name=password]", PASSWORD)
    user.send("main form [type=submit]")

    user.write("main #q", "场发射")
    user.send("main .search button")
    user.follow("main article h2 a")
    assert urlsplit(page.url).path == "/instruments/DG-SLAB-05"
    if javascript:
        user.open("main a.button[href^='/bookings/new']", "dialog .verdict.free")
        look("sheet")
        user.open("main [data-send]", "#done")
        look("booked")
        user.follow("#done p a")
    else:
        user.follow("main a.button[href^='/bookings/new']")
        look("form")
        assert page.locator(".verdict.free").is_visible()
        user.send("main [data-send]")

    booking = re.fullmatch(r"/bookings/([0-9a-f-]{36})", urlsplit(page.url).path)[1]
    look("booking")
    user.follow("main a[href='/bookings']")
    look("my bookings")
    assert page.locator(f"main a[href='/bookings/{booking}']").is_visible()

    user.follow("main a[href='/calendars']")
    user.send("main form[action='/calendars'] [type=submit]")
    address = page.locator("#address").input_value()
    feed = urlsplit(address)._replace(netloc=urlsplit(server.base_url).netloc).geturl()
    [event] = icalendar.Calendar.from_ical(fetched(feed)).walk("VEVENT")
    assert str(event["UID"]).startswith(booking)
    assert str(event["STATUS"]) == "CONFIRMED"
    assert not faults, "\n".join(faults)
