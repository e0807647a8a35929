"""The pages of qualifications and of handing over in a real browser: no fault for accessibility, nothing too wide."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page
from sqlalchemy.orm import Session

from booking import db
from booking.domain.occupation import Item
from booking.domain.qualifications import Mode
from booking.domain.spans import Span
from booking.services import accounts, bookings, qualifications, seeds, transfers
from tests import cast
from tests.browser import axe, shot, watch
from tests.conftest import Databases
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer
from tests.stories.test_booking_pages import LOOKS, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.server]

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=5)
TIMES = {"start": f"{START:%Y-%m-%dT%H:%M}", "end": f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M}"}

PAGES = {
    "ada": {
        "qualifications": "/qualifications",
        "qualification": "/qualifications/LASER",
        "qualification-asked": "/qualifications/VACUUM",
        "needed": "/instruments/SEM",
        "refused": "/bookings/new?instrument=SEM&start={start}&end={end}",
        "transfers": "/transfers",
        "offered": "/bookings/{booking}",
        "mine": "/bookings?show=for_others",
    },
    "tam": {
        "of-facility": "/facilities/LAB/qualifications",
        "keeping": "/qualifications/LASER/keeping",
    },
}


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[tuple[str, str]]:
    url = databases.clone("sqlite")
    db.init(url)
    password = accounts.hash_password(seeds.PASSWORD)
    with db.transaction() as session:
        booking = _world(session, password)
    db.dispose()
    with GunicornServer(url, workers=1) as running:
        yield running.base_url, booking
    databases.drop(url)


def _world(session: Session, password: str) -> str:
    """Ada asked for one qualification, Ben holds another; she books for him, and both offer a booking."""
    now = datetime.now(UTC)
    lab = make_facility(session, code="LAB", name_zh="实验平台", name_en="Laboratory", contact="0769-0000")
    sem = make_instrument(session, lab, code="SEM", name_zh="电镜", name_en="Microscope")
    free = make_instrument(session, lab, code="BATH", name_zh="水浴", name_en="Water bath", units=8)
    people = {name: getattr(cast, name)(session) for name in ("ada", "ben")} | {"tam": cast.tam(session, lab)}
    for person in people.values():
        person.password_hash = password
    who = {name: cast.actor_of(session, person) for name, person in people.items()}
    for code, zh, en, mode in (
        ("LASER", "激光安全", "Laser safety", Mode.BEFORE_BOOKING),
        ("VACUUM", "真空操作", "Vacuum", Mode.BEFORE_START),
    ):
        same = {"actor": who["tam"], "code": code, "now": now}
        about = {"about_zh": "先戴护目镜。", "about_en": "Goggles first.", "months": 12}
        qualifications.define(session, facility_id=lab.id, name_zh=zh, name_en=en, **about, **same)
        qualifications.need(session, instrument_id=sem.id, mode=mode, **same)
        for seats in (1, 8):
            end = START + timedelta(hours=2)
            qualifications.plan(session, starts_at=START, ends_at=end, seats=seats, place="A-101", **same)
    qualifications.ask(session, actor=who["ada"], code="VACUUM", note="thesis", now=now)
    held = {"actor": who["tam"], "person_id": people["ben"].id, "now": now}
    qualifications.award(session, code="LASER", **held)
    made = [
        bookings.place(
            session,
            actor=who[name],
            items=[Item(free.id, Span(START + timedelta(hours=hour), START + timedelta(hours=hour + 1)))],
            purpose="Membranes",
            now=now,
            **more,
        )
        for name, hour, more in (
            ("ada", 1, {}),
            ("ada", 3, {}),
            ("ben", 5, {}),
            ("ada", 7, {"booked_for": people["ben"].id}),
        )
    ]
    for name, booking, to in (("ada", made[0], "ben"), ("ben", made[2], "ada")):
        transfers.offer(
            session, actor=who[name], booking_id=booking.id, to=people[to].id, note="I am ill", now=now
        )
    return str(made[1].id)


@pytest.mark.parametrize("who", list(PAGES))
@pytest.mark.parametrize(("locale", "scheme", "size"), LOOKS)
def test_the_pages_have_no_fault(browser, server, who, locale, scheme, size):
    address, booking = server
    context = browser.new_context(
        locale=locale,
        color_scheme=scheme,
        viewport=size,
        reduced_motion="reduce",
        timezone_id="Asia/Shanghai",
    )
    try:
        page: Page = context.new_page()
        faults = watch(page)
        sign_in(page, address, who)
        for name, path in PAGES[who].items():
            page.goto(address + path.format(booking=booking, **TIMES))
            page.evaluate("document.querySelectorAll('main details').forEach(fold => { fold.open = true })")
            faults += [f"{name}: {line}" for line in axe(page)]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append(f"{name}: scrolls sideways")
            shot(page, f"{name}-{who}-{locale}-{scheme}-{size['width']}")
    finally:
        context.close()
    assert not faults, "\n".join(faults)
