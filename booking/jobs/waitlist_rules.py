"""Looks at every instrument that somebody waits for: rules, hours and units change, and days come near."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import transaction
from booking.services import turns


def run(_settings: Settings, _halted: Callable[[], bool]) -> None:
    """Have the next turn of the line look at them all."""
    with transaction() as session:
        turns.look_at_all(session, now=datetime.now(UTC))
