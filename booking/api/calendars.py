"""Calendar feeds: secret addresses at which calendars subscribe."""

from typing import Any
from uuid import UUID

from flask import Response

from booking import i18n
from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.calendars import (
    CalendarChangeIn,
    CalendarIn,
    CalendarMadeOut,
    CalendarOut,
    CalendarsOut,
)
from booking.db import reading, transaction
from booking.http.feed_addresses import Address, address, forget
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.logs import security
from booking.services import calendars, feeds
from booking.services.calendars import Listed
from models import Project

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
    items = [_told(listed) for listed in found]
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
            scope=wanted.pop("scope"),
            subject=wanted.pop("id") or "",
            several=wanted.pop("ids"),
            locale=wanted.pop("locale") or who.locale or i18n.current_locale(),
            now=utc_now(),
            **wanted,
        )
        made = calendars.one(session, actor=who, link_id=link.id)
    security("calendar_made", person=str(who.person_id), calendar=str(link.id))
    return _with_addresses(made, address(secret))


@blp.route("/calendars/<uuid:calendar_id>", methods=["PATCH"])
@needs("calendar.make")
@blp.arguments(CalendarChangeIn)
@blp.response(200, CalendarOut)
@problems(404)
def change(wanted: dict[str, Any], calendar_id: UUID) -> dict[str, Any]:
    """Change a feed

    Its address stays; programs see the change at their next fetch.
    """
    who = actor()
    several = wanted.pop("ids", None)
    with transaction() as session:
        calendars.change(session, actor=who, link_id=calendar_id, several=several, now=utc_now(), **wanted)
        return _told(calendars.one(session, actor=who, link_id=calendar_id))


@blp.post("/calendars/<uuid:calendar_id>/renewal")
@needs("calendar.make")
@blp.arguments(NothingIn, required=False)
@blp.response(201, CalendarMadeOut)
@problems(404)
def renew(_nothing: dict[str, Any], calendar_id: UUID) -> dict[str, Any]:
    """Give a feed a new address

    The old one is revoked; subscribers must be given the new one.
    """
    who = actor()
    with transaction() as session:
        link, secret, old = calendars.rotate(session, actor=who, link_id=calendar_id, now=utc_now())
        made = calendars.one(session, actor=who, link_id=link.id)
    forget(old)
    security("calendar_renewed", person=str(who.person_id), calendar=str(link.id))
    return _with_addresses(made, address(secret))


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


def _with_addresses(listed: Listed, where: Address) -> dict[str, Any]:
    scope = listed.link.scope
    busy, news = scope in feeds.WITH_BUSY, scope in feeds.WITH_NEWS
    return {
        **_told(listed),
        "url": where.url,
        "webcal_url": where.webcal,
        "busy_url": where.ending("ifb") if busy else None,
        **{f"{form}_url": where.ending(form) if news else None for form in ("atom", "rss", "json")},
    }


def _told(listed: Listed) -> dict[str, Any]:
    link, subject = listed.link, listed.subject
    several = subject if isinstance(subject, tuple) else ()
    return {
        "id": link.id,
        "scope": link.scope,
        "subject_id": None if several else _id_of(subject),
        "ids": [row.code for row in several],
        "privacy": link.privacy,
        "locale": link.locale,
        "name": link.name,
        "past_days": link.past_days,
        "future_days": link.future_days,
        "pending": link.pending,
        "cancelled": link.cancelled,
        "created_at": link.created_at,
        "fetched_at": link.fetched_at,
        "agent": link.agent,
        "network": link.address,
    }
