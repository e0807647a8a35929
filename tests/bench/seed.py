"""What the benchmarks run on: instruments to book, one full of bookings, a feed of a thousand events."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text

from booking.db import make_engine
from booking.domain.access import Scope
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from booking.services.sign_in import hashed
from models import ApiToken, CalendarLink, CalendarScope, OpeningRule, Privacy
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.races.world import BASE, database

EVENTS = 1000
A_DAY = 6


@dataclass(frozen=True)
class World:
    """Codes and secrets of what was made."""

    token: str
    codes: list[str]
    race: str
    full: str
    feed: str
    start: datetime
    a_day: int = A_DAY
    events: int = EVENTS


def fill(url: str, *, now: datetime) -> World:
    """Make it all in one database."""
    token, feed = f"yiqi_{secrets.token_urlsafe(32)}", secrets.token_urlsafe(24)
    with database(url) as session:
        ada, ben = cast.ada(session), cast.ben(session)
        session.add(
            ApiToken(
                person_id=ada.id,
                name="bench",
                secret_hash=hashed(token),
                scopes=[scope.value for scope in Scope],
                created_at=now,
                used_at=now + timedelta(days=1),  # noted already: no request writes it
            )
        )
        facility = make_facility(session)
        made = [make_instrument(session, facility=facility, name_en=f"Bench {n}") for n in range(64)]
        race = make_instrument(session, facility=facility)
        full = make_instrument(session, facility=facility, name_en="Bench full")
        assert session.scalars(select(OpeningRule)).first()
        actor = cast.actor_of(session, ben)
        for n in range(EVENTS):
            start = BASE - timedelta(days=29) + timedelta(days=n // A_DAY, hours=3 * (n % A_DAY))
            items = [Item(full.id, Span(start, start + timedelta(hours=2)))]
            bookings.place(
                session,
                actor=actor,
                items=items,
                purpose="催化剂颗粒的形貌与成分分析；样品编号见附件",
                now=now,
            )
        session.add(
            CalendarLink(
                person_id=ben.id,
                secret_hash=hashed(feed),
                scope=CalendarScope.ME,
                privacy=Privacy.FULL,
                created_at=now,
            )
        )
        codes = [row.code for row in made]
        return World(token, codes, race.code, full.code, feed, BASE)


def yardstick(url: str) -> None:
    """Make the table of the yardstick, `tests/bench/thin.py`."""
    own = make_engine(url)
    with own.execution_options(write=True).begin() as connection:
        if own.dialect.name == "postgresql":
            connection.execute(
                text(
                    "CREATE TABLE thin (id bigserial PRIMARY KEY, instrument text, starts_at timestamptz, "
                    "ends_at timestamptz, "
                    "EXCLUDE USING gist (instrument WITH =, tstzrange(starts_at, ends_at) WITH &&))"
                )
            )
        else:
            connection.execute(
                text(
                    "CREATE TABLE thin (id integer PRIMARY KEY, instrument text, starts_at text, ends_at text, "
                    "UNIQUE (instrument, starts_at))"
                )
            )
    own.dispose()
