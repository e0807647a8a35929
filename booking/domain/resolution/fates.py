"""A group proven by cases: who of those hit keeps a booking at all, and who is cancelled.

Cancelling costs so much more than moving that prices of slots cannot tell who is worth it, and then leave out hardly
any place. Once that is said of a few, they are sharp: branch and bound (Land and Doig, "An automatic method of solving
discrete programming problems", 1960), the case with the least bound first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from booking.domain.resolution.field import Points
from booking.domain.resolution.moves import Group, Mover
from booking.domain.resolution.repair_bound import Relaxed


@dataclass(frozen=True, slots=True, order=True)
class Fates:
    """What is said of some bookings: who has to be served, who is cancelled; what that costs at least, at which prices.

    Ordered by the bound, then by the number of the case.
    """

    bound: int
    turn: int
    served: frozenset[int] = field(default=frozenset(), compare=False)
    cancelled: frozenset[int] = field(default=frozenset(), compare=False)
    prices: Points | None = field(default=None, compare=False)

    def group(self, whole: Group, cost: int) -> Group:
        """Those who are not cancelled; who has to be served costs more than a known repair otherwise."""
        return Group(
            tuple(
                replace(mover, cancelling=cost + 1) if mover.number in self.served else mover
                for mover in whole.movers
                if mover.number not in self.cancelled
            )
        )

    def paid(self, whole: Group) -> int:
        """The points of those who are cancelled."""
        return sum(mover.cancelling for mover in whole.movers if mover.number in self.cancelled)

    def split(self, number: int, bound: int, turn: int, prices: Points) -> tuple[Fates, Fates]:
        """The case in which one more has to be served, and that in which it is cancelled."""
        return (
            Fates(bound, turn, self.served | {number}, self.cancelled, prices),
            Fates(bound, turn + 1, self.served, self.cancelled | {number}, prices),
        )


def undecided(case: Fates, whole: Group, found: Relaxed) -> Mover | None:
    """The hit booking that prices are least sure of to keep or cancel."""
    open_ = [
        mover
        for mover in whole.movers
        if mover.hit and mover.number not in case.served | case.cancelled and mover.number in found.margins
    ]
    return min(open_, key=lambda mover: (abs(found.margins[mover.number]), mover.number), default=None)
