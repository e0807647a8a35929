"""Every page in a real browser: both languages, wide and narrow, light and dark, with no fault for accessibility.

With YIQI_PICTURES=1 each visit also leaves a picture in `test-artefacts/` for people to look at.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, Response, expect
from sqlalchemy import update
from sqlalchemy.orm import Session

from booking import db
from booking.domain.access import SYSTEM
from booking.domain.calendar_sources import Entry, Means, Reading
from booking.domain.spans import Span
from booking.services import (
    calendar_sources,
    facilities,
    notice_wishes,
    notifications,
    seeds,
)
from models import Event, HookKind
from tests import cast, demo
from tests.browser import axe, shot, watch
from tests.conftest import Databases
from tests.servers import ROOT, GunicornServer
from tests.stories import plans

pytestmark = [pytest.mark.browser, pytest.mark.server]

SEM = "DG-SLAB-05"
CHANNELS = "DG-SSB-04"
SHANGHAI = ZoneInfo("Asia/Shanghai")
WIDTHS = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 360, "height": 740}}
SCHEMES = ("light", "dark")
IN_A_WEEK = (datetime.now(SHANGHAI) + timedelta(days=7)).date()

PAGES = {
    "-": {
        "home": "/",
        "search": "/instruments?q=x",
        "narrowed": "/instruments?kind=line&network=GUANYI",
        "nothing": "/instruments?q=zyzzyva",
        "instrument": f"/instruments/{SEM}?day={IN_A_WEEK}",
        "list": f"/instruments/{SEM}?day={IN_A_WEEK}&view=list",
        "units": f"/instruments/{CHANNELS}?day={IN_A_WEEK}",
        "line": "/instruments/DG-SLAB-06",
        "facilities": "/facilities",
        "facility": "/facilities/DG-SLAB",
        "network": "/networks/GUANYI",
        "free": "/free",
        "free-mistake": "/free?minutes=x",
        "missing": "/instruments/NONE",
        "now": f"/i/{SEM}",
        "rules": f"/instruments/{SEM}/rules",
    },
    "ada": {
        "home": "/",
        "instrument": f"/instruments/{SEM}?day={IN_A_WEEK}",
        "notices": "/notices",
        "notice-wishes": "/account/notices",
        "webhooks": "/account/webhooks",
        "now": f"/i/{SEM}",
        "problem": f"/i/{SEM}/problem",
        "credit": "/credit",
        "badge": "/account/badge",
        "rounds": "/rounds",
        "round": "{taking}",
        "wish": "{taking}/wishes/new?instrument=DG-SLAB-01",
        "proposal": "{proposal}",
        "bookings": "/bookings",
    },
    "tam": {
        "home": "/",
        "instrument": f"/instruments/{SEM}?day={IN_A_WEEK}",
        "kiosks": "/kiosks",
        "faults": "/faults?show=all",
        "points": "/credit/facility",
        "rules": "/rules/facility/DG-SLAB",
        "rule": "/rules/facility/DG-SLAB/new",
        "requests": "/approvals",
        "steps": "/approvals/rules/facility/DG-SLAB",
        "absences": "/absences",
        "desk": "/desk",
        "round-terms": "{taking}/change",
        "round-board": "{run}",
        "repairs": "{repairs}",
        "asked": "{sent}",
        "closures": "/closures",
        "calendars-elsewhere": "/calendar-sources",
        "calendar-elsewhere": "{elsewhere}",
        "calendar-elsewhere-new": "/calendar-sources/new",
        "calendar-import": "/calendar-import",
        "quiet-times": "/closures/quiet-times?hours=20",
        "hours": "/facilities/DG-SLAB/hours",
        "service": f"/instruments/{SEM}/service",
    },
    "root": {
        "all-points": "/credit/points",
        "days": "/working-days?year=2027",
    },
}
"""The pages that each person looks at, by a short name for the picture; those in braces are made for it."""

MADE: dict[str, str] = {}
"""Where the rounds and repairs stand that the server was given."""


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from serving(databases, {})


def serving(databases: Databases, env: Mapping[str, str]) -> Iterator[str]:
    """Serve the demo with something on every page, and say where."""
    url = databases.clone("sqlite")
    now = datetime.now(UTC)
    db.init(url)
    with db.transaction() as session:
        demo.fill(session, now)
        _tell_ada(session, now)
        MADE.update(plans.make(session, now))
        MADE["elsewhere"] = _calendar_elsewhere(session, now)
    db.dispose()
    with GunicornServer(url, workers=1, env=env) as running:
        yield running.base_url
    databases.drop(url)


def _tell_ada(session: Session, now: datetime) -> None:
    """Fill Ada's inbox, and give her an address to which notices are posted."""
    ada = cast.actor_of(session, cast.ada(session))
    url = "https://hooks.example.org/robot"
    kinds = (HookKind.WECOM, HookKind.DINGTALK, HookKind.GENERIC)
    made = [
        notice_wishes.add_hook(session, actor=ada, kind=kind, name="Our group", url=url, secret="", now=now)
        for kind in kinds
    ]
    made[1].failed_at = made[2].failed_at = made[2].off_at = now
    session.execute(update(Event).values(dispatched_at=None))
    notifications.dispatch(session, remind=(), now=now, limit=1000)
    session.flush()
    told, _ = notifications.inbox(session, actor=ada, now=now)
    notifications.read(session, actor=ada, delivery_id=told[-1].notice.delivery_id, now=now)


def _calendar_elsewhere(session: Session, now: datetime) -> str:
    """Subscribe the facility to a roster that leaves every second day alone, and to a plan that cannot be read."""
    facility = facilities.by_code(session, code="DG-SLAB")
    made = []
    for name, means in (("Roster", Means.ROSTER), ("维护计划", Means.MAINTENANCE)):
        draft = calendar_sources.draft(
            session,
            actor=SYSTEM,
            facility_id=facility.id,
            name=name,
            url=f"https://calendars.example.org/{means}.ics",
            means=means,
            instruments=["DG-SLAB-03"],
        )
        made.append(calendar_sources.add(session, actor=SYSTEM, draft=draft, now=now).id)
    day = timedelta(days=1)
    shifts = [Span(now + n * day, now + (n + 1) * day) for n in range(0, 360, 2)]
    entries = [Entry(str(n), "", span, False, "早班 Early shift") for n, span in enumerate(shifts)]
    calendar_sources.take_over(
        session, source_id=made[0], reading=Reading("", tuple(entries)), data=b"", now=now
    )
    calendar_sources.fail(session, source_id=made[1], code="status", figure=404, now=now)
    return f"/calendar-sources/{made[0]}"


def sign_in(page: Page, server: str, name: str) -> None:
    page.goto(f"{server}/sign-in")
    page.fill("[name=email]", f"{name}@example.org")
    page.fill("[name=password]", seeds.PASSWORD)
    page.click("main [type=submit]")
    page.wait_for_url(lambda url: "/sign-in" not in url)


@pytest.mark.parametrize("who", list(PAGES))
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_pages_have_no_fault_and_fit(browser, server, who, locale):
    context = browser.new_context(locale=locale, viewport=WIDTHS["wide"], reduced_motion="reduce")
    try:
        faults = _visits(context.new_page(), server, who, locale)
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def _visits(page: Page, server: str, who: str, locale: str) -> list[str]:
    faults = watch(page)
    if who != "-":
        sign_in(page, server, who)
    for name, path in PAGES[who].items():
        page.goto(f"{server}{path.format_map(MADE)}")
        for width, size in WIDTHS.items():
            page.set_viewport_size(size)
            # The other colours of each width are looked at in the other language.
            scheme = SCHEMES[(locale == "en") != (width == "narrow")]
            page.emulate_media(color_scheme=scheme)
            look = f"{name}-{'visitor' if who == '-' else who}-{locale}-{width}-{scheme}"
            faults += [f"{look}: {line}" for line in axe(page)]
            shot(page, look)
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways at {size['width']} px")
    return faults


@pytest.mark.parametrize("locale", ["zh-CN"])
@pytest.mark.parametrize("viewport", [WIDTHS["narrow"]])
def test_from_a_booking_to_the_times_of_others(page: Page, server: str):
    faults = watch(page)
    sign_in(page, server, "ada")
    page.goto(f"{server}/bookings")
    page.locator("main a[href^='/bookings/']:not([href*='new'])").first.click()
    page.locator("a[href$='/swap']").click()
    expect(page.locator("[name=slot]").first).to_be_attached()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        faults += axe(page)
        shot(page, f"swap-ada-zh-CN-narrow-{scheme}")
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    page.locator("[name=slot]").last.check()  # the first may be sooner than the rules allow
    page.locator("main form [type=submit]").last.click()
    page.wait_for_url(lambda url: not url.endswith("/swap"))
    assert page.locator("form[action$='/withdrawal']").count() == 1
    assert not faults


def test_a_page_is_light(browser: Browser, server: str):
    for path in ("/", "/instruments", f"/instruments/{SEM}", "/free"):
        page = browser.new_page()
        answers: list[Response] = []
        page.on("response", lambda answer, answers=answers: answers.append(answer))
        page.goto(f"{server}{path}", wait_until="networkidle")
        assert len(answers) <= 10, [answer.url for answer in answers]
        assert sum(len(answer.body()) for answer in answers) < 200_000, path
        page.close()


@pytest.mark.parametrize("javascript", [False])
@pytest.mark.parametrize("locale", ["en"])
def test_without_a_script_search_and_calendar_lead_to_the_form(page: Page, server: str):
    page.goto(server)
    page.fill("#q", "场发射")
    page.press("#q", "Enter")
    page.click("article h2 a")
    page.goto(f"{page.url}?day={IN_A_WEEK}")
    begin = page.locator(".begin a").first
    asked = parse_qs(urlsplit(begin.get_attribute("href")).query)
    assert asked["instrument"] == [SEM]
    begin.click()
    assert "/sign-in" in page.url
    assert f"instrument%3D{SEM}" in page.url


@pytest.mark.parametrize("locale", ["en"])
def test_three_clicks_from_home_to_a_booking(page: Page, server: str):
    sign_in(page, server, "ben")
    page.goto(server)
    page.click("text=Find a time >> nth=0")
    page.locator("main").get_by_role("link", name="Book", exact=False).first.click()
    page.click("[data-send]")
    page.wait_for_url(lambda url: "/bookings/" in url and "/new" not in url)


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 1000}])
def test_a_drag_over_free_time_fills_the_form(page: Page, server: str):
    # A Sunday far ahead, on which nobody has booked.
    sunday = IN_A_WEEK + timedelta(days=28 + 6 - IN_A_WEEK.weekday())
    page.goto(f"{server}/instruments/{SEM}?day={sunday}")
    column = page.locator(f'[data-day="{sunday}"] .day-times')
    column.scroll_into_view_if_needed()
    box = column.bounding_box()
    hour = box["height"] / 14  # it is open from 8 to 22
    across = box["x"] + box["width"] / 2
    page.mouse.move(across, box["y"] + 2.1 * hour)
    page.mouse.down()
    page.mouse.move(across, box["y"] + 3 * hour)
    page.mouse.move(across, box["y"] + 4.4 * hour)
    expect(page.locator(".ghost")).to_have_text("10:00–12:30")
    page.mouse.up()
    expect(page.locator("#start")).to_have_value(f"{sunday}T10:00")
    expect(page.locator("#end")).to_have_value(f"{sunday}T12:30")
    expect(page.locator("[data-length]")).to_have_text("Chosen: 2 h 30 min")
    page.fill("#start", f"{sunday}T14:00")
    page.dispatch_event("#start", "change")
    expect(page.locator("#end")).to_have_value(f"{sunday}T16:30")


@pytest.mark.parametrize("locale", ["en"])
def test_arrow_keys_walk_over_the_begins(page: Page, server: str):
    monday = IN_A_WEEK + timedelta(days=28 - IN_A_WEEK.weekday())
    page.goto(f"{server}/instruments/{SEM}?day={monday}")
    assert page.locator('.begin a[tabindex="0"]').count() == 1
    page.locator(".begin a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.href")
    assert parse_qs(urlsplit(focused).query)["start"] == [f"{monday + timedelta(days=1)}T08:30"]


@pytest.mark.parametrize("locale", ["en"])
def test_menus_close_by_escape_and_give_the_focus_back(page: Page, server: str):
    page.goto(server)
    menu = page.locator(".site-tools [data-menu]").first
    menu.locator("summary").press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_reader_elsewhere_sees_their_own_clock_too(browser: Browser, server: str):
    context = browser.new_context(locale="en", timezone_id="Europe/Berlin")
    page = context.new_page()
    problems = watch(page)
    page.goto(f"{server}/instruments/{SEM}?day=2026-12-01")
    expect(page.locator("[data-own-clock]")).to_contain_text("Europe/Berlin, 7 h behind")
    expect(page.locator('[data-clock-hour="9"] small')).to_have_text("02:00")
    context.close()
    assert not problems


def test_pictures_are_kept_where_nobody_commits_them():
    ignored = Path(ROOT / ".gitignore").read_text().split()
    assert "test-artefacts/" in ignored
