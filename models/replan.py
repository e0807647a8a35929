"""Replans: what a facility proposes to those whose bookings an outage displaces, and what they answer."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.replanning import Cause, ProposalKind, ProposalState, ReplanState
from models.base import Base, JsonOrNull, UtcDateTime, by_value
from models.booking import Booking
from models.closure import Closure
from models.instrument import Instrument


class Replan(Base):
    """The repair of what one cause displaces; `chosen` is the number of the repair that people were asked about.

    A closure says itself what it displaces. Of any other cause `struck` keeps it: the bookings, and the spans in which
    instruments are not to be had.
    """

    __tablename__ = "replan"
    __table_args__ = (
        CheckConstraint("(cause = 'closure') = (closure_id IS NOT NULL)", name="cause"),
        Index("ix_replan_facility_id_state", "facility_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"))
    cause: Mapped[Cause] = mapped_column(by_value(Cause), default=Cause.CLOSURE)
    closure_id: Mapped[UUID | None] = mapped_column(ForeignKey("closure.id"), unique=True)
    struck: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)
    state: Mapped[ReplanState] = mapped_column(by_value(ReplanState))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("solver_run.id"))
    chosen: Mapped[int | None] = mapped_column()
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    over_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    closure: Mapped[Closure | None] = relationship(lazy="raise")
    proposals: Mapped[list["Proposal"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="Proposal.number"
    )


class Proposal(Base):
    """What is proposed to the owner of one booking: a place, held until the deadline, or none at all.

    A neighbour who agreed beforehand to make room is asked nothing: its proposal is `by_agreement` and accepted from
    the beginning. `cost` are the points that it costs in the repair; `why` is the code of what stood against a place.
    `parts` are the items that the booking would have, and `before` those that it had when it was asked about; the
    instrument is that of the first, the times are those from the first to the last of them.
    """

    __tablename__ = "proposal"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'no_place') = (instrument_id IS NULL) AND (instrument_id IS NULL) = (starts_at IS NULL)",
            name="place",
        ),
        UniqueConstraint("replan_id", "number"),
        Index(
            "ix_proposal_open",
            "booking_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "ix_proposal_deadline",
            "deadline",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    replan_id: Mapped[UUID] = mapped_column(ForeignKey("replan.id", ondelete="CASCADE"), index=True)
    number: Mapped[int] = mapped_column()
    by_agreement: Mapped[bool] = mapped_column(default=False)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id"))
    booking_sequence: Mapped[int] = mapped_column()
    kind: Mapped[ProposalKind] = mapped_column(by_value(ProposalKind))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parts: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonOrNull)
    before: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonOrNull)
    cost: Mapped[int] = mapped_column()
    state: Mapped[ProposalState] = mapped_column(by_value(ProposalState))
    hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("hold.id", ondelete="SET NULL"))
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(100), default="")

    booking: Mapped[Booking] = relationship(lazy="raise")
    instrument: Mapped[Instrument | None] = relationship(lazy="raise")
