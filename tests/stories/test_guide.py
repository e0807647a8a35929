"""The pictures of the guide, taken of the pages as they are: `GUIDE=write pytest tests/stories/test_guide.py`.

Beside each picture stands the outline of its page: headings, names of fields and buttons. A page whose outline has
changed has to be taken anew, so that no picture shows what is not there any more.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import Databases
from tests.servers import ROOT
from tests.stories import test_pages_look as look

pytestmark = [pytest.mark.browser, pytest.mark.server]

DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures"
GUIDES = {"en": DOCS / "guide.md", "zh-CN": DOCS / "guide.zh-CN.md"}
WRITE = os.environ.get("GUIDE") == "write"
SIZE = {"width": 1100, "height": 760}
DATA = "li, tr, td, article, .flashes, .bar, [data-changing], .day-times"
OUTLINE = f"""() => [...new Set([...document.querySelectorAll("main h1, main h2, main label, main legend, main button")]
    .filter(one => one.checkVisibility() && !one.closest(`{DATA}`))
    .map(one => `${{one.tagName.toLowerCase()}}: ${{one.innerText.trim().split("\\n")[0]}}`))]"""
CHANGING = re.compile(r"\d+")
DATES = re.compile(r"# ?(?:月|年)|[A-Z][a-z]{2},? #|# [A-Z][a-z]{2}\b|^\w+: [#\s:,–-]*$")
"""Lines that tell a day or a time of the pages' own data, or nothing at all."""


@dataclass(frozen=True)
class Scene:
    """A picture: its name, who looks, at which address, and what is done before it is taken."""

    name: str
    who: str
    path: str
    open: str = ""


SCENES = (
    Scene("home", "ada", "/"),
    Scene("find-a-time", "ada", "/free"),
    Scene("catalogue", "ada", "/instruments?q=xwj"),
    Scene("instrument", "ada", f"/instruments/{look.SEM}?day={look.IN_A_WEEK}"),
    Scene("book", "ada", f"/bookings/new?instrument={look.SEM}"),
    Scene("my-bookings", "ada", "/bookings"),
    Scene("waitlist", "ada", "/waitlist/new"),
    Scene("calendars", "ada", "/calendars"),
    Scene("desk", "tam", "/desk"),
    Scene("timeline", "tam", "/timeline"),
    Scene("approvals", "tam", "/approvals"),
    Scene("closure", "tam", "/closures/new"),
    Scene("hours", "tam", "/facilities/DG-SLAB/hours"),
    Scene("rules", "tam", f"/instruments/{look.SEM}/rules"),
    Scene("round", "tam", "{run}"),
    Scene("people", "root", "/people"),
)


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from look.serving(databases, {})


@pytest.mark.parametrize("locale", list(GUIDES))
def test_the_guide_shows_the_pages_as_they_are(browser: Browser, server: str, locale: str):
    found = _outlines(browser, server, locale)
    kept = PICTURES / locale / "outlines.json"
    if WRITE:
        kept.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    told = json.loads(kept.read_text(encoding="utf-8"))
    changed = [name for name in found if found[name] != told.get(name)]
    assert changed == [], (
        "GUIDE=write pytest tests/stories/test_guide.py takes the pictures anew; look at them"
    )


@pytest.mark.parametrize("locale", list(GUIDES))
def test_every_picture_is_in_the_guide_and_every_one_it_names_is_there(locale: str):
    named = re.findall(rf"\(pictures/{locale}/([\w-]+)\.jpg\)", GUIDES[locale].read_text(encoding="utf-8"))
    there = sorted(path.stem for path in (PICTURES / locale).glob("*.jpg"))
    assert sorted(named) == there == sorted(scene.name for scene in SCENES)


def _outlines(browser: Browser, server: str, locale: str) -> dict[str, list[str]]:
    found = {}
    for who in dict.fromkeys(scene.who for scene in SCENES):
        context = browser.new_context(locale=locale, viewport=SIZE, reduced_motion="reduce")
        page = context.new_page()
        look.sign_in(page, server, who)
        page.goto(f"{server}/tours")
        _end_tours(page)
        for scene in SCENES:
            if scene.who == who:
                found[scene.name] = _taken(page, server, scene, locale)
        context.close()
    return found


def _end_tours(page: Page) -> None:
    page.goto(page.url.replace("/tours", "/"))
    button = page.locator(".welcome form button")
    if button.count():
        button.click()


def _taken(page: Page, server: str, scene: Scene, locale: str) -> list[str]:
    page.goto(f"{server}{scene.path.format_map(look.MADE)}", wait_until="networkidle")
    if WRITE:
        (PICTURES / locale).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / locale / f"{scene.name}.jpg", type="jpeg", quality=72)
    lines = [CHANGING.sub("#", line) for line in page.evaluate(OUTLINE)]
    return list(dict.fromkeys(line for line in lines if not DATES.search(line)))
