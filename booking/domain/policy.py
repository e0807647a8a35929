"""Dated rules at places, and what they come to: of one name the nearest place counts, limits over time all count."""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.hours import DAY_MINUTES, instant, local_days
from booking.domain.pricing import CustomerClass
from booking.domain.rules import LONGEST, Policy
from booking.domain.spans import Span
from booking.domain.working_days import DayKind

LONGEST_MINUTES = int(LONGEST.total_seconds() // 60)


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


class Figure(enum.StrEnum):
    """What the value of a setting counts."""

    MINUTES = "minutes"
    NUMBER = "number"
    YES_NO = "yes_no"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a rule may give a value: what it counts, its bounds, and whether “no limit” makes sense."""

    figure: Figure
    default: int | None
    least: int = 0
    most: int = LONGEST_MINUTES
    limitless: bool = False


SETTINGS: dict[str, Setting] = {
    "step": Setting(Figure.MINUTES, 30, 1, 7 * 24 * 60),
    "shortest": Setting(Figure.MINUTES, 30, 1),
    "longest": Setting(Figure.MINUTES, None, 1, limitless=True),
    "notice": Setting(Figure.MINUTES, 0),
    "notice_to_change": Setting(Figure.MINUTES, 0),
    "notice_to_cancel": Setting(Figure.MINUTES, 0),
    "horizon": Setting(Figure.MINUTES, None, 1, 3650 * 24 * 60, limitless=True),
    "horizon_to_change": Setting(Figure.MINUTES, None, 1, 3650 * 24 * 60, limitless=True),
    "setup": Setting(Figure.MINUTES, 0, 0, 43_200),
    "cleanup": Setting(Figure.MINUTES, 0, 0, 43_200),
    "gap": Setting(Figure.MINUTES, 0),
    "concurrent": Setting(Figure.NUMBER, None, 1, 1000, limitless=True),
    "grace": Setting(Figure.MINUTES, 30, 0, 24 * 60, limitless=True),
    "late_allowed": Setting(Figure.YES_NO, 1, 0, 1),
    "tolerance": Setting(Figure.MINUTES, 5, 0, 24 * 60),
    "overtime_limit": Setting(Figure.MINUTES, 120),
    "late_cancellation": Setting(Figure.MINUTES, 60),
    "offer_minutes": Setting(Figure.MINUTES, 60, 1, 7 * 24 * 60),
    "standby": Setting(Figure.YES_NO, 0, 0, 1),
}
"""Every setting by its name; where no rule and no sheet speaks, the default counts."""

BEHIND: dict[str, tuple[str, ...]] = {
    "too_short": ("shortest",),
    "too_long": ("longest",),
    "off_step": ("step",),
    "notice": ("notice",),
    "notice_to_change": ("notice_to_change",),
    "notice_to_cancel": ("notice_to_cancel",),
    "horizon": ("horizon_to_change", "horizon"),
    "too_close": ("gap",),
}
"""The settings that a reason of a refusal may come from."""

SHEET = ("step", "shortest", "longest", "notice", "horizon", "setup", "cleanup")
"""The settings that an instrument's own sheet can hold."""


def sheet_rules(sheet: Mapping[str, int | None]) -> list[Rule]:
    """Give what an instrument's sheet says as rules of their own place; what it leaves open says nothing."""
    place = Place(PlaceKind.SHEET)
    return [
        Rule(0, place, RuleKind.SETTING, name, value) for name, value in sheet.items() if value is not None
    ]


class Timetable:
    """The settings of one instrument for one class of customers: which count for a use that starts at a time."""

    __slots__ = ("_by_kind", "_customer_class", "_known", "_rules", "_tz", "used_kinds")

    def __init__(
        self,
        rules: Iterable[Rule],
        sheet: Mapping[str, int | None],
        *,
        tz: ZoneInfo,
        customer_class: CustomerClass = CustomerClass.EXTERNAL,
        day_kind: Callable[[date], DayKind] | None = None,
    ) -> None:
        """Keep the rules, the one that counts first; `day_kind` is asked where a rule wants a sort of day."""
        settings = [rule for rule in rules if rule.kind is RuleKind.SETTING and rule.name in SETTINGS]
        self._rules = sorted([*settings, *sheet_rules(sheet)], key=lambda rule: rule.order)
        self._tz = tz
        self._customer_class = customer_class
        self.used_kinds = any(rule.day_kind is not None for rule in settings)
        self._by_kind = day_kind if self.used_kinds else None
        self._known: dict[tuple[tuple[str, int | None], ...], Policy] = {}

    def at(self, start: datetime) -> Policy:
        """Give the settings for a use that starts at the instant."""
        return self._policy(self.sources(start).values())

    def sources(self, start: datetime) -> dict[str, Rule]:
        """Give the rule behind each setting for a use that starts at the instant; defaults have none."""
        return self._nearest(
            moment(start, tz=self._tz, customer_class=self._customer_class, day_kind=self._by_kind)
        )

    def segments(self, within: Span) -> list[tuple[Span, Policy]]:
        """Split the span into stretches, and give the settings for a use that starts in each."""
        first, last = (at.astimezone(self._tz).date() for at in within)
        varying = [rule for rule in self._rules if rule.banded or _turns(rule, first, last)]
        if not varying:
            return [(within, self.at(within.start))]
        edges = sorted(
            {0, DAY_MINUTES, *(e for rule in varying for e in (rule.opens, rule.closes) if e is not None)}
        )
        found: list[tuple[Span, Policy]] = []
        for day in local_days(within, self._tz):
            kind = self._by_kind(day) if self._by_kind else None
            for opens, closes in pairwise(edges):
                start = max(instant(day, opens, self._tz), within.start)
                end = min(instant(day, closes, self._tz), within.end)
                if start >= end:
                    continue
                policy = self._policy(self._nearest(Moment(self._customer_class, day, opens, kind)).values())
                if found and found[-1][1] == policy and found[-1][0].end == start:
                    found[-1] = Span(found[-1][0].start, end), policy
                else:
                    found.append((Span(start, end), policy))
        return found

    def _nearest(self, when: Moment) -> dict[str, Rule]:
        found: dict[str, Rule] = {}
        for rule in self._rules:
            if rule.name not in found and rule.applies(when):
                found[rule.name] = rule
        return found

    def _policy(self, counting: Iterable[Rule]) -> Policy:
        said = tuple((rule.name, rule.value) for rule in counting)
        known = self._known.get(said)
        if known is None:
            known = self._known[said] = settings_of(dict(said))
        return known


def _turns(rule: Rule, first: date, last: date) -> bool:
    return first < rule.valid_from <= last or (rule.valid_to is not None and first < rule.valid_to <= last)


def settings_of(said: Mapping[str, int | None]) -> Policy:
    """Give the settings that are said, and the defaults of all others.

    How far ahead a change may go is how far ahead one may book, unless it is said.
    """
    values = {name: said.get(name, setting.default) for name, setting in SETTINGS.items()}
    if "horizon_to_change" not in said:
        values["horizon_to_change"] = values["horizon"]
    return Policy(**values)  # type: ignore[arg-type]
