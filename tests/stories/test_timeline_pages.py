"""The resource timeline in a real browser: bars moved by pointer, finger and keys, refusals, undo, news, far rows."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from models import Booking, BookingItem, Category, InstrumentKind, Person
from tests import cast
from tests.browser import DESKTOP, PHONE, axe, shot, watch
from tests.conftest import Databases
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

SHANGHAI = ZoneInfo("Asia/Shanghai")
TABLET = {"width": 768, "height": 1024}
MANY = 120


class World:
    """A facility with two microscopes, a line with a station, and many baths; and a browser signed in as Tam."""

    def __init__(self, url: str, base: str) -> None:
        self.base = base
        self.url = url
        self.places: dict[str, int] = {}
        self.people: dict[str, UUID] = {}
        monday = datetime.now(SHANGHAI).date() + timedelta(days=21)
        self.monday = monday - timedelta(days=monday.weekday())
        with db.transaction() as session:
            session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
            session.flush()
            lab = make_facility(session, code="LAB", name_en="Laboratory", name_zh="实验室")
            for code in ("SEM", "SEM2"):
                row = make_instrument(
                    session, lab, code=code, name_en=f"Microscope {code}", category_code="0101"
                )
                self.places[code] = row.id
            station = make_instrument(
                session, lab, code="LINE-1", name_en="Station", kind=InstrumentKind.STATION
            )
            make_instrument(session, lab, code="LINE", name_en="Wafer line", stations=[station])
            for number in range(MANY):
                row = make_instrument(session, lab, code=f"Z-{number:03}", name_en=f"Bath {number}")
                self.places[row.code] = row.id
            for person in (cast.ada(session), cast.tam(session, lab), cast.root(session)):
                self.people[person.name] = person.id

    def at(self, hour: int, day: int = 0) -> datetime:
        moment = datetime.combine(self.monday + timedelta(days=day), datetime.min.time(), tzinfo=SHANGHAI)
        return (moment + timedelta(hours=hour)).astimezone(UTC)

    def book(self, name: str, code: str, start: int, end: int, day: int = 0, **more: Any) -> str:
        with db.transaction() as session:
            who = cast.actor_of(session, session.get_one(Person, self.people[name]))
            item = Item(self.places[code], Span(self.at(start, day), self.at(end, day)), 1)
            made = bookings.place(session, actor=who, items=[item], now=datetime.now(UTC), **more)
            made.may_move = more.get("purpose") == "agreed"
            return str(made.id)

    def clear(self) -> None:
        """Give all bookings up, so that each test has the instruments for itself."""
        with db.transaction() as session:
            root = cast.actor_of(session, session.get_one(Person, self.people["Root"]))
            for row in session.query(Booking).filter(Booking.state.in_(["confirmed", "requested"])):
                bookings.cancel(
                    session, actor=root, booking_id=row.id, reason="cleared", now=datetime.now(UTC)
                )

    def span(self, booking_id: str) -> tuple[str, datetime, datetime]:
        with db.reading() as session:
            item = session.scalars(
                select(BookingItem).where(BookingItem.booking_id == UUID(booking_id))
            ).one()
            code = next(code for code, key in self.places.items() if key == item.instrument_id)
            return code, item.starts_at, item.ends_at

    def open(self, page: Page, **query: str) -> None:
        page.goto(f"{self.base}/sign-in")
        page.fill("[name=email]", "tam@example.org")
        page.fill("[name=password]", cast.PASSWORD)
        page.click("main form [type=submit]")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        self.go(page, **query)

    def go(self, page: Page, **query: str) -> None:
        given = {"day": self.monday.isoformat(), "view": "day", "form": "timeline"} | query
        page.goto(f"{self.base}/timeline?" + "&".join(f"{name}={value}" for name, value in given.items()))


@pytest.fixture(scope="module")
def module_world(databases: Databases) -> Iterator[World]:
    url = databases.clone("sqlite")
    db.init(url)
    with GunicornServer(url, workers=1) as running:
        yield World(url, running.base_url)
    db.dispose()
    databases.drop(url)


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    db.init(module_world.url)
    yield module_world
    module_world.clear()


def bar(page: Page, name: str) -> Locator:
    return page.locator(".resources-slot", has_text=name)


def line(page: Page, code: str) -> Locator:
    """The time of an instrument's row."""
    return page.locator(".resources-row", has=page.get_by_text(code, exact=True)).locator(".resources-time")


def hour(page: Page, hours: float) -> float:
    """So many pixels are some hours of a day."""
    return page.locator(".resources-time").first.bounding_box()["width"] / 24 * hours


def drag(
    page: Page,
    what: Locator,
    by: tuple[float, float],
    *,
    at: float = 0.5,
    wait: Callable[[], None] | None = None,
) -> None:
    box = what.bounding_box()
    x, y = box["x"] + box["width"] * at, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=4)
    page.mouse.move(x + by[0], y + by[1], steps=4)
    if wait:
        wait()
    page.mouse.up()


# --- the pointer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
def test_a_bar_is_dragged_to_another_time_and_back_by_undo(page: Page, world: World):
    booking = world.book("Ada", "SEM", 9, 11, purpose="agreed")
    world.open(page)
    drag(
        page,
        bar(page, "Ada"),
        (hour(page, 3), 0),
        wait=lambda: expect(page.locator(".resources-ghost")).to_contain_text("12:00 – 14:00"),
    )
    toast = page.locator(".toast.success")
    expect(toast).to_contain_text("12:00 – 14:00")
    expect(toast).to_contain_text("Ada is told")
    assert world.span(booking) == ("SEM", world.at(12), world.at(14))
    expect(bar(page, "Ada")).to_contain_text("12:00 – 14:00")
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("Moved back")
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))


@pytest.mark.parametrize("locale", ["en"])
def test_who_has_not_agreed_is_asked_about_first(page: Page, world: World):
    booking = world.book("Ada", "SEM", 9, 11)
    world.open(page)
    drag(page, bar(page, "Ada"), (hour(page, 3), 0))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Ada has not agreed beforehand")
    assert axe(page) == []
    dialog.get_by_role("button", name="Leave it").click()
    expect(page.locator(".resources-ghost")).to_have_count(0)
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))
    drag(page, bar(page, "Ada"), (hour(page, 3), 0))
    page.get_by_role("button", name="Ask first").click()
    expect(page.locator(".toast.success")).to_contain_text("it stays until Ada says yes")
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))
    # The other time is held, and withdrawn on the booking's page it is free again.
    page.locator(".toast").get_by_role("link", name="Details").click()
    expect(page.get_by_text("Ada is asked whether it may be moved")).to_be_visible()
    page.get_by_role("button", name="Ask no more").click()
    expect(page.get_by_text("Asked no more: the booking stays")).to_be_visible()
    world.go(page)
    drag(page, bar(page, "Ada"), (hour(page, 3), 0))
    page.get_by_role("button", name="We agreed: move it").click()
    expect(page.locator(".toast.success")).to_be_visible()
    assert world.span(booking) == ("SEM", world.at(12), world.at(14))


@pytest.mark.parametrize("locale", ["en"])
def test_ends_are_dragged_and_rows_of_the_same_kind_are_changed(page: Page, world: World):
    booking = world.book("Tam", "SEM", 9, 12)
    world.open(page)
    box = bar(page, "Tam").bounding_box()
    drag(page, bar(page, "Tam"), (hour(page, 2), 0), at=(box["width"] - 3) / box["width"])
    expect(page.locator(".toast.success")).to_be_visible()
    assert world.span(booking) == ("SEM", world.at(9), world.at(14))
    down = line(page, "SEM2").bounding_box()["y"] - line(page, "SEM").bounding_box()["y"]
    drag(page, bar(page, "Tam"), (0, down))
    expect(page.locator(".toast.success")).to_contain_text("Microscope SEM2")
    assert world.span(booking) == ("SEM2", world.at(9), world.at(14))
    drag(page, bar(page, "Tam"), (0, down))
    expect(page.locator(".toast.error")).to_contain_text("instrument of the same kind")
    assert world.span(booking) == ("SEM2", world.at(9), world.at(14))


@pytest.mark.parametrize("locale", ["en"])
def test_a_refused_drop_flies_back_with_its_reason_and_what_is_possible(page: Page, world: World):
    booking = world.book("Tam", "SEM", 9, 11)
    world.book("Ada", "SEM", 13, 15)
    world.open(page)
    drag(page, bar(page, "Tam"), (hour(page, 3), 0))
    toast = page.locator(".toast.error")
    expect(toast).to_contain_text("It stays where it was")
    expect(toast).to_contain_text("taken")
    expect(page.locator(".resources-ghost")).to_have_count(0)
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))
    assert axe(page) == []
    toast.get_by_role("button", name=re.compile("–")).first.click()
    expect(page.locator(".toast.success")).to_be_visible()
    assert world.span(booking) != ("SEM", world.at(9), world.at(11))


@pytest.mark.parametrize("locale", ["en"])
def test_what_changed_meanwhile_is_not_overwritten(page: Page, world: World):
    booking = world.book("Tam", "SEM", 9, 11)
    world.open(page)
    expect(bar(page, "Tam")).to_be_visible()
    with db.transaction() as session:
        root = cast.actor_of(session, session.get_one(Person, world.people["Root"]))
        bookings.change(
            session, actor=root, booking_id=UUID(booking), version=1, purpose="new", now=datetime.now(UTC)
        )
    drag(page, bar(page, "Tam"), (hour(page, 3), 0))
    expect(page.locator(".toast.error")).to_contain_text("changed meanwhile")
    expect(bar(page, "new")).to_be_visible()
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))


@pytest.mark.parametrize("locale", ["en"])
def test_empty_time_is_dragged_and_booked_or_closed(page: Page, world: World):
    world.open(page)
    empty = line(page, "SEM")
    drag(page, empty, (hour(page, 2), 0), at=20 / 24 + 0.0001)
    card = page.get_by_role("dialog")
    expect(card).to_contain_text("20:00 – 22:00")
    assert axe(page) == []
    expect(card.get_by_role("link", name="Close for a while")).to_have_attribute(
        "href", re.compile(r"instrument=SEM&start=.*T20:00&end=.*T22:00")
    )
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(page.locator(".resources-ghost")).to_have_count(0)
    drag(page, empty, (hour(page, 2), 0), at=20 / 24 + 0.0001)
    card.get_by_role("link", name="Book").click()
    booking = page.locator("dialog.sheet-dialog")
    expect(booking.locator("[name=start_time]")).to_have_value("20:00")
    expect(booking.locator("[name=end_time]")).to_have_value("22:00")
    booking.locator("[data-send]").click()
    expect(booking).to_contain_text("Booked")
    page.keyboard.press("Escape")
    expect(bar(page, "Tam")).to_contain_text("20:00 – 22:00")


@pytest.mark.parametrize("locale", ["en"])
def test_a_bar_tells_what_it_is_beside_it(page: Page, world: World):
    booking = world.book("Ada", "SEM", 9, 11, purpose="Grain size")
    world.open(page)
    bar(page, "Ada").click()
    card = page.get_by_role("dialog")
    expect(card).to_contain_text("ada@example.org")
    expect(card).to_contain_text("Grain size")
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(bar(page, "Ada")).to_be_focused()
    page.keyboard.press("Enter")
    card.get_by_role("link", name="Move or change").click()
    page.wait_for_url(f"**/bookings/{booking}/change")


# --- the keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
def test_the_keys_do_all_that_the_pointer_does(page: Page, world: World):
    booking = world.book("Tam", "SEM", 9, 11)
    world.open(page)
    said = page.locator("[data-resources-said]")
    line(page, "SEM2").focus()
    page.keyboard.press("ArrowUp")
    expect(line(page, "SEM")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(bar(page, "Tam")).to_be_focused()
    page.keyboard.press("m")
    expect(said).to_contain_text("Moving")
    for key in ("ArrowRight", "ArrowDown", "+"):
        page.keyboard.press(key)
    expect(said).to_contain_text("09:15 – 11:30, Microscope SEM2")
    page.keyboard.press("Escape")
    assert world.span(booking) == ("SEM", world.at(9), world.at(11))
    for key in ("m", "PageDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".toast.success")).to_be_visible()
    assert world.span(booking) == ("SEM2", world.at(9, 1), world.at(11, 1))


@pytest.mark.parametrize("locale", ["en"])
def test_enter_on_empty_time_books_it(page: Page, world: World):
    world.open(page)
    line(page, "SEM").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/bookings/new?instrument=SEM")


# --- news, choices, far rows ------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en"])
def test_what_others_do_is_drawn_within_seconds(page: Page, world: World):
    page.clock.install()
    world.open(page)
    expect(line(page, "SEM")).to_be_visible()
    expect(bar(page, "Ada")).to_have_count(0)
    booking = world.book("Ada", "SEM", 9, 11)
    page.clock.fast_forward(5_100)
    expect(bar(page, "Ada")).to_be_visible()
    with db.transaction() as session:
        ada = cast.actor_of(session, session.get_one(Person, world.people["Ada"]))
        bookings.cancel(session, actor=ada, booking_id=UUID(booking), now=datetime.now(UTC))
    page.clock.fast_forward(5_100)
    expect(bar(page, "Ada")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en"])
def test_the_legend_chooses_and_the_address_keeps_it(page: Page, world: World):
    world.book("Ada", "SEM", 9, 11)
    world.open(page)
    expect(bar(page, "Ada")).to_be_visible()
    page.get_by_label("Booked").uncheck()
    expect(bar(page, "Ada")).to_have_count(0)
    page.get_by_role("button", name="Laboratory").click()
    expect(page.locator(".resources-row")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Booked")).not_to_be_checked()
    expect(page.locator(".resources-row")).to_have_count(0)
    page.get_by_role("button", name="Laboratory").click()
    page.get_by_label("Booked").check()
    expect(bar(page, "Ada")).to_be_visible()
    page.get_by_role("button", name=re.compile("Wafer line")).click()
    expect(page.get_by_text("LINE-1", exact=True)).to_have_count(0)


@pytest.mark.parametrize("locale", ["en"])
def test_far_rows_are_drawn_when_one_comes_there(page: Page, world: World):
    last = f"Z-{MANY - 1:03}"
    world.book("Ada", last, 9, 11)
    world.open(page, view="week")
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", str(MANY + 4 + 2))
    assert page.locator(".resources-row").count() < 60
    expect(bar(page, "Ada")).to_have_count(0)
    page.locator("[data-scroll]").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    expect(bar(page, "Ada")).to_be_visible()
    page.fill("[name=q]", last.lower())
    expect(page.locator(".resources-row")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"q={last.lower()}"))
    expect(page.locator(".resources-row")).to_have_count(1)
    expect(bar(page, "Ada")).to_be_visible()


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_there_is_the_agenda(page: Page, world: World):
    world.book("Ada", "SEM", 9, 11)
    world.open(page)
    page.wait_for_url(re.compile("form=list"))
    expect(page.locator("table.agenda")).to_contain_text("Ada")


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [PHONE])
def test_a_phone_begins_with_the_agenda(page: Page, world: World):
    world.open(page)
    page.goto(f"{world.base}/timeline?day={world.monday.isoformat()}")
    page.wait_for_url(re.compile("form=list"))


# --- how it looks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "scheme", "size"),
    [
        ("zh-CN", "light", DESKTOP),
        ("en", "dark", DESKTOP),
        ("zh-CN", "dark", TABLET),
        ("en", "light", PHONE),
    ],
)
def test_it_has_no_fault_and_fits(browser, world: World, locale, scheme, size):
    world.book("Ada", "SEM", 9, 11, purpose="Grain size")
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
        world.open(page)
        for view, form in (
            ("day", "timeline"),
            ("week", "timeline"),
            ("month", "timeline"),
            ("week", "list"),
        ):
            world.go(page, view=view, form=form)
            name = f"timeline-{view}-{form}"
            faults += [f"{name}: {fault}" for fault in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways")
            shot(page, f"{name}-{locale}-{scheme}-{size['width']}")
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def test_a_finger_presses_long_and_then_drags(browser, world: World):
    booking = world.book("Tam", "SEM", 9, 12)
    context = browser.new_context(
        locale="en", viewport=TABLET, has_touch=True, timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        faults = watch(page)
        world.open(page)
        box = bar(page, "Tam").bounding_box()
        x, y, far = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, hour(page, 2)
        touch = context.new_cdp_session(page)

        def finger(kind: str, at: float | None) -> None:
            points = [] if at is None else [{"x": at, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        finger("touchStart", x)
        expect(page.locator(".resources-ghost")).to_be_visible()
        for part in (0.3, 0.6, 1):
            finger("touchMove", x + far * part)
        finger("touchEnd", None)
        expect(page.locator(".toast.success")).to_be_visible()
        assert world.span(booking) == ("SEM", world.at(11), world.at(14))
    finally:
        context.close()
    assert not faults, "\n".join(faults)
