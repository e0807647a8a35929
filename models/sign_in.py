"""Sessions of people at the page, one-time links by mail, and the counters of rate limits."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Float, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, UtcDateTime, by_value


class SignIn(Base):
    """A session kept on the server; the cookie holds a secret of which only the hash is here."""

    __tablename__ = "sign_in"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    agent: Mapped[str] = mapped_column(String(300), default="")
    address: Mapped[str] = mapped_column(String(64), default="")

    person: Mapped[Person] = relationship(lazy="raise")


class Purpose(enum.StrEnum):
    """What a one-time link is for."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, no password
    CONFIRM_EMAIL = "confirm_email"
    DECIDE_STEP = "decide_step"
    ANSWER_OFFER = "answer_offer"
    ANSWER_PROPOSAL = "answer_proposal"
    ANSWER_CALENDAR = "answer_calendar"
    JOIN = "join"


class OneTimeLink(Base):
    """A link sent by mail that works once and not for long; only the hash of its secret is kept."""

    __tablename__ = "one_time_link"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[Purpose] = mapped_column(by_value(Purpose))
    subject: Mapped[str] = mapped_column(String(80), default="")
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RateLimit(Base):
    """A counter of attempts; `until` is in seconds since 1970."""

    __tablename__ = "rate_limit"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    n: Mapped[int] = mapped_column()
    until: Mapped[float] = mapped_column(Float)
