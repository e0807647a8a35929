"""Certificates: a word before they run out."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.services import qualifications


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Record what runs out in 30 and in 7 days; `deliver` tells the holders."""
    while not halted():
        now = datetime.now(UTC)
        with reading() as session:
            if not qualifications.anything_runs_out(session, now=now):
                return
        with transaction() as session:
            qualifications.warn(session, now=now)
