"""Announcements: read by those whom they are for, kept by who runs a facility, a network or all of it."""

from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.announcements import (
    AnnouncementIn,
    AnnouncementOut,
    AnnouncementsOut,
    NewAnnouncementIn,
    WantedIn,
)
from booking.db import Session, reading, transaction
from booking.http import site
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import announcements
from booking.services.announcements import Kept

blp = Blueprint("api-announcements", __name__, description="Lines at the head of pages, for a while.")


@blp.get("/announcements")
@needs("catalogue.read")
@blp.arguments(WantedIn, location="query")
@blp.response(200, AnnouncementsOut)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List announcements

    Those that stand now and are for you, wherever they stand.
    """
    with reading() as session:
        if wanted["kept"]:
            found = announcements.listing(session, actor=actor())
        else:
            found = announcements.for_reader(session, actor=actor(), now=utc_now())
    return {"items": [_told(one) for one in found], "total": len(found)}


@blp.post("/announcements")
@needs("announcement.keep")
@blp.arguments(NewAnnouncementIn)
@blp.response(201, AnnouncementOut)
@problems(404)
def make(wanted: dict[str, Any]) -> dict[str, Any]:
    """Announce something

    For a facility its managers may, for a network its officers, for the whole installation administrators.
    """
    with transaction() as session:
        row = announcements.make(
            session,
            actor=actor(),
            facility=wanted["facility_id"],
            network=wanted["network_id"],
            draft=wanted["draft"],
            now=utc_now(),
        )
        made = _again(session, row.id)
    site.forget()
    return made


@blp.put("/announcements/<uuid:announcement_id>")
@needs("announcement.keep")
@blp.arguments(AnnouncementIn)
@blp.response(200, AnnouncementOut)
@problems(404)
def change(wanted: dict[str, Any], announcement_id: UUID) -> dict[str, Any]:
    """Change an announcement

    Who had put it away sees it again if its words or its level changed.
    """
    with transaction() as session:
        announcements.change(
            session,
            actor=actor(),
            announcement_id=announcement_id,
            draft=wanted["draft"],
            now=utc_now(),
        )
        changed = _again(session, announcement_id)
    site.forget()
    return changed


@blp.delete("/announcements/<uuid:announcement_id>")
@needs("announcement.keep")
@blp.response(204)
@problems(404)
def end(announcement_id: UUID) -> Response:
    """Take an announcement down"""
    with transaction() as session:
        announcements.end(session, actor=actor(), announcement_id=announcement_id, now=utc_now())
    site.forget()
    return Response(status=204)


def _again(session: Session, announcement_id: UUID) -> dict[str, Any]:
    return _told(announcements.get(session, actor=actor(), announcement_id=announcement_id))


def _told(one: Kept) -> dict[str, Any]:
    row = one.row
    return {
        "facility_id": one.facility.code if one.facility else None,
        "network_id": one.network.code if one.network else None,
        **{
            name: getattr(row, name)
            for name in (
                *("id", "version", "text_zh", "text_en", "level", "shown", "audience"),
                *("begins_at", "ends_at"),
            )
        },
    }
