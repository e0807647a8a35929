"""Where a step may start: calendars as bitmaps, read by NumPy in microseconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from booking.domain.resolution.problem import Instrument, Span, Step

Slots: TypeAlias = npt.NDArray[np.int64]
Bits: TypeAlias = npt.NDArray[np.bool_]


class Calendar:
    """The bitmap of one instrument: what is taken, and until when a staffed window reaches from each slot.

    Runs may be taken and given back; `clean` slots after the horizon exist, so that a run may end with it.
    """

    def __init__(self, instrument: Instrument, horizon: int) -> None:
        self.clean = instrument.clean
        self.every = instrument.every
        self.horizon = horizon
        self.taken: Bits = np.zeros(horizon + instrument.clean, dtype=bool)
        self.staffed_until: Slots = np.zeros(horizon, dtype=np.int64)
        for start, end in instrument.staffed:
            self.staffed_until[max(start, 0) : end] = min(end, horizon)
        for start, end in instrument.blocked:
            self.taken[max(start, 0) : end] = True

    def take(self, start: int, duration: int) -> None:
        """Occupy the slots of a run and of the cleaning after it."""
        self.taken[start : start + duration + self.clean] = True

    def give_back(self, start: int, duration: int) -> None:
        """Free the slots of a run that was taken, and of the cleaning after it."""
        self.taken[start : start + duration + self.clean] = False

    def starts(self, step: Step, window: Span) -> Slots:
        """The slots of a window at which a step may start, ascending."""
        first, last = max(window[0], 0), min(window[1], self.horizon) - step.duration
        if last < first:
            return np.empty(0, dtype=np.int64)
        length = step.duration + self.clean
        sums = np.concatenate(([0], np.cumsum(self.taken[first : last + length])))
        free = sums[length:] == sums[:-length]
        reach = self.staffed_until[first : last + 1]
        if step.attended:
            free &= reach >= np.arange(first, last + 1) + step.duration
        else:
            ends = self.staffed_until[first + step.duration - 1 : last + step.duration]
            free &= (reach > 0) & (ends > 0)
        found = np.flatnonzero(free) + first
        return found if self.every == 1 else found[found % self.every == 0]


def calendars(instruments: Iterable[Instrument], horizon: int) -> list[Calendar]:
    """The bitmaps of many instruments, in their order."""
    return [Calendar(instrument, horizon) for instrument in instruments]
