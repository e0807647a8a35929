"""Seeded pools of four sizes, as the resolver's tests and benchmarks need them; `write_pool` makes documents of them.

A town of pilot plants: kinds of instruments with their hours, wishes that crowd on some of them, long runs beside
short ones, routes over several kinds, promises to classes, caps for those who ask for much.
"""

import datetime as dt
import random
from dataclasses import dataclass, replace

from booking.domain.resolution.problem import DAY, Floor, Instrument, Pool, Span, Step, Utility, Wish
from booking.domain.resolution.starts import Calendar

SIZES = {"S": (50, 10, 1), "M": (400, 50, 2), "L": (2000, 200, 4), "XL": (20000, 2000, 4)}
"""Wishes, instruments, weeks."""
MONDAY = dt.date(2026, 9, 21)
REGION = 100
"""Instruments of one region."""


@dataclass(frozen=True)
class Kind:
    """A kind of instrument: its group, hours of a working day in slots (None: always), cleaning, rate, longest run."""

    name: str
    group: str
    hours: Span | None
    clean: int
    rate: int
    longest: int
    often: int


KINDS = (
    Kind("stirred_tank", "reactors", (32, 88), 2, 200, 48, 4),
    Kind("pressure_tank", "reactors", None, 4, 320, 384, 3),
    Kind("bioreactor", "bio", None, 4, 280, 480, 3),
    Kind("oven", "drying", None, 1, 60, 288, 3),
    Kind("spray_tower", "drying", (32, 88), 3, 240, 40, 2),
    Kind("column", "separation", None, 3, 280, 192, 3),
    Kind("press", "forming", (34, 70), 3, 210, 32, 2),
    Kind("spectrometer", "analysis", None, 0, 380, 96, 3),
    Kind("microscope", "analysis", (32, 88), 0, 360, 32, 2),
    Kind("beamline", "beam", None, 2, 2400, 288, 1),
)
PATHS = (
    ("stirred_tank", "spray_tower", "microscope"),
    ("pressure_tank", "oven", "spectrometer"),
    ("bioreactor", "column", "oven", "spectrometer"),
)
CLASSES = {"university": 4, "regional_sme": 3, "national_project": 2, "commercial": 2}
WEIGHTS = {4: 8, 3: 4, 2: 2, 1: 1}


def pool(size: str, seed: int) -> Pool:
    """Give the pool of a size and seed."""
    wishes, instruments, weeks = SIZES[size]
    return _Town(random.Random(f"{size}/{seed}"), wishes, instruments, weeks).pool(f"{size}{seed}")


def with_utility(made: Pool, capacity: int) -> Pool:
    """The same pool with one utility, of which every run on the first kind of a wish draws one."""
    wishes = tuple(
        replace(wish, steps=(replace(wish.steps[0], draws=((0, 1),)), *wish.steps[1:]))
        for wish in made.wishes
    )
    return replace(made, wishes=wishes, utilities=(Utility(capacity, ((0, DAY, 1),)),))


class _Town:
    def __init__(self, dice: random.Random, wishes: int, instruments: int, weeks: int) -> None:
        self.dice = dice
        self.count = wishes
        self.weeks = weeks
        self.horizon = weeks * 7 * DAY
        kinds = KINDS if instruments >= 20 else [KINDS[1], KINDS[3], KINDS[7], KINDS[9]]
        self.kinds = {kind.name: kind for kind in kinds}
        self.regions = max(1, instruments // REGION)
        self.instruments = [self._instrument(number) for number in range(instruments)]
        self.calendars = [Calendar(one, self.horizon) for one in self.instruments]
        self.places: dict[tuple[str, int], list[int]] = {}
        for number, one in enumerate(self.instruments):
            self.places.setdefault((one.kind, one.region), []).append(number)
        self.heat = {
            key: len(numbers) * dice.lognormvariate(0, 0.5) for key, numbers in sorted(self.places.items())
        }
        self.generosity = [2 ** -dice.uniform(0, 1.2) for _ in range(max(6, wishes // 33))]
        self.classes = [dice.choices(*zip(*CLASSES.items(), strict=True))[0] for _ in self.generosity]
        self.appetite = [dice.paretovariate(1.3) for _ in self.generosity]

    def pool(self, name: str) -> Pool:
        wishes: list[Wish] = []
        while len(wishes) < self.count:
            wish = self._wish()
            if wish is not None:
                wishes.append(wish)
        asked: dict[int, int] = {}
        for wish in wishes:
            asked[wish.organisation] = asked.get(wish.organisation, 0) + wish.slots
        cap = max(240, (sum(asked.values()) * 4) // (100 if self.count < 10000 else 600))
        return Pool(
            start=MONDAY,
            horizon=self.horizon,
            instruments=tuple(self.instruments),
            wishes=tuple(wishes),
            floors=tuple(self._floors(wishes)),
            caps={organisation: cap for organisation, slots in sorted(asked.items()) if slots > cap},
            budget=sum(wish.subsidy for wish in wishes) * 11 // 20,
            name=name,
        )

    def _instrument(self, number: int) -> Instrument:
        dice = self.dice
        names = list(self.kinds)
        few = number < len(names)
        kind = self.kinds[
            names[number] if few else dice.choices(names, [self.kinds[n].often for n in names])[0]
        ]
        days = [day for day in range(self.weeks * 7) if (MONDAY + dt.timedelta(days=day)).weekday() < 5]
        staffed = (
            ((0, self.horizon),)
            if kind.hours is None
            else tuple((day * DAY + kind.hours[0], day * DAY + kind.hours[1]) for day in days)
        )
        blocked = []
        for _ in range(self.weeks * 3):
            start = dice.randrange(self.horizon - 24)
            if dice.random() < 0.6:
                blocked.append((start, min(self.horizon, start + dice.choice((8, 24, 48, 96)))))
        region = number % self.regions
        return Instrument(
            staffed=staffed,
            blocked=tuple(sorted(blocked)),
            clean=kind.clean,
            kind=kind.name,
            group=kind.group,
            site=region * 8 + dice.randrange(8),
            region=region,
            rate=kind.rate,
        )

    def _wish(self) -> Wish | None:
        """One wish that an empty calendar could serve, or none."""
        dice = self.dice
        name, region = dice.choices(list(self.heat), list(self.heat.values()))[0]
        paths = [path for path in PATHS if path[0] == name and all((n, region) in self.places for n in path)]
        names = dice.choice(paths) if paths and dice.random() < 0.3 else (name,)
        steps = [self._step(kind, region, first=not index) for index, kind in enumerate(names)]
        asked = sum(step.duration for step in steps)
        span = asked + sum(step.lag[0] for step in steps)
        open_ = dice.randrange(max(1, self.horizon - span - 48))
        window = (
            open_,
            min(self.horizon, open_ + span + dice.choice((48, 96, 192, 480, 672)) + 192 * (len(steps) - 1)),
        )
        if not all(self._possible(step, window) for step in steps):
            return None
        organisation = dice.choices(range(len(self.appetite)), self.appetite)[0]
        priority = dice.choices((4, 3, 2, 1), (1, 5, 10, 4))[0]
        worth = 100 * WEIGHTS[priority] * self.generosity[organisation] * (8 + asked**0.85)
        value = round(worth) + 50
        share = {"regional_sme": 0.5, "university": 0.3}.get(self.classes[organisation], 0.0)
        cost = sum(self.kinds[kind].rate * step.duration / 4 for kind, step in zip(names, steps, strict=True))
        return Wish(
            steps=tuple(
                replace(
                    step,
                    choices=tuple((one, value * rank // 50) for rank, (one, _) in enumerate(step.choices)),
                )
                for step in steps
            ),
            window=window,
            value=value,
            late=value // (10 * (window[1] - window[0])),
            organisation=organisation,
            quota_class=self.classes[organisation],
            priority=priority,
            submitted=dice.randrange(10**6),
            consents=dice.random() < 0.3,
            subsidy=round(share * cost),
        )

    def _step(self, name: str, region: int, *, first: bool) -> Step:
        dice, kind = self.dice, self.kinds[name]
        duration = min(kind.longest, dice.choice((2, 4, 6, 8, 12, 16, 24, 32, 48, 96, 192, 288, 480)))
        if not first:
            duration = min(duration, 48)
        attended = kind.hours is not None or (duration <= 48 and dice.random() < 0.4)
        able = list(self.places[name, region])
        if self.regions > 1 and dice.random() < 0.15:
            able += self.places.get((name, dice.randrange(self.regions)), [])
        able = sorted(set(able))
        dice.shuffle(able)
        least = dice.choice((0, 1, 4))
        lag = (0, 0) if first else (least, least + dice.choice((8, 48, 96, 288)))
        return Step(
            duration,
            tuple((one, 0) for one in able[: dice.choice((1, 2, 3, 4, 6))]),
            attended=attended,
            lag=lag,
        )

    def _possible(self, step: Step, window: Span) -> bool:
        return any(len(self.calendars[one].starts(step, window)) for one, _ in step.choices)

    def _floors(self, wishes: list[Wish]) -> list[Floor]:
        """Promises that ask for a third of what the class wants on the group."""
        found = []
        for name, group in (("regional_sme", "beam"), ("regional_sme", None), ("university", "analysis")):
            wanted = sum(
                step.duration
                for wish in wishes
                if wish.quota_class == name
                for step in wish.steps
                if group in {None, self.instruments[step.choices[0][0]].group}
            )
            if wanted >= 12:
                found.append(Floor(name, group, wanted // 3))
        return found
