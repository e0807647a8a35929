"""How long the engine may think: seconds of a wall clock, counted work, and a word from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS_OF_WORK = 4.0
"""Processor seconds to one deterministic second of the exact solver, measured."""


@dataclass(slots=True)
class Effort:
    """A limit of the engine; `work` counts seconds of a steady machine and is the same on every run.

    With `work` alone the engine gives the same plan for the same input and seed; with `seconds` the clock decides.
    """

    seconds: float | None = None
    work: float | None = None
    stopped: Callable[[], bool] | None = None
    begun: float = field(default_factory=time.perf_counter)
    done: float = 0.0

    def add(self, work: float) -> None:
        """Count work that was done."""
        self.done += work

    @property
    def elapsed(self) -> float:
        """Seconds of the wall clock since the beginning."""
        return time.perf_counter() - self.begun

    @property
    def share(self) -> float:
        """How much of the limit is used: 0 at the beginning, 1 at the end."""
        used = [0.0]
        if self.seconds is not None:
            used.append(self.elapsed / self.seconds if self.seconds > 0 else 1.0)
        if self.work is not None:
            used.append(self.done / self.work if self.work > 0 else 1.0)
        return min(1.0, max(used))

    @property
    def left(self) -> float:
        """What remains, in seconds or in work, whichever is less."""
        clock = float("inf") if self.seconds is None else self.seconds - self.elapsed
        work = float("inf") if self.work is None else self.work - self.done
        return max(0.0, min(clock, work))

    @property
    def over(self) -> bool:
        """Whether to stop now."""
        return self.left <= 0 or (self.stopped is not None and self.stopped())
