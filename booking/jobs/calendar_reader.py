"""The process that reads a calendar of somebody else's: from its input, with little time and room, to its output.

The first line is JSON and says how; the calendar follows. Whatever it holds, no more than this process ends.
"""

import json
import resource
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain import calendar_files
from booking.domain.calendar_sources import Entry
from booking.domain.foreign_calendars import BadCalendar, Limits
from booking.domain.spans import Span

CPU_SECONDS = 15
MEMORY = 1_000_000_000


def main() -> None:
    """Read what the input holds."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    how = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    try:
        said = _read(how, data)
    except BadCalendar as error:
        said = {"error": error.code}
    except MemoryError:
        said = {"error": "too_large"}
    json.dump(said, sys.stdout)


def _read(how: dict[str, Any], data: bytes) -> dict[str, Any]:
    found = calendar_files.read(
        data,
        zone=ZoneInfo(how["zone"]),
        floating=ZoneInfo(how["floating"]) if how["floating"] else None,
        within=Span(datetime.fromisoformat(how["start"]), datetime.fromisoformat(how["end"])),
        limits=Limits(**how["limits"]),
        name=how["name"],
    )
    return {
        "name": found.name,
        "problems": found.problems,
        "cut": found.cut,
        "entries": [_told(entry) for entry in found.entries],
    }


def _told(entry: Entry) -> list[Any]:
    return [
        entry.uid,
        entry.recurrence,
        entry.span.start.isoformat(),
        entry.span.end.isoformat(),
        entry.all_day,
        entry.title,
        entry.status,
        entry.transparent,
        entry.organizer,
        entry.people,
    ]


if __name__ == "__main__":
    main()
