"""Series: bookings that repeat by a rule, on the facility's clock."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Json, UtcDateTime


class Series(Base):
    """A rule of repetition (RFC 5545) that starts at a wall-clock time of a zone.

    Each of its bookings knows the date that the rule gave it. `skipped` holds the dates that have none, with
    why. A series that was split from another remembers it.
    """

    __tablename__ = "series"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"), index=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"), index=True)
    rule: Mapped[str] = mapped_column(String(500))
    zone: Mapped[str] = mapped_column(String(64))
    first_day: Mapped[date] = mapped_column()
    start_minute: Mapped[int] = mapped_column()
    minutes: Mapped[int] = mapped_column()
    quantity: Mapped[int] = mapped_column(default=1)
    purpose: Mapped[str] = mapped_column(Text, default="")
    skipped: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    split_from: Mapped[UUID | None] = mapped_column(ForeignKey("series.id"))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
