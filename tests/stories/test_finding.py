"""Finding a time in a real browser: three clicks, facets without a new page, back, the map and its list."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, catalogue
from models import InstrumentKind
from tests import cast
from tests.browser import PHONE, axe, shot, watch
from tests.conftest import Databases
from tests.factories import make_facility, make_instrument, make_network
from tests.servers import GunicornServer
from tests.stories.test_waiting_pages import World, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.server]

DESK = {"width": 1440, "height": 900}
LOOKS = [("zh-CN", "light", PHONE), ("zh-CN", "dark", DESK), ("en", "light", DESK), ("en", "dark", PHONE)]


@pytest.fixture(scope="module")
def world(databases: Databases) -> Iterator[World]:
    """Two facilities in two towns; one instrument is taken for weeks, one needs approval."""
    url, now = databases.clone("sqlite"), datetime.now(UTC)
    db.init(url)
    with db.transaction() as session:
        catalogue.ensure_categories(session)
        lab = make_facility(
            session,
            code="LAB",
            name_zh="材料平台",
            name_en="Materials lab",
            region_code="441900",
            town="松山湖",
            latitude=22.92,
            longitude=113.88,
        )
        base = make_facility(
            session,
            code="BASE",
            name_zh="柳州基地",
            name_en="Liuzhou base",
            region_code="450200",
            town="柳州",
            latitude=24.33,
            longitude=109.42,
        )
        make_network(session, lab, base, code="NET", name_zh="示例网", name_en="Example network")
        names = {"name_zh": "扫描电镜", "name_en": "Scanning microscope"}
        make_instrument(session, lab, code="SEM", price=300, category_code="0101", **names)
        names = {"name_zh": "贴片线", "name_en": "Assembly line", "kind": InstrumentKind.LINE}
        make_instrument(session, lab, code="SMT", approval_required=True, **names)
        names = {"name_zh": "烘箱", "name_en": "Oven"}
        make_instrument(session, base, code="OVEN", price=40, training_required=True, **names)
        names = {"name_zh": "窑炉", "name_en": "Kiln"}
        kiln = make_instrument(session, base, code="KILN", price=50, **names)
        ada = cast.actor_of(session, cast.ada(session))
        start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        use = Span(start, start + timedelta(days=20))
        bookings.place(session, actor=ada, items=[Item(kiln.id, use)], now=now)
    db.dispose()
    with GunicornServer(url, workers=1) as running:
        db.init(url)
        yield World(running.base_url, "")
        db.dispose()
    databases.drop(url)


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [True, False])
def test_three_clicks_and_not_a_word_from_home_to_booked(page: Page, world: World):
    sign_in(page, world, "ada")
    page.goto(world.base)
    page.get_by_role("button", name="Find a time").click()
    page.wait_for_url("**/free?**")
    page.locator(".offer-book a").first.click()
    page.wait_for_url("**/bookings/new?**")
    page.locator("main [data-send]").first.click()
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}"))
    expect(page.locator("main")).to_contain_text("Confirmed")


@pytest.mark.parametrize("locale", ["en"])
def test_facets_ask_by_themselves_and_back_goes_back(page: Page, world: World):
    page.goto(f"{world.base}/free")
    page.evaluate("window.stayed = true")
    summary = page.locator("[data-summary]")
    expect(summary).to_contain_text(re.compile(r"^\s*3 free of 4 that suit, 1 needs approval"))
    page.locator("#facet-terms-instant").focus()
    page.keyboard.press("Space")
    expect(summary).to_contain_text("2 free of 3 that suit")
    assert page.evaluate("document.activeElement.id") == "facet-terms-instant"
    expect(page.locator("[data-live]")).to_contain_text("2 free of 3")
    page.check("#facet-facility-LAB")
    expect(summary).to_contain_text("1 free of 1")
    assert asked(page) | {"from": 0, "to": 0} == {
        "terms": ["instant"],
        "facility": ["LAB"],
        "minutes": ["120"],
        "from": 0,
        "to": 0,
    }
    expect(page.locator("label:has(#facet-facility-BASE) .number")).to_have_text("1")
    page.go_back()
    expect(summary).to_contain_text("2 free of 3")
    expect(page.locator("#facet-facility-LAB")).not_to_be_checked()
    page.locator(".chosen .chip").click()
    expect(summary).to_contain_text("3 free of 4")
    page.select_option("#sort", "price")
    expect(page.locator(".offer h3").first).to_have_text("Oven")
    page.fill("[name=q]", "no such thing")
    page.keyboard.press("Enter")
    expect(summary).to_contain_text("Nothing suits")
    expect(page.locator(".relaxations a")).to_have_text(["Without “no such thing”"])
    page.locator(".relaxations a").click()
    expect(summary).to_contain_text("3 free of 4")
    assert page.evaluate("window.stayed")  # never another page


@pytest.mark.parametrize("locale", ["en"])
def test_what_is_not_free_tells_when_and_more_times_unfold(page: Page, world: World):
    page.goto(f"{world.base}/free")
    lack = page.locator(".lack", has_text="Kiln")
    expect(lack).to_contain_text("No free start in these days; next free on")
    lack.get_by_role("link", name="Widen the days").click()
    expect(page.locator("[data-summary]")).to_contain_text("4 free of 4")
    more = page.locator("#more-SEM")
    more.locator("summary").click()
    expect(more.locator("li a")).to_have_count(4)


@pytest.mark.parametrize("locale", ["en"])
def test_the_map_comes_when_it_is_opened_and_the_list_tells_the_same(page: Page, world: World):
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(urlsplit(request.url).path))
    page.goto(f"{world.base}/free")
    assert not any("leaflet" in path for path in fetched)
    page.locator("#map-fold > summary").click()
    circles = page.locator("[data-map] .map-circle")
    expect(circles).to_have_text(["2", "1"])
    expect(page.locator("#map-fold .tally-list li")).to_have_count(2)
    circles.first.focus()
    page.keyboard.press("Enter")
    link = page.locator(".map-list a")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[data-summary]")).to_contain_text("2 free of 2")
    assert asked(page)["facility"] == ["LAB"]
    expect(circles).to_have_text(["2"])


@pytest.mark.parametrize("locale", ["en"])
def test_the_browser_tells_where_it_is_only_when_it_is_asked(page: Page, world: World):
    page.context.grant_permissions(["geolocation"], origin=world.base)
    page.context.set_geolocation({"latitude": 24.3316, "longitude": 109.4211})
    page.goto(f"{world.base}/free")
    page.locator("[data-where-i-am]").click()
    page.wait_for_url("**sort=nearest**")
    assert asked(page)["near"] == ["24.33,109.42"]
    expect(page.locator(".offer h3").first).to_have_text("Oven")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_it_is_a_plain_form(page: Page, world: World):
    page.goto(f"{world.base}/free")
    page.check("#facet-facility-LAB")
    page.get_by_role("button", name="Show those").click()
    expect(page.locator("[data-summary]")).to_contain_text("2 free of 2")
    page.locator("#map-fold > summary").click()
    expect(page.locator("[data-map]")).to_be_hidden()
    expect(page.locator("#map-fold .tally-list a")).to_have_text(["Materials lab"])


@pytest.mark.parametrize("locale", ["en"])
def test_names_are_suggested_and_lead_to_the_instrument(page: Page, world: World):
    page.goto(world.base)
    page.locator("#q").press_sequentially("micro")
    expect(page.locator("#suggested option")).to_have_attribute("value", "Scanning microscope")
    page.locator("#q").evaluate(
        "field => { field.value = 'Scanning microscope'; field.dispatchEvent(new Event('input')); }"
    )  # as a choice of the list comes: whole
    page.wait_for_url("**/instruments/SEM")


@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_pages_have_no_fault_and_fit(browser: Browser, world: World, locale, scheme, size):
    pages = {
        "door": "/",
        "finder": "/free",
        "finder-chosen": "/free?terms=instant&facility=LAB&near=BASE&sort=nearest&part=morning",
        "finder-nothing": "/free?q=zyzzyva&ceiling=50",
        "finder-mistake": "/free?minutes=x&part=noon",
        "places": "/facilities",
        "catalogue-chosen": "/instruments?kind=device&region=441900",
        "catalogue-nothing": "/instruments?q=zyzzyva&kind=line",
    }
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
        for name, path in pages.items():
            page.goto(f"{world.base}{path}")
            page.evaluate("document.querySelectorAll('main details').forEach(fold => { fold.open = true; })")
            if page.locator("[data-map]").count():
                page.locator(".map-circle").first.wait_for()
            page.evaluate("scrollTo(0, 0)")
            faults += [f"{name}: {line}" for line in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways")
            shot(page, f"{name}-{locale}-{scheme}-{size['width']}")
    finally:
        context.close()
    assert not faults, "\n".join(faults)
