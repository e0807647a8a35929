"""What runs out is said once, and offers that nobody can accept any more end, however long the jobs slept."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from booking import db
from booking.domain.qualifications import Step
from booking.jobs import certificates, transfers
from booking.services import qualifications
from booking.services import transfers as handing
from models import Booking, Certificate, Event, Transfer, TransferState
from tests import cast
from tests.factories import make_facility


def never() -> bool:
    return False


def kinds(prefix: str) -> list[str]:
    with db.reading() as session:
        rows = session.scalars(select(Event.kind).where(Event.kind.like(f"{prefix}%")).order_by(Event.id))
        return list(rows)


def test_the_end_of_a_certificate_is_told_once(settings):
    now = datetime.now(UTC)
    with db.transaction() as session:
        facility = make_facility(session)
        tam = cast.actor_of(session, cast.tam(session, facility))
        same = {"actor": tam, "code": "LASER", "now": now}
        qualifications.define(session, facility_id=facility.id, name_en="Laser safety", months=12, **same)
        qualifications.award(session, person_id=cast.ada(session).id, **same)
        session.execute(update(Certificate).values(expires_on=now.date() + timedelta(days=20)))
    for _ in range(3):
        certificates.run(settings, never)
    assert kinds("qualification.expiring") == ["qualification.expiring"]
    with db.reading() as session:
        found = session.scalars(select(Certificate)).one()
        assert (found.state, found.warned_days) == (Step.GRANTED, 30)


def test_offers_of_what_has_begun_end(settings, book):
    (booking,) = book(1)
    with db.transaction() as session:
        ada, ben = cast.actor_of(session, cast.ada(session)), cast.ben(session)
        handing.offer(session, actor=ada, booking_id=booking.id, to=ben.id, now=datetime.now(UTC))
    transfers.run(settings, never)
    with db.transaction() as session:
        assert session.scalars(select(Transfer.state)).one() is TransferState.OPEN
        begun = datetime.now(UTC) - timedelta(hours=3)
        session.execute(update(Booking).values(starts_at=begun))
    for _ in range(2):
        transfers.run(settings, never)
    assert kinds("transfer.") == ["transfer.asked", "transfer.lapsed"]
    with db.reading() as session:
        assert session.scalars(select(Transfer.state)).one() is TransferState.LAPSED
