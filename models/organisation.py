"""Organisations: legal units that operate facilities or use them."""

import enum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, by_value


class OrganisationKind(enum.StrEnum):
    """What sort of unit it is."""

    UNIVERSITY = "university"
    RESEARCH_INSTITUTE = "research_institute"
    ENTERPRISE = "enterprise"
    PUBLIC_INSTITUTION = "public_institution"
    MAJOR_INFRASTRUCTURE = "major_infrastructure"


class Organisation(Base):
    """A legal unit; `region_code` is the GB/T 2260 code of where it is registered, empty where nobody said."""

    __tablename__ = "organisation"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(300))
    name_en: Mapped[str] = mapped_column(String(300), default="")
    kind: Mapped[OrganisationKind] = mapped_column(by_value(OrganisationKind))
    region_code: Mapped[str] = mapped_column(String(6), default="")
    uscc: Mapped[str | None] = mapped_column(String(18), unique=True)
