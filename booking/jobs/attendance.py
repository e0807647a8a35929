"""Keeps the day in order: who did not come, who did not leave, who did not say how it went."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import Session, Unavailable, reading, transaction
from booking.domain.access import SYSTEM
from booking.services import attendance

_log = logging.getLogger(__name__)

Work = Callable[[Session, UUID, datetime], object]


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Note what there is to note by now, each booking in a transaction of its own."""
    keep(datetime.now(UTC), halted)


def keep(now: datetime, halted: Callable[[], bool] = lambda: False) -> None:
    """Note what there is to note by a time; doing it again changes nothing."""
    with reading() as session:
        missed = [
            booking_id
            for booking_id in attendance.perhaps_missed(session, now=now)
            if attendance.is_missed(session, actor=SYSTEM, booking_id=booking_id, now=now)
        ]
        over = attendance.overrunning(session, now=now)
    _each(missed, _miss, now, halted)
    _each(over, _overrun, now, halted)


def run_feedback(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Note of whom nothing was heard after their use."""
    keep_feedback(datetime.now(UTC), halted)


def keep_feedback(now: datetime, halted: Callable[[], bool] = lambda: False) -> None:
    """Note of whom nothing was heard by a time; doing it again changes nothing."""
    with reading() as session:
        unspoken = attendance.unspoken(session, now=now)
    _each(unspoken, _silence, now, halted)


def _miss(session: Session, booking_id: UUID, now: datetime) -> object:
    return attendance.miss(session, actor=SYSTEM, booking_id=booking_id, now=now)


def _overrun(session: Session, booking_id: UUID, now: datetime) -> object:
    return attendance.overrun(session, actor=SYSTEM, booking_id=booking_id, now=now)


def _silence(session: Session, booking_id: UUID, now: datetime) -> object:
    return attendance.note_silence(session, actor=SYSTEM, booking_id=booking_id, now=now)


def _each(ids: Iterable[UUID], work: Work, now: datetime, halted: Callable[[], bool]) -> None:
    for booking_id in ids:
        if halted():
            return
        try:
            with transaction() as session:
                work(session, booking_id, now)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one booking that cannot be noted must not keep the others
            _log.exception("attendance could not be noted", extra={"fields": {"booking": str(booking_id)}})
