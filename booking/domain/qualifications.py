"""Qualifications: which are needed, whether one is held on a day, and when its end is called to mind."""

import calendar
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from booking.domain.policy import Moment, Rule, RuleKind, nearest

WARNINGS = (30, 7)
"""So many days before it runs out its holder is told, each once."""

RENEWABLE = timedelta(days=60)
"""So long before its end a qualification may be asked for anew."""


class Mode(enum.StrEnum):
    """When a qualification must be held: to book at all, by the start, or, where a nearer rule lifts it, not."""

    BEFORE_BOOKING = "before_booking"
    BEFORE_START = "before_start"
    WAIVED = "waived"


class Step(enum.StrEnum):
    """How far somebody has come; the states of a certificate."""

    REQUESTED = "requested"
    SCHEDULED = "scheduled"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"


class Standing(enum.StrEnum):
    """How somebody stands to a qualification on a day."""

    HELD = "held"
    NONE = "none"
    REQUESTED = "requested"
    SCHEDULED = "scheduled"
    EXPIRED = "expired"
    ENDS_BEFORE = "ends_before"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Paper:
    """A certificate, as far as it decides; it counts until `expires_on`, exclusive."""

    step: Step
    expires_on: date | None = None

    def covers(self, day: date) -> bool:
        """Tell whether it is granted and in force on the day."""
        return self.step is Step.GRANTED and (self.expires_on is None or day < self.expires_on)


def needs(rules: Iterable[Rule], moment: Moment, category: str | None) -> dict[str, Mode]:
    """Give the qualifications that a use needs, by code: of each the nearest rule counts.

    A rule of a facility may be for one category of its instruments.
    """
    concerned = [rule for rule in rules if (category or "").startswith(str(rule.data.get("category") or ""))]
    found = nearest(concerned, RuleKind.QUALIFICATION, moment)
    modes = {code: mode_of(rule.data) for code, rule in found.items()}
    return {code: mode for code, mode in modes.items() if mode is not Mode.WAIVED}


def mode_of(data: Mapping[str, Any]) -> Mode:
    """Give when a rule with this data wants it held; one that does not say wants it to book."""
    said = data.get("mode")
    return Mode(said) if said in set(Mode) else Mode.BEFORE_BOOKING


def standing(papers: Iterable[Paper], day: date, today: date) -> tuple[Standing, date | None]:
    """Tell how somebody with these certificates stands on a day, and until when the best of them counts."""
    known = list(papers)
    granted = [paper for paper in known if paper.step is Step.GRANTED]
    ends = [paper.expires_on for paper in granted if paper.expires_on is not None]
    best = None if len(ends) < len(granted) else max(ends, default=None)
    steps = {paper.step for paper in known}
    if any(paper.covers(day) for paper in granted):
        return Standing.HELD, best
    if Step.SCHEDULED in steps:
        return Standing.SCHEDULED, best
    if Step.REQUESTED in steps:
        return Standing.REQUESTED, best
    if granted:
        return (Standing.ENDS_BEFORE if best is not None and today < best else Standing.EXPIRED), best
    return (Standing.REVOKED if Step.REVOKED in steps else Standing.NONE), None


def expiry(granted_on: date, months: int | None) -> date | None:
    """Give the first day on which it no longer counts, None for ever; of the 31st it is a month's last day."""
    if months is None:
        return None
    year, month = divmod(granted_on.year * 12 + granted_on.month - 1 + months, 12)
    return date(year, month + 1, min(granted_on.day, calendar.monthrange(year, month + 1)[1]))


def warning(expires_on: date, today: date, warned: int | None) -> int | None:
    """Give which warning is due today, None if none is; after a pause only the last is said."""
    left = (expires_on - today).days
    if left <= 0:
        return None
    due = [days for days in WARNINGS if left <= days and (warned is None or days < warned)]
    return min(due, default=None)
