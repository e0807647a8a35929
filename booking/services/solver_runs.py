"""Runs of the solver: asked for, taken up by the process that solves, told how far they are, stopped, ended."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select, union_all, update
from sqlalchemy.orm import Session, undefer

from booking.domain.access import NotFound
from booking.domain.rules import Invalid
from models import Replan, Round, RunKind, RunState, SolverRun

SILENCE = timedelta(seconds=60)
"""A run that showed no life for so long has lost its process, and begins anew."""

LONGEST = 15 * 60
"""Seconds that a run may be given at most."""

MOST_SEED = 2**31 - 1
OPEN = (RunState.QUEUED, RunState.RUNNING)
ENDED = (RunState.DONE, RunState.STOPPED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: its phase, the part of its time that is over in per cent, the best plan and its bound."""

    phase: str
    share: int
    objective: int | None = None
    bound: int | None = None


def ask(
    session: Session,
    *,
    kind: RunKind,
    subject: UUID,
    document: Mapping[str, Any],
    fingerprint: str,
    names: Mapping[str, Any],
    seconds: int,
    seed: int,
    asked_by: UUID | None,
    now: datetime,
) -> SolverRun:
    """Queue a run over a document; what was asked for the same subject before and is still open is stopped.

    :raises Invalid: if it is given no time, or too much, or an impossible seed
    """
    if not 1 <= seconds <= LONGEST:
        raise Invalid({"seconds": "out_of_range"})
    if not 0 <= seed <= MOST_SEED:
        raise Invalid({"seed": "out_of_range"})
    stop_all(session, kind=kind, subject=subject)
    run = SolverRun(
        kind=kind,
        subject=subject,
        state=RunState.QUEUED,
        asked_by=asked_by,
        asked_at=now,
        seconds=seconds,
        seed=seed,
        fingerprint=fingerprint,
        document=zlib.compress(json.dumps(document).encode()),
        names=dict(names),
    )
    session.add(run)
    session.flush()
    return run


def get(session: Session, run_id: UUID) -> SolverRun:
    """Give a run.

    :raises NotFound: if there is none
    """
    run = session.get(SolverRun, run_id)
    if run is None:
        raise NotFound("run", run_id)
    return run


def of(session: Session, *, kind: RunKind, subject: UUID) -> list[SolverRun]:
    """Give the runs of a subject, the newest first."""
    query = select(SolverRun).where(SolverRun.kind == kind, SolverRun.subject == subject)
    return list(session.scalars(query.order_by(SolverRun.asked_at.desc(), SolverRun.id)))


def stop_all(session: Session, *, kind: RunKind, subject: UUID) -> None:
    """Ask all open runs of a subject to stop; what only waits ends at once."""
    mine = and_(SolverRun.kind == kind, SolverRun.subject == subject)
    _stop(session, mine)


def stop(session: Session, *, run_id: UUID) -> None:
    """Ask one run to stop with the best it has; one that only waits ends at once."""
    _stop(session, SolverRun.id == run_id)


def _stop(session: Session, which: ColumnElement[bool]) -> None:
    queued = update(SolverRun).where(which, SolverRun.state == RunState.QUEUED)
    session.execute(queued.values(state=RunState.STOPPED, stop_asked=True))
    running = update(SolverRun).where(which, SolverRun.state == RunState.RUNNING)
    session.execute(running.values(stop_asked=True))


def prune(session: Session, *, before: datetime) -> None:
    """Drop runs that were asked for long ago and that neither a round nor a replan names; what is under way stays."""
    named = union_all(
        select(Replan.run_id).where(Replan.run_id.is_not(None)),
        select(Round.draft_run_id).where(Round.draft_run_id.is_not(None)),
    )
    over = and_(SolverRun.asked_at < before, SolverRun.state.not_in(OPEN), SolverRun.id.not_in(named))
    session.execute(delete(SolverRun).where(over))


# --- for the process that solves ------------------------------------------------------------------


def take_up(session: Session, *, now: datetime) -> SolverRun | None:
    """Give the run that waits longest, with its document, as begun; one whose process has died waits again."""
    waits = or_(
        SolverRun.state == RunState.QUEUED,
        and_(SolverRun.state == RunState.RUNNING, SolverRun.beat_at < now - SILENCE),
    )
    first = session.scalars(select(SolverRun.id).where(waits).order_by(SolverRun.asked_at).limit(1)).first()
    if first is None:
        return None
    begun = update(SolverRun).where(SolverRun.id == first, waits)
    values = {"state": RunState.RUNNING, "started_at": now, "beat_at": now, "phase": "", "share": 0}
    if session.scalars(begun.values(**values).returning(SolverRun.id)).one_or_none() is None:
        return None
    query = select(SolverRun).where(SolverRun.id == first).options(undefer(SolverRun.document))
    return session.scalars(query.execution_options(populate_existing=True)).one()


def document_of(run: SolverRun) -> Any:
    """Give the input of a run that was read with its document."""
    return json.loads(zlib.decompress(run.document))


def with_document(session: Session, run: SolverRun) -> Any:
    """Give the input of a run."""
    return json.loads(
        zlib.decompress(session.scalars(select(SolverRun.document).where(SolverRun.id == run.id)).one())
    )


def beat(session: Session, *, run_id: UUID, progress: Progress, now: datetime) -> bool:
    """Tell how far a run is; False says that it shall stop, or is nobody's business any more."""
    told = update(SolverRun).where(SolverRun.id == run_id, SolverRun.state == RunState.RUNNING)
    values = {
        "beat_at": now,
        "phase": progress.phase[:40],
        "share": progress.share,
        "objective": progress.objective,
        "bound": progress.bound,
    }
    asked = session.scalars(told.values(**values).returning(SolverRun.stop_asked)).one_or_none()
    return asked is False


def end(session: Session, *, run_id: UUID, result: Mapping[str, Any], now: datetime) -> SolverRun:
    """Keep what a run has found; one that was asked to stop has ended as such."""
    run = get(session, run_id)
    run.state = RunState.STOPPED if run.stop_asked else RunState.DONE
    run.ended_at, run.share, run.result = now, 100, dict(result)
    run.objective, run.bound = result.get("objective"), result.get("bound")
    session.flush()
    return run


def fail(session: Session, *, run_id: UUID, error: str, now: datetime) -> None:
    """Note that a run found nothing, and why."""
    run = get(session, run_id)
    run.state, run.ended_at, run.error = RunState.FAILED, now, error[:500]
    session.flush()
