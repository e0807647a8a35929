"""Coming and going: late, early, over time, or not at all; by the clock of the booking, never by that of a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from booking.domain.spans import Span

FEEDBACK_WITHIN = timedelta(hours=24)
"""How long after a use its person is waited for to say how it went."""

REGRET = timedelta(minutes=5)
"""So soon after it was placed a booking can be taken back, however near its start is."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What an instrument bears, in minutes.

    `grace`: who has not come so long after the start has missed the booking; None is never. `late_allowed`: who
    comes late, but within the grace, may still use it. `tolerance`: what is shorter is neither late, early nor over
    time. `overtime_limit`: who has not checked out so long after the end counts as gone. `late_cancellation`: who
    cancels nearer to the start than this does so late.
    """

    grace: int | None = 30
    late_allowed: bool = True
    tolerance: int = 5
    overtime_limit: int = 120
    late_cancellation: int = 60


def manners(said: Mapping[str, int | None]) -> Manners:
    """Give what the rules say, and the defaults where they say nothing."""
    default = Manners()

    def minutes(name: str, otherwise: int) -> int:
        value = said.get(name)
        return otherwise if value is None else value

    return Manners(
        grace=said.get("grace", default.grace),
        late_allowed=bool(minutes("late_allowed", int(default.late_allowed))),
        tolerance=minutes("tolerance", default.tolerance),
        overtime_limit=minutes("overtime_limit", default.overtime_limit),
        late_cancellation=minutes("late_cancellation", default.late_cancellation),
    )


def missed_at(span: Span, known: Manners) -> datetime | None:
    """Give when a booking is missed to which nobody came; None if it never is."""
    if known.grace is None:
        return None
    return min(span.start + timedelta(minutes=known.grace), span.end)


def called_missed_from(span: Span, known: Manners) -> datetime:
    """Give from when on staff may say that nobody came: when it is missed, or late where it never is by itself."""
    return missed_at(span, known) or min(span.start + timedelta(minutes=known.tolerance + 1), span.end)


def check_in_closes(span: Span, known: Manners) -> datetime:
    """Give from when on it is too late to check in."""
    if not known.late_allowed:
        return min(span.start + timedelta(minutes=known.tolerance + 1), missed_at(span, known) or span.end)
    return missed_at(span, known) or span.end


def gone_at(span: Span, next_start: datetime | None, known: Manners) -> datetime:
    """Give when somebody who does not check out counts as gone: the next one's start, or the end of patience.

    Everybody has the tolerance to check out by themselves.
    """
    latest = span.end + timedelta(minutes=known.overtime_limit)
    if next_start is not None:
        latest = min(latest, next_start)
    return max(latest, span.end + timedelta(minutes=known.tolerance + 1))


def late(span: Span, came: datetime, known: Manners) -> int:
    """Give by how many minutes somebody came late; within the tolerance none."""
    return _beyond(came - span.start, known.tolerance)


def early(span: Span, went: datetime, known: Manners) -> int:
    """Give how many minutes before the end somebody left; within the tolerance none."""
    return _beyond(span.end - max(went, span.start), known.tolerance)


def overtime(span: Span, went: datetime, known: Manners) -> int:
    """Give by how many minutes somebody stayed too long; within the tolerance none."""
    return _beyond(went - span.end, known.tolerance)


def _beyond(length: timedelta, tolerance: int) -> int:
    minutes = int(length // timedelta(minutes=1))
    return minutes if minutes > tolerance else 0


def cancels_late(span: Span, at: datetime, *, placed: datetime, known: Manners) -> bool:
    """Tell whether who cancels at this time does so too late for others to make use of it."""
    near = at > span.start - timedelta(minutes=known.late_cancellation)
    return near and at - placed > REGRET
