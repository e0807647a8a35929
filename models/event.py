"""Events: whatever happened, one row each, never changed; audit trail, activity and outbox at once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, BigId, Json, UtcDateTime


class Event(Base):
    """One deed: who, when, what, on which subject, with what figures."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_booking", "booking_id", "id"),
        Index(
            "ix_event_facility",
            "facility_id",
            "id",
            sqlite_where=text("booking_id IS NULL"),
            postgresql_where=text("booking_id IS NULL"),
        ),
        Index(
            "ix_event_undispatched",
            "id",
            sqlite_where=text("dispatched_at IS NULL"),
            postgresql_where=text("dispatched_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(60))
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id"))
    subject: Mapped[str] = mapped_column(String(80), default="")
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    dispatched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
