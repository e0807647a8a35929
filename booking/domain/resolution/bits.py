"""Sets of slots as whole numbers: bit n is slot n, so that a calendar of weeks is one word for the processor.

Python's integers have no limit, and shifting or joining one of some thousand bits takes a fraction of a microsecond;
runs of free slots are found by doubling, in as many steps as the length has binary digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from booking.domain.resolution.problem import Span


def of_span(start: int, end: int) -> int:
    """Give the slots from start up to end; what lies before slot 0 is left out."""
    start = max(start, 0)
    return ((1 << (end - start)) - 1) << start if start < end else 0


def of_spans(spans: Iterable[Span]) -> int:
    """Give the slots of all the spans."""
    found = 0
    for start, end in spans:
        found |= of_span(start, end)
    return found


def runs(slots: int, length: int) -> int:
    """Give the slots from which on so many in a row are in the set, the slot itself the first of them."""
    have = 1
    while have < length and slots:
        step = min(have, length - have)
        slots &= slots >> step
        have += step
    return slots


def within(slots: int, least: int, most: int) -> int:
    """Give the slots that lie between `least` and `most` slots after one of the set."""
    if most < least:
        return 0
    have, found = 1, slots
    while have < most - least + 1:
        step = min(have, most - least + 1 - have)
        found |= found << step
        have += step
    return found << least


def first(slots: int) -> int | None:
    """Give the first slot of the set."""
    return (slots & -slots).bit_length() - 1 if slots else None


def last(slots: int) -> int | None:
    """Give the last slot of the set."""
    return slots.bit_length() - 1 if slots else None


def ascending(slots: int) -> Iterator[int]:
    """Walk through the set, the first slot first."""
    while slots:
        lowest = slots & -slots
        yield lowest.bit_length() - 1
        slots ^= lowest


def around(slots: int, slot: int, count: int) -> list[int]:
    """Give so many slots of the set that are nearest to a slot; of two as near the earlier comes first."""
    before, after = slots & (1 << slot) - 1, slots >> slot
    found: list[int] = []
    while len(found) < count and (before or after):
        left, right = before.bit_length() - 1, (after & -after).bit_length() - 1
        if before and (not after or slot - left <= right):
            found.append(left)
            before ^= 1 << left
        else:
            found.append(slot + right)
            after &= after - 1
    return found


def stretches(slots: int) -> Iterator[Span]:
    """Walk through the set as spans of slots in a row, the earliest first."""
    while slots:
        start = (slots & -slots).bit_length() - 1
        rest = ~(slots >> start)
        length = (rest & -rest).bit_length() - 1
        yield start, start + length
        slots &= -1 << (start + length)
