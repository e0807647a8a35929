"""Lets a process of its own solve what was asked for, keeps its progress, and stops it when it is told to."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from booking.config import Settings
from booking.db import reading, transaction
from booking.gateways import solver
from booking.services import round_drafts, rounds, solver_runs
from booking.services.solver_runs import Progress

BEAT = timedelta(seconds=1)
"""How often it is kept how far a run is."""

PATIENCE = timedelta(seconds=30)
"""So long past its time, or past being told to stop, a run is ended by force."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Work:
    run_id: UUID
    kind: str
    document: Any
    seconds: int
    seed: int


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Close rounds whose time is over, then solve what waits, one after the other."""
    _close_rounds(halted)
    while not halted():
        with transaction() as session:
            found = solver_runs.take_up(session, now=_now())
            work = found and _Work(
                found.id, found.kind.value, solver_runs.document_of(found), found.seconds, found.seed
            )
        if not work:
            return
        _solve(work, halted)


def _close_rounds(halted: Callable[[], bool]) -> None:
    with reading() as session:
        due = rounds.due(session, now=_now())
    for round_id in due:
        if halted():
            return
        with transaction() as session:
            if rounds.close_in_time(session, round_id=round_id, now=_now()):
                round_drafts.ask_first(session, round_id=round_id, now=_now())


def _solve(work: _Work, halted: Callable[[], bool]) -> None:
    request = {"kind": work.kind, "document": work.document, "seconds": work.seconds, "seed": work.seed}
    with solver.started(request) as process:
        _follow(work, process, halted)


def _follow(work: _Work, process: solver.Solver, halted: Callable[[], bool]) -> None:
    """Keep what the process tells until it has an answer; once halted, whoever leads next begins the run anew."""
    progress = Progress("", 0)
    told = _now()
    deadline = told + timedelta(seconds=work.seconds) + PATIENCE
    asked_to_stop = False
    while not halted():
        message = process.next(BEAT.total_seconds())
        now = _now()
        if message is not None and "progress" in message:
            progress = Progress(**message["progress"])
        elif message is not None:
            return _keep(work, message, now)
        if now - told < BEAT:
            continue
        told = now
        with transaction() as session:
            wanted = solver_runs.beat(session, run_id=work.run_id, progress=progress, now=now)
        if not wanted and not asked_to_stop:
            asked_to_stop, deadline = True, now + PATIENCE
            process.stop()
        if now > deadline:
            return _keep(work, {"error": "no answer in time"}, now)
    return None


def _keep(work: _Work, message: dict[str, Any], now: datetime) -> None:
    with transaction() as session:
        if "result" in message:
            solver_runs.end(session, run_id=work.run_id, result=message["result"], now=now)
            return
        solver_runs.fail(session, run_id=work.run_id, error=message["error"], now=now)
    _log.error("the solver failed", extra={"fields": {"run": str(work.run_id), "error": message["error"]}})


def _now() -> datetime:
    return datetime.now(UTC)
