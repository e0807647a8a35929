"""Processes in several steps: what lies between two families of work, and what many instruments share."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Changeover(Base):
    """The minutes that lie between a use for one family of work and the next for another, on the same instrument.

    It stands at a facility, or at one instrument (a line, a station), which then counts instead of the facility's.
    """

    __tablename__ = "changeover"
    __table_args__ = (
        CheckConstraint("(facility_id IS NULL) <> (instrument_id IS NULL)", name="one_owner"),
        CheckConstraint("minutes >= 0", name="minutes"),
        Index("ix_changeover_facility", "facility_id", "before", "after", unique=True),
        Index("ix_changeover_instrument", "instrument_id", "before", "after", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    before: Mapped[str] = mapped_column(String(60))
    after: Mapped[str] = mapped_column(String(60))
    minutes: Mapped[int] = mapped_column()


class Utility(Base):
    """What the instruments of a facility share, and of which there is only so much at once: steam, power, operators."""

    __tablename__ = "utility"
    __table_args__ = (
        UniqueConstraint("facility_id", "code"),
        CheckConstraint("capacity >= 0", name="capacity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    code: Mapped[str] = mapped_column(String(40))
    name_zh: Mapped[str] = mapped_column(String(200))
    name_en: Mapped[str] = mapped_column(String(200), default="")
    unit: Mapped[str] = mapped_column(String(40), default="")
    capacity: Mapped[int] = mapped_column()
