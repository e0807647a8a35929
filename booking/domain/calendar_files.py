"""Files of calendars: iCalendar as any program writes it, archives of such files, and the table that Outlook writes."""

import csv
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from booking.domain import foreign_calendars, sheets
from booking.domain.calendar_sources import Entry, Reading
from booking.domain.foreign_calendars import BadCalendar, Limits, Occurrence
from booking.domain.spans import Span

MOST_FILES = 100
"""So many calendars of an archive are read."""

MOST_PEOPLE = 20
"""Of so many people of an event it is looked whether we know them."""


def read(
    data: bytes,
    *,
    zone: tzinfo,
    within: Span,
    floating: tzinfo | None = None,
    limits: Limits | None = None,
    name: str = "",
) -> Reading:
    """Read all that happens within a span; whole days are those of `zone`.

    Floating times are those of `floating`, of what the calendar says, or of `zone`. By the ending of its name a file
    is an archive of calendars (.zip) or a table (.csv).

    :raises BadCalendar: if it is none of these, or more than the limits allow to look at
    """
    limits = limits or Limits()
    if name.lower().endswith(".csv"):
        return _table(data, floating or zone, zone, within, limits)
    if not name.lower().endswith(".zip"):
        return _calendar(data, zone, within, floating, limits)
    found = [_calendar(one, zone, within, floating, limits) for one in _unpacked(data, limits)]
    entries = tuple(entry for one in found for entry in one.entries)
    return Reading(
        name=next((one.name for one in found if one.name), ""),
        entries=entries[: limits.total],
        problems=tuple(problem for one in found for problem in one.problems),
        cut=any(one.cut for one in found) or len(entries) > limits.total,
    )


def _calendar(data: bytes, zone: tzinfo, within: Span, floating: tzinfo | None, limits: Limits) -> Reading:
    found = foreign_calendars.read(data, zone=zone, within=within, limits=limits, floating=floating)
    return Reading(
        name=found.name,
        entries=tuple(_entry(one) for one in found.occurrences if one.span.overlaps(within)),
        problems=tuple((problem.uid, problem.code) for problem in found.problems[: limits.dates]),
        cut=found.cut,
    )


def _entry(found: Occurrence) -> Entry:
    there = [one.address for one in found.guests if one.kind not in _THINGS and one.answer != "DECLINED"]
    return Entry(
        uid=found.uid,
        recurrence=found.recurrence,
        span=found.span,
        all_day=found.all_day,
        title=found.summary,
        status=found.status,
        transparent=found.transparent,
        organizer=found.organizer.address if found.organizer else "",
        people=tuple(there[:MOST_PEOPLE]),
    )


_THINGS = {"RESOURCE", "ROOM", "GROUP"}

# --- archives -----------------------------------------------------------------------------------------------


def _unpacked(data: bytes, limits: Limits) -> Iterator[bytes]:
    """Give the calendars of an archive, of which no more is unpacked than one calendar may have, whatever it states."""
    left = limits.octets
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [one for one in archive.infolist() if one.filename.lower().endswith(".ics")]
            if not names:
                raise BadCalendar("no_calendars")
            if len(names) > MOST_FILES:
                raise BadCalendar("too_large")
            for one in names:
                with archive.open(one) as opened:
                    found = opened.read(left + 1)
                left -= len(found)
                if left < 0:
                    raise BadCalendar("too_large")
                yield found
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, OSError, EOFError):
        raise BadCalendar("malformed") from None


# --- the table that Outlook writes --------------------------------------------------------------------------

_COLUMNS = {
    "subject": ("subject", "主题", "主旨"),
    "start_date": ("start date", "开始日期", "開始日期"),
    "start_time": ("start time", "开始时间", "開始時間"),
    "end_date": ("end date", "结束日期", "結束日期"),
    "end_time": ("end time", "结束时间", "結束時間"),
    "all_day": ("all day event", "全天事件", "全天活动", "全天", "整天"),
    "organizer": ("meeting organizer", "会议组织者", "會議召集人"),
    "people": ("required attendees", "必需的与会者", "必要出席者"),
    "shown": ("show time as", "时间显示为", "將時間顯示為"),
}
_NAMES = {name: column for column, names in _COLUMNS.items() for name in names}
_YES = {"true", "yes", "1", "是", "真"}
_FREE = {"free", "3", "空闲", "有空"}
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", re.ASCII)


def _table(data: bytes, clock: tzinfo, zone: tzinfo, within: Span, limits: Limits) -> Reading:
    if len(data) > limits.octets:
        raise BadCalendar("too_large")
    try:
        text = sheets.decode(data)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]
    except (sheets.Unreadable, csv.Error):
        raise BadCalendar("malformed") from None
    if len(rows) - 1 > limits.events:
        raise BadCalendar("too_large")
    heading = [_NAMES.get(cell.strip().lower(), "") for cell in rows[0]] if rows else []
    if not {"subject", "start_date"} <= set(heading):
        raise BadCalendar("malformed")
    records = [dict(zip(heading, row, strict=False)) for row in rows[1:]]
    order = _order([row.get(name, "") for row in records for name in ("start_date", "end_date")])
    entries, problems = [], []
    for number, row in enumerate(records, 2):
        try:
            entries.append(_row(row, order, clock, zone))
        except (ValueError, OverflowError):
            problems.append((str(number), "malformed"))
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries):
        count = seen[entry.uid] = seen.get(entry.uid, 0) + 1
        if count > 1:  # a table has no UIDs, and may hold one line twice
            entries[place] = replace(entry, uid=f"{entry.uid}-{count}")
    kept = [entry for entry in entries if entry.span.overlaps(within)]
    return Reading("", tuple(kept[: limits.total]), tuple(problems), cut=len(kept) > limits.total)


def _row(row: Mapping[str, str], order: str, clock: tzinfo, zone: tzinfo) -> Entry:
    starts, ends = _day(row["start_date"], order), _day(row.get("end_date") or row["start_date"], order)
    all_day = row.get("all_day", "").strip().lower() in _YES
    if all_day:
        # Outlook states the midnight after the last day, other programs the last day itself.
        ends = max(ends, starts + timedelta(days=1))
        begin, end = (datetime.combine(day, time(), zone) for day in (starts, ends))
    else:
        begin = datetime.combine(starts, _wall(row.get("start_time", "")), clock)
        end = datetime.combine(ends, _wall(row.get("end_time") or row.get("start_time", "")), clock)
    span = Span(begin.astimezone(UTC), end.astimezone(UTC))
    if span.start > span.end:
        raise ValueError(row)
    title = sheets.printable(row.get("subject", ""), 300)
    organizer = _addresses(row.get("organizer", ""))
    known = "\n".join((title, span.start.isoformat(), span.end.isoformat(), *organizer))
    return Entry(
        uid=f"table-{hashlib.sha256(known.encode()).hexdigest()[:32]}",
        recurrence="",
        span=span,
        all_day=all_day,
        title=title,
        transparent=row.get("shown", "").strip().lower() in _FREE,
        organizer=organizer[0] if organizer else "",
        people=tuple(_addresses(row.get("people", ""))[:MOST_PEOPLE]),
    )


def _addresses(text: str) -> list[str]:
    return [found.lower() for found in _ADDRESS.findall(text[:4000])]


_DATE = re.compile(r"(\d{1,4})([-/.年])(\d{1,2})[-/.月](\d{1,4})日?")


def _order(cells: Sequence[str]) -> str:
    """Tell in which order the days of a table stand, by those that can be read in one way alone."""
    for cell in cells:
        found = _DATE.fullmatch(cell.strip())
        if found and len(found[1]) < 3 and max(int(found[1]), int(found[3])) > 12:
            return "dmy" if int(found[1]) > 12 else "mdy"
    return ""


def _day(text: str, order: str) -> date:
    found = _DATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    first, middle, last = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        year, month, day = first, middle, last
    elif (order or ("dmy" if found[2] == "." else "mdy")) == "dmy":
        year, month, day = last, middle, first
    else:
        year, month, day = last, first, middle
    if not 1970 <= year < 2200:
        raise ValueError(text)
    return date(year, month, day)


_TIME = re.compile(r"(上午|下午)?\s*(\d{1,2}):(\d{2})(?::\d{2})?\s*(am|pm|上午|下午)?")


def _wall(text: str) -> time:
    found = _TIME.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(text)
    hour, half = int(found[2]), found[1] or found[4]
    if half is not None:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half in {"pm", "下午"} else 0)
    return time(hour, int(found[3]))
