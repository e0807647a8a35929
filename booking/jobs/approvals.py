"""Looks after requests that wait: gives them their steps, reminds, takes silence further, lets them end in time."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import Session, Unavailable, reading, transaction
from booking.services import approvals_due

_log = logging.getLogger(__name__)


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Do all that is due by now; each request in a transaction of its own."""
    now = datetime.now(UTC)
    each(approvals_due.without_steps, _adopt, now, halted)
    each(approvals_due.to_remind, _remind, now, halted)
    each(approvals_due.due, _settle, now, halted)


def each(
    find: Callable[..., Sequence[UUID]],
    do: Callable[[Session, UUID, datetime], object],
    now: datetime,
    halted: Callable[[], bool],
) -> None:
    """Do one thing to all that are found; what fails once comes up again, and keeps no other."""
    with reading() as session:
        found = find(session, now=now)
    for thing_id in found:
        if halted():
            return
        try:
            with transaction() as session:
                do(session, thing_id, now)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one request that fails must not keep the others
            _log.exception("a request could not be seen to", extra={"fields": {"thing": str(thing_id)}})


def _adopt(session: Session, booking_id: UUID, now: datetime) -> None:
    approvals_due.adopt(session, booking_id=booking_id, now=now)


def _remind(session: Session, step_id: UUID, now: datetime) -> None:
    approvals_due.remind(session, step_id=step_id, now=now)


def _settle(session: Session, step_id: UUID, now: datetime) -> None:
    approvals_due.settle(session, step_id=step_id, now=now)
