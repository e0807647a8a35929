"""A screen in a real browser: it draws what is new by itself, and keeps what it knows while the server is away."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, kiosks
from models import KioskKind
from tests import browser, cast
from tests.factories import make_facility, make_instrument
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

HALL = {"width": 1920, "height": 1080}


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [HALL], ids=["hall"])
@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_a_screen_follows_what_happens_and_keeps_what_it_knows(page, sqlite_url):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    engine = db.make_engine(sqlite_url).execution_options(write=True)
    with Session(engine) as session:
        lab = make_facility(session, code="LAB", name_en="Laboratory")
        places = [make_instrument(session, lab, code=f"SEM-{n}", name_en=f"Microscope {n}") for n in range(9)]
        actor = cast.actor_of(session, cast.tam(session, lab))
        _screen, secret = kiosks.make(
            session,
            actor=actor,
            facility_id=lab.id,
            instrument_id=None,
            name="Corridor",
            kind=KioskKind.SCREEN,
            now=now,
        )
        first = places[0].id
        session.commit()
    page.clock.install()
    with GunicornServer(sqlite_url, workers=1) as server:
        page.goto(f"{server.base_url}/wall/{secret}")
        expect(page.locator("[data-clock]")).not_to_be_empty()
        expect(page.locator(".wall-row:visible")).to_have_count(8)
        expect(page.locator(".wall-busy")).to_have_count(0)
        assert browser.axe(page) == []
        assert page.evaluate("document.documentElement.scrollHeight") <= HALL["height"]
        with Session(engine) as session:
            use = Item(first, Span(now, now + timedelta(hours=2)), 1)
            bookings.place(session, actor=actor, items=[use], now=now - timedelta(hours=1))
            session.commit()
        page.clock.fast_forward(21_000)  # the next look, and the next page
        expect(page.locator(".wall-busy")).to_have_count(1)
        expect(page.locator(".wall-row:visible")).to_have_count(1)
    page.clock.fast_forward(21_000)
    expect(page.locator("[data-state]")).to_contain_text("No connection since")
    expect(page.locator(".wall-busy")).to_have_count(1)
    engine.dispose()
