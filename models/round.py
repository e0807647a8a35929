"""Rounds: a facility allots the time of some days to all wishes at once."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.rounds import PinKind, RoundState, Weights, WishState
from models.account import Person
from models.base import Base, Json, Money, UtcDateTime, by_value
from models.facility import Facility
from models.instrument import Instrument
from models.organisation import OrganisationKind


class Round(Base):
    """The time of a facility from `first_day` to `last_day`, both local and both in it, that is allotted at once.

    Wishes are taken from `opens_at` to `closes_at`. `cap_minutes` limits each organisation, `budget` the subsidies in
    yuan; `reserve_percent` of the open time stays free for what life brings. `weights` say what counts how much, none
    for the usual ones. `draft_run_id` is the run that made the draft that people see.
    """

    __tablename__ = "round"
    __table_args__ = (
        CheckConstraint("first_day <= last_day AND opens_at < closes_at", name="order"),
        CheckConstraint("reserve_percent BETWEEN 0 AND 50", name="reserve"),
        Index("ix_round_facility_id_state", "facility_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"))
    name: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(2000), default="")
    first_day: Mapped[date] = mapped_column()
    last_day: Mapped[date] = mapped_column()
    opens_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closes_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[RoundState] = mapped_column(by_value(RoundState))
    cap_minutes: Mapped[int | None] = mapped_column()
    budget: Mapped[Decimal | None] = mapped_column(Money)
    reserve_percent: Mapped[int] = mapped_column(default=3)
    weights: Mapped[dict[str, int]] = mapped_column(Json, default=dict)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    draft_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("solver_run.id"))
    version: Mapped[int] = mapped_column(default=1)

    facility: Mapped[Facility] = relationship(lazy="raise")
    shares: Mapped[list["RoundShare"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="RoundShare.id"
    )

    @property
    def counts(self) -> Weights:
        """What counts how much, the usual where nothing else was set."""
        return Weights(**self.weights)


class RoundShare(Base):
    """What a round promises to one kind of organisation, on the instruments of one category or on all.

    With a `region_code` only those of this region count, or of what lies in it.

    `floor_minutes` is the least it shall get, or `annual_minutes` what it shall get in the year, of which `rounds_left`
    rounds, this one counted, have the rest to give; `subsidy_percent` of the price is paid from the budget.
    """

    __tablename__ = "round_share"
    __table_args__ = (
        CheckConstraint("floor_minutes IS NULL OR annual_minutes IS NULL", name="one_promise"),
        CheckConstraint("subsidy_percent BETWEEN 0 AND 100", name="subsidy"),
        CheckConstraint("rounds_left >= 1", name="rounds"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[UUID] = mapped_column(ForeignKey("round.id", ondelete="CASCADE"), index=True)
    organisation_kind: Mapped[OrganisationKind] = mapped_column(by_value(OrganisationKind))
    region_code: Mapped[str | None] = mapped_column(String(6))
    category_code: Mapped[str | None] = mapped_column(String(12))
    floor_minutes: Mapped[int | None] = mapped_column()
    annual_minutes: Mapped[int | None] = mapped_column()
    rounds_left: Mapped[int] = mapped_column(default=1)
    subsidy_percent: Mapped[int] = mapped_column(default=0)


class RoundWish(Base):
    """What somebody wishes of a round: so many minutes on any of some instruments within a window.

    `priority` is 1 to 4, the highest served first where all else is equal. `reasons` are codes with figures that say
    why the draft serves it as it does; `booking_id` is what it became. A process has further steps, which follow on
    this one and are served with it or not at all.
    """

    __tablename__ = "round_wish"
    __table_args__ = (
        CheckConstraint("window_starts_at < window_ends_at AND minutes >= 1", name="figures"),
        CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
        Index("ix_round_wish_round_id_state", "round_id", "state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    round_id: Mapped[UUID] = mapped_column(ForeignKey("round.id", ondelete="CASCADE"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    window_starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    window_ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    minutes: Mapped[int] = mapped_column()
    priority: Mapped[int] = mapped_column(default=2)
    may_move: Mapped[bool] = mapped_column(default=False)
    keep_waiting: Mapped[bool] = mapped_column(default=True)
    purpose: Mapped[str] = mapped_column(String(2000), default="")
    state: Mapped[WishState] = mapped_column(by_value(WishState))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reasons: Mapped[list[dict[str, object]]] = mapped_column(Json, default=list)
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id"))

    person: Mapped[Person] = relationship(lazy="raise")
    choices: Mapped[list["RoundWishInstrument"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="RoundWishInstrument.rank"
    )
    following: Mapped[list["RoundWishStep"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="RoundWishStep.position"
    )


class RoundWishInstrument(Base):
    """An instrument that would do for a wish; the lowest rank is liked best."""

    __tablename__ = "round_wish_instrument"

    wish_id: Mapped[UUID] = mapped_column(ForeignKey("round_wish.id", ondelete="CASCADE"), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"), primary_key=True, index=True)
    rank: Mapped[int] = mapped_column(default=0)

    instrument: Mapped[Instrument] = relationship(lazy="raise")


class RoundWishStep(Base):
    """A step of a wish after the first: it begins `lag_least` to `lag_most` minutes after the one before it ends.

    `position` counts from 1. `instrument_id` and `starts_at` are where the published draft puts it.
    """

    __tablename__ = "round_wish_step"
    __table_args__ = (
        CheckConstraint("position >= 1 AND minutes >= 1", name="figures"),
        CheckConstraint("lag_least >= 0 AND lag_least <= lag_most", name="lag"),
    )

    wish_id: Mapped[UUID] = mapped_column(ForeignKey("round_wish.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    minutes: Mapped[int] = mapped_column()
    lag_least: Mapped[int] = mapped_column(default=0)
    lag_most: Mapped[int] = mapped_column(default=0)
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    choices: Mapped[list["RoundStepInstrument"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="RoundStepInstrument.rank"
    )


class RoundStepInstrument(Base):
    """An instrument that would do for a later step of a wish; the lowest rank is liked best."""

    __tablename__ = "round_step_instrument"
    __table_args__ = (
        ForeignKeyConstraint(
            ["wish_id", "position"],
            ["round_wish_step.wish_id", "round_wish_step.position"],
            ondelete="CASCADE",
        ),
    )

    wish_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"), primary_key=True, index=True)
    rank: Mapped[int] = mapped_column(default=0)

    instrument: Mapped[Instrument] = relationship(lazy="raise")


class RoundPin(Base):
    """What the manager has settled about a wish before a run: its place, or that it is left out.

    `following` holds the places of its further steps: the instrument's id and the start of each.
    """

    __tablename__ = "round_pin"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'place') = (instrument_id IS NOT NULL AND starts_at IS NOT NULL)", name="place"
        ),
    )

    wish_id: Mapped[UUID] = mapped_column(ForeignKey("round_wish.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[PinKind] = mapped_column(by_value(PinKind))
    instrument_id: Mapped[int | None] = mapped_column(ForeignKey("instrument.id"))
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    following: Mapped[list[list[object]]] = mapped_column(Json, default=list)
    reason: Mapped[str] = mapped_column(String(500), default="")
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
