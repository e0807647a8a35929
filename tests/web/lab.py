"""A small laboratory for the tests of pages: two facilities, a few instruments, and the cast at work."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from booking import db
from booking.domain.access import SYSTEM, Role
from booking.domain.occupation import Item
from booking.domain.pricing import CustomerClass, Unit
from booking.domain.spans import Span
from booking.services import bookings
from models import (
    Booking,
    Category,
    Instrument,
    InstrumentPrice,
    Membership,
    Person,
    Project,
    ProjectMember,
)
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.web import browsing

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Lab:
    """LAB has SEM and its twin SEM2, BATH of four units, PECVD that needs approval; FAR is far away."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._clients: dict[str, FlaskClient] = {}
        self._tokens: dict[str, str] = {}
        with db.transaction() as session:
            session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
            session.flush()
            lab = make_facility(session, code="LAB", name_en="Laboratory", address="1 Lake Road")
            far = make_facility(session, code="FAR", name_en="Far away", zone="Europe/Berlin")
            sem = make_instrument(session, lab, code="SEM", name_en="Microscope", category_code="0101")
            make_instrument(session, lab, code="SEM2", name_en="Second microscope", category_code="0101")
            make_instrument(session, lab, code="BATH", name_en="Water bath", units=4, unit_name="places")
            make_instrument(
                session, lab, code="PECVD", name_en="Deposition", approval_required=True, setup_minutes=30
            )
            make_instrument(session, lab, code="HIDDEN", name_en="Unpublished", published=False)
            make_instrument(session, far, code="FAR-1", name_en="Far instrument")
            session.add(
                InstrumentPrice(
                    instrument_id=sem.id,
                    customer_class=CustomerClass.EXTERNAL,
                    unit=Unit.HOUR,
                    amount=350,
                    valid_from=date(2020, 1, 1),
                )
            )
            people = [cast.ada(session), cast.ben(session), cast.cleo(session), cast.tam(session, lab)]
            people.append(cast.root(session))
            for person in people:
                person.locale = "en"
            ada = people[0]
            project = Project(
                code="P-1", name="Thin films", organisation_id=cast.university(session).id, leader_id=ada.id
            )
            session.add(project)
            session.flush()
            session.add(ProjectMember(project_id=project.id, person_id=ada.id))
            self.project_id = project.id
            self.people = {person.name.lower(): person.id for person in people}
            self.places = dict(session.execute(select(Instrument.code, Instrument.id)).all())
            self.facilities = {"LAB": lab.id, "FAR": far.id}

    def add_operator(self) -> None:
        """Make Ben an operator of LAB, who runs its day but decides nothing."""
        with db.transaction() as session:
            row = Membership(
                person_id=self.people["ben"], role=Role.OPERATOR, facility_id=self.facilities["LAB"]
            )
            session.add(row)

    def client(self, name: str) -> FlaskClient:
        if name not in self._clients:
            client = self.app.test_client()
            with db.transaction() as session:
                cast.sign_in(client, session, session.get_one(Person, self.people[name]))
            self._clients[name] = client
        return self._clients[name]

    def get(self, name: str, path: str, **query: Any) -> TestResponse:
        return self.client(name).get(path, query_string=query or None)

    def send(self, name: str, path: str, /, **fields: Any) -> TestResponse:
        client = self.client(name)
        if name not in self._tokens:
            self._tokens[name] = browsing.csrf_token(client)
        return client.post(path, data={"csrf_token": self._tokens[name], **fields})

    def book(
        self,
        name: str,
        code: str,
        start: datetime,
        end: datetime | None = None,
        *,
        now: datetime | None = None,
        quantity: int = 1,
        **more: Any,
    ) -> UUID:
        """Book as the service does; `now` may be long ago, so that what was booked has begun."""
        with db.transaction() as session:
            who = cast.actor_of(session, session.get_one(Person, self.people[name]))
            item = Item(self.places[code], Span(start, end or start + timedelta(hours=2)), quantity)
            found = bookings.place(session, actor=who, items=[item], now=now or datetime.now(UTC), **more)
            return found.id

    def booking(self, booking_id: UUID | str) -> Booking:
        """Read it as it is in the database."""
        with db.reading() as session:
            return bookings.get(session, actor=SYSTEM, booking_id=UUID(str(booking_id)))

    def count(self) -> int:
        with db.reading() as session:
            return session.scalar(select(func.count()).select_from(Booking)) or 0


def at(hour: int, minute: int = 0, *, days: int = 7, zone: ZoneInfo = SHANGHAI) -> datetime:
    """An hour of a coming day on the facility's clock; far enough ahead that no test runs into it."""
    day = datetime.now(UTC).astimezone(zone).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


def quarter() -> datetime:
    """The quarter of an hour that began last."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return now - timedelta(minutes=now.minute % 15)


def typed(start: datetime, end: datetime, zone: ZoneInfo = SHANGHAI, **more: str) -> dict[str, str]:
    """What somebody types into the fields of a span."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    return {
        "start_date": first.date().isoformat(),
        "start_time": first.strftime("%H:%M"),
        "end_date": last.date().isoformat(),
        "end_time": last.strftime("%H:%M"),
        **more,
    }


def local(moment: datetime, zone: ZoneInfo = SHANGHAI) -> str:
    """As addresses of pages write a time."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def value_of(page: str, name: str) -> str:
    """What stands in a field of the page."""
    found = re.search(rf'<input[^>]*\bname="{re.escape(name)}"[^>]*>', page)
    assert found, f"no field {name}"
    value = re.search(r'value="([^"]*)"', found[0])
    return unescape(value[1]) if value else ""


def text_of(page: str) -> str:
    """The words of a page, without its tags."""
    body = page.split("<main", 1)[-1].split("</main>", 1)[0]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))
