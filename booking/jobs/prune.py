"""Drops what has served its purpose."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import transaction
from booking.services import housekeeping


def run(_settings: Settings, _halted: Callable[[], bool]) -> None:
    """Drop all that is old enough."""
    with transaction() as session:
        housekeeping.prune(session, now=datetime.now(UTC))
