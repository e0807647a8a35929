"""Holds and the line in a real browser: the countdown of the form, and every page of the waitlist without a fault."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, Response, expect
from sqlalchemy import func, select

from booking import db
from booking.domain.occupation import Item
from booking.domain.one_time import address
from booking.domain.spans import Span
from booking.jobs import waitlist as job
from booking.services import bookings, standing_by, waitlist
from models import Hold, Instrument, OneTimeLink
from tests import cast
from tests.browser import DESKTOP, PHONE, axe, shot, watch
from tests.conftest import Databases
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer
from tests.services.test_policies import make_rule

pytestmark = [pytest.mark.browser, pytest.mark.server]

ZONE = ZoneInfo("Asia/Shanghai")
DAY = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=20)
LOOKS = [
    ("zh-CN", "light", PHONE),
    ("zh-CN", "dark", DESKTOP),
    ("en", "light", DESKTOP),
    ("en", "dark", PHONE),
]


@dataclass
class World:
    base: str
    link: str


def at(hour: float) -> datetime:
    return (DAY + timedelta(hours=hour)).astimezone(UTC)


def local(hour: float) -> str:
    return (DAY + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    """Cleo is offered one time and waits for another; Ben waits behind her for anything."""
    url, now = databases.clone("sqlite"), datetime.now(UTC)
    db.init(url)
    with db.transaction() as session:
        lab = make_facility(session, code="LAB", name_zh="实验平台", name_en="Laboratory")
        sem = make_instrument(session, lab, code="SEM", name_zh="电镜", name_en="Microscope")
        make_instrument(session, lab, code="SEM2", name_zh="电镜二", name_en="Second microscope")
        ada, ben, cleo = (cast.actor_of(session, one(session)) for one in (cast.ada, cast.ben, cast.cleo))
        cast.tam(session, lab)
        items = [Item(sem.id, Span(at(13), at(15)))]
        bookings.place(session, actor=ada, items=items, now=now)
        for hour in (9, 13):
            waitlist.join(
                session,
                actor=cleo,
                instrument_ids=[sem.id],
                window=Span(at(hour), at(hour + 2)),
                minutes=120,
                now=now,
            )
        waitlist.join(
            session,
            actor=ben,
            instrument_ids=list(session.scalars(select(Instrument.id))),
            window=Span(at(13), at(15)),
            minutes=120,
            purpose="薄膜",
            quantity=1,
            wish="电镜 · volume_l>=50",
            now=now + timedelta(minutes=1),
        )
        later = make_instrument(session, lab, code="TEM", name_zh="透射电镜", name_en="Electron microscope")
        make_rule(session, "standby", 1, instrument_id=later.id)
        for who, lead in ((cleo, 0), (ben, 20)):
            standing_by.stand_by(
                session,
                actor=who,
                instrument_id=later.id,
                day=datetime.now(ZONE).date(),
                least=1000,
                most=1200,
                lead=lead,
                now=now,
            )
    job.turn("x", lambda: False, now=datetime.now(UTC))
    with db.reading() as session:
        cleo_id = cleo.person_id
        link = session.scalars(select(OneTimeLink).where(OneTimeLink.person_id == cleo_id)).one()
    db.dispose()
    with GunicornServer(url, workers=1) as running:
        db.init(url)
        yield World(running.base_url, address("", "answer_offer", "x", link.id))
        db.dispose()
    databases.drop(url)


def sign_in(page: Page, world: World, name: str) -> None:
    page.goto(f"{world.base}/sign-in")
    page.fill("[name=email]", f"{name}@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.click("main form [type=submit]")
    page.wait_for_url(lambda url: "/sign-in" not in url)


def held() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Hold).where(~Hold.offered))


@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_pages_have_no_fault_and_fit(browser: Browser, world: World, locale, scheme, size):
    context = browser.new_context(
        locale=locale,
        color_scheme=scheme,
        viewport=size,
        reduced_motion="reduce",
        timezone_id="Asia/Shanghai",
    )
    pages = {
        "": {"offer": world.link, "offer-over": f"{world.link[:-3]}abc"},
        "cleo": {
            "waitlist": "/waitlist",
            "wait": "/waitlist/new",
            "wait-here": "/waitlist/new?instrument=SEM",
            "standby": "/instruments/TEM/standby",
            "no-standby": "/instruments/SEM/standby",
            "search": "/instruments?capability=volume_l%3E%3D50",
            "free": "/free?capability=volume_l%3E%3D50",
        },
        "ben": {
            "waitlist": "/waitlist",
            "taken": f"/bookings/new?instrument=SEM&start={local(13)}&end={local(15)}",
        },
        "tam": {"line": "/waitlist/facility", "standby-list": "/standby/facility", "desk": "/desk"},
        "root": {"nothing": "/waitlist"},
    }
    with db.transaction() as session:
        cast.root(session)
    try:
        page = context.new_page()
        faults = watch(page)
        for who, paths in pages.items():
            context.clear_cookies()
            if who:
                sign_in(page, world, who)
            for name, path in paths.items():
                page.goto(f"{world.base}{path}")
                for fold in page.locator("main details").all():  # an outer one comes before what it holds
                    if fold.get_attribute("open") is None:
                        fold.locator("> summary").click()
                page.evaluate("scrollTo(0, 0)")  # or the header stands over what was just opened
                faults += [f"{name}: {line}" for line in axe(page)]
                if page.evaluate(
                    "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                ):
                    faults.append(f"{name}: scrolls sideways")
                shot(page, f"{name}-{who}-{locale}-{scheme}-{size['width']}")
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def held_until(clock: str) -> Callable[[Response], bool]:
    """Tell an answer to the form that asked for time up to this end."""
    return lambda answer: (
        answer.url.endswith("/holds") and parse_qs(answer.request.post_data or "").get("end_time") == [clock]
    )


@pytest.mark.parametrize("locale", ["en"])
def test_the_form_holds_counts_down_renews_and_gives_back(page: Page, world: World):
    sign_in(page, world, "cleo")
    page.goto(f"{world.base}/bookings/new?instrument=SEM2&start={local(10)}&end={local(12)}")
    left = page.locator("[data-left]")
    expect(left).to_have_text(re.compile(r"4:5\d"))
    assert held() == 1
    page.locator("[data-renew]").click()
    expect(page.locator("[data-renew]")).to_have_count(0)
    expect(left).to_have_text(re.compile(r"[45]:\d\d"))
    with page.expect_response(held_until("12:30")):  # the end moves with the start
        page.fill("[name=start_time]", "10:30")
        page.locator("[name=start_time]").blur()
    expect(page.locator("[data-hold-place][aria-busy]")).to_have_count(0)
    expect(page.locator("[data-renew]")).to_be_visible()  # of another time, which was not renewed yet
    assert held() == 1
    for _ in range(50):  # the browser sends it after the page is gone
        page.goto(f"{world.base}/")
        if not held():
            break
    assert held() == 0


@pytest.mark.parametrize("locale", ["en"])
def test_a_time_that_ran_out_is_told_and_the_form_still_works(page: Page, world: World):
    page.clock.install()
    sign_in(page, world, "ben")
    page.goto(f"{world.base}/bookings/new?instrument=SEM2&start={local(18)}&end={local(19)}")
    expect(page.locator("[data-left]")).to_have_text(re.compile(r"\d:\d\d"))
    page.clock.run_for("05:10")
    expect(page.locator("[data-hold-over]")).to_be_visible()
    expect(page.locator("[data-holding]")).to_be_hidden()
    page.click("[data-send]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_the_time_is_held_when_it_is_checked(page: Page, world: World):
    sign_in(page, world, "ben")
    page.goto(f"{world.base}/bookings/new?instrument=SEM2&start={local(20)}&end={local(21)}")
    page.click("[data-check]")
    expect(page.locator("[data-holding]")).to_contain_text("Held for you until")
    page.locator("[data-renew]").click()
    expect(page.locator("[data-renew]")).to_have_count(0)
    page.click("[data-send]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))


@pytest.mark.parametrize("locale", ["en"])
def test_from_the_refusal_into_the_line_with_one_click(page: Page, world: World):
    sign_in(page, world, "ada")
    with db.transaction() as session:
        ben = cast.actor_of(session, cast.ben(session))
        sem = session.scalar(select(Instrument.id).where(Instrument.code == "SEM2"))
        item = Item(sem, Span(at(6), at(7)))
        bookings.place(session, actor=ben, items=[item], now=datetime.now(UTC))
    page.goto(f"{world.base}/bookings/new?instrument=SEM2&start={local(6)}&end={local(7)}")
    page.get_by_role("button", name="Wait in line for this time").click()
    page.wait_for_url(re.compile("/waitlist$"))
    expect(page.locator(".flashes")).to_contain_text("You are in line")
    expect(page.locator("main")).to_contain_text("You are next")
