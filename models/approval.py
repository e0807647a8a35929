"""Approvals: the steps that a booking must pass, who may say yes, and what was said."""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.approvals import Need, Silence, StepState, Who
from models.account import Person
from models.base import Base, BigId, Json, UtcDateTime, by_value
from models.booking import Booking


class ApprovalStep(Base):
    """One step of one booking. Steps of the same `stage` are open side by side; the next stage waits for all of them.

    `conditions` says why it is asked for; `round` rises when a change asks for approval anew. An open step
    comes due at `due_at`; `escalated_at` tells that the silence was taken further. `plan` holds what opening it
    and taking it further need of its rule, which may be another by then. One without a name is that of an
    instrument which needs approval while no rule says by whom.
    """

    __tablename__ = "approval_step"
    __table_args__ = (
        Index("ix_approval_step_booking", "booking_id", "round", "stage"),
        Index(
            "ix_approval_step_due",
            "due_at",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"))
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"), index=True)
    round: Mapped[int] = mapped_column(default=1)
    stage: Mapped[int] = mapped_column(default=1)
    name: Mapped[str] = mapped_column(String(60))
    need: Mapped[Need] = mapped_column(by_value(Need), default=Need.ANY)
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    plan: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    on_silence: Mapped[Silence] = mapped_column(by_value(Silence), default=Silence.EXPIRE)
    state: Mapped[StepState] = mapped_column(by_value(StepState))
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    escalated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    booking: Mapped[Booking] = relationship(lazy="raise")
    approvers: Mapped[list["Approver"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="Approver.person_id"
    )


class Approver(Base):
    """Somebody who may decide a step, and what they said; `spoken_by` is who said it in their place.

    `role` is what they were asked as, and must still be when they speak; without one they were asked by name.
    """

    __tablename__ = "approver"
    __table_args__ = (Index("ix_approver_person", "person_id"),)

    step_id: Mapped[UUID] = mapped_column(
        ForeignKey("approval_step.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[Who | None] = mapped_column(by_value(Who))
    approves: Mapped[bool | None] = mapped_column()
    comment: Mapped[str] = mapped_column(Text, default="")
    spoken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    spoken_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))

    person: Mapped[Person] = relationship(lazy="raise", foreign_keys=[person_id])


class Delegation(Base):
    """While somebody is away, another decides in their place; `ends_at` is exclusive."""

    __tablename__ = "delegation"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="span"),
        CheckConstraint("person_id <> delegate_id", name="not_oneself"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    delegate_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PaperKind(enum.StrEnum):
    """What a paper of a booking is."""

    SDS = "sds"
    PROTOCOL = "protocol"
    PERMIT = "permit"
    OTHER = "other"


class BookingPaper(Base):
    """A paper that belongs to a booking: a safety data sheet, a protocol, a permit with its number.

    One that is for many dates of a series stands beside each of them; `same_as` names the one that has the content.
    """

    __tablename__ = "booking_paper"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"), index=True)
    kind: Mapped[PaperKind] = mapped_column(by_value(PaperKind))
    title: Mapped[str] = mapped_column(String(300))
    number: Mapped[str] = mapped_column(String(100), default="")
    media_type: Mapped[str] = mapped_column(String(100), default="")
    digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    same_as: Mapped[UUID | None] = mapped_column(ForeignKey("booking_paper.id"), index=True)
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    added_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Chemical(Base):
    """A substance that is brought to a booking, with its hazards (危险化学品, 剧毒, 易制毒, 易制爆 …)."""

    __tablename__ = "chemical"
    __table_args__ = (UniqueConstraint("booking_id", "position"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column()
    name: Mapped[str] = mapped_column(String(300))
    cas: Mapped[str] = mapped_column(String(12), default="")
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    unit: Mapped[str] = mapped_column(String(20), default="")
    hazards: Mapped[list[str]] = mapped_column(Json, default=list)
    permit_number: Mapped[str] = mapped_column(String(100), default="")
