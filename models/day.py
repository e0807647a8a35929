"""The day at an instrument: its label, the tablet beside it, faults, and the credit that people earn and lose."""

import enum
from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, BigId, UtcDateTime, by_value
from models.instrument import Instrument


class KioskKind(enum.StrEnum):
    """What an address opens: a tablet at which people act, or a screen on a wall that only shows."""

    TABLET = "tablet"
    SCREEN = "screen"


class Look(enum.StrEnum):
    """How a screen is lit: as its own system wishes, bright, or dark."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class Kiosk(Base):
    """A tablet or a screen for one instrument, or for all of a facility; only the hash of its secret is kept."""

    __tablename__ = "kiosk"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"), index=True)
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    kind: Mapped[KioskKind] = mapped_column(by_value(KioskKind), default=KioskKind.TABLET)
    look: Mapped[Look] = mapped_column(by_value(Look), default=Look.AUTO)
    name: Mapped[str] = mapped_column(String(100))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Badge(Base):
    """What a person shows to a kiosk: the keyed hash of a badge's number, and of a PIN, each for one person."""

    __tablename__ = "badge"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    number_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    pin_hash: Mapped[str | None] = mapped_column(String(200))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FaultState(enum.StrEnum):
    """What became of a report."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    MENDED = "mended"
    DISMISSED = "dismissed"


class Fault(Base):
    """Something that is wrong with an instrument; one that puts it down has a closure."""

    __tablename__ = "fault"
    __table_args__ = (Index("ix_fault_instrument", "instrument_id", "state"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"))
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"), index=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    closure_id: Mapped[UUID | None] = mapped_column(ForeignKey("closure.id"))
    text: Mapped[str] = mapped_column(Text)
    stops_work: Mapped[bool] = mapped_column(default=False)
    state: Mapped[FaultState] = mapped_column(by_value(FaultState))
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(Text, default="")

    instrument: Mapped[Instrument] = relationship(lazy="raise")
    person: Mapped[Person] = relationship(lazy="raise", foreign_keys=[person_id])


class CreditRule(Base):
    """How many points a deed gives or costs, and from when; of a facility, or of all where it has none."""

    __tablename__ = "credit_rule"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        Index("ix_credit_rule_facility", "facility_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    deed: Mapped[str] = mapped_column(String(40))
    points: Mapped[int] = mapped_column()
    ban_below: Mapped[int | None] = mapped_column()
    ban_days: Mapped[int | None] = mapped_column()
    valid_from: Mapped[date] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()


class Appeal(enum.StrEnum):
    """Whether points are disputed, and what was decided."""

    NONE = "none"
    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"


class CreditEntry(Base):
    """Points that a person got or lost, once for each deed on each booking."""

    __tablename__ = "credit_entry"
    __table_args__ = (
        UniqueConstraint("person_id", "deed", "booking_id"),
        Index("ix_credit_entry_person", "person_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id"), index=True)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))
    deed: Mapped[str] = mapped_column(String(40))
    points: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(500), default="")
    appeal: Mapped[Appeal] = mapped_column(by_value(Appeal), default=Appeal.NONE)
    appeal_text: Mapped[str] = mapped_column(Text, default="")
    appealed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer: Mapped[str] = mapped_column(Text, default="")
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Ban(Base):
    """Somebody may not book at a facility, or anywhere where it names none, until a day."""

    __tablename__ = "ban"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        Index("ix_ban_person", "person_id", "ends_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id"), index=True)
    reason: Mapped[str] = mapped_column(String(500))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lifted_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))

    person: Mapped[Person] = relationship(lazy="raise", foreign_keys=[person_id])
