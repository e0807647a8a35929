"""Instruments: whatever can be booked, with its policy, prices, capabilities and documents."""

import enum
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Numeric, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.pricing import CustomerClass, Unit
from models.base import Base, BigId, Json, Money, UtcDateTime, by_value
from models.facility import Facility


class InstrumentKind(enum.StrEnum):
    """What sort of thing is booked."""

    DEVICE = "device"
    STATION = "station"
    LINE = "line"
    BEAMLINE = "beamline"
    SPACE = "space"
    EXPERT = "expert"
    VIRTUAL = "virtual"


class OperatorNeed(enum.StrEnum):
    """When the facility's operator must be there."""

    ALWAYS = "always"
    START_STOP = "start_stop"
    NEW_USER = "new_user"
    SELF = "self"


class Category(Base):
    """A class of instruments in a scheme of codes, such as GB/T 32847—2016; its parent is the shorter code."""

    __tablename__ = "category"

    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    scheme: Mapped[str] = mapped_column(String(40), default="GB/T 32847-2016")
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"), index=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")


class Instrument(Base):
    """Anything bookable: a device, a station, a line, a beamline, a space, an expert, something virtual.

    `revision` counts every change of its calendar and is the row that writers of the ledger lock.
    What the sheet says of its policy is in minutes; None says nothing, so that the rules of its category, facility or
    network count.
    """

    __tablename__ = "instrument"
    __table_args__ = (
        CheckConstraint("units >= 1", name="units"),
        CheckConstraint(
            "step_minutes >= 1 AND shortest_minutes >= 1 AND notice_minutes >= 0"
            " AND setup_minutes >= 0 AND cleanup_minutes >= 0"
            " AND (longest_minutes IS NULL OR longest_minutes >= shortest_minutes)",
            name="policy",
        ),
        # All that facets are counted by: none of it changes when an instrument is booked.
        Index("ix_instrument_facility", "facility_id", "kind", "category_code", "published"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id"))
    category_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"), index=True)
    kind: Mapped[InstrumentKind] = mapped_column(by_value(InstrumentKind), index=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")
    model: Mapped[str] = mapped_column(String(300), default="")
    manufacturer: Mapped[str] = mapped_column(String(150), default="")
    location: Mapped[str] = mapped_column(String(300), default="")
    units: Mapped[int] = mapped_column(default=1)
    unit_name: Mapped[str] = mapped_column(String(60), default="")
    revision: Mapped[int] = mapped_column(BigId, default=1)

    published: Mapped[bool] = mapped_column(default=True)
    bookable: Mapped[bool] = mapped_column(default=True)
    approval_required: Mapped[bool] = mapped_column(default=False)
    confidential: Mapped[bool] = mapped_column(default=False)

    step_minutes: Mapped[int | None] = mapped_column()
    shortest_minutes: Mapped[int | None] = mapped_column()
    longest_minutes: Mapped[int | None] = mapped_column()
    notice_minutes: Mapped[int | None] = mapped_column()
    horizon_minutes: Mapped[int | None] = mapped_column()
    setup_minutes: Mapped[int | None] = mapped_column()
    cleanup_minutes: Mapped[int | None] = mapped_column()

    capacity: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    capacity_unit: Mapped[str] = mapped_column(String(60), default="")
    original_value_wan: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    operator_need: Mapped[OperatorNeed] = mapped_column(by_value(OperatorNeed), default=OperatorNeed.SELF)
    training_required: Mapped[bool] = mapped_column(default=False)
    modes: Mapped[list[str]] = mapped_column(Json, default=list)
    hazards: Mapped[list[str]] = mapped_column(Json, default=list)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    facility: Mapped[Facility] = relationship(lazy="raise")
    category: Mapped[Category | None] = relationship(lazy="raise")
    text: Mapped["InstrumentText"] = relationship(
        lazy="raise", back_populates="instrument", cascade="all, delete-orphan", uselist=False
    )
    capabilities: Mapped[list["Capability"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="Capability.tag"
    )
    prices: Mapped[list["InstrumentPrice"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="InstrumentPrice.valid_from"
    )
    documents: Mapped[list["Document"]] = relationship(
        lazy="raise", cascade="all, delete-orphan", order_by="Document.title"
    )


class InstrumentText(Base):
    """The long words of an instrument and what the search reads; apart, so that the locked row stays narrow.

    `search_text` is lower-case: names, model, maker, place, facility, category, capabilities, pinyin and initials.
    """

    __tablename__ = "instrument_text"

    instrument_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    about_zh: Mapped[str] = mapped_column(Text, default="")
    about_en: Mapped[str] = mapped_column(Text, default="")
    specifications_zh: Mapped[str] = mapped_column(Text, default="")
    specifications_en: Mapped[str] = mapped_column(Text, default="")
    rules_zh: Mapped[str] = mapped_column(Text, default="")
    rules_en: Mapped[str] = mapped_column(Text, default="")
    stations: Mapped[list[str]] = mapped_column(Json, default=list)
    search_text: Mapped[str] = mapped_column(Text, default="")

    instrument: Mapped[Instrument] = relationship(lazy="raise", back_populates="text")


class Part(Base):
    """A station of a line. Booking the line takes `units` of the station, None takes it whole."""

    __tablename__ = "instrument_part"
    __table_args__ = (CheckConstraint("line_id <> station_id", name="not_itself"),)

    line_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True)
    station_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(default=0)
    units: Mapped[int | None] = mapped_column()


class Capability(Base):
    """What an instrument can do: a tag, and for some a number with its unit (volume 50 L)."""

    __tablename__ = "capability"
    __table_args__ = (Index("ix_capability_tag", "tag", "value"),)

    instrument_id: Mapped[int] = mapped_column(
        ForeignKey("instrument.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    unit: Mapped[str] = mapped_column(String(40), default="")


class InstrumentPrice(Base):
    """A dated row of the price list: yuan per unit, tax included; `valid_to` is exclusive."""

    __tablename__ = "instrument_price"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("valid_to IS NULL OR valid_from < valid_to", name="dates"),
        Index("ix_instrument_price_instrument", "instrument_id", "valid_from"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    customer_class: Mapped[CustomerClass] = mapped_column(by_value(CustomerClass))
    unit: Mapped[Unit] = mapped_column(by_value(Unit))
    amount: Mapped[Decimal] = mapped_column(Money)
    valid_from: Mapped[date] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()


class Document(Base):
    """A paper of an instrument: a manual, a protocol, a rule; an address elsewhere."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(300))
    url: Mapped[str] = mapped_column(String(1000))


class FileSort(enum.StrEnum):
    """What a file of an instrument is."""

    PHOTO = "photo"
    DOCUMENT = "document"


class Readership(enum.StrEnum):
    """Who may read a file of an instrument, besides those who keep it."""

    EVERYONE = "everyone"
    SIGNED_IN = "signed_in"
    STAFF = "staff"


class InstrumentFile(Base):
    """A photo or a document of an instrument, kept here; the first photo stands for it in lists.

    Titles are captions; of a photo they say what it shows. `small` is a photo's small copy for lists.
    """

    __tablename__ = "instrument_file"
    __table_args__ = (Index("ix_instrument_file_instrument_id", "instrument_id", "sort", "position"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id", ondelete="CASCADE"))
    sort: Mapped[FileSort] = mapped_column(by_value(FileSort))
    title_zh: Mapped[str] = mapped_column(String(300), default="")
    title_en: Mapped[str] = mapped_column(String(300), default="")
    audience: Mapped[Readership] = mapped_column(by_value(Readership), default=Readership.EVERYONE)
    position: Mapped[int] = mapped_column(default=0)
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column()
    width: Mapped[int | None] = mapped_column()
    height: Mapped[int | None] = mapped_column()
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    small: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    small_type: Mapped[str] = mapped_column(String(100), default="")
    added_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
