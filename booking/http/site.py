"""What a page is dressed in: the look of the network whose host was asked, and the announcements that stand on it."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from flask import request
from sqlalchemy import Engine

from booking import db
from booking.domain.access import Actor
from booking.domain.announcements import Announcement
from booking.http.identity import utc_now
from booking.services import announcements, networks
from booking.services.announcements import Where
from booking.services.networks import Brand

KEPT = timedelta(seconds=10)
"""So long a process keeps what it read; so late another process sees a change."""


@dataclass(frozen=True, slots=True)
class _Site:
    read_at: datetime
    brands: tuple[Brand, ...]
    announcements: tuple[Announcement, ...]


_lock = threading.Lock()
_sites: "WeakKeyDictionary[Engine, _Site]" = WeakKeyDictionary()


def forget() -> None:
    """Read anew at the next page; called after a change."""
    with _lock:
        _sites.pop(db.engine(), None)


def _site() -> _Site:
    now, engine = utc_now(), db.engine()
    with _lock:
        found = _sites.get(engine)
    if found is not None and timedelta(0) <= now - found.read_at < KEPT:
        return found
    with db.reading_newest() as session:
        fresh = _Site(now, tuple(networks.brands(session)), tuple(announcements.standing(session, now=now)))
    with _lock:
        _sites[engine] = fresh
    return fresh


def brand() -> Brand | None:
    """Give the look of the network whose host was asked, None under any other host or while nobody can tell."""
    host = request.host.rsplit(":", 1)[0].lower() if not request.host.endswith("]") else request.host
    try:
        return next((one for one in _site().brands if one.host and one.host == host), None)
    except db.Unavailable:
        return None


def banners(who: Actor, *, desk: bool) -> list[Announcement]:
    """Give the announcements of the page that is being rendered; a statement only if any might stand there."""
    try:
        now = utc_now()
        live = [one for one in _site().announcements if one.live(now) and one.read_by(who)]
        if not live:
            return []
        with db.reading(begun=False) as session:
            return announcements.not_put_away(session, actor=who, among=live, where=_where(desk=desk))
    except db.Unavailable:
        return []


def _where(*, desk: bool) -> Where:
    """Tell what the page is about by its address."""
    rule = request.url_rule.rule if request.url_rule else ""
    code = str((request.view_args or {}).get("code", ""))
    named = {
        noun: code if rule.startswith(f"/{nouns}/<code>") else request.args.get(noun, "")[:40]
        for noun, nouns in (
            ("facility", "facilities"),
            ("instrument", "instruments"),
            ("network", "networks"),
        )
    }
    return Where(**named, desk=desk)
