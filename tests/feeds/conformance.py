"""What a feed must be, octet by octet, checked without any calendar package: RFC 5545, 5546, 7986.

`faults(feed)` names every breach; a feed of ours has none. It reads what we write, so it is strict where a
general reader would be lenient: flat events in UTC and nothing else.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

CALENDAR = {
    "VERSION": r"2\.0",
    "PRODID": r"-//.+",
    "CALSCALE": "GREGORIAN",
    "NAME": None,
    "X-WR-CALNAME": None,
    "DESCRIPTION": None,
    "X-WR-CALDESC": None,
    "COLOR": "[a-z]+",
    "REFRESH-INTERVAL": r"PT\d+M",
    "X-PUBLISHED-TTL": r"PT\d+M",
}
STAMP = r"\d{8}T\d{6}Z"
EVENT = {
    "UID": r"[!-~]{1,255}",
    "DTSTAMP": STAMP,
    "DTSTART": STAMP,
    "DTEND": STAMP,
    "CREATED": STAMP,
    "LAST-MODIFIED": STAMP,
    "SEQUENCE": r"\d+",
    "STATUS": "CONFIRMED|TENTATIVE|CANCELLED",
    "TRANSP": "OPAQUE|TRANSPARENT",
    "X-MICROSOFT-CDO-BUSYSTATUS": "BUSY|TENTATIVE|FREE",
    "SUMMARY": None,
}
OPTIONAL = {"DESCRIPTION": None, "LOCATION": None, "URL": r"https?://[!-~]+", "CATEGORIES": None}
TEXTS = {"NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC", "SUMMARY", "LOCATION", "CATEGORIES"}
PARAMETERS = {"REFRESH-INTERVAL": ";VALUE=DURATION"}
AGREED = {
    ("CONFIRMED", "OPAQUE", "BUSY"),
    ("CONFIRMED", "TRANSPARENT", "FREE"),
    ("TENTATIVE", "OPAQUE", "TENTATIVE"),
    ("CANCELLED", "TRANSPARENT", "FREE"),
}


class Line(NamedTuple):
    name: str
    parameters: str
    value: str


def faults(feed: bytes) -> list[str]:
    """Return one sentence for each breach, none for a good feed."""
    found = list(_octets(feed))
    try:
        lines = _lines(feed)
    except ValueError as error:
        return [*found, str(error)]
    events, calendar = [], []
    here = None
    for line in lines:
        if line.name == "BEGIN" and line.value == "VEVENT":
            here = []
            events.append(here)
        elif line.name == "END" and line.value == "VEVENT":
            here = None
        elif line.name in {"BEGIN", "END"}:
            if line.value != "VCALENDAR":
                found.append(f"a {line.value} in a feed of flat events")
        else:
            (calendar if here is None else here).append(line)
    shape = [f"{line.name}:{line.value}" for line in lines if line.name in {"BEGIN", "END"}]
    if shape != ["BEGIN:VCALENDAR", *["BEGIN:VEVENT", "END:VEVENT"] * len(events), "END:VCALENDAR"]:
        found.append("components are not one calendar of events")
    found += _properties("VCALENDAR", calendar, CALENDAR, {})
    for event in events:
        found += _properties("VEVENT", event, EVENT, OPTIONAL)
    found += _meaning([{line.name: line.value for line in event} for event in events])
    return found


def _octets(feed: bytes) -> Iterator[str]:
    if not feed.startswith(b"BEGIN:VCALENDAR\r\n"):
        yield "does not begin with BEGIN:VCALENDAR, or has a byte order mark"
    if not feed.endswith(b"\r\nEND:VCALENDAR\r\n"):
        yield "does not end with END:VCALENDAR and CRLF"
    if re.search(rb"(?<!\r)\n|\r(?!\n)", feed):
        yield "a line does not end in CRLF"
    for number, line in enumerate(feed.split(b"\r\n")[:-1], start=1):
        if not line.strip():
            yield f"line {number} is blank"
        if len(line) > 75:
            yield f"line {number} has {len(line)} octets"
        if re.search(rb"[\x00-\x1f\x7f]", line):
            yield f"line {number} has a control character"
        try:
            text = line.decode()
        except UnicodeDecodeError:
            yield f"line {number} is no UTF-8 by itself"
        else:
            if re.search("[\x80-\x9f\u2028\u2029]", text):
                yield f"line {number} has a character that some readers take for a line break"


def _lines(feed: bytes) -> list[Line]:
    lines = []
    for text in feed.decode(errors="replace").replace("\r\n ", "").split("\r\n")[:-1]:
        match = re.fullmatch(r"([A-Z0-9-]+)((?:;[A-Z0-9-]+=[^\";:,]+)*):(.*)", text, re.DOTALL)
        if match is None:
            raise ValueError(f"not a content line: {text[:60]!r}")
        lines.append(Line(*match.groups()))
    return lines


def _properties(where: str, lines: list[Line], required: dict, optional: dict) -> Iterator[str]:
    counts = Counter(line.name for line in lines)
    for name in required:
        if not counts[name]:
            yield f"{where} without {name}"
    for name, count in counts.items():
        if count > 1:
            yield f"{where} has {count} {name}"
        if name not in required and name not in optional:
            yield f"{where} has {name}"
    for line in lines:
        pattern = required.get(line.name, optional.get(line.name))
        if pattern is not None and not re.fullmatch(pattern, line.value):
            yield f"{line.name} is {line.value!r}"
        if line.parameters != PARAMETERS.get(line.name, ""):
            yield f"{line.name} has the parameters {line.parameters!r}"
        if line.name in TEXTS:
            yield from _escapes(line)


def _escapes(line: Line) -> Iterator[str]:
    rest = re.sub(r"\\[\\;,n]", "", line.value)
    if line.name == "CATEGORIES":
        rest = rest.replace(",", "")
    if re.search(r"[\\;,]", rest):
        yield f"{line.name} has a bare backslash, semicolon or comma: {line.value[:60]!r}"
    if line.name == "SUMMARY" and not line.value.strip():
        yield "an empty SUMMARY"


def _meaning(events: list[dict[str, str]]) -> Iterator[str]:
    for uid, count in Counter(event.get("UID") for event in events).items():
        if count > 1:
            yield f"the UID {uid} occurs {count} times"
    order = [(event.get("DTSTART"), event.get("UID")) for event in events]
    if order != sorted(order):
        yield "the events are not in the order of start and UID"
    for event in events:
        said = [event.get(name) for name in ("STATUS", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS")]
        if tuple(said) not in AGREED:
            yield f"{event.get('UID')} contradicts itself: {said}"
        if event.get("DTSTAMP") != event.get("LAST-MODIFIED"):
            yield f"{event.get('UID')} has a DTSTAMP that is not its last change"
        try:
            times = [
                datetime.strptime(event[name], "%Y%m%dT%H%M%S%z")
                for name in ("DTSTART", "DTEND", "CREATED", "LAST-MODIFIED")
            ]
        except (KeyError, ValueError) as error:
            yield f"{event.get('UID')} has no such time: {error}"
        else:
            if times[1] <= times[0]:
                yield f"{event.get('UID')} does not end after its start"
            if times[3] < times[2]:
                yield f"{event.get('UID')} changed before it was made"
