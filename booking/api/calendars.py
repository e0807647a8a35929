"""Calendar feeds: secret addresses at which calendars subscribe."""

from typing import Any
from uuid import UUID

from flask import Response

from booking import i18n
from booking.api.base import Blueprint, problems
from booking.api.schemas.calendars import CalendarIn, CalendarMadeOut, CalendarsOut
from booking.db import reading, transaction
from booking.http.feed_addresses import address, forget
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.logs import security
from booking.services import calendars
from models import CalendarLink, Project

blp = Blueprint(
    "api-calendars", __name__, description="Feeds for Outlook, Apple, Google and other calendars."
)


@blp.get("/calendars")
@needs("calendar.make")
@blp.response(200, CalendarsOut)
def listing() -> dict[str, Any]:
    """List one's feeds

    The secret part of an address is not kept, so that it cannot be told again.
    """
    with reading() as session:
        found = calendars.listing(session, actor=actor())
    items = [_told(listed.link, _id_of(listed.subject)) for listed in found]
    return {"items": items, "total": len(items)}


@blp.post("/calendars")
@needs("calendar.make")
@blp.arguments(CalendarIn)
@blp.response(201, CalendarMadeOut)
@problems(404)
def make(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a feed

    Give the address to a calendar program. It shows what its maker may see at the moment of each fetch, until
    it is revoked.
    """
    who = actor()
    with transaction() as session:
        link, secret = calendars.make(
            session,
            actor=who,
            scope=wanted["scope"],
            subject=wanted["id"] or "",
            privacy=wanted["privacy"],
            locale=wanted["locale"] or who.locale or i18n.current_locale(),
            now=utc_now(),
        )
    security("calendar_made", person=str(who.person_id), calendar=str(link.id))
    where = address(secret)
    return {**_told(link, wanted["id"]), "url": where.url, "webcal_url": where.webcal}


@blp.delete("/calendars/<uuid:calendar_id>")
@needs("calendar.make")
@blp.response(204)
@problems(404)
def revoke(calendar_id: UUID) -> Response:
    """Revoke a feed

    Its subscribers are told at their next fetch that it is gone. Revoking it again changes nothing.
    """
    who = actor()
    with transaction() as session:
        secret_hash = calendars.revoke(session, actor=who, link_id=calendar_id, now=utc_now())
    forget(secret_hash)
    security("calendar_revoked", person=str(who.person_id), calendar=str(calendar_id))
    return Response(status=204)


def _id_of(subject: Any) -> str | None:
    if subject is None:
        return None
    return str(subject.id) if isinstance(subject, Project) else str(subject.code)


def _told(link: CalendarLink, subject_id: str | None) -> dict[str, Any]:
    return {
        "id": link.id,
        "scope": link.scope,
        "subject_id": subject_id,
        "privacy": link.privacy,
        "locale": link.locale,
        "created_at": link.created_at,
        "fetched_at": link.fetched_at,
        "agent": link.agent,
        "network": link.address,
    }
