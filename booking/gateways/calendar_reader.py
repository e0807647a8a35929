"""Has a calendar of somebody else's read by a process of its own, which has little time and room and no secrets."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime

from booking.domain.calendar_sources import Entry, Reading
from booking.domain.foreign_calendars import BadCalendar, Limits
from booking.domain.hook_addresses import NOTHING, Inside
from booking.domain.spans import Span
from booking.gateways import fetch
from booking.gateways.way_out import Failed

PROGRAM = "booking.jobs.calendar_reader"
"""The module that is run."""

SECONDS = 20.0
LIMITS = Limits(octets=1_000_000, lines=50_000, events=5_000, dates=730, total=5_000)
MOST_ANSWER = 20_000_000

_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "TZDIR", "SYSTEMROOT")


SOON = 10.0
"""So many seconds somebody waits before a page for a calendar to come, and as many for it to be read."""


def look(url: str, *, zone: str, floating: str, within: Span, also: Inside = NOTHING) -> Reading:
    """Fetch a calendar and read it, for somebody who waits.

    :raises Failed: if it cannot be fetched, or not be read
    """
    found = fetch.fetch(url, also=also, seconds=SOON)
    try:
        return read(found.data or b"", zone=zone, floating=floating, within=within, seconds=SOON)
    except BadCalendar as error:
        raise Failed(error.code) from None


def read(
    data: bytes,
    *,
    zone: str,
    within: Span,
    floating: str = "",
    name: str = "",
    limits: Limits = LIMITS,
    seconds: float = SECONDS,
) -> Reading:
    """Read what happens within a span; `name` is that of a file, which may hold several calendars.

    Whole days are those of `zone`. Floating times are those of `floating`; where it says nothing, what the calendar
    says itself, or else those of `zone`.

    :raises BadCalendar: if it cannot be read within the limits
    """
    how = {
        "zone": zone,
        "floating": floating,
        "start": within.start.isoformat(),
        "end": within.end.isoformat(),
        "name": name,
        "limits": asdict(limits),
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", PROGRAM],
            input=json.dumps(how).encode() + b"\n" + data,
            capture_output=True,
            timeout=seconds,
            check=False,
            # What stands in the environment is no business of somebody else's calendar.
            env={key: os.environ[key] for key in _KEPT if key in os.environ},
        )
    except subprocess.TimeoutExpired:
        raise BadCalendar("too_slow") from None
    try:
        said = json.loads(done.stdout[:MOST_ANSWER])
    except ValueError:
        raise BadCalendar("too_slow" if done.returncode < 0 else "malformed") from None
    if "error" in said:
        raise BadCalendar(said["error"])
    return Reading(
        name=said["name"],
        entries=tuple(_entry(*one) for one in said["entries"]),
        problems=tuple((uid, code) for uid, code in said["problems"]),
        cut=said["cut"],
    )


def _entry(
    uid: str,
    recurrence: str,
    start: str,
    end: str,
    all_day: bool,
    title: str,
    status: str,
    transparent: bool,
    organizer: str,
    people: list[str],
) -> Entry:
    span = Span(datetime.fromisoformat(start), datetime.fromisoformat(end))
    return Entry(uid, recurrence, span, all_day, title, status, transparent, organizer, tuple(people))
