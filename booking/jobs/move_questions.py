"""Ends what facilities asked owners of bookings, once the time to answer is over: silence moves nothing."""

from collections.abc import Callable
from datetime import UTC, datetime

from booking.config import Settings
from booking.db import reading
from booking.jobs.waitlist import each
from booking.services import move_questions


def run(_settings: Settings, halted: Callable[[], bool]) -> None:
    """End what nobody can answer any more, each in a transaction of its own."""
    turn(halted, now=datetime.now(UTC))


def turn(halted: Callable[[], bool], *, now: datetime) -> None:
    """End what nobody can answer by now."""
    with reading() as session:
        late = move_questions.over(session, now=now)
    each(late, halted, lambda session, one: move_questions.end(session, question_id=one, now=now))
