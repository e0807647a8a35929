"""Calendar links: secret addresses at which calendars subscribe."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, BigId, UtcDateTime, by_value


class CalendarScope(enum.StrEnum):
    """What a feed shows."""

    ME = "me"
    INSTRUMENT = "instrument"
    FACILITY = "facility"
    PROJECT = "project"
    FREE = "free"
    NETWORK = "network"
    APPROVALS = "approvals"


class Privacy(enum.StrEnum):
    """How much a feed says."""

    BUSY = "busy"
    SUMMARY = "summary"
    FULL = "full"


class CalendarLink(Base):
    """A revocable secret feed address; only its hash is kept, after revocation too, to answer 410.

    Free time of several instruments has them in `calendar_link_instrument`. `past_days` and `future_days` are None
    where the feed reaches as far as the operator of the server lets it.
    """

    __tablename__ = "calendar_link"
    __table_args__ = (
        CheckConstraint("past_days >= 0", name="past_days"),
        CheckConstraint("future_days >= 1", name="future_days"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scope: Mapped[CalendarScope] = mapped_column(by_value(CalendarScope))
    privacy: Mapped[Privacy] = mapped_column(by_value(Privacy))
    locale: Mapped[str] = mapped_column(String(16), default="zh_Hans_CN")
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    network_id: Mapped[int | None] = mapped_column(ForeignKey("network.id"))
    name: Mapped[str] = mapped_column(String(100), default="")
    past_days: Mapped[int | None] = mapped_column()
    future_days: Mapped[int | None] = mapped_column()
    pending: Mapped[bool] = mapped_column(default=True)
    cancelled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    agent: Mapped[str] = mapped_column(String(300), default="")
    address: Mapped[str] = mapped_column(String(64), default="")

    person: Mapped[Person] = relationship(lazy="raise")


class CalendarLinkInstrument(Base):
    """One of the instruments whose free time an address shows."""

    __tablename__ = "calendar_link_instrument"

    link_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_link.id", ondelete="CASCADE"), primary_key=True
    )
    instrument_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class CameFree(Base):
    """Time on an instrument that was given back, for the news of freed time; whether it still is free is asked anew."""

    __tablename__ = "came_free"
    __table_args__ = (Index("ix_came_free_instrument", "instrument_id", "freed_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    freed_at: Mapped[datetime] = mapped_column(UtcDateTime)
