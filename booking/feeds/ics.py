"""The iCalendar feed: `/calendars/<token>.ics`.

Calendars fetch it unattended, and one answer of 401, 403, 429 or 5xx makes some of them give up in silence.
So the token alone decides, cookies and Authorization are not looked at, and when the database is away the
last good answer is given again.
"""

import gzip
import ipaddress
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from flask import Blueprint, Response, current_app, request
from werkzeug.http import http_date

from booking import i18n, wording
from booking.db import Session, reading, transaction
from booking.domain import calendars as ical
from booking.domain.access import NotFound
from booking.domain.calendars import CalendarItem, FeedHead, FeedRules, Status
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.gateways import feed_copies
from booking.gateways.feed_copies import Copy
from booking.http.context import public_url_for, settings
from booking.http.feed_addresses import copies, forget
from booking.http.guard import open_to_all
from booking.http.identity import utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import calendars
from booking.services.calendars import CALLED_OFF, Entry, Feed, Gone, Level, Place
from booking.services.sign_in import hashed
from models import CalendarScope

blueprint = Blueprint("feeds", __name__)

_log = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=5)
"""How often it is noted that an address was used."""

WORTH_PACKING = 1000
"""Bytes; less is not worth compressing."""

_HEADERS = {
    "Content-Disposition": 'inline; filename="yiqi.ics"',
    "Cache-Control": "private, no-cache",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}
_COLOURS = {
    CalendarScope.ME: "steelblue",
    CalendarScope.INSTRUMENT: "teal",
    CalendarScope.FACILITY: "slategray",
    CalendarScope.PROJECT: "mediumpurple",
    CalendarScope.FREE: "mediumseagreen",
}


@blueprint.get("/calendars/<token>.ics")
@open_to_all
def feed(token: str) -> Response:
    """Give the calendar of a secret address: 200 or 304; 410 once it is revoked, 404 if there never was one.

    The option `cancelled=1` shows what was called off, marked as such.
    """
    secret_hash = hashed(token)
    cancelled = request.args.get("cancelled") == "1"
    try:
        return _answer(secret_hash, cancelled=cancelled, now=utc_now())
    except NotFound:
        forget(secret_hash)  # its person may have been deleted
        return _refusal(404, "There is no such calendar.")
    except Gone:
        forget(secret_hash)
        return _refusal(410, "This calendar was withdrawn by its owner. Please remove the subscription.")
    except Exception:  # noqa: BLE001 - a subscriber gets the last good answer whatever is broken
        _log.warning("a feed could not be read; the last good answer is given", exc_info=True)
        return _last_good(feed_copies.name(secret_hash, cancelled=cancelled))


@blueprint.get("/robots.txt")
@open_to_all
def robots() -> Response:
    """Let calendars that obey robots.txt fetch feeds; `X-Robots-Tag` keeps these out of search engines."""
    return Response("User-agent: *\nAllow: /calendars/\n", mimetype="text/plain")


# --- the answer -------------------------------------------------------------------------------------------


def _answer(secret_hash: bytes, *, cancelled: bool, now: datetime) -> Response:
    rules = _rules()
    name = feed_copies.name(secret_hash, cancelled=cancelled)
    with reading() as session:
        found = calendars.feed(session, secret_hash=secret_hash)
        etag = _etag(found, rules, cancelled=cancelled, now=now)
        if _known(etag):
            return _noted(_not_modified(etag), found, now)
        kept = feed_copies.read(copies(), name)
        fresh = None
        if kept is None or kept.etag != etag:
            fresh = _read(session, found, rules, cancelled=cancelled, now=now)
    if kept is None or fresh is not None:
        kept = Copy(etag, _modified(kept, now), _render(found, fresh or _Fresh(), rules, now))
        _keep(name, kept)
    return _noted(_whole(kept), found, now)


def _etag(found: Feed, rules: FeedRules, *, cancelled: bool, now: datetime) -> str:
    days = ical.midnight(now).date(), ical.day_in(found.zone, now)
    return ical.entity_tag(
        *found.version, *days, rules, cancelled, found.actor.name, settings().public_url, settings().host_name
    )


def _modified(before: Copy | None, now: datetime) -> datetime:
    """Give when the feed changed, as far as anybody could see: now, and later than what was seen before."""
    modified = now.replace(microsecond=0)
    if before is not None and modified <= before.modified:
        return before.modified + timedelta(seconds=1)
    return modified


def _keep(name: str, copy: Copy) -> None:
    try:
        feed_copies.write(copies(), name, copy)
    except OSError:
        _log.warning("the answer of a feed could not be kept", exc_info=True)


def _last_good(name: str) -> Response:
    kept = feed_copies.read(copies(), name)
    if kept is not None:
        return _not_modified(kept.etag) if _known(kept.etag) else _whole(kept)
    if request.if_none_match or request.if_modified_since:
        # Whoever has a copy keeps it: any other answer would empty or end the subscription.
        return _bare(304)
    return _refusal(404, "This calendar cannot be read at the moment.")


def _whole(kept: Copy) -> Response:
    since = request.if_modified_since
    if since is not None and not request.if_none_match and since >= kept.modified:
        return _not_modified(kept.etag)
    packed = request.accept_encodings["gzip"] > 0 and len(kept.body) >= WORTH_PACKING
    body = gzip.compress(kept.body, compresslevel=1, mtime=0) if packed else kept.body
    response = _bare(200, body)
    response.mimetype = "text/calendar"
    response.headers["ETag"] = _packed(kept.etag) if packed else kept.etag
    response.headers["Last-Modified"] = http_date(kept.modified)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _known(etag: str) -> bool:
    """Tell whether the client says that it has this version, in either encoding."""
    wanted = request.if_none_match
    return any(wanted.contains_weak(tag.strip('"')) for tag in (etag, _packed(etag)))


def _packed(etag: str) -> str:
    return f'{etag[:-1]}-gz"'


def _not_modified(etag: str) -> Response:
    response = _bare(304)
    wanted = request.if_none_match
    packed = not wanted.contains_weak(etag.strip('"')) and wanted.contains_weak(_packed(etag).strip('"'))
    response.headers["ETag"] = _packed(etag) if packed else etag
    return response


def _refusal(status: int, words: str) -> Response:
    response = _bare(status, f"{words}\n".encode())
    response.mimetype = "text/plain"
    return response


def _bare(status: int, body: bytes = b"") -> Response:
    response = Response(body, status, _HEADERS)
    response.vary.add("Accept-Encoding")
    if status == 304:
        del response.headers["Content-Type"]
    return response


def _rules() -> FeedRules:
    known = settings()
    return FeedRules(known.feed_past_days, known.feed_future_days, known.feed_events)


# --- who asked --------------------------------------------------------------------------------------------


def _noted(response: Response, found: Feed, now: datetime) -> Response:
    if found.fetched_at is None or now - found.fetched_at >= NOTED_EVERY:
        agent = "".join(character for character in request.user_agent.string if character.isprintable())
        response.call_on_close(partial(_note, found.link_id, agent, _network(), now))
    return response


def _note(link_id: UUID, agent: str, network: str, now: datetime) -> None:
    """Note the fetch when the answer has gone out: no calendar waits for it, and none fails by it."""
    try:
        with transaction() as session:
            calendars.note_fetch(session, link_id=link_id, agent=agent, address=network, now=now)
    except Exception:  # noqa: BLE001 - the answer is out; nobody can be told but the log
        _log.warning("the last fetch of a feed could not be noted", exc_info=True)


def _network() -> str:
    """Give the network that asked, not the very machine: it is shown to the owner and kept."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))


# --- its words --------------------------------------------------------------------------------------------


class Event(NamedTuple):
    """A rendered event, in such an order of its fields that a feed is sorted by them."""

    starts_at: datetime
    uid: str
    ends_at: datetime
    body: bytes


_Rendered = dict[str, tuple[int, list[Event]]]
"""By the key of a booking: the version that was rendered, and its events."""


class _Shelf:
    """The events of feeds that were read lately, by the feed's context; the longest unread go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._feeds: dict[str, _Rendered] = {}
        self._lock = threading.Lock()

    def get(self, context: str) -> _Rendered:
        return self._feeds.get(context, {})

    def put(self, context: str, rendered: _Rendered) -> None:
        with self._lock:
            self._feeds.pop(context, None)
            self._feeds[context] = rendered
            total = sum(map(len, self._feeds.values()))
            while total > self._most:
                total -= len(self._feeds.pop(next(iter(self._feeds))))


_shelf = _Shelf(most=12_000)


@dataclass(slots=True)
class _Fresh:
    """What of a feed was read from the database, with what was rendered before and still holds."""

    outline: Sequence[tuple[str, int]] = ()
    before: _Rendered = field(default_factory=dict)
    entries: Mapping[str, list[Entry]] = field(default_factory=dict)
    others: Sequence[Entry] = ()


def _read(session: Session, found: Feed, rules: FeedRules, *, cancelled: bool, now: datetime) -> _Fresh:
    """Read what is in the feed, and all about the bookings that changed since it was last rendered."""
    host, secret = settings().host_name, _secret()
    outline = calendars.outline(session, found, rules=rules, now=now, cancelled=cancelled)
    before = _shelf.get(_context(found))
    changed = [key for key, version in outline if key not in before or before[key][0] != version]
    return _Fresh(
        outline,
        before,
        calendars.entries(session, found, keys=changed, host=host, secret=secret),
        calendars.others(session, found, rules=rules, host=host, secret=secret, now=now),
    )


def _render(found: Feed, fresh: _Fresh, rules: FeedRules, now: datetime) -> bytes:
    with i18n.use_locale(found.locale):
        head = _head(found, rules)
    return ical.render_feed(head, [event.body for event in _rendered(found, fresh, rules, now)])


def events_of(session: Session, found: Feed, rules: FeedRules, *, now: datetime) -> list[Event]:
    """Give each event of a calendar as its feed has it, in the feed's order."""
    return _rendered(found, _read(session, found, rules, cancelled=False, now=now), rules, now)


def _rendered(found: Feed, fresh: _Fresh, rules: FeedRules, now: datetime) -> list[Event]:
    start, end = ical.window(now, rules)
    with i18n.use_locale(found.locale):
        words = _Words(found)
        rendered: _Rendered = {}
        for key, version in fresh.outline:
            made = fresh.entries.get(key)
            if made is not None:
                rendered[key] = version, list(map(words.event, made))
            elif key in fresh.before:
                rendered[key] = fresh.before[key]
        events = [event for _version, events in rendered.values() for event in events]
        events = [event for event in events if event.starts_at < end and event.ends_at > start]
        events = sorted([*events, *map(words.event, fresh.others)])
    _shelf.put(_context(found), rendered)
    return ical.within_cap(events, now=now, cap=rules.cap)


def _context(found: Feed) -> str:
    return ical.entity_tag(*found.context)


def _head(found: Feed, rules: FeedRules) -> FeedHead:
    if not found.readable:
        words = _("You may no longer see what this calendar showed. You can remove the subscription.")
        return FeedHead(_("Yiqi"), words, "gray")
    name = {
        CalendarScope.ME: lambda: _("Yiqi: my bookings"),
        CalendarScope.FREE: lambda: _("%(instrument)s: free time", instrument=name_of(found.subject)),
    }.get(found.scope, lambda: name_of(found.subject))()
    # The rule, not today's dates: these bytes change only when the rule does.
    words = _(
        "From %(back)d days back to %(ahead)d days ahead, in whole days (UTC), and at most %(cap)d events."
        " If there are more, the past is left out first, then what is farthest ahead.",
        back=rules.days_back,
        ahead=rules.days_ahead,
        cap=rules.cap,
    )
    return FeedHead(name, words, _COLOURS[found.scope])


class _Words:
    """How the entries of a feed are said in its language; what comes again and again is said once."""

    def __init__(self, found: Feed) -> None:
        self.scope = found.scope
        self.subject = name_of(found.subject) if found.subject is not None else ""
        self.booking_page = public_url_for("web.booking", booking_id=_NOBODYS)
        self.names: dict[tuple[int, int], str] = {}
        self.spots: dict[tuple[int, ...], str] = {}

    def event(self, entry: Entry) -> Event:
        """Give an entry as it stands in the feed."""
        return Event(entry.starts_at, entry.uid, entry.ends_at, ical.render_event(self._item(entry)))

    def _item(self, entry: Entry) -> CalendarItem:
        told = entry.level > Level.BUSY
        return CalendarItem(
            uid=entry.uid,
            starts_at=entry.starts_at,
            ends_at=entry.ends_at,
            created_at=entry.created_at,
            updated_at=entry.updated_at,
            sequence=entry.sequence,
            status=_status(entry.state),
            summary=ical.shorten(self._summary(entry), _LONGEST_SUMMARY),
            description=ical.shorten(self._description(entry), _LONGEST_DESCRIPTION) if told else "",
            location=ical.shorten(self._location(entry.places), _LONGEST_LOCATION) if told else "",
            url=self._page(entry) if told else "",
            free=entry.kind is None,
        )

    def _summary(self, entry: Entry) -> str:
        title = self._title(entry)
        if entry.state is State.REQUESTED:
            return _("Awaiting approval: %(title)s", title=title)
        if entry.state in CALLED_OFF:
            return _("Cancelled: %(title)s", title=title)
        return title

    def _title(self, entry: Entry) -> str:
        if entry.level <= Level.BUSY:
            return _("Busy")
        what = " + ".join(map(self._name, entry.places, entry.units or (1,) * len(entry.places)))
        if entry.kind is None:
            return _("Free: %(instrument)s", instrument=what)
        if entry.kind is not Kind.BOOKING:
            kind = wording.kind_name(entry.kind)
            return _("%(kind)s: %(instrument)s", kind=kind, instrument=what or self.subject)
        if entry.person and self.scope is not CalendarScope.ME:
            return _("%(instrument)s (%(person)s)", instrument=what, person=entry.person)
        return what

    def _name(self, place: Place, units: int) -> str:
        key = (place.id, units)
        if key not in self.names:
            name = name_of(place)
            self.names[key] = name if units == 1 else f"{name} × {units}"
        return self.names[key]

    def _description(self, entry: Entry) -> str:
        if entry.level < Level.FULL and entry.kind is Kind.BOOKING:
            return ""
        lines = [entry.purpose]
        if entry.project:
            lines.append(_("Project: %(name)s", name=entry.project))
        return "\n".join(line for line in lines if line)

    def _location(self, places: tuple[Place, ...]) -> str:
        key = tuple([place.id for place in places])
        if key not in self.spots:
            self.spots[key] = "; ".join(dict.fromkeys(map(_spot, places)))
        return self.spots[key]

    def _page(self, entry: Entry) -> str:
        if entry.kind is Kind.BOOKING:
            return self.booking_page.replace(_NOBODYS, entry.key)
        return public_url_for("web.instrument", code=entry.places[0].code) if entry.places else ""


_NOBODYS = str(UUID(int=0))

# Octets. With all else that an event prints, a thousand of the longest stay near the megabyte at which some
# calendars stop reading.
_LONGEST_SUMMARY = 120
_LONGEST_DESCRIPTION = 450
_LONGEST_LOCATION = 120


def _spot(place: Place) -> str:
    facility = name_of(place.facility)
    return ", ".join(part for part in (place.location, facility, place.address) if part)


def _status(state: State | None) -> Status:
    if state is State.REQUESTED:
        return Status.TENTATIVE
    return Status.CANCELLED if state in CALLED_OFF else Status.CONFIRMED


def _secret() -> bytes:
    return f"calendar UIDs {current_app.config['SECRET_KEY']}".encode()
