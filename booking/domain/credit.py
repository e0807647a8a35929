"""Credit: points for how people keep their bookings, and what too few of them lead to."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime


class Deed(enum.StrEnum):
    """What gives or costs points."""

    NORMAL_USE = "normal_use"
    LATE = "late"
    EARLY = "early"
    OVERTIME = "overtime"
    NO_SHOW = "no_show"
    LATE_CANCELLATION = "late_cancellation"
    NO_FEEDBACK = "no_feedback"


class Frame(enum.StrEnum):
    """What stands around the points: where everybody begins, the most, and below what a ban follows."""

    START = "start"
    CAP = "cap"
    THRESHOLD = "threshold"


NAMES = (*Deed, *Frame)
"""All that rules speak of, in the order of pages."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How many points; of the threshold, the score below which a ban follows and its days (None: none does)."""

    points: int = 0
    ban_below: int | None = None
    ban_days: int | None = None


DEFAULTS: dict[str, Rule] = {
    Deed.NORMAL_USE: Rule(1),
    Deed.LATE: Rule(-2),
    Deed.EARLY: Rule(0),
    Deed.OVERTIME: Rule(-2),
    Deed.NO_SHOW: Rule(-10),
    Deed.LATE_CANCELLATION: Rule(-3),
    Deed.NO_FEEDBACK: Rule(-2),
    Frame.START: Rule(100),
    Frame.CAP: Rule(120),
    Frame.THRESHOLD: Rule(0, ban_below=60, ban_days=30),
}
"""What counts where nobody has said anything else."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A rule with its days; `valid_to` is exclusive, `own` tells a facility's own from that of all."""

    name: str
    rule: Rule
    own: bool
    valid_from: date
    valid_to: date | None


def in_force(rows: Iterable[Dated], day: date) -> dict[str, Rule]:
    """Give the rule of each name on a day: the facility's own, else that of all, else the default; the newest."""
    return DEFAULTS | {name: row.rule for name, row in behind(rows, day).items()}


def behind(rows: Iterable[Dated], day: date) -> dict[str, Dated]:
    """Give what was said of each name and counts on a day; of what nobody has said, nothing."""
    valid = [row for row in rows if row.valid_from <= day and (row.valid_to is None or day < row.valid_to)]
    # What comes later in this order takes the place of what came before it.
    ordered = sorted(valid, key=lambda row: (row.own, row.valid_from))
    return {row.name: row for row in ordered}


@dataclass(frozen=True, slots=True)
class Point:
    """The score from an instant on."""

    at: datetime
    score: int


def course(entries: Iterable[tuple[datetime, int]], rules: dict[str, Rule]) -> list[Point]:
    """Give the score after each entry, oldest first; never above the cap nor below nought."""
    score, cap = rules[Frame.START].points, max(rules[Frame.CAP].points, rules[Frame.START].points)
    points = []
    for at, change in sorted(entries, key=lambda entry: entry[0]):
        score = max(0, min(cap, score + change))
        points.append(Point(at, score))
    return points


def score(entries: Iterable[tuple[datetime, int]], rules: dict[str, Rule]) -> int:
    """Give the score as it is after all entries."""
    found = course(entries, rules)
    return found[-1].score if found else rules[Frame.START].points


def bans(points: int, before: int, rules: dict[str, Rule]) -> int | None:
    """Give for how many days somebody is banned whose score fell to this, None if they are not."""
    limit = rules[Frame.THRESHOLD]
    if limit.ban_below is None or not limit.ban_days or points >= limit.ban_below or points >= before:
        return None
    return limit.ban_days


@dataclass(frozen=True, slots=True)
class Chart:
    """A course as a line of steps in a box of whole numbers, the score upwards; `limit` is the threshold's height."""

    width: int
    height: int
    path: str
    limit: int | None


def chart(found: Sequence[Point], rules: dict[str, Rule], *, since: datetime, until: datetime) -> Chart:
    """Draw the score from one instant to another."""
    width, height = 600, 120
    top = max([rules[Frame.CAP].points, rules[Frame.START].points, 1])
    length = max((until - since).total_seconds(), 1)

    def across(at: datetime) -> int:
        return max(0, min(width, round((at - since).total_seconds() / length * width)))

    def down(points: int) -> int:
        return round(height - points / top * height)

    before = [point.score for point in found if point.at <= since]
    path = f"M0 {down(before[-1] if before else rules[Frame.START].points)}"
    for point in found:
        if since < point.at <= until:
            path += f"H{across(point.at)}V{down(point.score)}"
    limit = rules[Frame.THRESHOLD].ban_below
    return Chart(width, height, f"{path}H{width}", None if limit is None else down(limit))
