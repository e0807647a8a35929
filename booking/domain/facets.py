"""Facets: what is chosen, what passes, and how many more or fewer another choice would leave."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ALL_OF = frozenset({"terms"})
"""Of these facets everything that is chosen must be there; of the others one of it is enough."""

Chosen = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Traits:
    """What one thing has of each facet."""

    key: int
    of: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Tally:
    """Which things pass all that is chosen, how many of each choice would, and how many more without one facet."""

    passing: list[int]
    counts: dict[str, Counter[str]]
    without: Counter[str]


def tally(things: Iterable[Traits], chosen: Chosen) -> Tally:
    """Count: a facet of which one choice is enough as if nothing were chosen of it, one of which all count as it is."""
    passing: list[int] = []
    counts: dict[str, Counter[str]] = {}
    without: Counter[str] = Counter()
    for thing in things:
        failed = [name for name, wanted in chosen.items() if wanted and not passes(name, wanted, thing)]
        if not failed:
            passing.append(thing.key)
            counted: Iterable[str] = thing.of
        elif len(failed) == 1:
            without[failed[0]] += 1
            counted = [] if failed[0] in ALL_OF else failed
        else:
            continue
        for name in counted:
            counts.setdefault(name, Counter()).update(thing.of.get(name, ()))
    return Tally(passing, counts, without)


def passes(name: str, wanted: frozenset[str], thing: Traits) -> bool:
    """Tell whether a thing has what is chosen of one facet."""
    has = thing.of.get(name, frozenset())
    return wanted <= has if name in ALL_OF else not wanted.isdisjoint(has)
