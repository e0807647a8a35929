"""Transfers: offers of bookings that have begun or were given up end."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.services import transfers


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """End all offers that nobody can accept any more."""
    while not halted():
        now = datetime.now(UTC)
        with reading() as session:
            if not transfers.anything_lapsed(session, now=now):
                return
        with transaction() as session:
            if not transfers.lapse(session, now=now):
                return  # somebody is answering them at this moment
