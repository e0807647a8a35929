"""Events: whatever happened, written in the transaction in which it happened."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from booking.domain.access import Actor
from models import Booking, Event


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
    event = Event(
        at=now,
        kind=kind,
        actor_id=actor.person_id,
        booking_id=booking.id if booking else None,
        facility_id=facility_id,
        subject=subject,
        data=data,
    )
    session.add(event)
    return event
