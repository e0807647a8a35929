"""Gives time back that nobody came for: holds that ran out, requests that nobody decided in time."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import Unavailable, reading, transaction
from booking.domain.access import SYSTEM
from booking.services import expiry, occupation

_log = logging.getLogger(__name__)


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Release what has run out by now."""
    now = datetime.now(UTC)
    with reading() as session:
        holds = expiry.holds_over(session, now=now)
    if holds:
        with transaction() as session:
            occupation.release_expired(session, now=now)
    with reading() as session:
        overdue = expiry.overdue(session, now=now)
    for booking_id in overdue:
        if halted():
            return
        try:
            with transaction() as session:
                expiry.expire(session, actor=SYSTEM, booking_id=booking_id, now=now)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one booking that cannot expire must not keep the others
            _log.exception("a request could not expire", extra={"fields": {"booking": str(booking_id)}})
