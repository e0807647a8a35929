"""Approvals: which steps a booking needs, what a vote does to a step, when a step comes due."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from booking.domain.chemicals import Hazard
from booking.domain.hours import DAY_MINUTES, WeeklyHours, is_open
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.domain.working_days import WorkingDays

_Choice = TypeVar("_Choice", bound=enum.StrEnum)

MOST_STAGES = 9
MOST_DEADLINE = 60
MOST_PEOPLE = 50
DAY_BEGINS, DAY_ENDS = 8 * 60, 18 * 60
"""Outside hours are, unless the rule says otherwise, those before and after these minutes of a working day."""


class StepState(enum.StrEnum):
    """Where a step stands: not its turn yet, open, or decided."""

    WAITING = "waiting"
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    DROPPED = "dropped"


class Need(enum.StrEnum):
    """How many of a step's approvers must say yes."""

    ALL = "all"
    ANY = "any"


class Silence(enum.StrEnum):
    """What becomes of a step that nobody decided in time."""

    EXPIRE = "expire"
    ESCALATE = "escalate"
    APPROVE = "approve"


class Who(enum.StrEnum):
    """Whose word a step asks for when it does not name people."""

    MANAGER = "manager"
    LEADER = "leader"
    PROJECT_LEADER = "project_leader"


class When(enum.StrEnum):
    """A condition under which a step is asked for."""

    ALWAYS = "always"
    OUTSIDE_HOURS = "outside_hours"
    OVER_MINUTES = "over_minutes"
    HAZARDOUS = "hazardous"
    EXTERNAL = "external"
    FIRST_USE = "first_use"
    OVER_COST = "over_cost"
    PERMIT = "permit"


class Condition(NamedTuple):
    """A condition with its figures: `value` minutes or yuan, or from and to of a working day."""

    when: When
    value: int | None = None
    opens: int = DAY_BEGINS
    closes: int = DAY_ENDS

    def told(self) -> dict[str, Any]:
        """Give what a step keeps of it, to say why it was asked for."""
        known: dict[str, Any] = {"condition": self.when.value}
        if self.value is not None:
            known["value"] = self.value
        if self.when is When.OUTSIDE_HOURS:
            known |= {"opens": self.opens, "closes": self.closes}
        return known


@dataclass(frozen=True, slots=True)
class Approvers:
    """Whose word is asked for: everybody in a role, or people by name."""

    role: Who | None = None
    people: tuple[UUID, ...] = ()

    def told(self) -> dict[str, Any]:
        """Give it as a rule's data has it."""
        if self.role is not None:
            return {"role": self.role.value}
        return {"people": [str(person) for person in self.people]}


MANAGERS = Approvers(Who.MANAGER)


@dataclass(frozen=True, slots=True)
class StepRule:
    """A step as a rule asks for it. One without approvers asks for permits alone."""

    name: str
    stage: int = 1
    need: Need = Need.ANY
    approvers: Approvers | None = MANAGERS
    when: tuple[Condition, ...] = (Condition(When.ALWAYS),)
    deadline_days: int | None = None
    on_silence: Silence = Silence.EXPIRE
    escalate_to: Approvers | None = None
    permit_for: frozenset[Hazard] = frozenset()

    @property
    def plan(self) -> dict[str, Any]:
        """Give what an opened step still has to know of its rule."""
        return {
            "approvers": (self.approvers or MANAGERS).told(),
            "deadline_days": self.deadline_days,
            "escalate_to": self.escalate_to.told() if self.escalate_to else None,
        }


PLAIN = StepRule("")
"""The step of an instrument that needs approval while no rule says by whom; one word of a manager decides it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the conditions ask about a wish at one facility; `cost` None is a price by agreement."""

    spans: tuple[Span, ...]
    zone: ZoneInfo
    days: WorkingDays
    hazards: frozenset[Hazard] = frozenset()
    external: bool = False
    first_use: bool = False
    cost: Decimal | None = Decimal(0)
    permits: bool = False


def read(name: str, data: Mapping[str, Any]) -> StepRule:
    """Read a rule's data.

    :raises Invalid: with a code for each part that makes no sense
    """
    reader = _Reader(data)
    stage = reader.whole("stage", 1, MOST_STAGES, default=1)
    need = reader.choice("need", Need, Need.ANY)
    silence = reader.choice("on_silence", Silence, Silence.EXPIRE)
    deadline = reader.whole("deadline_days", 1, MOST_DEADLINE, default=None)
    approvers = reader.approvers("approvers")
    escalate_to = reader.approvers("escalate_to")
    when = reader.conditions("when")
    permit_for = reader.hazards("permit_for")
    if approvers is None and not permit_for:
        reader.errors.setdefault("approvers", "required")
    if silence is Silence.ESCALATE and escalate_to is None:
        reader.errors.setdefault("escalate_to", "required")
    if silence is not Silence.EXPIRE and deadline is None:
        reader.errors.setdefault("deadline_days", "required")
    if reader.errors:
        raise Invalid(reader.errors)
    return StepRule(
        name, stage or 1, need, approvers, when, deadline, silence, escalate_to, frozenset(permit_for)
    )


class _Reader:
    """Reads the parts of a rule's data; `errors` holds a code for each that makes no sense."""

    KNOWN = frozenset(
        {
            "stage",
            "need",
            "approvers",
            "when",
            "deadline_days",
            "on_silence",
            "escalate_to",
            "permit_for",
        }
    )

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.errors: dict[str, str] = {str(name): "unknown" for name in data if name not in self.KNOWN}

    def whole(self, name: str, least: int, most: int, *, default: int | None) -> int | None:
        found = self.data.get(name)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int):
            self.errors[name] = "malformed"
        elif not least <= found <= most:
            self.errors[name] = "out_of_range"
        else:
            return found
        return default

    def choice(self, name: str, kind: type[_Choice], default: _Choice) -> _Choice:
        found = self.data.get(name)
        if found is None:
            return default
        if found not in {one.value for one in kind}:
            self.errors[name] = "unknown"
            return default
        return kind(found)

    def approvers(self, name: str) -> Approvers | None:
        found = self.data.get(name)
        if found is None:
            return None
        if isinstance(found, Mapping) and found.keys() == {"role"}:
            if found["role"] in {one.value for one in Who}:
                return Approvers(Who(found["role"]))
        elif isinstance(found, Mapping) and found.keys() == {"people"}:
            people = _ids(found["people"])
            if people:
                return Approvers(None, people)
        self.errors[name] = "malformed"
        return None

    def conditions(self, name: str) -> tuple[Condition, ...]:
        found = self.data.get(name)
        if found is None or found == []:
            return (Condition(When.ALWAYS),)
        if not isinstance(found, list) or len(found) > len(When):
            self.errors[name] = "malformed"
            return ()
        read_ones = [_condition(one) for one in found]
        if any(one is None for one in read_ones):
            self.errors[name] = "malformed"
        return tuple(one for one in read_ones if one is not None)

    def hazards(self, name: str) -> tuple[Hazard, ...]:
        found = self.data.get(name) or []
        if not isinstance(found, list) or any(one not in {h.value for h in Hazard} for one in found):
            self.errors[name] = "unknown"
            return ()
        return tuple(Hazard(one) for one in found)


def _ids(found: Any) -> tuple[UUID, ...]:
    if not isinstance(found, list) or not 0 < len(found) <= MOST_PEOPLE:
        return ()
    try:
        return tuple(sorted({UUID(str(one)) for one in found}))
    except ValueError:
        return ()


def _condition(found: Any) -> Condition | None:
    if not isinstance(found, Mapping) or found.get("condition") not in {one.value for one in When}:
        return None
    when = When(found["condition"])
    value = found.get("value")
    if when in {When.OVER_MINUTES, When.OVER_COST}:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return None
        return Condition(when, value)
    opens, closes = found.get("opens", DAY_BEGINS), found.get("closes", DAY_ENDS)
    if not (isinstance(opens, int) and isinstance(closes, int) and 0 <= opens < closes <= DAY_MINUTES):
        return None
    return Condition(when, None, opens, closes)


def holding(rule: StepRule, facts: Facts) -> tuple[Condition, ...]:
    """Give those of a rule's conditions that hold; the step is asked for when there is one."""
    return tuple(one for one in rule.when if _holds(one, facts))


def _holds(condition: Condition, facts: Facts) -> bool:
    match condition.when:
        case When.ALWAYS:
            return True
        case When.OUTSIDE_HOURS:
            return any(_outside(span, condition, facts) for span in facts.spans)
        case When.OVER_MINUTES:
            return max(span.minutes for span in facts.spans) > (condition.value or 0)
        case When.HAZARDOUS:
            return bool(facts.hazards)
        case When.EXTERNAL:
            return facts.external
        case When.FIRST_USE:
            return facts.first_use
        case When.OVER_COST:
            # What is yet to be agreed may be more than any limit.
            return facts.cost is None or facts.cost > (condition.value or 0)
        case When.PERMIT:
            return facts.permits


def _outside(span: Span, condition: Condition, facts: Facts) -> bool:
    """Tell whether some of a use lies outside the working hours of working days."""
    first, last = span.start.astimezone(facts.zone).date(), span.end.astimezone(facts.zone).date()
    days = [first + timedelta(days=number) for number in range(min((last - first).days, 14) + 1)]
    if (last - first).days > len(days):
        return True  # no fortnight is all working hours
    rules = [
        WeeklyHours(day.weekday(), condition.opens, condition.closes, day, day + timedelta(days=1))
        for day in days
        if facts.days.works(day)
    ]
    return not is_open(rules, span, facts.zone)


def asks_for(rules: Iterable[StepRule], when: When) -> bool:
    """Tell whether any of the rules has such a condition, so that what it asks about must be read."""
    return any(condition.when is when for rule in rules for condition in rule.when)


def verdict(need: Need, votes: Sequence[bool | None], *, one_word: bool = False) -> StepState:
    """Tell where the votes leave a step; `one_word` is decided by whoever speaks first."""
    spoken = [vote for vote in votes if vote is not None]
    if one_word and spoken:
        return StepState.APPROVED if spoken[0] else StepState.REJECTED
    if need is Need.ANY:
        if True in spoken:
            return StepState.APPROVED
        return StepState.REJECTED if spoken and len(spoken) == len(votes) else StepState.OPEN
    if False in spoken:
        return StepState.REJECTED
    return StepState.APPROVED if spoken and len(spoken) == len(votes) else StepState.OPEN


class Standing(NamedTuple):
    """A step as far as its turn depends on it."""

    stage: int
    state: StepState


def next_stage(steps: Iterable[Standing]) -> int | None:
    """Give the stage whose turn it is to open, None while one is open, or when all have been."""
    known = list(steps)
    if any(step.state is StepState.OPEN for step in known):
        return None
    return min((step.stage for step in known if step.state is StepState.WAITING), default=None)


def all_approved(steps: Iterable[Standing]) -> bool:
    """Tell whether every step has been approved, those that fell away not counted."""
    return all(step.state in {StepState.APPROVED, StepState.DROPPED} for step in steps)


def due_at(
    opened: datetime, count: int | None, *, days: WorkingDays, zone: ZoneInfo, starts_at: datetime
) -> datetime | None:
    """Give when a step comes due: at the end of so many working days after the one on which it opened.

    Nothing can be decided after the start, so that a step is due by then; without a deadline there is none.
    """
    if count is None:
        return None
    last = days.shifted(opened.astimezone(zone).date(), count)
    end = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone).astimezone(opened.tzinfo)
    return min(end, starts_at)


def remind_at(due: datetime, opened: datetime, *, days: WorkingDays, zone: ZoneInfo) -> datetime:
    """Give when an approver is reminded: one working day before the step is due, but not before it opened."""
    return max(opened, days.due(due, -1, zone))


def merged(rules: Iterable[StepRule]) -> list[StepRule]:
    """Give each step once, in the order of stages, its conditions those of all that ask for it."""
    found: dict[StepRule, tuple[Condition, ...]] = {}
    for rule in rules:
        key = replace(rule, when=())
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), *rule.when)))
    return sorted(
        (replace(rule, when=when) for rule, when in found.items()), key=lambda rule: (rule.stage, rule.name)
    )
