"""Reminders: a word before a booking starts."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.services import notifications


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Record all reminders that are due; `deliver` sends them."""
    while not halted():
        with reading() as session:
            if not notifications.reminders_due(session, now=datetime.now(UTC)):
                return
        with transaction() as session:
            notifications.remind(session, now=datetime.now(UTC))
