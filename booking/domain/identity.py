"""Ids that are made before the row is written."""

import secrets
from datetime import datetime
from uuid import UUID


def time_ordered_id(now: datetime) -> UUID:
    """Make an id that sorts by time, so that an index grows at its end: RFC 9562, version 7, 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)
