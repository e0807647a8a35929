"""Announcements: banners on pages, and who has put them away."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from booking.domain.announcements import Audience, Level, Shown
from models.base import Base, UtcDateTime, by_value


class Announcement(Base):
    """What a facility, a network or, without either, the whole installation has to say for a while.

    `version` counts its changes, so that a changed one is seen again by those who had put it away.
    """

    __tablename__ = "announcement"
    __table_args__ = (
        CheckConstraint("facility_id IS NULL OR network_id IS NULL", name="one_place"),
        CheckConstraint("ends_at IS NULL OR begins_at < ends_at", name="span"),
        CheckConstraint("text_zh <> '' OR text_en <> ''", name="said"),
        Index("ix_announcement_ends_at", "ends_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    network_id: Mapped[int | None] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"))
    level: Mapped[Level] = mapped_column(by_value(Level))
    shown: Mapped[Shown] = mapped_column(by_value(Shown))
    audience: Mapped[Audience] = mapped_column(by_value(Audience))
    text_zh: Mapped[str] = mapped_column(String(500), default="")
    text_en: Mapped[str] = mapped_column(String(500), default="")
    begins_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AnnouncementSeen(Base):
    """That somebody has put an announcement away, and in which of its versions."""

    __tablename__ = "announcement_seen"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    announcement_id: Mapped[UUID] = mapped_column(
        ForeignKey("announcement.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    version: Mapped[int] = mapped_column()
