"""What each person wants to hear, how, and when."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.domain.notices import Channel, Pace
from models.base import Base, UtcDateTime, by_value


class NoticeWish(Base):
    """What somebody chose for one topic and channel; where nothing was chosen the topic's default counts."""

    __tablename__ = "notice_wish"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    topic: Mapped[str] = mapped_column(String(40), primary_key=True)
    channel: Mapped[Channel] = mapped_column(by_value(Channel), primary_key=True)
    pace: Mapped[Pace] = mapped_column(by_value(Pace))


class QuietHours(Base):
    """Wall-clock minutes of the person's own zone between which nothing is sent but to the web inbox."""

    __tablename__ = "quiet_hours"
    __table_args__ = (
        CheckConstraint(
            "begins BETWEEN 0 AND 1439 AND ends BETWEEN 0 AND 1439 AND begins <> ends", name="minutes"
        ),
    )

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    begins: Mapped[int] = mapped_column()
    ends: Mapped[int] = mapped_column()


class HookKind(enum.StrEnum):
    """What listens at a webhook's address."""

    GENERIC = "generic"
    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"


class Webhook(Base):
    """An address of a person to which notices are posted, one of each kind; `secret` signs what is sent there.

    `failed_at` is when it began to fail, None while it works; after some days of that it is switched off.
    """

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("person_id", "kind"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    kind: Mapped[HookKind] = mapped_column(by_value(HookKind))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(String(1000))
    secret: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    off_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
