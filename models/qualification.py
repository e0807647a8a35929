"""Qualifications: what a person must have learnt before they may use an instrument."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.qualifications import Step
from models.account import Person
from models.base import Base, UtcDateTime, by_value

CertificateState = Step
"""申请, 已排训, 批准, 拒绝, 撤销, 撤回; a granted one that is past its day has expired."""


class Qualification(Base):
    """A training or safety certificate that a facility gives; it lasts so many months, None is for ever."""

    __tablename__ = "qualification"
    __table_args__ = (CheckConstraint("months IS NULL OR months >= 1", name="months"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"), index=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")
    about_zh: Mapped[str] = mapped_column(Text, default="")
    about_en: Mapped[str] = mapped_column(Text, default="")
    months: Mapped[int | None] = mapped_column()
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TrainingSession(Base):
    """A time at which a qualification is taught, with so many seats."""

    __tablename__ = "training_session"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        CheckConstraint("seats >= 1", name="seats"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    qualification_id: Mapped[int] = mapped_column(ForeignKey("qualification.id"), index=True)
    trainer_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    place: Mapped[str] = mapped_column(String(300), default="")
    seats: Mapped[int] = mapped_column()
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Certificate(Base):
    """A person's way to a qualification, from the request to the grant. It counts until `expires_on`, exclusive."""

    __tablename__ = "certificate"
    __table_args__ = (
        Index("ix_certificate_person", "person_id", "qualification_id"),
        Index("ix_certificate_qualification", "qualification_id", "state"),
        Index("ix_certificate_expires", "expires_on"),
        # Of one person and qualification at most one is on its way.
        Index(
            "ix_certificate_open",
            "person_id",
            "qualification_id",
            unique=True,
            sqlite_where=text("state IN ('requested', 'scheduled')"),
            postgresql_where=text("state IN ('requested', 'scheduled')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    qualification_id: Mapped[int] = mapped_column(ForeignKey("qualification.id"))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("training_session.id"), index=True)
    state: Mapped[Step] = mapped_column(by_value(Step))
    note: Mapped[str] = mapped_column(String(500), default="")
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    granted_on: Mapped[date | None] = mapped_column()
    expires_on: Mapped[date | None] = mapped_column()
    warned_days: Mapped[int | None] = mapped_column()

    person: Mapped[Person] = relationship(lazy="raise", foreign_keys=[person_id])
    qualification: Mapped[Qualification] = relationship(lazy="raise")
    session: Mapped[TrainingSession | None] = relationship(lazy="raise")
