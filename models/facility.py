"""Facilities: pilot platforms with their instruments, opening hours and zone."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, BigId, UtcDateTime
from models.network import Network, NetworkFacility
from models.organisation import Organisation


class Facility(Base):
    """A pilot platform (中试平台); one that is withdrawn stands in no list, and its instruments are unpublished."""

    __tablename__ = "facility"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    region_code: Mapped[str] = mapped_column(String(6), default="")
    town: Mapped[str] = mapped_column(String(100), default="")
    address: Mapped[str] = mapped_column(String(300), default="")
    latitude: Mapped[float | None] = mapped_column()
    longitude: Mapped[float | None] = mapped_column()
    zone: Mapped[str] = mapped_column(String(64), default="Asia/Shanghai")
    contact: Mapped[str] = mapped_column(String(300), default="")
    about_zh: Mapped[str] = mapped_column(Text, default="")
    about_en: Mapped[str] = mapped_column(Text, default="")
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    organisation: Mapped[Organisation] = relationship(lazy="raise")
    networks: Mapped[list[Network]] = relationship(
        secondary=NetworkFacility.__table__, lazy="raise", order_by=Network.code
    )


class OpeningRule(Base):
    """Weekly opening time of a facility, or of one instrument instead of its facility's.

    An instrument with rules of its own does not take its facility's. Minutes are wall-clock minutes
    after midnight in the facility's zone, 1440 is the next midnight.
    """

    __tablename__ = "opening_rule"
    __table_args__ = (
        CheckConstraint("(facility_id IS NULL) <> (instrument_id IS NULL)", name="one_owner"),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("opens >= 0 AND opens < closes AND closes <= 1440", name="minutes"),
        Index("ix_opening_rule_facility", "facility_id"),
        Index("ix_opening_rule_instrument", "instrument_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    weekday: Mapped[int] = mapped_column()
    opens: Mapped[int] = mapped_column()
    closes: Mapped[int] = mapped_column()
    valid_from: Mapped[date | None] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()
