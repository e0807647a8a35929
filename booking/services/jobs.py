"""Jobs: who may run the timetable, and how each job went last."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.orm import Session

from models import JobLease, JobRun

TIMETABLE = "timetable"
LONGEST_ERROR = 500

_FIRST_LEASE = text(
    "INSERT INTO job_lease (name, holder, fence, beat) VALUES (:name, '', 0, 0) ON CONFLICT DO NOTHING"
)
_FIRST_RUN = text("INSERT INTO job_run (job, error) VALUES (:job, '') ON CONFLICT DO NOTHING")


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has the right to run the timetable, and how often they have shown life."""

    holder: str
    fence: int
    beat: int


def lease(session: Session) -> Lease:
    """Give the lease as it stands; its holder is empty when it is free."""
    row = session.get(JobLease, TIMETABLE)
    return Lease(row.holder, row.fence, row.beat) if row else Lease("", 0, 0)


def seize(session: Session, *, holder: str, seen: Lease) -> int | None:
    """Take the lease from a holder who has shown no life since it was seen.

    Gives the fence of the new holder, or None if somebody was faster or the old one lives after all.
    """
    session.execute(_FIRST_LEASE, {"name": TIMETABLE})
    return session.scalars(
        update(JobLease)
        .where(JobLease.name == TIMETABLE, JobLease.fence == seen.fence, JobLease.beat == seen.beat)
        .values(holder=holder, fence=JobLease.fence + 1, beat=JobLease.beat + 1)
        .returning(JobLease.fence)
    ).one_or_none()


def renew(session: Session, *, fence: int) -> bool:
    """Show life; False says that the lease is somebody else's now."""
    beat = update(JobLease).where(*_held(fence)).values(beat=JobLease.beat + 1).returning(JobLease.beat)
    return session.scalars(beat).one_or_none() is not None


def resign(session: Session, *, fence: int) -> None:
    """Give the lease back, so that nobody need wait for it."""
    session.execute(update(JobLease).where(*_held(fence)).values(holder="", beat=JobLease.beat + 1))


def succeeded(session: Session, *, job: str, now: datetime) -> None:
    """Note that a job did what it had to."""
    _make_row(session, job)
    session.execute(update(JobRun).where(JobRun.job == job).values(succeeded_at=now, error=""))


def failed(session: Session, *, job: str, error: str, now: datetime) -> None:
    """Note that a job did not do what it had to, and why."""
    _make_row(session, job)
    why = error[:LONGEST_ERROR]
    session.execute(update(JobRun).where(JobRun.job == job).values(failed_at=now, error=why))


def runs(session: Session) -> list[JobRun]:
    """Give how the last runs of all jobs went, by name."""
    return list(session.scalars(select(JobRun).order_by(JobRun.job)))


def _make_row(session: Session, job: str) -> None:
    session.execute(_FIRST_RUN, {"job": job})


def _held(fence: int) -> tuple[ColumnElement[bool], ...]:
    return JobLease.name == TIMETABLE, JobLease.fence == fence
