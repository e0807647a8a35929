"""Asks the calendars kept elsewhere that are due, and takes over what they say, each in transactions of its own."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from booking.config import Settings
from booking.db import reading, transaction
from booking.domain.calendar_sources import Reading, window
from booking.domain.foreign_calendars import BadCalendar
from booking.gateways import calendar_reader, fetch
from booking.gateways.fetch import Fetched
from booking.gateways.way_out import Failed
from booking.services import calendar_sources
from booking.services.calendar_sources import Errand

_log = logging.getLogger(__name__)


def run(settings: Settings, halted: Callable[[], bool]) -> None:
    """Ask all that are due, one after the other."""
    with reading() as session:
        due = calendar_sources.due(session, now=_now())
    for source_id in due:
        if halted():
            return
        try:
            pull(settings, source_id)
        except Exception as error:  # noqa: BLE001 - one calendar must not keep the others
            _log.exception("a calendar could not be taken over", extra={"fields": {"source": str(source_id)}})
            _fail(source_id, "internal", type(error).__name__)


def pull(settings: Settings, source_id: UUID) -> None:
    """Ask one calendar, if nobody else does so."""
    with transaction() as session:
        errand = calendar_sources.claim(session, source_id=source_id, now=_now())
    if errand is None:
        return None
    try:
        found = fetch.fetch(
            errand.url, etag=errand.etag, modified=errand.modified, also=settings.calendars_inside
        )
    except Failed as failure:
        _read_copy(errand, answered=False)
        return _fail(source_id, failure.code, failure.figure)
    if found.data is not None and found.data != errand.copy:
        return _take_over(errand, found)
    if errand.stale:
        return _read_copy(errand, answered=True)
    with transaction() as session:
        calendar_sources.unchanged(session, source_id=source_id, now=_now())
    return None


def _take_over(errand: Errand, found: Fetched) -> None:
    try:
        understood = _read(errand, found.data or b"")
    except BadCalendar as error:
        _read_copy(errand, answered=False)
        return _fail(errand.source_id, error.code)
    with transaction() as session:
        calendar_sources.take_over(
            session,
            source_id=errand.source_id,
            reading=understood,
            data=found.data,
            etag=found.etag,
            modified=found.modified,
            now=_now(),
        )
    return None


def _read_copy(errand: Errand, *, answered: bool) -> None:
    """Read anew what was there before, since the time that is taken over has moved on."""
    if errand.copy is None or not errand.stale:
        return
    understood = _read(errand, errand.copy)
    with transaction() as session:
        calendar_sources.take_over(
            session,
            source_id=errand.source_id,
            reading=understood,
            data=None,
            answered=answered,
            now=_now(),
        )


def _read(errand: Errand, data: bytes) -> Reading:
    return calendar_reader.read(data, zone=errand.zone, floating=errand.floating, within=window(_now()))


def _fail(source_id: UUID, code: str, figure: object = "") -> None:
    # Not the address: whoever reads the log could read the calendar.
    _log.warning("a calendar was not taken over", extra={"fields": {"source": str(source_id), "why": code}})
    with transaction() as session:
        calendar_sources.fail(session, source_id=source_id, code=code, figure=figure, now=_now())


def _now() -> datetime:
    return datetime.now(UTC)
