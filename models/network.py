"""Networks: alliances and city, provincial and national platforms that share one catalogue."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, by_value


class Network(Base):
    """A sharing network of facilities; pages under its `host` carry its name, logo and accent, a colour as #rrggbb."""

    __tablename__ = "network"
    __table_args__ = (Index("ux_network_host", "host", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")
    short_zh: Mapped[str] = mapped_column(String(60), default="")
    short_en: Mapped[str] = mapped_column(String(60), default="")
    host: Mapped[str | None] = mapped_column(String(253))
    accent: Mapped[str] = mapped_column(String(7), default="")
    footer_zh: Mapped[str] = mapped_column(String(500), default="")
    footer_en: Mapped[str] = mapped_column(String(500), default="")
    contact: Mapped[str] = mapped_column(String(300), default="")


class NetworkLogo(Base):
    """The picture of a network, by its content a PNG, JPEG or WebP."""

    __tablename__ = "network_logo"

    network_id: Mapped[int] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(40))
    digest: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class NetworkFacility(Base):
    """A facility's membership in a network."""

    __tablename__ = "network_facility"

    network_id: Mapped[int] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"), primary_key=True)
    facility_id: Mapped[int] = mapped_column(
        ForeignKey("facility.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class JoinState(enum.StrEnum):
    """What became of a request to join."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class NetworkRequest(Base):
    """A facility asks to join a network, or the network asks it to; the other side answers. At most one is open."""

    __tablename__ = "network_request"
    __table_args__ = (
        Index(
            "ix_network_request_open",
            "network_id",
            "facility_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_network_request_facility_id", "facility_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    network_id: Mapped[int] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"))
    facility_id: Mapped[int] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    by_facility: Mapped[bool] = mapped_column()
    state: Mapped[JoinState] = mapped_column(by_value(JoinState))
    note: Mapped[str] = mapped_column(String(500), default="")
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(500), default="")
