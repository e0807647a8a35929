"""People and what they are where."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.domain.access import Role
from models.base import Base, BigId, UtcDateTime, by_value


class PersonState(enum.StrEnum):
    """Whether the person may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Person(Base):
    """Somebody with an account. `email` is kept in lower case."""

    __tablename__ = "person"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(150))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[PersonState] = mapped_column(by_value(PersonState), default=PersonState.ACTIVE)
    locale: Mapped[str | None] = mapped_column(String(16))
    zone: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    email_confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    toured_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When they were shown round, or would rather not be."""

    memberships: Mapped[list["Membership"]] = relationship(
        lazy="raise", back_populates="person", cascade="all, delete-orphan"
    )


class Membership(Base):
    """A role of a person in one organisation, facility or network; an administrator's has no place."""

    __tablename__ = "membership"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN organisation_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN facility_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN network_id IS NULL THEN 0 ELSE 1 END)"
            " = (CASE WHEN role = 'administrator' THEN 0 ELSE 1 END)",
            name="one_place",
        ),
        Index("ix_membership_person", "person_id"),
        Index("ix_membership_facility", "facility_id"),
        Index("ix_membership_organisation", "organisation_id"),
        Index("ix_membership_network", "network_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    role: Mapped[Role] = mapped_column(by_value(Role))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id", ondelete="CASCADE"))
    facility_id: Mapped[int | None] = mapped_column(ForeignKey("facility.id", ondelete="CASCADE"))
    network_id: Mapped[int | None] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"))

    person: Mapped[Person] = relationship(lazy="raise", back_populates="memberships")


class MembershipRequest(Base):
    """The organisation that somebody named at sign-up and that has not answered yet; it gives no right."""

    __tablename__ = "membership_request"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(
        ForeignKey("organisation.id", ondelete="CASCADE"), index=True
    )
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
