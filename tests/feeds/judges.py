"""Two independent readers of our feeds: what each saw in a calendar, to compare with the truth."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ical.calendar_stream import IcsCalendarStream

HERE = Path(__file__).parent


class Seen(NamedTuple):
    """An occurrence as a reader understood it; times are seconds since the epoch."""

    uid: str
    start: int
    end: int
    changed: int
    sequence: int
    status: str
    transparency: str
    summary: str
    description: str | None
    location: str | None
    url: str | None
    categories: tuple[str, ...]


def by_ical_js(*feeds: bytes) -> list[dict]:
    """Return, for each feed, {"calendar": its properties, "events": [Seen, …], "properties": their names}."""
    node = shutil.which("node")
    if node is None or not (HERE.parents[1] / "node_modules" / "ical.js").is_dir():
        raise RuntimeError("ical.js is missing: run `npm ci` in the checkout")
    run = subprocess.run(
        [node, HERE / "ical_js.mjs"],
        input=json.dumps([feed.decode() for feed in feeds]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    if run.returncode:
        raise ValueError(run.stderr)
    return [
        {
            "calendar": said["calendar"],
            "properties": [event.pop("properties") for event in said["events"]],
            "events": [
                Seen(**{**event, "categories": tuple(event["categories"])}) for event in said["events"]
            ],
        }
        for said in json.loads(run.stdout)
    ]


def by_ical(feed: bytes) -> list[Seen]:
    """Return the events as the Python package `ical`, Home Assistant's strict reader, lists them."""
    calendar = IcsCalendarStream.calendar_from_ics(feed.decode())
    return [
        Seen(
            uid=event.uid,
            start=int(event.dtstart.timestamp()),
            end=int(event.dtend.timestamp()),
            changed=int(event.last_modified.timestamp()),
            sequence=event.sequence,
            status=event.status.value,
            transparency=event.transparency,
            summary=event.summary,
            description=event.description,
            location=event.location,
            url=None if event.url is None else str(event.url),
            categories=tuple(event.categories),
        )
        for event in calendar.events
    ]


def occurrences(feed: bytes) -> list[tuple[str, int, int]]:
    """Return (uid, start, end) of each occurrence on the timeline of `ical`, recurrences expanded."""
    calendar = IcsCalendarStream.calendar_from_ics(feed.decode())
    return [
        (event.uid, int(event.dtstart.timestamp()), int(event.dtend.timestamp()))
        for event in calendar.timeline
    ]
