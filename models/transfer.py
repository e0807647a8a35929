"""Transfers: a booking handed to a colleague, or two that change hands."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, Json, UtcDateTime, by_value
from models.booking import Booking


class TransferState(enum.StrEnum):
    """What became of it."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class Transfer(Base):
    """An offer of a booking to somebody; with `for_booking_id` it is a swap against theirs.

    `terms` holds the times that were offered, by booking: who says yes says it to these.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        Index(
            "ix_transfer_open",
            "booking_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_transfer_from", "from_id", "state"),
        Index("ix_transfer_to", "to_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id"))
    for_booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"), index=True)
    from_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    to_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    note: Mapped[str] = mapped_column(String(500), default="")
    terms: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    state: Mapped[TransferState] = mapped_column(by_value(TransferState))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def blind(self) -> bool:
        """Tell whether times alone are swapped, between two who do not learn of each other."""
        return bool(self.terms.get("blind"))

    booking: Mapped[Booking] = relationship(lazy="raise", foreign_keys=[booking_id])
    for_booking: Mapped[Booking | None] = relationship(lazy="raise", foreign_keys=[for_booking_id])
    giver: Mapped[Person] = relationship(lazy="raise", foreign_keys=[from_id])
    taker: Mapped[Person] = relationship(lazy="raise", foreign_keys=[to_id])
