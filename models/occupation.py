"""The ledger of time: whatever takes time on an instrument is one row here."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from booking.domain.occupation import Kind
from models.base import Base, BigId, UtcDateTime, by_value
from models.booking import Booking


class Occupation(Base):
    """A span of an instrument's time that is taken, set-up and clean-up included.

    A claim is refused when it does not fit; a fact (`imposed`) stands, and counts against later claims.
    `exclusive` marks a claim on an instrument of one unit. `use_starts_at` and `use_ends_at` are the use alone.
    A hold counts until `expires_at`. The guards in `models/guards.py` have the last word on what may stand here.
    """

    __tablename__ = "occupation"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("(kind = 'booking') = (booking_id IS NOT NULL)", name="booking"),
        CheckConstraint("(kind = 'hold') = (expires_at IS NOT NULL)", name="hold"),
        CheckConstraint("NOT (exclusive AND imposed)", name="sort"),
        Index("ix_occupation_instrument_starts", "instrument_id", "starts_at", "ends_at", "quantity"),
        Index("ix_occupation_instrument_ends", "instrument_id", "ends_at", "starts_at", "quantity"),
        Index("ix_occupation_starts", "starts_at"),
        Index("ix_occupation_booking", "booking_id"),
        Index("ix_occupation_closure", "closure_id"),
        # Most rows are no hold, and writing them should not cost an entry here.
        Index(
            "ix_occupation_hold",
            "hold_id",
            sqlite_where=text("hold_id IS NOT NULL"),
            postgresql_where=text("hold_id IS NOT NULL"),
        ),
        Index(
            "ix_occupation_source",
            "source_id",
            sqlite_where=text("source_id IS NOT NULL"),
            postgresql_where=text("source_id IS NOT NULL"),
        ),
        # Holds are few beside bookings, and the job that drops those which have run out comes often.
        Index(
            "ix_occupation_expires",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    use_starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    use_ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quantity: Mapped[int] = mapped_column(default=1)
    exclusive: Mapped[bool] = mapped_column(default=False)
    imposed: Mapped[bool] = mapped_column(default=False)
    kind: Mapped[Kind] = mapped_column(by_value(Kind))
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))
    closure_id: Mapped[UUID | None] = mapped_column(ForeignKey("closure.id"))
    hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("hold.id"))
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("calendar_source.id"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# Read where it is asked for: from when on one may check in, by the set-up that counted when the time was taken.
_first = select(func.min(Occupation.starts_at)).where(Occupation.booking_id == Booking.id)
Booking.opens_at = column_property(_first.correlate_except(Occupation).scalar_subquery(), deferred=True)
