"""REPORT: which events a program asks for, and what changed since it asked last."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import unquote, urlsplit

from flask import Response

from booking.db import reading
from booking.domain import calendars as ical
from booking.domain.dav import Filter, PropertyFilter, TextMatch, busy_periods, stamp
from booking.domain.spans import Span
from booking.feeds.caldav import calendars
from booking.feeds.caldav.multistatus import (
    Wanted,
    multistatus,
    of_properties,
    of_status,
    refusal,
    wanted_of,
)
from booking.feeds.caldav.resources import Calendar, of_event
from booking.feeds.caldav.xml import C, D, Element, made
from booking.http.context import settings
from booking.http.identity import utc_now
from booking.i18n import gettext as _
from booking.services import dav
from models import DavCollection


class BadReport(Exception):
    """A report that makes no sense: the condition that fails, and the status that goes with it."""

    def __init__(self, condition: str, status: int = 403) -> None:
        """Keep both for the answer."""
        super().__init__(condition)
        self.condition = condition
        self.status = status


def answer(name: str, root: Element) -> Response:
    """Answer a report on a calendar.

    :raises NotFound: if the reader has no such calendar
    :raises BadReport: if it is none that we know, or makes no sense
    """
    reports = {
        C + "calendar-query": _query,
        C + "calendar-multiget": _multiget,
        C + "free-busy-query": _free_busy,
        D + "sync-collection": _sync,
    }
    if root.tag not in reports:
        raise BadReport(D + "supported-report")
    return reports[root.tag](name, root)


def _query(name: str, root: Element) -> Response:
    wanted, chosen = wanted_of(root), _filter(root.find(C + "filter"))
    with reading() as session:
        calendar = calendars.open_one(session, name)
        found = [] if chosen.none else list(calendar.events.values())
        return multistatus(
            of_properties(calendar.path(event.name), of_event(calendar, event), wanted)
            for event in found
            if chosen.fits(event.span, event.event, event.alias)
        )


def _multiget(name: str, root: Element) -> Response:
    wanted = wanted_of(root)
    paths = [urlsplit((one.text or "").strip()).path for one in root.iterfind(D + "href")]
    with reading() as session:
        calendar = calendars.open_one(session, name)
        return multistatus(_given(calendar, list(dict.fromkeys(paths)), wanted))


def _given(calendar: Calendar, paths: list[str], wanted: Wanted) -> Iterator[Element]:
    base = calendar.path()
    for path in paths:
        # Programs write an @ in a name as %40 or as it is: names are compared as they read.
        event = calendar.events.get(unquote(path.removeprefix(base))) if path.startswith(base) else None
        if event is None:
            yield of_status(path, 404)
        else:
            yield of_properties(calendar.path(event.name), of_event(calendar, event), wanted)


def _free_busy(name: str, root: Element) -> Response:
    start, end = _range(root.find(C + "time-range"))
    if start is None or end is None:
        raise BadReport(C + "valid-filter")
    now = utc_now()
    with reading() as session:
        calendar = calendars.open_one(session, name)
        events = [(event.span, event.event) for event in calendar.events.values()]
    uid = f"busy-{name}@{settings().host_name}"
    told = ical.render_busy(uid, Span(start, end), now, busy_periods(events))
    return Response(told, mimetype="text/calendar")


# --- what changed -----------------------------------------------------------------------------------------


def _sync(name: str, root: Element) -> Response:
    wanted = wanted_of(root)
    if (root.findtext(D + "sync-level") or "1").strip() != "1":
        raise BadReport(D + "sync-traversal-supported")
    most = _most(root)
    row = calendars.refreshed(name)
    since = _revision(row, (root.findtext(D + "sync-token") or "").strip())
    with reading() as session:
        found, revision = dav.changes(session, row=row, since=since, most=most)
        calendar = calendars.open_one(session, name)
        bare = wanted.names is not None and set(wanted.names) <= {D + "getetag", D + "getcontenttype"}
        answers = [_changed(calendar, change, wanted, bare=bare) for change in found]
        if revision != row.revision:
            cut = made(D + "error", made(D + "number-of-matches-within-limits"))
            answers.append(of_status(calendar.path(), 507, cut))
    return multistatus(answers, made(D + "sync-token", f"urn:yiqi:sync:{row.id.hex}:{revision}"))


def _changed(calendar: Calendar, change: dav.Change, wanted: Wanted, *, bare: bool) -> Element:
    path = calendar.path(change.name)
    if change.gone:
        return of_status(path, 404)
    if bare:  # nothing is rendered for those who only want to know what changed
        known = {
            D + "getetag": lambda: f'"{change.etag}"',
            D + "getcontenttype": lambda: "text/calendar; charset=utf-8; component=vevent",
        }
        return of_properties(path, known, wanted)
    event = calendar.events.get(change.name)
    return of_status(path, 404) if event is None else of_properties(path, of_event(calendar, event), wanted)


def _most(root: Element) -> int | None:
    told = root.findtext(f"{D}limit/{D}nresults")
    if told is None:
        return None
    if not told.strip().isdecimal() or not int(told):
        raise BadReport(D + "number-of-matches-within-limits")
    return int(told)


def _revision(row: DavCollection, token: str) -> int:
    """Give the revision that a token stands for, 0 for none.

    :raises BadReport: if it is not of this calendar, or too old
    """
    if not token:
        return 0
    *head, revision = token.split(":")
    if head != ["urn", "yiqi", "sync", row.id.hex] or not revision.isdecimal():
        raise BadReport(D + "valid-sync-token")
    if not row.oldest <= int(revision) <= row.revision:
        raise BadReport(D + "valid-sync-token")
    return int(revision)


# --- which events are asked for ---------------------------------------------------------------------------


def _filter(root: Element | None) -> Filter:
    """Read the filter of a query.

    :raises BadReport: if we cannot filter like that
    """
    outer = None if root is None else root.find(C + "comp-filter")
    if outer is None or outer.get("name", "").upper() != "VCALENDAR":
        raise BadReport(C + "valid-filter")
    inner = list(outer.iterfind(C + "comp-filter"))
    if not inner:
        return Filter(none=outer.find(C + "is-not-defined") is not None)
    if len(inner) > 1:
        raise BadReport(C + "supported-filter")
    [events] = inner
    absent = events.find(C + "is-not-defined") is not None
    if events.get("name", "").upper() != "VEVENT":
        return Filter(none=not absent)
    if absent:
        return Filter(none=True)
    start, end = _range(events.find(C + "time-range"))
    # Our events have nothing inside them, such as alarms.
    parts = [one.find(C + "is-not-defined") is not None for one in events.iterfind(C + "comp-filter")]
    return Filter(not all(parts), start, end, tuple(map(_property, events.iterfind(C + "prop-filter"))))


def _property(root: Element) -> PropertyFilter:
    if root.find(C + "time-range") is not None or root.find(C + "param-filter") is not None:
        raise BadReport(C + "supported-filter")
    absent = root.find(C + "is-not-defined") is not None
    text = root.find(C + "text-match")
    if text is None:
        return PropertyFilter(root.get("name", "").upper(), absent=absent)
    collation = text.get("collation", "i;ascii-casemap")
    if collation not in {"i;ascii-casemap", "i;octet", "i;unicode-casemap", "default"}:
        raise BadReport(C + "supported-collation")
    match = TextMatch(text.text or "", text.get("negate-condition") == "yes", collation == "i;octet")
    return PropertyFilter(root.get("name", "").upper(), absent=absent, text=match)


def _range(root: Element | None) -> tuple[datetime | None, datetime | None]:
    if root is None:
        return None, None
    try:
        start, end = (stamp(told) if (told := root.get(name)) else None for name in ("start", "end"))
    except ValueError:
        raise BadReport(C + "valid-filter") from None
    if (start is None and end is None) or (start and end and start >= end):
        raise BadReport(C + "valid-filter")
    return start, end


def words(error: BadReport) -> Response:
    """Refuse a report."""
    of = error.condition.rpartition("}")[2]
    return refusal(error.status, error.condition, _("This request cannot be answered (%(code)s).", code=of))
