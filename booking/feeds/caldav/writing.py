"""PUT books, moves and amends; DELETE cancels; PROPPATCH keeps names and colours. All by the rules of the page."""

import re

from flask import Response, request

from booking.db import Session, reading, transaction
from booking.domain import dav as shapes
from booking.domain.access import Forbidden, NotFound
from booking.domain.dav import Unfit
from booking.feeds.caldav import calendars
from booking.feeds.caldav.multistatus import body, multistatus, of_changes
from booking.feeds.caldav.resources import Calendar, Event
from booking.feeds.caldav.xml import APPLE, D, Element
from booking.http.context import settings
from booking.http.identity import actor, utc_now
from booking.services import dav
from booking.services.bookings import Stale
from booking.services.dav import Target


def put(name: str, event: str) -> Response:
    """Book what a program sends, or move the booking that it means.

    The answer has no ETag: what is kept is worded by us, and the program shall fetch it.
    """
    now = utc_now()
    if len(event) > shapes.LONGEST_UID or not event.isprintable():
        raise Unfit("unreadable")
    sent = shapes.read_event(_data(), _zone(name))
    with transaction() as session:
        calendar = calendars.locked(session, name)
        meant, before = _meant(session, calendar, event)
        version = _version(meant, before)
        if meant is None and before is not None:
            raise Unfit("not_yours")
        keeps = before is not None and sent.says_nothing_new(before.event)
        if _is_new() and before is not None and not (before.span == sent.span and keeps):
            raise Stale  # the program did not know of it; what it sent a second time does no harm
        assert calendar.kept is not None  # noqa: S101 - it was locked
        fresh = dav.put(
            session,
            actor=actor(),
            collection=calendar.collection,
            row=calendar.kept,
            name=event,
            sent=sent.since(before.event) if before else sent,
            meant=meant,
            keep_purpose=keeps,
            version=version,
            host=settings().host_name,
            now=now,
        )
    return Response(status=201 if fresh else 204)


def drop(name: str, event: str) -> Response:
    """Cancel the booking that a program wants to be gone."""
    with transaction() as session:
        calendar = calendars.locked(session, name)
        meant, before = _meant(session, calendar, event)
        if before is None and meant is None:
            raise NotFound("event", event)
        version = _version(meant, before)
        if not calendar.collection.writable:
            raise Forbidden("booking.place")
        if meant is None:
            raise Unfit("not_yours")
        dav.drop(
            session,
            actor=actor(),
            collection=calendar.collection,
            meant=meant,
            version=version,
            now=utc_now(),
        )
    return Response(status=204)


def _data() -> bytes:
    if (request.content_length or 0) > shapes.LARGEST:
        raise Unfit("too_large")
    data = body()
    if len(data) > shapes.LARGEST:
        raise Unfit("too_large")
    return data


def _zone(name: str) -> str:
    """Give the zone of the instrument's facility.

    :raises Forbidden: if nothing can be booked in this calendar
    """
    with reading() as session:
        calendar = calendars.open_one(session, name)
        if not calendar.collection.writable:
            raise Forbidden("booking.place")
        return dav.zone(session, collection=calendar.collection)


def _meant(session: Session, calendar: Calendar, event: str) -> tuple[Target | None, Event | None]:
    """Give the booking that a name stands for, and the event as it stands now; in this order, see `_version`."""
    host = settings().host_name
    meant = dav.target(session, collection=calendar.collection, kept=calendar.kept, name=event, host=host)
    return meant, calendar.events.get(event)


def _version(meant: Target | None, before: Event | None) -> int | None:
    """Give the version of the booking that the program has seen, None if it does not say.

    The version was read before the event: if somebody changes the booking in between, it is not the newest.

    :raises Stale: if the program's copy is older
    """
    if request.if_match.star_tag and (before or meant):
        return None
    if not request.if_match and not request.if_match.star_tag:
        return None
    # Weakly: a proxy that packs answers makes every tag a weak one.
    if before is None or not request.if_match.contains_weak(before.etag):
        raise Stale
    return meant.version if meant else None


def _is_new() -> bool:
    """Tell whether the program says that there is nothing at the address yet."""
    return request.if_none_match.star_tag


# --- names and colours ------------------------------------------------------------------------------------

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?")
_KEPT = (D + "displayname", APPLE + "calendar-color", APPLE + "calendar-order")


def change(name: str, root: Element) -> Response:
    """Keep what can be kept of a calendar's properties, or nothing, if there is one that cannot."""
    told = {
        one.tag: "" if part.tag == D + "remove" else (one.text or "").strip()
        for part in root
        if part.tag in {D + "set", D + "remove"}
        for one in part.findall(f"{D}prop/*")
    }
    refused = [tag for tag, text in told.items() if tag not in _KEPT or not _sensible(tag, text)]
    kept = {} if refused else told
    position = kept.get(APPLE + "calendar-order")
    with transaction() as session:
        calendar = calendars.locked(session, name)
        dav.call(
            session,
            actor=actor(),
            name=name,
            display_name=kept.get(D + "displayname"),
            colour=kept.get(APPLE + "calendar-color"),
            position=int(position) if position else None,
        )
        path = calendar.path()
    return multistatus([of_changes(path, [tag for tag in told if tag not in refused], refused)])


def _sensible(tag: str, text: str) -> bool:
    if tag == D + "displayname":
        return len(text) <= 200 and text.isprintable()
    if tag == APPLE + "calendar-color":
        return not text or _COLOUR.fullmatch(text) is not None
    return not text or (text.isdecimal() and len(text) < 10)
