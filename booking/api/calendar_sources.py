"""Calendars kept elsewhere to which a facility subscribes: their busy time blocks its instruments."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, url_for

from booking import wording
from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.calendar_sources import (
    CalendarPreviewOut,
    CalendarSourceChangeIn,
    CalendarSourceIn,
    CalendarSourceOut,
    CalendarSourcesOut,
    RefreshIn,
)
from booking.db import Session, reading, transaction
from booking.domain.calendar_sources import Reading, SourceState, masked, window
from booking.domain.rules import Reason, Refused
from booking.gateways import calendar_reader
from booking.gateways.way_out import Failed
from booking.http.context import settings
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import calendar_sources, facilities, instruments
from booking.services.calendar_sources import Draft, state_of
from models import CalendarSource

blp = Blueprint("api-calendar-sources", __name__, description="Calendars elsewhere whose busy time blocks.")


@blp.get("/facilities/<code:facility_id>/calendar-sources")
@needs("calendar_source.keep")
@blp.response(200, CalendarSourcesOut)
@problems(404)
def listing(facility_id: str) -> dict[str, Any]:
    """List calendars elsewhere"""
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        rows = calendar_sources.listing(session, actor=actor(), facility_id=place.id)
        return {"items": _told(session, rows, facility_id), "total": len(rows)}


@blp.post("/facilities/<code:facility_id>/calendar-sources/preview")
@needs("calendar_source.keep")
@blp.arguments(CalendarSourceIn)
@blp.response(200, CalendarPreviewOut)
@problems(404, 409)
def preview(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Look into a calendar elsewhere

    What it would block in the next 30 days, and whom that would meet. Nothing is kept.
    """
    now = utc_now()
    with reading() as session:
        draft = _draft(session, facility_id, wanted)
    understood = _look(draft)
    with reading() as session:
        found = calendar_sources.preview(session, draft=draft, reading=understood, now=now)
    return {
        "events": [
            {"start": one.span.start, "end": one.span.end, "all_day": one.all_day, "title": one.title}
            for one in found.entries
        ],
        "busy": [{"start": span.start, "end": span.end} for span in found.closed],
        "clashes": [booking.id for booking in found.met],
        "total": found.total,
        "ignored": found.ignored,
        "unread": len(found.problems),
    }


@blp.post("/facilities/<code:facility_id>/calendar-sources")
@needs("calendar_source.keep")
@blp.arguments(CalendarSourceIn)
@blp.response(201, CalendarSourceOut)
@problems(404, 409)
def add(wanted: dict[str, Any], facility_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Subscribe to a calendar elsewhere

    It is fetched once to see that it can be read, and then again every half hour. Its busy time stands whatever is
    booked; bookings in it stay, and managers are told of them.
    """
    with reading() as session:
        draft = _draft(session, facility_id, wanted)
    _look(draft)
    with transaction() as session:
        row = calendar_sources.add(session, actor=actor(), draft=draft, now=utc_now())
        (told,) = _told(session, [row], facility_id)
    return told, {"Location": url_for("api-calendar-sources.one", source_id=row.id)}


@blp.get("/calendar-sources/<uuid:source_id>")
@needs("calendar_source.keep")
@blp.response(200, CalendarSourceOut)
@problems(404)
def one(source_id: UUID) -> dict[str, Any]:
    """Read a calendar elsewhere"""
    with reading() as session:
        return _told_one(session, calendar_sources.one(session, actor=actor(), source_id=source_id))


@blp.route("/calendar-sources/<uuid:source_id>", methods=["PATCH"])
@needs("calendar_source.keep")
@blp.arguments(CalendarSourceChangeIn)
@blp.response(200, CalendarSourceOut)
@problems(404, 409)
def change(wanted: dict[str, Any], source_id: UUID) -> dict[str, Any]:
    """Change a calendar elsewhere

    What is not named stays as it is, the address too. Where it would block otherwise it is fetched first, and what it
    says is taken over at once; places that were proposed because of it are taken back.
    """
    with reading() as session:
        row = calendar_sources.one(session, actor=actor(), source_id=source_id)
        codes = instruments.codes_of(
            session, instrument_ids=[place.instrument_id for place in row.instruments]
        )
        before = {
            name: getattr(row, name) for name in ("name", "url", "means", "transparent", "floating_zone")
        }
        code = facilities.by_id(session, facility_id=row.facility_id).code
        draft = _draft(session, code, before | {"instruments": list(codes.values())} | wanted)
    found = _look(draft) if calendar_sources.differs(row, draft) else None
    with transaction() as session:
        row = calendar_sources.amend(
            session, actor=actor(), source_id=source_id, draft=draft, reading=found, now=utc_now()
        )
        return _told_one(session, row)


@blp.post("/calendar-sources/<uuid:source_id>/refresh")
@needs("calendar_source.keep")
@blp.arguments(RefreshIn, required=False)
@blp.response(200, CalendarSourceOut)
@problems(404)
def refresh(wanted: dict[str, Any], source_id: UUID) -> dict[str, Any]:
    """Refresh a calendar elsewhere

    It is fetched within seconds.
    """
    with transaction() as session:
        row = calendar_sources.refresh(
            session, actor=actor(), source_id=source_id, accept_fewer=wanted["accept_fewer"], now=utc_now()
        )
        return _told_one(session, row)


@blp.put("/calendar-sources/<uuid:source_id>/pause")
@needs("calendar_source.keep")
@blp.response(200, CalendarSourceOut)
@problems(404)
def pause(source_id: UUID) -> dict[str, Any]:
    """Pause a calendar elsewhere

    The time that it blocks can be booked until it goes on.
    """
    with transaction() as session:
        return _told_one(
            session, calendar_sources.pause(session, actor=actor(), source_id=source_id, now=utc_now())
        )


@blp.delete("/calendar-sources/<uuid:source_id>/pause")
@needs("calendar_source.keep")
@blp.response(200, CalendarSourceOut)
@problems(404)
def resume(source_id: UUID) -> dict[str, Any]:
    """Go on with a calendar elsewhere"""
    with transaction() as session:
        return _told_one(
            session, calendar_sources.resume(session, actor=actor(), source_id=source_id, now=utc_now())
        )


@blp.delete("/calendar-sources/<uuid:source_id>")
@needs("calendar_source.keep")
@blp.response(204)
@problems(404)
def remove(source_id: UUID) -> Response:
    """Remove a calendar elsewhere

    The time ahead that it blocks can be booked again, and its address is forgotten.
    """
    with transaction() as session:
        calendar_sources.remove(session, actor=actor(), source_id=source_id, now=utc_now())
    return Response(status=204)


@blp.post("/calendar-sources/<uuid:source_id>/replan")
@needs("calendar_source.keep")
@blp.arguments(NothingIn, required=False)
@blp.response(201, CalendarSourceOut)
@problems(404, 409)
def begin(_nothing: dict[str, Any], source_id: UUID) -> tuple[dict[str, Any], dict[str, str]]:
    """Look for other places for its clashes

    For the bookings that lie in its busy time; `replan_id` names the replan, by which they are found and proposed.
    """
    with transaction() as session:
        found = calendar_sources.find_places(session, actor=actor(), source_id=source_id, now=utc_now())
        row = calendar_sources.one(session, actor=actor(), source_id=source_id)
        told = _told_one(session, row)
    return told, {"Location": url_for("api-replans.one", replan_id=found.id)}


def _draft(session: Session, facility_id: str, wanted: dict[str, Any]) -> Draft:
    place = facilities.by_code(session, code=facility_id)
    return calendar_sources.draft(
        session, actor=actor(), facility_id=place.id, inside=settings().calendars_inside, **wanted
    )


def _look(draft: Draft) -> Reading:
    """Fetch and read what is subscribed to.

    :raises Refused: if that cannot be done
    """
    try:
        return calendar_reader.look(
            draft.url,
            zone=draft.facility.zone,
            floating=draft.floating_zone,
            within=window(utc_now()),
            also=settings().calendars_inside,
        )
    except Failed as failure:
        figures = {"failure": failure.code, "figure": str(failure.figure)}
        raise Refused([Reason("source_unreadable", figures)]) from None


def _told_one(session: Session, row: CalendarSource) -> dict[str, Any]:
    (told,) = _told(session, [row], facilities.by_id(session, facility_id=row.facility_id).code)
    return told


def _told(session: Session, rows: Sequence[CalendarSource], facility: str) -> list[dict[str, Any]]:
    now, ids = utc_now(), [row.id for row in rows]
    counts = calendar_sources.ahead(session, source_ids=ids, now=now)
    met = calendar_sources.clashes(session, source_ids=ids, now=now)
    places = {place.instrument_id for row in rows for place in row.instruments}
    codes = instruments.codes_of(session, instrument_ids=places) if places else {}
    return [
        {
            "id": row.id,
            "facility_id": facility,
            "name": row.name,
            "url": masked(row.url),
            "means": row.means,
            "instruments": sorted(codes[place.instrument_id] for place in row.instruments),
            "transparent": row.transparent,
            "floating_zone": row.floating_zone,
            "state": state_of(row),
            "failure": {
                "code": row.failure,
                "message": wording.source_failure(row.failure, row.figure),
                "since": row.failing_since,
            }
            if row.failing_since
            else None,
            "held_back": row.held_back,
            "events": counts.get(row.id, 0),
            "fetched_at": row.fetched_at,
            "next_at": None if state_of(row) is SourceState.PAUSED else row.next_at,
            "clashes": [booking.id for booking in met.get(row.id, [])],
            "replan_id": row.replan_id,
        }
        for row in rows
    ]
