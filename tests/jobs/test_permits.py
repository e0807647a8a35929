"""The managers hear once of each step towards the end of a permit, however long the jobs slept."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from booking import db
from booking.jobs import permits
from models import Event, InstrumentPermit
from tests.factories import make_instrument


def never() -> bool:
    return False


def told() -> list[str]:
    with db.reading() as session:
        query = select(Event.kind).where(Event.kind.like("permit.%")).order_by(Event.id)
        return list(session.scalars(query))


def test_the_end_of_a_permit_is_told_once(settings):
    now = datetime.now(UTC)
    today = now.date()
    with db.transaction() as session:
        row = make_instrument(session)
        days = {"valid_from": today - timedelta(days=300), "valid_until": today + timedelta(days=20)}
        session.add(InstrumentPermit(instrument_id=row.id, name="X", created_at=now, **days))
    for _ in range(3):
        permits.run(settings, never)
    assert told() == ["permit.expiring"]
    with db.transaction() as session:
        session.execute(update(InstrumentPermit).values(valid_until=today - timedelta(days=3)))
    for _ in range(3):
        permits.run(settings, never)
    assert told() == ["permit.expiring", "permit.over"]
