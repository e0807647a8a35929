"""Notices: one's inbox, and of what one hears by which way."""

from typing import Any
from uuid import UUID

from flask import Response

from booking import messages
from booking.api.base import Blueprint, problems
from booking.api.schemas.notices import NoticeOut, NoticesIn, NoticesOut, ReadingIn, WishesIn, WishesOut
from booking.db import reading, transaction
from booking.domain import notices
from booking.domain.notices import Channel, Quiet
from booking.http.context import settings
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.i18n import gettext as _
from booking.services import notice_wishes, notifications
from booking.services.notice_wishes import Manner
from booking.services.notifications import InboxEntry

blp = Blueprint("api-notices", __name__, description="What one was told, and of what one wants to hear.")


@blp.get("/notices")
@needs("notice.read")
@blp.arguments(NoticesIn, location="query")
@blp.response(200, NoticesOut)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List one's notices

    The newest first. What was no longer so, or no longer concerns one, says that it is settled.
    """
    who, page, page_size = actor(), wanted["page"], wanted["page_size"]
    with reading() as session:
        found, total = notifications.inbox(
            session, actor=who, unread=wanted["unread"], page=page, page_size=page_size, now=utc_now()
        )
        unread = notifications.unread(session, actor=who)
        items = [_told(entry) for entry in found]
    return {"items": items, "total": total, "next": next_url(total, page, page_size), "unread": unread}


@blp.post("/notices/<uuid:notice_id>/reading")
@needs("notice.keep")
@blp.response(200, NoticeOut)
@problems(404)
def read(notice_id: UUID) -> dict[str, Any]:
    """Mark a notice as read

    Doing so again changes nothing.
    """
    with transaction() as session:
        return _told(notifications.read(session, actor=actor(), delivery_id=notice_id, now=utc_now()))


@blp.post("/notices/reading")
@needs("notice.keep")
@blp.arguments(ReadingIn)
@blp.response(204)
def read_all(wanted: dict[str, Any]) -> Response:
    """Mark all notices as read

    Those that came after `until` stay unread.
    """
    now = utc_now()
    with transaction() as session:
        notifications.read_all(session, actor=actor(), until=min(wanted["until"] or now, now), now=now)
    return Response(status=204)


@blp.get("/notices/wishes")
@needs("notice.read")
@blp.response(200, WishesOut)
def wishes() -> dict[str, Any]:
    """Tell of what one hears

    Topics by channels. Webhooks and robots are added on the page of one's account, since their addresses are
    secrets.
    """
    with reading() as session:
        return _chosen(notice_wishes.own(session, actor=actor()))


@blp.put("/notices/wishes")
@needs("notice.keep")
@blp.arguments(WishesIn)
@blp.response(200, WishesOut)
def choose(wanted: dict[str, Any]) -> dict[str, Any]:
    """Choose of what one hears

    Letters about the account itself always come by mail.
    """
    quiet = wanted["quiet"]
    with transaction() as session:
        notice_wishes.choose(
            session,
            actor=actor(),
            wishes={(wish["topic"], wish["channel"]): wish["pace"] for wish in wanted["wishes"]},
            quiet=Quiet(quiet["begins"], quiet["ends"]) if quiet else None,
            now=utc_now(),
        )
        return _chosen(notice_wishes.own(session, actor=actor()))


def _told(entry: InboxEntry) -> dict[str, Any]:
    notice, base = entry.notice, settings().public_url.rstrip("/")
    subject, text, path = _("This no longer concerns you."), "", "/notices"
    if not notice.foreign:
        said = messages.brief(notice, public_url=base)
        subject, text, path = said.subject, said.lead, said.path
    return {
        "id": notice.delivery_id,
        "kind": notice.event.kind,
        "topic": None if notice.foreign else notice.topic,
        "at": entry.at,
        "read_at": entry.read_at,
        "subject": subject,
        "text": text,
        "url": base + path,
        "booking_id": None if notice.foreign or notice.booking is None else notice.booking.id,
        "settled": notice.over or notice.foreign,
    }


def _chosen(manner: Manner) -> dict[str, Any]:
    return {
        "wishes": [
            {"topic": topic, "channel": channel, "pace": manner.pace(topic, channel)}
            for topic in notices.CHOICES
            for channel in (*manner.channels, Channel.INVITATION)
            if notices.is_offered(topic, channel)
        ],
        "quiet": manner.quiet,
        "zone": str(manner.zone),
    }
