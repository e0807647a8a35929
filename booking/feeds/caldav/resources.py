"""What stands at the addresses of CalDAV: the entrance, a person, their calendars, the events; and their properties.

A property is a function that gives its content; what a resource lacks is not in its table.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property, partial
from urllib.parse import quote

from flask import url_for
from werkzeug.http import http_date

from booking import i18n
from booking.db import Session
from booking.domain import calendars as ical
from booking.domain import dav as shapes
from booking.domain.access import Actor
from booking.domain.spans import Span
from booking.feeds import answers, rendering
from booking.feeds.caldav.xml import APPLE, CS, C, D, Element, made
from booking.http.context import settings
from booking.services import dav
from booking.services.dav import Collection
from models import DavCollection

Content = list[Element] | str
Properties = Mapping[str, Callable[[], Content]]

_COLOURS = {
    "me": "#4682B4",
    "instrument": "#008080",
    "facility": "#708090",
    "project": "#9370DB",
}


def href(path: str) -> Element:
    """Give an address as answers have it."""
    return made(D + "href", path)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a calendar as programs fetch it; `body` is a whole calendar object, `event` the one in it.

    `alias` is the UID that a program gave it; it looks for it by that.
    """

    name: str
    uid: str
    span: Span
    event: bytes
    alias: str = ""

    @property
    def body(self) -> bytes:
        """Give the octets of the object."""
        return shapes.wrapped(self.event)

    @property
    def etag(self) -> str:
        """Give the entity tag, without quotes."""
        return hashlib.sha256(self.event).hexdigest()[:32]


@dataclass
class Calendar:
    """A calendar and, read when first asked for, what is in it."""

    session: Session
    collection: Collection
    now: datetime
    kept: DavCollection | None = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what is known of it."""
        self.kept = self.collection.kept

    @property
    def tag(self) -> str:
        """Give what tells whether anything in it changed, before anything is rendered."""
        found, known = self.collection.found, settings()
        days = ical.midnight(self.now).date()
        rules = answers.rules_of(found)
        parts = (*found.version, days, rules, found.actor.name, known.public_url, known.host_name)
        return ical.entity_tag("caldav", *parts).strip('"')

    @cached_property
    def events(self) -> dict[str, Event]:
        """Give the events by their names."""
        found = self.collection.found
        rules = answers.rules_of(found)
        fresh = rendering.read(self.session, found, rules, cancelled=False, now=self.now)
        given = {one.event_uid: one for one in dav.known(self.session, kept=self.kept)}
        taken = {one.name for one in given.values()}
        events: dict[str, Event] = {}
        for one in rendering.rendered(found, fresh, rules, self.now):
            known = given.get(one.uid)
            name = known.name if known else _own_name(one.uid, taken)
            alias = known.client_uid if known else ""
            events[name] = Event(name, one.uid, Span(one.starts_at, one.ends_at), one.body, alias)
        return events

    def path(self, name: str = "") -> str:
        """Give the address of the calendar, or of an event in it."""
        actor = self.collection.found.actor
        base = url_for("caldav.calendar", person_id=actor.person_id, name=self.collection.name)
        return base + quote(name)

    @property
    def title(self) -> str:
        """Give what it is called, by its person or by us."""
        own = self.kept.display_name if self.kept else ""
        with i18n.use_locale(self.collection.found.locale):
            return own or rendering.title_of(self.collection.found)

    def sync_token(self) -> str:
        """Give the token of what was last noted of it; it has to be refreshed before."""
        assert self.kept is not None  # noqa: S101 - whoever asks has refreshed it
        return f"urn:yiqi:sync:{self.kept.id.hex}:{self.kept.revision}"


def _own_name(uid: str, taken: set[str]) -> str:
    name = f"{uid.partition('@')[0]}.ics"
    while name in taken:  # a program chose the name of another event
        name = f"_{name}"
    return name


# --- properties -------------------------------------------------------------------------------------------


def of_entrance(actor: Actor) -> Properties:
    """Give the properties of the address at which programs begin."""
    return {
        **_of_person(actor),
        D + "resourcetype": lambda: [made(D + "collection")],
        D + "displayname": lambda: "Yiqi",
        D + "principal-collection-set": lambda: [href(url_for("caldav.entrance"))],
        D + "supported-report-set": list,
    }


def of_principal(actor: Actor) -> Properties:
    """Give the properties of a person."""
    return {
        **_of_person(actor),
        D + "resourcetype": lambda: [made(D + "collection"), made(D + "principal")],
        D + "displayname": lambda: actor.name,
        D + "principal-URL": lambda: [href(_principal(actor))],
        D + "supported-report-set": list,
        C + "calendar-user-address-set": lambda: [href(f"mailto:{quote(actor.email, safe='@')}")],
        C + "calendar-user-type": lambda: "INDIVIDUAL",
    }


def of_home(actor: Actor) -> Properties:
    """Give the properties of the place where a person's calendars are."""
    return {
        **_of_person(actor),
        D + "resourcetype": lambda: [made(D + "collection")],
        D + "displayname": lambda: actor.name,
        D + "owner": lambda: [href(_principal(actor))],
        D + "current-user-privilege-set": partial(_privileges, "read"),
        D + "supported-report-set": list,
    }


def of_calendar(calendar: Calendar) -> Properties:
    """Give the properties of a calendar; whoever asks for its sync-token has refreshed it."""
    actor = calendar.collection.found.actor
    scope = calendar.collection.found.scope.value
    kept = calendar.kept
    properties: dict[str, Callable[[], Content]] = {
        **_of_person(actor),
        D + "resourcetype": lambda: [made(D + "collection"), made(C + "calendar")],
        D + "displayname": lambda: calendar.title,
        D + "owner": lambda: [href(_principal(actor))],
        D + "current-user-privilege-set": partial(_privileges, *_granted(calendar)),
        D + "supported-report-set": lambda: [
            made(D + "supported-report", made(D + "report", made(name)))
            for name in (
                C + "calendar-query",
                C + "calendar-multiget",
                C + "free-busy-query",
                D + "sync-collection",
            )
        ],
        D + "getcontenttype": lambda: "text/calendar; charset=utf-8",
        D + "getetag": lambda: f'"{calendar.tag}"',
        D + "sync-token": calendar.sync_token,
        CS + "getctag": lambda: calendar.tag,
        C + "supported-calendar-component-set": lambda: [made(C + "comp", name="VEVENT")],
        C + "supported-calendar-data": lambda: [
            made(C + "calendar-data", **{"content-type": "text/calendar", "version": "2.0"})
        ],
        C + "max-resource-size": lambda: str(shapes.LARGEST),
        C + "schedule-calendar-transp": lambda: [made(C + "opaque")],
        APPLE + "calendar-color": lambda: kept.colour if kept and kept.colour else _COLOURS[scope],
    }
    if kept is not None and kept.position is not None:
        position = kept.position
        properties[APPLE + "calendar-order"] = lambda: str(position)
    return properties


def of_event(calendar: Calendar, event: Event) -> Properties:
    """Give the properties of an event."""
    said = cache(lambda: shapes.told(event.event))
    return {
        D + "resourcetype": list,
        D + "getetag": lambda: f'"{event.etag}"',
        D + "getcontenttype": lambda: "text/calendar; charset=utf-8; component=vevent",
        D + "getcontentlength": lambda: str(len(event.body)),
        D + "getlastmodified": lambda: http_date(shapes.stamp(said()["LAST-MODIFIED"])),
        D + "displayname": lambda: said()["SUMMARY"],
        D + "owner": lambda: [href(_principal(calendar.collection.found.actor))],
        D + "current-user-privilege-set": partial(_privileges, *_granted(calendar)),
        C + "calendar-data": event.body.decode,
    }


def _of_person(actor: Actor) -> dict[str, Callable[[], Content]]:
    return {
        D + "current-user-principal": lambda: [href(_principal(actor))],
        C + "calendar-home-set": lambda: [href(url_for("caldav.home", person_id=actor.person_id))],
    }


def _principal(actor: Actor) -> str:
    return url_for("caldav.principal", person_id=actor.person_id)


def _granted(calendar: Calendar) -> Iterator[str]:
    yield "read"
    yield "write-properties"
    if calendar.collection.writable:
        yield from ("write", "write-content", "bind", "unbind")


def _privileges(*names: str) -> list[Element]:
    free_busy = [made(D + "privilege", made(C + "read-free-busy"))]
    own = [made(D + "privilege", made(D + "read-current-user-privilege-set"))]
    return [made(D + "privilege", made(D + name)) for name in names] + free_busy + own
