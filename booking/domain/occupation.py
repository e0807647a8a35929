"""What takes time on an instrument."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from booking.domain.spans import Load, Span, peak


class Kind(enum.StrEnum):
    """Why an instrument's time is taken."""

    BOOKING = "booking"
    HOLD = "hold"
    MAINTENANCE = "maintenance"
    CLOSURE = "closure"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Process:
    """What a use is as a step of a process: what it works on, its lag after the step before, what it draws.

    `lag` holds the least and the most minutes after the end of the step before, None for the first step; `draws`
    are amounts of the facility's shared utilities by their ids.
    """

    family: str = ""
    lag: tuple[int, int] | None = None
    draws: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A wish for units of one instrument over a span of use, set-up and clean-up not counted."""

    instrument_id: int
    span: Span
    quantity: int = 1
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Units of one instrument over all the time that they are taken, with the use inside it."""

    instrument_id: int
    span: Span
    use: Span
    quantity: int


def padded(use: Span, setup_minutes: int, cleanup_minutes: int) -> Span:
    """Give the span that a use occupies with its set-up before and its clean-up after."""
    return use.padded(timedelta(minutes=setup_minutes), timedelta(minutes=cleanup_minutes))


def free_units(units: int, loads: Iterable[Load], within: Span) -> int:
    """Give the units that are free all through the span, never less than 0."""
    return max(0, units - peak(loads, within))
