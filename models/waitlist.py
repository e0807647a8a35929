"""Holds, which keep time for a few minutes, and the waitlist, which offers time that comes free."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.account import Person
from models.base import Base, BigId, Json, JsonOrNull, UtcDateTime, by_value


class Hold(Base):
    """Time that is kept for one person while they decide; it counts until `expires_at` and no longer.

    A person has one of their own at most; those that are `offered` keep what the waitlist offers, one each. `draws`
    are what it keeps of shared utilities: of which one, from when to when, how much.
    """

    __tablename__ = "hold"
    __table_args__ = (
        Index(
            "ix_hold_own",
            "person_id",
            unique=True,
            sqlite_where=text("NOT offered"),
            postgresql_where=text("NOT offered"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    offered: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    renewed: Mapped[int] = mapped_column(default=0)
    draws: Mapped[list[Any] | None] = mapped_column(JsonOrNull)


class EntryState(enum.StrEnum):
    """Where a place in the line stands."""

    WAITING = "waiting"
    OFFERED = "offered"
    SERVED = "served"
    LEFT = "left"
    LAPSED = "lapsed"


class WaitlistEntry(Base):
    """A place in the line for time on any of some instruments, within a window.

    A wish for a span has a window as long as its minutes; a flexible one is longer. Instruments are named in
    `waitlist_instrument`. A lower `priority` is served first, then who joined first. Time that comes free between
    `reach_starts_at` and `reach_ends_at` may help: the window with the room that set-up and clean-up take.

    Somebody on standby for a day says how many minutes they need to be there (`lead_minutes`) and how much of what is
    left of a slot they would use at most (`most_minutes`); `here_at` is since when they are there and ready.

    `windows` are the parts of the window in which the use may lie, none for anywhere in it. With `at_once` what is
    found is booked without being offered first, and with `may_move` that booking may make room for others. `reasons`
    say in codes with figures why nothing was found, once the window is over.

    `filters` are the words, classes and abilities by which its instruments are found anew, none where they were named.
    `steps` are those of a process, none for a single use: its instruments are all on which any step may be done, and
    its minutes the least that it can take from the first start to the last end.
    """

    __tablename__ = "waitlist_entry"
    __table_args__ = (
        CheckConstraint("window_starts_at < window_ends_at", name="window"),
        CheckConstraint("minutes >= 1 AND quantity >= 1", name="figures"),
        Index("ix_waitlist_entry_person", "person_id", "state"),
        Index(
            "ix_waitlist_entry_waiting",
            "reach_starts_at",
            "reach_ends_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    window_starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    window_ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reach_starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reach_ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    minutes: Mapped[int] = mapped_column()
    quantity: Mapped[int] = mapped_column(default=1)
    lead_minutes: Mapped[int | None] = mapped_column()
    most_minutes: Mapped[int | None] = mapped_column()
    here_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    priority: Mapped[int] = mapped_column(default=100)
    purpose: Mapped[str] = mapped_column(String(2000), default="")
    wish: Mapped[str] = mapped_column(String(500), default="")
    windows: Mapped[list[list[str]]] = mapped_column(Json, default=list)
    at_once: Mapped[bool] = mapped_column(default=False)
    may_move: Mapped[bool] = mapped_column(default=False)
    reasons: Mapped[list[dict[str, object]]] = mapped_column(Json, default=list)
    filters: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    state: Mapped[EntryState] = mapped_column(by_value(EntryState))
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))

    person: Mapped[Person] = relationship(lazy="raise")
    places: Mapped[list["WaitlistInstrument"]] = relationship(lazy="raise", cascade="all, delete-orphan")
    offers: Mapped[list["WaitlistOffer"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="WaitlistOffer.offered_at"
    )


class WaitlistInstrument(Base):
    """An instrument that would do for an entry."""

    __tablename__ = "waitlist_instrument"

    entry_id: Mapped[UUID] = mapped_column(
        ForeignKey("waitlist_entry.id", ondelete="CASCADE"), primary_key=True
    )
    instrument_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class OfferState(enum.StrEnum):
    """What became of an offer."""

    OPEN = "open"
    TAKEN = "taken"
    DECLINED = "declined"
    SILENT = "silent"
    WITHDRAWN = "withdrawn"


class WaitlistOffer(Base):
    """Freed time that is held for one person of the line until the deadline; an entry has one open offer at most.

    Of a process these are the instrument and the time of its first step, and `following` those of each further step:
    an instrument's id, its start and its end.
    """

    __tablename__ = "waitlist_offer"
    __table_args__ = (
        Index(
            "ix_waitlist_offer_open",
            "entry_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "ix_waitlist_offer_deadline",
            "deadline",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("waitlist_entry.id", ondelete="CASCADE"), index=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"))
    hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("hold.id", ondelete="SET NULL"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    following: Mapped[list[list[Any]]] = mapped_column(Json, default=list)
    state: Mapped[OfferState] = mapped_column(by_value(OfferState))
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deadline: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Freed(Base):
    """Time on an instrument that came free and that the waitlist has not looked at yet."""

    __tablename__ = "freed"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    freed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
