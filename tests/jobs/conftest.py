"""A database that jobs work on, with something to tell in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from booking import db
from booking.config import Settings
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from models import Booking
from tests import cast
from tests.factories import make_instrument


@pytest.fixture
def settings(make_settings: Callable[..., Settings], database_url: str) -> Iterator[Settings]:
    """Settings of a database of the test's own, which this process uses too."""
    found = make_settings(database_url, default_locale="en")
    db.init(found.url, pool_size=4)
    yield found
    db.dispose()


@pytest.fixture
def book() -> Callable[[int], list[Booking]]:
    """Let Ada book an instrument so many times, an hour each, from two days hence."""

    def place(times: int) -> list[Booking]:
        now = datetime.now(UTC)
        start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
        with db.transaction() as session:
            instrument = make_instrument(session)
            ada = cast.actor_of(session, cast.ada(session))
            return [
                bookings.place(
                    session,
                    actor=ada,
                    items=[
                        Item(instrument.id, Span(start + timedelta(hours=n), start + timedelta(hours=n + 1)))
                    ],
                    now=now,
                )
                for n in range(times)
            ]

    return place
