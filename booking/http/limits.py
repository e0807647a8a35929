"""Limits on how often somebody may ask."""

import hashlib
import ipaddress
import threading
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from flask import Flask, request

from booking.db import Unavailable, transaction
from booking.http.context import settings
from booking.http.identity import UnknownToken, actor, by_password, utc_now
from booking.services import rate_limits
from booking.services.rate_limits import Limit, TooMany

_MINUTE = 60
_TOLD_IN = 20
"""In so many parts of a limit a process tells the others what it counted."""


@dataclass
class _Counted:
    """What this process counted of somebody and has not told yet, and what it knows of the whole."""

    until: float
    untold: int = 0
    over: bool = False


class _Window:
    """Counts of all processes on all nodes, through the database: each tells it what it counted, some at a time.

    So whoever asks seldom costs no statement, and nobody gets further than that many above the limit.
    """

    def __init__(self, most: int) -> None:
        self._limit = Limit("requests", most, _MINUTE)
        self._at_once = max(1, most // _TOLD_IN)
        self._lock = threading.Lock()
        self._counts: dict[str, _Counted] = {}
        self._swept = 0.0

    def count(self, key: str) -> None:
        """Count one request.

        :raises TooMany: if the minute's are used up
        """
        now = utc_now()
        with self._lock:
            mine = self._of(key, now.timestamp())
            mine.untold += not mine.over
            telling = mine.untold if mine.untold >= self._at_once else 0
            mine.untold -= telling
        if telling:
            self._tell(key, mine, telling, now)
        if mine.over:
            raise TooMany(retry_after=max(1, ceil(mine.until - now.timestamp())))

    def _of(self, key: str, now: float) -> _Counted:
        if now - self._swept > _MINUTE:
            self._counts = {key: mine for key, mine in self._counts.items() if mine.until > now}
            self._swept = now
        mine = self._counts.get(key)
        if mine is None or mine.until <= now:
            mine = self._counts[key] = _Counted(now + _MINUTE)
        return mine

    def _tell(self, key: str, mine: _Counted, n: int, now: datetime) -> None:
        try:
            with transaction() as session:
                total, mine.until = rate_limits.add(session, limit=self._limit, key=key, n=n, now=now)
        except Unavailable:
            mine.untold += n  # told later: what needs the database fails anyway, what does not need not
            return
        mine.over = total > self._limit.most


def init(app: Flask, *, per_minute: int) -> None:
    """Count requests of programs by person, or by network for visitors and wrong tokens."""
    if not per_minute:
        return
    window = _Window(per_minute)

    def _count() -> None:
        if not (request.path.startswith("/api/") or by_password()):
            return
        try:
            who = actor()
        except UnknownToken:
            window.count(network())
            raise
        window.count(str(who.person_id or network()))

    app.before_request(_count)


def count(*attempts: tuple[Limit, str]) -> None:
    """Count an attempt to sign in, sign up or reset under each limit's key; it counts whatever comes of it.

    :raises TooMany: if one of them is used up
    """
    if settings().rate_limits:
        with transaction() as session:
            rate_limits.count(session, attempts=attempts, now=utc_now())


def account(email: str) -> str:
    """Give the key of an address, which the table of counters need not know."""
    return hashlib.sha256(email.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def network() -> str:
    """Give where the request comes from: the address, of IPv6 the /64 that one customer has."""
    raw = request.remote_addr or ""
    try:
        address = ipaddress.ip_address(raw)
    except ValueError:
        return raw
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
