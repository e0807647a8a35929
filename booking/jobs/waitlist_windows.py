"""Ends the places in the line whose window is over, and looks what has come near for those on standby."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.jobs.waitlist import each
from booking.services import standing_by, waitlist


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """End what can no longer be served."""
    now = datetime.now(UTC)
    with reading() as session:
        late = waitlist.too_late(session, now=now)
    each(late, halted, lambda session, one: waitlist.lapse(session, entry_id=one, now=now))
    with transaction() as session:
        standing_by.look_for_standby(session, now=now)
