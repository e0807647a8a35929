"""Calendar links: secret addresses at which calendars subscribe."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, UtcDateTime, by_value


class CalendarScope(enum.StrEnum):
    """What a feed shows."""

    ME = "me"
    INSTRUMENT = "instrument"
    FACILITY = "facility"
    PROJECT = "project"
    FREE = "free"


class Privacy(enum.StrEnum):
    """How much a feed says."""

    BUSY = "busy"
    SUMMARY = "summary"
    FULL = "full"


class CalendarLink(Base):
    """A revocable secret feed address; only its hash is kept, after revocation too, to answer 410."""

    __tablename__ = "calendar_link"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scope: Mapped[CalendarScope] = mapped_column(by_value(CalendarScope))
    privacy: Mapped[Privacy] = mapped_column(by_value(Privacy))
    locale: Mapped[str] = mapped_column(String(16), default="zh_Hans_CN")
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    agent: Mapped[str] = mapped_column(String(300), default="")
    address: Mapped[str] = mapped_column(String(64), default="")

    person: Mapped[Person] = relationship(lazy="raise")
