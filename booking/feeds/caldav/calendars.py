"""The reader's calendars: opened for one request, and compared with what their programs know."""

from booking.db import Session, reading, transaction
from booking.feeds.caldav.resources import Calendar
from booking.http.context import settings
from booking.http.identity import actor, utc_now
from booking.services import dav
from models import DavCollection


def _language() -> str:
    """Give the language of the reader's calendars: theirs, and not that of each program, or two would never agree."""
    return actor().locale or settings().default_locale


def open_one(session: Session, name: str) -> Calendar:
    """Open one of the reader's calendars.

    :raises NotFound: if they have none of that name
    """
    found = dav.one(session, actor=actor(), name=name, locale=_language())
    return Calendar(session, found, utc_now())


def open_all(session: Session) -> list[Calendar]:
    """Open all of the reader's calendars."""
    found = dav.listing(session, actor=actor(), locale=_language())
    return [Calendar(session, one, utc_now()) for one in found]


def locked(session: Session, name: str) -> Calendar:
    """Open one of the reader's calendars for a change; nobody else changes it meanwhile.

    :raises NotFound: if they have none of that name
    """
    dav.one(session, actor=actor(), name=name, locale=_language())
    row = dav.lock(session, actor=actor(), name=name)
    calendar = open_one(session, name)
    calendar.kept = row
    return calendar


def refreshed(name: str) -> DavCollection:
    """Note what is in a calendar now, if anything changed, and give what is kept of it.

    :raises NotFound: if the reader has none of that name
    """
    with reading() as session:
        calendar = open_one(session, name)
        if calendar.kept is not None and calendar.kept.tag == calendar.tag:
            return calendar.kept
    with transaction() as session:
        calendar = locked(session, name)
        row = calendar.kept
        assert row is not None  # noqa: S101 - it was locked
        if row.tag != calendar.tag:
            objects = {event.uid: (event.name, event.etag) for event in calendar.events.values()}
            dav.refresh(session, row=row, tag=calendar.tag, objects=objects, now=calendar.now)
        return row
