"""A fault at any statement of any command leaves the database as it was; without one the whole effect is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from booking import db
from booking.domain.access import Actor
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import approvals, bookings, closures
from models import Base, Booking, ClosureKind
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


class Fault(Exception):
    """What goes wrong."""


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


def contents() -> dict[str, list[Any]]:
    """Give every row of every table."""
    with db.reading() as session:
        return {
            name: sorted(map(repr, session.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
        }


@contextmanager
def failing_at(number: int) -> Iterator[list[str]]:
    """Raise instead of the statement of this number, and give those that were let through."""
    sent: list[str] = []

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if len(sent) == number:
            raise Fault(statement)
        sent.append(statement)

    event.listen(db.engine(), "before_cursor_execute", before)
    try:
        yield sent
    finally:
        event.remove(db.engine(), "before_cursor_execute", before)


class Scene:
    """What the commands work on."""

    ada: Actor
    root: Actor
    facility_id: int
    device: int
    asked: int
    placed: Booking
    requested: Booking


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    db.init(database_url, pool_size=2)
    made = Scene()
    with db.transaction() as session:
        facility = make_facility(session)
        made.facility_id = facility.id
        made.device = make_instrument(session, facility=facility).id
        made.asked = make_instrument(session, facility=facility, approval_required=True).id
        made.ada = cast.actor_of(session, cast.ada(session))
        made.root = cast.actor_of(session, cast.root(session))
        made.placed = bookings.place(session, actor=made.ada, items=[Item(made.device, span(1, 2))], now=NOW)
        made.requested = bookings.place(
            session, actor=made.ada, items=[Item(made.asked, span(1, 2))], now=NOW
        )
    yield made
    db.dispose()


def place(session: Any, on: Scene) -> Any:
    items = [Item(on.device, span(5, 6)), Item(on.asked, span(5, 6))]
    return bookings.place(session, actor=on.ada, items=items, key="k", fingerprint="f", now=NOW)


def move(session: Any, on: Scene) -> Any:
    items = [Item(on.asked, span(8, 9))]
    return bookings.change(session, actor=on.ada, booking_id=on.placed.id, version=1, items=items, now=NOW)


def cancel(session: Any, on: Scene) -> Any:
    return bookings.cancel(session, actor=on.ada, booking_id=on.placed.id, now=NOW)


def check_in(session: Any, on: Scene) -> Any:
    return bookings.check_in(session, actor=on.ada, booking_id=on.placed.id, now=span(1, 2).start)


def approve(session: Any, on: Scene) -> Any:
    return approvals.approve(session, actor=on.root, booking_id=on.requested.id, now=NOW)


def reject(session: Any, on: Scene) -> Any:
    return approvals.reject(session, actor=on.root, booking_id=on.requested.id, now=NOW)


def close(session: Any, on: Scene) -> Any:
    return closures.make(
        session,
        actor=on.root,
        facility_id=on.facility_id,
        instrument_id=None,
        span=span(0, 9),
        kind=ClosureKind.BREAKDOWN,
        reason="",
        imposed=True,
        now=NOW,
    )


@pytest.mark.parametrize("command", [place, move, cancel, check_in, approve, reject, close])
def test_a_fault_at_any_statement_leaves_nothing_behind(scene: Scene, command: Callable[..., Any]) -> None:
    before = contents()
    number = 0
    while True:
        with failing_at(number) as sent:
            try:
                with db.transaction() as session:
                    command(session, scene)
            except Fault:
                pass
            else:
                break
        assert contents() == before, f"a fault at statement {number} left something: {sent[-1:]}"
        number += 1
    assert number >= 4
    after = contents()
    assert after != before
    assert len(after["event"]) > len(before["event"])
