"""The events of feeds in words and octets, and the shelf on which those lie that were rendered before."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from flask import current_app

from booking import i18n, wording
from booking.db import Session
from booking.domain import calendars as ical
from booking.domain.calendars import FeedHead, FeedRules, Status
from booking.domain.lifecycle import State
from booking.domain.moments import compact, written
from booking.domain.occupation import Kind
from booking.http.context import public_url_for, settings
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import feeds
from booking.services.feeds import CALLED_OFF, Entry, Feed, Level, Place
from models import CalendarScope

_COLOURS = {
    CalendarScope.ME: "steelblue",
    CalendarScope.INSTRUMENT: "teal",
    CalendarScope.FACILITY: "slategray",
    CalendarScope.PROJECT: "mediumpurple",
    CalendarScope.FREE: "mediumseagreen",
    CalendarScope.NETWORK: "darkcyan",
    CalendarScope.APPROVALS: "goldenrod",
}


class Event(NamedTuple):
    """A rendered event, its fields in such an order that a feed is sorted by them, its times as it prints them."""

    starts: str
    uid: str
    ends: str
    body: bytes

    @property
    def starts_at(self) -> datetime:
        """Give when it begins."""
        return datetime.fromisoformat(self.starts)

    @property
    def ends_at(self) -> datetime:
        """Give when it ends."""
        return datetime.fromisoformat(self.ends)


Rendered = dict[str, tuple[int, list[Event]]]
"""By the key of a booking: the version that was rendered, and its events."""


class Shelf:
    """The events of feeds that were read lately, by the feed's context; the longest unread go first.

    An event's octets depend on its booking's version and on the context, which holds privacy, language, rights and
    the revision of all names. What changed is rendered, the rest lies here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._feeds: dict[str, Rendered] = {}
        self._lock = threading.Lock()

    def get(self, context: str) -> Rendered:
        """Give what lies here of a feed, empty if nothing does."""
        return self._feeds.get(context, {})

    def put(self, context: str, rendered: Rendered) -> None:
        """Lay a feed's events down; those of other feeds may have to go."""
        with self._lock:
            self._feeds.pop(context, None)
            self._feeds[context] = rendered
            total = sum(map(len, self._feeds.values()))
            while total > self._most and len(self._feeds) > 1:
                total -= len(self._feeds.pop(next(iter(self._feeds))))


shelf = Shelf(most=20_000)


@dataclass(slots=True)
class Fresh:
    """What of a feed was read from the database, with what was rendered before and still holds."""

    outline: Sequence[tuple[str, int]] = ()
    before: Rendered = field(default_factory=dict)
    entries: Mapping[str, list[Entry]] = field(default_factory=dict)
    others: Sequence[Entry] = ()


def read(session: Session, found: Feed, rules: FeedRules, *, cancelled: bool, now: datetime) -> Fresh:
    """Read what is in the feed, and all about the bookings that changed since it was last rendered."""
    host, secret = settings().host_name, secret_of_uids()
    outline = feeds.outline(session, found, rules=rules, now=now, cancelled=cancelled)
    before = shelf.get(_context(found))
    changed = [key for key, version in outline if key not in before or before[key][0] != version]
    return Fresh(
        outline,
        before,
        feeds.entries(session, found, keys=changed, host=host, secret=secret),
        feeds.others(session, found, rules=rules, host=host, secret=secret, now=now),
    )


def render(found: Feed, fresh: Fresh, rules: FeedRules, now: datetime) -> bytes:
    """Give the whole calendar."""
    with i18n.use_locale(found.locale):
        head = head_of(found, rules)
    return ical.render_feed(head, [event.body for event in rendered(found, fresh, rules, now)])


def rendered(found: Feed, fresh: Fresh, rules: FeedRules, now: datetime) -> list[Event]:
    """Give each event as it stands in the feed: what changed is rendered, what did not is taken from the shelf."""
    start, end = (compact(written(at)) for at in ical.window(now, rules))
    with i18n.use_locale(found.locale):
        words = Words(found)
        by_key: Rendered = {}
        for key, version in fresh.outline:
            made = fresh.entries.get(key)
            if made is not None:
                by_key[key] = version, list(map(words.event, made))
            elif key in fresh.before:
                by_key[key] = fresh.before[key]
        events = [
            event
            for _version, events in by_key.values()
            for event in events
            if event.starts < end and event.ends > start
        ]
        events = sorted([*events, *map(words.event, fresh.others)])
    shelf.put(_context(found), by_key)
    return ical.within_cap(events, now=now, cap=rules.cap)


def _context(found: Feed) -> str:
    return ical.entity_tag(*found.context)


def head_of(found: Feed, rules: FeedRules) -> FeedHead:
    """Say what a feed is, in the language of the moment."""
    if not found.readable:
        words = _("You may no longer see what this calendar showed. You can remove the subscription.")
        return FeedHead(found.name or _("Yiqi"), words, "gray")
    # The rule, not today's dates: these bytes change only when the rule does.
    words = _(
        "From %(back)d days back to %(ahead)d days ahead, in whole days (UTC), and at most %(cap)d events."
        " If there are more, the past is left out first, then what is farthest ahead.",
        back=rules.days_back,
        ahead=rules.days_ahead,
        cap=rules.cap,
    )
    return FeedHead(found.name or title_of(found), words, _COLOURS[found.scope])


def title_of(found: Feed) -> str:
    """Give the name of a feed to which its owner gave none."""
    if found.scope is CalendarScope.ME:
        return _("Yiqi: my bookings")
    if found.scope is CalendarScope.APPROVALS:
        return _("Yiqi: waiting for my decision")
    if found.scope is not CalendarScope.FREE:
        return name_of(found.subject)
    rows = feeds.instruments_of(found.subject)
    if len(rows) == 1:
        return _("%(instrument)s: free time", instrument=name_of(rows[0]))
    return _("Free time of %(number)d instruments", number=len(rows))


class Words:
    """How the entries of a feed are said in its language; what comes again and again is said once."""

    def __init__(self, found: Feed) -> None:
        """Prepare to tell of a feed in the language of the moment."""
        self.scope = found.scope
        self.subject = (
            "" if found.subject is None or isinstance(found.subject, tuple) else name_of(found.subject)
        )
        self.link = ical.link(public_url_for("web.booking", booking_id=_NOBODYS)).decode().partition(_NOBODYS)
        self.known: dict[tuple[object, ...], ical.Said] = {}
        self.names: dict[tuple[int, int], str] = {}
        self.spots: dict[tuple[int, ...], str] = {}

    def event(self, entry: Entry) -> Event:
        """Give an entry as it stands in the feed."""
        uid, key, _version, sequence, starts, ends, created, changed = entry[:8]
        told = entry[8:]
        said = self.known.get(told)
        if said is None:
            said = self.known[told] = self._said(entry)
        begins, over = compact(starts), compact(ends)
        link = self._link(entry, key) if entry.level > Level.BUSY else b""
        body = ical.event_of(uid, begins, over, compact(created), compact(changed), sequence, said, link)
        return Event(begins, uid, over, body)

    def _said(self, entry: Entry) -> ical.Said:
        told = entry.level > Level.BUSY
        placed = entry.places and entry.level is not Level.BUSY
        return ical.said(
            _status(entry.state),
            ical.shorten(self._summary(entry), _LONGEST_SUMMARY),
            ical.shorten(self._description(entry), _LONGEST_DESCRIPTION) if told else "",
            ical.shorten(self._location(entry.places), _LONGEST_LOCATION) if placed else "",
            free=entry.kind is None,
        )

    def _summary(self, entry: Entry) -> str:
        title = self._title(entry)
        if entry.state is State.REQUESTED:
            if self.scope is CalendarScope.APPROVALS:
                if entry.level is Level.BUSY:
                    return _("Awaits your decision")
                return _("Awaits your decision: %(title)s", title=title)
            return _("Awaiting approval: %(title)s", title=title)
        if entry.state in CALLED_OFF:
            return _("Cancelled: %(title)s", title=title)
        return title

    def _title(self, entry: Entry) -> str:
        if entry.level is Level.BUSY or not (entry.places or entry.level > Level.MASKED):
            return _("Busy")
        what = " + ".join(map(self._name, entry.places, entry.units or (1,) * len(entry.places)))
        if entry.level is Level.MASKED:
            return _("Taken: %(instrument)s", instrument=what)
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

    def _link(self, entry: Entry, key: str) -> bytes:
        if entry.kind is not Kind.BOOKING:
            place = entry.places[0].code if entry.places else ""
            return ical.link(public_url_for("web.instrument", code=place)) if place else b""
        before, whole, after = self.link
        if whole:
            return f"{before}{key}{after}".encode()
        return ical.link(
            public_url_for("web.booking", booking_id=key)
        )  # so long that the line is folded within it


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


def secret_of_uids() -> bytes:
    """Give the key of the UIDs that tell no booking."""
    return f"calendar UIDs {current_app.config['SECRET_KEY']}".encode()
