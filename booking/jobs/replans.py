"""Does to displaced bookings what their owners agreed to, once the time to answer a proposal is over."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading
from booking.jobs.waitlist import each
from booking.services import proposals


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """Settle what nobody answered, each in a transaction of its own."""
    turn(halted, now=datetime.now(UTC))


def turn(halted: Callable[[], bool], *, now: datetime) -> None:
    """Settle what nobody has answered by now."""
    with reading() as session:
        late = proposals.unanswered(session, now=now)
    each(late, halted, lambda session, one: proposals.silent(session, proposal_id=one, now=now))
