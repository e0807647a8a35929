"""Every place that a wish could take, in flat arrays: what greedy, bound and exact solver all read.

Candidates are sorted by wish, step, choice and start. A *block* is all candidates of one step on one instrument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from booking.domain.resolution.problem import Pool, Span, Step, Wish
from booking.domain.resolution.starts import calendars

Whole: TypeAlias = npt.NDArray[np.int64]
Short: TypeAlias = npt.NDArray[np.int32]
Real: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The candidates of a pool.

    Slot s of instrument i has the address `i * stride + s`; a run occupies `address … address + length`, its cleaning
    in it, and `stride` leaves room for the cleaning after the horizon and for the end of a prefix sum.
    """

    pool: Pool
    stride: int
    step_of_wish: Whole
    """The steps of wish w are `step_of_wish[w] … step_of_wish[w + 1]`; none where nothing can serve it."""
    block_of_step: Whole
    block_instrument: Whole
    block_duration: Whole
    block_length: Whole
    """Duration with cleaning."""
    block_floors: Real
    """Blocks × floors: the slots that a run gives to each floor."""
    block_draws: tuple[tuple[tuple[int, int], ...], ...]
    candidate_of_block: Whole
    address: Whole
    cost: Short
    """Penalty of the instrument, and for a first step its lateness."""

    @property
    def wishes(self) -> int:
        """The number of wishes."""
        return len(self.pool.wishes)

    @property
    def addresses(self) -> int:
        """The number of slots of all instruments."""
        return self.stride * len(self.pool.instruments)

    def steps(self, wish: int) -> range:
        """The steps of a wish that can be served at all."""
        return range(self.step_of_wish[wish], self.step_of_wish[wish + 1])

    def blocks(self, step: int) -> range:
        """The blocks of a step."""
        return range(self.block_of_step[step], self.block_of_step[step + 1])

    def candidates(self, block: int) -> slice:
        """Where the candidates of a block stand."""
        return slice(self.candidate_of_block[block], self.candidate_of_block[block + 1])


def tables(pool: Pool) -> Tables:
    """List every candidate of a pool."""
    return _Builder(pool).built()


def windows(wish: Wish) -> Iterator[Span]:
    """The window of each step: what remains of the wish's when the others keep to their least lags."""
    before = 0
    heads: list[int] = []
    for step in wish.steps:
        before += step.lag[0] if heads else 0
        heads.append(before)
        before += step.duration
    for step, head in zip(wish.steps, heads, strict=True):
        yield wish.window[0] + head, wish.window[1] - (before - head - step.duration)


class _Builder:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.calendars = calendars(pool.instruments, pool.horizon)
        self.stride = pool.horizon + max((one.clean for one in pool.instruments), default=0) + 1
        self.step_of_wish = [0]
        self.block_of_step = [0]
        self.instruments: list[int] = []
        self.durations: list[int] = []
        self.floors: list[list[int]] = []
        self.draws: list[tuple[tuple[int, int], ...]] = []
        self.starts: list[Whole] = []
        self.costs: list[Short] = []

    def built(self) -> Tables:
        for wish in self.pool.wishes:
            self._add(wish)
        pool, instruments = self.pool, np.array(self.instruments, dtype=np.int64)
        cleans = np.array([one.clean for one in pool.instruments], dtype=np.int64)
        durations = np.array(self.durations, dtype=np.int64)
        return Tables(
            pool=pool,
            stride=self.stride,
            step_of_wish=np.array(self.step_of_wish, dtype=np.int64),
            block_of_step=np.array(self.block_of_step, dtype=np.int64),
            block_instrument=instruments,
            block_duration=durations,
            block_length=durations + (cleans[instruments] if len(instruments) else 0),
            block_floors=np.array(self.floors, dtype=np.float64).reshape(len(durations), len(pool.floors)),
            block_draws=tuple(self.draws),
            candidate_of_block=np.cumsum([0, *map(len, self.starts)], dtype=np.int64),
            address=np.concatenate(self.starts) if self.starts else np.empty(0, dtype=np.int64),
            cost=np.concatenate(self.costs) if self.costs else np.empty(0, dtype=np.int32),
        )

    def _add(self, wish: Wish) -> None:
        found = [self._blocks(step, window) for step, window in zip(wish.steps, windows(wish), strict=True)]
        if all(found):
            for index, (step, blocks) in enumerate(zip(wish.steps, found, strict=True)):
                for instrument, penalty, starts in blocks:
                    late = wish.late * (starts - wish.window[0]) if index == 0 else np.zeros_like(starts)
                    self._add_block(wish, step, instrument)
                    self.starts.append(starts + instrument * self.stride)
                    self.costs.append((late + penalty).astype(np.int32))
                self.block_of_step.append(len(self.starts))
        self.step_of_wish.append(len(self.block_of_step) - 1)

    def _blocks(self, step: Step, window: Span) -> list[tuple[int, int, Whole]]:
        found = (
            (instrument, penalty, self.calendars[instrument].starts(step, window))
            for instrument, penalty in step.choices
        )
        return [block for block in found if len(block[2])]

    def _add_block(self, wish: Wish, step: Step, instrument: int) -> None:
        group = self.pool.instruments[instrument].group
        self.instruments.append(instrument)
        self.durations.append(step.duration)
        self.draws.append(step.draws)
        self.floors.append(
            [
                step.duration if floor.quota_class == wish.quota_class and floor.group in {None, group} else 0
                for floor in self.pool.floors
            ]
        )
