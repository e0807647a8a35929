"""Dated rules at places, and what they come to: of one name the nearest place counts, limits over time all count."""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.pricing import CustomerClass
from booking.domain.working_days import DayKind


class RuleKind(enum.StrEnum):
    """What a rule says: one figure, a limit over time, what a person must hold, or who must approve."""

    SETTING = "setting"
    QUOTA = "quota"
    QUALIFICATION = "qualification"
    APPROVAL = "approval"


class PlaceKind(enum.StrEnum):
    """Where a rule stands, nearest first; an instrument's sheet is what its own form says."""

    INSTRUMENT = "instrument"
    SHEET = "sheet"
    CATEGORY = "category"
    FACILITY = "facility"
    NETWORK = "network"
    DEFAULT = "default"


_NEARNESS = {kind: rank for rank, kind in enumerate(PlaceKind)}


@dataclass(frozen=True, slots=True)
class Place:
    """One place: an instrument, a facility or a network by its id, a category by its code."""

    kind: PlaceKind
    key: int | str | None = None

    @property
    def distance(self) -> tuple[int, int]:
        """How far it is from an instrument; of two categories the one with the longer code is nearer."""
        finer = len(str(self.key)) if self.kind is PlaceKind.CATEGORY else 0
        return _NEARNESS[self.kind], -finer


@dataclass(frozen=True, slots=True)
class Moment:
    """For whom and when a use starts, by the clock and the calendar of the facility."""

    customer_class: CustomerClass
    day: date
    minute: int
    day_kind: DayKind | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule at one place; see the table for its columns."""

    id: int
    place: Place
    kind: RuleKind
    name: str
    value: int | None
    data: Mapping[str, Any] = field(default_factory=dict)
    customer_class: CustomerClass | None = None
    day_kind: DayKind | None = None
    weekdays: int | None = None
    opens: int | None = None
    closes: int | None = None
    valid_from: date = date.min
    valid_to: date | None = None

    def in_force(self, day: date) -> bool:
        """Tell whether its dates hold the day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def applies(self, moment: Moment) -> bool:
        """Tell whether it speaks of a use that starts then."""
        return (
            self.in_force(moment.day)
            and self.customer_class in (None, moment.customer_class)
            and self.in_band(moment)
        )

    def in_band(self, moment: Moment) -> bool:
        """Tell whether the moment lies in its band of the week."""
        return (
            self.day_kind in (None, moment.day_kind)
            and (self.weekdays is None or bool(self.weekdays >> moment.day.weekday() & 1))
            and (self.opens is None or self.closes is None or self.opens <= moment.minute < self.closes)
        )

    @property
    def banded(self) -> bool:
        """Tell whether it is only for some of the week."""
        return self.day_kind is not None or self.weekdays is not None or self.opens is not None

    @property
    def order(self) -> tuple[tuple[int, int], int, date, int]:
        """Of several the smallest counts: the nearest, then the most particular, then the newest."""
        particular = sum(
            x is not None for x in (self.customer_class, self.day_kind, self.weekdays, self.opens)
        )
        return self.place.distance, -particular, _backwards(self.valid_from), -self.id


def _backwards(day: date) -> date:
    return date.fromordinal(date.max.toordinal() + 1 - day.toordinal())


def nearest(rules: Iterable[Rule], kind: RuleKind, moment: Moment) -> dict[str, Rule]:
    """Give for each name of a kind the one rule that counts for a use that starts at the moment."""
    found: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda rule: rule.order):
        if rule.kind is kind and rule.name not in found and rule.applies(moment):
            found[rule.name] = rule
    return found


def moment(
    start: datetime,
    *,
    tz: ZoneInfo,
    customer_class: CustomerClass,
    day_kind: Callable[[date], DayKind] | None = None,
) -> Moment:
    """Give the moment of a start on the facility's clock."""
    wall = start.astimezone(tz)
    day = wall.date()
    return Moment(customer_class, day, wall.hour * 60 + wall.minute, day_kind(day) if day_kind else None)
