"""Jobs: who runs them now, and when each ran last."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime


class JobLease(Base):
    """The right to run the timetable, of which there is one row.

    `beat` rises while the holder lives; `fence` rises with every new holder, so that one who was away can
    tell that the right is gone. No time is kept: clocks may jump.
    """

    __tablename__ = "job_lease"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100), default="")
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    beat: Mapped[int] = mapped_column(BigInteger, default=0)


class JobRun(Base):
    """How a job went last: when it did what it had to, and when and why it did not."""

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    succeeded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(String(500), default="")
