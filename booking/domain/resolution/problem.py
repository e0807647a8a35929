"""What the resolver is asked: instruments, wishes, and the rules that bind all of them together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[int, int]
"""An instrument (its position in the pool) and the slot at which a step starts there."""
Plan: TypeAlias = dict[int, tuple[Place, ...]]
"""The places of each wish that is served, one a step; a wish that is not served is absent."""

SLOT = dt.timedelta(minutes=15)
SLOTS_AN_HOUR = 4
DAY = 96


@dataclass(frozen=True, slots=True)
class Instrument:
    """One unit of an instrument: when it is staffed, what already stands in its calendar, what it asks after a run.

    `blocked` holds closures and confirmed bookings with their cleaning; `clean` slots follow every run and occupy the
    instrument, but need nobody there. Runs start at every `every`-th slot after midnight. `rate` is the price of an
    hour in yuan.
    """

    staffed: tuple[Span, ...]
    blocked: tuple[Span, ...] = ()
    clean: int = 0
    kind: str = ""
    group: str = ""
    site: int = 0
    region: int = 0
    rate: int = 0
    every: int = 1


@dataclass(frozen=True, slots=True)
class Utility:
    """Something that many instruments share and that has a limit: steam, nitrogen, power, the operators of a shift.

    `taken` holds (start, end, amount) of what others draw already.
    """

    capacity: int
    taken: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a wish: how long, on which instruments, how soon after the step before it.

    An attended run lies inside one staffed window; an unattended one starts and ends in staffed time and may cross a
    night. `choices` holds (instrument, penalty); `lag` the least and most slots after the end of the step before;
    `draws` holds (utility, amount) for the length of the run.
    """

    duration: int
    choices: tuple[tuple[int, int], ...]
    attended: bool = True
    lag: Span = (0, 0)
    draws: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for: all its steps inside one window, or nothing.

    Served, it is worth `value`, less the penalties of the instruments taken and `late` for every slot that its first
    step starts after the window opens. `subsidy` is drawn from the budget of the pool. Moved in a repair so that it
    ends after `due`, it is of hardly more use than one that is cancelled.
    """

    steps: tuple[Step, ...]
    window: Span
    value: int
    late: int = 0
    organisation: int = 0
    quota_class: str = ""
    priority: int = 1
    submitted: int = 0
    consents: bool = False
    subsidy: int = 0
    due: int | None = None

    @property
    def slots(self) -> int:
        """The slots of use that it asks for, cleaning not counted."""
        return sum(step.duration for step in self.steps)


@dataclass(frozen=True, slots=True)
class Floor:
    """A promise: at least `slots` of use for one quota class, on one group of instruments or (None) on all."""

    quota_class: str
    group: str | None
    slots: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A round: everything that is allocated together.

    `caps` limits the slots of an organisation, `budget` the subsidies, in the unit that both have; each slot that a
    floor misses costs `short` points. `start` is the local day of slot 0.
    """

    start: dt.date
    horizon: int
    instruments: tuple[Instrument, ...]
    wishes: tuple[Wish, ...]
    floors: tuple[Floor, ...] = ()
    caps: Mapping[int, int] = field(default_factory=dict)
    budget: int | None = None
    short: int = 250
    utilities: tuple[Utility, ...] = ()
    name: str = ""
