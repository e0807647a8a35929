"""Every stop of every tour in a real browser: what it speaks of is there, framed, and the card hides no fault."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import axe, shot
from tests.conftest import Databases
from tests.stories import test_pages_look as look

pytestmark = [pytest.mark.browser, pytest.mark.server]

TOURS = [
    ("ben", "booking"),
    ("ada", "group"),
    ("tam", "facility"),
    ("nora", "network"),
    ("root", "administration"),
]


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from look.serving(databases, {})


@pytest.mark.parametrize(("who", "tour"), TOURS)
@pytest.mark.parametrize("locale", ["zh-CN"])
@pytest.mark.parametrize("viewport", [look.WIDTHS["narrow"]])
def test_every_stop_frames_what_it_speaks_of(page: Page, server: str, who: str, tour: str):
    look.sign_in(page, server, who)
    page.goto(f"{server}/")
    page.locator(f"a[href='/tours/{tour}']").first.click()
    card = page.locator("[data-tour-stop]")
    for number in range(1, 20):
        expect(page.locator(".tour-target")).to_have_count(1)
        expect(card.locator("h2")).to_be_focused()
        assert axe(page) == []
        shot(page, f"tour-{tour}-{number}")
        if not card.locator("[rel=next]").count():
            break
        card.locator("[rel=next]").click()
    assert number >= 2  # whom nobody asks for approval is not led to the page of approvals
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    page.goto(f"{server}/")
    expect(page.locator(f"main a[href='/tours/{tour}']")).to_have_count(0)
