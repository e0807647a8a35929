"""The test of the tests: without lock and guards the same race does double-book, and it is seen.

With the service's lock alone taken away, the database still has the last word.
"""

import contextlib
import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking import db
from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Load, Span, peak
from booking.services import bookings, occupation
from models import Instrument, Occupation, guards
from tests import cast
from tests.factories import make_instrument
from tests.races.world import BASE, FOREVER, database, together

CLIENTS = 8
ROUNDS = 4


@pytest.fixture
def without_lock(monkeypatch):
    """Let the service read the instruments without locking them, as a careless writer would."""

    def look(session: Session, ids):
        wanted = set(ids)
        rows = session.scalars(select(Instrument).where(Instrument.id.in_(wanted)))
        return occupation.Locked({row.id: row for row in rows}, {})

    monkeypatch.setattr(occupation, "lock", look)


def race(url: str) -> int:
    """Let the clients book one hour at once, and give the peak of what stands in the ledger for it."""
    db.init(url, pool_size=CLIENTS)
    with database(url) as session:
        ada = cast.actor_of(session, cast.ada(session))
        place = make_instrument(session).id
    highest = 0
    for turn in range(ROUNDS):
        span = Span(BASE.replace(hour=turn), BASE.replace(hour=turn + 1))
        ready = threading.Barrier(CLIENTS)

        def client(span=span, ready=ready) -> None:
            # The yardstick of a careless system: look, then write.
            with db.transaction() as session:
                bookings.dry_run(session, actor=ada, items=[Item(place, span)], now=BASE)
                with contextlib.suppress(threading.BrokenBarrierError):
                    ready.wait(timeout=0.3)  # SQLite lets one writer come this far at a time
                bookings.place(session, actor=ada, items=[Item(place, span)], now=BASE)

        def attempt() -> None:
            with contextlib.suppress(Refused, DBAPIError, db.Unavailable):
                client()

        together(*[attempt] * CLIENTS)
        with database(url) as session:
            rows = session.scalars(select(Occupation)).all()
            highest = max(highest, peak([Load(r.starts_at, r.ends_at, r.quantity) for r in rows], FOREVER))
    db.dispose()
    return highest


def drop_guards(url: str) -> None:
    """Take every guard away; only a test does this."""
    engine = db.make_engine(url)
    with engine.execution_options(write=True).begin() as connection:
        guards.drop(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE occupation DROP CONSTRAINT {guards.EXCLUSION}"))
    engine.dispose()


@pytest.mark.usefixtures("without_lock")
def test_without_the_services_lock_the_database_still_refuses(database_url):
    assert race(database_url) == 1


def test_without_the_guards_the_services_lock_still_refuses(database_url):
    drop_guards(database_url)
    assert race(database_url) == 1


@pytest.mark.usefixtures("without_lock")
def test_without_both_the_race_double_books_and_is_seen(postgresql_url):
    """SQLite's lock is its own: there one writer at a time remains whatever the service does."""
    drop_guards(postgresql_url)
    assert race(postgresql_url) > 1
