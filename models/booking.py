"""Bookings and what they hold."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain import lifecycle
from booking.domain.lifecycle import Action, State
from booking.domain.replanning import IfSilent
from models.account import Person
from models.base import Base, JsonOrNull, UtcDateTime, by_value
from models.instrument import Instrument


class Booking(Base):
    """Time on one or several instruments, for one person. It stays for ever; its time in the ledger may go.

    `version` rises with every change (ETag); `sequence` with every change of time, state or instrument (calendars).
    `starts_at` and `ends_at` span the use of all items. `booked_by_id` is who booked for the person, None when they
    did it themselves. One of a series has its `series_day`, the date that the rule gave it, wherever it was moved.
    `may_move` lets it be moved a little so that others find room after an outage; `if_silent` is what the owner agreed
    shall become of it when an outage displaces it and they do not answer. `makes_room` lets it be moved a little so
    that somebody who waits finds room. `needed_by` is the last day on which it is of use to them.
    """

    __tablename__ = "booking"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        # With the version in it, whether a person's feed changed is told by the index alone.
        Index("ix_booking_person", "person_id", "starts_at", "version"),
        Index("ix_booking_organisation", "organisation_id", "starts_at"),
        Index("ix_booking_project", "project_id"),
        Index(
            "ix_booking_series",
            "series_id",
            "series_day",
            sqlite_where=text("series_id IS NOT NULL"),
            postgresql_where=text("series_id IS NOT NULL"),
        ),
        Index(
            "ix_booking_booked_by",
            "booked_by_id",
            "starts_at",
            sqlite_where=text("booked_by_id IS NOT NULL"),
            postgresql_where=text("booked_by_id IS NOT NULL"),
        ),
        # Those who are there now are few, and the job that looks after them comes often.
        Index(
            "ix_booking_checked_in",
            "ends_at",
            sqlite_where=text("state = 'checked_in'"),
            postgresql_where=text("state = 'checked_in'"),
        ),
        # What waits for approval is little beside all that was ever booked.
        Index(
            "ix_booking_requested",
            "starts_at",
            sqlite_where=text("state = 'requested'"),
            postgresql_where=text("state = 'requested'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    booked_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    series_id: Mapped[UUID | None] = mapped_column(ForeignKey("series.id"))
    series_day: Mapped[date | None] = mapped_column()
    state: Mapped[State] = mapped_column(by_value(State))
    purpose: Mapped[str] = mapped_column(Text, default="")
    confidential: Mapped[bool] = mapped_column(default=False)
    may_move: Mapped[bool] = mapped_column(default=False)
    makes_room: Mapped[bool] = mapped_column(default=False)
    if_silent: Mapped[IfSilent] = mapped_column(by_value(IfSilent), default=IfSilent.STAY)
    needed_by: Mapped[date | None] = mapped_column()
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    sequence: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    if TYPE_CHECKING:  # the ledger's own file gives it
        opens_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship(lazy="raise", foreign_keys=[person_id])
    booked_by: Mapped[Person | None] = relationship(lazy="raise", foreign_keys=[booked_by_id])
    items: Mapped[list["BookingItem"]] = relationship(
        lazy="raise", back_populates="booking", cascade="all, delete-orphan", order_by="BookingItem.position"
    )
    usage: Mapped["Usage | None"] = relationship(lazy="raise", cascade="all, delete-orphan", uselist=False)

    def apply(self, action: Action) -> None:
        """Move to the state that follows; the only writer of `state`.

        :raises WrongMove: if the action is not possible in this state
        """
        self.state = lifecycle.after(self.state, action)


class BookingItem(Base):
    """One instrument of a booking with its span of use; it stays when the ledger's row is gone.

    As a step of a process it has its `process`: the family of work, its lag after the step before, what it draws.
    """

    __tablename__ = "booking_item"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        CheckConstraint("quantity >= 1", name="quantity"),
        Index("ix_booking_item_instrument", "instrument_id", "starts_at"),
    )

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quantity: Mapped[int] = mapped_column(default=1)
    process: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)

    booking: Mapped[Booking] = relationship(lazy="raise", back_populates="items")
    instrument: Mapped[Instrument] = relationship(lazy="raise")


class Usage(Base):
    """What really happened: when the person came and went, and what they said of it."""

    __tablename__ = "usage"
    __table_args__ = (
        CheckConstraint("rating IS NULL OR rating BETWEEN 1 AND 5", name="rating"),
        CheckConstraint("samples IS NULL OR samples >= 0", name="samples"),
        Index(
            "ix_usage_unspoken",
            "checked_out_at",
            sqlite_where=text("feedback_at IS NULL"),
            postgresql_where=text("feedback_at IS NULL"),
        ),
    )

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id"), primary_key=True)
    checked_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_out_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    late_minutes: Mapped[int | None] = mapped_column()
    early_minutes: Mapped[int | None] = mapped_column()
    overtime_minutes: Mapped[int | None] = mapped_column()
    samples: Mapped[int | None] = mapped_column()
    rating: Mapped[int | None] = mapped_column()
    condition: Mapped[str] = mapped_column(String(20), default="")
    comment: Mapped[str] = mapped_column(Text, default="")
    feedback_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RequestKey(Base):
    """A client's Idempotency-Key with the booking that it made; kept for a day."""

    __tablename__ = "request_key"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    booking_id: Mapped[UUID] = mapped_column(
        # Deferred: the key is claimed before its booking is written.
        ForeignKey("booking.id", deferrable=True, initially="DEFERRED")
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
