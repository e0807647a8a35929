"""Looks at every instrument that somebody waits for: rules, hours and units change, and days come near.

Those that were asked for by their abilities are found anew before.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading, transaction
from booking.jobs.waitlist import each
from booking.services import turns, wish_matches


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Find anew what was asked for by ability, and have the next turn of the line look at all."""
    now = datetime.now(UTC)
    with reading() as session:
        found = wish_matches.to_match(session, now=now)
    each(found, halted, lambda session, one: wish_matches.match_anew(session, entry_id=one, now=now))
    with transaction() as session:
        turns.look_at_all(session, now=now)
