"""Deliveries: an event on its way to one person by one channel."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from booking.domain.notices import Channel
from models.base import Base, UtcDateTime, by_value


class Delivery(Base):
    """One message; its id is in the Message-ID, so that a doubled sending can be told.

    It is due at `next_at`. Who claims it moves that on, so that it is due again should they die before they
    mark it. One of the inbox is never sent; `read_at` tells that it was seen there. Those marked `digest` leave
    together, one message for all that are due. `held_until` is when quiet hours or a digest let it go.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "person_id", "channel"),
        # What lies in the inbox is never sent, and would only lengthen the way to what is.
        Index(
            "ix_delivery_to_send",
            "next_at",
            sqlite_where=text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
            postgresql_where=text("sent_at IS NULL AND given_up_at IS NULL AND channel <> 'inbox'"),
        ),
        Index(
            "ix_delivery_unread",
            "person_id",
            sqlite_where=text("channel = 'inbox' AND read_at IS NULL"),
            postgresql_where=text("channel = 'inbox' AND read_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    channel: Mapped[Channel] = mapped_column(by_value(Channel))
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    given_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    digest: Mapped[bool] = mapped_column(default=False)
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(500), default="")


class Reminder(Base):
    """A word to be said so many minutes before a booking starts; a booking that is moved gets new ones."""

    __tablename__ = "reminder"
    __table_args__ = (
        Index(
            "ix_reminder_due",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    minutes: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
