"""Rules: dated rows that say how time may be booked, from the whole network down to one instrument."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from booking.domain.policy import RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.working_days import DayKind
from models.base import Base, BigId, Json, UtcDateTime, by_value


class Rule(Base):
    """One rule at one place. Of rules with the same kind and name, the one of the nearest place counts.

    `value` is the figure of a setting or the limit of a quota (minutes or a number; None is no limit); `data`
    holds what else the kind needs. A rule may be for one class of customers, and for a band of the week:
    `weekdays` is a mask (Monday is 1), `opens` and `closes` are wall-clock minutes. `valid_to` is exclusive.
    """

    __tablename__ = "rule"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN network_id IS NULL THEN 0 ELSE 1 END + CASE WHEN facility_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN category_code IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN instrument_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_place",
        ),
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        CheckConstraint("value IS NULL OR value >= 0", name="value"),
        CheckConstraint("weekdays IS NULL OR weekdays BETWEEN 1 AND 127", name="weekdays"),
        CheckConstraint(
            "(opens IS NULL) = (closes IS NULL)"
            " AND (opens IS NULL OR (opens >= 0 AND opens < closes AND closes <= 1440))",
            name="band",
        ),
        Index("ix_rule_network", "network_id"),
        Index("ix_rule_facility", "facility_id"),
        Index("ix_rule_category", "category_code"),
        Index("ix_rule_instrument", "instrument_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    network_id: Mapped[int | None] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    category_code: Mapped[str | None] = mapped_column(ForeignKey("category.code", ondelete="CASCADE"))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    kind: Mapped[RuleKind] = mapped_column(by_value(RuleKind))
    name: Mapped[str] = mapped_column(String(60))
    value: Mapped[int | None] = mapped_column()
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    customer_class: Mapped[CustomerClass | None] = mapped_column(by_value(CustomerClass))
    day_kind: Mapped[DayKind | None] = mapped_column(by_value(DayKind))
    weekdays: Mapped[int | None] = mapped_column()
    opens: Mapped[int | None] = mapped_column()
    closes: Mapped[int | None] = mapped_column()
    valid_from: Mapped[date] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(String(500), default="")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class QuotaLock(Base):
    """Whose bookings are being counted: the row that commands take in turn, whatever instruments they are for."""

    __tablename__ = "quota_lock"

    party: Mapped[str] = mapped_column(String(60), primary_key=True)
    turns: Mapped[int] = mapped_column(BigId, default=1)


class CalendarDay(Base):
    """A day that differs from its weekday: a public holiday, or a weekend that is worked instead (调休)."""

    __tablename__ = "calendar_day"

    country: Mapped[str] = mapped_column(String(2), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[DayKind] = mapped_column(by_value(DayKind))
    name: Mapped[str] = mapped_column(String(100), default="")
    source: Mapped[str] = mapped_column(String(100), default="")
