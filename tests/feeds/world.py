"""A small world of bookings with its application and a clock, for tests of what programs fetch."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from werkzeug.test import TestResponse

from booking import db
from booking.domain.access import Actor
from booking.domain.identity import time_ordered_id
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.feeds import answers, rendering
from booking.services import bookings, calendars
from models import Booking, BookingItem, CalendarScope, Instrument, Person, Privacy
from tests import cast
from tests.factories import make_facility, make_instrument

ME, INSTRUMENT, FACILITY, PROJECT, FREE, NETWORK, APPROVALS = CalendarScope
BUSY, SUMMARY, FULL = Privacy
NEVER = {401, 403, 429, 500, 502, 503}
"""What ends a subscription in one program or another."""


@dataclass
class World:
    """A facility with an instrument, Ada and others, and a clock."""

    app: Flask
    now: datetime
    people: dict[str, UUID] = field(default_factory=dict)
    facility: str = ""

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def actor(self, session, name: str) -> Actor:
        return cast.actor_of(session, session.get_one(Person, self.people[name]))

    def book(self, name: str, start: float, end: float, code: str = "SEM", **more) -> UUID:
        """Book hours counted from now."""
        span = Span(self.now + timedelta(hours=start), self.now + timedelta(hours=end))
        with db.transaction() as session:
            place = session.scalars(select(Instrument.id).where(Instrument.code == code)).one()
            made = bookings.place(
                session,
                actor=self.actor(session, name),
                items=[Item(place, span)],
                now=self.now - timedelta(days=60),
                **more,
            )
            return made.id

    def make(self, who="ada", scope=ME, subject="", privacy=FULL, locale="en", **more) -> str:
        """Make an address and give its path."""
        with db.transaction() as session:
            _, secret = calendars.make(
                session,
                actor=self.actor(session, who),
                scope=scope,
                subject=subject,
                privacy=privacy,
                locale=locale,
                now=self.now,
                **more,
            )
        return f"/calendars/{secret}.ics"

    def get(self, path: str, headers: dict[str, str] | None = None, **more) -> TestResponse:
        return self.client.get(path, headers=headers, **more)


def build(app: Flask, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a facility with an instrument, and people."""
    world = World(app, now)
    monkeypatch.setattr(answers, "utc_now", lambda: world.now)
    monkeypatch.setattr(rendering, "shelf", rendering.Shelf(most=100))
    with db.transaction() as session:
        facility = make_facility(session, name_zh="平台", name_en="Platform", address="松山湖 1 号")
        world.facility = facility.code
        make_instrument(
            session, facility=facility, code="SEM", name_zh="电镜", name_en="Microscope", location="B 204"
        )
        for person in (
            cast.ada(session),
            cast.ben(session),
            cast.cleo(session),
            cast.tam(session, facility),
        ):
            world.people[person.name.lower()] = person.id
    return world


def secret_of(path: str) -> str:
    return path.removeprefix("/calendars/").removesuffix(".ics")


def copies(world: World) -> list[Path]:
    return sorted((world.app.extensions["yiqi"].instance / "feeds").glob("*"))


def fill(world: World, hours: list[int]) -> None:
    """Write bookings of an hour straight into the tables; those of long ago are not refused so."""
    with db.transaction() as session:
        place = session.scalars(select(Instrument.id)).one()
        ids = [time_ordered_id(world.now) for _ in hours]
        spans = [(world.now + timedelta(hours=hour), world.now + timedelta(hours=hour + 1)) for hour in hours]
        session.execute(
            insert(Booking),
            [
                {
                    "id": key,
                    "person_id": world.people["ada"],
                    "state": State.CONFIRMED,
                    "starts_at": start,
                    "ends_at": end,
                    "created_at": world.now,
                    "updated_at": world.now,
                }
                for key, (start, end) in zip(ids, spans, strict=True)
            ],
        )
        session.execute(
            insert(BookingItem),
            [
                {"booking_id": key, "position": 0, "instrument_id": place, "starts_at": start, "ends_at": end}
                for key, (start, end) in zip(ids, spans, strict=True)
            ],
        )
