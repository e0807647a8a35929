"""Calendars kept elsewhere whose busy time takes instruments, and what a file of another calendar brought."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.calendar_sources import Means
from models.base import Base, JsonOrNull, UtcDateTime, by_value


class CalendarSource(Base):
    """A calendar elsewhere; its address is as good as a password.

    It blocks the instruments that it names, or without names every one of its facility. `copy` is what was last
    understood of it, packed. `next_at` is when it is asked again. `failing_since` is None while it works; `held_back`
    is how many events it has left where that looks like a mistake. `told` are the bookings in its time of which the
    managers know.
    """

    __tablename__ = "calendar_source"
    __table_args__ = (
        CheckConstraint("removed_at IS NULL OR url = ''", name="removed"),
        Index("ix_calendar_source_facility_id", "facility_id"),
        Index(
            "ix_calendar_source_due",
            "next_at",
            sqlite_where=text("paused_at IS NULL AND removed_at IS NULL"),
            postgresql_where=text("paused_at IS NULL AND removed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(1000))
    means: Mapped[Means] = mapped_column(by_value(Means))
    transparent: Mapped[bool] = mapped_column(default=False)
    floating_zone: Mapped[str] = mapped_column(String(64), default="")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str] = mapped_column(String(40), default="")
    figure: Mapped[str] = mapped_column(String(40), default="")
    failure_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    etag: Mapped[str] = mapped_column(String(300), default="")
    modified: Mapped[str] = mapped_column(String(100), default="")
    copy: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    cut: Mapped[bool] = mapped_column(default=False)
    problems: Mapped[int] = mapped_column(default=0)
    held_back: Mapped[int | None] = mapped_column()
    accept_fewer: Mapped[bool] = mapped_column(default=False)
    told: Mapped[list[str] | None] = mapped_column(JsonOrNull)
    replan_id: Mapped[UUID | None] = mapped_column(ForeignKey("replan.id", ondelete="SET NULL"))

    instruments: Mapped[list["CalendarSourceInstrument"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", order_by="CalendarSourceInstrument.instrument_id"
    )


class CalendarSourceInstrument(Base):
    """An instrument that a calendar elsewhere blocks."""

    __tablename__ = "calendar_source_instrument"

    source_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_source.id", ondelete="CASCADE"), primary_key=True
    )
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"), primary_key=True, index=True)


class OutsideEvent(Base):
    """An event of a calendar elsewhere, as far as it takes time; its title is for the facility's managers alone."""

    __tablename__ = "outside_event"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        Index("ix_outside_event_starts", "source_id", "starts_at"),
    )

    source_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_source.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    all_day: Mapped[bool] = mapped_column(default=False)
    title: Mapped[str] = mapped_column(String(300), default="")


class ImportedEvent(Base):
    """An event of a file that was taken over, so that the same file brings nothing twice."""

    __tablename__ = "imported_event"
    __table_args__ = (
        CheckConstraint("(booking_id IS NULL) <> (closure_id IS NULL)", name="became"),
        Index("ix_imported_event_booking_id", "booking_id"),
        Index("ix_imported_event_closure_id", "closure_id"),
    )

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))
    closure_id: Mapped[UUID | None] = mapped_column(ForeignKey("closure.id"))
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime)
