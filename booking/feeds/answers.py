"""How every feed is answered: 200 or 304, 410 once it is revoked, and never what ends a subscription.

Programs fetch feeds unattended, and one answer of 401, 403, 429 or 5xx makes some of them give up in silence. So the
token alone decides, cookies and Authorization are not looked at, and when the database is away the last good answer
is given again.
"""

import gzip
import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from flask import Response, request
from werkzeug.http import http_date

from booking.db import Session, reading, transaction
from booking.domain import calendars as ical
from booking.domain.access import NotFound
from booking.domain.calendars import FeedRules
from booking.gateways import feed_copies
from booking.gateways.feed_copies import Copy
from booking.http.context import settings
from booking.http.feed_addresses import copies, forget
from booking.http.identity import utc_now
from booking.services import calendars, feeds
from booking.services.feeds import Feed, Gone
from booking.services.sign_in import hashed
from models import CalendarScope

_log = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=5)
"""How often it is noted that an address was used."""

WORTH_PACKING = 1000
"""Bytes; less is not worth compressing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for now: the feed, how far it reaches, and whether to show what was called off."""

    found: Feed
    rules: FeedRules
    cancelled: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Form:
    """One form in which a feed is given.

    `ending` is the end of its address, `scopes` are those that have it. `read` takes from the database what is needed
    and gives a function that makes the body of it when the database is no longer held.
    """

    ending: str
    media_type: str
    scopes: frozenset[CalendarScope]
    read: Callable[[Session, Asked], Callable[[], bytes]]


class NoSuchForm(Exception):
    """The feed does not come in this form."""


def give(token: str, form: Form) -> Response:
    """Answer whoever asks at a secret address.

    The option `cancelled=1` shows what was called off, marked as such.
    """
    secret_hash = hashed(token)
    cancelled = request.args.get("cancelled") == "1"
    name = feed_copies.name(secret_hash, form.ending, cancelled=cancelled)
    try:
        return _answer(secret_hash, form, name, cancelled=cancelled, now=utc_now())
    except NotFound:
        forget(secret_hash)  # its person may have been deleted
        return _refusal(404, "There is no such calendar.")
    except NoSuchForm:
        return _refusal(404, "This calendar does not come in this form.")
    except Gone:
        forget(secret_hash)
        return _refusal(410, "This calendar was withdrawn by its owner. Please remove the subscription.")
    except Exception:  # noqa: BLE001 - a subscriber gets the last good answer whatever is broken
        _log.warning("a feed could not be read; the last good answer is given", exc_info=True)
        return _last_good(name, form)


def rules_of(found: Feed) -> FeedRules:
    """Give how far a feed reaches: as its owner chose, within what the server's operator allows."""
    known = settings()
    allowed = known.feed_rules.get(found.scope.value) or FeedRules(
        known.feed_past_days, known.feed_future_days, known.feed_events
    )
    return allowed.within(found.past_days, found.future_days)


def _answer(secret_hash: bytes, form: Form, name: str, *, cancelled: bool, now: datetime) -> Response:
    with reading(begun=False) as session:
        found = feeds.feed(session, secret_hash=secret_hash, now=now)
        if found.scope not in form.scopes:
            raise NoSuchForm
        asked = Asked(found, rules_of(found), cancelled or found.cancelled, now)
        etag = _etag(asked, form)
        if _known(etag):
            return _noted(_not_modified(etag), found, now)
        kept = feed_copies.read(copies(), name, etag)
        body = form.read(session, asked) if kept is None or kept.etag != etag else None
    if kept is None or body is not None:
        kept = Copy(etag, _modified(kept, now), body() if body else b"")
        _keep(name, kept)
    return _noted(_whole(kept, form), found, now)


def _etag(asked: Asked, form: Form) -> str:
    found, known = asked.found, settings()
    days = [ical.midnight(asked.now).date(), *(ical.day_in(zone, asked.now) for zone in found.zones)]
    return ical.entity_tag(
        *found.version, *days, asked.rules, asked.cancelled, found.actor.name, known.public_url, known.host_name,
        form.ending,
    )  # fmt: skip


def _modified(before: Copy | None, now: datetime) -> datetime:
    """Give when the feed changed, as far as anybody could see: now, and later than what was seen before."""
    modified = now.replace(microsecond=0)
    if before is not None and modified <= before.modified:
        return before.modified + timedelta(seconds=1)
    return modified


def _keep(name: str, copy: Copy) -> None:
    try:
        feed_copies.write(copies(), name, copy)
    except OSError:
        _log.warning("the answer of a feed could not be kept", exc_info=True)


def _last_good(name: str, form: Form) -> Response:
    kept = feed_copies.read(copies(), name)
    if kept is not None:
        return _not_modified(kept.etag) if _known(kept.etag) else _whole(kept, form)
    if request.if_none_match or request.if_modified_since:
        # Whoever has a copy keeps it: any other answer would empty or end the subscription.
        return _bare(304, "")
    return _refusal(404, "This calendar cannot be read at the moment.")


def _whole(kept: Copy, form: Form) -> Response:
    since = request.if_modified_since
    if since is not None and not request.if_none_match and since >= kept.modified:
        return _not_modified(kept.etag)
    packed = request.accept_encodings["gzip"] > 0 and len(kept.body) >= WORTH_PACKING
    body = gzip.compress(kept.body, compresslevel=1, mtime=0) if packed else kept.body
    response = _bare(200, form.ending, body)
    response.content_type = f"{form.media_type}; charset=utf-8"
    response.headers["ETag"] = _packed(kept.etag) if packed else kept.etag
    response.headers["Last-Modified"] = http_date(kept.modified)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _known(etag: str) -> bool:
    """Tell whether the client says that it has this version, in either encoding."""
    wanted = request.if_none_match
    return any(wanted.contains_weak(tag.strip('"')) for tag in (etag, _packed(etag)))


def _packed(etag: str) -> str:
    return f'{etag[:-1]}-gz"'


def _not_modified(etag: str) -> Response:
    response = _bare(304, "")
    wanted = request.if_none_match
    packed = not wanted.contains_weak(etag.strip('"')) and wanted.contains_weak(_packed(etag).strip('"'))
    response.headers["ETag"] = _packed(etag) if packed else etag
    return response


def _refusal(status: int, words: str) -> Response:
    response = _bare(status, "", f"{words}\n".encode())
    response.mimetype = "text/plain"
    return response


def _bare(status: int, ending: str, body: bytes = b"") -> Response:
    headers = {
        "Cache-Control": "private, no-cache",
        "X-Robots-Tag": "noindex",
        "Referrer-Policy": "no-referrer",
    }
    if ending:
        headers["Content-Disposition"] = f'inline; filename="yiqi.{ending}"'
    response = Response(body, status, headers)
    response.vary.add("Accept-Encoding")
    if status == 304:
        del response.headers["Content-Type"]
    return response


# --- who asked --------------------------------------------------------------------------------------------


def _noted(response: Response, found: Feed, now: datetime) -> Response:
    if found.fetched_at is None or now - found.fetched_at >= NOTED_EVERY:
        agent = "".join(character for character in request.user_agent.string if character.isprintable())
        response.call_on_close(partial(_note, found.link_id, agent, _network(), now))
    return response


def _note(link_id: UUID, agent: str, network: str, now: datetime) -> None:
    """Note the fetch when the answer has gone out: no calendar waits for it, and none fails by it."""
    try:
        with transaction() as session:
            calendars.note_fetch(session, link_id=link_id, agent=agent, address=network, now=now)
    except Exception:  # noqa: BLE001 - the answer is out; nobody can be told but the log
        _log.warning("the last fetch of a feed could not be noted", exc_info=True)


def _network() -> str:
    """Give the network that asked, not the very machine: it is shown to the owner and kept."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))
