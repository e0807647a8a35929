"""Rounds: their states, what a wish is worth in one, what was promised to whom, and what is fair."""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

HALF_LIFE = timedelta(days=28)
"""After so long, use that was made counts half."""

LIMITS = {
    "floor_points": (0, 100_000),
    "priority_factor": (1, 5),
    "late_percent": (0, 100),
    "rank_percent": (0, 20),
    "fair_percent": (0, 100),
}
"""The least and the most that each weight of a round may be."""

MARGIN = Fraction(11, 10)
"""An annual promise is shared over the rounds left, with a tenth on top since some wishes will fall through."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much in a round: its manager may set each.

    An hour that a floor misses costs `floor_points`; a priority multiplies the worth of the one below it by
    `priority_factor`. Of the worth of a wish, waiting over its whole window costs `late_percent`, each instrument that
    is liked more `rank_percent`, and whoever has used much lately keeps at least `fair_percent`.
    """

    floor_points: int = 1000
    priority_factor: int = 2
    late_percent: int = 10
    rank_percent: int = 2
    fair_percent: int = 25

    @property
    def wrong(self) -> list[str]:
        """Name the weights that are out of their limits."""
        return [name for name, (least, most) in LIMITS.items() if not least <= getattr(self, name) <= most]


USUAL = Weights()


class RoundState(enum.StrEnum):
    """Where a round stands."""

    OPEN = "open"
    CLOSED = "closed"
    PUBLISHED = "published"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class RoundAction(enum.StrEnum):
    """What can happen to a round."""

    CLOSE = "close"
    REOPEN = "reopen"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    CONFIRM = "confirm"
    CANCEL = "cancel"


_S, _A = RoundState, RoundAction

MOVES: dict[tuple[RoundState, RoundAction], RoundState] = {
    (_S.OPEN, _A.CLOSE): _S.CLOSED,
    (_S.CLOSED, _A.REOPEN): _S.OPEN,
    (_S.CLOSED, _A.PUBLISH): _S.PUBLISHED,
    (_S.PUBLISHED, _A.PUBLISH): _S.PUBLISHED,
    (_S.PUBLISHED, _A.WITHDRAW): _S.CLOSED,
    (_S.PUBLISHED, _A.CONFIRM): _S.CONFIRMED,
    (_S.OPEN, _A.CANCEL): _S.CANCELLED,
    (_S.CLOSED, _A.CANCEL): _S.CANCELLED,
    (_S.PUBLISHED, _A.CANCEL): _S.CANCELLED,
}
"""Every move of a round."""


class WishState(enum.StrEnum):
    """What became of a wish; `served` and `unserved` are final, the rest may still change."""

    WAITING = "waiting"
    SERVED = "served"
    UNSERVED = "unserved"
    WITHDRAWN = "withdrawn"


class PinKind(enum.StrEnum):
    """What a manager settles about a wish: where it goes, or that it is left out."""

    PLACE = "place"
    LEFT_OUT = "left_out"


def prefix(region_code: str) -> str:
    """Give what the codes of a region and of all that lies in it begin with: a province's two digits, a city's four."""
    code = region_code
    while code.endswith("00"):
        code = code[:-2]
    return code


def quota_class(kind: str, region_code: str, promised: Iterable[str | None]) -> str:
    """Give the class of an organisation: its kind, and of the regions to which its kind is promised something its own.

    No two of these regions lie in one another, so that there is one at most.
    """
    own = next((one for one in promised if one and region_code.startswith(prefix(one))), None)
    return f"{kind}@{own}" if own else kind


def worth(*, slots: int, priority: int, fair: float, factor: int = USUAL.priority_factor) -> int:
    """Give the points of a wish: by priority and fair share, a long use a little less than twice one half as long.

    The power 0.85 lets two short wishes outbid a long one of the same length together; eight slots are the worth of
    being served at all.
    """
    return round(100 * math.pow(factor, priority - 1) * fair * (8 + math.pow(slots, 0.85))) + 50


def lateness(value: int, window: int, percent: int = USUAL.late_percent) -> int:
    """Give the points that each slot of waiting costs: over the whole window so many per cent of the worth."""
    return int(percent / 100 * value / max(1, window))


def penalty(value: int, rank: int, percent: int = USUAL.rank_percent) -> int:
    """Give the points that an instrument costs which is liked less: so many per cent of the worth a rank."""
    return round(percent / 100 * value * rank)


def decayed(uses: Iterable[tuple[datetime, float]], now: datetime) -> float:
    """Sum past use, each halved for every 28 days that it lies behind (fair share as of Slurm and HTCondor)."""
    return sum(hours * math.pow(0.5, (now - at) / HALF_LIFE) for at, hours in uses)


def fair_share(usage: float, total: float, parties: int, percent: int = USUAL.fair_percent) -> float:
    """Give the factor 2^(-usage/share), at least so many per cent, of a party that used so much of what all used.

    The share is an equal part for each of the parties.
    """
    if total <= 0 or parties < 1:
        return 1.0
    return max(percent / 100, math.pow(2, -usage * parties / total))


def promised(*, annual: int, delivered: int, rounds_left: int) -> int:
    """Give the minutes that this round owes of an annual promise: what is left of it, shared, and a tenth more.

    Never more than what is left at all.
    """
    left = max(0, annual - delivered)
    return min(left, int(Fraction(left, max(1, rounds_left)) * MARGIN))


def kept_free(staffed: Iterable[tuple[int, int]], *, percent: int, week: int) -> list[tuple[int, int]]:
    """Give the end of each week's staffed time that a round leaves free for what life brings; slots, `week` long.

    Of each week the last so many per cent of its staffed slots, rounded down.
    """
    weeks: dict[int, list[tuple[int, int]]] = {}
    for start, end in staffed:
        for number in range(start // week, (end - 1) // week + 1):
            weeks.setdefault(number, []).append((max(start, number * week), min(end, (number + 1) * week)))
    kept = []
    for spans in weeks.values():
        room = sum(end - start for start, end in spans) * percent // 100
        for start, end in sorted(spans, reverse=True):
            if room <= 0:
                break
            kept.append((max(start, end - room), end))
            room -= end - start
    return sorted(kept)
