"""The home page: what a visitor, a researcher and a manager see first, and that it stays cheap."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event

from booking import db
from booking.domain.access import SYSTEM
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.jobs import waitlist as line
from booking.services import bookings, waitlist
from models import Instrument
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

ENGLISH = {"Accept-Language": "en"}


def soon(days: float) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def world(app: Flask) -> Flask:
    with db.transaction() as session:
        lab = make_facility(session, code="LAB", name_zh="材料实验室", name_en="Materials laboratory")
        make_network(session, lab, code="NET", name_zh="示例网", name_en="Example network")
        for n in range(3):
            make_instrument(session, facility=lab, code=f"SEM-{n}", name_en=f"Scope <{n}>")
        make_instrument(session, facility=lab, code="HIDDEN", name_en="Hidden scope", published=False)
        make_instrument(session, facility=lab, code="ASK", name_en="By approval", approval_required=True)
        for person in (cast.ada(session), cast.cleo(session), cast.tam(session, lab)):
            person.locale = "en"
    return app


def book(name: str, code: str, start: datetime, hours: int = 1) -> str:
    with db.transaction() as session:
        person = getattr(cast, name)(session)
        row = session.query(Instrument).filter_by(code=code).one()
        item = Item(row.id, Span(start, start + timedelta(hours=hours)))
        placed = bookings.place(
            session,
            actor=cast.actor_of(session, person),
            items=[item],
            purpose="Layers & <script>",
            now=datetime.now(UTC),
        )
        return str(placed.id)


def page_of(app: Flask, name: str | None = None) -> str:
    client = app.test_client()
    if name:
        with db.transaction() as session:
            cast.sign_in(client, session, getattr(cast, name)(session))
    answer = client.get("/", headers=ENGLISH)
    assert answer.status_code == 200
    return answer.text


def test_a_visitor_finds_search_time_and_places_with_counts(world):
    page = page_of(world)
    assert 'action="/instruments"' in page
    assert 'action="/free"' in page
    assert re.search(r'href="/networks/NET">Example network</a> <span class="number faint">4<', page)
    assert re.search(r'href="/facilities/LAB">Materials laboratory</a> <span class="number faint">4<', page)
    assert "My next bookings" not in page
    assert "Hidden scope" not in page


def test_an_empty_catalogue_says_how_to_fill_it(app):
    assert "yiqi import instruments" in page_of(app)


def test_who_has_booked_nothing_is_told_what_will_stand_here(world):
    page = page_of(world, "ada")
    assert "Nothing booked yet" in page
    assert "Instruments that you have used stand here" in page


def test_next_bookings_come_soonest_first_and_only_ones_own(world):
    later = book("ada", "SEM-1", soon(5))
    first = book("ada", "SEM-0", soon(2))
    foreign = book("cleo", "SEM-2", soon(3))
    page = page_of(world, "ada")
    assert page.index(first) < page.index(later)
    assert foreign not in page
    assert "Scope &lt;0&gt;" in page
    assert "Layers &amp; &lt;script&gt;" in page


def test_an_instrument_can_be_booked_again_at_its_next_free_time(world):
    book("ada", "SEM-1", soon(5))
    page = page_of(world, "ada")
    assert 'href="/bookings/new?instrument=SEM-1&amp;start=' in page
    assert "instrument=SEM-2" not in page


def test_a_manager_sees_what_waits_and_nobody_else(world):
    book("ada", "ASK", soon(2))
    assert "1 booking waits for your approval" in page_of(world, "tam")
    assert "waits for your approval" not in page_of(world, "ada")
    assert "waits for your approval" not in page_of(world)


def test_what_is_kept_or_offered_is_told_at_home(world):
    booking = book("cleo", "SEM-0", soon(2))
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        row = session.query(Instrument).filter_by(code="SEM-0").one()
        now = datetime.now(UTC)
        waitlist.join(
            session,
            actor=ada,
            instrument_ids=[row.id],
            window=Span(soon(2), soon(2) + timedelta(hours=1)),
            minutes=60,
            now=now,
        )
        bookings.cancel(session, actor=SYSTEM, booking_id=UUID(booking), now=now)
    assert "kept for you" not in page_of(world, "ada")
    line.turn("key", lambda: False, now=datetime.now(UTC))
    assert "1 time that you waited for is kept for you until you answer" in page_of(world, "ada")
    assert "kept for you" not in page_of(world, "cleo")


def statements(app: Flask) -> int:
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = db.engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        page_of(app)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sum(1 for statement in seen if statement.lstrip().upper().startswith(("SELECT", "WITH")))


def test_more_instruments_cost_no_more_statements(world):
    page_of(world)  # what all pages keep for a while is read once
    few = statements(world)
    with db.transaction() as session:
        for n in range(10):
            make_instrument(session, code=f"MORE-{n}")
    assert statements(world) == few <= 8
