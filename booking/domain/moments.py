"""Times in UTC as databases write them, `2026-11-23 09:00:00` or with a fraction of a second, told in other ways.

The same times come again and again in calendars, so that what was made of one is remembered. As text they are in
order, too.
"""

from datetime import UTC, datetime
from functools import lru_cache

_REMEMBERED = 4096


def written(at: datetime) -> str:
    """Write a time as databases do."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


@lru_cache(maxsize=_REMEMBERED)
def moment(text: str) -> datetime:
    """Give the time."""
    return datetime.fromisoformat(f"{text}+00:00")


@lru_cache(maxsize=_REMEMBERED)
def stamp(text: str) -> str:
    """Give the time as RFC 3339 writes it, ending in Z."""
    fraction = text[20:]
    if fraction.strip("0"):
        return f"{text[:10]}T{text[11:19]}.{fraction:0<6}Z"
    return f"{text[:10]}T{text[11:19]}Z"


@lru_cache(maxsize=_REMEMBERED)
def compact(text: str) -> str:
    """Give the time as calendars write it, in whole seconds."""
    return f"{text[:4]}{text[5:7]}{text[8:10]}T{text[11:13]}{text[14:16]}{text[17:19]}Z"
