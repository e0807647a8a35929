"""Limits on how often somebody may ask."""

import hashlib
import ipaddress
import threading
import time
from collections import Counter

from flask import Flask, request

from booking.db import transaction
from booking.http.context import settings
from booking.http.identity import UnknownToken, actor, by_password, utc_now
from booking.services import rate_limits
from booking.services.rate_limits import Limit, TooMany

_MINUTE = 60


class _Window:
    """The counts of the minute at hand, of this process; a new minute forgets them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.minute = 0
        self.counts: Counter[str] = Counter()

    def count(self, key: str, most: int) -> None:
        now = time.monotonic()
        with self.lock:
            if int(now // _MINUTE) != self.minute:
                self.minute = int(now // _MINUTE)
                self.counts.clear()
            self.counts[key] += 1
            over = self.counts[key] > most
        if over:
            raise TooMany(retry_after=int(_MINUTE - now % _MINUTE) + 1)


def init(app: Flask, *, per_minute: int) -> None:
    """Count requests of programs by person, or by network for visitors and wrong tokens."""
    if not per_minute:
        return
    window = _Window()

    def _count() -> None:
        if not (request.path.startswith("/api/") or by_password()):
            return
        try:
            who = actor()
        except UnknownToken:
            window.count(network(), per_minute)
            raise
        window.count(str(who.person_id or network()), per_minute)

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
