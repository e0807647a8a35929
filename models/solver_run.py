"""Runs of the solver: asked for by people, done by a process of its own, looked at while it works."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Json, UtcDateTime, by_value


class RunKind(enum.StrEnum):
    """What is solved: the wishes of a round, or the repair of a calendar after an outage."""

    POOL = "pool"
    REPAIR = "repair"


class RunState(enum.StrEnum):
    """Where a run stands; one that was stopped has the best plan found till then."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class SolverRun(Base):
    """One run: what it was given, how far it is, what it found.

    `document` is the input, compressed JSON, whose SHA-256 is `fingerprint`; `names` tells what its numbers mean.
    `beat_at` is the last sign of life: a run without any for a while begins anew. Objective and bound are points.
    """

    __tablename__ = "solver_run"
    __table_args__ = (
        Index(
            "ix_solver_run_open",
            "asked_at",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_solver_run_subject", "subject"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[RunKind] = mapped_column(by_value(RunKind))
    subject: Mapped[UUID] = mapped_column()
    state: Mapped[RunState] = mapped_column(by_value(RunState))
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    beat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seconds: Mapped[int] = mapped_column()
    seed: Mapped[int] = mapped_column()
    stop_asked: Mapped[bool] = mapped_column(default=False)
    phase: Mapped[str] = mapped_column(String(40), default="")
    share: Mapped[int] = mapped_column(default=0)
    objective: Mapped[int | None] = mapped_column(BigInteger)
    bound: Mapped[int | None] = mapped_column(BigInteger)
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    document: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    names: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error: Mapped[str] = mapped_column(String(500), default="")
