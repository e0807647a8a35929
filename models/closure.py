"""Closures: planned maintenance, closed days, breakdowns."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, by_value


class ClosureKind(enum.StrEnum):
    """Why it is closed."""

    MAINTENANCE = "maintenance"
    CLOSURE = "closure"
    BREAKDOWN = "breakdown"


class Closure(Base):
    """A span in which one instrument, or every instrument of a facility, is not to be had.

    Imposed closures are facts: they stand whatever was booked. Others are refused when they do not fit.
    """

    __tablename__ = "closure"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        Index("ix_closure_facility", "facility_id", "starts_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    kind: Mapped[ClosureKind] = mapped_column(by_value(ClosureKind))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(500), default="")
    imposed: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
