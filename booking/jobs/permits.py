"""Permits of instruments: a word before they run out, and when they have."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.services import permits


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Record what runs out in 60, 30 and 7 days, and what is over; `deliver` tells the managers."""
    if halted():
        return
    now = datetime.now(UTC)
    with reading() as session:
        if not permits.anything_runs_out(session, now=now):
            return
    with transaction() as session:
        permits.warn(session, now=now)
