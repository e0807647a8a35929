"""Networks: alliances and city, provincial and national platforms that share one catalogue."""

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


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
