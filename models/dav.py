"""Calendars as programs that speak CalDAV keep them: what a person calls them, and what changed when."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime


class DavCollection(Base):
    """A calendar of a person as their programs know it; `name` is its place in the address.

    `revision` counts what changed in it since it was first asked for, `tag` tells at a glance whether anything did.
    What was removed is told to programs that know a revision from `oldest` on.
    """

    __tablename__ = "dav_collection"
    __table_args__ = (
        UniqueConstraint("person_id", "name"),
        CheckConstraint("oldest <= revision", name="oldest"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    display_name: Mapped[str] = mapped_column(String(200), default="")
    colour: Mapped[str] = mapped_column(String(20), default="")
    position: Mapped[int | None] = mapped_column()
    revision: Mapped[int] = mapped_column(default=0)
    oldest: Mapped[int] = mapped_column(default=0)
    tag: Mapped[str] = mapped_column(String(64), default="")


class DavObject(Base):
    """An event of such a calendar: the name in its address, and when it last changed or went.

    `client_uid` is what the program that put it there calls it; we have an UID of our own, `event_uid`.
    """

    __tablename__ = "dav_object"
    __table_args__ = (
        Index("ix_dav_object_event", "collection_id", "event_uid", unique=True),
        Index("ix_dav_object_revision", "collection_id", "revision"),
    )

    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("dav_collection.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    event_uid: Mapped[str] = mapped_column(String(300))
    client_uid: Mapped[str] = mapped_column(String(300), default="")
    etag: Mapped[str] = mapped_column(String(64), default="")
    revision: Mapped[int] = mapped_column(default=0)
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
