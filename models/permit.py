"""Permits without which an instrument may not run: registrations, inspections, radiation safety, metrology."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime


class InstrumentPermit(Base):
    """One term of a permit, its days in the facility's zone, the last one in it; a renewal is another of its name.

    An instrument needs every name of which it has a row. `warned_days` is the last warning that was given.
    """

    __tablename__ = "instrument_permit"
    __table_args__ = (
        CheckConstraint("valid_from <= valid_until", name="days"),
        UniqueConstraint("instrument_id", "name", "valid_from"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    number: Mapped[str] = mapped_column(String(100), default="")
    valid_from: Mapped[date] = mapped_column()
    valid_until: Mapped[date] = mapped_column(index=True)
    note: Mapped[str] = mapped_column(String(500), default="")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    warned_days: Mapped[int | None] = mapped_column()
