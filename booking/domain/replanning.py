"""Replanning after an outage: states of a replan and of a proposal, and what silence means."""

import enum
from datetime import datetime, timedelta

SOONEST = timedelta(hours=1)
"""Nobody has less time to answer."""

USUAL = timedelta(days=2)
"""Whoever has time enough is given so much to answer."""

FLEX = timedelta(days=1)
"""Who agrees to be moved so that others find room is moved by no more than this."""


class Cause(enum.StrEnum):
    """What displaces bookings: closures, other hours or days off, an instrument withdrawn, busy elsewhere, a permit.

    Several instruments that are closed together are one cause: what stands on any of them is put elsewhere at once.
    """

    CLOSURE = "closure"
    CLOSURES = "closures"
    HOURS = "hours"
    WORKING_DAYS = "working_days"
    WITHDRAWN = "withdrawn"
    ELSEWHERE = "elsewhere"
    PERMIT = "permit"


class ReplanState(enum.StrEnum):
    """Where a replan stands: repairs are looked for or can be chosen, people are asked, it is over."""

    OPEN = "open"
    SENT = "sent"
    OVER = "over"


class IfSilent(enum.StrEnum):
    """What shall become of a displaced booking of which its owner says nothing; agreed to when it is booked."""

    STAY = "stay"
    MOVE = "move"
    CANCEL = "cancel"
    WAIT = "wait"


class ProposalKind(enum.StrEnum):
    """What is proposed: another time on the instrument, an equal instrument, several parts, or nothing at all."""

    LATER = "later"
    ELSEWHERE = "elsewhere"
    SPLIT = "split"
    NO_PLACE = "no_place"


class ProposalState(enum.StrEnum):
    """What became of a proposal; `overtaken` no longer fits the calendar or the booking."""

    OPEN = "open"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    WAITING = "waiting"
    SILENT = "silent"
    OVERTAKEN = "overtaken"
    WITHDRAWN = "withdrawn"


class Answer(enum.StrEnum):
    """What one may say to a proposal: take it, give the booking up, or give it up and wait in line."""

    ACCEPT = "accept"
    CANCEL = "cancel"
    WAIT = "wait"


def answer_by(now: datetime, starts_at: datetime, proposed: datetime | None) -> datetime:
    """Give until when somebody may answer: two days, but before the earlier of both times, and an hour at least."""
    first = min(starts_at, proposed) if proposed is not None else starts_at
    return max(now + SOONEST, min(now + USUAL, first - SOONEST))


def on_silence(agreed: IfSilent, kind: ProposalKind) -> Answer | None:
    """Give the answer that silence stands for; None leaves the booking as it is, for its facility to settle."""
    if agreed is IfSilent.MOVE:
        return None if kind is ProposalKind.NO_PLACE else Answer.ACCEPT
    return {IfSilent.CANCEL: Answer.CANCEL, IfSilent.WAIT: Answer.WAIT}.get(agreed)
