"""Events: whatever happened, written in the transaction in which it happened."""

from datetime import datetime
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from models import Booking, Event

_TABLE = Event.metadata.tables["event"]


def record(
    session: Session,
    *,
    actor: Actor,
    kind: str,
    now: datetime,
    booking: Booking | None = None,
    facility_id: int | None = None,
    subject: str = "",
    **data: Any,
) -> Event:
    """Add one event; mail and audit trail are made of it later."""
    event = Event(**_values(actor, kind, now, booking, facility_id, subject, data))
    session.add(event)
    return event


def row(
    *, actor: Actor, kind: str, now: datetime, booking: Booking, facility_id: int, **data: Any
) -> tuple[Table, dict[str, Any]]:
    """Give the row of an event, to be written along with others; its booking need not be written yet."""
    return _TABLE, _values(actor, kind, now, booking, facility_id, "", data)


def _values(
    actor: Actor,
    kind: str,
    now: datetime,
    booking: Booking | None,
    facility_id: int | None,
    subject: str,
    data: dict[str, Any],
) -> dict[str, Any]:
    return {
        "at": now,
        "kind": kind,
        "actor_id": actor.person_id,
        "booking_id": booking.id if booking else None,
        "facility_id": facility_id,
        "subject": subject,
        "data": data,
    }
