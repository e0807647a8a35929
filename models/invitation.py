"""Invitations: bookings that were mailed as meetings, what people answered, and meetings that book instruments."""

import enum
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, UtcDateTime, by_value
from models.booking import Booking
from models.instrument import Instrument


class Invitation(Base):
    """The last that was mailed to somebody of one event; its `sequence` never falls.

    `position` is -1 where all items share one span, else that of the item. `answer` is what the person's calendar
    said last, with the DTSTAMP and SEQUENCE of its reply.
    """

    __tablename__ = "invitation"
    __table_args__ = (Index("ix_invitation_person", "person_id"),)

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column()
    cancelled: Mapped[bool] = mapped_column(default=False)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer: Mapped[str] = mapped_column(String(20), default="")
    answer_sequence: Mapped[int | None] = mapped_column()
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class QuestionKind(enum.StrEnum):
    """What the answer of a calendar makes us ask: whether to cancel, or whether to move."""

    DECLINED = "declined"
    COUNTERED = "countered"


class QuestionState(enum.StrEnum):
    """What became of the question: done as it asked, left as it was, overtaken, taken back, or met by silence."""

    OPEN = "open"
    DONE = "done"
    LEFT = "left"
    OVER = "over"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class CalendarQuestion(Base):
    """What is asked of a person whose calendar declined a booking or proposed another time for it.

    With `asked_by` it was no calendar: a manager of the facility proposes the other time, which is held until
    `answer_by`; silence leaves the booking where it is.
    """

    __tablename__ = "calendar_question"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'countered') = (starts_at IS NOT NULL) AND (starts_at IS NULL) = (ends_at IS NULL)",
            name="span",
        ),
        CheckConstraint("starts_at IS NULL OR starts_at < ends_at", name="order"),
        Index(
            "ix_calendar_question_open",
            "booking_id",
            "person_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        # Few questions are open, and the job that ends those of managers comes often.
        Index(
            "ix_calendar_question_by_staff",
            "answer_by",
            sqlite_where=text("state = 'open' AND asked_by IS NOT NULL"),
            postgresql_where=text("state = 'open' AND asked_by IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column()
    kind: Mapped[QuestionKind] = mapped_column(by_value(QuestionKind))
    state: Mapped[QuestionState] = mapped_column(by_value(QuestionState), default=QuestionState.OPEN)
    booking_sequence: Mapped[int] = mapped_column()
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    answer_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("hold.id", ondelete="SET NULL"))

    booking: Mapped[Booking] = relationship(lazy="raise")


class Meeting(Base):
    """One date of a foreign meeting to which an instrument was invited, and the booking that it became, if any.

    `told` is the version of the booking of which the meeting's calendar was last told. Organiser and attendee are
    kept as they stood, since an answer must repeat them.
    """

    __tablename__ = "meeting"
    __table_args__ = (
        UniqueConstraint("person_id", "instrument_id", "uid", "recurrence"),
        Index(
            "ix_meeting_booking",
            "booking_id",
            sqlite_where=text("booking_id IS NOT NULL"),
            postgresql_where=text("booking_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instrument.id"))
    uid: Mapped[str] = mapped_column(String(255))
    recurrence: Mapped[str] = mapped_column(String(20), default="")
    sequence: Mapped[int] = mapped_column()
    stamp: Mapped[datetime | None] = mapped_column(UtcDateTime)
    organizer: Mapped[str] = mapped_column(String(300))
    attendee: Mapped[str] = mapped_column(String(300))
    summary: Mapped[str] = mapped_column(String(300), default="")
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    booking_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking.id", ondelete="SET NULL"))
    told: Mapped[int] = mapped_column(default=0)

    instrument: Mapped[Instrument] = relationship(lazy="raise")


class MailSecret(Base):
    """Which of a person's secrets for inviting instruments counts; the secret itself is made from a key."""

    __tablename__ = "mail_secret"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    serial: Mapped[int] = mapped_column()


class InboundMail(Base):
    """A message that came in, by the hash of its Message-ID, so that it is read once; and what came of it."""

    __tablename__ = "inbound_mail"
    __table_args__ = (Index("ix_inbound_mail_received_at", "received_at"),)

    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(20), default="")
