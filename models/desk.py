"""What people keep on their desks: instruments that they like, and how much of an instrument shall be used."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from booking.domain.utilisation import Measure
from models.base import Base, UtcDateTime, by_value


class Favourite(Base):
    """An instrument that somebody keeps at hand."""

    __tablename__ = "favourite"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UtilisationTarget(Base):
    """How much each instrument of a facility, or one of them, shall be booked from a day on, until the next row.

    `value` is hours in a year or percent of the open time, as `measure` says; None: no target from that day on. What
    is said of the instrument counts before what is said of its facility.
    """

    __tablename__ = "utilisation_target"
    __table_args__ = (
        CheckConstraint("(facility_id IS NULL) <> (instrument_id IS NULL)", name="one_place"),
        CheckConstraint("value IS NULL OR value BETWEEN 1 AND 8784", name="value"),
        Index(
            "ix_utilisation_target_facility",
            "facility_id",
            "valid_from",
            unique=True,
            sqlite_where=text("facility_id IS NOT NULL"),
            postgresql_where=text("facility_id IS NOT NULL"),
        ),
        Index(
            "ix_utilisation_target_instrument",
            "instrument_id",
            "valid_from",
            unique=True,
            sqlite_where=text("instrument_id IS NOT NULL"),
            postgresql_where=text("instrument_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    measure: Mapped[Measure] = mapped_column(by_value(Measure))
    value: Mapped[int | None] = mapped_column()
    valid_from: Mapped[date] = mapped_column()
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
