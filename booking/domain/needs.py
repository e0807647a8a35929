"""Needs: abilities that an instrument must have, some within a limit; written as `volume_l>=50,mixing`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

AT_LEAST, AT_MOST = ">=", "<="

_NEED = re.compile(r"([a-z0-9_]{1,60})(?:(>=|<=)(\d{1,10}(?:\.\d{1,3})?))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Need:
    """One ability, with a limit and a figure or with neither."""

    tag: str
    limit: str = ""
    figure: Decimal | None = None

    def __str__(self) -> str:
        """Write it as an address does."""
        if self.figure is None:
            return self.tag
        figure = f"{self.figure:f}"
        return f"{self.tag}{self.limit}{figure.rstrip('0').rstrip('.') if '.' in figure else figure}"


def read(text: str) -> Need | None:
    """Read one need, None if it is none."""
    found = _NEED.fullmatch(text.strip())
    if found is None:
        return None
    tag, limit, figure = found.groups()
    return Need(tag, limit or "", None if figure is None else Decimal(figure))


def parts(text: str) -> list[str]:
    """Give the needs of a list as they are written."""
    return [part.strip() for part in text.split(",") if part.strip()]


def joined(needs: Iterable[str]) -> str:
    """Write a list of needs, each once; of one ability with one limit the last counts."""
    kept: dict[object, str] = {}
    for one in needs:
        need = read(one)
        key = (need.tag, need.limit) if need else one
        kept.pop(key, None)
        kept[key] = one
    return ",".join(kept.values())
